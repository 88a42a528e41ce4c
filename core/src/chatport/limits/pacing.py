"""Pacing on our side, so that a vendor's limit is kept instead of met.

How a vendor counts is not known: some fill a bucket continuously, some count from one full minute to the next, some
let a bucket fill only for a second's worth. The pacer therefore keeps both rules at once, for requests and for tokens:

* *A bucket*: refilled at 95 % of the limit, three seconds' worth deep, so calls go out evenly, not in a heap.
* *A window*: no more than the limit in any minute, wherever it begins, and two seconds more for differences in
  travel time. A bucket alone cannot promise that for requests that are large beside the limit.

Together they come to about 95 % of the limit. What a request will cost is an estimate; its real usage corrects the
account. What the vendor's headers say is left is never overdrawn before it resets.

No interrupt (Ctrl-C) loses a place. Python lets one in at the begin of a function, after a call of what is written in
C, and when a loop goes round. So the caller owns the ticket before it joins, leaves in a `finally`, twice, and here
what belongs together changes on lines with no call between them.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Literal

import attrs
import msgspec
from attrs import validators

from ..basics.bounded import MOST_PACERS, Shelf
from ..basics.forks import new_lock
from ..basics.values import Value
from ..types import RateLimits

__all__ = ["PaceLimits", "Pacer", "PacerBook", "Ticket"]

_MINUTE_SECONDS = 60.0
_WINDOW_SECONDS = 62  # a minute, one second since entries are kept by the second, one for travel time
_SHARE = 0.95
_BURST_SHARE = 1 / 20
_SHORTEST_WAIT_SECONDS = 0.001  # a wait lost in the rounding of a large clock would make the caller spin

_limit = attrs.field(default=None, validator=validators.optional(validators.ge(1)))


@attrs.frozen(eq=False, repr=False)
class PaceLimits(Value):
    """What a client may do at one vendor with one key and one model. None: no limit, unless headers tell one."""

    requests_per_minute: int | None = _limit
    tokens_per_minute: int | None = _limit
    concurrency: int | None = _limit


class Ticket:
    """A call's place in the queue, once it has joined; then its slot. To be given back by `Pacer.leave`."""

    __slots__ = ("_charged", "_charged_at", "_missed_wake", "_state", "_wake", "tokens")

    def __init__(self, tokens: int) -> None:
        self.tokens = max(tokens, 0)
        self._state: Literal["new", "waiting", "active", "left"] = "new"
        self._charged = 0
        self._charged_at = 0.0
        self._wake: Callable[[], None] | None = None
        self._missed_wake = False


