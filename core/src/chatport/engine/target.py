"""The attempts of a call on one target: paced, reserved against budgets, repeated while that may help."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
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
from ..limits.budget import Ledger
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

    `resumed` holds the part of an answer that was cut, from which this target goes on. `queued_seconds` are those that
    the call has spent in queues of our own, which are not the vendor's: the timers leave them out.
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
        budgets: Sequence[Ledger] = (),
        resumed: Collector | None = None,
        queued_seconds: float = 0.0,
        judge: Callable[[ChatportError, AttemptRun], Outcome] | None = None,
    ) -> None:
        takes_key = route.context.provider.dialect.idempotency_header is not None
        self.route = _with_idempotency_key(route, trace) if takes_key else route
        self.attempt: AttemptRun | None = None
        self._is_left = False
        self.queued_seconds = queued_seconds
        self._trace = trace
        self._shared: Shared = trace.shared
        self._deliver = deliver
        self._others = others
        self._is_probe = is_probe
        self._budgets = budgets
        self._resumed = resumed
        self._breaker = breaker
        self.retries = self._shared.retries.of(route.context.target)
        self._began = 0.0
        self._judge = judge or _verdict
        self._pacer = None if route.pace is None else self._shared.pacers.get(route.pace_key, route.pace)

    def run(self) -> Generator[Command, Any, AttemptRun]:
        """Run attempts until one succeeds; return it. Raises the error of the last one, which ends this target."""
        self.retries.count_call()
        try:
            self.retries.hope(self)
            is_probe, failures = self._is_probe, 0
            while True:
                attempt, error = yield from self._try(is_probe)
                is_probe = False
                failures += error is not None
                wait = None if error is None else self._wait_before_next(error, attempt, failures)
                has_room = error is None or wait is None or self._is_free(error, failures) or self.retries.take()
                if error is not None and not has_room and self._is_hopeless():
                    wait = None
                    self.tell_of_budget(error)
                self._trace.attempt_ended(attempt, self._began, error, wait)
                if error is None:
                    return attempt
                if wait is None:
                    raise error
                yield from self.tell_caller(error, wait)
                if not has_room:
                    yield from self._wait_for_room(error, wait)
                elif wait:
                    yield Wait(wait)
        finally:
            self.retries.give_up(self)

    def tell_caller(self, error: ChatportError, wait: float) -> Generator[Command, Any, None]:
        """Hand over that an attempt failed and another one follows."""
        if self._deliver:
            yield Deliver([AttemptFailed(self.route.context.target, error, wait)])

    # --- one attempt

    def _try(self, is_probe: bool) -> Generator[Command, Any, tuple[AttemptRun, ChatportError | None]]:
        """Run one attempt. What it holds (a place in the queue, money) is given back however it ends.

        And again: an interrupt (Ctrl-C) may come while it is given back, and giving back twice changes nothing.
        """
        outcome: Outcome = "neutral"
        error: ChatportError | None = None
        expense = Expense(self.route, self._shared) if self._budgets else None
        ticket = None if self._pacer is None else self._ticket()
        self.attempt, self._is_left = None, False
        try:
            try:
                if ticket is not None:
                    yield from self._wait_for_place(ticket)
                if expense is not None:
                    yield from expense.reserve(self._budgets)
                self._began = self._shared.clock.monotonic()
                attempt = self.attempt = self._new_attempt()
                if self._trace.is_heard:
                    self._trace.attempt_started()
                try:
                    yield from attempt.run()
                except ChatportError as problem:
                    error = problem
                    self._is_left = isinstance(problem, DeadlineError) and problem.timer != "connect"
                except GeneratorExit:
                    self._is_left = True
                    self._trace.attempt_ended(attempt, self._began, outcome="cancelled")
                    raise
                yield Close(not isinstance(error, _CUT))
                outcome = "ok" if error is None else self._judge(error, attempt)
                if error is None:
                    self.retries.answered()
                else:
                    self._hold_back(error)
            finally:
                if ticket is not None:
                    self._learn_limits()
                if ticket is not None or expense is not None:
                    self._give_back(ticket, expense)
                self._breaker.record(outcome, probe=is_probe)
        finally:
            if ticket is not None or expense is not None:
                self._give_back(ticket, expense)
        return attempt, error

    def _give_back(self, ticket: Ticket | None, expense: Expense | None) -> None:
        attempt = self.attempt
        if ticket is not None and self._pacer is not None:
            usage = None if attempt is None else attempt.collector.usage
            used = None if usage is None else (usage.input_tokens or 0) + (usage.output_tokens or 0)
            self._pacer.leave(ticket, used_tokens=0 if attempt is None else used)
        if expense is not None:
            expense.settle(attempt, is_left=self._is_left)

    def _new_attempt(self) -> AttemptRun:
        return AttemptRun(
            self.route,
            self._shared.clock,
            self._trace.started + self.queued_seconds,
            deliver=self._deliver,
            leave_after=self._share_of_time() if self._others else None,
            resumed=self._resumed,
            on_first_event=self._trace.first_event,
        )

    def _share_of_time(self) -> float | None:
        """Return how long this target may stay silent, so that the others still get their turn; None: no such limit."""
        left = self._time_left()
        return None if left == math.inf else left / (self._others + 1)

    def _time_left(self) -> float:
        total = self.route.timeouts.total
        if total is None:
            return math.inf
        return self._trace.started + self.queued_seconds + total - self._shared.clock.monotonic()

    # --- pacing

    def _ticket(self) -> Ticket | None:
        """Return a ticket for the queue, not joined yet; None for a call that is not paced."""
        call = self.route.call
        if self._pacer is None or call is None:
            return None
        from ..limits.estimate import estimate_input_tokens, estimate_output_tokens  # only calls that are paced need it

        return Ticket(estimate_input_tokens(call) + estimate_output_tokens(call, self.route.context.facts))

    def _wait_for_place(self, ticket: Ticket) -> Generator[Command, Any, None]:
        """Wait for a place under this client's own limits. Raises DeadlineError if it would come too late."""
        pacer, now = self._pacer, self._shared.clock.monotonic
        assert pacer is not None, "a ticket is for a pacer"
        longest, joined = self._queue_seconds(), now()
        pacer.join(ticket)
        try:
            while wait := pacer.poll(ticket):
                left = joined + longest - now()
                if (wait if wait < math.inf else 0.0) >= left:
                    raise self._too_late(wait, longest)
                seconds = min(wait, left)
                yield Pause(partial(pacer.on_wake, ticket), None if seconds == math.inf else seconds)
        finally:
            self.queued_seconds += now() - joined

    def _queue_seconds(self) -> float:
        """Return how long this call may wait in our own queue here, so that other targets still get their turn."""
        longest = self.route.timeouts.queue
        return math.inf if longest is None else (longest - self.queued_seconds) / (self._others + 1)

    def _too_late(self, wait: float, longest: float) -> DeadlineError:
        context = self.route.context
        when = "" if wait == math.inf else f"; the next one is free in {wait:.1f} s"
        return DeadlineError(
            f"The queue timer fired: this client's own limits ([pacing]) had no place for the call within "
            f"{max(longest, 0.0):g} s{when}. Nothing was sent, and the vendor has nothing to do with it. "
            "Raise [pacing], or timeouts.queue, or make fewer calls at once.",
            timer="queue",
            seconds=longest,
            provider=context.provider.name,
            model=context.model,
            retryable=True,
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
        if _was_idle(error, failures):
            wait = 0.0
        else:
            wait = hint if hint is not None else backoff_seconds(failures, policy, self._shared.clock.random)
        return wait if self._has_time_for(wait) else None

    def _has_time_for(self, wait: float) -> bool:
        return wait < self._time_left() / (self._others + 1)

    # --- the retry budget

    def _is_free(self, error: ChatportError, failures: int) -> bool:
        """Whether another attempt spends nothing of the budget: an answer that asks to wait is no sign of an outage.

        While the breaker says that the target is down, such words are worth no more than any other failure.
        """
        return _was_idle(error, failures) or (bool(error.retry_after_seconds) and self._breaker.state == "closed")

    def _is_hopeless(self) -> bool:
        """Whether there is nothing to wait for: another target can be asked, or no call is left that makes room."""
        self.retries.give_up(self)
        return self._others > 0 or not self.retries.may_get_room

    def _wait_for_room(self, error: ChatportError, wait: float) -> Generator[Command, Any, None]:
        """Wait as between attempts, and ask the budget again, as long as other calls may bring an answer.

        What fails fails fast, while an answer takes its time: in a burst the refusals are there before the answers
        that show that the vendor is well. Raises the error if there is no room after all.
        """
        policy = self._shared.policy
        for turn in range(2, policy.attempts + 1):
            yield Wait(wait)
            if self.retries.take():
                self.retries.hope(self)
                return
            wait = backoff_seconds(turn, policy, self._shared.clock.random)
            if not self.retries.may_get_room or not self._has_time_for(wait):
                break
        self.tell_of_budget(error)
        raise error

    def tell_of_budget(self, error: ChatportError) -> None:
        """Say on an error that another attempt was due, and why it was not made."""
        policy = self._shared.policy
        told = (
            f"It was not tried again, since of the calls of the last minute there no more than {policy.budget_share:g} "
            f"of all (or {policy.budget_least}) may be tried again in vain: [retry] budget_share, budget_least."
        )
        error.advice = f"{error.advice} {told}".strip()


def _was_idle(error: ChatportError, failures: int) -> bool:
    """Whether an idle connection was closed: no sign of trouble, and the next one is new."""
    return isinstance(error, TransportError) and error.code == "stale_connection" and failures == 1


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
