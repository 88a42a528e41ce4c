"""The body that goes out, fact by fact, and the warnings that say what was changed."""

from __future__ import annotations

import json

import pytest

from chatport import (
    AudioPart,
    Client,
    FilePart,
    ImagePart,
    Message,
    OutputSpec,
    PolicyError,
    TextPart,
    Tool,
    UnsupportedFeatureError,
    VideoPart,
)
from chatport.facts import cost_of
from chatport.types import Usage
from chatport_cerebras import provider

OSS, QWEN, GEMMA, OWN = "cerebras:gpt-oss-120b", "cerebras:qwen-3.8-27b", "cerebras:gemma-4-31b", "cerebras:my-endpoint"
KEPT = {"models": {GEMMA: {"retired": None}}}
CLOSED = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
OPEN = {"type": "object", "properties": {"city": {"type": "string"}}}
PNG = "data:image/png;base64,AAAA"


def tool(name="get_weather", schema=CLOSED, strict=None):
    return Tool(name, "Tell it.", schema, strict)


def test_a_plain_call_is_the_standard(explain):
    """CB-B1, CB-B2, CB-0, CB-E1, CB-P4, CB-P8, CB-P9: text parts become one text."""
    text = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    talk = [Message.developer("Be brief."), {"role": "user", "name": "ann", "content": text}]
    explanation = explain(talk, max_tokens=50, temperature=0.2, stream=True)
    assert explanation.url == "https://api.cerebras.ai/v1/chat/completions"
    assert explanation.headers["x-cerebras-version-patch"] == "2"
    assert explanation.body == {
        "model": "gpt-oss-120b",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "name": "ann", "content": "hello"},
        ],
        "max_completion_tokens": 50, "temperature": 0.2, "stream": True,
    }  # fmt: skip
    assert explanation.adjustments == ()


@pytest.mark.parametrize("address", ["https://api.cerebras.ai", "https://api.cerebras.ai/v1/"])
def test_addresses_with_and_without_suffix(monkeypatch, address):
    """CB-B1: the SDK's variable holds the bare host."""
    for name, value in {"CEREBRAS_API_KEY": "k", "CEREBRAS_BASE_URL": address}.items():
        monkeypatch.setenv(name, value)
    assert Client().explain("hello", model=OSS).url == "https://api.cerebras.ai/v1/chat/completions"


def test_an_endpoint_of_ones_own_is_a_model(explain):
    """CB-B2: nothing is known of it, so nothing of it is refused."""
    image = ImagePart(PNG)
    explanation = explain([Message.user("?", image)], model=OWN, reasoning="high", max_tokens=90_000)
    assert explanation.body["reasoning_effort"] == "high"
    assert explanation.body["max_completion_tokens"] == 90_000
    assert explanation.adjustments == ()


@pytest.mark.parametrize(
    ("model", "options", "kind", "field", "fact"),
    [
        (OSS, {"extra": {"top_k": 40}}, "dropped", "top_k", "CB-P1"),
        (OSS, {"extra": {"metadata": {}}}, "dropped", "metadata", "CB-P1"),
        (OSS, {"extra": {"max_tokens": 5}}, "renamed", "max_tokens", "CB-P4"),
        (OSS, {"temperature": 1.8}, "lowered", "temperature", "CB-P3"),
        (OSS, {"stop": ["is"]}, "note", "stop", "CB-R7"),
        (QWEN, {"extra": {"prediction": {"type": "content", "content": "x"}}}, "dropped", "prediction", "CB-P6"),
        (OSS, {"extra": {"prediction": {}, "logprobs": True}}, "dropped", "prediction", "CB-P6"),
        (OSS, {"extra": {"prediction": {}, "n": 2}}, "dropped", "prediction", "CB-P6"),
        (OSS, {"extra": {"prediction": {}}, "tools": [tool()]}, "dropped", "prediction", "CB-P6"),
        (QWEN, {"extra": {"disable_reasoning": True}}, "dropped", "disable_reasoning", "CB-R5"),
    ],
)
def test_what_is_refused_is_told(explain, notes, model, options, kind, field, fact):
    """CB-P1 to CB-P4, CB-P6, CB-R5, CB-R7"""
    assert notes(explain(model=model, **options)) == {(kind, field, fact)}


