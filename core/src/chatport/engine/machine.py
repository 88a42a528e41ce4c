"""A call: its targets, one after the other, as one generator under two drivers.

The rules (design, promises under failure): attempts are repeated only before a content event has reached the caller;
hints are followed up to a cap; a budget over all calls of a client holds back retries in an outage; a target that
stays silent, is down, or refuses for reasons of its own is left for the next one. An answer that was cut after a part
of it was handed over is an error with that part, or goes on from there where the caller wants it and the vendor can.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Hashable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import attrs

from ..basics.secret import Secret
from ..basics.values import Value
from ..call import Call
from ..decoding.collector import Collector
from ..decoding.redaction import hide_key_in_reply
from ..errors import (
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
    ChatportError,
    ConfigurationError,
    ContentFilterError,
    ContextLengthError,
    DeadlineError,
    MalformedReplyError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    PluginError,
    PolicyError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    TransportError,
    UnsupportedFeatureError,
)
from ..events import Finished
from ..limits.budget import Ledger
from ..types import Adjustment, Reply, Usage
from .attempt import AttemptRun
from .commands import Beside, Block, Clock, Command, Deliver, TimerExpired
from .expense import cost_of_attempt
from .route import Route, request_id, run_side_hook
from .shared import Shared
from .target import TargetRun
from .timers import not_ready_in_time
from .trace import CallTrace

__all__ = ["CallMachine", "Candidate", "Given"]


class Candidate(Protocol):
    """A target in waiting."""

    @property
    def target(self) -> str:
        """`provider:model`."""

    def is_ready(self) -> bool:
        """Whether `prepare` will not block."""

    def prepare(self, prefix: str | None) -> Route:
        """Return the request as shaped for it, which goes on from a text if one is given."""

    def window(self) -> int | None:
        """Return the model's context window in tokens, None where it is not known."""

    def probe(self) -> Route:
        """Return a small request that finds out whether it answers, once it is ready."""


@runtime_checkable
class SlowCandidate(Candidate, Protocol):
    """One whose provider may have to be made ready first, which may block."""

    @property
    def work(self) -> Hashable:
        """What is made ready: calls with the same one wait for it together."""

    def make_ready(self) -> Any:
        """Make the provider ready. Blocks."""

    @property
    def ahead(self) -> Callable[[], Awaitable[None]] | None:
        """What an event loop awaits before that, None for nothing."""

    def forget_key(self, key: Secret | None) -> bool:
        """Have the key read again that was refused. Returns whether another one may be there."""

    def total_seconds(self) -> float | None:
        """Return the call's own total timer there."""


@attrs.frozen(eq=False, repr=False)
class Given(Value):
    """A candidate whose route is known already."""

    target: str
    route: Route

    def is_ready(self) -> bool:
        """Return True."""
        return True

    def prepare(self, prefix: str | None) -> Route:
        """Return the route."""
        return self.route

    def window(self) -> int | None:
        """Return the window that its facts tell."""
        return self.route.context.facts.context_tokens

    def probe(self) -> Route:
        """Return the route."""
        return self.route


_COUNTED = ("chat", "embeddings")
"""The operations that a client's totals are of."""
_MANY_ANSWERS = 500
_ANOTHER_TARGET_MAY_DO = (
    QuotaExceededError,
    ModelNotFoundError,
    AuthenticationError,
    PermissionDeniedError,
    MalformedReplyError,
    UnsupportedFeatureError,
    RateLimitError,
    OverloadedError,
    ServerError,
)
"""Errors that are this target's own trouble although asking it again would not help."""
_CANNOT_BE_USED = (TransportError, PolicyError, UnsupportedFeatureError, ModelNotFoundError)
"""Why a target may be passed over before anything is sent to it. A mistake in the configuration is no such reason."""


