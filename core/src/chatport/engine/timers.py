"""Which timer is due first, and its name."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs

from ..errors import DeadlineError

__all__ = ["Timeouts", "Timers"]


@attrs.frozen
class Timeouts:
    """Seconds; None is off. `silence`: no byte at all. `first_event`, `between_events`: heartbeats do not count.

    `total` is the whole call: attempts, waits and fallbacks.
    """

    connect: float | None = 5.0
    silence: float | None = 60.0
    first_event: float | None = 120.0
    between_events: float | None = 60.0
    total: float | None = 600.0


class Timers:
    """The clocks of one attempt. Invariant: `_last_byte` and `_last_event` never lie in the future."""

    def __init__(
        self, timeouts: Timeouts, now: Callable[[], float], call_started: float, leave_after: float | None = None
    ) -> None:
        """`leave_after`: seconds after which a target is left that has said nothing, since another one is there."""
        self.timeouts = timeouts
        self._leave_after = leave_after
        self._has_byte = False
        self._now = now
        self._total_at = None if timeouts.total is None else call_started + timeouts.total
        self._last_byte = self._last_event = now()
        self._has_event = False

    def byte_arrived(self) -> None:
        """Note that bytes came; heartbeats count here."""
        self._last_byte = self._now()
        self._has_byte = True

    def event_arrived(self) -> None:
        """Note that content came."""
        self._last_event = self._now()
        self._has_event = True

    def resumed(self, since: float) -> None:
        """Leave out the time since the caller was given the turn: its own pause is not the vendor's silence."""
        pause = self._now() - since
        self._last_byte += pause
        self._last_event += pause

    def _due(self, *, streams: bool) -> tuple[str, float] | None:
        t = self.timeouts
        due = []
        if self._total_at is not None:
            due.append(("total", self._total_at))
        if t.silence is not None:
            due.append(("silence", self._last_byte + t.silence))
        if streams:
            name, seconds = ("between_events", t.between_events) if self._has_event else ("first_event", t.first_event)
            if seconds is not None:
                due.append((name, self._last_event + seconds))
        if self._leave_after is not None and not (self._has_event if streams else self._has_byte):
            due.append(("first_event" if streams else "silence", self._last_event + self._leave_after))
        return min(due, key=lambda item: item[1], default=None)

    def remaining(self, *, streams: bool) -> float | None:
        """Return the seconds until the next timer fires, None without one; raise its DeadlineError if it is due."""
        due = self._due(streams=streams)
        if due is None:
            return None
        left = due[1] - self._now()
        if left <= 0:
            raise self.error(due[0])
        return left

    def expired(self, *, streams: bool) -> DeadlineError:
        """Return the error of the timer that is due first, after a driver reported that its time is over."""
        due = self._due(streams=streams)
        return self.error(due[0] if due else "total")

    def error(self, timer: str) -> DeadlineError:
        """Return the error of a timer by name."""
        seconds: float | None = getattr(self.timeouts, timer)
        if self._leave_after is not None and timer in ("first_event", "silence") and not self._has_event:
            seconds = min(self._leave_after, math.inf if seconds is None else seconds)
        what = {
            "connect": "no connection",
            "silence": "no byte arrived",
            "first_event": "no content arrived (heartbeats do not count)",
            "between_events": "no further content arrived (heartbeats do not count)",
            "total": "the call as a whole was not complete",
        }[timer]
        shown = "" if seconds is None else f" within {seconds:g} s"
        return DeadlineError(
            f"The {timer} timer fired: {what}{shown}. Raise timeouts.{timer} if this vendor needs longer.",
            timer=timer,
            seconds=seconds,
            retryable=timer != "total",
        )
