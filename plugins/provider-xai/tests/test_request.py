"""What a call becomes at xAI: its protocol, its fields, its schemas, and what is told of the rest."""

from __future__ import annotations

import pytest

from chatport import (
    Client,
    FilePart,
    ImagePart,
    Message,
    OutputSpec,
    PolicyError,
    Tool,
    ToolCall,
    UnsupportedFeatureError,
)
from chatport.facts.prices import estimate_cost
from chatport.plugins.registry import load_provider

RESPONSES, CHAT = "https://api.x.ai/v1/responses", "https://api.x.ai/v1/chat/completions"


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return city


@pytest.fixture
def on_chat(explain):
    def ask(messages="hi", *, model="xai:grok-4.7", **options):
        with Client({"providers": {"xai": {"api_key": "k", "protocol": "chat"}}}) as client:
            return client.explain(messages, model=model, **options)

    return ask


def test_responses_is_the_main_way(explain, on_chat):
    """XA-0, XA-R4, XA-B1, XA-E1: chat is there for who asks for it."""
    shown = explain(tools=[get_weather], reasoning="high")
    assert (shown.url, shown.protocol) == (RESPONSES, "responses")
    assert shown.protocol_reason == "the usual one for this model (XA-0, XA-R4)"
    assert (shown.body["store"], shown.body["include"]) == (False, ["reasoning.encrypted_content"])
    assert shown.adjustments == ()
    assert on_chat().url == CHAT


def test_a_loop_of_tools_in_chat_is_told_of(on_chat, notes):
    """XA-R6: the newest models lose their reasoning there, with a 200."""
    assert notes(on_chat(tools=[get_weather])) == {("note", "tools", "XA-R6, XA-0")}
    assert notes(on_chat(tools=[get_weather], model="xai:grok-4.3")) == set()
    assert notes(on_chat()) == set()


def test_the_key_and_the_regions(monkeypatch):
    """XA-B1, XA-B2, XA-B3, XA-G3"""
    monkeypatch.setenv("XAI_API_KEY", "xai-1")
    with Client({"providers": {"xai": {"region": "us"}}}) as client:
        shown = client.explain("hi", model="xai:grok-4.7")
    assert shown.url == "https://us.api.x.ai/v1/responses"
    with Client({"providers": {"xai": {"base_url": "https://eu-west-1.api.x.ai/v1"}}}) as client:
        assert client.explain("hi", model="xai:grok-4.3").url == "https://eu-west-1.api.x.ai/v1/responses"


def test_where_requests_go():
    """XA-B2, XA-G1, XA-G2, XA-G3"""
    policy = {"allow_regions": ["US"], "forbid_training": True}
    for region, is_taken in (({}, False), ({"region": "us"}, True)):
        with Client({"providers": {"xai": {"api_key": "k", **region}}, "policy": policy}) as client:
            if is_taken:
                client.explain("hi", model="xai:grok-4.7")
            else:
                with pytest.raises(PolicyError, match="global"):
                    client.explain("hi", model="xai:grok-4.7")


def test_penalties_are_dropped_even_where_they_say_nothing(explain, on_chat, notes):
    """XA-P3, XA-I1: clients that always send them break."""
    for ask in (explain, on_chat):
        zero = ask(extra={"presence_penalty": 0, "frequency_penalty": 0.0})
        assert not {"presence_penalty", "frequency_penalty"} & zero.body.keys()
        assert notes(zero) == set()
    fact = {note.fact for note in on_chat(extra={"presence_penalty": 1, "frequency_penalty": 1}).adjustments}
    assert fact == {"XA-P3, XA-I1"}


@pytest.mark.parametrize(
    ("model", "is_kept"),
    [("grok-4.7", False), ("grok-4.20-0309-reasoning", False), ("grok-4.20-0309-non-reasoning", True)],
)
def test_stop_is_for_models_that_do_not_reason(on_chat, notes, model, is_kept):
    """XA-P3, XA-P6"""
    shown = on_chat(stop=["#"], model=f"xai:{model}")
    assert ("stop" in shown.body) is is_kept
    assert notes(shown) == (set() if is_kept else {("dropped", "stop", "XA-P3")})
    with pytest.raises(UnsupportedFeatureError, match="at most 8"):
        on_chat(stop=[str(number) for number in range(9)], model=f"xai:{model}")


