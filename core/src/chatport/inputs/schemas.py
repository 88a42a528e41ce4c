"""From Python types to JSON Schema.

Attrs classes, dataclasses, msgspec structs, TypedDicts and plain annotations are read by msgspec in one walk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .. import jsoncodec
from ..errors import BadRequestError

__all__ = ["check_schema", "schema_of"]


def schema_of(annotation: Any) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a type, with shared definitions under `$defs`.

    Raises BadRequestError for types that JSON cannot carry.
    """
    try:
        (schema,), definitions = msgspec.json.schema_components([annotation], ref_template="#/$defs/{name}")
    except (TypeError, RuntimeError) as error:
        raise BadRequestError(f"No JSON Schema can be made of {annotation!r}: {error}.") from error
    if set(schema) == {"$ref"}:  # the type itself belongs at the top, unless it refers to itself
        name = schema["$ref"].removeprefix("#/$defs/")
        if schema["$ref"] not in jsoncodec.encode_text(definitions):
            schema = definitions.pop(name)
    return {**schema, **({"$defs": definitions} if definitions else {})}


def check_schema(schema: Any, where: str) -> None:
    """Raise BadRequestError for what is no schema at all."""
    if not isinstance(schema, Mapping):
        raise BadRequestError(f"{where} must be a JSON Schema (a dict), not {type(schema).__name__}.")
