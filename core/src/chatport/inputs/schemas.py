"""From Python types to JSON Schema, with errors of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import BadRequestError
from ..schemas.kinds import schema_for

__all__ = ["check_schema", "schema_of"]


def schema_of(annotation: Any) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a type, with shared definitions under `$defs`.

    Attrs classes, dataclasses, msgspec structs, TypedDicts, plain annotations, and pydantic's models and dataclasses.
    Raises BadRequestError for types that JSON cannot carry.
    """
    try:
        return schema_for(annotation)
    except Exception as error:  # a type of the caller's own may bring its own schema, and raise anything
        raise BadRequestError(f"No JSON Schema can be made of {annotation!r}: {error}.") from error


def check_schema(schema: Any, where: str) -> None:
    """Raise BadRequestError for what is no schema at all."""
    if not isinstance(schema, Mapping):
        raise BadRequestError(f"{where} must be a JSON Schema (a dict), not {type(schema).__name__}.")
