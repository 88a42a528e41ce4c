"""The body that goes out, fact by fact, and the warnings that say what was changed."""

from __future__ import annotations

import pytest

from chatport import AudioPart, FilePart, ImagePart, Message, UnsupportedFeatureError

PRO = "deepseek:deepseek-v4-pro"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}."


def test_a_plain_call_is_the_standard(explain):
    explanation = explain("hello", max_tokens=50)
    assert explanation.url == "https://api.deepseek.com/chat/completions"
    assert explanation.body == {
        "model": "deepseek-flash",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 50,
    }
    assert explanation.adjustments == ()


@pytest.mark.parametrize(
    ("field", "value", "fact"),
    [
        ("n", 2, "DS-P2"),
        ("top_k", 40, "DS-P2"),
        ("logit_bias", {"50256": -100}, "DS-P2"),
        ("metadata", {"a": "b"}, "DS-P2"),
        ("store", True, "DS-N3"),
        ("frequency_penalty", 0.5, "DS-P7"),
        ("presence_penalty", 0.5, "DS-P7"),
        ("parallel_tool_calls", False, "DS-T8"),
    ],
)
def test_ignored_fields_become_warnings(explain, notes, field, value, fact):
    explanation = explain(extra={field: value})
    assert field not in explanation.body
    assert notes(explanation) == {("dropped", field, fact)}


def test_seed_is_dropped_too(explain, notes):
    explanation = explain(seed=7)
    assert "seed" not in explanation.body
    assert notes(explanation) == {("dropped", "seed", "DS-P2")}


def test_values_that_are_the_default_anyway_cost_no_warning(explain):
    explanation = explain(extra={"n": 1, "parallel_tool_calls": True})
    assert set(explanation.body) == {"model", "messages"}
    assert explanation.adjustments == ()


def test_losses_can_be_errors(explain):
    with pytest.raises(UnsupportedFeatureError, match="DS-P2"):
        explain(seed=7, on_unsupported="raise")


def test_the_dead_limit_is_renamed(explain, notes):
    """DS-P3, DS-X7"""
    explanation = explain(extra={"max_completion_tokens": 64})
    assert explanation.body["max_tokens"] == 64
    assert "max_completion_tokens" not in explanation.body
    assert notes(explanation) == {("renamed", "max_completion_tokens", "DS-P3")}


def test_the_dead_limit_yields_to_the_live_one(explain, notes):
    explanation = explain(max_tokens=10, extra={"max_completion_tokens": 64})
    assert explanation.body["max_tokens"] == 10
    assert notes(explanation) == {("dropped", "max_completion_tokens", "DS-P3")}


def test_limit_is_capped(explain):
    explanation = explain(max_tokens=393_217)
    assert explanation.body["max_tokens"] == 393_216
    assert [(note.kind, note.field) for note in explanation.adjustments] == [("lowered", "max_tokens")]


def test_too_many_stop_strings(explain):
    assert len(explain(stop=[str(n) for n in range(16)]).body["stop"]) == 16
    with pytest.raises(UnsupportedFeatureError, match="16 stop strings"):
        explain(stop=[str(n) for n in range(17)])


def test_top_logprobs_brings_logprobs(explain, notes):
    explanation = explain(extra={"top_logprobs": 3})
    assert explanation.body["logprobs"] is True
    assert notes(explanation) == {("added", "logprobs", "DS-P9")}
    assert explain(extra={"top_logprobs": 3, "logprobs": True}).adjustments == ()


def test_stream_options_only_on_streams(explain, notes):
    explanation = explain(extra={"stream_options": {"include_usage": True}})
    assert "stream_options" not in explanation.body
    assert notes(explanation) == {("dropped", "stream_options", "DS-P10")}
    assert explain(stream=True).body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("user", ["anna-7", "a" * 512])
def test_user_becomes_user_id(explain, notes, user):
    explanation = explain(extra={"user": user})
    assert explanation.body["user_id"] == user
    assert "user" not in explanation.body
    assert notes(explanation) == {("renamed", "user", "DS-P14")}


@pytest.mark.parametrize("extra", [{"user": "anna@example.com"}, {"user": "a" * 513}, {"user": "b", "user_id": "a"}])
def test_a_user_that_does_not_fit_is_dropped(explain, notes, extra):
    explanation = explain(extra=extra)
    assert explanation.body.get("user_id") == extra.get("user_id")
    assert "user" not in explanation.body
    assert notes(explanation) == {("dropped", "user", "DS-P14")}


