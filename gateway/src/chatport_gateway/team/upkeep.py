"""Work that is done again and again beside the calls. It ends between two turns, never in a transaction."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

__all__ = ["Upkeep"]

_LAST_TURN_SECONDS = 10.0


class Upkeep:
    """Does some work again and again: it returns after how many seconds the next turn is. It does not raise."""

    def __init__(self, work: Callable[[], Awaitable[float]], *, first_after: float) -> None:
        self._work = work
        self._first_after = first_after
        self._is_over = asyncio.Event()
        self._task = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        """Let the turn end that is under way, and begin no other. Cut off only what takes too long."""
        self._is_over.set()
        await asyncio.wait([self._task], timeout=_LAST_TURN_SECONDS)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _go_on(self) -> None:
        pause = self._first_after
        while not self._is_over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_over.wait(), pause)
                return
            pause = await self._work()
