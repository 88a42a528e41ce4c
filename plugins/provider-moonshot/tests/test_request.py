"""What is sent, fact by fact, and what is said about it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import attrs
import msgspec
import pytest

from chatport import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    TextPart,
    Tool,
    ToolCall,
    UnsupportedFeatureError,
    VideoPart,
)
from chatport_moonshot.schema import Misfit, fit_schema

K3, K27, K26, NEW = "kimi-k3", "kimi-k2.7-code", "kimi-k2.6", "kimi-k9-ultra"
CALL = ToolCall("call_1", "get_weather", '{"city": "Oslo"}')
NAMED = {"type": "function", "function": {"name": "get_weather"}}


def get_weather(city: str, days: int = 1) -> str:
    """Tell the weather."""
    return f"Sunny in {city} for {days}."


def get_time(zone: Literal["utc", "local"]) -> str:
    """Tell the time."""
    return zone


# --- fields

FIELDS = [
    # model, options, field that is sent, its value, notes
    (K3, {"max_tokens": 9}, "max_completion_tokens", 9, set()),
    (K3, {"extra": {"max_tokens": 9}}, "max_completion_tokens", 9, {("renamed", "max_tokens", "MS-P1")}),
    (K3, {"max_tokens": 9, "extra": {"max_tokens": 8}}, "max_tokens", None, {("dropped", "max_tokens", "MS-P1")}),
    (K3, {"max_tokens": 2_000_000}, "max_completion_tokens", 1_048_576, {("lowered", "max_completion_tokens", "")}),
    (K3, {"temperature": 0.2}, "temperature", None, {("dropped", "temperature", "MS-P5")}),
    (NEW, {"temperature": 0.2}, "temperature", None, {("dropped", "temperature", "MS-P5")}),
    (K3, {"temperature": 1}, "temperature", None, set()),
    (K26, {"temperature": 0.6}, "temperature", None, {("dropped", "temperature", "MS-P5")}),
    (K26, {"temperature": 0.6, "reasoning": "none"}, "temperature", None, set()),
    (K26, {"temperature": 1, "reasoning": "none"}, "temperature", None, {("dropped", "temperature", "MS-P5")}),
    (K27, {"top_p": 0.5}, "top_p", None, {("dropped", "top_p", "MS-P5")}),
    (K27, {"top_p": 0.95}, "top_p", None, set()),
    (K3, {"extra": {"n": 2}}, "n", None, {("dropped", "n", "MS-P5")}),
    (K3, {"extra": {"presence_penalty": 1}}, "presence_penalty", None, {("dropped", "presence_penalty", "MS-P5")}),
    (K3, {"seed": 1}, "seed", None, {("dropped", "seed", "MS-P11")}),
    (K3, {"extra": {"top_k": 1}}, "top_k", None, {("dropped", "top_k", "MS-P11")}),
    (K3, {"extra": {"logit_bias": {}}}, "logit_bias", None, {("dropped", "logit_bias", "MS-P11")}),
    (K3, {"extra": {"parallel_tool_calls": False}}, "parallel_tool_calls", None,
     {("dropped", "parallel_tool_calls", "MS-T10")}),
    (K3, {"extra": {"parallel_tool_calls": True}}, "parallel_tool_calls", None, set()),
    (K3, {"extra": {"thinking_budget": 9}}, "thinking_budget", None, {("dropped", "thinking_budget", "MS-P9")}),
    (K3, {"extra": {"reasoning_history": "x"}}, "reasoning_history", None,
     {("dropped", "reasoning_history", "MS-R6")}),
    (K3, {"extra": {"user": "u"}}, "safety_identifier", "u", {("renamed", "user", "MS-P11")}),
    (K3, {"extra": {"user": "u", "safety_identifier": "s"}}, "safety_identifier", "s", {("dropped", "user", "MS-P11")}),
    (K3, {"extra": {"logprobs": True, "top_logprobs": 2}}, "top_logprobs", None, {("dropped", "logprobs", "MS-P10")}),
    (K26, {"extra": {"logprobs": True, "top_logprobs": 2}}, "top_logprobs", 2, set()),
    (K3, {"extra": {"prompt_cache_key": "k"}}, "prompt_cache_key", "k", set()),  # MS-P12
    (K3, {"stop": ["x" * 32] * 5}, "stop", ["x" * 32] * 5, set()),
]  # fmt: skip


@pytest.mark.parametrize(("model", "options", "field", "value", "noted"), FIELDS)
def test_fields(explain, notes, model, options, field, value, noted):
    explanation = explain(model=model, **options)
    assert explanation.body.get(field) == value
    assert notes(explanation) == noted


@pytest.mark.parametrize("stop", [["x"] * 6, ["x" * 33], ["é" * 17]])
def test_stop_strings(explain, stop):
    """MS-P4: bytes count, not letters."""
    with pytest.raises(UnsupportedFeatureError):
        explain(stop=stop)


def test_nothing_is_sent_when_nothing_is_asked(explain):
    """MS-0.4, MS-P2: the vendor's own defaults hold."""
    assert set(explain().body) == {"model", "messages"}


