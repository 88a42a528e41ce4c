"""When to try again: our backoff, and a budget that an outage cannot double. What vendors ask for is in `hints`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs

from ..basics.forks import new_lock

__all__ = ["RetryBudget", "RetryPolicy", "backoff_seconds"]


@attrs.frozen
class RetryPolicy:
    """`attempts` in all on one target; waits double from `first_seconds` to `longest_seconds`, with full jitter.

    A vendor's hint is followed up to `longest_hint_seconds`; a longer one ends the attempts on this target.
    `continue_after_cut`: an answer that is cut after a part of it was handed over goes on from there, where the
    vendor documents a way. Without, it is an error that carries the part.
    """

    attempts: int = 3
    first_seconds: float = 0.5
    longest_seconds: float = 8.0
    longest_hint_seconds: float = 60.0
    continue_after_cut: bool = False


def backoff_seconds(failures: int, policy: RetryPolicy, random: Callable[[], float]) -> float:
    """Return a wait after so many failures (1 for the first): uniform between 0 and the doubled ceiling."""
    ceiling = min(policy.first_seconds * 2.0 ** (failures - 1), policy.longest_seconds)
    return ceiling * random()


class RetryBudget:
    """Allow retries up to a share of the calls of the last minute, and always a few. Shared by a client's calls."""

    def __init__(
        self, now: Callable[[], float], *, share: float = 0.2, at_least: int = 3, window_seconds: float = 60.0
    ) -> None:
        self._now = now
        self._share = share
        self._at_least = at_least
        self._window = window_seconds
        self._calls: deque[float] = deque()
        self._retries: deque[float] = deque()
        self._lock = new_lock()

    def count_call(self) -> None:
        """Note a call; to be said once per call."""
        with self._lock:
            self._forget_old()
            self._calls.append(self._now())

    def take(self) -> bool:
        """Return whether one more retry is allowed now, and count it if so."""
        with self._lock:
            self._forget_old()
            if len(self._retries) >= max(self._at_least, int(self._share * len(self._calls))):
                return False
            self._retries.append(self._now())
            return True

    def _forget_old(self) -> None:
        horizon = self._now() - self._window
        for times in (self._calls, self._retries):
            while times and times[0] < horizon:
                times.popleft()