def test_developer_becomes_system(explain):
    """DS-X6"""
    explanation = explain([Message.developer("Be brief."), "hello"])
    assert [message["role"] for message in explanation.body["messages"]] == ["system", "user"]


def test_text_parts_are_joined(explain):
    marked = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    explanation = explain([{"role": "user", "content": [marked, {"type": "text", "text": "b"}]}])
    assert explanation.body["messages"][0]["content"] == "ab"
    explanation = explain([Message.user("look", ImagePart("https://example.com/a.png"))])
    assert [part["type"] for part in explanation.body["messages"][0]["content"]] == ["text", "image_url"]


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (PRO, ImagePart("https://example.com/a.png")),
        ("deepseek:deepseek-v4-flash", ImagePart("https://example.com/a.png")),
        ("deepseek:deepseek-flash", AudioPart("UklGRg==", "wav")),
        ("deepseek:deepseek-flash", FilePart(data="data:application/pdf;base64,JVBERi0=", filename="a.pdf")),
    ],
)
def test_content_the_model_does_not_take(explain, model, part):
    with pytest.raises(UnsupportedFeatureError):
        explain([Message.user("look", part)], model=model)


def test_file_ids_lie_flat(explain):
    explanation = explain([Message.user("look", FilePart(file_id="file-1"))])
    assert explanation.body["messages"][0]["content"][1] == {"type": "file", "file_id": "file-1"}


def test_empty_tool_list_is_left_out(explain):
    explanation = explain(extra={"tools": []}, tools=[])
    assert set(explanation.body) == {"model", "messages"}


def test_other_tools_are_left_out(explain, notes):
    own = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    explanation = explain(extra={"tools": [{"type": "web_search"}, own]})
    assert explanation.body["tools"] == [own]
    assert ("dropped", "tools", "DS-T1") in notes(explanation)


def test_a_schema_goes_into_the_system_text(explain, notes):
    explanation = explain([Message.system("You are a guide."), "Where?"], output=SCHEMA)
    system = explanation.body["messages"][0]
    assert explanation.body["response_format"] == {"type": "json_object"}
    assert system["content"].startswith("You are a guide.\n\n")
    assert '"city"' in system["content"]
    assert "JSON" in system["content"]
    assert len(explanation.body["messages"]) == 2
    assert notes(explanation) == {("lowered", "response_format", "DS-J1")}


def test_without_thinking_a_schema_is_a_forced_call(explain, notes, emulated):
    """DS-T3: only then can a call be forced."""
    explanation = explain("Where?", output=SCHEMA, reasoning="none")
    assert "response_format" not in explanation.body
    assert explanation.body["tool_choice"]["function"] == {"name": explanation.body["tools"][0]["function"]["name"]}
    assert notes(explanation) == {("lowered", "response_format", "DS-J1")}
    client, _ = emulated()
    reply = client.chat("Where?", model="deepseek:deepseek-flash", output=SCHEMA, reasoning="none")
    assert (reply.parsed(), reply.finish_reason, reply.tool_calls) == ({"city": "text"}, "stop", ())


def test_a_schema_without_system_text_brings_one(explain):
    messages = explain("Where?", output=SCHEMA).body["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]


def test_a_schema_in_extra_takes_the_same_way(explain, notes):
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
    explanation = explain("Where?", extra={"response_format": wanted})
    assert explanation.body["response_format"] == {"type": "json_object"}
    assert notes(explanation) == {("lowered", "response_format", "DS-J1")}


def test_the_schema_is_sent_once_the_facts_say_so(explain):
    config = {"models": {"deepseek:deepseek-flash": {"output_formats": ["json_schema"]}}}
    from chatport import Client

    client = Client(config={"providers": {"deepseek": {"api_key": "k"}}, **config})
    body = client.explain("Where?", model="deepseek:deepseek-flash", output=SCHEMA).body
    assert body["response_format"]["type"] == "json_schema"


def test_json_mode_gets_its_word(explain, notes):
    """DS-J2; DS-J4: there is always an instruction."""
    explanation = explain("Where?", extra={"response_format": {"type": "json_object"}})
    assert "JSON" in explanation.body["messages"][0]["content"]
    assert notes(explanation) == {("added", "messages", "DS-J2")}
    said_by_the_model = ["Where?", Message.assistant("I write JSON."), "Where?"]
    explanation = explain(said_by_the_model, extra={"response_format": {"type": "json_object"}})
    assert notes(explanation) == {("added", "messages", "DS-J2")}
    explanation = explain("Answer in json: where?", extra={"response_format": {"type": "json_object"}})
    assert explanation.adjustments == ()
    assert len(explanation.body["messages"]) == 1
