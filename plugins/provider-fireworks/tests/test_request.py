"""What goes out for what was asked, fact by fact."""

from __future__ import annotations

import attrs
import pytest

from chatport import (
    AudioPart,
    Client,
    ConfigurationError,
    FilePart,
    ImagePart,
    Message,
    Tool,
    ToolCall,
    UnsupportedFeatureError,
    VideoPart,
)
from chatport_fireworks import provider

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("settings", "environment", "url"),
    [
        ({}, {}, "https://api.fireworks.ai/inference/v1"),
        ({"region": "us"}, {}, "https://us.api.fireworks.ai/inference/v1"),
        ({}, {"FIREWORKS_BASE_URL": "https://api.fireworks.ai/"}, "https://api.fireworks.ai/inference/v1"),
        ({}, {"FIREWORKS_BASE_URL": "https://us.api.fireworks.ai/inference/v1"}, "https://us.api.fireworks.ai/inference/v1"),
        ({}, {"FIREWORKS_API_BASE": "http://127.0.0.1:9/v1"}, "http://127.0.0.1:9/v1"),
    ],
)  # fmt: skip
def test_addresses(explain, monkeypatch, settings, environment, url):
    """FW-B1, FW-B3"""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert explain(settings=settings).url == f"{url}/chat/completions"


def test_wrong_regions_and_keys(explain, monkeypatch):
    """FW-B2, FW-B3"""
    with pytest.raises(ConfigurationError, match="only region"):
        explain(settings={"region": "eu"})
    monkeypatch.setenv("FIREWORKS_AI_TOKEN", "k")
    assert Client(config={}).explain("hi", model="fireworks:kimi-k2p6").body["messages"]
    us = Client(config={"providers": {"fireworks": {"base_url": "https://us.api.fireworks.ai/inference/v1"}}})
    assert us.explain("hi", model="fireworks:kimi-k2p6").url.startswith("https://us.")


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("kimi-k2p6", "accounts/fireworks/models/kimi-k2p6"),
        ("accounts/fireworks/models/kimi-k2p6", "accounts/fireworks/models/kimi-k2p6"),
        ("accounts/fireworks/routers/glm-5p2-fast", "accounts/fireworks/routers/glm-5p2-fast"),
        ("accounts/me/deployments/abc", "accounts/me/deployments/abc"),
        ("kimi-k2p6#accounts/me/deployments/abc", "accounts/fireworks/models/kimi-k2p6#accounts/me/deployments/abc"),
    ],
)
def test_model_ids(explain, model, sent):
    """FW-E2, FW-F1"""
    explanation = explain(model=model)
    assert (explanation.body["model"], explanation.adjustments) == (sent, ())


@pytest.mark.parametrize("stream", [False, True])
def test_the_plain_request_is_small(explain, stream):
    """FW-S2: no `stream_options`."""
    explanation = explain(stream=stream, temperature=0.5, seed=7, top_p=0.9, stop=["x"])
    expected = {"model", "messages", "temperature", "seed", "top_p", "stop"} | ({"stream"} if stream else set())
    assert set(explanation.body) == expected
    assert explanation.adjustments == ()


UNKNOWN = ("store", "modalities", "web_search_options", "verbosity", "safety_identifier", "anything")
REFUSED = [
    *[({name: 1}, {}, {("dropped", name, "FW-P1")}) for name in UNKNOWN],
    ({"stream_options": {"include_usage": True}}, {}, set()),
    ({"stream_options": {"other": 1}}, {}, {("dropped", "stream_options", "FW-P1")}),
    ({"top_k": 200}, {"top_k": 100}, {("lowered", "top_k", "FW-P5")}),
    ({"logprobs": 9}, {"logprobs": 5}, {("lowered", "logprobs", "FW-P6")}),
    ({"top_logprobs": 20}, {"top_logprobs": 5}, {("lowered", "top_logprobs", "FW-P6")}),
    ({"service_tier": "flex"}, {}, {("dropped", "service_tier", "FW-P11")}),
    ({"thinking": {}, "reasoning_effort": "low"}, {"thinking": {}}, {("dropped", "reasoning_effort", "FW-P9")}),
    (
        {"prompt_truncate_len": 9, "safe_tokenization": True},
        {"prompt_truncate_len": 9},
        {("dropped", "safe_tokenization", "FW-P12")},
    ),
]
TAKEN = [
    {"user": "u", "prompt_cache_key": "s"},  # FW-B5
    {"logprobs": True, "top_logprobs": 5},
    {"service_tier": "priority"},
    {"reasoning_history": "preserved"},  # FW-P10
    {"mirostat_lr": 0.1, "echo": True, "prediction": "x"},  # FW-P12
    {"functions": [FUNCTION], "function_call": "auto"},  # FW-T2
    {"response_format": {"type": "grammar", "grammar": "root"}},  # FW-J1
    {"prompt_truncate_len": 900},  # FW-P3
]


