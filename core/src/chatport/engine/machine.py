"""A call: attempts, waits and targets, as one generator under two drivers.

The rules (design, promises under failure): attempts are repeated only before a content event has reached the
caller; hints are followed up to a cap; a budget over all calls of a client holds back retries in an outage; a
route that gave no byte within its time is left for the next one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal

import attrs

from ..errors import (
    AuthenticationError,
    ChatportError,
    DeadlineError,
    MalformedReplyError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    TransportError,
)
from ..events import AttemptFailed, Finished
from ..facts import charged, cost_of
from ..log import emit
from ..types import Adjustment, Attempt, Cost, Reply, Usage
from .attempt import AttemptRun, Route, request_id
from .commands import Block, Clock, Close, Command, Deliver, Wait
from .failures import hook_error
from .retry import RetryBudget, RetryPolicy, backoff_seconds

__all__ = ["CallMachine", "Candidate"]


@attrs.frozen
class Candidate:
    """A target in waiting. `prepare` shapes the request for it; it may block if not `is_ready`."""

    target: str
    prepare: Callable[[], Route]
    is_ready: Callable[[], bool] = lambda: True


_ANOTHER_TARGET_MAY_DO = (
    QuotaExceededError,
    ModelNotFoundError,
    AuthenticationError,
    PermissionDeniedError,
    RateLimitError,
    OverloadedError,
    ServerError,
    MalformedReplyError,
)
"""What is this vendor's own trouble, whether or not asking it again would help."""