def test_what_costs_no_warning(explain):
    """CB-P2, CB-P5, CB-P6, CB-P7, CB-R4, CB-R5, CB-U3: the vendor's own fields, penalties only where they are set."""
    own = {
        "min_tokens": 1, "logit_bias": {"1": 1}, "logprobs": True, "top_logprobs": 2, "user": "u", "seed": 1,
        "frequency_penalty": 0.1, "prompt_cache_key": "k", "service_tier": "flex", "reasoning_format": "hidden",
        "clear_thinking": False, "parallel_tool_calls": False,
    }  # fmt: skip
    explanation = explain(extra=own)
    assert explanation.body.items() >= own.items()
    assert explanation.adjustments == ()
    assert not [field for field in explain().body if "penalty" in field]
    wanted = {"prediction": {"type": "content", "content": "x"}}
    assert explain(extra=wanted).body["prediction"] == wanted["prediction"]
    later = explain(extra={"new_field": 1}, settings={"extra_fields": ["new_field"]})
    assert (later.body["new_field"], later.adjustments) == (1, ())
    with pytest.raises(UnsupportedFeatureError, match="at most 4"):
        explain(stop=list("abcde"))


def test_limits_are_those_of_the_model(explain):
    """CB-U3, CB-H3: without one nothing is sent, and the vendor charges the whole window ahead."""
    assert explain(max_tokens=90_000).body["max_completion_tokens"] == 40_000
    assert explain(model=QWEN, max_tokens=90_000).body["max_completion_tokens"] == 32_768
    assert "max_completion_tokens" not in explain().body


@pytest.mark.parametrize(
    ("model", "asked", "sent", "kind"),
    [
        (OSS, "low", "low", None),
        (OSS, "none", "low", "lowered"),
        (OSS, "max", "high", "lowered"),
        (QWEN, "none", "none", None),
        (QWEN, "minimal", "low", "note"),
        (QWEN, 2000, None, "dropped"),
    ],
)
def test_efforts_depend_on_the_model(explain, notes, model, asked, sent, kind):
    """CB-R1, CB-I4"""
    explanation = explain(model=model, reasoning=asked)
    assert explanation.body.get("reasoning_effort") == sent
    assert {(note[0], note[1]) for note in notes(explanation)} == ({(kind, "reasoning")} if kind else set())
    assert "reasoning_effort" not in explain(model=model).body


def test_gemma_on_an_endpoint_of_ones_own():
    """CB-R1, CB-L2: whoever has it says so; all its efforts are one."""
    client = Client(config={"providers": {"cerebras": {"api_key": "k"}}, **KEPT})
    shown = client.explain("hello", model=GEMMA, reasoning="low")
    assert (shown.body["model"], shown.body["reasoning_effort"]) == ("gemma-4-31b", "low")
    assert [(note.kind, note.field, note.fact) for note in shown.adjustments] == [("note", "reasoning", "CB-R1")]


def test_reasoning_goes_back_under_its_own_name(explain):
    """CB-R2, CB-R3, CB-I1: the other name is a 400, and a retry would never end."""
    written = {"role": "assistant", "content": "b", "reasoning_content": "r"}
    own = Message("assistant", (TextPart("b"),), reasoning="r", origin="cerebras")
    for answer in (written, own):
        sent = explain(["a", answer, "c"]).body["messages"][1]
        assert sent == {"role": "assistant", "content": "b", "reasoning": "r"}
    other = Message("assistant", (TextPart("b"),), reasoning="r", origin="deepseek")
    assert "reasoning" not in explain(["a", other, "c"]).body["messages"][1]


