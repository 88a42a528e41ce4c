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
    """Return the wanted structure: from a JSON Schema dict, or from an attrs, dataclass or msgspec type."""
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
    return OutputSpec(_schema_name(getattr(output, "__name__", "output")), schema, type=output)


def _schema_name(title: Any) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", str(title))[:64] or "output"
