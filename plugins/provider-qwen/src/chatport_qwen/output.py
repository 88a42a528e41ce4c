"""Structured output: the strictest form that this model takes now, and the schema in words where it takes none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatport import jsoncodec
from chatport.call import Call, OutputSpec, WireRequest
from chatport.facts import ModelFacts

from .thinking import is_thinking

__all__ = ["fit_output"]


def fit_output(wire: WireRequest, call: Call, facts: ModelFacts) -> WireRequest:
    """Return the request with a `response_format` that is accepted; `Reply.parsed` checks the answer in any case."""
    format_type = (wire.body.get("response_format") or {}).get("type")
    if format_type == "json_object":
        return _with_the_word(wire)
    if format_type != "json_schema" or call.output is None:
        return wire
    thinks = is_thinking(wire, facts)
    taken = facts.quirks.get("json_with_thinking", ()) if thinks else facts.output_formats or ("json_object",)
    if "json_schema" in taken:
        return wire
    fact = "QW-J3" if thinks else "QW-J2"
    why = "no json_schema while the model thinks" if thinks else "this model takes no json_schema"
    wire = wire.set("messages", _instructed(wire.body["messages"], _in_words(call.output)))
    if "json_object" in taken:
        reason = f"{why}: any JSON object, and the schema in the instructions"
        return wire.lower("response_format", {"type": "json_object"}, reason, fact)
    reason = f"{why}, nor json_object: the schema is in the instructions only"
    return wire.discard("response_format").note("lowered", "response_format", reason, fact)


def _with_the_word(wire: WireRequest) -> WireRequest:
    """QW-J1: json_object is refused when no message says "json"."""
    messages = wire.body["messages"]
    if any("json" in jsoncodec.encode_text(message.get("content")).lower() for message in messages):
        return wire
    told = _instructed(messages, "Answer with a JSON object and nothing else.")
    return wire.add("messages", told, "json_object needs the word JSON in a message", "QW-J1")


def _in_words(output: OutputSpec) -> str:
    schema = jsoncodec.encode_text(output.schema)
    return f"Answer with one JSON object and nothing else, no Markdown. It must fit this JSON Schema:\n{schema}"


def _instructed(messages: Sequence[Mapping[str, Any]], text: str) -> list[Mapping[str, Any]]:
    """Return the messages with an instruction at the end of the first system message, or as a new one."""
    if not messages or messages[0].get("role") != "system":
        return [{"role": "system", "content": text}, *messages]
    content = messages[0]["content"]
    longer = f"{content}\n\n{text}" if isinstance(content, str) else [*content, {"type": "text", "text": text}]
    return [{**messages[0], "content": longer}, *messages[1:]]
