"""Pieces that several of the servers need: forced tools, thinking and efforts, any object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatport import Call, Context, WireRequest
from chatport.standard.efforts import EFFORTS

__all__ = [
    "any_object",
    "fit_effort",
    "named_as_required",
    "switch_thinking",
    "thinking_for_effort",
    "without_thinking",
    "without_tool_choice",
]


def any_object(wire: WireRequest, fact: str) -> WireRequest:
    """Return the request with `json_object` as a schema of any object, for a server that takes only schemas."""
    if wire.body.get("response_format") != {"type": "json_object"}:
        return wire
    schema = {"name": "object", "schema": {"type": "object"}}
    wire = wire.set("response_format", {"type": "json_schema", "json_schema": schema})
    return wire.note("renamed", "response_format", "json_object is sent as a schema of any object", fact)


# Tools.


def named_as_required(wire: WireRequest, fact: str) -> WireRequest:
    """Return the request with a named choice in the only words the server has: one tool, and a call required."""
    name = _named(wire)
    if name is None:
        return wire
    wire = _only(wire, name).set("tool_choice", "required")
    return wire.note("renamed", "tool_choice", f"sent as 'required' with {name} as the only tool", fact)


def without_tool_choice(wire: WireRequest, fact: str) -> WireRequest:
    """Return the request for a server that reads no `tool_choice`: as much of the wish as the tool list can express."""
    choice, name = wire.body.get("tool_choice"), _named(wire)
    if choice in (None, "auto"):
        return wire.discard("tool_choice")
    if choice == "none":
        wire = wire.discard("tools").discard("tool_choice")
        return wire.note("renamed", "tool_choice", "the server reads none: the tools themselves are left out", fact)
    if name is None:
        return wire.drop("tool_choice", "the server reads none: the model may answer without a call", fact)
    wire = _only(wire, name).discard("tool_choice")
    return wire.note("lowered", "tool_choice", f"the server reads none: {name} is the only tool, yet not forced", fact)


def _named(wire: WireRequest) -> str | None:
    choice = wire.body.get("tool_choice")
    function = choice.get("function") if isinstance(choice, Mapping) else None
    return function.get("name") if isinstance(function, Mapping) else None


def _only(wire: WireRequest, name: str) -> WireRequest:
    tools: Sequence[Any] = wire.body.get("tools") or ()
    return wire.set("tools", [tool for tool in tools if tool["function"]["name"] == name])


# Reasoning.


def fit_effort(wire: WireRequest, call: Call, context: Context, fact: str) -> WireRequest:
    """Return the request with an effort the server takes: the nearest one of the facts, the higher of two."""
    takes, asked = context.facts.efforts, call.reasoning
    if not isinstance(asked, str) or not takes or asked in takes or "reasoning_effort" not in wire.body:
        return wire
    place = EFFORTS.index(asked)
    nearest = min(
        (effort for effort in EFFORTS if effort in takes and (effort != "none" or asked == "none")),
        key=lambda effort: (abs(EFFORTS.index(effort) - place), -EFFORTS.index(effort)),
        default=None,
    )
    if nearest is None:
        return wire.drop("reasoning_effort", f"it takes {', '.join(takes)}, not {asked}", fact)
    reason = f"it takes {', '.join(takes)}: {asked} is sent as {nearest}"
    if EFFORTS.index(nearest) < place:
        return wire.lower("reasoning_effort", nearest, reason, fact)
    return wire.set("reasoning_effort", nearest).note("note", "reasoning_effort", reason, fact)


def switch_thinking(wire: WireRequest, *, on: bool) -> WireRequest:
    """Return the request with thinking switched in the chat template; what the caller set there stays."""
    given = wire.body.get("chat_template_kwargs") or {}
    return wire.set("chat_template_kwargs", {"enable_thinking": on, **given})


def thinking_for_effort(wire: WireRequest, call: Call, fact: str) -> WireRequest:
    """Return the request with thinking switched on or off, for a server that has no efforts."""
    if not isinstance(call.reasoning, str):
        return wire
    wire = switch_thinking(wire.discard("reasoning_effort"), on=call.reasoning != "none")
    if call.reasoning == "none":
        return wire
    return wire.note("lowered", "reasoning_effort", "there are no efforts: thinking is switched on", fact)


def without_thinking(wire: WireRequest, call: Call, fact: str) -> WireRequest:
    """Return the request for an answer that is gone on from: what comes is the answer's text, not a new thought."""
    asked = isinstance(call.reasoning, int) or wire.body.get("reasoning_effort", "none") != "none"
    wire = switch_thinking(wire.set("reasoning_effort", "none"), on=False)
    reason = "a continued answer is not thought over again"
    return wire.note("lowered", "reasoning", reason, fact) if asked else wire
