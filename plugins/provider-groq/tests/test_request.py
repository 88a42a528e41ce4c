"""The body that goes out, fact by fact, and the warnings that say what was changed."""

from __future__ import annotations

import pytest

from chatport import Client, Message, OutputSpec, TextPart, UnsupportedFeatureError
from chatport.types import AudioPart, ImagePart

OSS, QWEN, OLD_QWEN = "groq:openai/gpt-oss-120b", "groq:qwen/qwen3.8-27b", "groq:qwen/qwen3-32b"
ALLAM, COMPOUND, UNKNOWN = "groq:allam-2-7b", "groq:groq/compound", "groq:new/model-9"
STRICT = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
LOOSE = {"type": "object", "properties": {"city": {"type": "string"}, "n": {"type": "integer"}}, "required": ["city"]}


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}."


def test_a_plain_call_is_the_standard(explain):
    """GQ-B1, GQ-P4, GQ-P2: zero goes out as it is."""
    explanation = explain("hello", max_tokens=50, temperature=0)
    assert explanation.url == "https://api.groq.com/openai/v1/chat/completions"
    assert explanation.body == {
        "model": "openai/gpt-oss-120b",
        "messages": [{"role": "user", "content": "hello"}],
        "max_completion_tokens": 50,
        "temperature": 0,
    }
    assert explanation.adjustments == ()


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"GROQ_BASE_URL": "https://api.groq.com"}, "https://api.groq.com/openai/v1/chat/completions"),
        ({"GROQ_BASE_URL": "https://api.groq.com/openai/v1/"}, "https://api.groq.com/openai/v1/chat/completions"),
        ({"GROQ_API_BASE": "http://127.0.0.1:1/v1"}, "http://127.0.0.1:1/v1/chat/completions"),
    ],
)
def test_addresses_with_and_without_suffix(monkeypatch, given, url):
    """GQ-B1, GQ-B2, GQ-B3"""
    for name, value in {"GROQ_API_KEY": "k", **given}.items():
        monkeypatch.setenv(name, value)
    assert Client().explain("hello", model=OSS).url == url


@pytest.mark.parametrize(
    ("field", "value", "fact"),
    [
        ("logprobs", True, "GQ-P1"),
        ("top_logprobs", 2, "GQ-P1"),
        ("logit_bias", {"1": 1}, "GQ-P1"),
        ("n", 2, "GQ-P1"),
        ("frequency_penalty", 0.5, "GQ-P3"),
        ("presence_penalty", 0.5, "GQ-P3"),
        ("store", True, "GQ-P3"),
        ("metadata", {"a": "b"}, "GQ-P3"),
        ("top_k", 40, "GQ-P3"),
    ],
)
def test_refused_and_ignored_fields_become_warnings(explain, notes, field, value, fact):
    explanation = explain(extra={field: value})
    assert field not in explanation.body
    assert notes(explanation) == {("dropped", field, fact)}
    with pytest.raises(UnsupportedFeatureError, match=fact):
        explain(extra={field: value}, on_unsupported="raise")


def test_what_costs_no_warning(explain, notes):
    """GQ-P1, GQ-P4, GQ-P9, GQ-P10, GQ-T5: defaults, and the vendor's own fields."""
    own = {"service_tier": "flex", "disable_tool_validation": True, "search_settings": {"country": "norway"}}
    explanation = explain(extra={"n": 1, "seed": 3, "parallel_tool_calls": False, **own})
    assert explanation.body.items() >= own.items()
    assert "n" not in explanation.body
    assert notes(explanation) == set()
    both = explain(max_tokens=5, extra={"max_tokens": 9})
    assert both.body["max_completion_tokens"] == 5
    assert notes(both) == {("dropped", "max_tokens", "GQ-P4")}
    older = explain(extra={"max_tokens": 9})
    assert older.body["max_completion_tokens"] == 9
    assert notes(older) == {("renamed", "max_tokens", "GQ-P4")}


def test_limits(explain):
    """GQ-P4"""
    with pytest.raises(UnsupportedFeatureError, match="at most 4"):
        explain(stop=list("abcde"))
    tools = [{"type": "function", "function": {"name": f"f{n}"}} for n in range(129)]
    with pytest.raises(UnsupportedFeatureError, match="at most 128"):
        explain(tools=tools)
    assert explain(max_tokens=99_999).body["max_completion_tokens"] == 65_536


