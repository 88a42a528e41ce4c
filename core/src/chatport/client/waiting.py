"""Waiting, and work that blocks: for an event loop, and for a thread.

anyio is imported when one of these is first needed. Most programs never wait between two attempts, and start faster.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from ..basics.bell import is_trio, new_bell, running_loop
from ..basics.blocking import Job, OverdueError, Room, StuckError
from ..engine.commands import TimerExpired
from ..errors import ConfigurationError

__all__ = [
    "checkpoint_async",
    "pause",
    "pause_async",
    "run_beside",
    "run_beside_async",
    "run_blocking",
    "run_blocking_async",
    "sleep",
    "sleep_async",
]

T = TypeVar("T")

_ROOM = Room("preparations of providers", stuck_after_seconds=math.inf)
"""Each step that makes a provider ready ends by itself, so whoever needs it may wait for the one under way."""

_BESIDE_ROOM = Room("probes", stuck_after_seconds=math.inf)
_BESIDE: set[Any] = set()

Arm = Callable[[Callable[[], None]], None]


async def pause_async(arm: Arm, seconds: float | None, sleep: Callable[[float], None] | None = None) -> None:
    """Give `arm` the function that wakes, and wait for it, at most so many seconds.

    `sleep` takes the place of real waiting, for clocks that are told to move.
    """
    import anyio

    bell = new_bell()  # whoever wakes may be in another thread, and may run a loop of his own there
    arm(bell.ring)
    if sleep is not None and seconds is not None and not bell.is_rung:
        sleep(seconds)
        seconds = 0.0
    with anyio.move_on_after(seconds):
        await bell.heard()


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


_TURNS: WeakValueDictionary[tuple[int, Hashable], Any] = WeakValueDictionary()
"""Whose turn it is to await what goes ahead of a piece of work, on each event loop."""


async def run_blocking_async(
    name: Hashable,
    function: Callable[[], T],
    seconds: float | None,
    ahead: Callable[[], Awaitable[None]] | None = None,
) -> T:
    """Run a function that may block off the event loop, once for all who ask for this name meanwhile.

    `ahead` is awaited on the loop before, by one at a time. Raises what they raise, TimerExpired after so many seconds,
    and ConfigurationError if too many of them hang.
    """
    import anyio

    with anyio.move_on_after(seconds):
        if ahead is not None:
            place = (id(running_loop()), name)
            turn = _TURNS.get(place) or _TURNS.setdefault(place, anyio.Lock())
            async with turn:
                await ahead()
        return await _job(name, function).finished()
    raise TimerExpired("io")


def run_blocking(
    name: Hashable,
    function: Callable[[], T],
    seconds: float | None,
    ahead: Callable[[], Awaitable[None]] | None = None,
) -> T:
    """The same in a thread without an event loop, where nothing can be awaited: `function` finds that out."""
    try:
        return _job(name, function).wait(seconds)
    except OverdueError:
        pass
    raise TimerExpired("io")


def _job(name: Hashable, function: Callable[[], T]) -> Job[T]:
    try:
        return _ROOM.job(name, function)
    except StuckError as error:
        raise ConfigurationError(f"A provider cannot be made ready: {error}.") from None


def run_beside_async(work: Callable[[], Awaitable[Any]]) -> None:
    """Begin work that nobody waits for, whose failure is its own affair. It ends with its loop at the latest."""

    async def quietly() -> None:
        with suppress(Exception):
            await work()

    if is_trio():
        import trio

        trio.lowlevel.spawn_system_task(quietly)
        return
    import asyncio

    task = asyncio.get_running_loop().create_task(quietly())
    _BESIDE.add(task)  # a loop holds its tasks weakly
    task.add_done_callback(_BESIDE.discard)


def run_beside(work: Callable[[], Any], sleep: Callable[[float], None] | None = None) -> None:
    """The same in a thread of its own. In a time that is told to move it is done at once: threads would race for it."""

    def quietly() -> None:
        with suppress(Exception):
            work()

    if sleep is not None:
        quietly()
        return
    with suppress(StuckError):
        _BESIDE_ROOM.job(object(), quietly)


async def checkpoint_async() -> None:
    """Let a cancelled scope end this task here. A program without anyio and trio has no such scopes."""
    if "anyio" in sys.modules or "trio" in sys.modules:
        from anyio.lowlevel import checkpoint_if_cancelled

        await checkpoint_if_cancelled()
