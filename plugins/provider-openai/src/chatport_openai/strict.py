"""Make a JSON Schema strict where that keeps its meaning, and say why where it does not.

Strict means: every object is closed and lists all its properties as required (OA-T9). What is lossless is done here;
what would change which values are allowed raises `NotStrict`, and the caller sends the schema as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["NotStrict", "root_object", "strict_schema"]

_KEPT = frozenset(
    {"type", "enum", "const", "description", "pattern", "format", "minimum", "maximum", "exclusiveMinimum"}
    | {"exclusiveMaximum", "multipleOf", "minItems", "maxItems"}
)
_DROPPED = frozenset(  # OA-T10: they say nothing about the value
    {"title", "$schema", "$id", "$comment", "discriminator", "examples", "deprecated", "readOnly", "writeOnly"}
)
_IMPOSSIBLE = frozenset(  # OA-O5; the last two are open objects and tuples
    {"allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties", "prefixItems"}
)
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})  # OA-T11
_LOOK_AROUND = re.compile(r"\(\?<?[=!]")
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_MOST = {"properties": 5000, "levels of nesting": 10, "characters of names": 120_000, "enum values": 1000}  # OA-O4


class NotStrict(ValueError):
    """The schema cannot be made strict without changing its meaning."""


def root_object(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema with an object at its root (a reference there is followed), None if it has none (OA-O5)."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        target = schema.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
        schema = {**target, "$defs": schema["$defs"]}
    is_object = schema.get("type") == "object" or ("type" not in schema and "properties" in schema)
    return schema if is_object else None


def strict_schema(schema: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the strict form, and the keywords that had to move into descriptions, where nothing enforces them.

    Raises NotStrict.
    """
    root = root_object(schema)
    if root is None:
        raise NotStrict("its root is not an object")
    rewriter = _Rewriter()
    strict = rewriter.node({"properties": {}, **root}, 1)
    rewriter.check_sizes()
    return strict, tuple(sorted(rewriter.moved))


class _Rewriter:
    def __init__(self) -> None:
        self.moved: set[str] = set()
        self.sizes = dict.fromkeys(_MOST, 0)

    def node(self, schema: Any, level: int) -> dict[str, Any]:
        if not isinstance(schema, Mapping):
            raise NotStrict("a part of it allows anything")
        barred = sorted(_IMPOSSIBLE & schema.keys())
        if barred:
            raise NotStrict(f"it uses {barred[0]}")
        strict: dict[str, Any] = {}
        hints: list[str] = []
        for keyword, value in _without_siblings(schema).items():
            self._keyword(keyword, value, strict, hints, level)
        _set_type(strict)
        if strict.get("type") == "array" and "items" not in strict:
            raise NotStrict("an array does not say what it holds")
        if "properties" in schema or _has_type(strict, "object"):
            self._object(schema, strict, level)
        if hints:
            said = strict.get("description", "")
            strict["description"] = f"{said} ({'; '.join(hints)})".strip()
        return strict

    def _keyword(self, keyword: str, value: Any, strict: dict[str, Any], hints: list[str], level: int) -> None:
        if keyword in ("anyOf", "oneOf"):
            if "anyOf" in strict:
                raise NotStrict("it uses anyOf and oneOf together")
            strict["anyOf"] = [self.node(part, level) for part in value]
        elif keyword == "items":
            strict["items"] = self.node(value, level)
        elif keyword in ("$defs", "definitions"):
            self._count_names(value)
            strict[keyword] = {name: self.node(part, 1) for name, part in value.items()}
        elif keyword == "$ref":
            strict["$ref"] = value
        elif keyword == "default":
            if value is not None:
                hints.append(f"default: {json.dumps(value, ensure_ascii=False)}")
        elif keyword in _KEPT and not _is_foreign(keyword, value):
            self._count_values(keyword, value)
            strict[keyword] = value
        elif keyword not in _DROPPED and keyword not in ("properties", "required", "additionalProperties"):
            self.moved.add(keyword)  # OA-T11
            hints.append(f"{keyword}: {json.dumps(value, ensure_ascii=False)}")

    def _object(self, schema: Mapping[str, Any], strict: dict[str, Any], level: int) -> None:
        if schema.get("additionalProperties", False) is not False:  # OA-P14: they hold the values of a dict
            raise NotStrict("an object of it takes keys that are not named")
        properties = schema.get("properties")
        if properties is None and "additionalProperties" not in schema:
            raise NotStrict("an object of it names no properties")
        properties = properties or {}
        for name, part in properties.items():
            if name not in schema.get("required", ()) and not _can_stand_for_absence(part):
                raise NotStrict(f"the property {name!r} may be left out, and has neither a default nor null for that")
        self._count_names(properties)
        self.sizes["properties"] += len(properties)
        self.sizes["levels of nesting"] = max(self.sizes["levels of nesting"], level)
        strict.setdefault("type", "object")
        strict["properties"] = {name: self.node(part, level + 1) for name, part in properties.items()}
        strict["required"] = list(properties)
        strict["additionalProperties"] = False

    def _count_names(self, names: Mapping[str, Any]) -> None:
        self.sizes["characters of names"] += sum(map(len, names))

    def _count_values(self, keyword: str, value: Any) -> None:
        if keyword not in ("enum", "const"):
            return
        values = value if keyword == "enum" else [value]
        characters = sum(len(str(item)) for item in values)
        self.sizes["characters of names"] += characters
        self.sizes["enum values"] += len(values) if keyword == "enum" else 0
        if len(values) > 250 and characters > 15_000:
            raise NotStrict("one enum of it is longer than 15000 characters")

    def check_sizes(self) -> None:
        for what, size in self.sizes.items():
            if size > _MOST[what]:
                raise NotStrict(f"it has {size} {what}, and {_MOST[what]} are the most")


def _without_siblings(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A reference stands alone; what is said beside it goes around it (OA-T10)."""
    if "$ref" not in schema or schema.keys() <= {"$ref", *_DROPPED}:
        return schema
    return {"anyOf": [{"$ref": schema["$ref"]}], **{k: v for k, v in schema.items() if k != "$ref"}}


def _set_type(strict: dict[str, Any]) -> None:
    """Give an enum or a constant its type; refuse what has none."""
    if strict.keys() & {"type", "anyOf", "$ref"}:
        return
    values = strict["enum"] if "enum" in strict else [strict["const"]] if "const" in strict else []
    types = sorted({_TYPES.get(type(value), "") for value in values})
    if not types or "" in types:
        raise NotStrict("a part of it has no type")
    strict["type"] = types[0] if len(types) == 1 else types


def _is_foreign(keyword: str, value: Any) -> bool:
    if keyword == "format":
        return value not in _FORMATS
    return keyword == "pattern" and _LOOK_AROUND.search(str(value)) is not None


def _has_type(schema: Mapping[str, Any], name: str) -> bool:
    kind = schema.get("type")
    return kind == name or (isinstance(kind, list) and name in kind)


def _can_stand_for_absence(schema: Any) -> bool:
    """Whether a value can say what leaving the property out would: its default, or null where that is allowed."""
    if not isinstance(schema, Mapping):
        return False
    return (
        "default" in schema
        or _has_type(schema, "null")
        or None in schema.get("enum", ())
        or any(_can_stand_for_absence(part) for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())))
    )
