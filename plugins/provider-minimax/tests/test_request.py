"""The body that goes out, fact by fact, and the warnings that say what was changed."""

from __future__ import annotations

import pytest

from chatport import (
    AudioPart,
    Client,
    ConfigurationError,
    FilePart,
    ImagePart,
    Message,
    UnsupportedFeatureError,
    VideoPart,
)

M3, M2 = "MiniMax-M3", "MiniMax-M2.7"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}."


def test_a_plain_call_asks_for_reasoning_apart(explain):
    """MM-B1, MM-B3, MM-E1, MM-P2, MM-P6, MM-P8, MM-P10, MM-R1, MM-R2, MM-I2"""
    messages = [{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}]
    explanation = explain(messages, max_tokens=50, temperature=0, top_p=0.5, stream=True)
    assert explanation.url == "https://api.minimax.io/v1/chat/completions"
    assert explanation.body == {
        "model": M3,
        "messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}],
        "max_completion_tokens": 50,
        "temperature": 0,
        "top_p": 0.5,
        "reasoning_split": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert explanation.adjustments == ()
    assert explain(extra={"reasoning_split": False}).body["reasoning_split"] is False


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "https://api.minimax.io/v1"),
        ({"region": "global"}, "https://api.minimax.io/v1"),
        ({"region": "china"}, "https://api.minimaxi.com/v1"),
        ({"base_url": "https://api.minimax.cn/v1"}, "https://api.minimax.cn/v1"),
    ],
)
def test_regions(explain, settings, url):
    """MM-B1, MM-B2, MM-D1"""
    assert explain(settings=settings).url == f"{url}/chat/completions"


def test_variables_and_wrong_regions(monkeypatch, explain):
    """MM-B4"""
    monkeypatch.setenv("MINIMAX_API_KEY", "k")
    monkeypatch.setenv("MINIMAX_API_BASE", "https://api.minimaxi.com/v1")
    url = Client().explain("hello", model=f"minimax:{M3}").url
    assert url == "https://api.minimaxi.com/v1/chat/completions"
    with pytest.raises(ConfigurationError, match="region is one of global, china"):
        explain(settings={"region": "mars"})


@pytest.mark.parametrize(
    ("field", "value", "fact"),
    [
        ("stop", ["x"], "MM-P4"),
        ("n", 2, "MM-P3"),
        ("seed", 1, "MM-P3"),
        ("presence_penalty", 0.5, "MM-P3"),
        ("frequency_penalty", 0.5, "MM-P3"),
        ("logit_bias", {"1": 1}, "MM-P3"),
        ("logprobs", True, "MM-P3"),
        ("top_logprobs", 2, "MM-P3"),
        ("parallel_tool_calls", False, "MM-P3"),
        ("service_tier", "flex", "MM-P9"),
    ],
)
def test_fields_without_effect_become_warnings(explain, notes, field, value, fact):
    explanation = explain(extra={field: value})
    assert field not in explanation.body
    assert notes(explanation) == {("dropped", field, fact)}
    with pytest.raises(UnsupportedFeatureError, match=fact):
        explain(extra={field: value}, on_unsupported="raise")


def test_what_costs_no_warning(explain, notes):
    """MM-P3, MM-P9"""
    explanation = explain(extra={"n": 1, "parallel_tool_calls": True, "service_tier": "priority", "logprobs": False})
    assert explanation.body["service_tier"] == "priority"
    assert notes(explanation) == set()
    assert "service_tier" not in explain(extra={"service_tier": "auto"}).body


def test_limits(explain, notes):
    """MM-P2, MM-P5, MM-P6"""
    assert explain(max_tokens=999_999).body["max_completion_tokens"] == 524_288
    assert explain(max_tokens=999_999, model=M2).body["max_completion_tokens"] == 204_800
    older = explain(extra={"max_tokens": 9})
    assert older.body["max_completion_tokens"] == 9
    assert notes(older) == {("renamed", "max_tokens", "MM-P2")}
    assert explain(temperature=3).body["temperature"] == 2


