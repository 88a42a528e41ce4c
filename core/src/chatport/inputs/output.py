"""The structure that a caller wants of the text: a JSON Schema, or a type that one is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import BadRequestError
from ..types import OutputSpec
from .schemas import check_schema, schema_of

__all__ = ["read_output"]


def read_output(output: Any) -> OutputSpec | None:
    """Return the wanted structure: from a JSON Schema dict, or from a type."""
    if output is None:
        return None
    if isinstance(output, OutputSpec):
        check_schema(output.schema, "output.schema")
        return output
    if isinstance(output, Mapping):
        if not output:
            raise BadRequestError("output is an empty schema; leave it out for free text.")
        return OutputSpec(_schema_name(output.get("title") or "output"), output)
    schema = schema_of(output)
    name = _schema_name(getattr(output, "__name__", "output"))
    if schema.get("type") == "object" or "$ref" in schema:
        return OutputSpec(name, schema, type=output)
    return OutputSpec(name, _around(schema), type=output, inside=_INSIDE)


_INSIDE = "value"
"""The key of the object around what is none. A schema that the caller wrote stays as it is: he may read the text."""


def _around(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with the value under one key; definitions stay where references look for them."""
    inner = {word: value for word, value in schema.items() if word != "$defs"}
    shared = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    around = {"type": "object", "properties": {_INSIDE: inner}, "required": [_INSIDE], "additionalProperties": False}
    return {**around, **shared}


def _schema_name(title: Any) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", str(title))[:64] or "output"
