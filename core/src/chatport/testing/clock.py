"""Virtual time: a clock that moves only when it is told to, so that an hour of waiting takes no time at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ..engine.commands import Clock

__all__ = ["VirtualClock"]


class VirtualClock:
    """A clock for tests. Pass `clock` to the client and the whole of it to the emulator that answers in process.

    It moves when a call waits before its next attempt, when an emulator is silent, and by `advance`; never by
    itself. All who share it share its time: two calls that wait at once move it twice.
    `random` is the chance in waits, a number in [0, 1). `waits` lists the seconds of each wait between attempts.
    """

    def __init__(
        self,
        now: datetime = datetime(2026, 1, 1, tzinfo=UTC),
        *,
        random: Callable[[], float] = lambda: 0.5,
    ) -> None:
        if now.tzinfo is None:
            raise ValueError("A clock starts at an aware datetime, such as datetime(2026, 1, 1, tzinfo=UTC).")
        self.waits: list[float] = []
        self.clock = Clock(self._monotonic, self.now, random, self._wait)
        self._start = now
        self._elapsed_seconds = 0.0
        self._set_by_seconds = 0.0
        self._lock = threading.Lock()

    @property
    def elapsed_seconds(self) -> float:
        """The seconds that have passed since the clock was made; `set` does not count."""
        return self._elapsed_seconds

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return (self._start + timedelta(seconds=self._elapsed_seconds + self._set_by_seconds)).astimezone(UTC)

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises ValueError for a negative number, and for an endless one."""
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"Time passes by a number of seconds from 0, not by {seconds!r}.")
        with self._lock:
            self._elapsed_seconds += seconds

    def set(self, now: datetime) -> None:
        """Set the time of day, forth or back, as a machine's clock may be set. No time passes by that."""
        self._set_by_seconds += (now - self.now()).total_seconds()

    def _monotonic(self) -> float:
        return self._elapsed_seconds

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.advance(seconds)
