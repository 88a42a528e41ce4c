"""Strict schemas: the same meaning, or not strict."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import jsonschema
import msgspec
import pytest
from hypothesis import given, strategies as st

import chatport
from chatport import BadRequestError
from chatport.call import Tool
from chatport.inputs.schemas import schema_of
from chatport.standard import strict
from chatport.standard.schemas import Loss, root_object
from chatport.standard.strict import NotStrict
from chatport_openai import provider

RULE = provider.facts.describe("gpt-6-sol").rules.schemas.strict


def strict_schema(schema: Any) -> Any:
    return strict.strict_schema(schema, RULE)


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def root(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


TEXT = {"type": "string"}


def test_objects_are_closed_and_complete_at_every_level():
    schema = root(a=root(b=TEXT), c={"type": "array", "items": root(d=TEXT)})
    assert strict_schema(schema)[0] == closed(a=closed(b=TEXT), c={"type": "array", "items": closed(d=TEXT)})


def test_no_arguments_is_a_closed_empty_object():
    assert strict_schema({"type": "object"})[0] == closed()


def test_what_says_nothing_about_the_value_is_dropped():
    noise = {"title": "A", "discriminator": {"propertyName": "x"}, "examples": ["y"]}
    assert strict_schema({**root(a={**TEXT, **noise}), "$schema": "x", "title": "T"}) == (closed(a=TEXT), ())


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        ({"type": "integer", "default": 3}, {"type": "integer", "description": "(default: 3)"}),
        ({**TEXT, "default": "c", "description": "unit"}, {**TEXT, "description": 'unit (default: "c")'}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"anyOf": [TEXT, {"type": "null"}], "default": None}, {"anyOf": [TEXT, {"type": "null"}]}),
    ],
)
def test_an_optional_property_is_required_if_a_value_can_say_the_same(part, sent):
    schema = {"type": "object", "properties": {"a": part}}
    assert strict_schema(schema) == (closed(a=sent), ())


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        ({"oneOf": [TEXT, {"type": "null"}]}, {"anyOf": [TEXT, {"type": "null"}]}),
        ({"enum": ["x", "y"]}, {"enum": ["x", "y"], "type": "string"}),
        ({"enum": [1, None]}, {"enum": [1, None], "type": ["integer", "null"]}),
        ({"const": True}, {"const": True, "type": "boolean"}),
        ({"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}),
        ({"$ref": "#/$defs/A", "title": "T"}, {"$ref": "#/$defs/A"}),
        ({"$ref": "#/$defs/A", "description": "d"}, {"anyOf": [{"$ref": "#/$defs/A"}], "description": "d"}),
        ({**TEXT, "format": "uuid"}, {**TEXT, "format": "uuid"}),
        ({**TEXT, "pattern": "^a+$"}, {**TEXT, "pattern": "^a+$"}),
        ({"type": "number", "minimum": 1, "multipleOf": 2}, {"type": "number", "minimum": 1, "multipleOf": 2}),
        ({"type": "array", "items": TEXT, "minItems": 1}, {"type": "array", "items": TEXT, "minItems": 1}),
    ],
)
def test_forms_with_a_strict_twin(part, sent):
    definitions = {"$defs": {"A": TEXT}}
    wanted = {**closed(a=sent), **definitions}
    strict, moved = strict_schema({**root(a=part), **definitions})
    assert (strict, moved) == (wanted, ())


@pytest.mark.parametrize(
    ("part", "keyword"),
    [
        ({**TEXT, "minLength": 2}, "minLength"),
        ({**TEXT, "maxLength": 9}, "maxLength"),
        ({**TEXT, "format": "uri"}, "format"),
        ({**TEXT, "pattern": "^(?!x)"}, "pattern"),
        ({**TEXT, "pattern": "(?<=x)y"}, "pattern"),
        ({"type": "array", "items": TEXT, "uniqueItems": True}, "uniqueItems"),
        ({"type": "array", "items": TEXT, "contains": {"const": "x"}}, "contains"),
        ({**root(b=TEXT), "minProperties": 1}, "minProperties"),
    ],
)
def test_what_strict_cannot_enforce_moves_into_the_description(part, keyword):
    strict, moved = strict_schema(root(a=part))
    assert moved == (Loss("properties.a", keyword),)
    assert keyword not in strict["properties"]["a"]
    assert keyword in strict["properties"]["a"]["description"]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"type": "object", "additionalProperties": TEXT}, "keys that are not named"),
        ({"type": "object", "additionalProperties": True}, "keys that are not named"),
        ({"type": "object"}, "names no properties"),
        ({"type": "object", "patternProperties": {"^x": TEXT}}, "patternProperties"),
        ({"type": "object", "properties": {"b": TEXT}}, "'b' may be left out"),
        ({"type": "array"}, "what it holds"),
        ({"type": "array", "items": {}}, "has no type"),
        ({"type": "array", "items": True}, "allows anything"),
        ({"type": "array", "prefixItems": [TEXT]}, "prefixItems"),
        ({}, "has no type"),
        ({"allOf": [TEXT]}, "allOf"),
        ({"not": TEXT}, "not"),
        ({**TEXT, "if": TEXT, "then": TEXT}, "if"),
        ({**root(b=TEXT), "dependentRequired": {"b": []}}, "dependentRequired"),
        ({"anyOf": [TEXT], "oneOf": [TEXT]}, "together"),
        ({"enum": [[1]]}, "has no type"),
        ({"$ref": "https://schemas.example/a.json"}, "a reference leads out of it"),
    ],
)
def test_what_has_no_strict_twin_is_said(part, reason):
    with pytest.raises(NotStrict, match=reason):
        strict_schema(root(a=part))


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (root(**{f"p{n}": TEXT for n in range(5001)}), "5001 properties"),
        (root(a={"enum": [f"v{n}" for n in range(1001)]}), "1001 enum values"),
        (root(a={"enum": ["x" * 60 + str(n) for n in range(251)]}), "15000 characters"),
        (root(a={"const": "x" * 120_001}), "characters of names"),
        ({"type": "array", "items": TEXT}, "root"),
        ({"anyOf": [root(a=TEXT)]}, "root"),
    ],
)
def test_sizes_and_the_root_are_limited(schema, reason):
    with pytest.raises(NotStrict, match=reason):
        strict_schema(schema)


def test_ten_levels_and_no_more():
    def nested(levels: int) -> dict[str, Any]:
        return root(a=nested(levels - 1)) if levels > 1 else root(a=TEXT)

    strict_schema(nested(10))
    with pytest.raises(NotStrict, match="11 levels"):
        strict_schema(nested(11))


def test_recursion_is_allowed_and_a_reference_at_the_root_followed():
    node = root(name=TEXT, children={"type": "array", "items": {"$ref": "#/$defs/Node"}})
    schema = {"$ref": "#/$defs/Node", "$defs": {"Node": node}}
    strict, _ = strict_schema(schema)
    assert strict["type"] == "object"
    assert strict["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert strict["$defs"]["Node"]["additionalProperties"] is False
    assert root_object({"$ref": "#/$defs/Gone", "$defs": {}}) is None


# --- the same meaning, by search

NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.sampled_from(
    [
        TEXT,
        {"type": "integer"},
        {"type": "integer", "default": 3},
        {"enum": ["x", "y"]},
        {"type": ["string", "null"]},
        {"anyOf": [TEXT, {"type": "null"}]},
    ]
)


def objects(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(NAMES, parts, max_size=3)
    return st.builds(
        lambda named, required: {
            "type": "object",
            "properties": named,
            "required": [name for name in sorted(named) if name in required],
        },
        properties,
        st.sets(NAMES),
    )


SCHEMAS = objects(
    st.recursive(
        LEAVES, lambda parts: objects(parts) | st.builds(lambda p: {"type": "array", "items": p}, parts), max_leaves=6
    )
)


@given(SCHEMAS)
def test_every_value_of_the_strict_form_fits_the_schema_that_was_asked_for(schema):
    from chatport.testing.emulator import example_of
    from chatport_openai.emulator import _problem

    try:
        strict, _ = strict_schema(schema)
    except NotStrict:
        return
    assert _problem(strict) is None  # the vendor's own check, written apart
    value = example_of(strict, strict)
    jsonschema.validate(value, strict)
    jsonschema.validate(value, schema)


# --- in a request


def test_a_tool_is_strict_only_when_asked(shape):
    loose = {"name": "look", "parameters": root(a=TEXT)}
    (sent,) = shape(model="gpt-4o", tools=[loose]).body["tools"]
    assert sent["function"] == loose
    (sent,) = shape(model="gpt-4o", tools=[{**loose, "strict": True}]).body["tools"]
    assert sent["function"] == {"name": "look", "parameters": closed(a=TEXT), "strict": True}


def test_a_tool_that_cannot_be_strict_is_sent_as_it_is(shape):
    schema = root(a={"type": "object", "additionalProperties": TEXT})
    wire = shape(model="gpt-4o", tools=[Tool("look", schema=schema, strict=True)])
    assert wire.body["tools"][0]["function"] == {"name": "look", "parameters": schema, "strict": False}
    (note,) = wire.adjustments
    assert (note.kind, note.field, note.fact) == ("lowered", "tools.look.strict", "OA-P14")


def test_constraints_of_a_strict_tool_are_noted(shape):
    wire = shape(model="gpt-4o", tools=[Tool("look", schema=root(a={**TEXT, "minLength": 3}), strict=True)])
    (note,) = wire.adjustments
    assert (note.kind, note.field, note.fact) == ("lowered", "tools.look.parameters.properties.a.minLength", "OA-T11")


def test_long_and_odd_names_are_shortened_and_mapped_back(emulated):
    client, emulator = emulated()
    name = "weather.of " + "x" * 80
    reply = client.chat("hi", model="openai:gpt-4.1", tools=[Tool(name)])
    sent = emulator.requests[0].json()["tools"][0]["function"]["name"]
    assert len(sent) <= 64
    assert reply.tool_calls[0].name == name


def test_128_tools_are_the_most(shape):
    tools = [Tool(f"t{n}") for n in range(129)]
    assert len(shape(model="gpt-4o", tools=tools[:128]).body["tools"]) == 128
    with pytest.raises(chatport.UnsupportedFeatureError, match="at most 128 tools"):
        shape(model="gpt-4o", tools=tools)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Car(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=2)]
    colour: Colour
    doors: Literal[3, 5]
    seats: int = 4
    owner: str | None = None


def test_an_ordinary_type_is_strict(shape, emulated):
    wire = shape(model="gpt-6-sol", output=Car)
    spec = wire.body["response_format"]["json_schema"]
    assert spec["strict"] is True
    assert spec["schema"]["required"] == ["name", "colour", "doors", "seats", "owner"]
    assert [(note.kind, note.fact) for note in wire.adjustments] == [("lowered", "OA-T11")]
    client, _ = emulated()
    assert isinstance(client.chat("hi", model="openai:gpt-6-sol", output=Car).parsed(), Car)


def test_a_type_that_cannot_be_strict_is_sent_as_it_is(shape, emulated):
    class Counts(msgspec.Struct):
        by_name: dict[str, int]

    wire = shape(model="gpt-6-sol", output=Counts)
    spec = wire.body["response_format"]["json_schema"]
    assert (spec["strict"], spec["schema"]) == (False, schema_of(Counts))
    assert [(note.kind, note.field, note.fact) for note in wire.adjustments] == [
        ("lowered", "response_format", "OA-P14")
    ]
    client, _ = emulated()
    with pytest.raises(chatport.UnsupportedFeatureError):
        client.chat("hi", model="openai:gpt-6-sol", output=Counts, on_unsupported="raise")
    assert client.chat('say: {"by_name": {"a": 1}}', model="openai:gpt-6-sol", output=Counts).parsed() == Counts(
        {"a": 1}
    )


def test_a_root_that_is_no_object_is_asked_for_in_words(shape, emulated):
    numbers = {"type": "array", "items": {"type": "integer"}}  # the caller's own schema, which is sent as it is
    wire = shape(model="gpt-6-sol", output=numbers)
    assert "response_format" not in wire.body
    assert '"type":"array"' in wire.body["messages"][0]["content"].replace(" ", "")
    assert [(note.kind, note.field, note.fact) for note in wire.adjustments] == [
        ("lowered", "response_format", "OA-O5")
    ]
    client, _ = emulated()
    assert client.chat("say: [1, 2]", model="openai:gpt-6-sol", output=numbers).parsed() == [1, 2]


def test_a_list_is_held_to_its_schema_inside_of_an_object(shape, emulated):
    wire = shape(model="gpt-6-sol", output=list[int])
    spec = wire.body["response_format"]["json_schema"]
    assert spec["strict"] is True
    assert spec["schema"]["properties"] == {"value": {"type": "array", "items": {"type": "integer"}}}
    assert not wire.adjustments
    client, _ = emulated()
    for said in ('{"value": [1, 2]}', "[1, 2]"):
        assert client.chat(f"say: {said}", model="openai:gpt-6-sol", output=list[int]).parsed() == [1, 2]


@pytest.mark.parametrize("model", ["gpt-4-0613", "gpt-3.5-turbo-0125"])
def test_a_model_without_schemas_is_made_to_call_a_tool(shape, model):
    wire = shape(model=model, output=Car)
    assert "response_format" not in wire.body
    assert [tool["function"]["name"] for tool in wire.body["tools"]] == ["Car"]
    assert wire.body["tool_choice"] == {"type": "function", "function": {"name": "Car"}}
    assert [(note.kind, note.fact) for note in wire.adjustments] == [("lowered", "OA-O3")]


def drive(distance: int) -> str:
    """Drive."""
    return str(distance)


@pytest.mark.parametrize("model", ["gpt-4-0613", "gpt-3.5-turbo-0125"])
def test_beside_tools_a_model_without_schemas_gets_the_schema_in_words(shape, model):
    """OA-O2: the words say JSON."""
    wire = shape(model=model, output=Car, tools=[drive])
    assert wire.body["response_format"] == {"type": "json_object"}
    assert "JSON" in wire.body["messages"][0]["content"]
    assert [(note.kind, note.fact) for note in wire.adjustments] == [("lowered", "OA-O3")]


def test_json_is_named_where_the_caller_asks_for_it_by_extra(shape):
    own = {"response_format": {"type": "json_object"}}
    wire = shape("Name a river.", model="gpt-6-sol", extra=own)
    assert [message["role"] for message in wire.body["messages"]] == ["developer", "user"]
    assert [(note.kind, note.field, note.fact) for note in wire.adjustments] == [("added", "messages", "OA-O2")]


def test_a_format_given_as_extra_is_left_alone(shape):
    own = {"response_format": {"type": "json_object"}}
    assert shape("JSON!", model="gpt-6-sol", output=Car, extra=own).body["response_format"] == own["response_format"]


def sent_parameters(shape: Any, schema: Any) -> Any:
    tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}
    return shape(model="gpt-6-sol", reasoning="none", tools=[tool]).body["tools"][0]["function"]["parameters"]


def test_a_strict_tool_that_the_vendor_takes_is_sent_as_it_is(shape):
    """OA-T10, recorded: defaults and a dialect are taken in tools, and what is required keeps its order."""
    union = {"anyOf": [TEXT, {"type": "array", "items": TEXT}], "description": "d"}
    schema = {**closed(a={**TEXT, "default": "x"}, b=union), "required": ["b", "a"], "$schema": "https://s.example"}
    assert sent_parameters(shape, schema) == schema


def test_a_default_goes_into_words_in_structured_output(shape):
    """OA-T10: where nothing is recorded of it."""
    sent = shape(model="gpt-6-sol", output=closed(a={**TEXT, "default": "x"})).body["response_format"]
    assert "default" not in sent["json_schema"]["schema"]["properties"]["a"]
    assert '"x"' in sent["json_schema"]["schema"]["properties"]["a"]["description"]


UNION = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "path": {"type": "string"}},
    "oneOf": [{"required": ["id"]}, {"required": ["path"]}],
}


@pytest.mark.parametrize(
    "schema",
    [UNION, {"anyOf": [root(a=TEXT), root(b=TEXT)]}, {"allOf": [root(a=TEXT)]}, {"enum": [{}]}, {"not": {}}],
    ids=str,
)
def test_a_union_at_the_root_becomes_one_object(schema, shape):
    """OA-T18: whatever the root has, it is a plain object; what is lost is told."""
    wire = shape(model="gpt-4o", tools=[Tool("f", "", schema)])
    sent = wire.body["tools"][0]["function"]["parameters"]
    assert sent["type"] == "object"
    assert not sent.keys() & {"anyOf", "oneOf", "allOf", "enum", "not"}
    told = {note.field for note in wire.adjustments if (note.kind, note.fact) == ("lowered", "OA-T18")}
    assert told == {f"tools.f.parameters.{word}" for word in schema.keys() & {"anyOf", "oneOf", "enum", "not"}}


def test_a_union_at_the_root_is_taken_by_the_vendors_twin(emulated):
    client, _ = emulated()
    assert client.chat("say: fine", model="openai:gpt-4o", tools=[Tool("f", "", UNION)]).text == "fine"
    raw = {"type": "function", "function": {"name": "f", "parameters": UNION}}
    with pytest.raises(BadRequestError, match="at the top level"):
        client.chat("hi", model="openai:gpt-4o", extra={"tools": [raw]})
