"""The two kinds of limit, as one process keeps them by itself.

* `Rate`: so much a minute, by GCRA. A bucket that fills all the time, and that may be emptied at once.
* `Stock`: so much in all, of which some is spent, and some held by what is under way.

Whoever has several limits to keep asks all of them what they lack, and takes from all of them if none lacks anything:
nothing is taken in halves. Neither has a lock; amounts are whole numbers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

__all__ = ["Limit", "Rate", "Stock"]

_MINUTE_SECONDS = 60.0


class Limit(ABC):
    """What can be used up."""

    __slots__ = ()

    @abstractmethod
    def lacks(self, amount: int, now: float) -> float:
        """Return 0.0 if there is so much, else after how many seconds there will be; `math.inf`: nobody knows."""

    @abstractmethod
    def take(self, amount: int, now: float) -> None:
        """Take so much, whether or not there is."""

    @abstractmethod
    def settle(self, taken: int, used: int, now: float) -> None:
        """Put what was used in the place of what was taken."""


class Rate(Limit):
    """So much a minute. `burst` is how much of it may be taken at once after a rest, all of it if not said.

    What is larger than that waits for a full bucket, and leaves it in debt.
    """

    __slots__ = ("_full_at", "burst", "per_minute", "seconds_each")

    def __init__(self, per_minute: int, burst: int | None = None) -> None:
        self._full_at = -math.inf  # when the bucket is full again: the "theoretical arrival time" of GCRA
        self.resize(per_minute, burst)

    def resize(self, per_minute: int, burst: int | None = None) -> None:
        """Let it be so much a minute from now on. What was taken stays taken."""
        self.per_minute = per_minute
        self.burst = max(per_minute if burst is None else burst, 1)
        self.seconds_each = _MINUTE_SECONDS / per_minute if per_minute else math.inf
        """How long it takes until one more is free."""

    def left(self, now: float) -> int:
        """Return how much may be taken now."""
        if not self.per_minute:
            return 0
        return math.floor(self.burst - max(self._full_at - now, 0.0) / self.seconds_each + 1e-9)

    def lacks(self, amount: int, now: float) -> float:
        if not amount:
            return 0.0
        if not self.per_minute:
            return math.inf
        if self._full_at <= now:
            return 0.0
        missing = min(amount, self.burst) - self.burst + (self._full_at - now) / self.seconds_each
        return missing * self.seconds_each if missing > 1e-9 else 0.0

    def take(self, amount: int, now: float) -> None:
        if amount and self.per_minute:
            full_at = self._full_at
            self._full_at = (full_at if full_at > now else now) + amount * self.seconds_each

    def settle(self, taken: int, used: int, now: float) -> None:
        if used > taken:
            self.take(used - taken, now)
        elif used < taken and self.per_minute:
            self._full_at -= (taken - used) * self.seconds_each


class Stock(Limit):
    """So much in all. `spent` of it is gone, `held` is promised to what is under way."""

    __slots__ = ("cap", "held", "spent")

    def __init__(self, cap: int, spent: int = 0) -> None:
        self.cap = cap
        self.spent = spent
        self.held = 0

    def left(self) -> int:
        """Return how much may be taken."""
        return max(self.cap - self.spent - self.held, 0)

    def lacks(self, amount: int, now: float) -> float:
        return 0.0 if self.spent + self.held + amount <= self.cap else math.inf

    def take(self, amount: int, now: float) -> None:
        self.held += amount

    def settle(self, taken: int, used: int, now: float) -> None:
        self.held -= taken
        self.spent += used
