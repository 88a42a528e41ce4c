"""The closed subset: what can be enforced is kept, what cannot goes into words, and some schemas are outside of it."""

from __future__ import annotations

from typing import Any

import pytest

from chatport.standard.closed_schemas import ClosedSubset, closed, why_not_closed
from chatport.standard.schemas import Loss

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
    ],
)
def test_a_schema_in_the_closed_subset(part: Any, sent: Any, lost: list[str]) -> None:
    losses: list[Loss] = []
    assert closed(of(part), SUBSET, losses) == {**of(sent), "additionalProperties": False}
    assert [loss.keyword for loss in losses] == lost


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
    ],
)
def test_what_cannot_be_enforced_at_all(schema: dict[str, Any], why: str | None) -> None:
    found = why_not_closed(schema)
    assert found is None if why is None else why in str(found)