class Pacer:
    """The queue before one (provider, key, model), first come, first served. Thread-safe; no method waits.

    The caller enters, polls until it gets 0.0, sends, and leaves, whatever happened. A large request is not starved:
    while the head of the queue waits for its tokens, nobody passes it. Larger than a whole minute's tokens, it goes
    alone. `now` gives monotonic seconds.
    """

    # Invariants: active <= concurrency; only the head of the queue is ever admitted; whenever the queue gets another
    # head, or something changes that may let the head go sooner, the head is woken.

    def __init__(self, limits: PaceLimits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._lock = new_lock()
        self._queue: OrderedDict[Ticket, None] = OrderedDict()
        self._active = 0
        self._hold_until = -math.inf
        self._requests = _Account(limits.requests_per_minute, now())
        self._tokens = _Account(limits.tokens_per_minute, now())

    @property
    def waiting(self) -> int:
        """How many are in the queue."""
        return len(self._queue)

    @property
    def active(self) -> int:
        """How many were admitted and have not left."""
        return self._active

    @property
    def is_idle(self) -> bool:
        """Whether forgetting this pacer would lose nothing: nobody here, no hold, nothing sent lately."""
        with self._lock:
            now = self._now()
            empty = not self._queue and not self._active and self._hold_until <= now
            return empty and self._requests.is_at_rest(now) and self._tokens.is_at_rest(now)

    def enter(self, tokens: int) -> Ticket:
        """Join the queue with a request that will cost about so many tokens."""
        ticket = Ticket(tokens)
        self.join(ticket)
        return ticket

    def join(self, ticket: Ticket) -> None:
        """Put a new ticket into the queue. Whoever has one may `leave` at any time, also before."""
        with self._lock:
            if ticket._state == "new":
                ticket._state = "waiting"
                self._queue[ticket] = None

    def poll(self, ticket: Ticket) -> float:
        """Return 0.0 if the request may go now; else after how many seconds to ask again, `math.inf`: when woken.

        Raises ValueError for a ticket that has left.
        """
        with self._lock:
            if ticket._state == "left":
                raise ValueError("The ticket has left the pacer; enter again for another request.")
            if ticket._state == "active":
                return 0.0
            ticket._wake, ticket._missed_wake = None, False
            seconds = self._wait_seconds(ticket)
            if seconds > 0:
                return seconds
            self._admit(ticket)
        self._wake_head()
        return 0.0

    def on_wake(self, ticket: Ticket, wake: Callable[[], None]) -> None:
        """Call `wake` once when polling again may succeed; at once if that came after the ticket's last poll.

        `wake` is called in whatever thread made the change, with no lock held. It must be quick and must not raise.
        """
        with self._lock:
            missed, ticket._missed_wake = ticket._missed_wake, False
            if not missed:
                ticket._wake = wake
        if missed:
            wake()

    def leave(self, ticket: Ticket, *, used_tokens: int | None = None) -> None:
        """Give back the slot, or the place in the queue. Leaving twice changes nothing, and wakes the head again.

        `used_tokens` is the real usage, None if it is not known: then the estimate stands.
        """
        with self._lock:
            was_active = ticket._state == "active"
            self._active -= was_active
            ticket._state, ticket._wake = "left", None
            self._queue.pop(ticket, None)
            if was_active and used_tokens is not None:
                self._tokens.correct(ticket._charged, max(used_tokens, 0), ticket._charged_at, self._now())
        self._wake_head()

    def learn(self, limits: RateLimits) -> None:
        """Take over what a vendor's headers say is left, and its limits where none are configured.

        Headers do not tell the length of their window (a day and a minute have the same names, GQ-H1, and some vendors
        count by the second, FW-H1). A limit is taken for one per minute only where its reset time fits that.
        """
        requests = _Headroom.read(limits.requests_limit, limits.requests_remaining, limits.requests_reset_seconds)
        tokens = _Headroom.read(limits.tokens_limit, limits.tokens_remaining, limits.tokens_reset_seconds)
        if requests is None and tokens is None:
            return
        with self._lock:
            self._requests.learn(requests, self._now(), adopt=self._limits.requests_per_minute is None)
            self._tokens.learn(tokens, self._now(), adopt=self._limits.tokens_per_minute is None)
        self._wake_head()

    def hold(self, seconds: float) -> None:
        """Let nobody go for so many seconds, as a refusal asked. A longer hold that is running stays."""
        with self._lock:
            self._hold_until = max(self._hold_until, self._now() + seconds)

    def _wait_seconds(self, ticket: Ticket) -> float:
        if next(iter(self._queue)) is not ticket or self._active >= (self._limits.concurrency or math.inf):
            return math.inf
        now = self._now()
        seconds = max(
            self._hold_until - now, self._requests.wait_seconds(1, now), self._tokens.wait_seconds(ticket.tokens, now)
        )
        return max(seconds, _SHORTEST_WAIT_SECONDS) if seconds > 0 else 0.0

    def _admit(self, ticket: Ticket) -> None:
        now = self._now()
        self._requests.take(1, now)
        ticket._charged, ticket._charged_at = self._tokens.take(ticket.tokens, now), now
        ticket._state = "active"  # from here on no call: all or nothing
        self._active += 1
        del self._queue[ticket]

    def _wake_head(self) -> None:
        """Wake the head of the queue, with no lock held while it is done.

        The wake stays with the ticket until it was called: an interrupt before that leaves it for the next occasion.
        """
        with self._lock:
            head = next(iter(self._queue), None)
            if head is None:
                return
            wake = head._wake
            head._missed_wake = wake is None
        if wake is None:
            return
        wake()
        with self._lock:
            if head._wake is wake:
                head._wake = None


class _Headroom(msgspec.Struct, frozen=True):
    """What a vendor says is left of a limit, at the moment of its reply."""

    limit: int | None
    left: int
    reset_seconds: float

    @classmethod
    def read(cls, limit: int | None, left: int | None, reset_seconds: float | None) -> _Headroom | None:
        """Return the headroom, None where it says too little: without a reset nobody knows how long it holds."""
        if left is None or reset_seconds is None or not reset_seconds > 0:
            return None
        return cls(limit, max(left, 0), reset_seconds)

    @property
    def is_bucket(self) -> bool:
        """Whether the reset is the time in which a bucket of a minute's worth refills, as far as one can tell."""
        if not self.limit or self.left >= self.limit:
            return False
        to_full_seconds = (self.limit - self.left) * _MINUTE_SECONDS / self.limit
        return to_full_seconds / 2 < self.reset_seconds < to_full_seconds * 2

    @property
    def is_per_minute(self) -> bool | None:
        """Whether the limit is one per minute, None if the reset fits a second's, a minute's or a day's as well."""
        if self.reset_seconds > _MINUTE_SECONDS:
            return False
        return True if self.is_bucket or self.reset_seconds > 1 else None

    @property
    def refill_per_second(self) -> float:
        """How fast more becomes free: nothing before the reset unless it is a bucket."""
        return ((self.limit or 0) - self.left) / self.reset_seconds if self.is_bucket else 0.0

    @property
    def lapse_seconds(self) -> float:
        """How long this holds. Not for hours: a daily limit may be a bucket too, and is then full only in a day."""
        return min(self.reset_seconds, _MINUTE_SECONDS)

    def wait_seconds(self, amount: int, taken: int, age_seconds: float) -> float:
        """Return how long an amount must wait, when so much was taken, and so much time passed, since this was said."""
        lapses = self.lapse_seconds - age_seconds
        missing = min(amount, self.limit or amount) + taken - self.left - self.refill_per_second * age_seconds
        if missing <= 1e-6 or lapses <= 0:
            return 0.0
        return min(lapses, missing / self.refill_per_second) if self.refill_per_second else lapses


class _Account:
    """What was sent of one kind, requests or tokens: the bucket, the window, and the vendor's own word."""

    # Invariant: `_sent` is the sum of `_window`, whose entries are [second, amount], oldest first.

    def __init__(self, limit: int | None, now: float) -> None:
        self._limit = limit
        self._level = self._burst
        self._level_at = now
        self._window: deque[list[int]] = deque()
        self._sent = 0
        self._headroom: _Headroom | None = None
        self._headroom_at = now
        self._taken_since = 0

    @property
    def _burst(self) -> float:
        return 0.0 if self._limit is None else 1 + self._limit * _BURST_SHARE

    @property
    def _per_second(self) -> float:
        return 0.0 if self._limit is None else self._limit * _SHARE / _MINUTE_SECONDS

    def is_at_rest(self, now: float) -> bool:
        self._catch_up(now)
        return not self._window and self._headroom is None and self._level >= self._burst

    def wait_seconds(self, amount: int, now: float) -> float:
        """Return how long an amount must wait, 0.0 if not at all."""
        if amount == 0 or (self._limit is None and self._headroom is None):
            return 0.0
        self._catch_up(now)
        seconds = 0.0
        if self._headroom is not None:
            seconds = self._headroom.wait_seconds(amount, self._taken_since, now - self._headroom_at)
        if self._limit is not None:
            amount = min(amount, self._limit)
            seconds = max(seconds, self._bucket_seconds(amount), self._window_seconds(amount, self._limit, now))
        return seconds

    def take(self, amount: int, now: float) -> int:
        """Note what is being sent; return what it was counted for, at most a minute's worth."""
        self._taken_since += amount
        if self._limit is None or amount == 0:
            return 0
        self._catch_up(now)
        amount = min(amount, self._limit)
        self._level -= amount
        if not self._window or self._window[-1][0] != int(now):
            self._window.append([int(now), 0])
        self._window[-1][1] += amount
        self._sent += amount
        return amount

    def correct(self, charged: int, used: int, charged_at: float, now: float) -> None:
        """Replace an estimate by what was used. What it fell short counts as sent now, the rest was never sent."""
        if self._limit is None or charged == 0:
            return
        surplus = charged - min(used, self._limit)
        if surplus < 0:
            self.take(-surplus, now)
            return
        self._catch_up(now)
        self._level = min(self._level + surplus, self._burst)
        for entry in self._window:
            if entry[0] == int(charged_at):
                entry[1] -= surplus
                self._sent -= surplus

    def learn(self, headroom: _Headroom | None, now: float, *, adopt: bool) -> None:
        if headroom is None:
            return
        self._catch_up(now)
        self._headroom, self._headroom_at, self._taken_since = headroom, now, 0
        if adopt and headroom.is_per_minute is not None:
            self._adopt(headroom.limit if headroom.is_per_minute else None)

    def _adopt(self, limit: int | None) -> None:
        if limit == self._limit:
            return
        is_new = self._limit is None
        self._limit = limit or None
        self._level = self._burst if is_new else min(self._level, self._burst)

    def _catch_up(self, now: float) -> None:
        self._level = min(self._level + (now - self._level_at) * self._per_second, self._burst)
        self._level_at = now
        while self._window and self._window[0][0] + _WINDOW_SECONDS <= now:
            self._sent -= self._window.popleft()[1]
        if self._headroom is not None and now - self._headroom_at >= self._headroom.lapse_seconds:
            self._headroom = None

    def _bucket_seconds(self, amount: int) -> float:
        # A request larger than the bucket waits for a full one and leaves it in debt.
        missing = min(amount, self._burst) - self._level
        return missing / self._per_second if missing > 1e-6 else 0.0

    def _window_seconds(self, amount: int, limit: int, now: float) -> float:
        over = self._sent + amount - limit
        for second, sent in self._window:
            if over <= 0:
                break
            over -= sent
            if over <= 0:
                return second + _WINDOW_SECONDS - now
        return 0.0


class PacerBook(Shelf[tuple[Hashable, PaceLimits], Pacer]):
    """The pacers of a client, by key: equal key and limits, same pacer. Thread-safe.

    Keeps `most` of them. Only what is idle is forgotten: nobody in it, no hold, nothing sent lately; see `Shelf`.
    """

    def __init__(self, now: Callable[[], float], *, most: int = MOST_PACERS) -> None:
        super().__init__(most, lambda pacer: pacer.is_idle)
        self._now = now

    def get(self, key: Hashable, limits: PaceLimits) -> Pacer:
        """Return the pacer for a key, such as (provider, key's fingerprint, model)."""
        return self.find((key, limits), lambda: Pacer(limits, self._now))
