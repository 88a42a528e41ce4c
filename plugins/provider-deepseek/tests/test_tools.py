"""Strict tools, and the caps on tools."""

from __future__ import annotations

import pytest

from chatport import Tool, UnsupportedFeatureError

STRICT = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def schema(**changes):
    return {**STRICT, **changes}


def test_strict_tools_go_to_the_beta_path(explain, notes):
    explanation = explain(tools=[Tool("a", "", STRICT, strict=True), Tool("b", "", STRICT)])
    assert explanation.url == "https://api.deepseek.com/beta/chat/completions"
    assert [tool["function"]["strict"] for tool in explanation.body["tools"]] == [True, True]
    assert notes(explanation) == {("note", "tools.strict", "DS-T5")}


def test_on_the_beta_host_nothing_needs_saying(explain):
    settings = {"base_url": "https://api.deepseek.com/beta"}
    explanation = explain(tools=[Tool("a", "", STRICT, strict=True)], settings=settings)
    assert explanation.url == "https://api.deepseek.com/beta/chat/completions"
    assert explanation.adjustments == ()


def test_tools_that_are_not_strict_stay_where_they_are(explain):
    explanation = explain(tools=[Tool("a", "", STRICT)])
    assert explanation.url == "https://api.deepseek.com/chat/completions"
    assert "strict" not in explanation.body["tools"][0]["function"]


@pytest.mark.parametrize(
    ("tools", "settings", "reason"),
    [
        ([Tool("a", "", STRICT, True)], {"base_url": "https://api.deepseek.com/v1"}, "beta"),
        ([Tool("a", "", STRICT, True), Tool("b", "", STRICT, False)], {}, "strict=False"),
        ([Tool("a", "", schema(required=[]), True)], {}, "not required"),
        ([Tool("a", "", {k: v for k, v in STRICT.items() if k != "additionalProperties"}, True)], {}, "additional"),
        ([Tool("a", "", schema(properties={"city": {"type": "string", "minLength": 2}}), True)], {}, "minLength"),
        ([Tool("a", "", schema(properties={"city": {"type": "string", "format": "uri"}}), True)], {}, "format uri"),
        ([Tool("a", "", schema(properties={"city": {"anyOf": [{"allOf": []}]}}), True)], {}, "allOf"),
        ([Tool("a", "", schema(**{"$defs": {"X": {"type": "array", "minItems": 1}}}), True)], {}, "minItems"),
        ([Tool("a", "", STRICT, True), Tool("b")], {}, "the schema of b"),
    ],
)
def test_strict_is_taken_off_where_it_cannot_hold(explain, notes, tools, settings, reason):
    explanation = explain(tools=tools, settings=settings)
    assert "/beta" not in explanation.url
    assert not any("strict" in tool["function"] for tool in explanation.body["tools"])
    assert notes(explanation) == {("dropped", "tools.strict", "DS-T5")}
    assert reason in explanation.adjustments[0].reason


def test_too_many_tools(explain):
    assert len(explain(tools=[Tool(f"t{n}") for n in range(128)]).body["tools"]) == 128
    with pytest.raises(UnsupportedFeatureError, match="128 tools"):
        explain(tools=[Tool(f"t{n}") for n in range(129)])


def test_names_beyond_the_alphabet_are_mapped_back(emulated):
    client, emulator = emulated()
    reply = client.chat("weather?", model="deepseek:deepseek-flash", tools=[Tool("maps.find")])
    assert emulator.requests[0].json()["tools"][0]["function"]["name"].startswith("maps_find_")
    assert reply.tool_calls[0].name == "maps.find"


SEARCH = {"type": "web_search"}


def test_only_functions_are_taken(explain, notes):
    """DS-T1: beside strict ones, too."""
    explanation = explain(tools=[SEARCH, Tool("a", "", STRICT, strict=True)])
    assert [tool["type"] for tool in explanation.body["tools"]] == ["function"]
    assert notes(explanation) == {("dropped", "tools", "DS-T1"), ("note", "tools.strict", "DS-T5")}
    assert "tools" not in explain(tools=[SEARCH]).body


def test_a_result_without_its_call_is_refused(explain):
    """DS-T7"""
    with pytest.raises(UnsupportedFeatureError, match=r"messages\[1\] answers the tool call 'c1', .* \(DS-T7\)"):
        explain(["hi", {"role": "tool", "tool_call_id": "c1", "content": "7"}])


def test_another_vendors_thinking_is_left_out(explain, notes):
    """DS-M1: a part of an unknown type fails the whole request."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    answer = {"role": "assistant", "content": [thinking, {"type": "text", "text": "a"}]}
    explanation = explain(["q", answer, "b"])
    assert explanation.body["messages"][1]["content"] == "a"
    assert ("dropped", "messages.content", "DS-M1") in notes(explanation)
