"""A circuit breaker for each target: leave a vendor alone while it fails, and let one call find out when it is back.

closed --(consecutive failures, or failure rate)--> open --(open time over)--> half-open
half-open --(probe ok)--> closed,  half-open --(probe failed)--> open, for twice as long

The open time has a low cap: an outage of a minute, the usual one, is to be noticed within half a minute of its end, and
a probe is one small request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal, TypeAlias

import attrs
from attrs import validators

from ..basics.forks import new_lock
from ..basics.values import Value

__all__ = ["Admission", "Breaker", "BreakerPolicy", "BreakerState", "Outcome"]

Admission: TypeAlias = Literal["closed", "probe", "open"]
BreakerState: TypeAlias = Literal["closed", "open", "half-open"]
Outcome: TypeAlias = Literal["ok", "failed", "neutral"]


@attrs.frozen(eq=False, repr=False)
class BreakerPolicy(Value):
    """When a target counts as down: `failures` in a row, or a share of `failure_rate` within `window_seconds`.

    The share counts from `least_calls` on. The breaker then stays open for `open_seconds`; each probe that fails
    doubles that, up to `longest_open_seconds`. `probe_beside`: while another target is up, a small request of our own
    is the probe, beside the next call; without, that call itself is.
    """

    failures: int = attrs.field(default=5, validator=validators.ge(1))
    failure_rate: float = attrs.field(default=0.5, validator=[validators.gt(0), validators.le(1)])
    least_calls: int = attrs.field(default=10, validator=validators.ge(1))
    window_seconds: float = attrs.field(default=60.0, validator=validators.gt(0))
    open_seconds: float = attrs.field(default=10.0, validator=validators.gt(0))
    longest_open_seconds: float = attrs.field(default=20.0, validator=validators.gt(0))
    probe_beside: bool = True


class Breaker:
    """The breaker of one target. Thread-safe; `now` gives monotonic seconds."""

    # Invariants: `_open_until` is None exactly while closed; `_probe_since` is None unless half-open, and says since
    # when `_prober` has the probe.

    def __init__(self, policy: BreakerPolicy, now: Callable[[], float]) -> None:
        self._policy = policy
        self._now = now
        self._lock = new_lock()
        self._failures_in_a_row = 0
        self._recent = _Recent(policy.window_seconds)
        self._open_seconds = policy.open_seconds
        self._open_until: float | None = None
        self._probe_since: float | None = None
        self._prober: object = None
        self.finds_out_beside = True
        """Whether a probe beside a call comes to its end here: not in a program whose loop ends with each call."""

    def admit(self, caller: object = None) -> Admission:
        """Say whether a call may go: `closed` yes, `open` no, `probe` yes, and its outcome decides.

        Whoever gets `probe` must give the outcome to `record` with `probe=True`, or the probe back.
        """
        with self._lock:
            if self._open_until is None:
                return "closed"
            if self._blocked_seconds() > 0:
                return "open"
            now = self._now()
            self._probe_since, self._prober = now, caller
            return "probe"

    def hand_on(self, caller: object, other: object) -> None:
        """Let another one have the probe that this caller has."""
        with self._lock:
            if self._prober is caller:
                self._prober = other

    def give_back(self, caller: object) -> None:
        """Take back a probe that this caller has and that has not decided anything; without one nothing happens."""
        with self._lock:
            if self._prober is caller:
                self._probe_since = self._prober = None

    def record(self, outcome: Outcome, *, probe: bool = False) -> bool:
        """Note how an attempt ended; return whether that opened the breaker, or opened it again.

        `neutral` is for what says nothing of the target: the call was cancelled, or was the caller's own fault. It
        gives a probe back. While the breaker is not closed only a probe counts: other attempts began before it opened.
        """
        with self._lock:
            if self._open_until is None:
                return self._count(outcome)
            if not probe or self._probe_since is None:
                return False
            return self._judge_probe(outcome)

    @property
    def state(self) -> BreakerState:
        """`half-open` once the open time is over, until a probe has decided."""
        with self._lock:
            if self._open_until is None:
                return "closed"
            return "open" if self._now() < self._open_until else "half-open"

    @property
    def open_for_seconds(self) -> float:
        """How long `admit` will say `open` at the latest if nothing is recorded; 0.0 if it would not say it now."""
        with self._lock:
            return self._blocked_seconds()

    @property
    def recent(self) -> tuple[int, int]:
        """How many attempts there were in the last `window_seconds`, and how many of them failed; none while open."""
        with self._lock:
            self._recent.forget(self._now())
            return self._recent.calls, self._recent.failed

    def _blocked_seconds(self) -> float:
        if self._open_until is None:
            return 0.0
        until = self._open_until
        if self._probe_since is not None:  # a caller that vanished with the probe must not block the target for ever
            until = self._probe_since + self._policy.open_seconds
        return max(until - self._now(), 0.0)

    def _count(self, outcome: Outcome) -> bool:
        if outcome == "neutral":
            return False
        self._failures_in_a_row = self._failures_in_a_row + 1 if outcome == "failed" else 0
        self._recent.add(outcome == "failed", self._now())
        if outcome == "ok" or not self._is_down():
            return False
        self._open()
        return True

    def _is_down(self) -> bool:
        policy, recent = self._policy, self._recent
        too_many = recent.calls >= policy.least_calls and recent.failed >= policy.failure_rate * recent.calls
        return self._failures_in_a_row >= policy.failures or too_many

    def _judge_probe(self, outcome: Outcome) -> bool:
        began, self._probe_since, self._prober = self._probe_since, None, None
        if outcome == "ok":
            self._close()
        elif outcome == "failed":
            self._open_seconds = min(self._open_seconds * 2, self._policy.longest_open_seconds)
            self._open(began)
        return outcome == "failed"

    def _open(self, probed_at: float | None = None) -> None:
        """Open it, after a probe counted from when that began: its own silence was a time of leaving alone too."""
        now = self._now()
        self._open_until = max((now if probed_at is None else probed_at) + self._open_seconds, now)

    def _close(self) -> None:
        self._open_until = None
        self._open_seconds = self._policy.open_seconds
        self._failures_in_a_row = 0
        self._recent = _Recent(self._policy.window_seconds)


class _Recent:
    """Calls and failures of the last seconds, summed in sixty slots so that memory does not grow with the traffic."""

    def __init__(self, window_seconds: float) -> None:
        self._slot_seconds = window_seconds / 60
        self._slots: deque[tuple[int, int, int]] = deque()
        self.calls = 0
        self.failed = 0

    def add(self, failed: bool, now: float) -> None:
        slot = int(now // self._slot_seconds)
        if self._slots and self._slots[0][0] <= slot - 60:
            self.forget(now)
        calls, failures = self._slots.pop()[1:] if self._slots and self._slots[-1][0] == slot else (0, 0)
        self._slots.append((slot, calls + 1, failures + failed))
        self.calls += 1
        self.failed += failed

    def forget(self, now: float) -> None:
        """Forget what is too old."""
        slot = int(now // self._slot_seconds)
        while self._slots and self._slots[0][0] <= slot - 60:
            _, calls, failures = self._slots.popleft()
            self.calls -= calls
            self.failed -= failures
