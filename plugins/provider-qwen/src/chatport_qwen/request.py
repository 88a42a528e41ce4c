"""shape_request: history, media, and the order in which thinking, tools and output make way for one another."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import attrs

from chatport.call import Call, Context, WireRequest
from chatport.facts import ModelFacts
from chatport.hooks import hookimpl
from chatport.standard.output import fit_output, say_json, schema_in_words
from chatport.types import ImagePart

from .thinking import is_thinking, refused_while_thinking, switch_thinking, without_new_thoughts

_SEED_END = 2**31
_REST = "the rest of an answer is no JSON by itself"


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    facts = context.facts
    wire = _seed(_history(wire, facts))
    if any(isinstance(part, ImagePart) and part.url.startswith("oss://") for m in call.messages for part in m.content):
        wire = wire.with_headers({"x-dashscope-ossresourceresolve": "enable"})  # QW-B7
    wire = without_new_thoughts(switch_thinking(wire, call, facts), call, facts)
    wire = _tool_choice(_parallel(wire, facts), facts)
    wire = _output(wire, call, facts)
    return _as_stream(wire, facts)


def _seed(wire: WireRequest) -> WireRequest:
    seed = wire.body.get("seed")
    if not isinstance(seed, int) or 0 <= seed < _SEED_END:
        return wire
    return wire.lower("seed", seed % _SEED_END, "must be from 0 to 2^31-1; the remainder is sent", "QW-P3")


# --- messages


def _history(wire: WireRequest, facts: ModelFacts) -> WireRequest:
    keeps_reasoning = bool(wire.body.get("preserve_thinking"))
    messages = [_message(message, keeps_reasoning=keeps_reasoning) for message in wire.body["messages"]]
    wire = wire.set("messages", messages)
    if facts.quirks.get("flat_content") and not _calls_functions(wire.body):
        wire = _flattened(wire)
    return wire


def _message(message: Mapping[str, Any], *, keeps_reasoning: bool) -> dict[str, Any]:
    changed = dict(message)
    if not keeps_reasoning:  # QW-R3: ignored without the flag, so the tokens are saved
        changed.pop("reasoning_content", None)
    if isinstance(message.get("content"), Sequence) and not isinstance(message["content"], str):
        changed["content"] = [_part(part) for part in message["content"]]
    return changed


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """QW-M3: sound is an address or a data URI here, where the standard has bare base64."""
    audio = part.get("input_audio")
    if audio is None or ":" in audio["data"][:16]:
        return part
    return {**part, "input_audio": {**audio, "data": f"data:;base64,{audio['data']}"}}


def _calls_functions(body: Mapping[str, Any]) -> bool:
    return bool(body.get("tools")) or any(message["role"] == "tool" for message in body["messages"])


def _flattened(wire: WireRequest) -> WireRequest:
    """QW-P16: this family loses a prompt made of parts, without a word, when there are no tools."""
    for number, message in enumerate(wire.body["messages"]):
        parts = message["content"]
        if isinstance(parts, list) and all(part["type"] == "text" for part in parts):
            flat = {**message, "content": "".join(part["text"] for part in parts)}
            messages = [*wire.body["messages"][:number], flat, *wire.body["messages"][number + 1 :]]
            wire = wire.set("messages", messages)
            wire = wire.note("dropped", f"messages[{number}].content", "marks on text parts do not go here", "QW-P16")
    return wire


# --- tools, structured output and streaming


def _parallel(wire: WireRequest, facts: ModelFacts) -> WireRequest:
    """Several calls in one turn are off here and on everywhere else; so a change of vendor would change the loop."""
    if not facts.parallel_tools or "tools" not in wire.body or "parallel_tool_calls" in wire.body:
        return wire
    return wire.add("parallel_tool_calls", True, "one call a turn unless several are allowed", "QW-T3")


def _tool_choice(wire: WireRequest, facts: ModelFacts) -> WireRequest:
    if "tool_choice" not in wire.body:
        return wire
    refused = refused_while_thinking({"tool_choice": wire.body["tool_choice"]}, facts)
    if refused is not None and is_thinking(wire, facts):
        return wire.lower("tool_choice", "auto", *refused)
    if wire.body["tool_choice"] == "required" and facts.forced_tool_choice is False:
        return _instead_of_required(wire)
    return wire


def _instead_of_required(wire: WireRequest) -> WireRequest:
    """QW-T2: models without `required` take a name, which with a single tool means the same."""
    tools = wire.body["tools"]
    if len(tools) > 1:
        return wire.lower("tool_choice", "auto", "this model takes auto, none or one tool's name", "QW-T2")
    return wire.set("tool_choice", {"type": "function", "function": {"name": tools[0]["function"]["name"]}})


def _output(wire: WireRequest, call: Call, facts: ModelFacts) -> WireRequest:
    """Ask for the strictest form of the output that this model takes now."""
    if call.prefix is not None:
        wire = schema_in_words(wire, call, None, _REST)
        return wire.drop("response_format", _REST)
    if (wire.body.get("response_format") or {}).get("type") == "json_object":
        return say_json(wire, "QW-J1")
    if not is_thinking(wire, facts):
        formats, can_force = facts.output_formats or ("json_object",), facts.tools is True  # QW-T2: a name, if any
        return fit_output(wire, call, formats, "this model takes no json_schema", "QW-J2", forced_tool=can_force)
    formats = facts.quirks.get("json_with_thinking", ())
    return fit_output(wire, call, formats, "no json_schema while the model thinks", "QW-J3")


def _as_stream(wire: WireRequest, facts: ModelFacts) -> WireRequest:
    """Ask for a stream where the model answers in no other way: `chat` folds it, and the answer is the same."""
    if wire.stream:
        return wire
    if facts.quirks.get("stream_only"):
        wire = wire.add("stream", True, "this model only streams", "QW-M4")
    elif facts.quirks.get("thinking_needs_stream") and is_thinking(wire, facts):
        wire = wire.add("stream", True, "this model thinks only in a stream", "QW-P8")
    else:
        return wire
    return attrs.evolve(wire.set("stream_options", {"include_usage": True}), stream=True)  # QW-P14