@attrs.define(eq=False, repr=False)
class CallMachine:
    """One call. `targets` are prepared when their turn comes, so a request is shaped anew for each vendor.

    `deliver` says whether a caller takes events; without, the call may start again after any failure.
    """

    targets: Sequence[Candidate]
    shared: Shared
    deliver: bool
    budgets: Sequence[Ledger] = ()
    shared_trace: CallTrace | None = None
    """The trace of a call of which this is one of two tries; None: it has its own."""
    is_quiet: bool = False
    """Whether the end of this machine is not the end of the call."""
    trace: CallTrace = attrs.field(init=False)
    _turn: TargetRun | None = attrs.field(init=False, default=None)
    """The target whose turn it is, or was last."""
    _error: ChatportError | None = attrs.field(init=False, default=None)
    _resumed: Collector | None = attrs.field(init=False, default=None)
    _read_again: set[str] = attrs.field(init=False, factory=set)
    """The targets whose key was read once more."""
    _queued_seconds: float = attrs.field(init=False, default=0.0)

    @property
    def clock(self) -> Clock:
        """The clock that drivers sleep by."""
        return self.shared.clock

    def begun(self) -> CallTrace:
        """Return the trace, begun here if nothing has run yet: a machine that is busy may be late with any task."""
        if self.shared_trace is None:
            self.shared_trace = getattr(self, "trace", None) or CallTrace(self.shared, self.shared.clock.monotonic())
        return self.shared_trace

    def run(self) -> Generator[Command, Any, Reply]:
        """Run the call; the generator's value is the reply. Raises the error that ended it."""
        self.trace = self.shared_trace or CallTrace(self.shared, self.shared.clock.monotonic())
        try:
            attempt = yield from self._answered()
            reply = self._reply(attempt)
            if attempt.route.operation in _COUNTED:
                answers = self.shared.tally.answers
                answers.append((reply.usage, reply.cost))
                if len(answers) >= _MANY_ANSWERS:
                    self.shared.tally.fold()
        except GeneratorExit:
            if not self.is_quiet:
                self.trace.cancelled(self.partial)
            raise
        except ChatportError as error:
            if not self.is_quiet:
                self.trace.failed(error)
            raise
        if self.trace.is_heard:
            self.trace.finished(reply)
        if self.deliver:
            yield Deliver([Finished(reply)])
        return reply

    def _answered(self) -> Generator[Command, Any, AttemptRun]:
        """Ask the targets in turn, and return the attempt that has the answer. Raises the error worth telling."""
        waiting = list(self.targets if len(self.targets) == 1 else self._up())
        while waiting:
            candidate = waiting.pop(0)
            route = yield from self._prepare(candidate, waiting)
            if route is None:
                continue
            breaker, caller = self.shared.breakers.of(candidate.target), object()
            try:
                admission = breaker.admit(caller)
                if admission == "open" and waiting:  # another call has just found out, or is finding out
                    self.trace.passed_over(candidate.target, "it keeps failing, and is left alone for a while")
                    continue
                if admission == "probe" and (yield from self._is_probed_beside(candidate, waiting, caller)):
                    continue
                self.trace.turn_to(route, len(self.targets))
                turn = self._turn = TargetRun(
                    route,
                    self.trace,
                    breaker,
                    deliver=self.deliver,
                    others=len(waiting),
                    is_probe=admission == "probe",
                    budgets=self.budgets,
                    resumed=self._resumed,
                    queued_seconds=self._queued_seconds,
                )
                try:
                    return (yield from turn.run())
                except ChatportError as error:
                    self._queued_seconds = turn.queued_seconds
                    if (yield from self._has_another_key(error, turn, candidate)):
                        waiting.insert(0, candidate)
                        yield from turn.tell_caller(error, 0.0)
                        continue
                    self._error = self._worth_telling(error)
                    waiting = self._next_targets(error, turn, candidate, waiting)
                    if turn.attempt is None and (waiting or error is not self._error):  # nothing was sent there
                        self.trace.passed_over(candidate.target, f"{type(error).__name__}: {error.message}")
                    elif waiting:
                        yield from turn.tell_caller(error, 0.0)
            finally:
                breaker.give_back(caller)  # undecided if the call ended before its first attempt
        assert self._error is not None, "a target that is passed over without an error has one after it"
        raise self._error

    def _has_another_key(
        self, error: ChatportError, turn: TargetRun, candidate: Candidate
    ) -> Generator[Command, Any, bool]:
        """Whether the key that was refused is another one by now: it is read once more for that, once for a target."""
        old = turn.route.request
        if not isinstance(error, AuthenticationError) or not isinstance(candidate, SlowCandidate):
            return False
        is_begun = self._resumed is not None or (turn.attempt is not None and turn.attempt.committed)
        if not old.secrets or is_begun or candidate.target in self._read_again:
            return False
        self._read_again.add(candidate.target)
        if not candidate.forget_key(None if old.auth is None else old.auth[2]):
            return False
        try:
            yield from self._make_ready(candidate)
            new = candidate.prepare(None).request
        except ChatportError:  # what the vendor said is worth telling, and a later call says what this is
            return False
        return new.secrets != old.secrets

    def _is_probed_beside(
        self, candidate: Candidate, waiting: Sequence[Candidate], caller: object
    ) -> Generator[Command, Any, bool]:
        """Whether a request of our own finds out if a target is back, since another one can answer the call."""
        breakers = self.shared.breakers
        breaker = breakers.of(candidate.target)
        if not breakers.probe_beside or not breaker.finds_out_beside:
            breaker.finds_out_beside = True
            return False
        if not any(breakers.of(other.target).state == "closed" for other in waiting):
            return False
        try:
            route = attrs.evolve(candidate.probe(), operation="probe")
        except ChatportError:  # it cannot be asked for so little: the call itself will find out
            return False
        from .probe import Probe  # only a target that comes back needs it

        probe = Probe(route, self.shared, breaker, self.budgets)
        breaker.finds_out_beside = False
        breaker.hand_on(caller, probe)
        yield Beside(probe)
        self.trace.passed_over(candidate.target, "it kept failing, and is asked beside this call whether it is back")
        return True

    # --- which target is next

    def _up(self) -> Iterator[Candidate]:
        """Give the targets but those whose breaker is open; if all are open, the one that will be tried soonest."""
        down = {c.target: self.shared.breakers.of(c.target).open_for_seconds for c in self.targets}
        soonest = min(self.targets, key=lambda candidate: down[candidate.target])
        for candidate in self.targets:
            seconds = down[candidate.target]
            if not seconds or (candidate is soonest and all(down.values())):
                yield candidate
            else:
                self.trace.passed_over(candidate.target, f"it keeps failing, and is left alone for {seconds:.0f} s")

    def _prepare(self, candidate: Candidate, waiting: Sequence[Candidate]) -> Generator[Command, Any, Route | None]:
        """Return the target's route; None if it cannot take this call, and another target can or an error is known."""
        prefix = None
        if self._resumed is not None:
            from .continuation import reopened  # only an answer that was cut needs it

            prefix = reopened(self._resumed)
        try:
            if not candidate.is_ready():
                yield from self._make_ready(candidate)
            route = candidate.prepare(prefix)
            if prefix is not None and route.wire.output_tool is not None:
                raise UnsupportedFeatureError("Here the structure is a tool call, which cannot go on from a text.")
        except ChatportError as error:
            # A later target that cannot be used must not hide why the earlier one failed.
            if self._error is None and not (waiting and isinstance(error, _CANNOT_BE_USED)):
                raise
            self.trace.passed_over(candidate.target, f"{type(error).__name__}: {error.message}")
            return None
        return route

    def _make_ready(self, candidate: Candidate) -> Generator[Command, Any, None]:
        """Let a target's key be read, or its server looked for, within the time of the call."""
        # Asked in this order, since the second question costs much; again, since the key may be old again at once.
        while not candidate.is_ready() and isinstance(candidate, SlowCandidate):
            total = candidate.total_seconds()
            began = self.trace.started + self._queued_seconds
            left = None if total is None else began + total - self.clock.monotonic()
            try:
                yield Block(candidate.work, candidate.make_ready, left, candidate.ahead)
            except TimerExpired:
                raise not_ready_in_time(candidate.target, total) from None

    def _worth_telling(self, error: ChatportError) -> ChatportError:
        """Return the error to end with.

        A later one must not hide the one that has a part of the answer, nor one that does not even concern the vendor
        why the vendors before it failed.
        """
        earlier = self._error
        if earlier is not None and _is_ours(error):
            return earlier
        if self._resumed is None or earlier is None or earlier.partial is None:
            return error
        has_more = error.partial is not None and len(error.partial.text) > len(earlier.partial.text)
        return error if has_more else earlier

    def _next_targets(
        self, error: ChatportError, turn: TargetRun, candidate: Candidate, waiting: list[Candidate]
    ) -> list[Candidate]:
        """Return the targets that may still be asked after an error, none if it is final."""
        attempt = turn.attempt
        if attempt is not None and (attempt.committed or self._resumed is not None):
            return self._going_on(error, turn, attempt, candidate, waiting)
        if isinstance(error, ContextLengthError):
            return list(self._with_larger_window(turn.route, waiting))
        if _is_final(error):
            return []
        is_silent = isinstance(error, TransportError) and (attempt is None or not attempt.heard)
        may_do = error.retryable or is_silent or _is_ours(error) or isinstance(error, _ANOTHER_TARGET_MAY_DO)
        return waiting if may_do else []

    def _with_larger_window(self, route: Route, waiting: Sequence[Candidate]) -> Iterator[Candidate]:
        window = route.context.facts.context_tokens
        for candidate in waiting:
            other = candidate.window() if candidate.is_ready() else None
            if window is not None and other is not None and other > window:
                yield candidate
            else:
                self.trace.passed_over(candidate.target, "its context window is not known to be larger")

    def _going_on(
        self,
        error: ChatportError,
        turn: TargetRun,
        attempt: AttemptRun,
        candidate: Candidate,
        waiting: list[Candidate],
    ) -> list[Candidate]:
        """Return who may go on from the part that the caller has, the same target first; none: the error is final."""
        from .continuation import can_continue, conversation  # only an answer that was cut needs it

        call = attempt.route.call
        if call is not None and error.partial is not None:
            error.messages = conversation(call, error.partial)
        if _is_final(error) or not self.shared.policy.continue_after_cut:
            return []
        if attempt.route.is_native or not can_continue(attempt.route.wire, attempt.collector):
            return []  # of two vendors' chunks nobody can make one stream
        if not attempt.committed:  # it was asked to go on, and would not or could not
            return waiting
        if isinstance(error, BadRequestError | ConfigurationError | PluginError):
            return []
        self._resumed = attempt.collector
        asked = sum(earlier.target == attempt.route.context.target for earlier in self.trace.attempts)
        is_asked_again = asked < self.shared.policy.attempts
        if is_asked_again and not turn.retries.take():
            is_asked_again = False
            if not waiting:
                turn.tell_of_budget(error)
        return [candidate, *waiting] if is_asked_again else waiting

    # --- the reply

    def partial(self) -> Reply:
        """Return what has been received so far by the attempt that is under way, or was last, with what it has cost."""
        attempt = None if self._turn is None else self._turn.attempt
        if attempt is None:
            provider, _, model = self.targets[0].target.partition(":")
            return Reply(provider=provider, model=model)
        cost = None if self._resumed is not None else cost_of_attempt(attempt, self.shared)
        call = attempt.route.call
        output = None if call is None else call.output
        return attrs.evolve(attempt.partial(), attempts=self.trace.attempts, cost=cost, output=output)

    def _reply(self, attempt: AttemptRun) -> Reply:
        route, collector, head = attempt.route, attempt.collector, attempt.head
        assert head is not None, "a finished attempt has a head"
        cost = None if self._resumed is not None else cost_of_attempt(attempt, self.shared)
        warnings = (
            *route.wire.adjustments,
            *self.trace.notes,
            *self._missing(collector),
            *(_misfits(route.call, collector) if route.call is not None and route.call.tools else ()),
        )
        if self._resumed is not None and collector.usage is not None:
            collector.usage = Usage(raw=collector.usage.raw)  # of the last part only: no count of the whole
        reply = collector.reply(
            raw=attempt.raw,
            provider=route.context.provider.name,
            model=collector.model or route.context.model,
            request_id=request_id(head, route.context),
            attempts=self.trace.attempts,
            warnings=warnings,
            cost=cost,
            rate_limits=run_side_hook(route, "read_rate_limits", head.headers),
            output=None if route.call is None else route.call.output,
            protocol=route.context.provider.protocol,
        )
        return hide_key_in_reply(reply, route.request.revealed_key())

    def _missing(self, collector: Collector) -> Sequence[Adjustment]:
        missing, first = list[Adjustment](), collector.first
        if first.raw_finish is None and first.ended:
            reason = "the stream ended in order, without a finish reason"
            missing.append(Adjustment("missing", "finish_reason", reason))
        if self._resumed is not None:
            reason = "the answer was cut and continued, and nobody has counted the part before the cut"
            missing.append(Adjustment("missing", "usage", reason))
        elif collector.usage is None:
            missing.append(Adjustment("missing", "usage", "the vendor sent no token counts, so the cost is unknown"))
        return missing


def _misfits(call: Call, collector: Collector) -> Iterator[Adjustment]:
    from ..inputs.arguments import misfits  # only a call with tools needs it

    return misfits(collector.first.tool_calls(), call.tools)


def _is_final(error: ChatportError) -> bool:
    """Whether no other target may be asked: the content is refused, or the time is over."""
    is_over = isinstance(error, DeadlineError) and error.timer == "total"
    return is_over or isinstance(error, ContentFilterError)


def _is_ours(error: ChatportError) -> bool:
    """Whether nothing was sent, by limits of the caller's own: what is too dear here may fit a cheaper target."""
    return isinstance(error, BudgetExceededError) or (isinstance(error, DeadlineError) and error.timer == "queue")
