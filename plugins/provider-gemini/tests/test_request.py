"""The body that goes out, fact by fact, and the warnings that say what was changed."""

from __future__ import annotations

import pytest

from chatport import AudioPart, Client, FilePart, ImagePart, Message, ToolCall, UnsupportedFeatureError, VideoPart

FLASH, LITE, ARGON = "gemini-3.5-flash", "gemini-2.5-flash-lite", "gemini-4-argon"
NEWEST, PRO, OLD_PRO = "gemini-3.8-flash", "gemini-3.1-pro-preview", "gemini-2.5-pro-preview-06-05"
SKIP = {"google": {"thought_signature": "skip_thought_signature_validator"}}


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}."


def google(explanation):
    return explanation.body["extra_body"]["google"]


def tool(**properties):
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": "f", "parameters": parameters}}


def sent_property(explanation):
    return explanation.body["tools"][0]["function"]["parameters"]["properties"]["a"]


def test_a_plain_call_is_the_standard(explain):
    """GM-B1, GM-E1, GM-P1, GM-P8, GM-S2"""
    messages = [{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}]
    explanation = explain(messages, max_tokens=50, temperature=1, top_p=0.5, stop=["x"], seed=1, stream=True)
    assert explanation.url == "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"
    assert explanation.body == {
        "model": FLASH,
        "messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}],
        "max_tokens": 50,
        "temperature": 1,
        "top_p": 0.5,
        "stop": ["x"],
        "seed": 1,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert explanation.adjustments == ()


@pytest.mark.parametrize("variable", ["GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"])
def test_keys(monkeypatch, variable):
    """GM-B2, GM-B4: a bearer token, and no other header unless a project is to be billed."""
    monkeypatch.setenv(variable, "k-1")
    shown = Client({"providers": {"gemini": {"user_project": "p-1"}}}).explain("hi", model=f"gemini:{FLASH}")
    assert shown.headers["x-goog-user-project"] == "p-1"
    assert "x-goog-api-key" not in shown.headers
    assert "authorization" in shown.headers
    assert "x-goog-user-project" not in Client().explain("hi", model=f"gemini:{FLASH}").headers


@pytest.mark.parametrize(
    ("field", "value", "fact"),
    [
        ("parallel_tool_calls", False, "GM-P2"),
        ("top_k", 5, "GM-P5"),
        ("logprobs", True, "GM-P7"),
        ("top_logprobs", 2, "GM-P7"),
        ("logit_bias", {"1": 1}, "GM-P7"),
        ("store", True, "GM-P7"),
        ("metadata", {"a": "b"}, "GM-P7"),
        ("user", "u", "GM-P7"),
        ("service_tier", "flex", "GM-P7"),
        ("web_search_options", {}, "GM-W1"),
    ],
)
def test_fields_that_are_refused_or_ignored_become_warnings(explain, notes, field, value, fact):
    """GM-P1, GM-I4: a 200 proves nothing."""
    explanation = explain(extra={field: value})
    assert field not in explanation.body
    assert notes(explanation) == {("dropped", field, fact)}
    with pytest.raises(UnsupportedFeatureError, match=fact):
        explain(extra={field: value}, on_unsupported="raise")


def test_fields_of_googles_own_pass(explain, notes):
    """GM-P3, GM-P4: in the literal key, as they are given."""
    own = {"google": {"safety_settings": [{"category": "c"}], "cached_content": "cachedContents/1"}}
    explanation = explain(extra={"extra_body": own, "n": 2, "presence_penalty": 1, "modalities": ["text"]})
    assert explanation.body["extra_body"] == own
    assert explanation.body["n"] == 2
    assert notes(explanation) == set()


def test_limits(explain, notes):
    """GM-P1, GM-P5, GM-L1, GM-L2"""
    assert explain(max_tokens=99_999).body["max_tokens"] == 65_536
    assert explain(max_tokens=99_999, model=ARGON).body["max_tokens"] == 99_999
    assert explain(temperature=3).body["temperature"] == 2
    newest = explain(model=NEWEST, temperature=0.5, top_p=0.5)
    assert (newest.body["temperature"], newest.body["top_p"]) == (0.5, 0.5)
    assert notes(newest) == {("note", "temperature", "GM-P5"), ("note", "top_p", "GM-P5")}
    assert explain(extra={"max_completion_tokens": 9}).body["max_tokens"] == 9


@pytest.mark.parametrize(
    ("model", "asked", "sent", "kind"),
    [
        (FLASH, "high", "high", None),
        (FLASH, "none", "low", "lowered"),
        (FLASH, "minimal", "low", "note"),
        (FLASH, "max", "high", "lowered"),
        (FLASH, 2000, "low", "lowered"),
        ("gemini-3-flash-preview", "minimal", "minimal", None),
        ("gemini-3.1-flash-lite", "minimal", "minimal", None),
        (PRO, "minimal", "low", "note"),
        (NEWEST, "minimal", "low", "note"),
        (LITE, "none", "none", None),
        (LITE, "minimal", "minimal", None),
        (OLD_PRO, "none", "minimal", "lowered"),
        ("gemini-2.0-flash", "high", None, "dropped"),
        ("gemini-9-flash", "none", "low", "lowered"),
        ("models/gemini-3.5-flash", "none", "low", "lowered"),
    ],
)
def test_efforts_depend_on_the_model(explain, notes, model, asked, sent, kind):
    """GM-R2, GM-R3, GM-E3"""
    explanation = explain(model=model, reasoning=asked)
    assert explanation.body.get("reasoning_effort") == sent
    assert {(note[0], note[1]) for note in notes(explanation)} == ({(kind, "reasoning")} if kind else set())


def test_there_is_one_switch_only(explain, notes):
    """GM-R1, GM-P4: a budget, or the vendor's own switch in `extra`, excludes an effort."""
    budget = explain(model=LITE, reasoning=2000)
    assert google(budget) == {"thinking_config": {"thinking_budget": 2000}}
    assert "reasoning_effort" not in budget.body
    own = {"google": {"thinking_config": {"thinking_level": "low"}}}
    both = explain(reasoning="high", extra={"extra_body": own})
    assert ("reasoning_effort" in both.body, google(both)) == (False, own["google"])
    assert notes(both) == {("dropped", "reasoning_effort", "GM-R1")}


@pytest.mark.parametrize(
    ("model", "reasoning", "config"),
    [
        (FLASH, None, {"include_thoughts": True}),
        (FLASH, "high", {"include_thoughts": True, "thinking_level": "high"}),
        (LITE, "high", {"include_thoughts": True, "thinking_budget": 24_576}),
        (LITE, "minimal", {"include_thoughts": True, "thinking_budget": 1024}),
        (LITE, 3000, {"include_thoughts": True, "thinking_budget": 3000}),
        (LITE, "none", None),
    ],
)
def test_thoughts_are_asked_for_by_a_setting(explain, explain_vertex, model, reasoning, config):
    """GM-R1, GM-R2, GM-R4, GM-S4, GM-S5: with one switch; on Vertex with a tag around them."""
    asked = explain(model=model, reasoning=reasoning, settings={"thoughts": True})
    assert asked.body.get("extra_body") == (config and {"google": {"thinking_config": config}})
    assert ("reasoning_effort" in asked.body) is (config is None)
    settings = {"project": "p-1", "thoughts": True}
    there = explain_vertex(model=model, reasoning=reasoning, settings=settings).body.get("extra_body")
    assert there == (config and {"google": {"thought_tag_marker": "thought", "thinking_config": config}})


def test_thoughts_that_are_asked_for_in_extra_have_their_tag(explain, explain_vertex):
    """GM-S5, GM-P3"""
    own = {"google": {"thinking_config": {"include_thoughts": True}}}
    assert google(explain(extra={"extra_body": own})) == own["google"]
    asked = {"settings": {"project": "p"}}
    assert google(explain_vertex(extra={"extra_body": own}, **asked))["thought_tag_marker"] == "thought"
    named = {"google": {**own["google"], "thought_tag_marker": "x"}}
    assert google(explain_vertex(extra={"extra_body": named}, **asked))["thought_tag_marker"] == "x"
    for odd in ("x", {"google": "x"}, {"google": {"thinking_config": "x"}}):
        assert explain(extra={"extra_body": odd}).body["extra_body"] == odd


# --- tools and schemas


@pytest.mark.parametrize(
    ("given", "sent", "lost"),
    [
        ({"type": "string", "$schema": "s", "examples": ["x"]}, {"type": "string"}, None),
        ({"const": "x"}, {"type": "string", "enum": ["x"]}, None),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}, None),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]},
         {"anyOf": [{"type": "string"}, {"type": "integer"}]}, None),
        ({"type": "number", "exclusiveMinimum": 0},
         {"type": "number", "description": "(exclusiveMinimum: 0)"}, "exclusiveMinimum"),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "description": "(enum: [1,2])"}, "enum"),
        ({"type": "object", "additionalProperties": False}, {"type": "object", "additionalProperties": False}, None),
    ],
)  # fmt: skip
def test_schemas_are_said_in_the_subset(explain, notes, given, sent, lost):
    """GM-T1, GM-J1: in tools, and in structured output."""
    explanation = explain(tools=[tool(a=given)])
    assert sent_property(explanation) == sent
    assert notes(explanation) == ({("lowered", f"tools.f.parameters.properties.a.{lost}", "GM-T1")} if lost else set())
    output = explain(output={"type": "object", "properties": {"a": given}, "required": ["a"]})
    assert output.body["response_format"]["json_schema"]["schema"]["properties"]["a"] == sent


