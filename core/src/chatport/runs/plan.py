"""The options of a run: what a caller gives by name, read once, before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ..basics.typed import expect
from ..basics.values import Value
from ..call import Tool
from ..errors import BadRequestError
from ..inputs.messages import MessagesInput, read_messages
from ..inputs.tools import ToolInput, read_server_tools, read_tool_choice, read_tools
from ..types import Message
from ..types.runs import Run, RunStep
from .approval import Approve

__all__ = ["RunPlan", "read_history", "read_plan"]


@attrs.frozen(eq=False, repr=False)
class RunPlan(Value):
    """What holds for a whole run. `options` are those of its calls, `later_options` of all but the first.

    `live` is where the tools come from, if they may be others by the next answer.
    """

    tools: tuple[Tool, ...]
    max_steps: int
    max_seconds: float | None
    approve: Approve | None
    threads: bool
    options: Mapping[str, Any]
    later_options: Mapping[str, Any]
    live: Sequence[ToolInput] | None = None

    def renewed(self) -> RunPlan:
        """Return the plan, for all calls but the first, with the tools that there are now.

        Raises BadRequestError for what are no tools.
        """
        if self.live is None:
            return self
        tools, _, later = _with_tools(self.live, self.later_options)
        return attrs.evolve(self, tools=tools, later_options=later)


def read_plan(
    *,
    tools: Sequence[ToolInput],
    max_steps: Any,
    max_seconds: Any,
    approve: Any,
    threads: Any,
    options: Mapping[str, Any],
) -> RunPlan:
    """Return what holds for a run. Raises BadRequestError for what cannot be meant."""
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:
        raise BadRequestError(f"max_steps is a whole number of at least 1, not {max_steps!r}.")
    if max_seconds is not None and not _is_time(max_seconds):
        raise BadRequestError(f"max_seconds is a number of seconds above 0, not {max_seconds!r}.")
    if approve is not None and not callable(approve):
        raise BadRequestError("approve is a function that is given a ToolCall.")
    expect(threads, bool, "threads is True or False", BadRequestError)
    read, given, later = _with_tools(tools, options)
    live = None if isinstance(tools, list | tuple) else tools
    return RunPlan(read, max_steps, max_seconds, approve, threads, given, later, live)


def _with_tools(
    tools: Sequence[ToolInput], options: Mapping[str, Any]
) -> tuple[tuple[Tool, ...], Mapping[str, Any], Mapping[str, Any]]:
    """Return the functions among the tools, and with all of them the options of the first call and of later ones."""
    read = read_tools(tools)
    own = read_server_tools(tools)
    bare = {name: value for name, value in options.items() if name != "tools"}
    given = {**bare, "tools": [*read, *own]} if read or own else bare
    return read, given, _later(given, read)


def _is_time(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 < value < math.inf


def _later(options: Mapping[str, Any], tools: tuple[Tool, ...]) -> Mapping[str, Any]:
    """Return the options without a choice that forces a call: one that held for ever would never let the model end."""
    choice = read_tool_choice(options.get("tool_choice"), tools)
    if choice is None or choice.mode not in ("required", "named"):
        return options
    return {name: value for name, value in options.items() if name != "tool_choice"}


def read_history(messages: MessagesInput | Run) -> tuple[tuple[Message, ...], tuple[RunStep, ...]]:
    """Return the conversation, and the steps of the run that goes on, none for a new one. Raises BadRequestError."""
    if isinstance(messages, Run):
        return read_messages(list(messages.messages)), messages.steps
    return read_messages(messages), ()
