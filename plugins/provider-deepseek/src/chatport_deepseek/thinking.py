"""DeepSeek's thinking mode, as steps of `shape_request`: the switch, what it excludes, earlier turns' reasoning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chatport import Call, Context, WireRequest

__all__ = ["history", "is_on", "sampling", "switched", "without_conflict"]

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_BACK_FILL = " "  # DS-R6: in production use; unlike "" it stays a value wherever empty strings are taken as absent


def switched(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Say in DeepSeek's two fields how much to think (DS-P11, DS-P12); without a wish its default holds (DS-0.3)."""
    own = wire.body.get("thinking")
    if own is not None:
        if not (isinstance(own, Mapping) and "budget_tokens" in own):
            return wire
        rest = {name: value for name, value in own.items() if name != "budget_tokens"}
        return wire.set("thinking", rest).note("dropped", "thinking.budget_tokens", "no token budgets", "DS-P11")
    effort = wire.body.get("reasoning_effort")
    if effort is None and call.reasoning is None:
        return wire
    if not _has_switch(context):
        return wire.drop("reasoning_effort", "this model always thinks, and has no switch", "DS-R7")
    if effort == "none":
        return wire.discard("reasoning_effort").set("thinking", {"type": "disabled"})
    return _fold_noted(wire.set("thinking", {"type": "enabled"}), effort, context)


def _fold_noted(wire: WireRequest, effort: Any, context: Context) -> WireRequest:
    """Tell when two words mean one effort. The word itself is sent: the vendor has changed the folding (DS-P13)."""
    meant = context.facts.quirks.get("effort_folds", {}).get(effort)
    if meant not in _EFFORTS or effort not in _EFFORTS:
        return wire
    kind = "lowered" if _EFFORTS.index(meant) < _EFFORTS.index(effort) else "note"
    return wire.note(kind, "reasoning", f"DeepSeek has fewer efforts: {effort} is answered as {meant}", "DS-P13")


def _has_switch(context: Context) -> bool:
    return bool(context.facts.quirks.get("thinking_switch", True))


def is_on(wire: WireRequest, context: Context) -> bool:
    """Whether this request makes the model think: by its switch, else by the model's default (DS-0.3)."""
    thinking = wire.body.get("thinking")
    if isinstance(thinking, Mapping) and "type" in thinking:
        return bool(thinking["type"] != "disabled")
    return context.facts.default_effort != "none"


def without_conflict(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Switch thinking off for what it excludes: a forced tool call, and the rest of an answer that was begun.

    DS-T3, DS-X1: since thinking is the default, this hits callers who never asked for it. DS-T4: the other way out,
    `auto`, would lose the guarantee of a call.
    """
    choice = wire.body.get("tool_choice")
    forced = choice == "required" or isinstance(choice, Mapping)
    if not (is_on(wire, context) and _has_switch(context)) or not (forced or call.prefix is not None):
        return wire
    asked = call.reasoning is not None or {"thinking", "reasoning_effort"} & set(call.extra)
    wire = wire.set("thinking", {"type": "disabled"}).discard("reasoning_effort")
    field = "reasoning" if asked else "thinking"
    if not forced:  # DS-P18: new thoughts would stand between the two parts
        return wire.note("note", field, "switched off: its thoughts came before this text", "DS-P18")
    although = " although asked for" if asked else ""
    return wire.note("lowered", field, f"switched off{although}: it excludes a forced tool call", "DS-T3")


def sampling(wire: WireRequest, context: Context) -> WireRequest:
    """Tell which sampling values have no effect: it depends on the model, and on whether it thinks (DS-P5, DS-P6)."""
    quirks, top_p = context.facts.quirks, wire.body.get("top_p")
    if not is_on(wire, context):
        honoured = quirks.get("top_p_plain", True)
        return wire if honoured else wire.drop("top_p", "fixed at 1.0 for this model while it does not think", "DS-P6")
    wire = wire.drop("temperature", "has no effect while the model thinks", "DS-P5")
    floor = quirks.get("top_p_thinking_floor")
    if floor is None:
        return wire.drop("top_p", "has no effect while the model thinks", "DS-P6")
    if isinstance(top_p, int | float) and top_p < floor:
        return wire.lower("top_p", floor, f"values below {floor} are lifted to it while the model thinks", "DS-P6")
    return wire


def history(wire: WireRequest, context: Context) -> WireRequest:
    """Give each earlier answer the reasoning it needs: its own where known (DS-R3, DS-R4), else a blank (DS-R6)."""
    messages = wire.body["messages"]
    if context.facts.quirks.get("reasoning_history") == "strip":  # DS-R7
        return _mapped(wire, lambda message: {k: v for k, v in message.items() if k != "reasoning_content"})
    in_tool_use = "tools" in wire.body or any(message.get("tool_calls") for message in messages)
    if not (in_tool_use and is_on(wire, context) and any(map(_lacks_reasoning, messages))):
        return wire
    wire = _mapped(wire, lambda m: {**m, "reasoning_content": _BACK_FILL} if _lacks_reasoning(m) else m)
    return wire.note("added", "messages.reasoning_content", "a blank for answers without their reasoning", "DS-R6")


def _lacks_reasoning(message: Mapping[str, Any]) -> bool:
    return message["role"] == "assistant" and not message.get("reasoning_content")


def _mapped(wire: WireRequest, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> WireRequest:
    return wire.set("messages", [change(message) for message in wire.body["messages"]])