# --- thinking

THINKING = [
    # model, reasoning, extra, fields sent, notes
    (K3, "low", {}, {"reasoning_effort": "low"}, set()),
    (K3, "max", {}, {"reasoning_effort": "max"}, set()),
    (NEW, "high", {}, {"reasoning_effort": "high"}, set()),
    (K3, "minimal", {}, {"reasoning_effort": "low"}, {("note", "reasoning", "MS-P7")}),
    (K3, "medium", {}, {"reasoning_effort": "high"}, {("note", "reasoning", "MS-P7")}),
    (K3, "xhigh", {}, {"reasoning_effort": "max"}, {("note", "reasoning", "MS-P7")}),
    (K3, "none", {}, {"reasoning_effort": "low"}, {("lowered", "reasoning", "MS-0.4")}),
    (K3, None, {"reasoning_effort": "off"}, {"reasoning_effort": "low"}, {("lowered", "reasoning_effort", "MS-0.4")}),
    (K3, None, {"thinking": {"type": "disabled"}}, {}, {("dropped", "thinking", "MS-P8")}),
    (K3, 2048, {}, {}, {("dropped", "reasoning", "")}),
    (K27, "medium", {}, {}, set()),
    (K27, "none", {}, {}, {("lowered", "reasoning", "MS-0.4")}),
    (K27, "max", {}, {}, {("lowered", "reasoning", "MS-P8")}),
    (K27, None, {"thinking": {"type": "disabled"}}, {}, {("dropped", "thinking", "MS-P8")}),
    (K27, None, {"thinking": {"type": "enabled", "keep": "all"}}, {"thinking": {"type": "enabled", "keep": "all"}},
     set()),
    (K26, "none", {}, {"thinking": {"type": "disabled"}}, set()),
    (K26, None, {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, set()),  # MS-X5
    (K26, "medium", {}, {"thinking": {"type": "enabled"}}, set()),
    (K26, "low", {}, {"thinking": {"type": "enabled"}}, {("note", "reasoning", "MS-P8")}),
    (K26, None, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"thinking": {"type": "enabled"}},
     {("dropped", "thinking.budget_tokens", "MS-P9")}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "reasoning", "extra", "sent", "noted"), THINKING)
def test_thinking(explain, notes, model, reasoning, extra, sent, noted):
    explanation = explain(model=model, reasoning=reasoning, extra=extra)
    fields = ("thinking", "reasoning_effort")
    assert {name: explanation.body[name] for name in fields if name in explanation.body} == sent
    assert notes(explanation) == noted


# --- tool choice

