"""Waiting for a vendor: by which clock, how long, how often, and until somebody stops it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import anyio.lowlevel

from chatport import ChatportError

from ..lanes import is_fatal, is_refusal, is_transient

__all__ = ["Waiting"]

T = TypeVar("T")

_SLOWER = 1.5


class Waiting:
    """Waits `first` seconds, then longer and longer up to `longest`, until `quicken`. `clock` is a client's, or None.

    A clock with a `sleep` of its own lets time pass by that, and nobody waits for it: for tests.
    """

    def __init__(self, clock: Any, first: float, longest: float, patience_seconds: float) -> None:
        self._clock = clock
        self._first = self._next = first
        self._longest = longest
        self._patience_seconds = patience_seconds
        self._stopped = anyio.Event()

    @property
    def is_stopped(self) -> bool:
        """Whether it is to end."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End all waiting."""
        self._stopped.set()

    def quicken(self) -> None:
        """Begin with short waits again: something has happened."""
        self._next = self._first

    def now(self) -> float:
        """Return the time of day in seconds since 1970, which goes on from one process to the next."""
        return time.time() if self._clock is None else float(self._clock.utcnow().timestamp())

    async def wait(self) -> None:
        """Wait until it is time to look again."""
        seconds, self._next = self._next, min(self._next * _SLOWER, self._longest)
        if self._clock is not None and self._clock.sleep is not None:
            self._clock.sleep(seconds)
            await anyio.lowlevel.checkpoint()
            return
        with anyio.move_on_after(seconds):
            await self._stopped.wait()

    async def patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """Do a step, again where it fails for passing reasons, as long as there is patience and nobody stops it."""
        until = self.now() + self._patience_seconds
        while True:
            try:
                return await step()
            except ChatportError as error:
                is_passing = is_refusal(error) or is_transient(error)
                if is_fatal(error) or not is_passing or self.now() > until or self.is_stopped:
                    raise
            await self.wait()
