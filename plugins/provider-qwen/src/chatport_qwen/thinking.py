"""The thinking switch: which field it is, and what goes with it, depends on the model family that answers (QW-0.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from chatport.call import Call, WireRequest
from chatport.facts import ModelFacts

__all__ = ["is_thinking", "refused_while_thinking", "switch_thinking", "without_new_thoughts"]

_OWN_SWITCHES = ("enable_thinking", "thinking", "reasoning_effort")


def switch_thinking(wire: WireRequest, call: Call, facts: ModelFacts) -> WireRequest:
    """Return the request with the model's own switch in place of the standard's `reasoning_effort`."""
    wire = _without_standard_field(wire, call)
    if any(field in call.extra for field in _OWN_SWITCHES):
        return _one_knob(wire)
    if call.reasoning is None:
        return _unasked(wire, facts)
    return _off(wire, facts) if call.reasoning == "none" else _one_knob(_on(wire, call.reasoning, facts))


def without_new_thoughts(wire: WireRequest, call: Call, facts: ModelFacts) -> WireRequest:
    """Switch thinking off for the rest of an answer that was begun: partial mode is for models that do not think."""
    if call.prefix is None or not is_thinking(wire, facts):
        return wire
    for field in ("reasoning_effort", "thinking_budget"):
        wire = wire.discard(field)
    return wire.set("enable_thinking", False).note(
        "note", "reasoning", "switched off: its thoughts came before this text, and partial mode takes none"
    )


def is_thinking(wire: WireRequest, facts: ModelFacts) -> bool:
    """Whether the model will think about this request, as far as is known."""
    body, style = wire.body, facts.quirks.get("thinking")
    if style in ("always", "never"):
        return bool(style == "always")
    if "reasoning_effort" in body:
        return bool(body["reasoning_effort"] != "none")
    if "enable_thinking" in body:
        return bool(body["enable_thinking"])
    if isinstance(body.get("thinking"), Mapping):
        return bool(body["thinking"].get("type") != "disabled")
    return facts.default_effort not in (None, "none")


def refused_while_thinking(body: Mapping[str, Any], facts: ModelFacts) -> tuple[str, str] | None:
    """Return what of the request a thinking model refuses, with the fact's number; None if nothing."""
    if body.get("tool_choice", "auto") not in ("auto", "none"):
        return "a forced tool choice is refused while the model thinks", "QW-T2"
    output = body.get("response_format") or {}
    if output.get("type", "text") != "text" and output["type"] not in facts.quirks.get("json_with_thinking", ()):
        return f"{output['type']} is refused while the model thinks", "QW-J3"
    return None


def _without_standard_field(wire: WireRequest, call: Call) -> WireRequest:
    """Undo what the standard dialect made of `reasoning`: its field, or its note on a budget that it cannot send."""
    notes = tuple(note for note in wire.adjustments if (note.kind, note.field) != ("dropped", "reasoning"))
    wire = attrs.evolve(wire, adjustments=notes)
    return wire if "reasoning_effort" in call.extra else wire.discard("reasoning_effort")


def _unasked(wire: WireRequest, facts: ModelFacts) -> WireRequest:
    """Say the known default aloud: it differs between versions of one name. What was asked for goes before thinking."""
    if facts.quirks.get("thinking") != "switch" or facts.default_effort is None:
        return wire
    if facts.quirks.get("thinking_unsaid"):
        return wire  # a name whose older versions refuse the switch, whatever its value (QW-P7)
    conflict = refused_while_thinking(wire.body, facts)
    if facts.default_effort != "none" and conflict is not None:
        return wire.add("enable_thinking", False, *conflict)
    return wire.set("enable_thinking", facts.default_effort != "none")  # QW-R2


def _off(wire: WireRequest, facts: ModelFacts) -> WireRequest:
    match facts.quirks.get("thinking"):
        case "never":
            return wire  # the switch itself would be refused (QW-P7)
        case "always":
            return wire.note("lowered", "reasoning", "this model always thinks", "QW-P7")
        case "object":
            return wire.set("thinking", {"type": "disabled"})  # QW-P2
        case _:
            return wire.set("enable_thinking", False)


def _on(wire: WireRequest, asked: str | int, facts: ModelFacts) -> WireRequest:
    style = facts.quirks.get("thinking")
    if style == "never":
        return wire.note("dropped", "reasoning", "this model cannot think; the switch would be refused", "QW-P7")
    if isinstance(asked, str) and facts.quirks.get("effort_field"):
        return _effort(wire, asked, facts)
    if style == "object":
        wire = wire.set("thinking", {"type": "adaptive"})  # QW-P2
    elif style != "always":
        wire = wire.set("enable_thinking", True)
    if isinstance(asked, int):
        return _budget(wire, asked, facts.quirks.get("thinking_budget"))
    if asked in facts.efforts:
        return wire
    return wire.note("lowered", "reasoning", f"this model thinks or does not; {asked!r} is no more than on", "QW-P10")


def _effort(wire: WireRequest, asked: str, facts: ModelFacts) -> WireRequest:
    """Send one of the model's own tiers; the vendor takes our other words as aliases of these (QW-P10)."""
    tier = facts.quirks.get("effort_alias", {}).get(asked, asked)
    wire = wire.set("reasoning_effort", tier)
    return wire if tier == asked else wire.note("note", "reasoning", f"{asked} is the same as {tier} here", "QW-P10")


def _budget(wire: WireRequest, tokens: int, most: int | None) -> WireRequest:
    if most == 0:
        return wire.note("dropped", "reasoning", "this model takes no budget; it thinks as long as it likes", "QW-P9")
    if most is not None and tokens > most:
        return wire.lower("thinking_budget", most, f"the longest chain of thought here is {most} tokens", "QW-P9")
    return wire.set("thinking_budget", tokens)


def _one_knob(wire: WireRequest) -> WireRequest:
    """An effort goes alone: the vendor refuses it together with a budget, and the switch is then one too many."""
    if "reasoning_effort" not in wire.body:
        return wire
    wire = wire.drop("thinking_budget", "refused together with reasoning_effort", "QW-P10")
    return wire.drop("enable_thinking", "reasoning_effort says it already", "QW-P10")
