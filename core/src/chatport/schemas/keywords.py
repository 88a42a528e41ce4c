"""What kind of value each keyword of JSON Schema has. https://json-schema.org/draft/2020-12"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, TypeAlias

__all__ = ["KINDS", "MAPPINGS", "MOST_LEVELS", "TYPES", "is_number"]

TYPES = frozenset({"string", "number", "integer", "boolean", "null", "array", "object"})
MAPPINGS = (dict, Mapping)
"""For `isinstance`: the first is told apart ten times as fast, and is nearly always it."""

MOST_LEVELS = 100
"""How many schemas may stand inside one another where a schema is fitted for a vendor."""

Kind: TypeAlias = tuple[str, Callable[[Any], bool]]
"""In words, and as a test."""


def is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and isfinite(value))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _are_lists_of_texts(value: Any) -> bool:
    return isinstance(value, MAPPINGS) and all(map(_are_texts, value.values()))


def _are_types(value: Any) -> bool:
    return value in TYPES if isinstance(value, str) else _are_texts(value) and TYPES.issuperset(value)


_SCHEMA: Kind = "a schema", lambda value: isinstance(value, (*MAPPINGS, bool))
_SCHEMAS: Kind = "a list of schemas", lambda value: isinstance(value, list | tuple)
_NAMED: Kind = "an object of schemas by name", lambda value: isinstance(value, MAPPINGS) and _are_texts([*value])
_NUMBER: Kind = "a number", is_number
_TEXT: Kind = "a text", lambda value: isinstance(value, str)
_ANYTHING: Kind = "anything", lambda value: True

KINDS: Mapping[str, Kind] = {
    "type": (f"one of {', '.join(sorted(TYPES))}, or a list of them", _are_types),
    "enum": ("a list", lambda value: isinstance(value, list | tuple)),
    "required": ("a list of names", _are_texts),
    "dependentRequired": ("an object of lists of names", _are_lists_of_texts),
    "uniqueItems": ("true or false", lambda value: type(value) is bool),
    "items": ("a schema or a list of them", lambda value: isinstance(value, (*MAPPINGS, bool, list, tuple))),
    "dependencies": ("an object", lambda value: isinstance(value, MAPPINGS)),
    "const": _ANYTHING,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _NUMBER),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _NUMBER),
    **dict.fromkeys(("minContains", "maxContains"), _NUMBER),
    **dict.fromkeys(("pattern", "format", "$ref", "$dynamicRef", "$recursiveRef"), _TEXT),
    **dict.fromkeys(("properties", "patternProperties", "dependentSchemas", "$defs", "definitions"), _NAMED),
    **dict.fromkeys(("prefixItems", "allOf", "anyOf", "oneOf"), _SCHEMAS),
    **dict.fromkeys(("additionalItems", "additionalProperties", "propertyNames", "contains", "not"), _SCHEMA),
    **dict.fromkeys(("if", "then", "else", "unevaluatedItems", "unevaluatedProperties"), _SCHEMA),
}