@pytest.mark.parametrize(
    ("model", "asked", "sent", "kind"),
    [
        (M3, "none", {"type": "disabled"}, None),
        (M3, "medium", {"type": "adaptive"}, None),
        (M3, "high", {"type": "adaptive"}, "lowered"),
        (M3, "low", {"type": "adaptive"}, "note"),
        (M3, 2000, {"type": "adaptive"}, "dropped"),
        (M2, "none", None, "lowered"),
        (M2, "high", None, "lowered"),
        (M2, "medium", None, None),
    ],
)
def test_thinking_is_a_switch_of_m3(explain, notes, model, asked, sent, kind):
    """MM-P7, MM-R4"""
    explanation = explain(model=model, reasoning=asked)
    assert explanation.body.get("thinking") == sent
    assert "reasoning_effort" not in explanation.body
    assert {(note[0], note[1]) for note in notes(explanation)} == ({(kind, "reasoning")} if kind else set())


def test_m2_has_no_switch(explain, notes):
    """MM-P7"""
    explanation = explain(model=M2, extra={"thinking": {"type": "disabled"}})
    assert "thinking" not in explanation.body
    assert notes(explanation) == {("dropped", "thinking", "MM-P7")}


@pytest.mark.parametrize(
    ("choice", "kind"),
    [("auto", None), ("none", "note"), ("required", "lowered"), ("get_weather", "lowered")],
)
def test_a_choice_is_never_sent(explain, notes, choice, kind):
    """MM-P3, MM-P4, MM-T7: none leaves the tools out, and what is to be called is asked for in words."""
    explanation = explain("Weather?", tools=[get_weather], tool_choice=choice)
    assert "tool_choice" not in explanation.body
    assert ("tools" in explanation.body) is (choice != "none")
    assert notes(explanation) == ({(kind, "tool_choice", "MM-T7")} if kind else set())
    assert ("get_weather" in str(explanation.body["messages"])) is (choice == "get_weather")


def test_tools_are_functions_that_are_not_strict(explain, notes):
    """MM-T1, MM-P3, MM-W1"""
    tool = {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}}
    explanation = explain(tools=[tool, {"type": "web_search"}])
    assert explanation.body["tools"] == [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]
    assert {(note[1], note[2]) for note in notes(explanation)} >= {("tools", "MM-W1")}
    assert "tools" not in explain(tools=[]).body  # MM-T6


def test_structured_output_is_asked_for_in_words(explain, notes):
    """MM-J1, MM-P3, MM-P4"""
    explanation = explain(output=SCHEMA)
    assert "response_format" not in explanation.body
    assert "city" in explanation.body["messages"][0]["content"]
    assert ("lowered", "response_format", "MM-J1") in notes(explanation)


def test_content_the_model_does_not_take(explain):
    """MM-M1, MM-M2"""
    image, video = ImagePart("https://a.example/x.png"), VideoPart("mm_file://1")
    for part, kind in ((image, "image_url"), (video, "video_url")):
        assert explain([Message.user(part)]).body["messages"][0]["content"][0]["type"] == kind
        with pytest.raises(UnsupportedFeatureError):
            explain([Message.user(part)], model=M2)
    for wrong in (ImagePart("data:image/bmp;base64,AA=="), AudioPart("AA==", "wav"), FilePart("file-1")):
        with pytest.raises(UnsupportedFeatureError):
            explain([Message.user(wrong)])


def test_a_result_without_its_call_is_refused(explain):
    """MM-T5"""
    with pytest.raises(UnsupportedFeatureError, match="MM-T5"):
        explain([Message.user("a"), {"role": "tool", "tool_call_id": "x", "content": "r"}])


def test_earlier_reasoning_goes_back_as_details(explain):
    """MM-R3"""
    history = [Message.user("a"), {"role": "assistant", "content": "b", "reasoning_content": "hm"}, Message.user("c")]
    answer = explain(history).body["messages"][1]
    detail = {
        "type": "reasoning.text", "id": "reasoning-text-1", "format": "MiniMax-response-v1", "index": 0, "text": "hm",
    }  # fmt: skip
    assert answer == {"role": "assistant", "content": "b", "reasoning_details": [detail]}
    own = {"role": "assistant", "content": "b", "reasoning_details": [{"type": "reasoning.text", "text": "mine"}]}
    assert explain([Message.user("a"), own, Message.user("c")]).body["messages"][1] == own


def test_regions_and_training_are_known():
    """MM-D1, MM-D2, MM-H2"""
    from chatport_minimax import provider

    assert provider.facts is not None
    china, world = (provider.facts.host(url) for url in ("https://api.minimaxi.com/v1", provider.base_url))
    assert (china.regions, china.trains) == (("CN",), None)
    assert (world.regions, world.trains) == ((), None)
