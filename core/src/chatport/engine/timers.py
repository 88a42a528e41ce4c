"""Which timer is due first, and its name."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..errors import DeadlineError
from ..limits.timeouts import Timeouts

__all__ = ["Timers", "not_ready_in_time"]


_LATE_SECONDS = 1.0
"""For how long at most what has arrived is read after a timer was due, if there is always more of it."""


def not_ready_in_time(target: str, seconds: float | None) -> DeadlineError:
    """Return the error of a call whose time was over before there was anything to send to."""
    provider, _, model = target.partition(":")
    return DeadlineError(
        f"The total timer fired: {provider} was not ready within {seconds or 0:g} s. Its key was being read, or its "
        "server looked for. Nothing was sent. Raise timeouts.total if that needs longer.",
        timer="total",
        seconds=seconds,
        provider=provider,
        model=model,
        retryable=False,
    )


class Timers:
    """The clocks of one attempt. Invariant: `_last_byte` and `_last_event` never lie in the future.

    Asked before every read, so it is kept to a few additions and comparisons; names are found only when one is due.
    """

    def __init__(
        self, timeouts: Timeouts, now: Callable[[], float], call_started: float, leave_after: float | None = None
    ) -> None:
        """`leave_after`: seconds after which a target is left that has said nothing, since another one is there."""
        self.timeouts = timeouts
        self._leave_after = leave_after
        self._now = now
        never = math.inf
        self._total_at = never if timeouts.total is None else call_started + timeouts.total
        self._silence = never if timeouts.silence is None else timeouts.silence
        self._between = never if timeouts.between_events is None else timeouts.between_events
        self._first = never if timeouts.first_event is None else timeouts.first_event
        self._last_byte = self._last_event = now()
        self._leave_at = never if leave_after is None else self._last_byte + leave_after
        self._has_event = False
        self._late_for = self._late_since = -math.inf

    def byte_arrived(self) -> None:
        """Note that bytes came; heartbeats count here."""
        self._last_byte = self._now()

    def answer_begun(self) -> None:
        """Note that the target says something: it is not left for another one any more."""
        self._leave_at = math.inf

    def event_arrived(self) -> None:
        """Note that content came, with the last bytes."""
        self._last_event = self._last_byte
        self._leave_at = math.inf
        self._has_event = True

    def resumed(self) -> None:
        """Leave out the time since the last byte, when the caller had the turn: that is not the vendor's silence.

        For the call as a whole it counts, and a call that came to its end meanwhile is over.
        """
        now = self._now()
        if self._last_byte < self._total_at <= now:
            self._late_for, self._late_since = self._total_at, -math.inf
        pause = now - self._last_byte
        self._last_byte = now
        self._last_event += pause
        self._leave_at += pause

    def remaining(self, *, streams: bool) -> float | None:
        """Return the seconds until the next timer fires, None without one.

        0.0 where it is due: what has arrived is read before a timer is judged, since the process may have been
        suspended, and the vendor was not silent then. Raises the DeadlineError where that goes on for too long.
        """
        due_at = min(self._total_at, self._leave_at)
        quiet_at = self._last_byte + self._silence
        if quiet_at < due_at:
            due_at = quiet_at
        if streams:
            event_at = self._last_event + (self._between if self._has_event else self._first)
            if event_at < due_at:
                due_at = event_at
        if due_at == math.inf:
            return None
        now = self._now()
        if now < due_at:
            return due_at - now
        if due_at != self._late_for:
            self._late_for, self._late_since = due_at, now
        if now - self._late_since > _LATE_SECONDS:
            raise self.expired(streams=streams)
        return 0.0

    def expired(self, *, streams: bool) -> DeadlineError:
        """Return the error of the timer that is due first, after a driver reported that its time is over."""
        due = [
            (self._total_at, "total"),
            (self._last_byte + self._silence, "silence"),
            (self._leave_at, "first_event"),
        ]
        if streams and self._has_event:
            due.append((self._last_event + self._between, "between_events"))
        elif streams:
            due.append((self._last_event + self._first, "first_event"))
        return self.error(min(due, key=lambda item: item[0])[1])

    def error(self, timer: str) -> DeadlineError:
        """Return the error of a timer by name."""
        seconds: float | None = getattr(self.timeouts, timer)
        if self._leave_after is not None and timer == "first_event" and not self._has_event:
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