def test_messages_are_bare(explain, notes):
    """GQ-P1, GQ-P5: no names, no nulls."""
    call = {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    explanation = explain(
        [
            {"role": "user", "name": "ann", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": "x"},
        ],
        tools=[get_weather],
    )
    assert explanation.body["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]
    assert notes(explanation) == {("dropped", "messages.name", "GQ-P1")}


def test_content_the_model_does_not_take(explain):
    """GQ-M1, GQ-M2"""
    image, audio = ImagePart("https://a.example/x.png"), AudioPart("AA==", "wav")
    assert explain([Message("user", (image,))], model=QWEN).body["messages"][0]["content"][0]["type"] == "image_url"
    for model, part in ((OSS, image), (QWEN, audio), (COMPOUND, image), (UNKNOWN, audio)):
        with pytest.raises(UnsupportedFeatureError):
            explain([Message("user", (part,))], model=model)


@pytest.mark.parametrize(
    ("model", "asked", "sent", "kind"),
    [
        (OSS, "low", "low", None),
        (OSS, "none", "low", "lowered"),
        (OSS, "minimal", "low", "note"),
        (OSS, "max", "high", "lowered"),
        (OSS, "xhigh", "high", "lowered"),
        (QWEN, "none", "none", None),
        (QWEN, "medium", None, None),
        (QWEN, "high", None, "lowered"),
        (OLD_QWEN, "low", None, "note"),
        (UNKNOWN, "xhigh", "high", "lowered"),
        (ALLAM, "none", None, None),
        (ALLAM, "high", None, "dropped"),
        (OSS, 2000, None, "dropped"),
    ],
)
def test_efforts_depend_on_the_model(explain, notes, model, asked, sent, kind):
    """GQ-P7: a wrong word is refused."""
    explanation = explain(model=model, reasoning=asked)
    assert explanation.body.get("reasoning_effort") == sent
    assert {(note[0], note[1]) for note in notes(explanation)} == ({(kind, "reasoning")} if kind else set())


@pytest.mark.parametrize(
    ("model", "options", "sent", "note"),
    [
        (QWEN, {}, {"reasoning_format": "parsed"}, None),
        (QWEN, {"reasoning": "none"}, {}, None),
        (QWEN, {"extra": {"reasoning_format": "raw"}}, {"reasoning_format": "raw"}, None),
        (QWEN, {"extra": {"reasoning_format": "hidden"}}, {"reasoning_format": "hidden"}, None),
        (QWEN, {"extra": {"include_reasoning": False}}, {"include_reasoning": False}, None),
        (
            QWEN,
            {"extra": {"reasoning_format": "raw"}, "tools": [get_weather]},
            {"reasoning_format": "parsed"},
            ("lowered", "reasoning_format", "GQ-P6"),
        ),
        (
            QWEN,
            {"extra": {"reasoning_format": "hidden", "include_reasoning": True}},
            {"reasoning_format": "hidden"},
            ("dropped", "include_reasoning", "GQ-P6"),
        ),
        (
            OSS,
            {"extra": {"reasoning_format": "hidden"}},
            {"include_reasoning": False},
            ("renamed", "reasoning_format", "GQ-P8"),
        ),
        (
            OSS,
            {"extra": {"reasoning_format": "parsed", "include_reasoning": False}},
            {"include_reasoning": False},
            ("renamed", "reasoning_format", "GQ-P8"),
        ),
        (OSS, {}, {}, None),
        (ALLAM, {}, {}, None),
    ],
)
def test_one_switch_for_the_form_of_reasoning(explain, notes, model, options, sent, note):
    """GQ-P6, GQ-P8"""
    explanation = explain(model=model, **options)
    found = {k: v for k, v in explanation.body.items() if k in ("reasoning_format", "include_reasoning")}
    assert found == sent
    assert notes(explanation) == ({note} if note else set())


@pytest.mark.parametrize(("model", "back"), [(OSS, True), (QWEN, False), (ALLAM, False)])
def test_reasoning_goes_back_to_gpt_oss_only(explain, model, back):
    """GQ-R2"""
    history = [Message.user("a"), Message("assistant", (TextPart("b"),), reasoning="r", origin="groq"), "c"]
    history[2] = Message.user("c")
    assert ("reasoning" in explain(history, model=model).body["messages"][1]) is back
    other = Message("assistant", (TextPart("b"),), reasoning="r", origin="deepseek")
    assert "reasoning" not in explain([history[0], other, history[2]], model=model).body["messages"][1]


@pytest.mark.parametrize(
    ("model", "schema", "kind", "strict", "fact"),
    [
        (OSS, STRICT, "json_schema", True, None),
        (QWEN, STRICT, "json_schema", True, None),
        (OSS, LOOSE, "json_schema", False, "GQ-J2"),
        ("groq:openai/gpt-oss-safeguard-20b", STRICT, "json_schema", False, "GQ-J3"),
        ("groq:moonshotai/kimi-k2-instruct-0905", STRICT, "json_schema", False, "GQ-J3"),
        (OLD_QWEN, STRICT, "tool", None, "GQ-J3"),
        (ALLAM, STRICT, "json_object", None, "GQ-J3"),
        (COMPOUND, STRICT, "json_object", None, "GQ-J3"),
        (UNKNOWN, STRICT, "tool", None, "GQ-J3"),
    ],
)
def test_the_ladder_of_structured_output(explain, notes, model, schema, kind, strict, fact):
    """GQ-J2, GQ-J3, GQ-J5: a forced call is next, since its arguments are checked (GQ-T2)."""
    explanation = explain(model=model, output=OutputSpec("place", schema))
    forced = {"type": "function", "function": {"name": "place"}}
    assert (explanation.body.get("tool_choice") == forced) is (kind == "tool")
    sent = explanation.body.get("response_format", {"type": "tool"})
    assert sent["type"] == kind
    assert sent.get("json_schema", {}).get("strict") is strict
    assert ("JSON Schema" in str(explanation.body["messages"])) is (kind == "json_object")
    assert notes(explanation) == ({("lowered", "response_format", fact)} if fact else set())


def test_strict_looks_into_the_schema(explain, notes):
    """GQ-J2: in definitions, lists and unions too."""
    for inner in ({"items": LOOSE}, {"anyOf": [STRICT, LOOSE]}):
        schema = {**STRICT, "properties": {"city": {"type": "array", **inner}}}
        assert notes(explain(output=OutputSpec("x", schema))) == {("lowered", "response_format", "GQ-J2")}
    assert notes(explain(output=OutputSpec("x", {**STRICT, "$defs": {"a": STRICT}}))) == set()
    assert notes(explain(output=OutputSpec("x", LOOSE, strict=False))) == set()


def test_json_excludes_tools(explain, notes):
    """GQ-J4, GQ-I3: the tools stay, and the schema is told in words."""
    explanation = explain(output=OutputSpec("place", STRICT), tools=[get_weather])
    assert "response_format" not in explanation.body
    assert "JSON Schema" in explanation.body["messages"][0]["content"]
    assert notes(explanation) == {("lowered", "response_format", "GQ-J4")}
    explanation = explain(extra={"response_format": {"type": "json_object"}}, tools=[get_weather])
    assert notes(explanation) == {("lowered", "response_format", "GQ-J4"), ("added", "messages", "GQ-J1")}


def test_json_mode_gets_its_word(explain, notes):
    """GQ-J1"""
    wanted = {"response_format": {"type": "json_object"}}
    assert notes(explain("a list", extra=wanted)) == {("added", "messages", "GQ-J1")}
    assert notes(explain("a JSON list", extra=wanted)) == set()


def test_compound_systems_take_no_tools(explain):
    """GQ-P11: their own, and those of gpt-oss, are asked for by type."""
    with pytest.raises(UnsupportedFeatureError, match="cannot call tools"):
        explain(model=COMPOUND, tools=[get_weather])
    search = [{"type": "browser_search"}]
    assert explain(extra={"tools": search}).body["tools"] == search


def test_tools_of_an_unknown_type_are_left_out(explain, notes):
    """GQ-P11, recorded: other types fail the whole request; gpt-oss has two of its own."""
    given = [{"type": "browser_search"}, {"type": "visit_website"}, {"type": "mcp", "server_url": "https://m.example"}]
    got = explain(model="groq:openai/gpt-oss-20b", tools=[*given, get_weather])
    assert [tool["type"] for tool in got.body["tools"]] == ["function", "browser_search", "mcp"]
    assert notes(got) == {("dropped", "tools", "GQ-P11")}
    got = explain(model=COMPOUND, tools=given, tool_choice="required")
    assert ([tool["type"] for tool in got.body["tools"]], got.body["tool_choice"]) == (["mcp"], "required")


def test_tools_are_the_standards(explain):
    """GQ-T1"""
    body = explain(tools=[get_weather], tool_choice="get_weather").body
    assert body["tools"][0]["function"]["name"] == "get_weather"
    assert body["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("llama-3.3-70b-versatile", "openai/gpt-oss-120b"),
        ("llama-3.1-8b-instant", "openai/gpt-oss-20b"),
        ("meta-llama/llama-4-scout-17b-16e-instruct", "qwen/qwen3.6-27b"),
        ("meta-llama/llama-4-maverick-17b-128e-instruct", "openai/gpt-oss-120b"),
    ],
)
def test_retired_models_are_followed(explain, notes, old, new):
    """GQ-E4: with as little reasoning as the successor can do, since they did not reason."""
    explanation = explain(model=f"groq:{old}")
    assert explanation.body["model"] == new
    assert explanation.body["reasoning_effort"] in ("low", "none")
    assert notes(explanation) == {("redirected", "model", "GQ-E4")}


def test_a_contract_may_keep_a_retired_model():
    """GQ-E4: as the README shows."""
    config = {
        "providers": {"groq": {"api_key": "k"}},
        "models": {"groq:llama-3.3-70b-versatile": {"retired": None}},
    }
    explanation = Client(config=config).explain("hello", model="groq:llama-3.3-70b-versatile", reasoning="high")
    assert explanation.body["model"] == "llama-3.3-70b-versatile"
    assert "reasoning_effort" not in explanation.body