def test_fields_of_the_older_kind(on_chat, explain, notes):
    """XA-P1, XA-P2, XA-P5, XA-P6, XA-P7, XA-P9, XA-P10, XA-W1"""
    shown = on_chat(max_tokens=9, temperature=3, extra={"max_tokens": 5, "n": 129, "logprobs": True, "top_logprobs": 2})
    assert (shown.body["max_completion_tokens"], shown.body["temperature"], shown.body["n"]) == (9, 2, 128)
    assert {"logprobs", "top_logprobs", "max_tokens"}.isdisjoint(shown.body)
    kinds = {(note.field, note.fact) for note in shown.adjustments}
    assert kinds >= {("temperature", "XA-P1"), ("n", "XA-P6"), ("logprobs", "XA-P5"), ("top_logprobs", "XA-P5")}
    own = {"search_parameters": {"mode": "on"}, "deferred": True, "logit_bias": {"1": 1}, "web_search_options": {}}
    for ask in (on_chat, explain):
        shown = ask(extra={**own, "parallel_function_calling": False})
        assert own.keys().isdisjoint(shown.body)
        assert shown.body["parallel_tool_calls"] is False
        assert {note.fact for note in shown.adjustments} >= {"XA-P7", "XA-P10", "XA-P9"}
        assert {note.field for note in shown.adjustments} >= own.keys()


def test_what_costs_no_warning(explain, on_chat, notes):
    """XA-P1, XA-P8, XA-U4"""
    own = {"service_tier": "priority", "prompt_cache_key": "talk-1", "user": "u-1"}
    for ask in (explain, on_chat):
        shown = ask(extra=own, temperature=0.5, top_p=0.9, max_tokens=100)
        assert shown.body.items() >= own.items()
        assert notes(shown) == set()


@pytest.mark.parametrize(
    ("model", "asked", "sent", "kind"),
    [
        ("grok-4.7", "xhigh", "xhigh", None),
        ("grok-4.7", "none", "low", "lowered"),
        ("grok-4.6", "max", "xhigh", "lowered"),
        ("grok-4.5", "xhigh", "high", "lowered"),
        ("grok-4.5", "none", "low", "lowered"),
        ("grok-4.3", "none", "none", None),
        ("grok-4.3-latest", "minimal", "low", "note"),
        ("grok-latest", "none", "none", None),
        ("grok-4.20-0309-reasoning", "high", None, "dropped"),
        ("grok-4.20-0309-reasoning", "none", None, "lowered"),
        ("grok-4.20-0309-non-reasoning", "high", None, "dropped"),
        ("grok-4.20-0309-non-reasoning", "none", None, None),
        ("grok-4.20-multi-agent", "high", "high", None),
    ],
)
def test_efforts_depend_on_the_model(explain, notes, model, asked, sent, kind):
    """XA-R1, XA-R2, XA-P4, XA-L1"""
    shown = explain(model=f"xai:{model}", reasoning=asked)
    assert (shown.body.get("reasoning") or {}).get("effort") == sent
    assert {(note.kind, note.field) for note in shown.adjustments} == ({(kind, "reasoning")} if kind else set())
    assert all("XA-R" in note.fact for note in shown.adjustments)


def test_many_agents_answer_in_responses_only(explain):
    """XA-R2"""
    assert "answers in no other (XA-R2)" in explain(model="xai:grok-4.20-multi-agent").protocol_reason


@pytest.mark.parametrize(
    ("old", "new", "effort"),
    [
        ("grok-4-fast", "grok-4.3", None),
        ("grok-4-1-fast-reasoning", "grok-4.3", None),
        ("grok-4-fast-non-reasoning", "grok-4.3", "none"),
        ("grok-4-0709", "grok-4.3", None),
        ("grok-3", "grok-4.3", "none"),
        ("grok-3-mini", "grok-4.3", None),
        ("grok-code-fast-1", "grok-4.7", None),
        ("grok-build-0.1", "grok-4.7", None),
    ],
)
def test_a_retired_name_is_followed_aloud(explain, old, new, effort):
    """XA-1, XA-D1, XA-D2: the vendor would answer as another model, at its price, and say nothing."""
    shown = explain(model=f"xai:{old}")
    assert shown.body["model"] == new
    assert (shown.body.get("reasoning") or {}).get("effort") == effort
    assert {(note.kind, note.field) for note in shown.adjustments} == {("redirected", "model")}
    assert old in shown.adjustments[0].reason