@pytest.mark.parametrize(("extra", "sent", "noted"), [*REFUSED, *[(extra, extra, set()) for extra in TAKEN]])
def test_fields(explain, notes, extra, sent, noted):
    """FW-P1, FW-I1"""
    explanation = explain(extra=extra)
    assert {k: v for k, v in explanation.body.items() if k not in ("model", "messages")} == sent
    assert notes(explanation) == noted


def test_fields_of_tomorrow(explain):
    explanation = explain(extra={"new_field": 1}, settings={"extra_fields": ["new_field"]})
    assert (explanation.body["new_field"], explanation.adjustments) == (1, ())
    with pytest.raises(UnsupportedFeatureError, match="FW-P1"):
        explain(extra={"new_field": 1}, on_unsupported="raise")


def test_stop_strings(explain):
    """FW-P5"""
    with pytest.raises(UnsupportedFeatureError, match="4 stop"):
        explain(stop=list("abcde"))


BOTH = {"max_tokens": 9, "extra": {"max_completion_tokens": 5}}
ASKED = {"max_tokens": 9, "extra": {"context_length_exceeded_behavior": "truncate"}}


@pytest.mark.parametrize(
    ("options", "sent", "noted"),
    [
        ({}, {}, set()),
        ({"max_tokens": 4096}, {"max_tokens": 4096}, set()),
        ({"max_tokens": 5000}, {"max_tokens": 5000, "stream": True}, set()),
        (
            {"extra": {"max_completion_tokens": 5000}},
            {"max_tokens": 5000, "stream": True},
            {("renamed", "max_completion_tokens", "FW-P4")},
        ),
        (BOTH, {"max_tokens": 9}, {("dropped", "max_completion_tokens", "FW-P4")}),
        (ASKED, {"max_tokens": 9, "context_length_exceeded_behavior": "truncate"}, set()),
    ],
)
def test_limits(explain, notes, options, sent, noted):
    """FW-P2, FW-P4, FW-F2"""
    explanation = explain(**options)
    error = {"context_length_exceeded_behavior": "error"} if options else {}
    assert {k: v for k, v in explanation.body.items() if k not in ("model", "messages")} == {**error, **sent}
    assert notes(explanation) == noted


LOW, SWITCH = ("lowered", "reasoning", "FW-P7"), ("note", "reasoning", "FW-P8")
OFF, BUDGET = ("lowered", "reasoning", "FW-P8"), ("dropped", "reasoning", "FW-P8")
ON = ("lowered", "reasoning", "FW-P8")
EFFORTS = [
    ("kimi-k2p6", {"high": ("high", None), "none": ("none", None), True: ("medium", None), 2048: (2048, None)}),
    ("brand-new", {"minimal": ("low", ("note", "reasoning", "FW-P7")), "xhigh": ("high", LOW), "max": ("high", LOW)}),
    ("qwen3-8b", {3000: (3000, None), "low": ("low", None)}),
    ("gpt-oss-120b", {"low": ("low", None), "none": ("low", OFF), False: ("low", OFF), 2048: (None, BUDGET)}),
    ("minimax-m2", {"none": ("low", OFF), "medium": ("medium", None), 2048: (None, BUDGET)}),
    ("deepseek-v3p1", {"high": ("high", ON), "none": ("none", None), 2048: ("medium", BUDGET)}),
    ("deepseek-v3p2", {"xhigh": ("high", LOW), "none": ("none", None), 2048: ("medium", BUDGET)}),
    ("glm-4p6", {"low": ("low", SWITCH), "none": ("none", None), 2048: ("medium", BUDGET)}),
    ("deepseek-v4-flash-0731", {"xhigh": ("xhigh", None), "minimal": ("low", ("note", "reasoning", "FW-P7"))}),
    ("glm-5p3", {"max": ("max", None), "xhigh": ("high", LOW), "medium": ("low", OFF), "none": ("low", OFF)}),
]


