"""What a chat request looks like at all, by field, as JSON Schemas: what no vendor can read is refused before the rest.

They say only what the code of an emulator relies on, and what several vendors differ in stays open: a vendor's own
field is anything, a part of content anything with a type, a tool anything with a type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from ..schemas.check import examine

__all__ = ["SHAPES", "Misfit", "misfit"]

_TEXT = {"type": "string"}
_OBJECT = {"type": "object"}
_WHOLE = {"type": "integer"}
_ANY_NUMBER = {"type": "number"}
_FLAG = {"type": "boolean"}


def _nullable(*schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema for one of these, or null."""
    return {"anyOf": [*schemas, {"type": "null"}]}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_PART = {
    **_object(("type",), type=_TEXT, text=_nullable(_TEXT)),
    "if": {"properties": {"type": {"const": "text"}}},
    "then": _object(("text",), text=_TEXT),
}
"""A part of content: its text is a text, and all else its own."""
_PARTS = _list(_PART)
_CALL = _object(
    id=_nullable(_TEXT),
    function=_nullable(_object(("name",), name=_TEXT, arguments=_nullable(_TEXT, _OBJECT))),
)
_MESSAGE = _object(
    ("role",),
    role=_TEXT,
    content=_nullable(_TEXT, _PARTS),
    name=_nullable(_TEXT),
    tool_calls=_nullable(_list(_CALL)),
    tool_call_id=_nullable(_TEXT),
)
_FUNCTION = _object(("name",), name=_TEXT, description=_nullable(_TEXT), parameters=_nullable(_OBJECT))
_TOOL = {
    **_object(("type",), type=_TEXT, function=_nullable(_FUNCTION)),
    "if": {"properties": {"type": {"const": "function"}}},
    "then": _object(("function",), function=_FUNCTION),
}
_FORMAT = _object(
    type=_TEXT,
    json_schema=_nullable(_object(name=_nullable(_TEXT), schema=_nullable(_OBJECT), strict=_nullable(_FLAG))),
)
SHAPES: Mapping[str, Any] = {
    "model": _TEXT,
    "messages": _list(_MESSAGE),
    "tools": _list(_TOOL),
    "tool_choice": {"anyOf": [_TEXT, _object(type=_TEXT, function=_object(("name",), name=_TEXT))]},
    "response_format": _FORMAT,
    "stream": _FLAG,
    "stream_options": _object(include_usage=_nullable(_FLAG)),
    "stop": {"anyOf": [_TEXT, _list(_TEXT)]},
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "n", "seed", "top_k", "top_logprobs"), _WHOLE),
    **dict.fromkeys(("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty"), _ANY_NUMBER),
    "reasoning_effort": {"type": ["string", "boolean", "integer"]},
}
"""The standard's fields."""


@attrs.frozen
class Misfit:
    """A place of a body that cannot be read (`messages[0].role`), what is wrong, and the value, None without one."""

    place: str
    problem: str
    value: Any

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing where something must be."""
        return self.problem == "is missing"


def misfit(body: Mapping[str, Any], shapes: Mapping[str, Any]) -> Misfit | None:
    """Return the first place where a body is not of these shapes, None if it fits. Null is taken for no field."""
    for name, schema in shapes.items():
        if body.get(name) is not None:
            found = examine(body[name], schema, most=1).violations
            if found:
                place = found[0].within(name).path
                return Misfit(place, found[0].problem, _at(body, place))
    return None


def _at(body: Any, place: str) -> Any:
    value = body
    for step in re.findall(r"[^.\[\]]+", place):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