@pytest.mark.parametrize(
    ("host", "model", "tokens", "usd"),
    [
        ("api.x.ai", "grok-4.7", 1_000, 0.002),
        ("api.x.ai", "grok-4.7-latest", 199_999, 0.399998),
        ("api.x.ai", "grok-4.7", 200_000, 0.8),  # the whole request
        ("us.api.x.ai", "grok-4.6", 1_000, 0.0022),
        ("us.api.x.ai", "grok-4.7", 1_000, 0.0022),
        ("api.x.ai", "grok-4.20-0309-reasoning", 1_000_000, 2.5),
    ],
)
def test_a_long_prompt_doubles_the_price_and_the_us_cost_more(host, model, tokens, usd):
    """XA-U5, XA-B2"""
    prices = load_provider("xai").facts.describe(model, f"https://{host}/v1").prices
    assert estimate_cost(prices, tokens, 0).amount == pytest.approx(usd)


def test_windows_and_abilities():
    """XA-L1, XA-L2: names with and without a date."""
    facts = load_provider("xai").facts
    for model, tokens in (("grok-4.7", 500_000), ("grok-4.6-0901", 500_000), ("grok-4.3-latest", 1_000_000)):
        known = facts.describe(model)
        assert (known.context_tokens, known.input, known.tools) == (tokens, ("text", "image"), True)
        assert known.output_formats == ("json_schema", "json_object")


def test_pictures_documents_and_sound(explain, on_chat):
    """XA-M1, XA-M2: documents only by upload, and only in Responses."""
    seen = explain([Message.user("see", ImagePart("https://a.example/b.png", "low"))]).body["input"][0]["content"][1]
    assert seen == {"type": "input_image", "image_url": "https://a.example/b.png", "detail": "low"}
    upload = [Message.user("read", FilePart(file_id="file-1"))]
    assert explain(upload).body["input"][0]["content"][1] == {"type": "input_file", "file_id": "file-1"}
    for ask, part in ((on_chat, FilePart(file_id="file-1")), (explain, FilePart(data=b"%PDF-1.7", filename="a.pdf"))):
        with pytest.raises(UnsupportedFeatureError):
            ask([Message.user("read", part)])
    with pytest.raises(UnsupportedFeatureError, match="png, jpeg"):
        explain([Message.user("see", ImagePart.from_bytes(b"GIF89a----"))])


def test_server_tools_go_to_responses(explain, on_chat, notes):
    """XA-T1, XA-W1"""
    given = [{"type": "web_search"}, {"type": "x_search"}, get_weather]
    assert [tool["type"] for tool in explain(tools=given).body["tools"]] == ["function", "web_search", "x_search"]
    shown = on_chat(tools=given, model="xai:grok-4.3")
    assert [tool["type"] for tool in shown.body["tools"]] == ["function"]
    assert ("dropped", "tools", "XA-T1, XA-W1") in notes(shown)


def test_tools_and_the_choice_among_them(explain, notes):
    """XA-T1, XA-T2, XA-T5"""
    shown = explain(tools=[get_weather], tool_choice="get_weather")
    assert shown.body["tool_choice"] == {"type": "function", "name": "get_weather"}
    assert explain(tools=[get_weather], tool_choice="required").body["tool_choice"] == "required"
    many = [Tool(f"t{number}", "x", {"type": "object", "properties": {}}) for number in range(129)]
    with pytest.raises(UnsupportedFeatureError, match="128"):
        explain(tools=many)


