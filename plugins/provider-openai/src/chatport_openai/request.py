"""`shape_request`: what the model at hand refuses is left out or lowered before it is sent, each with a note.

The facts of a model say what it refuses; the steps below run in order, since later ones look at what earlier ones left.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import hookimpl
from chatport.call import Call, Context, OutputSpec, WireRequest
from chatport.errors import UnsupportedFeatureError
from chatport.standard.efforts import EFFORTS, nearest_effort
from chatport.standard.output import fit_output, say_json, schema_in_words
from chatport.standard.request import wire_output
from chatport.standard.schemas import with_losses
from chatport.standard.tools import wire_name

from .strict import NotStrict, root_object, strict_schema

__all__ = ["shape_request"]

_SAMPLING = ("temperature", "top_p", "logprobs")
_SAMPLING_NEVER = ("presence_penalty", "frequency_penalty", "logit_bias", "top_logprobs")
_MEANINGLESS = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "logprobs": False}


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    for step in (_without_tools, _effort, _tools, _sampling, _refused, _output, _messages, _stream):
        wire = step(wire, call, context)
    return wire


def _without_tools(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    if wire.body.get("tools"):
        return wire
    wire = wire.discard("tools").drop("tool_choice", "refused without tools", "OA-R14")
    return wire.drop("parallel_tool_calls", "refused without tools", "OA-R13")


def _effort(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    asked, facts = wire.body.get("reasoning_effort"), context.facts
    if asked is None:
        return wire
    if facts.reasoning is False:
        if asked == "none":  # what was asked for is what happens
            return wire.discard("reasoning_effort")
        return wire.drop("reasoning_effort", f"{context.model} does not reason, and refuses the field", "OA-R15")
    if not facts.efforts or asked in facts.efforts:
        return wire
    reason = f"{context.model} takes {', '.join(facts.efforts)}, not {asked}"
    nearest = nearest_effort(asked if asked in EFFORTS else "none", facts.efforts)
    return wire.lower("reasoning_effort", nearest, reason, "OA-K2")


def _tools(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Function tools and reasoning exclude one another here, from gpt-5.4 on (OA-T14; of 5.2 reported, OA-T15)."""
    facts = context.facts
    functions = any(tool["type"] == "function" for tool in wire.body.get("tools", ()))
    if not functions or not facts.quirks.get("tools_without_reasoning"):
        return wire
    reason = f"{context.model} takes function tools only without reasoning on this endpoint"
    if facts.default_effort == "none":  # OA-T15: these want the field absent
        asked = wire.body.get("reasoning_effort", "none")
        wire = wire.discard("reasoning_effort")
        return wire if asked == "none" else wire.note("lowered", "reasoning_effort", reason, "OA-T15")
    if "none" in facts.efforts:
        if wire.body.get("reasoning_effort") == "none":
            return wire
        return wire.lower("reasoning_effort", "none", reason, "OA-T15")  # OA-P9: never silently
    if "inherited_from" in facts.quirks:  # a guess is no ground to refuse a call: the vendor shall say so
        return wire
    raise UnsupportedFeatureError(  # OA-T16
        f"{context.model} cannot call tools over chat completions: it always reasons, and there function tools are "
        f"taken only without. Use {facts.quirks.get('tools_instead')}, which takes them with its reasoning off. (Both "
        "at once need OpenAI's Responses API, which this provider does not speak.)",
        provider=context.provider.name,
        model=context.model,
    )


def _reasons(wire: WireRequest, context: Context) -> bool:
    return bool(wire.body.get("reasoning_effort", context.facts.default_effort) != "none")


