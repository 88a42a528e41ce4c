"""A small value that fits a JSON Schema, as a model would write it. Any JSON value will do for a schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..schemas.references import resolved

__all__ = ["example_of"]

_DEEP = 8
"""From here on only what must be there is written."""
_DEEPEST = 64
_MOST_VALUES = 2_000
"""A schema that refers to itself twice would ask for 2^depth values, and `minItems` for any number."""


def example_of(schema: Any, root: Any = None) -> Any:
    """Return a small value that fits a schema; `root` is what `$ref` starts from (default: the schema itself)."""
    return _Writer(schema if root is None else root).value(schema, 0)


class _Writer:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = _MOST_VALUES

    def value(self, schema: Any, depth: int) -> Any:
        depth += 1
        self._left -= 1
        if not isinstance(schema, Mapping):
            return "text"
        if depth > _DEEPEST or self._left < 0:
            return None
        if "$ref" in schema:
            found = resolved(schema["$ref"], self._root)
            return self.value({} if found is None else found[0], depth)
        for key in ("anyOf", "oneOf", "allOf"):
            if _listed(schema, key):
                return self.value(schema[key][0], depth)
        given = _given(schema)
        return given[0] if given else self._of_type(schema, depth)

    def _of_type(self, schema: Mapping[str, Any], depth: int) -> Any:
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        if kind == "object" or "properties" in schema:
            return self._object(schema, depth)
        if kind == "array":
            fewest = schema.get("minItems")
            count = fewest if isinstance(fewest, int) else 0 if depth > _DEEP else 1
            items = schema.get("items")
            return [self.value({} if items is None else items, depth) for _ in range(min(count, max(self._left, 0)))]
        return {
            "string": "text",
            "integer": schema.get("minimum", 1),
            "number": schema.get("minimum", 1.5),
            "boolean": True,
            "null": None,
        }.get(str(kind), "text")

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        known = properties if isinstance(properties, Mapping) else {}
        required = schema.get("required", () if depth > _DEEP else list(known))
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list | tuple) else ()
        return {name: self.value(known[name], depth) for name in names if name in known}


def _listed(schema: Mapping[str, Any], key: str) -> bool:
    return isinstance(schema.get(key), list | tuple) and bool(schema[key])


def _given(schema: Mapping[str, Any]) -> list[Any]:
    """Return the values that a schema names itself: the first is as good as any."""
    if "const" in schema:
        return [schema["const"]]
    named = list(schema["examples"]) if _listed(schema, "examples") else []
    default = schema.get("default")
    return [*named, *([] if default is None else [default]), *(schema["enum"] if _listed(schema, "enum") else ())]
