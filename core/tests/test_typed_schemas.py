"""The typed subset: what means the same is rewritten, what cannot be said is a loss or a misfit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from chatport.standard.typed_schemas import Misfit, fit_typed


def of(part: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": part}}


@pytest.mark.parametrize(
    ("part", "sent", "lost"),
    [
        ({"title": "X", "type": "string"}, {"type": "string"}, []),
        ({"const": 1}, {"type": "integer", "enum": [1]}, []),
        ({"type": ["string", "null"]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, []),
        ({"allOf": [{"type": "string"}, {"description": "d"}]}, {"type": "string", "description": "d"}, []),
        (
            {"type": "string", "maxLength": 3},
            {"type": "string", "description": "(maxLength: 3)"},
            [("properties.x", "maxLength")],
        ),
        (
            {"type": "array", "prefixItems": None, "items": {"type": "string"}},
            {"type": "array", "items": {"type": "string"}},
            [],
        ),
        (
            {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]},
            {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
            [("properties.x", "items")],
        ),
        (
            {"anyOf": [{"type": "string"}], "oneOf": [{"type": "integer"}]},
            {"anyOf": [{"type": "string"}]},
            [("properties.x", "oneOf")],
        ),
        ({"enum": [True]}, {"type": "boolean"}, [("properties.x", "enum")]),
        ({"enum": [True, False]}, {"type": "boolean"}, []),
        (
            {"type": "object", "patternProperties": {"^a": {"type": "string"}}, "additionalProperties": False},
            {"type": "object", "description": '(patternProperties: {"^a":{"type":"string"}})'},
            [("properties.x", "additionalProperties"), ("properties.x", "patternProperties")],
        ),
    ],
)
def test_a_schema_in_the_typed_subset(part: Any, sent: Any, lost: list[tuple[str, str]]) -> None:
    fitted, losses = fit_typed(of(part))
    assert fitted == of(sent)
    assert [(loss.path, loss.keyword) for loss in losses] == lost


@pytest.mark.parametrize("schema", [{"type": "array"}, of(False), of({"$ref": "elsewhere.json"}), of({"enum": [[]]})])
def test_a_schema_outside_of_it(schema: Mapping[str, Any]) -> None:
    with pytest.raises(Misfit):
        fit_typed(schema)


def test_what_is_written_out_is_not_written_out_again_inside_itself() -> None:
    """A part of `allOf` cannot stay a reference, and one that comes round is left open, and told."""
    any_type = [{"type": kind} for kind in ("string", "number", "boolean", "object", "array", "null")]
    node = {"type": "object", "properties": {"n": {"allOf": [{"$ref": "#/$defs/N"}]}}}
    inner = {"type": "object", "properties": {"n": {"anyOf": any_type}}}
    fitted, losses = fit_typed({**of({"allOf": [{"$ref": "#/$defs/N"}]}), "$defs": {"N": node}})
    outer = {"type": "object", "properties": {"n": inner}}
    assert fitted == {**of(inner), "$defs": {"N": outer}}
    assert [(loss.path, loss.keyword, loss.reason) for loss in losses] == [
        ("properties.x.properties.n.allOf[0]", "$ref", "not written out again inside itself"),
        ("$defs.N.properties.n.properties.n.allOf[0]", "$ref", "not written out again inside itself"),
    ]


def test_a_reference_that_leads_only_to_itself_is_a_misfit() -> None:
    for place in ("#/$defs/A", "#"):
        with pytest.raises(Misfit, match="a reference leads to itself"):
            fit_typed({"$ref": place, "$defs": {"A": {"$ref": "#/$defs/A"}}})


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
def test_the_root_takes_no_unions(keyword: str) -> None:
    fitted, losses = fit_typed({**of({"type": "string"}), keyword: [of({"type": "integer"})]})
    assert fitted == of({"type": "string"})
    assert [(loss.path, loss.keyword) for loss in losses] == [("", keyword)]


def test_nothing_stands_beside_a_reference() -> None:
    definitions = {"$defs": {"A": {"type": "string"}}}
    fitted, losses = fit_typed({**of({"$ref": "#/$defs/A", "minLength": 2, "title": "T"}), **definitions})
    assert fitted == {**of({"$ref": "#/$defs/A"}), **definitions}
    assert [(loss.path, loss.keyword) for loss in losses] == [("properties.x", "minLength")]
