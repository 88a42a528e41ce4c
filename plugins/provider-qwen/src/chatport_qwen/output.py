"""Structured output: the strictest form that this model takes now, and the schema in words where it takes none."""

from __future__ import annotations

from chatport import jsoncodec
from chatport.call import Call, WireRequest
from chatport.facts import ModelFacts
from chatport.standard.output import schema_in_words, with_instruction

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
    if "json_object" in taken:
        return schema_in_words(wire, call, "json_object", f"{why}: any JSON object, and the schema in words", fact)
    return schema_in_words(wire, call, None, f"{why}, nor json_object: the schema is in words only", fact)


def _with_the_word(wire: WireRequest) -> WireRequest:
    """QW-J1: json_object is refused when no message says "json"."""
    messages = wire.body["messages"]
    if any("json" in jsoncodec.encode_text(message.get("content")).lower() for message in messages):
        return wire
    told = with_instruction(wire, "Answer with a JSON object and nothing else.")
    return told.note("added", "messages", "json_object needs the word JSON in a message", "QW-J1")
