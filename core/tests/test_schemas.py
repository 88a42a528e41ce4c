"""The pieces that vendors' modules fit a JSON Schema with."""

from __future__ import annotations

from typing import Any

import pytest

from chatport.facts.rules import StrictRule
from chatport.standard.schemas import (
    Allowance,
    Loss,
    StrictRules,
    TooLarge,
    excludes_itself,
    followed,
    in_words,
    joined,
    loss_warnings,
    resolved,
    strict_misfits,
    walk,
    with_parts,
)
from chatport.standard.strict import NotStrict, strict_schema

TEXT = {"type": "string"}


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def test_every_place_has_a_path() -> None:
    schema = {
        "properties": {"days": {"anyOf": [TEXT, True]}},
        "items": [TEXT],
        "additionalProperties": False,
        "$defs": {"A": {"not": TEXT}},
    }
    assert [path for path, _ in walk(schema)] == [
        "", "properties.days", "properties.days.anyOf[0]", "properties.days.anyOf[1]", "items[0]",
        "additionalProperties", "$defs.A", "$defs.A.not",
    ]  # fmt: skip
    assert with_parts({"items": TEXT}, "x", lambda part, path: path) == {"items": "x.items"}


def test_references_lead_to_a_place_or_nowhere() -> None:
    root = {"$defs": {"a/b": TEXT}, "anyOf": [TEXT]}
    assert resolved("#/$defs/a~1b", root) == (TEXT, "$defs.a/b")
    assert resolved("#/anyOf/0", root) == (TEXT, "anyOf[0]")
    assert resolved("#", root) == (root, "")
    assert resolved("#/$defs/gone", root) is None
    assert resolved("https://a.example/s", root) is None
    assert resolved("#/%24defs/a~1b", root) == (TEXT, "$defs.a/b")
    for odd in ("#anchor", "#/anyOf/\u00b2", "#/anyOf/" + "9" * 5000, "#/anyOf/-1", "", 5, None):
        assert resolved(odd, root) is None


def test_an_allowance_ends_what_grows() -> None:
    def grow(allowance: Allowance) -> None:
        for _ in range(5_000):
            with allowance.inside({"description": "x" * 30, "properties": {"a": TEXT}}):
                pass

    with pytest.raises(TooLarge, match=r"tools\.f\.parameters becomes too large .* 256 KiB"):
        grow(Allowance(TEXT, "tools.f.parameters"))
    large = {"description": "x" * 300_000}
    with Allowance(large).inside(large):  # what is large to begin with may stay so
        pass


def test_an_allowance_ends_what_nests() -> None:
    def nest(allowance: Allowance) -> None:
        with allowance.inside({}):
            nest(allowance)

    with pytest.raises(TooLarge, match="more than 100 schemas inside one another"):
        nest(Allowance(TEXT))


def test_a_chain_of_references_ends() -> None:
    root = {"$defs": {str(n): {"$ref": f"#/$defs/{n + 1}"} for n in range(200)}}
    with pytest.raises(TooLarge, match="more than 100 references"):
        followed({"$ref": "#/$defs/0"}, root, "", (), [])


def test_a_reference_inside_itself_ends_with_its_type() -> None:
    root = {"$defs": {"Node": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}}
    losses: list[Loss] = []
    node, path, within = followed({"$ref": "#/$defs/Node"}, root, "properties.x", (), losses)
    assert (node["type"], path, losses) == ("array", "$defs.Node", [])
    inner, _, _ = followed(node["items"], root, f"{path}.items", within, losses)
    assert inner == {"type": "array", "description": "again a Node"}
    assert [(loss.path, loss.keyword) for loss in losses] == [("$defs.Node.items", "$ref")]


def test_words_are_json_at_the_end_of_the_description() -> None:
    losses: list[Loss] = []
    schema = {**TEXT, "description": "A day.", "format": "iban", "minLength": 2}
    assert in_words(schema, {"format", "minLength"}, "properties.a", losses) == {
        **TEXT,
        "description": 'A day. (format: "iban"; minLength: 2)',
    }
    assert losses == [Loss("properties.a", "format"), Loss("properties.a", "minLength")]


@pytest.mark.parametrize(
    ("one", "other", "both", "lost"),
    [
        ({"minimum": 1}, {"minimum": 3, "maximum": 9}, {"minimum": 3, "maximum": 9}, []),
        ({"type": "number"}, {"type": ["integer", "null"]}, {"type": "integer"}, []),
        ({"type": "string"}, {"type": "array"}, {"type": "string"}, ["type"]),
        ({"enum": [1, 2]}, {"enum": [2, 3]}, {"enum": [2]}, []),
        ({"enum": [1]}, {"enum": [2]}, {"enum": [1]}, ["enum"]),
        ({"required": ["a"]}, {"required": ["b", "a"]}, {"required": ["a", "b"]}, []),
        ({"pattern": "a"}, {"pattern": "b"}, {"pattern": "a"}, ["pattern"]),
        ({"title": "A"}, {"title": "B"}, {"title": "B"}, []),
        ({"items": {"minimum": 1}}, {"items": {"minimum": 2}}, {"items": {"minimum": 2}}, []),
        ({"additionalProperties": True}, {"additionalProperties": False}, {"additionalProperties": False}, []),
        ({"if": TEXT, "then": True}, {"if": True}, {"if": TEXT, "then": True}, ["if"]),
        (
            {"properties": {"a": TEXT}, "additionalProperties": False},
            {"properties": {"b": TEXT}},
            {"properties": {"a": TEXT, "b": TEXT}, "additionalProperties": False},
            ["additionalProperties"],
        ),
    ],
)
def test_two_schemas_in_one(one: dict[str, Any], other: dict[str, Any], both: dict[str, Any], lost: list[str]) -> None:
    losses: list[Loss] = []
    assert joined(one, other, "", losses) == both
    assert sorted({loss.keyword for loss in losses}) == lost


