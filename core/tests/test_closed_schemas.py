"""The closed subset: what can be enforced is kept, what cannot goes into words, and some schemas are outside of it."""

from __future__ import annotations

from typing import Any

import pytest

from chatport.standard.closed_schemas import ClosedSubset, closed, why_not_closed
from chatport.standard.schemas import Loss


def nested(levels: int) -> dict[str, Any]:
    """Return an array of so many levels."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


SUBSET = ClosedSubset(frozenset({"pattern", "format"}), frozenset({"date"}), most_least_items=1)


def of(part: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": part}}


@pytest.mark.parametrize(
    ("part", "sent", "lost"),
    [
        ({"type": "string", "pattern": "a+"}, {"type": "string", "pattern": "a+"}, []),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}, []),
        ({"type": "string", "format": "x"}, {"type": "string", "description": '(format: "x")'}, ["format"]),
        ({"type": "array", "minItems": 1}, {"type": "array", "minItems": 1}, []),
        ({"type": "array", "minItems": 2}, {"type": "array", "description": "(minItems: 2)"}, ["minItems"]),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, []),
        (
            {"type": "array", "items": [{"type": "string"}]},
            {"type": "array", "description": '(items: [{"type":"string"}])'},
            ["items"],
        ),
        ({"type": "array", "items": False}, {"type": "array", "description": "(items: false)"}, ["items"]),
        (
            {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}},
            {"type": "array", "description": '(prefixItems: [{"type":"string"}]; items: {"type":"integer"})'},
            ["prefixItems", "items"],
        ),
        ({"$ref": "#/$defs/A", "minLength": 2, "description": "d"}, {"$ref": "#/$defs/A"}, ["minLength"]),
        ({"enum": [[1]]}, {"description": "(enum: [[1]])"}, ["enum"]),
        ({"const": {"a": 1}}, {"description": '(const: {"a":1})'}, ["const"]),
        ({"type": "string", "$schema": "x", "discriminator": {}}, {"type": "string"}, []),
    ],
)
def test_a_schema_in_the_closed_subset(part: Any, sent: Any, lost: list[str]) -> None:
    losses: list[Loss] = []
    assert closed(of(part), SUBSET, losses) == {**of(sent), "additionalProperties": False}
    assert [loss.keyword for loss in losses] == lost


@pytest.mark.parametrize(
    ("part", "sent", "reason"),
    [
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, [{"type": "integer"}, {"type": "number"}], "as anyOf"),
        ({"anyOf": [{"type": "string"}], "oneOf": [{"type": "null"}]}, [{"type": "string"}], "gone, beside anyOf"),
    ],
)
def test_there_is_one_kind_of_union(part: Any, sent: Any, reason: str) -> None:
    losses: list[Loss] = []
    assert closed(of(part), SUBSET, losses)["properties"]["x"] == {"anyOf": sent}
    ((path, keyword, told),) = [(loss.path, loss.keyword, loss.reason) for loss in losses]
    assert (path, keyword) == ("properties.x", "oneOf")
    assert told.endswith(reason)


def test_what_is_in_no_subset_is_told() -> None:
    losses: list[Loss] = []
    assert "description" in closed(of({"type": "string", "pattern": "a+"}), ClosedSubset(), losses)["properties"]["x"]
    assert [loss.keyword for loss in losses] == ["pattern"]


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (of({}), "any type"),
        ({"type": "object"}, "free keys"),
        ({"$ref": "#"}, "recursion"),
        ({"$ref": "https://a.example/s"}, "outside reference"),
        (of(False), "allows nothing"),
        (of({"type": "string"}), None),
        ({**of({"type": "string"}), "required": ["x", "y"]}, "a required property that is not described"),
        ({**of({"type": "string"}), "required": ["x"]}, None),
        ({**of({"type": "string"}), "additionalProperties": False, "patternProperties": {"^y": {}}}, "free keys"),
        ({**of({"type": "string"}), "anyOf": [of({"type": "string"})]}, "both in itself and in a union"),
        ({**of({"allOf": [{"$ref": "#/$defs/A"}]}), "$defs": {"A": {"type": "string"}}}, "allOf with $ref at prop"),
        (nested(99), None),
        (nested(100), "more than 100 levels at items.items"),
    ],
)
def test_what_cannot_be_enforced_at_all(schema: dict[str, Any], why: str | None) -> None:
    found = why_not_closed(schema)
    assert found is None if why is None else why in str(found)