CHOICES = [
    # model, choice, reasoning, choice sent, tools sent, further fields, notes
    (K3, "auto", None, "auto", 2, {}, set()),
    (K3, "required", None, "required", 2, {}, set()),
    (K3, "get_weather", None, "required", 1, {}, {("note", "tool_choice", "MS-T9")}),
    (NEW, "get_weather", None, "required", 1, {}, {("note", "tool_choice", "MS-T9")}),
    (K27, "none", None, "none", 2, {}, set()),
    (K27, "required", None, "auto", 2, {}, {("lowered", "tool_choice", "MS-T8")}),
    (K27, "get_weather", None, "auto", 1, {}, {("lowered", "tool_choice", "MS-T8")}),
    (K26, "required", None, "auto", 2, {}, {("lowered", "tool_choice", "MS-T8")}),
    (K26, "get_weather", None, NAMED, 2, {"thinking": {"type": "disabled"}}, {("lowered", "thinking", "MS-T8")}),
    (K26, "get_weather", "high", NAMED, 2, {"thinking": {"type": "disabled"}},
     {("lowered", "reasoning", "MS-P8"), ("lowered", "reasoning", "MS-T8")}),
    (K26, "get_weather", "none", NAMED, 2, {"thinking": {"type": "disabled"}}, set()),
]  # fmt: skip


@pytest.mark.parametrize(("model", "choice", "reasoning", "sent", "count", "fields", "noted"), CHOICES)
def test_tool_choice(explain, notes, model, choice, reasoning, sent, count, fields, noted):
    options = {"tools": [get_weather, get_time], "tool_choice": choice, "reasoning": reasoning}
    explanation = explain(model=model, **options)
    body = explanation.body
    assert (body["tool_choice"], len(body["tools"])) == (sent, count)
    assert fields.items() <= body.items()
    assert ("Answer by calling" in str(body["messages"][0]["content"])) == (sent == "auto" != choice)
    assert notes(explanation) == noted
    if any(kind == "lowered" for kind, _, _ in noted):
        with pytest.raises(UnsupportedFeatureError):
            explain(model=model, on_unsupported="raise", **options)


def test_required_of_one_tool_is_a_named_one(explain):
    """MS-T8: K2.6 knows no `required`."""
    explanation = explain(model=K26, tools=[get_weather], tool_choice="required", reasoning="none")
    assert explanation.body["tool_choice"] == NAMED


def test_names_begin_with_a_letter(explain, notes):
    """MS-T1"""
    tools = [Tool("_get"), Tool("2nd"), Tool("fine")]
    history = [
        Message.user("a"),
        Message.assistant("", tool_calls=(ToolCall("1", "_get", "{}"),)),
        Message.tool("1", "b"),
    ]
    explanation = explain(history, tools=tools, tool_choice="_get", reasoning="low")
    names = [tool["function"]["name"] for tool in explain(tools=tools).body["tools"]]
    assert names[2] == "fine"
    assert all(name.startswith("f_") for name in names[:2])
    assert explanation.body["tools"][0]["function"]["name"] == names[0]
    assert explanation.body["messages"][1]["tool_calls"][0]["function"]["name"] == names[0]
    assert {("renamed", "tools._get.name", "MS-T1"), ("renamed", "tools.2nd.name", "MS-T1")} <= notes(explanation)


def test_too_many_tools(explain):
    """MS-T1"""
    with pytest.raises(UnsupportedFeatureError, match="at most 128"):
        explain(tools=[Tool(f"t{number}") for number in range(129)])


# --- schemas

TEXT: dict[str, Any] = {"type": "string"}