def test_messages_are_bare(explain, notes):
    """CB-P1, CB-T5: no nulls, no unknown keys."""
    call = {"id": "ab3497025", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    explanation = explain(
        [
            "a",
            {"role": "assistant", "content": None, "tool_calls": [{**call, "index": 0, "own": 1}], "mood": 1},
            {"role": "tool", "tool_call_id": "ab3497025", "name": "get_weather", "content": "sun"},
            {"role": "assistant", "content": "b", "tool_calls": None},
            "c",
        ]
    )
    assert explanation.body["messages"][1:4] == [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "ab3497025", "name": "get_weather", "content": "sun"},
        {"role": "assistant", "content": "b"},
    ]
    assert {fact for _, _, fact in notes(explanation)} == {"CB-P1"}


@pytest.mark.parametrize(
    ("choice", "sent", "tools"),
    [("auto", None, 2), ("none", "none", 2), ("required", "required", 2), ("get_weather", "required", 1)],
)
def test_choices(explain, choice, sent, tools):
    """CB-T1: a name was refused in 2025; as the only tool that is required it is the same."""
    body = explain(tools=[tool(), tool("look")], tool_choice=choice).body
    assert (body.get("tool_choice") in (sent, "auto"), len(body["tools"])) == (True, tools)
    assert sent is None or body["tool_choice"] == sent


def test_only_functions_are_tools(explain, notes):
    """CB-W1"""
    explanation = explain(tools=[{"type": "web_search"}, tool()])
    assert [each["type"] for each in explanation.body["tools"]] == ["function"]
    assert notes(explanation) == {("dropped", "tools", "CB-W1")}


@pytest.mark.parametrize(
    ("tools", "strict", "words"),
    [
        ([tool(strict=True), tool("b", strict=True)], [True, True], None),
        ([tool(), tool("b")], [None, None], None),
        ([tool(strict=False), tool("b")], [False, None], None),
        ([tool(strict=True), tool("b")], [None, None], "b is not"),
        ([tool(strict=True), tool("b", strict=False)], [None, None], "b is not"),
        ([tool(strict=True), tool("b", {"type": "object"}, True)], [None, None], "free keys"),
    ],
)
def test_all_tools_are_strict_or_none_is(explain, notes, tools, strict, words):
    """CB-T2, CB-T3, CB-I3"""
    explanation = explain(tools=tools)
    assert [each["function"].get("strict") for each in explanation.body["tools"]] == strict
    assert notes(explanation) == ({("dropped", "tools.strict", "CB-T2")} if words else set())
    assert words is None or words in explanation.adjustments[0].reason


def test_json_excludes_tools(explain, notes):
    """CB-3, CB-T6, CB-I2: the tools stay, the schema is told in words, and a form that means nothing goes."""
    explanation = explain(output=CLOSED, tools=[tool()])
    assert "response_format" not in explanation.body
    assert "JSON Schema" in explanation.body["messages"][0]["content"]
    assert notes(explanation) == {("lowered", "response_format", "CB-T6")}
    for tools in ({}, {"tools": [tool()]}):
        explanation = explain(extra={"response_format": {"type": "text"}}, **tools)
        assert ("response_format" in explanation.body, notes(explanation)) == (False, set())
    idle = explain(output=CLOSED, tools=[tool()], tool_choice="none")
    assert ("response_format" in idle.body, "tools" in idle.body) == (True, False)


@pytest.mark.parametrize(
    ("schema", "sent", "fact"),
    [
        (CLOSED, CLOSED, None),
        (OPEN, {**OPEN, "additionalProperties": False}, None),
        (
            {"type": "object", "properties": {"a": {"type": ["string", "null"], "description": "d"}}},
            {
                "type": "object",
                "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "d"}},
                "additionalProperties": False,
            },
            None,
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/definitions/A"}},
                "definitions": {"A": {"type": "integer"}},
            },
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/A"}},
                "$defs": {"A": {"type": "integer"}},
                "additionalProperties": False,
            },
            None,
        ),
    ],
)
def test_schemas_are_made_to_fit(explain, notes, schema, sent, fact):
    """CB-J1, CB-J2, CB-J3"""
    explanation = explain(output=OutputSpec("place", schema))
    spec = explanation.body["response_format"]["json_schema"]
    assert (spec["schema"], spec["strict"]) == (sent, True)
    assert notes(explanation) == set()
    assert explain(output=OutputSpec("place", schema, strict=False)).body["response_format"]["json_schema"] == {
        "name": "place", "schema": schema, "strict": False,
    }  # fmt: skip
    strict = explain(tools=[tool(schema=schema, strict=True)]).body["tools"][0]["function"]
    assert strict["parameters"] == sent