@pytest.mark.parametrize(
    ("branches", "apart"),
    [
        ([TEXT, {"type": "null"}], True),
        ([{"const": "a"}, {"enum": ["b", None]}], True),
        ([{"const": "a"}, {"const": "a"}], False),
        ([{"type": "integer"}, {"type": "number"}], False),
        ([{"const": "a"}, TEXT], False),
        ([{"const": 1}, {"const": 1.0}], False),
        ([TEXT, True], False),
        ([{"$ref": "#/$defs/A"}, TEXT], False),
    ],
)
def test_branches_that_no_value_shares(branches: list[Any], apart: bool) -> None:
    assert excludes_itself(branches) is apart


@pytest.mark.parametrize(
    ("schema", "misfit"),
    [
        (closed(a=TEXT), None),
        (closed(a={"type": ["object", "null"]}), "additionalProperties is not false at properties.a"),
        ({**closed(a=TEXT), "required": []}, "the property 'a' is not required"),
        (closed(a={"type": "array", "items": {**TEXT, "maxLength": 2}}), "maxLength at properties.a.items"),
        (closed(a={**TEXT, "format": "uri"}), "format uri at properties.a"),
        (closed(a={}), "a value of any type at properties.a"),
        (closed(a={"anyOf": [TEXT, True]}), "a value of any type at properties.a.anyOf[1]"),
    ],
)
def test_misfits_of_a_strict_subset(schema: dict[str, Any], misfit: str | None) -> None:
    rules = StrictRules(barred=frozenset({"maxLength"}), formats=frozenset({"uuid"}), typed=True)
    assert next(strict_misfits(schema, rules), None) == misfit


def strict(schema: dict[str, Any]) -> tuple[dict[str, Any], tuple[Loss, ...]]:
    return strict_schema(schema, StrictRule(kept=("type",)))


def test_a_union_that_does_not_exclude_itself_is_strict_with_a_loss() -> None:
    branches = [{"type": "integer"}, {"type": "number"}]
    loss = Loss("properties.a", "oneOf", "sent as anyOf, of which more than one may fit")
    assert strict(closed(a={"oneOf": branches})) == (closed(a={"anyOf": branches}), (loss,))
    assert strict(closed(a={"oneOf": [TEXT, branches[0]]}))[1] == ()


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (
            closed(a={**closed(b=TEXT), "anyOf": [closed(c=TEXT)]}),
            "an object of it has properties both in itself and in a union (at properties.a)",
        ),
        ({**closed(a=TEXT), "required": ["a", "b"]}, "the property 'b' is required, and not described"),
        (closed(a={**closed(b=TEXT), "required": ["b", "c", "d"]}), "'c' is required, and not described (at "),
        ({**closed(a=True), "required": []}, "the property 'a' may be left out, and has neither a default nor null"),
        (
            {**closed(a={"anyOf": [True, TEXT]}), "required": []},
            "the property 'a' may be left out, and has neither a default nor null",
        ),
        (closed(a=True), "a part of it allows anything (at properties.a)"),
    ],
)
def test_what_cannot_be_strict_says_why_and_where(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(NotStrict) as caught:
        strict(schema)
    assert why in str(caught.value)


def test_many_lost_places_are_folded_by_keyword() -> None:
    few = loss_warnings([Loss("properties.a", "minimum"), Loss("properties.a", "minimum")], "tools.f.parameters", "X-1")
    assert [(note.kind, note.field, note.fact) for note in few] == [
        ("lowered", "tools.f.parameters.properties.a.minimum", "X-1")
    ]
    many = loss_warnings([*(Loss(f"properties.p{n}", "minimum") for n in range(9)), Loss("", "title")], "output")
    assert {note.field: "in 9 places" in note.reason for note in many} == {
        "output.properties.p0.minimum": True,
        "output.title": False,
    }


def test_every_place_where_a_schema_may_stand_is_looked_at() -> None:
    named = ["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"]
    listed = ["anyOf", "oneOf", "allOf", "prefixItems"]
    single = [
        "items", "additionalItems", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else",
        "unevaluatedItems", "unevaluatedProperties",
    ]  # fmt: skip
    schema = {
        **{keyword: {"a": TEXT} for keyword in named},
        **{keyword: [TEXT, True] for keyword in listed},
        **dict.fromkeys(single, TEXT),
        "enum": [TEXT],
        "const": TEXT,
    }
    places = [f"{keyword}.a" for keyword in named]
    places += [f"{keyword}[{number}]" for keyword in listed for number in (0, 1)] + single
    assert sorted(place for place, _ in walk(schema)) == sorted(["", *places])
    assert [place for place, _ in walk({"items": [TEXT, TEXT]})] == ["", "items[0]", "items[1]"]
