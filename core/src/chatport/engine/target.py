"""The attempts of a call on one target: paced, reserved against budgets, repeated while that may help."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

import attrs

from ..decoding.collector import Collector
from ..errors import (
    AuthenticationError,
    BadRequestError,
    ChatportError,
    DeadlineError,
    MalformedReplyError,
    ModelNotFoundError,
    PermissionDeniedError,
    RateLimitError,
    StreamInterruptedError,
    TransportError,
)
from ..events import AttemptFailed
from ..limits.breaker import Breaker, Outcome
from ..limits.budget import Budget
from ..limits.pacing import Ticket
from ..limits.retry import backoff_seconds
from .attempt import AttemptRun
from .commands import Close, Command, Deliver, Pause, Wait
from .expense import Expense
from .route import Route, run_side_hook
from .shared import Shared
from .trace import CallTrace

__all__ = ["TargetRun"]

_NOT_THE_TARGETS_FAULT = (
    BadRequestError,
    AuthenticationError,
    PermissionDeniedError,
    ModelNotFoundError,
    RateLimitError,
)
"""Errors that say nothing of whether the target is up."""
_CUT = (TransportError, StreamInterruptedError, MalformedReplyError)
"""Errors after which the connection is not used again, even if HTTP ended in order."""


class TargetRun:
    """One target's turn. `others` is how many targets could still be asked after it; they are left a share of the time.
    `breaker` is that of the target as it was named, which a retired model or a search may have led elsewhere.
    `is_probe`: the first attempt decides whether it closes.

    `resumed` holds the part of an answer that was cut, from which this target goes on.
    """

    def __init__(
        self,
        route: Route,
        trace: CallTrace,
        breaker: Breaker,
        *,
        deliver: bool,
        others: int = 0,
        is_probe: bool = False,
        budgets: Sequence[Budget] = (),
        resumed: Collector | None = None,
    ) -> None:
        self.route = _with_idempotency_key(route, trace)
        self.attempt: AttemptRun | None = None
        self._trace = trace
        self._shared: Shared = trace.shared
        self._deliver = deliver
        self._others = others
        self._is_probe = is_probe
        self._budgets = budgets
        self._resumed = resumed
        self._breaker = breaker
        self._pacer = None if route.pace is None else self._shared.pacers.get(route.pace_key, route.pace)

    def run(self) -> Generator[Command, Any, AttemptRun]:
        """Run attempts until one succeeds; return it. Raises the error of the last one, which ends this target."""
        is_probe = self._is_probe
        failures = 0
        while True:
            began = self._shared.clock.monotonic()
            attempt, error = yield from self._try(is_probe, began)
            is_probe = False
            failures += error is not None
            wait = None if error is None else self._wait_before_next(error, attempt, failures)
            self._trace.attempt_ended(attempt, began, error, wait)
            if error is None:
                return attempt
            if wait is None:
                raise error
            yield from self.tell_caller(error, wait)
            if wait:
                yield Wait(wait)

    def tell_caller(self, error: ChatportError, wait: float) -> Generator[Command, Any, None]:
        """Hand over that an attempt failed and another one follows."""
        if self._deliver:
            yield Deliver([AttemptFailed(self.route.context.target, error, wait)])

    # --- one attempt

    def _try(self, is_probe: bool, began: float) -> Generator[Command, Any, tuple[AttemptRun, ChatportError | None]]:
        """Run one attempt. What it holds (a place in the queue, money) is given back however it ends.

        And again: an interrupt (Ctrl-C) may come while it is given back, and giving back twice changes nothing.
        """
        outcome: Outcome = "neutral"
        error: ChatportError | None = None
        expense = Expense(self.route, self._shared) if self._budgets else None
        ticket = None if self._pacer is None else self._ticket()
        self.attempt = None
        try:
            try:
                if ticket is not None:
                    yield from self._wait_for_place(ticket)
                if expense is not None:
                    expense.reserve(self._budgets)
                attempt = self.attempt = self._new_attempt()
                self._trace.attempt_started()
                try:
                    yield from attempt.run()
                except ChatportError as problem:
                    error = problem
                except GeneratorExit:
                    self._trace.attempt_cancelled(attempt, began)
                    raise
                yield Close(not isinstance(error, _CUT))
                outcome = "ok" if error is None else _verdict(error, attempt)
                if error is not None:
                    self._hold_back(error)
            finally:
                if ticket is not None:
                    self._learn_limits()
                self._give_back(ticket, expense)
                self._breaker.record(outcome, probe=is_probe)
        finally:
            self._give_back(ticket, expense)
        return attempt, error

    def _give_back(self, ticket: Ticket | None, expense: Expense | None) -> None:
        attempt = self.attempt
        if ticket is not None and self._pacer is not None:
            usage = None if attempt is None else attempt.collector.usage
            used = None if usage is None else (usage.input_tokens or 0) + (usage.output_tokens or 0)
            self._pacer.leave(ticket, used_tokens=0 if attempt is None else used)
        if expense is not None:
            expense.settle(attempt)

    def _new_attempt(self) -> AttemptRun:
        return AttemptRun(
            self.route,
            self._shared.clock,
            self._trace.started,
            deliver=self._deliver,
            leave_after=self._share_of_time(),
            resumed=self._resumed,
            on_first_event=self._trace.first_event,
        )

    def _share_of_time(self) -> float | None:
        """Return how long this target may stay silent, so that the others still get their turn; None: no such limit."""
        left = self._time_left() if self._others else math.inf
        return None if left == math.inf else left / (self._others + 1)

    def _time_left(self) -> float:
        total = self.route.timeouts.total
        return math.inf if total is None else self._trace.started + total - self._shared.clock.monotonic()

    # --- pacing

    def _ticket(self) -> Ticket | None:
        """Return a ticket for the queue, not joined yet; None for a call that is not paced."""
        call = self.route.call
        if self._pacer is None or call is None:
            return None
        from ..limits.estimate import estimate_input_tokens, estimate_output_tokens  # only calls that are paced need it

        return Ticket(estimate_input_tokens(call) + estimate_output_tokens(call, self.route.context.facts))

    def _wait_for_place(self, ticket: Ticket) -> Generator[Command, Any, None]:
        """Wait for a place under this client's own limits. Raises RateLimitError if it would come too late."""
        pacer = self._pacer
        assert pacer is not None, "a ticket is for a pacer"
        pacer.join(ticket)
        while wait := pacer.poll(ticket):
            left = self._time_left()
            if (wait if wait < math.inf else 0.0) >= left:
                raise self._too_late(wait)
            longest = min(wait, left)
            yield Pause(partial(pacer.on_wake, ticket), None if longest == math.inf else longest)

    def _too_late(self, wait: float) -> RateLimitError:
        context = self.route.context
        when = "within the time of the call" if wait == math.inf else f"for {wait:.1f} s"
        return RateLimitError(
            f"Held back by this client's own limits: there is no room {when}. Raise [pacing], or the total timer.",
            provider=context.provider.name,
            model=context.model,
            retry_after_seconds=None if wait == math.inf else wait,
        )

    def _hold_back(self, error: ChatportError) -> None:
        """Let nobody go before the time that a refusal named."""
        if self._pacer is not None and isinstance(error, RateLimitError) and error.retry_after_seconds:
            self._pacer.hold(min(error.retry_after_seconds, self._shared.policy.longest_hint_seconds))

    def _learn_limits(self) -> None:
        pacer, attempt = self._pacer, self.attempt
        if pacer is None or self.route.call is None or attempt is None or attempt.head is None:
            return
        limits = run_side_hook(self.route, "read_rate_limits", attempt.head.headers)
        if limits is not None:
            pacer.learn(limits)

    # --- what comes after a failure

    def _wait_before_next(self, error: ChatportError, attempt: AttemptRun, failures: int) -> float | None:
        """Return the wait before another attempt on this target, None if there shall be none."""
        policy = self._shared.policy
        if attempt.committed or not error.retryable or failures >= policy.attempts:
            return None
        if isinstance(error, DeadlineError) and (self._others or not attempt.heard):
            return None  # it stayed silent: another try would only wait again
        if self._others and self._breaker.state == "open":
            return None
        hint = error.retry_after_seconds
        if hint is not None and hint > policy.longest_hint_seconds:
            return None
        if isinstance(error, TransportError) and error.code == "stale_connection" and failures == 1:
            wait = 0.0  # an idle connection was closed: no sign of trouble, and the next one is new
        else:
            wait = hint if hint is not None else backoff_seconds(failures, policy, self._shared.clock.random)
        if wait >= self._time_left() / (self._others + 1):
            return None
        return wait if self._shared.retries.take() else None


def _verdict(error: ChatportError, attempt: AttemptRun) -> Outcome:
    if isinstance(error, _NOT_THE_TARGETS_FAULT):
        return "neutral"
    if isinstance(error, DeadlineError) and error.timer == "total" and attempt.heard:
        return "neutral"  # the caller's time was too short; the target was answering
    return "failed"


def _with_idempotency_key(route: Route, trace: CallTrace) -> Route:
    """Give the requests of this target one key, where the vendor takes one: the same for each try of the same body."""
    header = route.context.provider.dialect.idempotency_header
    own = () if route.call is None else route.call.headers
    if header is None or any(name == header.lower() for name, _ in own):
        return route
    trace.bodies += 1
    key = f"chatport-{trace.call_id}-{trace.bodies}"
    request = attrs.evolve(route.request, headers=[*route.request.headers, (header, key)])
    return attrs.evolve(route, request=request)