def of(part: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": part}, **more}


SCHEMAS = [
    # schema of x, what is sent, keywords lost
    ({"title": "X", "$comment": "c", **TEXT}, TEXT, set()),
    ({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}, set()),
    ({"type": "string", "enum": ["a", None]},
     {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}, set()),
    ({"enum": ["a", 2.5]},
     {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "number", "enum": [2.5]}]}, set()),
    ({"const": "a"}, {"type": "string", "enum": ["a"]}, set()),
    ({"type": ["string", "null"], "description": "d"}, {"anyOf": [TEXT, {"type": "null"}], "description": "d"}, set()),
    ({"type": "string", "anyOf": [{"enum": ["a"]}, {"minLength": 2}]},
     {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "string", "description": "(minLength: 2)"}]},
     {"minLength"}),
    ({"oneOf": [TEXT, {"type": "null"}]}, {"anyOf": [TEXT, {"type": "null"}]}, set()),
    ({"type": "integer", "minimum": 1, "description": "n"}, {"type": "integer", "description": "n (minimum: 1)"},
     {"minimum"}),
    ({"type": "array", "prefixItems": [TEXT, {"type": "integer"}]},
     {"type": "array", "items": {"anyOf": [TEXT, {"type": "integer"}]}}, {"prefixItems"}),
    ({"type": "array", "items": [TEXT]}, {"type": "array", "items": {"anyOf": [TEXT]}}, {"items"}),
    ({"properties": {"y": TEXT}}, {"type": "object", "properties": {"y": TEXT}}, set()),
    ({"items": TEXT}, {"type": "array", "items": TEXT}, set()),
    ({"type": "object", "additionalProperties": {"format": "uri", **TEXT}},
     {"type": "object", "additionalProperties": {"type": "string", "description": '(format: "uri")'}}, {"format"}),
    ({"type": "object", "additionalProperties": {}}, {"type": "object", "additionalProperties": True}, set()),
    ({"allOf": [of(TEXT, required=["x"]), {"properties": {"y": TEXT}, "required": ["y"]}]},
     {"type": "object", "properties": {"x": TEXT, "y": TEXT}, "required": ["x", "y"]}, set()),
    ({}, {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "object", "array", "null")]}, set()),
]  # fmt: skip


@pytest.mark.parametrize(("part", "sent", "lost"), SCHEMAS)
def test_schemas_are_fitted(part, sent, lost):
    """MS-T3, MS-T4, MS-T5, MS-T6"""
    fitted, losses = fit_schema({"$schema": "https://json-schema.org/draft/2020-12/schema", **of(part)})
    assert (fitted, {loss.keyword for loss in losses}) == (of(sent), lost)
    assert all(loss.path.startswith("properties.x") for loss in losses)


def test_references():
    """MS-T3: only to definitions at the root, and alone."""
    defs = {"Y": {"title": "Y", **of({"$ref": "#/definitions/Y", "description": "d"})}}
    fitted, lost = fit_schema({"$ref": "#/definitions/Y", "definitions": defs})
    assert fitted == {**of({"$ref": "#/$defs/Y"}), "$defs": {"Y": of({"$ref": "#/$defs/Y"})}}
    assert not lost
    assert fit_schema(of({"allOf": [{"$ref": "#/$defs/Z"}], "default": 1}, **{"$defs": {"Z": TEXT}}))[0][
        "properties"
    ] == {"x": {"type": "string", "default": 1}}
    beside = {"anyOf": [{"$ref": "#/$defs/Z"}, {"type": "null"}], "minLength": 1}
    fitted, lost = fit_schema(of(beside, **{"$defs": {"Z": TEXT}}))
    assert fitted["properties"]["x"]["anyOf"][0] == {"$ref": "#/$defs/Z"}
    assert [(loss.path, loss.keyword) for loss in lost] == [("properties.x", "minLength")]
    fitted, lost = fit_schema(of(TEXT, oneOf=[{"required": ["x"]}]))
    assert (fitted, [(loss.path, loss.keyword) for loss in lost]) == (of(TEXT), [("", "oneOf")])


