"""What a run of tools leaves: its messages, its answers, and what became of each call."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from typing import Any, Literal, TypeAlias

import attrs

from ..basics.typed import check_fields
from ..basics.values import Value
from ..errors import BadRequestError, MisuseError
from . import Cost, Message, Part, Reply, ToolCall, Usage

__all__ = ["Run", "RunOutcome", "RunStep", "ToolResult", "open_calls"]

RunOutcome: TypeAlias = Literal["done", "open", "stopped", "limit", "error"]


@attrs.frozen(eq=False, repr=False)
class ToolResult(Value):
    """What became of a tool call: `content` is what the model is told.

    Where the tool gave pictures or other parts, `parts` are what the model is given, and `content` is the text in them.
    `outcome`: `ok`; `error` (the tool raised `error`, or its result is no JSON); `invalid` (the arguments do not fit,
    and the tool was not run); `unknown` (there is no such tool); `denied` and `answered` (by `approve=`, and the tool
    was not run). `seconds` is how long the tool took.
    """

    call: ToolCall
    content: str
    outcome: Literal["ok", "error", "invalid", "unknown", "denied", "answered"] = "ok"
    seconds: float = 0.0
    error: BaseException | None = attrs.field(default=None, eq=False, repr=False)
    parts: tuple[Part, ...] = ()

    def __attrs_post_init__(self) -> None:
        check_fields(self, BadRequestError)

    @property
    def message(self) -> Message:
        """The message that tells the model."""
        return Message.tool(self.call, *(self.parts or (self.content,)))


@attrs.frozen(eq=False, repr=False)
class RunStep(Value):
    """An answer of the model, and the results of its tool calls, in the order of the calls."""

    reply: Reply
    results: tuple[ToolResult, ...] = ()

    def __attrs_post_init__(self) -> None:
        check_fields(self, BadRequestError)


@attrs.frozen(eq=False, repr=False)
class Run(Value):
    """A run of tools: the whole conversation, and each answer of the model with what became of its calls.

    `outcome`: `done` (the last answer calls no tool); `open` (it calls tools that are not run here, or are to wait: see
    `open_calls`); `stopped` (from outside, before its end); `limit` and `error` (in `error.run`). Give it to
    `client.run` in the place of messages to go on with it; `messages` alone will do as well.
    """

    messages: tuple[Message, ...]
    steps: tuple[RunStep, ...] = ()
    outcome: RunOutcome = "done"

    def __attrs_post_init__(self) -> None:
        check_fields(self, BadRequestError)

    @property
    def replies(self) -> tuple[Reply, ...]:
        """The answers of the model, in their order."""
        return tuple([step.reply for step in self.steps])

    @property
    def reply(self) -> Reply:
        """The last answer. Raises MisuseError before there is one."""
        if not self.steps:
            raise MisuseError("This run has no answer yet: it ended before the model's first one.")
        return self.steps[-1].reply

    @property
    def text(self) -> str:
        """The text of the last answer, empty before there is one."""
        return self.steps[-1].reply.text if self.steps else ""

    @property
    def usage(self) -> Usage:
        """The tokens of all answers together; a count that one of them does not know is not known."""
        return reduce(operator.add, [step.reply.usage for step in self.steps]) if self.steps else Usage()

    @property
    def cost(self) -> Cost | None:
        """The cost of all answers together; None where one is not known, or they are in several currencies."""
        costs = [step.reply.cost for step in self.steps]
        known = [cost for cost in costs if cost is not None]
        if len(known) < len(costs) or len({cost.currency for cost in known}) != 1:
            return None
        return reduce(operator.add, known)

    @property
    def open_calls(self) -> tuple[ToolCall, ...]:
        """The calls of the last answer that have no result yet: a `Message.tool` for each is wanted, or a run."""
        return open_calls(self.messages)

    def parsed(self) -> Any:
        """Return the text of the last answer as the type given in `output=`. Raises as `Reply.parsed` does."""
        return self.reply.parsed()

    def to_json(self) -> str:
        """Return it as JSON text, to be kept and gone on with later, by another process too.

        Raises BadRequestError for values in it that JSON has not.
        """
        from .keeping import to_json  # only who keeps things needs it

        return to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Run:
        """Return what `to_json` has written. Raises BadRequestError for anything else, and for what is newer."""
        from .keeping import from_json

        return from_json(cls, text)


def open_calls(messages: Sequence[Message]) -> tuple[ToolCall, ...]:
    """Return the calls at the end of a conversation that have no result: of the last answer, if only results follow."""
    results: Counter[str] = Counter()
    for message in reversed(messages):
        if message.role != "tool":
            return tuple([call for call in message.tool_calls if not _take(results, call.id)])
        results[message.tool_call_id or ""] += 1
    return ()


def _take(results: Counter[str], call_id: str) -> bool:
    """Whether there is a result left for a call: a model may give two calls one id, and each has a result."""
    results[call_id] -= 1
    return results[call_id] >= 0
