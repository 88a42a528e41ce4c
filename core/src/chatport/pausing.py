"""Waiting until woken, or until the time is over: for an event loop, and for a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["pause", "pause_async"]

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
