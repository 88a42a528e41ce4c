"""The root of a tool's arguments: no union there, all arguments kept, and what goes together told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatport.errors import UnsupportedFeatureError
from chatport.standard.roots import joined_root
from chatport.standard.schemas import Loss

BARRED = ("anyOf", "oneOf", "allOf", "enum", "not")
TEXT, NUMBER = {"type": "string"}, {"type": "number"}


def needs(*names: str) -> dict[str, Any]:
    return {"required": [*names]}


def having(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def lost(schema: Any, barred: tuple[str, ...] = BARRED) -> tuple[dict[str, Any], list[str]]:
    """Return the schema as sent without its words, and the places that lost something."""
    losses: list[Loss] = []
    sent = joined_root(schema, barred, losses)
    return {word: value for word, value in sent.items() if word != "description"}, [
        f"{loss.path}.{loss.keyword}".strip(".") for loss in losses
    ]


@pytest.mark.parametrize(
    ("schema", "sent", "losses"),
    [
        (having(a=TEXT), having(a=TEXT), []),
        ({"properties": {"a": TEXT}}, having(a=TEXT), []),
        ({"type": ["object", "null"]}, {"type": "object"}, []),
        ({"type": "array", "items": TEXT}, {"type": "array", "items": TEXT}, []),
        # parts of all
        ({"allOf": [having(a=TEXT), {**having(b=TEXT), **needs("b")}]}, {**having(a=TEXT, b=TEXT), **needs("b")}, []),
        ({**having(a=TEXT), "allOf": [needs("a"), True]}, {**having(a=TEXT), **needs("a")}, []),
        ({"allOf": [{"allOf": [having(a=TEXT)]}, {"anyOf": [having(b=TEXT)]}]}, having(a=TEXT, b=TEXT), []),
        ({"allOf": [{"not": needs("a")}]}, {"type": "object"}, ["allOf[0].not"]),
        ({"allOf": [False]}, {"type": "object"}, ["allOf[0]"]),
        # unions
        ({**having(a=TEXT, b=TEXT), "anyOf": [needs("a"), needs("b")]}, having(a=TEXT, b=TEXT), ["anyOf"]),
        ({**having(a=TEXT, b=TEXT), "oneOf": [needs("a"), needs("b", "a")]},
         {**having(a=TEXT, b=TEXT), **needs("a")}, ["oneOf"]),
        ({"oneOf": [having(a=TEXT, c=TEXT), having(b=NUMBER, c=TEXT)]}, having(a=TEXT, c=TEXT, b=NUMBER), ["oneOf"]),
        ({"anyOf": [having(a=TEXT), having(a=NUMBER)]}, having(a={"anyOf": [TEXT, NUMBER]}), ["anyOf"]),
        ({"anyOf": [having(a={"const": 1}), having(a={"enum": [True, 1]})]}, having(a={"enum": [1, True]}), ["anyOf"]),
        ({"anyOf": [having(a={**TEXT, "const": "x"}), having(a={**TEXT, "const": "y"})]},
         having(a={**TEXT, "enum": ["x", "y"]}), ["anyOf"]),
        ({"anyOf": [having(a=TEXT), having(a=True)]}, having(a={}), ["anyOf"]),
        ({"anyOf": [{**having(a=TEXT), "additionalProperties": False}, {**having(), "additionalProperties": False}]},
         {**having(a=TEXT), "additionalProperties": False}, ["anyOf"]),
        ({"anyOf": [{**having(a=TEXT), "additionalProperties": False}, having(b=TEXT)]}, having(a=TEXT, b=TEXT),
         ["anyOf"]),
        # what arguments cannot be
        ({"anyOf": [having(a=TEXT), {"type": "null"}]}, having(a=TEXT), ["anyOf"]),
        ({"anyOf": [TEXT, False]}, {"type": "object"}, ["anyOf"]),
        ({"anyOf": [having(a=TEXT)]}, having(a=TEXT), []),
        ({"enum": [{}, {"a": 1}], "not": needs("b")}, {"type": "object"}, [".enum", ".not"]),
    ],
)  # fmt: skip
def test_a_root_becomes_one_object(schema: Any, sent: Any, losses: list[str]) -> None:
    assert lost(schema) == (sent, [place.strip(".") for place in losses])


def test_references_are_followed_and_definitions_stay() -> None:
    definitions = {"A": having(a={"$ref": "#/$defs/B"}), "B": TEXT, "C": {"anyOf": [{"$ref": "#/$defs/A"}, needs("c")]}}
    whole = {"$defs": definitions}
    assert lost({"$ref": "#/$defs/A", **whole}) == ({**definitions["A"], **whole}, [])
    assert lost({"$ref": "#/$defs/C", **whole}) == ({**having(a={"$ref": "#/$defs/B"}), **whole}, ["$defs.C.anyOf"])
    assert lost({"anyOf": [{"$ref": "#"}, having(a=TEXT)]})[0]["properties"] == {"a": TEXT}
    assert lost({"$ref": "#/$defs/Gone"})[1] == ["$ref"]


def test_what_goes_together_is_told_in_words() -> None:
    """Briefly: what each branch needs, and what tells it from the others, not what they all have."""
    get = {**having(kind={"const": "get"}, id=TEXT, note=TEXT), **needs("kind", "id"), "title": "One"}
    find = {**having(kind={"const": "find"}, text={**TEXT, "minLength": 3}, note=TEXT), **needs("kind", "text")}
    sent = joined_root({"description": "Look.", "oneOf": [get, find]}, BARRED, [])
    words, _, told = sent["description"].partition(" (oneOf: ")
    assert words == "Look."
    assert json.loads(told.removesuffix(")")) == [
        {"properties": {"kind": {"const": "get"}, "id": TEXT}, "required": ["kind", "id"], "title": "One"},
        {"properties": {"kind": {"const": "find"}, "text": TEXT}, "required": ["kind", "text"]},
    ]
    assert sent["properties"]["text"] == {**TEXT, "minLength": 3}
    assert sent["required"] == ["kind"]


def test_only_what_is_barred_is_touched() -> None:
    schema = {**having(a=TEXT), "not": needs("b"), "anyOf": [needs("a")]}
    assert lost(schema, ("anyOf",)) == ({**having(a=TEXT), "not": needs("b"), **needs("a")}, [])
    assert lost(schema, ()) == (schema, [])


def test_unions_of_unions_without_end_are_refused_in_bounded_time() -> None:
    definitions = {f"N{n}": {"anyOf": [{"$ref": f"#/$defs/N{n + 1}"}] * 2} for n in range(40)}
    definitions["N40"] = having(a=TEXT)
    with pytest.raises(UnsupportedFeatureError, match=r"tools\.f\.parameters becomes too large"):
        joined_root({"$ref": "#/$defs/N0", "$defs": definitions}, BARRED, [], "tools.f.parameters")
    many = {"anyOf": [having(**{f"p{n}": TEXT}) for n in range(300)]}
    assert lost(many) == ({"type": "object"}, ["anyOf"])
