"""Structured output where the vendor has no JSON Schema of its own: the schema in words, and the weaker format.

The steps of the ladder are: `json_schema`, then `json_object` with the schema in the system text, then the text
alone. The reply is held against the schema's type in every case, by `Reply.parsed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import jsoncodec
from ..call import Call, WireRequest

__all__ = ["schema_in_words", "with_instruction"]


def schema_in_words(wire: WireRequest, call: Call, fallback: str | None, reason: str, fact: str = "") -> WireRequest:
    """Return the request with the schema in the system text, and a warning that it is no longer enforced.

    `fallback` is the `response_format` type that is left (`json_object`), None if there is none. Without a structured
    output in the call the request is unchanged.
    """
    if call.output is None or "response_format" not in wire.body:
        return wire
    schema = jsoncodec.encode_text(call.output.schema)
    words = f"Answer with one JSON value and nothing else, no Markdown. It must fit this JSON Schema:\n{schema}"
    wire = with_instruction(wire, words)
    if fallback is not None:
        return wire.lower("response_format", {"type": fallback}, reason, fact)
    return wire.discard("response_format").note("lowered", "response_format", reason, fact)


def with_instruction(wire: WireRequest, text: str) -> WireRequest:
    """Return the request with a text at the end of its first system message, or as one where there is none.

    At the end, so that the beginning stays what a vendor may have cached.
    """
    messages: list[Mapping[str, Any]] = list(wire.body["messages"])
    if not messages or messages[0].get("role") != "system":
        return wire.set("messages", [{"role": "system", "content": text}, *messages])
    content = messages[0].get("content") or ""
    longer = f"{content}\n\n{text}" if isinstance(content, str) else [*content, {"type": "text", "text": text}]
    return wire.set("messages", [{**messages[0], "content": longer}, *messages[1:]])