def test_what_a_schema_loses_is_told(explain, notes):
    """CB-J3: what is not enforced goes into the description."""
    schema = {**CLOSED, "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    explanation = explain(output=schema)
    sent = explanation.body["response_format"]["json_schema"]["schema"]["properties"]["n"]
    assert "minimum" not in sent
    assert "minimum" in sent["description"]
    assert notes(explanation) == {("lowered", "output.properties.n.minimum", "CB-J3")}


@pytest.mark.parametrize(
    "part", [{"type": "object"}, {"type": "object", "additionalProperties": True}, {"type": "array"}, {}]
)
def test_a_schema_that_cannot_be_strict_is_sent_as_a_wish(explain, notes, part):
    """CB-J2, CB-J3"""
    explanation = explain(output=OutputSpec("x", {**CLOSED, "properties": {"city": part}}))
    assert explanation.body["response_format"]["json_schema"]["strict"] is False
    assert notes(explanation) == {("lowered", "response_format", "CB-J2")}


def test_the_root_is_an_object(explain, notes):
    """CB-J4"""
    explanation = explain(output={"type": "array", "items": {"type": "string"}})
    assert "response_format" not in explanation.body
    assert notes(explanation) == {("lowered", "response_format", "CB-J4")}


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (OSS, ImagePart(PNG)),
        (QWEN, ImagePart("https://a.example/x.png")),
        (QWEN, ImagePart("data:image/webp;base64,AAAA")),
        (QWEN, AudioPart("AAAA", "wav")),
        (QWEN, FilePart("f")),
        (OWN, VideoPart("https://a.example/x.mp4")),
    ],
)
def test_content_the_model_does_not_take(explain, model, part):
    """CB-M1, CB-M2, CB-M4"""
    with pytest.raises(UnsupportedFeatureError):
        explain([Message.user("?", part)], model=model)


def test_pictures_are_sent_in_the_request(explain):
    """CB-M1"""
    sent = explain([Message.user("?", ImagePart(PNG, detail="low"))], model=QWEN).body["messages"][0]["content"]
    assert sent[1] == {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}


@pytest.mark.parametrize(
    ("old", "new", "effort"),
    [
        ("gemma-4-31b", "qwen-3.8-27b", "none"),
        ("llama3.1-8b", "gpt-oss-120b", "low"),
        ("llama-3.3-70b", "gpt-oss-120b", "low"),
        ("qwen-3-32b", "gpt-oss-120b", None),
    ],
)
def test_retired_models_are_followed(explain, notes, old, new, effort):
    """CB-2, CB-L1, CB-L2, CB-L3: with as little thinking as the successor can do, where they did none."""
    explanation = explain(model=f"cerebras:{old}")
    assert (explanation.body["model"], explanation.body.get("reasoning_effort")) == (new, effort)
    assert {(kind, field) for kind, field, _ in notes(explanation)} == {("redirected", "model")}


def test_costs_and_places():
    """CB-U3, CB-D1, CB-D2: what a cached token costs is not known, nor the place, nor training."""
    prices = provider.facts.describe("gpt-oss-120b").prices
    assert cost_of(Usage(1_000_000, 1_000_000), prices).amount == pytest.approx(0.35 + 0.75)
    assert cost_of(Usage(1_000_000, 1_000_000, 128), prices) is None
    assert provider.facts.host("https://api.cerebras.ai/v1").retention_days == 0
    for policy in ({"allow_regions": ["US"]}, {"forbid_training": True}):
        client = Client(config={"providers": {"cerebras": {"api_key": "k"}}, "policy": policy})
        with pytest.raises(PolicyError):
            client.explain("hello", model=OSS)


def test_nothing_of_a_request_is_compressed(explain):
    """CB-B4"""
    assert "content-encoding" not in explain().headers
    assert json.dumps(explain().body)