@pytest.mark.parametrize(("model", "asked", "sent", "note"), [(m, a, *s) for m, t in EFFORTS for a, s in t.items()])
def test_efforts(explain, notes, model, asked, sent, note):
    """FW-P7, FW-P8"""
    options = {"extra": {"reasoning_effort": asked}} if isinstance(asked, bool) else {"reasoning": asked}
    explanation = explain(model=model, **options)
    assert explanation.body.get("reasoning_effort") == sent
    assert notes(explanation) == ({note} if note else set())


def test_unknown_keys_in_messages(explain, notes):
    """FW-P1, FW-M1"""
    part = {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}}
    image = {"type": "image_url", "image_url": {"url": "https://x.example/a.pdf#transform=inline", "detail": "low"}}
    explanation = explain([{"role": "user", "name": "ann", "content": [part, image]}])
    content = [{"type": "text", "text": "look"}, image]  # FW-M3: the caller's own mark goes out as it is
    assert explanation.body["messages"] == [{"role": "user", "content": content}]
    assert notes(explanation) == {("dropped", "messages", "FW-P1")}
    refused = [Message.user("a"), attrs.evolve(Message.assistant(""), refusal="No."), Message.user("b")]
    assert explain(refused).body["messages"][1] == {"role": "assistant", "content": "No."}
    assert explain([Message.developer("x"), "y"]).body["messages"][0] == {"role": "system", "content": "x"}


@pytest.mark.parametrize("part", [AudioPart("UklGRg==", "wav"), FilePart(file_id="file-1")])
def test_content_it_does_not_take(explain, part):
    """FW-M2"""
    with pytest.raises(UnsupportedFeatureError):
        explain([Message.user("look", part)])


def test_videos(explain, notes):
    """FW-M2: with the keys that it has, and no others (FW-P1)."""
    clip = VideoPart("https://x.example/a.mp4", {"video_url": {"max_frames": 8, "mood": 1}})
    explanation = explain([Message.user("look", clip)])
    sent = {"type": "video_url", "video_url": {"url": clip.url, "max_frames": 8}}
    assert explanation.body["messages"][0]["content"][1] == sent
    assert notes(explanation) == {("dropped", "messages.video", "FW-M2")}
    with pytest.raises(UnsupportedFeatureError):
        explain([Message.user("look", clip)], model="gpt-oss-120b")


