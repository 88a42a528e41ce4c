"""How many calls at once: found out, since most vendors do not say. Additive increase, multiplicative decrease.

What a vendor does say (its limit headers, a hold with a 429) the client's own pacing keeps already; here it is only how
many calls wait at the vendor at the same time.
"""

from __future__ import annotations

__all__ = ["Pace"]

_FIRST = 8
_DECREASE = 0.7
_LEAST_COOLDOWN_SECONDS = 1.0
_STEP = 1.5
_SLOW_SHARE = 0.05
_LEAST_ANSWERS = 30
_GAIN = 1.1
_REST_SECONDS = 30.0


class Pace:
    """A number of calls at once that follows what comes of them. `now` is in monotonic seconds; nothing waits here.

    It doubles each round until the vendor refuses. A refusal takes it down by three tenths, once for all calls of the
    same moment, and from then on it grows by a twentieth each round, by one at least. Where half as many more calls
    bring no tenth more answers, it goes back to the fewer, and tries again after half a minute.
    """

    # Invariant: 1 <= limit <= most.

    def __init__(self, most: int, first: int = _FIRST) -> None:
        self.most = max(most, 1)
        self._limit = float(min(first, self.most))
        self._is_slow = False
        self._shrunk_at = -1e9
        self._rest_until = -1e9
        self._seconds = 0.0
        self._mark: tuple[float, float] | None = None
        self._began: float | None = None
        self._began_limit = 0.0
        self._count = 0

    @property
    def limit(self) -> int:
        """How many calls may be under way now."""
        return int(self._limit)

    def answered(self, now: float, seconds: float, *, was_full: bool) -> None:
        """Note an answer that took so long. `was_full`: as many calls were under way as may be."""
        self._seconds = seconds if not self._seconds else 0.9 * self._seconds + 0.1 * seconds
        if not was_full or now < self._rest_until:
            self._began = None
            return
        if self._began is None:
            self._begin(now)
        self._count += 1
        self._limit = min(self._limit + (max(1 / self._limit, _SLOW_SHARE) if self._is_slow else 1.0), self.most)
        self._look_whether_it_helps(now)

    def refused(self, now: float) -> None:
        """Note a 429, or that the vendor is overloaded."""
        if now - self._shrunk_at < max(self._seconds, _LEAST_COOLDOWN_SECONDS):
            return
        self._shrunk_at = now
        self._is_slow = True
        self._limit = max(self._limit * _DECREASE, 1.0)
        self._mark = self._began = None

    def _look_whether_it_helps(self, now: float) -> None:
        """Go back to what was enough where more calls at once only wait longer."""
        assert self._began is not None
        passed = now - self._began
        if self._count < max(2 * self._began_limit, _LEAST_ANSWERS) or passed <= 0:
            return
        limit, rate = self._began_limit, self._count / passed
        if self._mark is None:
            self._mark = (limit, rate)
        elif limit >= self._mark[0] * _STEP:
            if rate < self._mark[1] * _GAIN:
                self._limit = self._mark[0]
                self._rest_until = now + _REST_SECONDS
            else:
                self._mark = (limit, rate)
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._began, self._began_limit, self._count = now, self._limit, 0