@pytest.mark.parametrize(
    "schema",
    [
        of({"$ref": "https://example.org/x.json"}),
        of({"$ref": "#/properties/y"}),
        of(False),
        of({"enum": [{}]}),
        {"$ref": "#"},
        of({"allOf": [{"$ref": "#/$defs/A"}]}, **{"$defs": {"A": {"$ref": "#/$defs/A"}}}),
        {"type": "array", "items": TEXT},
    ],
)
def test_schemas_that_cannot_be_sent(explain, notes, schema):
    """MS-T2, MS-X3: before anything is sent. An output has a weaker form, a tool has none (MS-J1, MS-J3)."""
    with pytest.raises(Misfit):
        fit_schema(schema)
    with pytest.raises(UnsupportedFeatureError, match="schema of the tool 't'"):
        explain(tools=[Tool("t", schema=schema)])
    explanation = explain(output=schema)
    assert "response_format" not in explanation.body
    assert "JSON Schema" in explanation.body["messages"][0]["content"]
    assert notes(explanation) == {("lowered", "response_format", "MS-J1")}


def test_a_union_at_the_root_is_one_object_in_a_tool(explain, notes):
    """MS-T3: an output has words as its weaker form, a tool an object with the arguments of all branches."""
    union = {"anyOf": [of(TEXT), {"type": "object", "properties": {"y": TEXT}}]}
    with pytest.raises(Misfit):
        fit_schema(union)
    explanation = explain(tools=[Tool("t", schema=union)])
    sent = explanation.body["tools"][0]["function"]["parameters"]
    assert (sent["type"], sent["properties"]) == ("object", {"x": TEXT, "y": TEXT})
    assert ("lowered", "tools.t.parameters.anyOf", "MS-T4") in notes(explanation)
    assert "response_format" not in explain(output=union).body


def test_constraints_of_tools_and_outputs_are_told(explain, notes):
    @attrs.frozen
    class Place:
        city: str
        people: Annotated[int, msgspec.Meta(ge=0)]

    explanation = explain(tools=[{"name": "t", "parameters": of({"format": "date", **TEXT})}], output=Place)
    schema = explanation.body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["people"] == {"type": "integer", "description": "(minimum: 0)"}
    assert explanation.body["response_format"]["json_schema"]["strict"] is True
    assert "title" not in schema
    assert notes(explanation) == {
        ("lowered", "tools.t.parameters.properties.x.format", "MS-T4"),
        ("lowered", "output.properties.people.minimum", "MS-T4"),
    }
    assert explain(output=of(TEXT)).adjustments == ()


# --- messages


def loop(reasoning: str | None, origin: str | None = "moonshot") -> list[Message]:
    said = attrs.evolve(Message.assistant("", tool_calls=(CALL,)), reasoning=reasoning, origin=origin)
    return [Message.user("Weather?"), said, Message.tool(CALL, "Sunny")]


REASONING = [
    # model, reasoning of the call, origin, options, what goes back, noted
    (K3, "why", "moonshot", {}, "why", False),
    (K27, "why", "moonshot", {}, "why", False),
    (K26, "why", "moonshot", {}, "why", False),
    (NEW, None, "moonshot", {}, " ", True),
    (K3, "why", "deepseek", {}, " ", True),
    (K26, None, "moonshot", {}, " ", True),
    (K26, None, "moonshot", {"reasoning": "none"}, None, False),
]


@pytest.mark.parametrize(("model", "reasoning", "origin", "options", "back", "noted"), REASONING)
def test_reasoning_goes_back(explain, notes, model, reasoning, origin, options, back, noted):
    """MS-R1, MS-R2, MS-R3, MS-R5, MS-X2"""
    explanation = explain(loop(reasoning, origin), model=model, tools=[get_weather], **options)
    assert explanation.body["messages"][1].get("reasoning_content") == back
    assert explanation.body["messages"][1]["content"] is None  # MS-X8
    assert notes(explanation) == ({("added", "messages.reasoning_content", "MS-R3")} if noted else set())