SCHEMA = {
    "type": "object",
    "properties": {
        "any": True,
        "never": False,
        "pair": {"type": "array", "items": [{"type": "string"}, {"type": "integer"}], "additionalItems": False},
        "none": {"enum": []},
        "some": {"type": "array", "contains": {"const": 1}, "minContains": 2, "maxItems": 300},
        "long": {"type": "string", "maxLength": 5000, "minLength": 3},
        "both": {"allOf": [{"minimum": 1}, {"maximum": 9}], "type": "integer"},
        "refs": {"allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]},
        "one": {"allOf": [{"type": "string"}]},
        "either": {"anyOf": []},
        "map": {"type": "object", "additionalProperties": True},
    },
    "$defs": {"A": {"type": "string"}, "B": {"type": "string", "minLength": 1}},
}
FITTED = {
    "any": {},
    "never": {},
    "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
    "none": {},
    "some": {"type": "array", "description": '(contains: {"const":1}; minContains: 2; maxItems: 300)'},
    "long": {"type": "string", "minLength": 3, "description": "(maxLength: 5000)"},
    "both": {"minimum": 1, "maximum": 9, "type": "integer"},
    "refs": {"allOf": [{"$ref": "#/$defs/A", "allOf": [{"$ref": "#/$defs/B"}]}]},
    "one": {"allOf": [{"type": "string"}]},
    "either": {},
    "map": {"type": "object", "additionalProperties": True},
}


def test_schemas_are_in_the_subset_that_is_taken(explain, on_chat, notes):
    """XA-T3, XA-T4, XA-J1, XA-J2: in tools and in structured output, of both protocols."""
    tool, output = Tool("f", "x", SCHEMA), OutputSpec("place", SCHEMA)
    new, old = explain(tools=[tool], output=output), on_chat(tools=[tool], output=output, model="xai:grok-4.3")
    for schema in (
        new.body["tools"][0]["parameters"],
        new.body["text"]["format"]["schema"],
        old.body["tools"][0]["function"]["parameters"],
        old.body["response_format"]["json_schema"]["schema"],
    ):
        assert schema["properties"] == FITTED
    for shown in (new, old):
        told = {note.field for note in shown.adjustments}
        assert any(field.startswith("tools.f.parameters") for field in told)
        assert any(field.startswith("output") for field in told)
        assert {note.fact for note in shown.adjustments} == {"XA-T4"}
    plain = {"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"], "additionalProperties": False}
    assert explain(tools=[Tool("f", "x", plain)], output=OutputSpec("p", plain)).adjustments == ()
    assert explain(output=OutputSpec("p", plain)).body["text"]["format"]["schema"] == plain
    assert notes(explain(extra={"response_format": {"type": "json_object"}})) == set()


@pytest.mark.parametrize(
    ("schema", "fitted", "lost"),
    [
        ({"allOf": [{"minLength": 1}, True, {"maxLength": 9}]}, {"minLength": 1, "maxLength": 9}, False),
        ({"allOf": [{"minimum": 1}, False]}, {"minimum": 1, "description": "(allOf: [false])"}, True),
        ({"allOf": [{"minimum": n} for n in range(16)]}, {"minimum": 15}, False),
        (
            {"allOf": [*({"minimum": n} for n in range(16)), {"maximum": 3}], "description": "x"},
            {"minimum": 15, "description": 'x (allOf: [{"maximum":3}])'},
            True,
        ),
    ],
    ids=["true", "false", "16 parts", "17 parts"],
)
def test_parts_are_joined_up_to_so_many(on_chat, notes, schema, fitted, lost):
    """XA-T3: what is not joined stands in words, and is told."""
    tool = Tool("f", "x", {"type": "object", "properties": {"a": schema}})
    shown = on_chat(tools=[tool], model="xai:grok-4.3")
    assert shown.body["tools"][0]["function"]["parameters"]["properties"] == {"a": fitted}
    field = "tools.f.parameters.properties.a.allOf"
    assert notes(shown) == ({("lowered", field, "XA-T4")} if lost else set())


def test_earlier_answers(explain, on_chat):
    """XA-R5, XA-T6: thoughts go back to chat as they came; results stay in the order of the calls."""
    calls = (ToolCall("call_1", "get_weather", "{}"), ToolCall("call_2", "get_weather", "{}"))
    answer = Message("assistant", reasoning="hm", tool_calls=calls, origin="xai")
    talk = ["hi", answer, Message.tool("call_1", "a"), Message.tool("call_2", "b")]
    assert on_chat(talk, tools=[get_weather]).body["messages"][1]["reasoning_content"] == "hm"
    sent = explain(talk, tools=[get_weather]).body["input"]
    assert [item.get("call_id") for item in sent] == [None, "call_1", "call_2", "call_1", "call_2"]