@attrs.define
class CallMachine:
    """One call. `targets` are prepared when their turn comes, so a request is shaped anew for each vendor.

    `deliver` says whether a caller takes events; without, the call may start again after any failure.
    """

    targets: Sequence[Candidate]
    policy: RetryPolicy
    budget: RetryBudget
    clock: Clock
    deliver: bool
    output_type: Any = None
    attempts: list[Attempt] = attrs.field(factory=list)
    started: float = attrs.field(init=False)

    def run(self) -> Generator[Command, Any, Reply]:
        """Run the call; the generator's value is the reply. Raises the error that ended it."""
        self.started = self.clock.monotonic()
        self.budget.count_call()
        for position, candidate in enumerate(self.targets):
            has_next = position + 1 < len(self.targets)
            route = yield from self._prepare(candidate, has_next)
            if route is None:
                continue
            if not self.attempts:
                self._observe(route, "call_started", targets=len(self.targets))
            reply = yield from self._on_target(route, has_next)
            if reply is not None:
                return reply
        raise AssertionError("the last target returns or raises")

    def _prepare(self, candidate: Candidate, has_next: bool) -> Generator[Command, Any, Route | None]:
        """Return the target's route, None if it cannot be reached at all and another one is there."""
        began = self.clock.monotonic()
        try:
            if candidate.is_ready():
                return candidate.prepare()
            route: Route = yield Block(candidate.prepare)
        except TransportError as error:
            seconds = self.clock.monotonic() - began
            self.attempts.append(Attempt(candidate.target, type(error).__name__, seconds, error=error))
            if has_next:
                return None
            error.attempts = tuple(self.attempts)
            raise
        except ChatportError as error:
            failures = [attempt.error for attempt in self.attempts if attempt.error is not None]
            if not failures:
                raise
            # A later target that cannot be used must not hide why the earlier one failed.
            self.attempts.append(Attempt(candidate.target, type(error).__name__, 0.0, error=error))
            if has_next:
                return None
            failures[-1].attempts = tuple(self.attempts)
            raise failures[-1] from error
        return route

    def _on_target(self, route: Route, has_next: bool) -> Generator[Command, Any, Reply | None]:
        failures = 0
        while True:
            attempt = AttemptRun(route, self.clock, self.started, deliver=self.deliver)
            began = self.clock.monotonic()
            self._observe(route, "attempt_started")
            try:
                yield from attempt.run()
            except ChatportError as error:
                yield Close()
                failures += 1
                wait = self._wait_before_next(error, attempt, route, failures)
                self._record(attempt, began, error, wait or 0.0)
                if wait is None:
                    if has_next and self._may_move_on(error, attempt):
                        yield from self._tell(route, error, 0.0)
                        return None
                    error.attempts = tuple(self.attempts)
                    self._observe(route, "call_failed", error=type(error).__name__)
                    raise
                yield from self._tell(route, error, wait)
                if wait:
                    yield Wait(wait)
                continue
            yield Close()
            self._record(attempt, began, None, 0.0)
            return (yield from self._finish(attempt))

    def _wait_before_next(self, error: ChatportError, attempt: AttemptRun, route: Route, failures: int) -> float | None:
        """Return the wait before another attempt on this target, None if there shall be none."""
        if attempt.committed or not error.retryable or failures >= self.policy.attempts:
            return None
        if isinstance(error, DeadlineError) and not attempt.heard:
            return None  # it gave no byte: another try would only wait again
        hint = error.retry_after_seconds
        if hint is not None and hint > self.policy.longest_hint_seconds:
            return None
        wait = hint if hint is not None else backoff_seconds(failures, self.policy, self.clock.random)
        total = route.timeouts.total
        if total is not None and self.clock.monotonic() + wait >= self.started + total:
            return None
        return wait if self.budget.take() else None

    @staticmethod
    def _may_move_on(error: ChatportError, attempt: AttemptRun) -> bool:
        if isinstance(error, DeadlineError) and error.timer == "total":
            return False
        no_byte = isinstance(error, TransportError) and not attempt.heard
        return not attempt.committed and (error.retryable or no_byte or isinstance(error, _ANOTHER_TARGET_MAY_DO))

    def _tell(self, route: Route, error: ChatportError, wait: float) -> Generator[Command, Any, None]:
        self._observe(route, "attempt_failed", error=type(error).__name__, wait_seconds=wait)
        if self.deliver:
            yield Deliver([AttemptFailed(route.context.target, error, wait)])

    def _record(self, attempt: AttemptRun, began: float, error: ChatportError | None, wait: float) -> None:
        self.attempts.append(
            Attempt(
                attempt.route.context.target,
                "ok" if error is None else type(error).__name__,
                self.clock.monotonic() - began,
                None if attempt.head is None else attempt.head.status,
                wait,
                error,
            )
        )

    def _finish(self, attempt: AttemptRun) -> Generator[Command, Any, Reply]:
        reply = self._reply(attempt)
        self._observe(attempt.route, "call_finished", finish_reason=reply.finish_reason, attempts=len(self.attempts))
        if self.deliver:
            yield Deliver([Finished(reply)])
        return reply

    def _reply(self, attempt: AttemptRun) -> Reply:
        route, collector, head = attempt.route, attempt.collector, attempt.head
        assert head is not None, "a finished attempt has a head"
        usage = collector.usage
        thinking = bool(collector.first.reasoning or (usage is not None and usage.reasoning_tokens))
        return collector.reply(
            raw=attempt.raw,
            provider=route.context.provider.name,
            model=collector.model or route.context.model,
            request_id=request_id(head, route.context),
            attempts=tuple(self.attempts),
            warnings=(*route.wire.adjustments, *self._missing(attempt)),
            cost=None if usage is None else self._cost(usage, route, thinking),
            rate_limits=self._hook(route, "read_rate_limits", head.headers),
            output_type=self.output_type,
        )

    def _cost(self, usage: Usage, route: Route, thinking: bool) -> Cost | None:
        said = charged(usage, route.context.provider.dialect.cost_field)
        prices = route.context.facts.prices
        return said or cost_of(usage, prices, at=self.clock.utcnow(), thinking=thinking)

    @staticmethod
    def _missing(attempt: AttemptRun) -> Sequence[Adjustment]:
        missing = list(attempt.collector.missing())
        if attempt.collector.usage is None:
            missing.append(Adjustment("missing", "usage", "the vendor sent no token counts, so the cost is unknown"))
        return missing

    def _observe(self, route: Route, event: str, **fields: Any) -> None:
        fields = {"seconds": self.clock.monotonic() - self.started, **fields}
        emit(event, target=route.context.target, **fields)
        self._hook(route, "observe", event, fields)

    @staticmethod
    def _hook(route: Route, name: Literal["read_rate_limits", "observe"], *values: Any) -> Any:
        """Call a hook that only looks on: its failure is a warning, and the answer is handed over all the same."""
        try:
            return getattr(route.plan, name)(*values, route.context)
        except Exception as error:
            warnings.warn(str(hook_error(name, error, route.context)), RuntimeWarning, stacklevel=2)
            return None
