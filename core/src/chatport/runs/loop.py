"""A run as one generator without I/O: it yields what it wants done, and two thin drivers do it.

The rules: calls that have no result are run before the model is asked again. Nobody is asked for approval of a call
that cannot be run. All calls of an answer begin at once. What there is at any moment is `so_far`: whoever stops a run
there, or meets an error, can go on from it, and no tool that has ended is run twice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias

import attrs

from ..basics.values import Value
from ..errors import ChatportError, DeadlineError, RunLimitError
from ..types import Message, Reply, ToolCall
from ..types.runs import Run, RunOutcome, RunStep, ToolResult, open_calls
from .events import RunEvent, RunFinished, ToolEnded, ToolStarted
from .plan import RunPlan
from .work import ToolWork, prepared

__all__ = ["Ask", "Await", "Begin", "Command", "Decide", "RunLoop", "Tell"]


@attrs.frozen(eq=False, repr=False)
class Ask(Value):
    """Ask the model; the answer is its Reply. `seconds` are left for it, None for no limit."""

    plan: RunPlan
    messages: tuple[Message, ...]
    is_first: bool
    seconds: float | None


@attrs.frozen(eq=False, repr=False)
class Decide(Value):
    """Ask whether a call may be run; the answer is an Approval."""

    call: ToolCall


@attrs.frozen(eq=False, repr=False)
class Begin(Value):
    """Begin to run a tool, beside those that run already."""

    work: ToolWork


@attrs.frozen(eq=False, repr=False)
class Await(Value):
    """Wait for a tool to end; the answer is its work, or None after so many seconds.

    With 0 one that has ended is taken all the same, and none begins any more.
    """

    seconds: float | None


@attrs.frozen(eq=False, repr=False)
class Tell(Value):
    """Hand events to the caller."""

    events: Sequence[RunEvent]


Command: TypeAlias = Ask | Decide | Begin | Await | Tell


class RunLoop:
    """One run. `run()` is the generator, `so_far()` what there is at any moment."""

    def __init__(
        self,
        plan: RunPlan,
        messages: tuple[Message, ...],
        steps: tuple[RunStep, ...],
        monotonic: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._messages = messages
        self._steps = list(steps)
        self._earlier_steps = len(steps)
        self._now = monotonic
        self._ends_at: float | None = None
        self._results: dict[int, ToolResult] = {}
        """The results of the last answer's calls, by the place of the call: they may come in any order."""
        self._begun: list[tuple[int, ToolWork]] = []
        """Their tools under way, and those that have ended and were not told of yet."""

    def so_far(self, outcome: RunOutcome = "stopped") -> Run:
        """Return what there is, the results of tools that have ended included."""
        results = self._in_order()
        steps = self._steps
        messages = self._messages
        if results:
            last = max((at for at, message in enumerate(messages) if message.role != "tool"), default=-1)
            places = {call.id: place for place, call in reversed(list(enumerate(messages[last].tool_calls)))}
            told = [*messages[last + 1 :], *[result.message for result in results]]
            messages = (*messages[: last + 1], *sorted(told, key=lambda m: places.get(m.tool_call_id or "", 0)))
            if steps and steps[-1].reply.tool_calls:
                # Some may have been there before, and the calls that waited come before them.
                ordered = sorted([*steps[-1].results, *results], key=lambda result: places.get(result.call.id, 0))
                steps = [*steps[:-1], attrs.evolve(steps[-1], results=tuple(ordered))]
        return Run(messages, tuple(steps), outcome)

    @property
    def is_overdue(self) -> bool:
        """Whether the time of the run is over, and no tool begins any more."""
        return self._rest() == 0

    def run(self) -> Generator[Command, Any, Run]:
        """Run it; the generator's value is the finished run. Raises RunLimitError, or the error of a call."""
        if self._plan.max_seconds is not None:
            self._ends_at = self._now() + self._plan.max_seconds
        while True:
            calls = open_calls(self._messages)
            if calls:
                yield from self._run_tools(calls)
                if open_calls(self._messages):
                    return (yield from self._finished("open"))
            reply = yield from self._ask()
            if not reply.tool_calls:
                return (yield from self._finished("done"))
            if len(self._steps) - self._earlier_steps >= self._plan.max_steps and not self._are_all_left_open(reply):
                raise self._out_of_steps(reply)

    def _finished(self, outcome: RunOutcome) -> Generator[Command, Any, Run]:
        run = self.so_far(outcome)
        yield Tell([RunFinished(run)])
        return run

    def _ask(self) -> Generator[Command, Any, Reply]:
        seconds = self._seconds_left()
        try:
            is_first = len(self._steps) == self._earlier_steps
            if not is_first:
                self._plan = self._plan.renewed()
            reply: Reply = yield Ask(self._plan, self._messages, is_first, seconds)
        except ChatportError as error:
            if isinstance(error, DeadlineError) and self._ends_at is not None and self._now() >= self._ends_at:
                raise self._out_of_time() from error
            error.run = self.so_far("error")
            raise
        self._steps.append(RunStep(reply))
        self._messages = (*self._messages, reply.message)
        return reply

    # --- the calls of one answer

    def _are_all_left_open(self, reply: Reply) -> bool:
        """Whether each call is of a tool without a function: the run ends there by itself."""
        theirs = {tool.name for tool in self._plan.tools if tool.function is None}
        return all(call.complete and call.name in theirs for call in reply.tool_calls)

    def _run_tools(self, calls: Sequence[ToolCall]) -> Generator[Command, Any, None]:
        begun = self._begun
        step = max(len(self._steps) - 1, 0)
        for place, call in enumerate(calls):
            work = prepared(call, self._plan.tools)
            if isinstance(work, ToolWork) and self._plan.approve is not None:
                work = yield from self._decided(work)
            if isinstance(work, ToolWork):
                begun.append((place, work))
            elif work is not None:
                self._results[place] = work
                yield Tell([ToolEnded(work, step)])
        if begun:
            yield Tell([ToolStarted(work.call, step) for _, work in begun])
        for _, work in begun:
            work.began = self._now()
            yield Begin(work)
        for _ in begun:
            ended: ToolWork | None = yield Await(self._rest())
            if ended is None:
                raise self._out_of_time()
            result = ended.result(self._now() - ended.began)
            self._results[next(place for place, work in begun if work is ended)] = result
            yield Tell([ToolEnded(result, step)])
        run = self.so_far()
        self._messages, self._steps, self._results, self._begun = run.messages, list(run.steps), {}, []

    def _decided(self, work: ToolWork) -> Generator[Command, Any, ToolWork | ToolResult | None]:
        """Return what is to be done after `approve` was asked. Its time does not count: it may be a person."""
        began = self._now()
        approval = yield Decide(work.call)
        if self._ends_at is not None:
            self._ends_at += self._now() - began
        match approval.decision:
            case "allow":
                return work
            case "deny":
                reason = f" {approval.text}" if approval.text else ""
                return ToolResult(work.call, f"This call was not allowed, and was not run.{reason}", "denied")
            case "answer":
                return ToolResult(work.call, approval.text, "answered")
            case _:
                return None

    def _in_order(self) -> list[ToolResult]:
        now = self._now()
        ended = {place: work.result(now - work.began) for place, work in self._begun if work.is_over}
        results = {**ended, **self._results}
        return [results[place] for place in sorted(results)]

    # --- limits

    def _seconds_left(self) -> float | None:
        """Return how long the run may take yet. Raises RunLimitError if its time is over."""
        left = self._rest()
        if left == 0:
            raise self._out_of_time()
        return left

    def _rest(self) -> float | None:
        return None if self._ends_at is None else max(self._ends_at - self._now(), 0.0)

    def _out_of_time(self) -> RunLimitError:
        words = f"The run has taken longer than {self._plan.max_seconds:g} s (max_seconds), and is not done."
        return self._limit(RunLimitError(words, limit="seconds"))

    def _out_of_steps(self, reply: Reply) -> RunLimitError:
        names = ", ".join(dict.fromkeys(call.name for call in reply.tool_calls))
        count = self._plan.max_steps
        words = f"The model was asked {count} times (max_steps) and still calls tools: {names}. These were not run."
        return self._limit(RunLimitError(words, limit="steps"))

    def _limit(self, error: RunLimitError) -> RunLimitError:
        error.run = self.so_far("limit")
        return error
