"""`shape_request` for Together AI: its own names and types, its three ways to reason, and structure beside tools."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from chatport import AudioPart, Call, Context, FilePart, UnsupportedFeatureError, WireRequest, hookimpl, jsoncodec
from chatport.standard.output import with_instruction

__all__ = ["shape_request"]

_ADVISED_TOOLS = 20  # TG-T3
_NEAREST = {"none": "low", "minimal": "low", "xhigh": "high", "max": "high"}  # TG-P6: three efforts, and no off


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    _check_parts(call, context)
    return _structured(_reasoning(_logprobs(_fields(_tools(wire, call, context))), context))


def _check_parts(call: Call, context: Context) -> None:
    """Refuse what no model here reads (TG-M1): the vendor may answer as if it had not been sent."""
    for part in (part for message in call.messages for part in message.content):
        if isinstance(part, FilePart) or (isinstance(part, AudioPart) and part.format != "wav"):
            kind = "no documents" if isinstance(part, FilePart) else f"audio as wav, not as {part.format}"
            raise UnsupportedFeatureError(
                f"Together AI takes {kind} (TG-M1).", provider=context.provider.name, model=context.model
            )


def _tools(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Say where the tools are sent as asked for, and may not be taken so."""
    if len(call.tools) > _ADVISED_TOOLS:
        reason = f"the vendor advises fewer than {_ADVISED_TOOLS} tools, and these are {len(call.tools)}"
        wire = wire.note("note", "tools", reason, "TG-T3")
    forced = call.tool_choice is not None and call.tool_choice.mode in ("required", "named")
    if forced and call.stream and context.facts.quirks.get("loose_choice_in_streams"):
        reason = "this model may answer a stream in text all the same: look whether there is a call"
        wire = wire.note("note", "tool_choice", reason, "TG-T4")
    return wire


def _fields(wire: WireRequest) -> WireRequest:
    if isinstance(wire.body.get("stop"), str):
        wire = wire.set("stop", [wire.body["stop"]])  # TG-P2: a list only
    if wire.body.get("parallel_tool_calls") is True:
        wire = wire.discard("parallel_tool_calls")
    elif "parallel_tool_calls" in wire.body:
        wire = wire.note("note", "parallel_tool_calls", "may have no effect: it is not in the vendor's schema", "TG-P4")
    if "repetition_penalty" in wire.body and {"presence_penalty", "frequency_penalty"} & set(wire.body):
        wire = wire.note("note", "repetition_penalty", "is not meant to be mixed with the other penalties", "TG-P3")
    return wire


def _logprobs(wire: WireRequest) -> WireRequest:
    """Make one number of OpenAI's two fields (TG-P2): how many alternatives, 1 where only a yes was said."""
    asked, top = wire.body.get("logprobs"), wire.body.get("top_logprobs")
    if asked is False:
        return wire.discard("logprobs").discard("top_logprobs")
    if top is not None:
        wire = wire.discard("top_logprobs").note("renamed", "top_logprobs", "sent as the number in logprobs", "TG-P2")
    if asked is True or top is not None:
        wire = wire.set("logprobs", max(int(asked or 0), int(top or 0), 1))
    return wire


def _reasoning(wire: WireRequest, context: Context) -> WireRequest:
    """Say in the way of the model's family how much to reason (TG-P6). The vendor's own fields are left alone."""
    effort = wire.body.get("reasoning_effort")
    way = context.facts.quirks.get("reasoning")
    if effort is None:
        return wire
    if way == "effort":
        nearest = _NEAREST.get(effort)
        reason = f"this model reasons always, at low, medium or high: sent as {nearest}"
        return wire if nearest is None else wire.lower("reasoning_effort", nearest, reason, "TG-P6")
    if way == "never" and effort == "none":
        return wire.discard("reasoning_effort")
    if way in ("never", "always"):
        return wire.drop("reasoning_effort", f"this model {way} reasons, and has no switch", "TG-P6")
    wire = wire.discard("reasoning_effort")
    if "reasoning" in wire.body:
        return wire
    wire = wire.set("reasoning", {"enabled": effort != "none"})
    if effort in ("none", "medium"):
        return wire
    return wire.note("lowered", "reasoning", f"this model reasons or does not, {effort} is sent as on", "TG-P6")


def _structured(wire: WireRequest) -> WireRequest:
    """Show the schema to the model, which does not see it (TG-J3), and keep it apart from tools (TG-T5)."""
    wanted = wire.body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind == "text":
        return wire.discard("response_format")  # TG-P9: the default, and refused by older models
    if wanted is None or kind is None:
        return wire
    if wire.body.get("tools"):
        if wire.body.get("tool_choice") != "none":
            wire = with_instruction(wire.discard("response_format"), _in_words(wanted))
            reason = "does not work in a request with tools: asked for in the system text"
            return wire.note("lowered", "response_format", reason, "TG-T5")
        wire = wire.discard("tools").discard("tool_choice")
        wire = wire.note("note", "tools", "left out, as none may be called: response_format excludes them", "TG-T5")
    if kind == "regex" or (kind == "json_object" and "schema" not in wanted and _says_json(wire)):
        return wire  # TG-J2: a pattern is enforced as it is
    wire = with_instruction(wire, _in_words(wanted))
    return wire.note("added", "messages", "the model does not see response_format: it is told in words too", "TG-J3")


def _in_words(wanted: Mapping[str, Any]) -> str:
    if wanted["type"] == "regex":
        return f"Answer with a text that matches this regular expression, and nothing else:\n{wanted.get('pattern')}"
    schema = (wanted.get("json_schema") or wanted).get("schema")  # TG-J1: also in the two older forms
    words = "Answer with one JSON value and nothing else, no Markdown."
    return words if schema is None else f"{words} It must fit this JSON Schema:\n{jsoncodec.encode_text(schema)}"


def _says_json(wire: WireRequest) -> bool:
    return any("json" in str(m.get("content")).lower() for m in wire.body["messages"] if m["role"] != "assistant")