def test_choices(explain, notes):
    """GM-T2"""
    for choice in ("none", "auto", "required", "validated"):
        assert explain(tools=[get_weather], tool_choice=choice).body["tool_choice"] == choice
    named = explain(tools=[get_weather], tool_choice="get_weather")
    assert named.body["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    other = explain(tools=[get_weather, {"type": "google_search"}])
    assert len(other.body["tools"]) == 1
    assert notes(other) == {("dropped", "tools", "GM-W1")}


def test_json_beside_tools(explain, notes):
    """GM-J1, GM-J2"""
    output = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    both = explain(tools=[get_weather], output=output)
    assert both.body["response_format"]["type"] == "json_schema"
    assert notes(both) == set()
    older = explain(model=LITE, tools=[get_weather], output=output)
    assert "response_format" not in older.body
    assert ("lowered", "response_format", "GM-J2") in notes(older)


# --- signatures

CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "sunny"}


def history(*calls, **more):
    results = [{**RESULT, "tool_call_id": call["id"]} for call in calls]
    return [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": list(calls), **more}, *results]


def test_calls_without_a_signature_get_the_word_that_skips_the_check(explain, notes):
    """GM-T6, GM-T8: the first of parallel calls has it, and no model before Gemini 3 wants it."""
    explanation = explain(history(CALL, {**CALL, "id": "c2"}), tools=[get_weather])
    first, second = explanation.body["messages"][1]["tool_calls"]
    assert first == {**CALL, "extra_content": SKIP}
    assert second == {**CALL, "id": "c2"}
    assert notes(explanation) == {("added", "messages.tool_calls", "GM-T8")}
    older = explain(history(CALL), model=LITE, tools=[get_weather])
    assert older.body["messages"][1]["tool_calls"] == [CALL]
    assert notes(older) == set()


@pytest.mark.parametrize("key", ["google", "vertex"])
def test_a_signature_goes_back_as_it_came(explain, notes, key):
    """GM-T6, GM-T9, GM-I1: whatever stands around it."""
    signed = {**CALL, "extra_content": {key: {"thought_signature": "c2ln", "more": 1}}}
    explanation = explain(history(signed), tools=[get_weather])
    assert explanation.body["messages"][1]["tool_calls"] == [signed]
    assert notes(explanation) == set()


def test_a_signature_of_another_model_or_provider_does_not(explain):
    """GM-T8: it would be refused as corrupted."""
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    call = ToolCall("c1", "get_weather", "{}", extra=extra)
    mine = Message("assistant", tool_calls=(call,), origin="gemini", opaque={"signed_by": FLASH, "message": extra})
    result = Message.tool(call, "sunny")
    same = explain([Message.user("a"), mine, result], tools=[get_weather]).body["messages"][1]
    assert (same["tool_calls"][0]["extra_content"], same["extra_content"]) == (extra["extra_content"],) * 2
    other = explain([Message.user("a"), mine, result], model=PRO, tools=[get_weather]).body["messages"][1]
    assert other["tool_calls"][0]["extra_content"] == SKIP
    assert "extra_content" not in other
    older = explain([Message.user("a"), mine, result], model=LITE, tools=[get_weather]).body["messages"][1]
    assert "extra_content" not in older["tool_calls"][0]
    foreign = Message("assistant", tool_calls=(call,), origin="vertex", opaque=mine.opaque)
    there = explain([Message.user("a"), foreign, result], tools=[get_weather]).body["messages"][1]
    assert there["tool_calls"][0]["extra_content"] == SKIP


# --- content


def test_content(explain, explain_vertex):
    """GM-M1, GM-M2, GM-M3: AI Studio has images and sound, Vertex anything in the place of an image."""
    image, sound = ImagePart("data:image/png;base64,AA==", detail="low"), AudioPart("AA==", "wav")
    pdf = FilePart(data="data:application/pdf;base64,AA==", filename="a.pdf")
    film, remote = VideoPart("https://a.example/x.mp4"), ImagePart("gs://bucket/x.png")

    def part(which, by, **options):
        return by([Message.user(which)], **options).body["messages"][0]["content"][0]

    for by, options in ((explain, {}), (explain_vertex, {"settings": {"project": "p"}})):
        assert part(image, by, **options)["image_url"] == {"url": image.url, "detail": "low"}
        assert part(sound, by, **options)["input_audio"] == {"data": "AA==", "format": "wav"}
        assert part(remote, by, **options)["image_url"]["url"] == remote.url
    for wrong in (pdf, film):
        with pytest.raises(UnsupportedFeatureError, match="takes text, image, audio"):
            explain([Message.user(wrong)])
    there = {"settings": {"project": "p"}}
    assert part(film, explain_vertex, **there) == {"type": "image_url", "image_url": {"url": film.url}}
    assert part(pdf, explain_vertex, **there) == {"type": "image_url", "image_url": {"url": pdf.data}}
    with pytest.raises(UnsupportedFeatureError):
        part(FilePart("file-1"), explain_vertex, **there)
