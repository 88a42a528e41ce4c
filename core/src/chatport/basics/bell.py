"""Waking a task of any event loop from any thread, without waiting for that loop."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio

    import trio

__all__ = ["Bell", "is_cancelled", "is_running", "is_trio", "new_bell", "running_loop"]


class Bell(Protocol):
    """Made in the task that will wait. It stays rung."""

    is_rung: bool

    def ring(self) -> None:
        """Wake the task. From any thread, more than once too, also after its loop has ended; never waits."""

    async def heard(self) -> None:
        """Return once it has been rung."""


def is_trio() -> bool:
    """Whether this is a task of trio, and none of asyncio."""
    trio: Any = sys.modules.get("trio")  # where it runs, it was imported; another thread may be importing it just now
    lowlevel = None if trio is None else getattr(trio, "lowlevel", None)
    in_run = getattr(lowlevel, "in_trio_run", None)
    return in_run is not None and bool(in_run())


def is_cancelled() -> bool:
    """Whether a cancellation that has come is one of this task: on asyncio it may be of what it has awaited."""
    if is_trio():
        return True
    import asyncio

    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def running_loop() -> Any:
    """Return what stands for this event loop: asyncio's loop, or the token of trio's run."""
    if is_trio():
        import trio

        return trio.lowlevel.current_trio_token()
    import asyncio

    return asyncio.get_running_loop()


def is_running(loop: Any) -> bool:
    """Whether what `running_loop` gave still runs."""
    if hasattr(loop, "is_running"):
        return bool(loop.is_running())
    import trio

    try:
        loop.run_sync_soon(lambda: None)
    except trio.RunFinishedError:
        return False
    return True


def new_bell() -> Bell:
    """Return a bell for the task that runs now."""
    return _TrioBell() if is_trio() else _AsyncioBell()


class _AsyncioBell:
    def __init__(self) -> None:
        import asyncio

        self._running = asyncio.get_running_loop
        self._loop = self._running()
        self._rung: asyncio.Future[None] = self._loop.create_future()
        self.is_rung = False

    def ring(self) -> None:
        self.is_rung = True
        if self._is_here():
            self._set()  # at once: whoever waits comes next, and not a turn of the loop later
            return
        with suppress(RuntimeError):  # that loop has ended, and nobody waits there any more
            self._loop.call_soon_threadsafe(self._set)

    def _is_here(self) -> bool:
        """Whether the loop of this bell is the one that runs in this thread, in which it may be touched."""
        try:
            return self._running() is self._loop
        except RuntimeError:
            return False

    def _set(self) -> None:
        if not self._rung.done():  # done: rung before, or whoever waited was cancelled
            self._rung.set_result(None)

    async def heard(self) -> None:
        await self._rung


class _TrioBell:
    def __init__(self) -> None:
        import trio

        self._token = trio.lowlevel.current_trio_token()
        self._rung: trio.Event = trio.Event()
        self._ended = trio.RunFinishedError
        self.is_rung = False

    def ring(self) -> None:
        self.is_rung = True
        with suppress(self._ended):
            self._token.run_sync_soon(self._rung.set)

    async def heard(self) -> None:
        await self._rung.wait()
