"""`shape_request` for Groq: the standard body, less what it refuses, with its two reasoning switches."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Call, Context, WireRequest, hookimpl
from chatport.standard.output import schema_in_words, with_instruction
from chatport.standard.schemas import StrictRules, strict_misfits

__all__ = ["shape_request"]

_REFUSED: Mapping[str, tuple[str, str]] = {
    "logprobs": ("refused: no model gives them", "GQ-P1"),
    "top_logprobs": ("refused: no model gives them", "GQ-P1"),
    "logit_bias": ("refused", "GQ-P1"),
    "n": ("refused: one answer for each request", "GQ-P1"),
    "frequency_penalty": ("accepted, without effect", "GQ-P3"),
    "presence_penalty": ("accepted, without effect", "GQ-P3"),
    "store": ("not supported", "GQ-P3"),
    "metadata": ("not supported", "GQ-P3"),
    "top_k": ("Groq has no top_k", "GQ-P3"),
}
_EFFORTS = {"none": "low", "minimal": "low", "xhigh": "high", "max": "high"}  # GQ-P7: other words are refused


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    wire = wire.discard("n") if wire.body.get("n") == 1 else wire
    for field, (reason, fact) in _REFUSED.items():
        wire = wire.drop(field, reason, fact)
    if "max_completion_tokens" in wire.body:
        wire = wire.drop("max_tokens", "the older name of max_completion_tokens, which is given too", "GQ-P4")
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
    """Take the steps of the ladder that are left: schemas exclude tools and streams (GQ-J4), most models have none."""
    wanted = wire.body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if wanted is None or kind not in ("json_schema", "json_object"):
        return wire
    if wire.body.get("tools"):  # GQ-I3: the tools are what the caller cannot do without
        reason = "refused together with tools: the schema is in the system text, and not enforced"
        wire = schema_in_words(wire, call, None, reason, "GQ-J4")
        return wire.drop("response_format", "refused together with tools", "GQ-J4")
    if kind == "json_schema" and "json_schema" in (context.facts.output_formats or ()):
        return _unstreamed(_strictness(wire, wanted, context))
    if kind == "json_schema" and call.output is not None:
        return schema_in_words(wire, call, "json_object", "no schemas for this model: the text names it", "GQ-J3")
    if kind == "json_object" and "json" not in str(wire.body["messages"]).lower():
        wire = with_instruction(wire, "Answer in JSON.")
        return wire.note("added", "messages", "JSON output needs the word in the messages", "GQ-J1")
    return wire


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
    effort, known = wire.body.get("reasoning_effort"), context.facts.efforts
    if effort is None:
        return wire
    if context.facts.quirks.get("on_or_off") and effort not in ("none", "default"):
        wire = wire.discard("reasoning_effort")  # the vendor's own word for on is "default", which holds unsent
        reason = "this model knows on and off only: left on"
        return wire if effort == "medium" else wire.note("lowered", "reasoning", reason, "GQ-P7")
    if effort in known:
        return wire
    if context.facts.reasoning is False:
        wire = wire.discard("reasoning_effort")
        return wire if effort == "none" else wire.note("dropped", "reasoning", "this model does not reason", "GQ-P7")
    word = _EFFORTS.get(effort)
    if word is None:
        return wire
    wire = wire.set("reasoning_effort", word)
    reason = f"sent as {word}, the nearest it takes" if effort != "none" else "it cannot be switched off: sent as low"
    return wire.note("note" if effort == "minimal" else "lowered", "reasoning", reason, "GQ-P7")


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
