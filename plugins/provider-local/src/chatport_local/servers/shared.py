"""Pieces that three or more of the servers need: forced tools, thinking and efforts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatport import Call, Context, WireRequest

__all__ = [
    "drop_each",
    "fit_effort",
    "named_as_required",
    "switch_thinking",
    "without_tool_choice",
]

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def drop_each(wire: WireRequest, reasons: Mapping[str, str], fact: str) -> WireRequest:
    """Return the request without those of the fields that it has, one warning for each."""
    for field, reason in reasons.items():
        wire = wire.drop(field, reason, fact)
    return wire


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
    place = _EFFORTS.index(asked)
    nearest = min(
        (effort for effort in _EFFORTS if effort in takes and (effort != "none" or asked == "none")),
        key=lambda effort: (abs(_EFFORTS.index(effort) - place), -_EFFORTS.index(effort)),
        default=None,
    )
    if nearest is None:
        return wire.drop("reasoning_effort", f"it takes {', '.join(takes)}, not {asked}", fact)
    reason = f"it takes {', '.join(takes)}: {asked} is sent as {nearest}"
    if _EFFORTS.index(nearest) < place:
        return wire.lower("reasoning_effort", nearest, reason, fact)
    return wire.set("reasoning_effort", nearest).note("note", "reasoning_effort", reason, fact)


def switch_thinking(wire: WireRequest, *, on: bool) -> WireRequest:
    """Return the request with thinking switched in the chat template; what the caller set there stays."""
    given = wire.body.get("chat_template_kwargs") or {}
    return wire.set("chat_template_kwargs", {"enable_thinking": on, **given})