def _sampling(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """OA-R7, OA-R8: refused while the model reasons; the second group even when it does not."""
    rule = context.facts.quirks.get("sampling")
    if rule is None:
        return wire
    for field, default in _MEANINGLESS.items():
        if wire.body.get(field) == default:
            wire = wire.discard(field)  # the default, in words: nothing is lost
    active = rule == "never" or _reasons(wire, context)
    reason = f"{context.model} refuses it" + (" while it reasons" if active and rule != "never" else "")
    for field in (*_SAMPLING, *_SAMPLING_NEVER) if active else _SAMPLING_NEVER:
        wire = wire.drop(field, reason, "OA-R7" if field == "temperature" else "OA-R8")
    return wire


def _refused(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Single fields that single models refuse: `stop` (OA-R10), `temperature` (OA-R9)."""
    refused: Mapping[str, str] = context.facts.quirks.get("refuses") or {}
    for field, fact in refused.items():
        wire = wire.drop(field, f"{context.model} refuses it", fact)
    return wire


def _output(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    if call.output is not None and "response_format" not in call.extra:
        wire = _structured(wire, call, call.output, context)
    wants_json = wire.body.get("response_format") == {"type": "json_object"}
    return say_json(wire, "OA-O2") if wants_json else wire


def _structured(wire: WireRequest, call: Call, output: OutputSpec, context: Context) -> WireRequest:
    root, formats = root_object(output.schema), context.facts.output_formats
    if root is None:
        return schema_in_words(wire, call, None, "a schema must be an object at its root", "OA-O5")
    output = attrs.evolve(output, name=wire_name(output.name), schema=root)  # OA-T2
    if formats is None or "json_schema" in formats:
        return _with_schema(wire, output)
    call = attrs.evolve(call, output=output)
    return fit_output(wire, call, formats, f"{context.model} takes no schema", "OA-O3", forced_tool=True)


def _with_schema(wire: WireRequest, output: OutputSpec) -> WireRequest:
    if not output.strict:
        return wire.set("response_format", wire_output(output))
    try:
        schema, losses = strict_schema(output.schema)
    except NotStrict as problem:  # OA-P14, OA-O4, OA-O5
        loose = wire_output(attrs.evolve(output, strict=False))
        return wire.lower("response_format", loose, f"the schema cannot be strict: {problem}", "OA-P14")
    wire = wire.set("response_format", wire_output(attrs.evolve(output, schema=schema)))
    return with_losses(wire, losses, "output", "OA-T11")


def _messages(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    messages: list[dict[str, Any]] = wire.body["messages"]
    _check_files(messages, context)
    if any(message["role"] == "tool" and isinstance(message["content"], list) for message in messages):
        messages, moved = _text_results(messages)
        if moved:
            reason = "a tool result holds only text: the rest follows in a user turn"
            wire = wire.note("renamed", "messages", reason, "OA-T6")
    role = context.facts.quirks.get("instructions")
    if role and any(message["role"] == "system" for message in messages):  # OA-R3
        messages = [{**message, "role": role} if message["role"] == "system" else message for message in messages]
        if role == "user":
            wire = wire.note("lowered", "messages", f"{context.model} takes instructions only as a user turn", "OA-R3")
    return wire.set("messages", messages)


def _check_files(messages: list[dict[str, Any]], context: Context) -> None:
    for number, message in enumerate(messages):
        for part in message["content"] if isinstance(message.get("content"), list) else ():
            if str(part.get("file", {}).get("file_data", "")).startswith(("http://", "https://")):
                raise UnsupportedFeatureError(  # OA-M3
                    f"messages[{number}] has a file by its address; here OpenAI takes a data URL or an upload's id.",
                    provider=context.provider.name,
                    model=context.model,
                )


def _text_results(messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """Move what is no text out of tool results, behind the last result of its turn (OA-T6, OA-T7)."""
    sent: list[dict[str, Any]] = []
    held: list[dict[str, Any]] = []
    moved = False
    for message in [*messages, {"role": "end"}]:
        if message["role"] != "tool" and held:
            sent.append({"role": "user", "content": held})
            held, moved = [], True
        if message["role"] == "tool" and isinstance(message["content"], list):
            text = [part for part in message["content"] if part.get("type") == "text"]
            held += [part for part in message["content"] if part.get("type") != "text"]
            message = {**message, "content": text or "(in the next user message)"}
        sent.append(message)
    return sent[:-1], moved


def _stream(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    if wire.stream and context.settings.get("stream") is False:  # OA-P11, OA-X7
        wire = attrs.evolve(wire.discard("stream"), stream=False)
        wire = wire.note("note", "stream", "the reply comes whole, as the setting stream = false says", "OA-P11")
    options = wire.body.get("stream_options")
    if not wire.stream:
        wire = wire.discard("stream_options") if call.stream else wire
        return wire.drop("stream_options", "refused without a stream", "OA-R18")
    return wire.set("stream_options", {"include_usage": True, **options}) if isinstance(options, Mapping) else wire
