"""Waiting, and work that blocks: for an event loop, and for a thread.

anyio is imported when one of these is first needed. Most programs never wait between two attempts, and start faster.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

__all__ = [
    "checkpoint_async",
    "pause",
    "pause_async",
    "run_blocking",
    "run_blocking_async",
    "sleep",
    "sleep_async",
]

T = TypeVar("T")

Arm = Callable[[Callable[[], None]], None]


async def pause_async(arm: Arm, seconds: float | None, sleep: Callable[[float], None] | None = None) -> None:
    """Give `arm` the function that wakes, and wait for it, at most so many seconds.

    `sleep` takes the place of real waiting, for clocks that are told to move.
    """
    import anyio
    import anyio.from_thread
    import anyio.lowlevel

    woken = anyio.Event()
    token = anyio.lowlevel.current_token()
    own_thread = threading.get_ident()

    def wake() -> None:
        if threading.get_ident() == own_thread:
            woken.set()
            return
        with suppress(RuntimeError):  # that loop has ended meanwhile, and nobody waits there any more
            anyio.from_thread.run_sync(woken.set, token=token)

    arm(wake)
    if sleep is not None and seconds is not None and not woken.is_set():
        sleep(seconds)
        seconds = 0.0
    with anyio.move_on_after(seconds):
        await woken.wait()


def pause(arm: Arm, seconds: float | None, sleep: Callable[[float], None] | None = None) -> None:
    """The same in a thread without an event loop."""
    woken = threading.Event()
    arm(woken.set)
    if sleep is not None and seconds is not None and not woken.is_set():
        sleep(seconds)
        seconds = 0.0
    woken.wait(seconds)


async def sleep_async(seconds: float) -> None:
    """Let so many seconds pass. A call can be cancelled here, also with 0."""
    import anyio

    await anyio.sleep(seconds)


def sleep(seconds: float) -> None:
    """The same in a thread without an event loop."""
    time.sleep(seconds)


async def run_blocking_async(function: Callable[[], T]) -> T:
    """Run a function that may block off the event loop."""
    import anyio.to_thread

    return await anyio.to_thread.run_sync(function)


def run_blocking(function: Callable[[], T]) -> T:
    """Run it here: nobody else waits."""
    return function()


async def checkpoint_async() -> None:
    """Let a cancelled scope end this task here. A program without anyio and trio has no such scopes."""
    if "anyio" in sys.modules or "trio" in sys.modules:
        from anyio.lowlevel import checkpoint_if_cancelled

        await checkpoint_if_cancelled()
