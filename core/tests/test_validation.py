"""Our check of a value by a JSON Schema gives what the reference implementation gives."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from functools import partial
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings, strategies as st
from tests.steps import count_steps

from chatport.schemas.check import Budget, Findings, examine, violations

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


@pytest.mark.slow
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
        (5, {"oneOf": [{"type": "integer"}, {"minimum": 5}, {"type": "string"}]},
         "the value fits more than one alternative, and must fit exactly one"),
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


# --- an end within a number of steps

EITHER: Any = {
    "anyOf": [
        {"type": "object", "properties": {"l": {"$ref": "#"}, "r": {"$ref": "#"}}, "required": ["l"]},
        {"type": "object", "properties": {"l": {"$ref": "#"}, "r": {"$ref": "#"}}, "required": ["r"]},
        {"type": "null"},
    ]
}


def nested(depth: int, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = {"r": leaf}
    return leaf


@pytest.mark.parametrize("leaf", [None, 5], ids=["fits", "does not fit"])
def test_alternatives_cost_no_more_for_each_level(leaf: Any) -> None:
    """What was held against a schema once is known: else the cost would be 2^depth."""
    costs = [count_steps(partial(examine, nested(depth, leaf), EITHER)) for depth in (50, 100)]
    assert costs[1] < 2.2 * costs[0]
    assert bool(examine(nested(100, leaf), EITHER).violations) is (leaf is not None)


def test_a_schema_of_shared_parts_costs_no_more_for_each_level() -> None:
    root: Any = {"$defs": {"0": {"type": "string"}}, "$ref": "#/$defs/60"}
    for level in range(60):
        both = [{"$ref": f"#/$defs/{level}"}, {"$ref": f"#/$defs/{level}"}]
        root["$defs"][str(level + 1)] = {"allOf": both, "not": {"not": both[0]}}
    assert examine("x", root) == Findings()
    assert examine(5, root).violations


@pytest.mark.parametrize(
    "items",
    [range(3000), ({"a": [number]} for number in range(3000)), (number * (2**61 - 1) for number in range(1, 3001))],
    ids=["numbers", "objects", "numbers of one hash"],
)
def test_whether_items_differ_costs_one_look_at_each(items: Iterable[Any]) -> None:
    values = [*items]
    budget = Budget()
    assert count_steps(lambda: examine(values, {"uniqueItems": True}, budget=budget)) < 100 * len(values)
    assert budget.given - budget.left < 10 * len(values)
    assert [str(violation) for violation in violations([*values, values[7]], {"uniqueItems": True})] == [
        "[3000] is there already, and the items must differ"
    ]


EXPENSIVE: list[tuple[Any, Any]] = [
    ("a" * 5_000 + "!", {"pattern": "^(a+)+$"}),
    (["a" * 500 + "!"] * 50, {"items": {"pattern": "^(a|aa)+(?=b)$"}}),
    ({f"a{number}": number for number in range(300)}, {"patternProperties": {f"{n}$": {} for n in range(300)}}),
    ([*range(2_000)], {"allOf": [{"contains": {"const": number}} for number in range(100)]}),
    ([[*range(500)]] * 100, {"items": {"enum": [[*range(number)] for number in range(100)]}}),
    ({}, {"allOf": [{"required": ["x"] * 1_000}] * 1_000}),
    (7, {"allOf": [{"required": ["x"] * 1_000}] * 1_000}),
    (nested(150, None), {"oneOf": [EITHER] * 50, "$defs": {}}),
    ([1] * 50_000, {"items": {"type": ["string", "null", "integer"]}}),
    ({f"k{number}": [[1, 2], {"a": 1}] for number in range(2_000)}, {"anyOf": [{"type": "string"}] * 2_000}),
    ([{"a": [1, 2]}] * 3_000, {"items": {"not": {"enum": [[[1], [2]], {"b": [1]}] * 5}, "minimum": "x"}}),
    ({"a": 1}, {"patternProperties": {f"(?:a{{100}}){{50}}{number}": {} for number in range(200)}}),
]


@pytest.mark.parametrize(("value", "schema"), EXPENSIVE, ids=lambda part: str(part)[:30])
def test_the_work_that_is_done_is_counted(value: Any, schema: Any) -> None:
    """Whatever a check costs, its steps grow with it: a budget of steps is one of time."""
    budget = Budget(20_000)
    lines = count_steps(lambda: examine(value, schema, budget=budget))
    assert lines < 60 * (budget.given - max(budget.left, 0)) + 2_000
    found = examine(value, schema, budget=Budget(1_000))
    assert not found.is_complete
    assert found.unchecked[-1] == "the check would take more than 1000 steps"


def test_checks_can_share_a_budget() -> None:
    budget = Budget(1_000)
    assert examine([1] * 400, {"items": {"minimum": 0}}, budget=budget).is_complete
    assert not examine([1] * 400, {"items": {"minimum": 0}}, budget=budget).is_complete


@pytest.mark.slow
@pytest.mark.parametrize("depth", [100, 20_000])
def test_no_depth_is_too_deep(depth: int) -> None:
    """Neither of the value nor of the schema: nothing here hangs on how deep Python may call."""
    value: Any = 0
    schema: Any = {"type": "string"}
    for _ in range(depth):
        value, schema = [value], {"items": schema}
    assert [found.problem for found in violations(value, schema)] == ["is not of type string but 0"]
    assert examine(value, {"const": value}) == Findings()
    lists = {
        "$ref": "#/$defs/list",
        "$defs": {"list": {"type": ["array", "integer"], "items": {"$ref": "#/$defs/list"}}},
    }
    assert examine(value, lists) == Findings()


def test_a_long_chain_that_is_no_circle_is_followed() -> None:
    """A hundred levels of a tree are a hundred levels, however many schemas lie on each."""
    tree = {
        "oneOf": [{"type": "null"}, {"allOf": [{"allOf": [{"properties": {"r": {"$ref": "#"}}, "type": "object"}]}]}]
    }
    assert examine(nested(190, None), tree) == Findings()
    assert examine(nested(190, 3), tree).violations


def test_what_hangs_on_a_circle_is_not_remembered() -> None:
    """B fits a text by way of A, though it did not while A was still open."""
    root = {
        "$defs": {
            "a": {"anyOf": [{"$ref": "#/$defs/b"}, {"type": "string"}]},
            "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "number"}]},
        },
        "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
    }
    assert examine("x", root) == Findings()


# --- what cannot be checked


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "https://example.com/x"}, "leads nowhere"),
        ({"$ref": "#/nowhere"}, "leads nowhere"),
        ({"$ref": "#anchor", "anchor": {"type": "string"}}, "leads nowhere"),
        ({"$ref": "#/allOf/²", "allOf": [True]}, "leads nowhere"),
        ({"$ref": "#/allOf/" + "9" * 5000, "allOf": [True]}, "leads nowhere"),
        ({"$ref": 5}, r"\$ref must be a text, not 5"),
        ({"$dynamicRef": "#x"}, "dynamic references"),
        ({"type": "file"}, "type must be one of array,"),
        ({"type": [{}]}, "type must be one of array,"),
        ({"required": "a"}, "required must be a list of names, not 'a'"),
        ({"required": [[]]}, "required must be a list of names"),
        ({"properties": []}, "properties must be an object of schemas by name"),
        ({"properties": {"a": 5}}, "5 is no schema"),
        ({"minimum": float("nan")}, "minimum must be a number"),
        ({"minimum": "1"}, "minimum must be a number"),
        ({"enum": "abc"}, "enum must be a list"),
        ({"items": 5}, "items must be a schema or a list of them"),
        ({"pattern": "(?P<"}, "is not run: it is no regular expression"),
        ({"patternProperties": {r"(a)\1": False}}, "is not run: it uses groupref"),
        ({"dependentRequired": {"a": "b"}}, "dependentRequired must be"),
        ("no schema", "'no schema' is no schema"),
    ],
)
def test_what_cannot_be_checked_fits_and_is_said(schema: Any, reason: str) -> None:
    text = examine("text", schema)
    found = [examine(value, schema) for value in ({"a": 1}, [1, 2])] + [text]
    assert all(one.is_complete and not one.violations for one in found)
    assert re.search(reason, " ".join(reason for one in found for reason in one.unchecked))


def test_a_schema_that_is_no_value_of_json_is_no_crash() -> None:
    class Broken(dict[str, Any]):
        def items(self) -> Any:
            raise ZeroDivisionError

    found = examine({}, {"allOf": [Broken(a=1)]})
    assert (found.is_complete, found.unchecked) == (False, ("the check failed with ZeroDivisionError",))


HUGE = 10**5_000


@pytest.mark.parametrize(
    ("value", "schema", "fits"),
    [
        (10**400, {"multipleOf": 0.5}, True),
        (10**400 + 1, {"multipleOf": 2.5}, False),
        (1e308, {"multipleOf": 1e-300}, True),
        (1e20, {"multipleOf": 0.5}, True),
        (19.99, {"multipleOf": 0.01}, True),
        (1, {"multipleOf": HUGE}, False),
        (1.5, {"multipleOf": HUGE}, False),
        (1, {"minimum": HUGE}, False),
        (1, {"maximum": HUGE, "maxLength": HUGE}, True),
        ("x", {"minLength": HUGE}, False),
        (1, {"const": HUGE}, False),
        (HUGE, {"enum": [HUGE]}, True),
        ([HUGE], {"items": {"type": "string"}}, False),
        (1, {"const": True}, False),
        ([1], {"const": [True]}, False),
        ({"a": 0}, {"enum": [{"a": False}]}, False),
        (1.0, {"enum": [1]}, True),
        (1, {"anyOf": []}, True),
        (1, {"oneOf": []}, True),
        ([1, True, 1.5, "1", None, [1], {"1": 1}], {"uniqueItems": True}, True),
        ([{"a": 1, "b": [1.0]}, {"b": [1], "a": 1}], {"uniqueItems": True}, False),
        (5, {"$ref": "#/$defs/a%25b", "$defs": {"a%b": {"type": "string"}}}, False),
        (5, {"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"type": "string"}}}, False),
    ],
    ids=map(str, itertools.count()),
)
def test_odd_numbers_and_references(value: Any, schema: Any, fits: bool) -> None:
    found = examine(value, schema)
    assert (not found.violations, found.is_complete) == (fits, True)
    assert all(len(str(violation)) < 300 for violation in found.violations)


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ({"k" * 1_000_000: 1}, {"additionalProperties": False}),
        ({"\ud83d\n": 1}, {"additionalProperties": False}),
        ("x" * 1_000_000, {"const": "y" * 1_000_000}),
        ([[*range(100_000)]], {"items": {"type": "string"}}),
        (1, {"enum": [*range(2, 10_000)]}),
        ("\ud83d", {"pattern": "^a"}),
    ],
    ids=["long name", "half a pair", "long text", "long list", "long enum", "half a text"],
)
def test_a_violation_is_short_and_can_be_shown(value: Any, schema: Any) -> None:
    shown = str(next(violations(value, schema)))
    assert len(shown.encode()) < 1_000
    assert shown.isprintable()