def test_unknown_keys_of_calls(explain, notes):
    """FW-P1: of the caller's they are told; the vendor's own do not go back, and nothing is lost by it."""
    call = ToolCall("c", "f", "{}", extra={"extra_content": {"a": 1}, "function": {"inner": 2}})
    said = Message.assistant("", tool_calls=(call,))
    for answer, told in (
        (said, {("dropped", "messages.tool_calls", "FW-P1")}),
        (attrs.evolve(said, origin="fireworks"), set()),
    ):
        explanation = explain([Message.user("a"), answer, Message.tool(call, "b")], tools=[Tool("f")])
        (sent,) = explanation.body["messages"][1]["tool_calls"]
        assert sent == {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        assert notes(explanation) == told


def test_images_are_known_by_model(explain):
    """FW-M1"""
    image = Message.user("look", ImagePart("https://x.example/a.png"))
    assert explain([image]).body["messages"][0]["content"][1]["type"] == "image_url"
    with pytest.raises(UnsupportedFeatureError):
        explain([image], model="gpt-oss-120b")


@pytest.mark.parametrize(("origin", "sent"), [("fireworks", "hm"), (None, "hm"), ("groq", None)])
def test_reasoning_goes_back(explain, origin, sent):
    """FW-R1, FW-R2: under this name, and only to where it came from."""
    call = ToolCall("c", "f", "{}")
    answer = attrs.evolve(Message.assistant("", tool_calls=(call,)), reasoning="hm", origin=origin)
    message = explain([Message.user("a"), answer, Message.tool(call, "b")], tools=[Tool("f")]).body["messages"][1]
    assert message.get("reasoning_content") == sent
    assert "reasoning" not in message


def test_tools(explain, notes):
    """FW-T1, FW-T3, FW-T4"""
    tools = [Tool("a", "", {"properties": {"x": {"type": "string"}}}, strict=True), Tool("b", "", {})]
    explanation = explain(tools=tools, tool_choice="required", extra={"parallel_tool_calls": False})
    first, second = (tool["function"] for tool in explanation.body["tools"])
    assert first == {
        "name": "a",
        "parameters": {"type": "object", "properties": {"x": {"type": "string"}}},
        "strict": True,
    }
    assert second["parameters"] == {"type": "object", "properties": {}}
    assert (explanation.body["tool_choice"], explanation.body["parallel_tool_calls"]) == ("required", False)
    assert explanation.adjustments == ()
    named = explain(tools=tools, tool_choice="b").body["tool_choice"]
    assert named == {"type": "function", "function": {"name": "b"}}
    own = {"type": "function", "cache_control": {}, "function": {**FUNCTION, "defer_loading": True}}
    explanation = explain(extra={"tools": [{"type": "web_search"}, own]})
    assert explanation.body["tools"] == [{"type": "function", "function": FUNCTION}]
    assert notes(explanation) == {("dropped", "tools", "FW-T1"), ("dropped", "tools", "FW-T4")}
    assert "tools" not in explain(extra={"tools": []}).body


LIMIT, WORDS = ("added", "max_tokens", "FW-J2"), ("added", "messages", "FW-J2")
OBJECT = {"type": "json_object"}


@pytest.mark.parametrize(
    ("message", "options", "kind", "said", "noted"),
    [
        ("Where?", {"output": SCHEMA}, "json_schema", '"city"', {LIMIT, WORDS}),
        ("JSON: where?", {"output": SCHEMA, "max_tokens": 50}, "json_schema", '"city"', {WORDS}),
        ("Where?", {"extra": {"response_format": OBJECT}}, "json_object", "JSON", {LIMIT, WORDS}),
        ("As json: where?", {"extra": {"response_format": OBJECT}}, "json_object", "json", {LIMIT}),
        ("?", {"extra": {"response_format": {**OBJECT, "schema": SCHEMA}}}, "json_object", '"city"', {LIMIT, WORDS}),
    ],
)
def test_structured_output(explain, notes, message, options, kind, said, noted):
    """FW-J1, FW-J2, FW-I4"""
    explanation = explain(message, **options)
    assert explanation.body["response_format"]["type"] == kind
    assert said in explanation.body["messages"][0]["content"]
    assert explanation.body["max_tokens"] == options.get("max_tokens", 8192)
    assert notes(explanation) == noted
    own_limit = "max_tokens" in options  # one that was only added may be lowered, when the window is nearly full
    assert explanation.body.get("context_length_exceeded_behavior") == ("error" if own_limit else None)


def test_facts():
    """FW-U1"""
    facts = provider.facts
    assert all(entry.source for entry in (*facts.models, *facts.prices))
    known = facts.describe("accounts/fireworks/models/glm-5p2")
    assert (known.context_tokens, known.max_output_tokens, known.prices[0].output) == (1_048_575, 131_072, 4.4)
    fresh = facts.describe("accounts/fireworks/models/minimax-m9")
    assert (fresh.efforts, fresh.context_tokens, fresh.prices) == (("low", "medium", "high"), None, ())
    assert facts.describe("accounts/fireworks/models/kimi-k2p6#accounts/me/deployments/x").prices == ()


def test_only_functions_and_known_parts_are_taken(explain, notes):
    """FW-T1, FW-P1: what is not known fails the whole request. The word any is an alias of required (FW-T1)."""
    search = {"type": "builtin_function", "function": {"name": "$web_search"}}
    got = explain("hi", tools=[search, {"type": "function", "function": FUNCTION}], tool_choice="any")
    assert [tool["type"] for tool in got.body["tools"]] == ["function"]
    assert got.body["tool_choice"] == "any"
    assert notes(got) == {("dropped", "tools", "FW-T1")}
    answer = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]}
    got = explain(["q", answer, "b"])
    assert got.body["messages"][1]["content"] == [{"type": "text", "text": "a"}]
    assert ("dropped", "messages.content", "FW-P1") in notes(got)
