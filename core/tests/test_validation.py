"""Our check of a value by a JSON Schema gives what the reference implementation gives."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings, strategies as st

from chatport.validation import violations

NAMES = st.sampled_from(["a", "b", "name", "x-y"])
SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 1.0, -2.5]) | st.text("abx1", max_size=4)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
BOUND = st.integers(0, 4)


def _with(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(NAMES, inner, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
            "enum": st.lists(VALUES, min_size=1, max_size=3),
            "const": VALUES,
            "minimum": BOUND,
            "maximum": BOUND,
            "exclusiveMinimum": BOUND,
            "exclusiveMaximum": BOUND,
            "multipleOf": st.sampled_from([1, 2, 3, 0.5]),
            "minLength": BOUND,
            "maxLength": BOUND,
            "pattern": st.sampled_from(["^a", "b$", "[0-9]"]),
            "minItems": BOUND,
            "maxItems": BOUND,
            "uniqueItems": st.booleans(),
            "items": inner | st.booleans(),
            "prefixItems": several,
            "contains": inner,
            "minContains": st.integers(0, 2),
            "properties": named,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "e$"]), inner, max_size=2),
            "additionalProperties": inner | st.booleans(),
            "propertyNames": st.sampled_from([{"maxLength": 1}, {"pattern": "a"}]),
            "required": st.lists(NAMES, max_size=2, unique=True),
            "minProperties": BOUND,
            "maxProperties": BOUND,
            "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, max_size=2, unique=True), max_size=2),
            "dependentSchemas": st.dictionaries(NAMES, inner, max_size=1),
            "allOf": several,
            "anyOf": several,
            "oneOf": several,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "$ref": st.sampled_from(["#/$defs/one", "#/$defs/two"]),
        },
    )


SCHEMAS = st.recursive(st.builds(lambda kind: {"type": kind}, TYPES), _with, max_leaves=6)


@settings(max_examples=600, deadline=None)
@given(SCHEMAS, SCHEMAS, VALUES)
def test_it_agrees_with_the_reference_implementation(schema: Any, one: Any, value: Any) -> None:
    two = {"type": "array", "items": {"$ref": "#/$defs/two"}}  # a schema may refer to itself
    root = {**schema, "$defs": {"one": _without_references(one), "two": two}}
    expected = jsonschema.Draft202012Validator(root).is_valid(value)
    found = list(violations(value, root))
    assert (not found) == expected, [str(violation) for violation in found]


def _without_references(schema: Any) -> Any:
    """Return the schema less its references: two definitions that are one another describe nothing."""
    if isinstance(schema, dict):
        return {key: _without_references(part) for key, part in schema.items() if key != "$ref"}
    return [_without_references(part) for part in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize(
    ("value", "schema", "shown"),
    [
        ({"a": 1}, {"properties": {"a": {"type": "string"}}}, "a is not of type string but 1"),
        ({}, {"required": ["city"]}, "city is missing"),
        ([1, "x"], {"items": {"type": "integer"}}, "[1] is not of type integer but 'x'"),
        ({"a": {"b": [{"c": 0}]}}, {"properties": {"a": {"properties": {"b": {"items": {"properties": {"c": {
            "minimum": 1}}}}}}}}, "a.b[0].c is 0, which is not at least 1"),
        ("z", {"enum": ["a", "b"]}, "the value is 'z', which is none of 'a', 'b'"),
        (True, {"type": "integer"}, "the value is not of type integer but True"),
        ({"b": 1}, {"additionalProperties": False}, "b is not allowed here"),
        ({"kind": 1}, {"anyOf": [{"type": "string"}, {"properties": {"kind": {"type": "string"}}}]},
         "kind is not of type string but 1, and no other alternative fits"),
        ([1, 2, 3], {"items": [{"type": "integer"}], "additionalItems": {"type": "string"}},
         "[1] is not of type string but 2"),
    ],
)  # fmt: skip
def test_a_violation_names_its_place(value: Any, schema: Any, shown: str) -> None:
    assert str(next(violations(value, schema))) == shown


def test_a_schema_that_is_only_itself_ends() -> None:
    schema = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert "refers to itself for ever" in str(next(violations(1, schema)))


def test_a_deep_value_ends_in_time() -> None:
    """A tree under `oneOf`: a branch that is walked twice at each level would never come to an end."""
    tree: Any = {"oneOf": [{"type": "null"}, {"type": "object", "properties": {"left": {"$ref": "#"}}}]}
    value: Any = None
    for _ in range(60):
        value = {"left": value}
    assert list(violations(value, tree)) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "(?P<"}, {"type": 5}, {"required": "a"}, {"properties": []}, {"$ref": "#/nowhere"}, {"items": 5},
        {"$ref": "https://example.com/x"}, {"enum": None}, {"anyOf": {}}, {"minimum": "1"}, {"maxItems": None},
        {"dependentRequired": 1}, {"multipleOf": 0}, "no schema", None,
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["text", 1, {"a": 1}, [1], None])
def test_a_schema_with_mistakes_is_no_crash(schema: Any, value: Any) -> None:
    list(violations(value, schema))