def test_reasoning_of_plain_turns_is_kept_too(explain):
    """MS-R2: every answer goes back as it came; one that has none needs none."""
    said = attrs.evolve(Message.assistant("b"), reasoning="r", origin="moonshot")
    messages = explain([Message.user("a"), said, Message.user("c"), Message.assistant("d"), "e"]).body["messages"]
    assert [message.get("reasoning_content") for message in messages] == [None, "r", None, None, None]


def test_empty_content_is_filled(explain, notes):
    """MS-P14"""
    explanation = explain([*loop("r")[:2], Message.tool(CALL, ""), Message.assistant(""), Message.user("and?")])
    assert [message["content"] for message in explanation.body["messages"][2:4]] == ["(empty)", "(empty)"]
    assert notes(explanation) == {("added", "messages.content", "MS-P14")}


def test_roles_and_late_tools(explain):
    """MS-P13, MS-P17"""
    late = Message("system", extra={"tools": [{"type": "function", "function": {"name": "f"}}]})
    messages = explain([Message.developer("Be brief."), Message.user("a"), late, Message.user("b")]).body["messages"]
    assert messages[0] == {"role": "system", "content": "Be brief."}
    assert messages[2] == {"role": "system", "tools": late.extra["tools"]}


def test_marks_of_the_callers_own(explain):
    """MS-P15, MS-P16: parts and keys that are the caller's go as they are."""
    part = {"type": "video_url", "video_url": {"url": "ms://f1"}}
    draft = Message("assistant", (TextPart("{"),), extra={"partial": True})
    messages = explain([Message.user(TextPart("", extra=part)), draft]).body["messages"]
    assert part.items() <= messages[0]["content"][0].items()
    assert messages[1] == {"role": "assistant", "content": "{", "partial": True}


def test_pictures(explain):
    """MS-M1"""
    parts = [ImagePart.from_bytes(b"x", "image/png"), FilePart(file_id="f1")]
    content = explain(Message.user("what?", *parts)).body["messages"][0]["content"]
    assert [part["image_url"]["url"] for part in content[1:]] == ["data:image/png;base64,eA==", "ms://f1"]
    clips = [VideoPart.from_bytes(b"x", "video/mp4"), VideoPart("ms://f2", {"video_url": {"fps": 2}})]
    content = explain(Message.user("what?", *clips)).body["messages"][0]["content"]
    assert [part["video_url"] for part in content[1:]] == [
        {"url": "data:video/mp4;base64,eA=="},
        {"url": "ms://f2", "fps": 2},
    ]


def test_marks_on_an_uploaded_picture_stay(explain):
    """MS-M1"""
    part = FilePart(file_id="f1", extra={"x_mark": 1})
    content = explain(Message.user("what?", part)).body["messages"][0]["content"]
    assert content[1] == {"x_mark": 1, "type": "image_url", "image_url": {"url": "ms://f1"}}


@pytest.mark.parametrize(
    "part",
    [
        ImagePart("https://example.org/a.png"),
        VideoPart("https://example.org/a.mp4"),
        AudioPart("eA==", "wav"),
        FilePart(data="data:application/pdf;base64,eA=="),
    ],
)
def test_content_that_is_not_taken(explain, part):
    """MS-M1"""
    with pytest.raises(UnsupportedFeatureError):
        explain(Message.user("what?", part))


def test_the_vendors_own_tool_stands_beside_functions(explain, notes):
    """MS-T12"""
    search = {"type": "builtin_function", "function": {"name": "$web_search"}}
    got = explain("hi", tools=[search, get_weather])
    assert got.body["tools"][1] == search
    assert explain("hi", tools=[search]).body["tools"] == [search]
    assert notes(got) == set()


def test_a_file_in_anothers_form_is_the_vendors_matter(explain):
    """MS-M1: only uploads are turned into what they are called here."""
    part = {"type": "file", "file": {"url": "https://h.example/x"}}
    with pytest.raises(UnsupportedFeatureError, match="no file by its address"):
        explain([{"role": "user", "content": [part]}])
