"""Random JSON Schemas, many of them broken, with random answers: the check ends, and so does the fitting."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from .exchange import Exchange
from .properties import PROVIDERS, check
from .schemas import agrees

NAMES = st.sampled_from(["a", "b", "x-y", "$ref", "\u00b2", "\ud83d", "k" * 200])
NUMBERS = st.sampled_from([0, 1, 2, -1, 3, 1.0, 0.5, -0.0, 10**400, 1e308, 2**61 - 1])
SCALARS = st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "a", "aab", "1", "\ud83d", "a" * 300 + "!"])
DEEP = st.integers(1, 190).map(lambda depth: json.loads('{"a":' * depth + "null" + "}" * depth))
VALUES = st.recursive(
    SCALARS | DEEP, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
PATTERNS = st.sampled_from(["^a", "b$", "[0-9]", "^(a+)+$", "(a|aa)+$", r"(a)\1", "(", r"\p{L}", "(?=a)b", "a{1,300}"])
REFERENCES = st.sampled_from(
    [
        "#",
        "#/$defs/a",
        "#/$defs/b",
        "#/$defs/%61",
        "#/properties/a",
        "#/anyOf/0",
        "#/anyOf/\u00b2",
        "#a",
        "https://a.example/s",
    ]
)
BOUND = st.integers(0, 4) | NUMBERS


def mostly(fits: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A keyword's value, now and then one of another kind."""
    return st.integers(0, 19).flatmap(lambda dice: SCALARS | st.just([]) | st.just({}) if dice == 0 else fits)


def _with(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several, named = st.lists(inner, min_size=1, max_size=3), st.dictionaries(NAMES, inner, max_size=3)
    lists = st.lists(NAMES, max_size=2, unique=True)
    kinds = {
        "type": TYPES | st.lists(TYPES, max_size=3), "enum": st.lists(VALUES, max_size=3), "const": VALUES,
        "minimum": BOUND, "maximum": BOUND, "exclusiveMinimum": BOUND, "multipleOf": BOUND, "minLength": BOUND,
        "maxLength": BOUND, "pattern": PATTERNS, "minItems": BOUND, "uniqueItems": st.booleans(),
        "items": inner | st.booleans() | several, "prefixItems": several, "contains": inner, "minContains": BOUND,
        "properties": named, "patternProperties": st.dictionaries(PATTERNS, inner, max_size=2),
        "additionalProperties": inner | st.booleans(), "propertyNames": inner, "required": lists,
        "minProperties": BOUND, "dependentRequired": st.dictionaries(NAMES, lists, max_size=2),
        "dependentSchemas": named, "dependencies": named, "allOf": several, "anyOf": several, "oneOf": several,
        "not": inner, "if": inner, "then": inner, "else": inner, "$ref": REFERENCES, "format": st.just("date"),
        "$dynamicRef": REFERENCES, "default": VALUES, "description": st.just("d"), "title": st.just("T"),
    }  # fmt: skip
    return st.dictionaries(st.sampled_from([*kinds]), st.none(), max_size=4).flatmap(
        lambda chosen: st.fixed_dictionaries({name: mostly(kinds[name]) for name in chosen})
    )


SCHEMAS = mostly(st.recursive(st.builds(lambda kind: {"type": kind}, TYPES) | st.booleans(), _with, max_leaves=6))


@st.composite
def rooted(draw: st.DrawFn) -> Any:
    """Draw a schema with definitions, of which some refer to themselves and to one another."""
    root = draw(SCHEMAS)
    if not isinstance(root, dict) or "$ref" not in json.dumps(root):
        return root
    return {**root, "$defs": {"a": draw(SCHEMAS), "b": draw(SCHEMAS)}}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_check_ends_and_what_is_sent_has_a_measure(provider: str) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rooted(), VALUES)
    def holds(schema: Any, value: Any) -> None:
        check(provider, Exchange("schema", json.dumps({"schema": schema, "value": value}).encode()))

    holds()


def test_the_comparison_can_fail() -> None:
    assert not agrees({"type": "string"}, 5, fits=True)
    assert not agrees({"$ref": "#/$defs/a", "$defs": {"a": {"minimum": 3}}}, 5, fits=False)
