"""`shape_request` for Groq: the standard body, less what it refuses, with its two reasoning switches."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Call, Context, WireRequest, hookimpl
from chatport.standard.output import fit_output, say_json, schema_in_words
from chatport.standard.schemas import StrictRules, strict_misfits

__all__ = ["shape_request"]

_EFFORTS = {"none": "low", "minimal": "low", "xhigh": "high", "max": "high"}  # GQ-P7: other words are refused


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    wire = _structured(_messages(wire, context), call, context)
    return _format(_effort(wire, call, context), context)


# --- messages


def _messages(wire: WireRequest, context: Context) -> WireRequest:
    messages: list[Mapping[str, Any]] = wire.body["messages"]
    keeps = context.facts.quirks.get("reasoning_history")  # GQ-R2: known to be accepted by gpt-oss only
    dropped = {"name"} if keeps else {"name", "reasoning"}
    shaped = [{k: v for k, v in m.items() if v is not None and k not in dropped} for m in messages]
    if any("name" in message for message in messages):
        wire = wire.note("dropped", "messages.name", "refused", "GQ-P1")
    return wire.set("messages", shaped)  # GQ-P5: and no nulls


# --- structured output


def _structured(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Take the steps of the ladder that are left: most models have no schemas (GQ-J3), and some cannot call tools."""
    reason, fact = _plain_text_only(wire, call)
    if reason:
        wire = schema_in_words(wire, call, None, f"{reason}: the schema is in the system text, and not enforced", fact)
        return wire.drop("response_format", reason, fact)
    facts, formats = context.facts, context.facts.output_formats or ()
    calls = bool(facts.forced_tool_choice and facts.tools)
    wire = fit_output(wire, call, formats, "no schemas for this model", "GQ-J3", forced_tool=calls)
    wanted = wire.body.get("response_format")
    if not isinstance(wanted, Mapping):
        return wire
    if wanted.get("type") == "json_schema" and "json_schema" in formats:
        return _unstreamed(_strictness(wire, wanted, context))
    return say_json(wire, "GQ-J1") if wanted.get("type") == "json_object" else wire


def _plain_text_only(wire: WireRequest, call: Call) -> tuple[str, str]:
    """Return why no form of JSON can be asked for, and the fact; both empty where it can."""
    wanted = wire.body.get("response_format")
    if not isinstance(wanted, Mapping) or wanted.get("type") not in ("json_schema", "json_object"):
        return "", ""
    if call.prefix is not None:
        return "the rest of an answer is no JSON by itself, and would be refused", "GQ-X12"
    if wire.body.get("tools"):  # GQ-I3: the tools are what the caller cannot do without
        return "refused together with tools", "GQ-J4"
    return "", ""


def _strictness(wire: WireRequest, wanted: Mapping[str, Any], context: Context) -> WireRequest:
    spec = wanted["json_schema"]
    if not spec.get("strict"):
        return wire
    fact = "GQ-J2" if context.facts.quirks.get("strict_schema") else "GQ-J3"
    problem = "this model follows schemas, unenforced"
    if fact == "GQ-J2":  # it is never rewritten: that would change its meaning
        misfit = next(strict_misfits(spec.get("schema"), StrictRules()), None)
        if misfit is None:
            return wire
        problem = f"not enforced: {misfit}"
    return wire.lower("response_format", {**wanted, "json_schema": {**spec, "strict": False}}, problem, fact)


def _unstreamed(wire: WireRequest) -> WireRequest:
    """Ask for a whole reply: its events reach the caller of a stream all the same, at once."""
    if not wire.stream:
        return wire
    wire = attrs.evolve(wire.discard("stream").discard("stream_options"), stream=False)
    return wire.note("lowered", "stream", "schemas and streams exclude each other: the reply comes whole", "GQ-J4")


# --- reasoning


def _effort(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Say how much to reason in the words that the model takes: a wrong one is refused (GQ-P7)."""
    effort, facts = wire.body.get("reasoning_effort"), context.facts
    if call.prefix is not None and facts.reasoning and effort != "none":
        kind = "note" if effort is None else "lowered"
        wire = wire.set("reasoning_effort", "none")
        return wire.note(kind, "reasoning", "off: the text goes on from its beginning, without new thoughts", "GQ-C1")
    if effort is None:
        return wire
    if facts.quirks.get("on_or_off") and effort not in ("none", "default"):
        wire = wire.discard("reasoning_effort")  # the vendor's own word for on is "default", which holds unsent
        reason = "this model knows on and off only: left on"
        return wire if effort == "medium" else wire.note("lowered", "reasoning", reason, "GQ-P7")
    if facts.reasoning is False:
        wire = wire.discard("reasoning_effort")
        return wire if effort == "none" else wire.note("dropped", "reasoning", "this model does not reason", "GQ-P7")
    word = effort if effort in facts.efforts else _EFFORTS.get(effort, effort)
    if word == effort:
        return wire
    reason = f"sent as {word}, the nearest it takes" if effort != "none" else "it cannot be switched off: sent as low"
    kind = "note" if effort == "minimal" else "lowered"
    return wire.set("reasoning_effort", word).note(kind, "reasoning", reason, "GQ-P7")


def _format(wire: WireRequest, context: Context) -> WireRequest:
    """Choose the form of the reasoning, by the one switch that the model has (GQ-P6, GQ-P8)."""
    switch, form = context.facts.quirks.get("reasoning_switch"), wire.body.get("reasoning_format")
    if switch == "include_reasoning":
        if form is None:
            return wire
        wire = wire.discard("reasoning_format")
        if "include_reasoning" not in wire.body:
            wire = wire.set("include_reasoning", form != "hidden")
        return wire.note("renamed", "reasoning_format", "this model has include_reasoning in its place", "GQ-P8")
    if form is not None:
        wire = wire.drop("include_reasoning", "excludes reasoning_format, which is given too", "GQ-P6")
    if form == "raw" and ("tools" in wire.body or "response_format" in wire.body):
        return wire.lower("reasoning_format", "parsed", "raw is refused with tools and with JSON", "GQ-P6")
    on = wire.body.get("reasoning_effort") != "none" and "include_reasoning" not in wire.body
    # The vendor's own choice depends on tools and JSON, and puts <think> into the text (GQ-S2).
    return wire.set("reasoning_format", "parsed") if switch and on and form is None else wire
