"""What a chat request looks like at all, by field, as JSON Schemas: what no vendor can read is refused before the rest.

They say only what the code of an emulator relies on, and what several vendors differ in stays open: a vendor's own field
is anything, a part of content anything with a type, a tool anything with a type, and a function only where one is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..schemas.check import Violation, examine

__all__ = ["ANY_NUMBER", "OBJECT", "PARTS", "SHAPES", "TEXT", "WHOLE", "misfit", "nullable"]

TEXT = {"type": "string"}
OBJECT = {"type": "object"}
WHOLE = {"type": "integer"}
ANY_NUMBER = {"type": "number"}
_FLAG = {"type": "boolean"}


def nullable(*schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema for one of these, or null."""
    return {"anyOf": [*schemas, {"type": "null"}]}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


PART = {
    **_object(("type",), type=TEXT, text=TEXT),
    "if": {"properties": {"type": {"const": "text"}}},
    "then": {"required": ["text"]},
}
"""A part of content: its text is a text, and all else its own."""
PARTS = _list(PART)
_CALL = _object(
    id=nullable(TEXT),
    function=nullable(_object(("name",), name=TEXT, arguments=nullable(TEXT, OBJECT))),
)
_MESSAGE = _object(
    ("role",),
    role=TEXT,
    content=nullable(TEXT, PARTS),
    name=nullable(TEXT),
    tool_calls=nullable(_list(_CALL)),
    tool_call_id=nullable(TEXT),
)
_FUNCTION = _object(("name",), name=TEXT, description=nullable(TEXT), parameters=nullable(OBJECT))
_TOOL = {
    **_object(("type",), type=TEXT, function=_FUNCTION),
    "if": {"properties": {"type": {"const": "function"}}},
    "then": {"required": ["function"]},
}
_FORMAT = _object(
    type=TEXT,
    json_schema=nullable(_object(name=nullable(TEXT), schema=nullable(OBJECT), strict=nullable(_FLAG))),
)
SHAPES: Mapping[str, Any] = {
    "model": TEXT,
    "messages": _list(_MESSAGE),
    "tools": _list(_TOOL),
    "tool_choice": {"anyOf": [TEXT, _object(type=TEXT, function=_object(("name",), name=TEXT))]},
    "response_format": _FORMAT,
    "stream": _FLAG,
    "stream_options": _object(include_usage=nullable(_FLAG)),
    "stop": {"anyOf": [TEXT, _list(TEXT)]},
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "n", "seed", "top_k", "top_logprobs"), WHOLE),
    **dict.fromkeys(("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty"), ANY_NUMBER),
    "reasoning_effort": {"type": ["string", "boolean", "integer"]},
}
"""The standard's fields."""


def misfit(body: Mapping[str, Any], shapes: Mapping[str, Any]) -> Violation | None:
    """Return the first place where a body is not of these shapes, None if it fits. A field that is null is not there."""
    for name, schema in shapes.items():
        if body.get(name) is not None:
            found = examine(body[name], schema, most=1).violations
            if found:
                return found[0].within(name)
    return None
