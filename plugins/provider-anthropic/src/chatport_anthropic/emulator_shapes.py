"""What a request of the Messages protocol looks like at all: the JSON Schemas that its fields are held against.

They say what its code relies on. A block or a tool that it does not know is anything with a type: server tools and what
comes of them pass (AN-S4, section 5 of the facts).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["SHAPES"]

_TEXT = {"type": "string"}
_OBJECT = {"type": "object"}
_WHOLE = {"type": "integer"}
_NUMBER = {"type": "number"}
_FLAG = {"type": "boolean"}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _typed(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a schema for a block with a type, whose further fields depend on it."""
    kinds = [
        {
            "if": {"properties": {"type": {"const": kind}}},
            "then": {"properties": dict(inner), "required": [name for name in inner if name not in _OPTIONAL]},
        }
        for kind, inner in fields.items()
    ]
    return {**_object(("type",), type=_TEXT), "allOf": kinds}


_OPTIONAL = ("content", "signature")
_TEXTS = {"anyOf": [_TEXT, {"type": "array", "items": _typed({"text": {"text": _TEXT}})}]}
_BLOCK = _typed(
    {
        "text": {"text": _TEXT},
        "thinking": {"thinking": _TEXT, "signature": _nullable(_TEXT)},
        "redacted_thinking": {"data": _TEXT},
        "tool_use": {"id": _TEXT, "name": _TEXT, "input": _OBJECT},
        "tool_result": {"tool_use_id": _TEXT, "content": _nullable(_TEXTS)},
    }
)
_CONTENT = {"anyOf": [_TEXT, {"type": "array", "items": _BLOCK}]}
_TOOL = _object(("name",), name=_TEXT, type=_nullable(_TEXT), strict=_nullable(_FLAG))
_SERVER_TOOL = _object(("type",), type=_TEXT, name=_nullable(_TEXT))
SHAPES: Mapping[str, Any] = {
    "model": _TEXT,
    "messages": {"type": "array", "items": _object(("role", "content"), role=_TEXT, content=_CONTENT)},
    "system": _TEXTS,
    "max_tokens": _WHOLE,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "top_k": _WHOLE,
    "stop_sequences": {"type": "array", "items": _TEXT},
    "stream": _FLAG,
    "thinking": _object(("type",), type=_TEXT, budget_tokens=_nullable(_WHOLE), display=_nullable(_TEXT)),
    "output_config": _object(
        effort=_nullable(_TEXT), format=_nullable(_object(("type", "schema"), type=_TEXT, schema=_OBJECT))
    ),
    "tools": {"type": "array", "items": {"anyOf": [_TOOL, _SERVER_TOOL]}},
    "tool_choice": _object(("type",), type=_TEXT, name=_nullable(_TEXT)),
    "metadata": _OBJECT,
}
