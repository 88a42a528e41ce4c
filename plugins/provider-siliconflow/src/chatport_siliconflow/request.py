"""`shape_request` for SiliconFlow: its own thinking switches, no nulls in the history, and no tool chosen by name."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from chatport import Call, Context, ModelFacts, WireRequest, hookimpl
from chatport.standard.output import fit_output, say_json

__all__ = ["shape_request"]

_LEAST_BUDGET_TOKENS = 128  # SF-P4
_WINDOW_RESERVE_TOKENS = 10_000  # SF-P8


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    """Shape the standard request for SiliconFlow."""
    wire = yield
    wire = _named(_messages(_fields(wire, context.facts)))
    return _thinking(_output(wire, call, context.facts), call, context.facts)


# --- fields, messages, tools


def _fields(wire: WireRequest, facts: ModelFacts) -> WireRequest:
    """Do what depends on the model; the rest are rules of the dialect."""
    for field in [name for name, value in wire.body.items() if value is None]:
        wire = wire.discard(field)  # SF-P11
    if not facts.quirks.get("min_p"):
        wire = wire.drop("min_p", "a field of the Qwen3 models only", "SF-P1")
    room = None if facts.context_tokens is None else facts.context_tokens - _WINDOW_RESERVE_TOKENS
    most = min((limit for limit in (room, facts.max_output_tokens) if limit is not None), default=None)
    asked = wire.body.get("max_tokens")
    if most is not None and isinstance(asked, int) and asked > most:
        return wire.lower("max_tokens", most, f"more than {most} would not fit into the model's window", "SF-P8")
    return wire


def _messages(wire: WireRequest) -> WireRequest:
    messages = [_message(message) for message in wire.body["messages"]]
    mute = any(message["role"] == "tool" and not message["content"] for message in wire.body["messages"])
    wire = wire.set("messages", messages)
    return wire.note("added", "messages.content", "an empty tool result is refused", "SF-P10") if mute else wire


def _message(message: Mapping[str, Any]) -> Mapping[str, Any]:
    changed = dict(message)
    if message["role"] == "assistant":
        if message["content"] is None:
            changed["content"] = changed.pop("refusal", None) or ""  # SF-P10
        if not message.get("tool_calls"):
            changed.pop("reasoning_content", None)  # SF-R2
    elif message["role"] == "tool" and not message["content"]:
        changed["content"] = "(no output)"  # SF-P10
    elif isinstance(message["content"], list):
        changed["content"] = [_part(part) for part in message["content"]]
    return changed


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """SF-M2: sound has a part of another name here, and is an address or a data URL."""
    if part.get("type") != "input_audio":
        return part
    data, kind = part["input_audio"]["data"], part["input_audio"]["format"]
    return {"type": "audio_url", "audio_url": {"url": data if ":" in data[:16] else f"data:audio/{kind};base64,{data}"}}


def _named(wire: WireRequest) -> WireRequest:
    """Send a choice by name, which is undocumented, as `required` with that tool alone: it means the same (SF-T1)."""
    choice = wire.body.get("tool_choice")
    name = _name(choice) if isinstance(choice, Mapping) else None
    only = [tool for tool in wire.body.get("tools") or () if _name(tool) == name]
    if name is None or not only:
        return wire
    reason = f"sent as required, with {name} as the only tool"
    return wire.update({"tools": only, "tool_choice": "required"}).note("note", "tool_choice", reason, "SF-T1")


def _name(tool: Mapping[str, Any]) -> Any:
    return (tool.get("function") or {}).get("name")


# --- structured output


def _output(wire: WireRequest, call: Call, facts: ModelFacts) -> WireRequest:
    """Ask in words for a format that the model lacks (SF-J1), and for JSON in words too (SF-J2)."""
    wanted, formats = wire.body.get("response_format"), facts.output_formats or ()
    kind = wanted.get("type", "text") if isinstance(wanted, Mapping) else "text"
    if kind == "text":
        return wire
    if kind not in formats:
        reason = "a format that this model does not have: asked for in words"
        if kind == "json_schema":
            return fit_output(wire, call, formats, reason, "SF-J1")
        wire = wire.discard("response_format").note("lowered", "response_format", reason, "SF-J1")
    return say_json(wire, "SF-J2")


# --- thinking


def _thinking(wire: WireRequest, call: Call, facts: ModelFacts) -> WireRequest:
    style = facts.quirks.get("thinking")
    if style not in (None, "switch"):
        wire = wire.drop("enable_thinking", "this model has no such switch, and refuses it", "SF-P2")
    if call.reasoning is not None and "reasoning_effort" not in call.extra:
        wire = wire.discard("reasoning_effort")
        if "enable_thinking" not in call.extra:
            wire = _asked(wire, call.reasoning, facts, style)
    budget = wire.body.get("thinking_budget")
    if isinstance(budget, int) and budget < _LEAST_BUDGET_TOKENS:
        wire = wire.set("thinking_budget", _LEAST_BUDGET_TOKENS)
        wire = wire.note("note", "thinking_budget", f"raised to {_LEAST_BUDGET_TOKENS}, the smallest there is", "SF-P4")
    return _quiet_with_tools(wire, facts)


def _asked(wire: WireRequest, asked: str | int, facts: ModelFacts, style: str | None) -> WireRequest:
    """Say it in the model's own way. Unasked, nothing is said: on, off and unsaid are three things (SF-P3)."""
    if style == "switch":
        wire = wire.set("enable_thinking", asked != "none")
        if isinstance(asked, int) or asked in ("none", "medium"):
            return wire
        kind = "note" if asked in ("minimal", "low") else "lowered"
        return wire.note(kind, "reasoning", f"this model thinks or does not: {asked} is no more than on", "SF-P2")
    if style == "effort" and isinstance(asked, str) and asked != "none":
        effort = "max" if asked in ("xhigh", "max") else "high"
        wire = wire.set("reasoning_effort", effort)
        return wire if effort == asked else wire.note("note", "reasoning", f"{asked} is {effort} here", "SF-P5")
    if (isinstance(asked, int) and facts.reasoning) or (style == "never" and asked == "none"):
        return wire  # SF-P4: the budget is for all reasoning models
    reason = {
        "never": "this model does not think",
        "always": "this model always thinks, and has neither switch nor efforts",
        "effort": "this model has efforts, and no switch to turn thinking off",
    }.get(str(style), "not known to have the switch, which other models refuse; put enable_thinking into extra to try")
    return wire.discard("thinking_budget").note("dropped", "reasoning", reason, "SF-P2")  # SF-I1, SF-I6


def _quiet_with_tools(wire: WireRequest, facts: ModelFacts) -> WireRequest:
    """SF-P6: these models call functions only when they do not think."""
    said = wire.body.get("enable_thinking")
    if said is False or not (facts.quirks.get("tools_need_quiet") and wire.body.get("tools")):
        return wire
    wire = wire.discard("thinking_budget")
    reason = "this model calls functions only while it does not think"
    if said is None:
        return wire.add("enable_thinking", False, reason, "SF-P6")
    return wire.set("enable_thinking", False).note("lowered", "reasoning", reason, "SF-P6")
