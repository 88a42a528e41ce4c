"""What is sent, fact by fact."""

from __future__ import annotations

import pytest

import chatport
from chatport import AudioPart, FilePart, ImagePart, Message, TextPart, ToolCall, VideoPart
from chatport_qwen import provider
from chatport_qwen.emulator import QwenEmulator

SCHEMA = {"title": "pair", "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def get_weather(city: str) -> str:
    """Tell the weather."""
    return city


def search(query: str) -> str:
    """Look something up."""
    return query


def facts_of(explained):
    return [(note.kind, note.field, note.fact) for note in explained.adjustments]


# --- thinking


@pytest.mark.parametrize(
    ("model", "switch"),
    [
        ("qwen-plus", False),
        ("qwen-flash", False),
        ("qwen-turbo", False),
        ("qwen3-vl-flash", False),
        ("qwen3.5-plus", True),
        ("qwen3.7-plus", True),
        ("qwen3.8-max", True),
        ("qwen4-ultra", True),
        ("qwen3-8b", True),
        ("deepseek-v3.2", False),
    ],
)
def test_the_known_default_is_said_aloud(explain, model, switch):  # QW-R2
    explained = explain("hi", model)
    assert explained.body["enable_thinking"] is switch
    assert "reasoning_effort" not in explained.body


@pytest.mark.parametrize(
    "model",
    [
        "qwen-max",
        "qwen2.5-72b-instruct",
        "qwen3-30b-a3b-instruct-2507",
        "qwq-plus",
        "glm-5.1",
        "acme-9",
        "qwen-vl-max",
        "qwen3-max",
        "qwen-plus-2025-01-25",
        "qwen-plus-2024-12-20",
        "qwen-flash-character",
    ],
)
def test_no_switch_where_it_is_refused_or_the_default_is_unknown(explain, model):  # QW-P7
    assert "enable_thinking" not in explain("hi", model).body


@pytest.mark.parametrize("model", ["qwen-plus", "qwen3.7-plus", "glm-5.1", "kimi-k2.6", "deepseek-v4-pro", "acme-9"])
def test_on_and_off(explain, model):  # QW-R4
    assert explain("hi", model, reasoning="medium").body["enable_thinking"] is True
    assert explain("hi", model, reasoning="none").body["enable_thinking"] is False
    assert explain("hi", model, reasoning="medium").adjustments == ()


def test_minimax_has_its_own_switch(explain):  # QW-P2, QW-0.1
    assert explain("hi", "MiniMax/MiniMax-M3").body.keys() == {"model", "messages"}
    on = explain("hi", "MiniMax/MiniMax-M3", reasoning="medium").body
    assert (on["thinking"], "enable_thinking" in on) == ({"type": "adaptive"}, False)
    assert explain("hi", "MiniMax/MiniMax-M3", reasoning="none").body["thinking"] == {"type": "disabled"}


def test_a_hybrid_knows_no_degrees(explain):  # QW-P10
    explained = explain("hi", "qwen3.7-plus", reasoning="high")
    assert explained.body["enable_thinking"] is True
    assert "reasoning_effort" not in explained.body
    assert facts_of(explained) == [("lowered", "reasoning", "QW-P10")]
    with pytest.raises(chatport.UnsupportedFeatureError, match="QW-P10"):
        explain("hi", "qwen3.7-plus", reasoning="high", on_unsupported="raise")


@pytest.mark.parametrize(
    ("asked", "sent", "noted"),
    [
        ("low", "low", []),
        ("medium", "medium", []),
        ("xhigh", "xhigh", []),
        ("high", "xhigh", ["note"]),
        ("max", "xhigh", ["lowered"]),
        ("minimal", "low", ["note"]),
    ],
)
def test_efforts_of_the_flagship(explain, asked, sent, noted):  # QW-P10
    explained = explain("hi", "qwen3.8-max", reasoning=asked)
    assert explained.body["reasoning_effort"] == sent
    assert "enable_thinking" not in explained.body
    assert facts_of(explained) == [(kind, "reasoning", "QW-P10") for kind in noted]


def test_the_flagship_can_be_silenced(explain):
    body = explain("hi", "qwen3.8-max", reasoning="none").body
    assert (body["enable_thinking"], "reasoning_effort" in body) == (False, False)


def test_an_effort_and_a_budget_do_not_go_together(explain):  # QW-P10
    explained = explain("hi", "qwen3.8-max", reasoning="low", extra={"thinking_budget": 100})
    assert (explained.body["reasoning_effort"], "thinking_budget" in explained.body) == ("low", False)
    assert facts_of(explained) == [("dropped", "thinking_budget", "QW-P10")]


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("qwen-plus", 500, 500),
        ("qwen-plus", 100_000, 81_920),
        ("qwen-turbo", 50_000, 38_912),
        ("qwen3.6-plus", 100_000, 81_920),
        ("qwen3.7-max", 300_000, 262_144),
        ("qwen3.8-max", 4000, 4000),
        ("acme-9", 4000, 4000),
    ],
)
def test_budget_is_held_to_the_models_limit(explain, model, asked, sent):  # QW-P9
    explained = explain("hi", model, reasoning=asked)
    assert (explained.body["thinking_budget"], explained.body["enable_thinking"]) == (sent, True)
    expected = [] if asked == sent else [("lowered", "thinking_budget", "QW-P9")]
    assert facts_of(explained) == expected


def test_an_effort_and_the_switch_do_not_go_together(explain):  # QW-P10
    explained = explain("hi", "qwen3.8-max", extra={"enable_thinking": True, "reasoning_effort": "low"})
    assert (explained.body["reasoning_effort"], "enable_thinking" in explained.body) == ("low", False)
    assert facts_of(explained) == [("dropped", "enable_thinking", "QW-P10")]


def test_no_budget_where_none_is_taken(explain):  # QW-P9
    explained = explain("hi", "kimi-k3", reasoning=4000)
    assert "thinking_budget" not in explained.body
    assert facts_of(explained) == [("dropped", "reasoning", "QW-P9")]


def test_a_model_that_cannot_think(explain):  # QW-P7
    explained = explain("hi", "qwen-max", reasoning="high")
    assert explained.body.keys() == {"model", "messages"}
    assert facts_of(explained) == [("dropped", "reasoning", "QW-P7")]
    assert explain("hi", "qwen-max", reasoning="none").adjustments == ()


def test_a_model_that_cannot_stop_thinking(explain):  # QW-P7
    explained = explain("hi", "qwq-plus", reasoning="none", stream=True)
    assert "enable_thinking" not in explained.body
    assert facts_of(explained) == [("lowered", "reasoning", "QW-P7")]


def test_the_callers_own_switch_is_left_alone(explain):
    body = explain("hi", "qwen3.7-plus", extra={"enable_thinking": False}).body
    assert body["enable_thinking"] is False
    body = explain("hi", "qwen3.8-max", extra={"reasoning_effort": "low"}).body
    assert (body["reasoning_effort"], "enable_thinking" in body) == ("low", False)


# --- streams inside


@pytest.mark.parametrize("model", ["qwen3-8b", "qwq-plus", "qvq-max", "qwen3-235b-a22b-thinking-2507"])
def test_a_plain_call_streams_inside_where_thinking_needs_it(explain, model):  # QW-P8, QW-P14
    explained = explain("hi", model)
    assert explained.stream
    assert (explained.body["stream"], explained.body["stream_options"]) == (True, {"include_usage": True})
    assert facts_of(explained) == [("added", "stream", "QW-P8")]


def test_no_stream_where_the_model_does_not_think(explain):
    explained = explain("hi", "qwen3-8b", reasoning="none")
    assert (explained.stream, "stream" in explained.body, "stream_options" in explained.body) == (False, False, False)
    assert not explain("hi", "qwen3.7-plus").stream


def test_omni_only_streams(explain):  # QW-M4
    explained = explain("hi", "qwen3-omni-flash", extra={"modalities": ["text", "audio"]})
    assert explained.body["modalities"] == ["text", "audio"]
    assert facts_of(explained) == [("added", "stream", "QW-M4")]


# --- tools


def test_what_was_asked_for_goes_before_thinking(explain):  # QW-T2
    explained = explain("hi", "qwen3.7-plus", tools=[get_weather], tool_choice="required")
    assert (explained.body["tool_choice"], explained.body["enable_thinking"]) == ("required", False)
    assert ("added", "enable_thinking", "QW-T2") in facts_of(explained)


@pytest.mark.parametrize("choice", ["required", "get_weather"])
@pytest.mark.parametrize(
    ("model", "reasoning"), [("qwen3.7-plus", "medium"), ("qwq-plus", None), ("qwen3.8-max", "low")]
)
def test_a_thinking_model_takes_no_forced_choice(explain, model, reasoning, choice):  # QW-T2
    explained = explain("hi", model, tools=[get_weather], tool_choice=choice, reasoning=reasoning)
    assert explained.body["tool_choice"] == "auto"
    assert ("lowered", "tool_choice", "QW-T2") in facts_of(explained)


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_free_choice_is_left_alone(explain, choice):
    explained = explain("hi", "qwen3.7-plus", tools=[get_weather], tool_choice=choice, reasoning="medium")
    assert (explained.body["tool_choice"], explained.body["enable_thinking"]) == (choice, True)


def test_coder_models_take_a_name_in_place_of_required(explain):  # QW-T2
    one = explain("hi", "qwen3-coder-plus", tools=[get_weather], tool_choice="required")
    assert one.body["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    two = explain("hi", "qwen3-coder-plus", tools=[get_weather, get_weather_too], tool_choice="required")
    assert two.body["tool_choice"] == "auto"
    assert ("lowered", "tool_choice", "QW-T2") in facts_of(two)


def get_weather_too(city: str) -> str:
    """Tell the weather once more."""
    return city


def test_several_calls_in_a_turn_are_allowed_as_elsewhere(explain):  # QW-T3
    explained = explain("hi", "qwen-plus", tools=[get_weather])
    assert explained.body["parallel_tool_calls"] is True
    assert ("added", "parallel_tool_calls", "QW-T3") in facts_of(explained)
    own = explain("hi", "qwen-plus", tools=[get_weather], extra={"parallel_tool_calls": False})
    assert own.body["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in explain("hi", "qwen-plus").body
    assert "parallel_tool_calls" not in explain("hi", "glm-5.1", tools=[get_weather]).body


def test_a_tool_called_search_gets_another_name_also_in_the_history(explain):  # QW-T1
    history = [
        Message.user("find it"),
        Message.assistant(tool_calls=(ToolCall("c1", "search", "{}"),)),
        Message.tool("c1", "here"),
    ]
    explained = explain(history, "qwen-plus", tools=[search, get_weather], tool_choice="search")
    names = [tool["function"]["name"] for tool in explained.body["tools"]]
    assert names == ["search_1", "get_weather"]
    assert explained.body["tool_choice"]["function"]["name"] == "search_1"
    assert explained.body["messages"][1]["tool_calls"][0]["function"]["name"] == "search_1"
    assert ("renamed", "tools.search.name", "QW-T1") in facts_of(explained)


def test_strict_tools(explain):  # QW-T4
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}
    assert explain("hi", "qwen-plus", tools=[tool]).body["tools"][0]["function"]["strict"] is True
    coder = explain("hi", "qwen3-coder-plus", tools=[tool])
    assert "strict" not in coder.body["tools"][0]["function"]
    assert ("dropped", "tools.f.strict", "QW-T4") in facts_of(coder)


# --- structured output


@pytest.mark.parametrize("model", ["qwen-plus", "qwen3-max", "qwen3.7-plus", "deepseek-v3.2", "qwen-flash"])
def test_a_schema_where_it_is_taken(explain, model):  # QW-J2
    body = explain("hi", model, output=SCHEMA).body
    assert body["response_format"]["type"] == "json_schema"
    assert body.get("enable_thinking", False) is False


def test_thinking_makes_way_for_a_schema(explain):  # QW-J3
    assert facts_of(explain("hi", "qwen3.7-plus", output=SCHEMA)) == [("added", "enable_thinking", "QW-J3")]


@pytest.mark.parametrize("model", ["qwen-max", "qwen-turbo", "qwen-plus-2025-04-28", "qwen3-coder-plus"])
def test_a_schema_as_a_forced_call(explain, client, model):  # QW-J2, QW-T2
    explained = explain("hi", model, output=SCHEMA)
    assert "response_format" not in explained.body
    name = explained.body["tools"][0]["function"]["name"]
    assert explained.body["tool_choice"] == {"type": "function", "function": {"name": name}}
    assert facts_of(explained) == [("lowered", "response_format", "QW-J2")]
    if model in QwenEmulator.models:
        assert client.chat("hi", model=f"qwen:{model}", output=SCHEMA).parsed() == {"a": 1}


@pytest.mark.parametrize("model", ["qwen-long", "glm-5.1", "acme-9"])
def test_any_object_and_the_schema_in_words(explain, model):  # QW-J2
    explained = explain("hi", model, output=SCHEMA)
    assert explained.body["response_format"] == {"type": "json_object"}
    system, user = explained.body["messages"]
    assert (system["role"], user["content"]) == ("system", "hi")
    assert "JSON" in system["content"]
    assert '"required":["a"]' in system["content"]
    assert facts_of(explained) == [("lowered", "response_format", "QW-J2")]


def test_the_schema_joins_the_callers_own_instructions(explain):
    messages = explain([Message.system("Be brief."), "hi"], "qwen-long", output=SCHEMA).body["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]
    assert messages[0]["content"].startswith("Be brief.\n\n")
    marked = Message("system", (TextPart("Be brief.", {"cache_control": {"type": "ephemeral"}}),))
    parts = explain([marked, "hi"], "qwen-long", output=SCHEMA).body["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "text"]
    assert parts[0]["cache_control"] == {"type": "ephemeral"}  # QW-U2


def test_a_model_told_to_think_gets_the_schema_in_words_only(explain):  # QW-J3
    explained = explain("hi", "qwen3.7-plus", output=SCHEMA, reasoning="medium")
    assert (explained.body["enable_thinking"], "response_format" in explained.body) == (True, False)
    assert '"required":["a"]' in explained.body["messages"][0]["content"]
    assert facts_of(explained) == [("lowered", "response_format", "QW-J3")]


def test_the_flagship_thinks_and_writes_json(explain):  # QW-J3
    explained = explain("hi", "qwen3.8-max", output=SCHEMA, reasoning="low")
    assert explained.body["response_format"] == {"type": "json_object"}


def test_the_word_json_is_added_where_it_must_stand(explain):  # QW-J1
    wanted = {"response_format": {"type": "json_object"}}
    explained = explain("hi", "qwen-max", extra=wanted)
    assert "JSON" in explained.body["messages"][0]["content"]
    assert facts_of(explained) == [("added", "messages", "QW-J1")]
    assert explain("Answer in Json.", "qwen-max", extra=wanted).adjustments == ()


# --- ranges, roles, history, media


@pytest.mark.parametrize(
    ("options", "field", "sent"),
    [
        ({"temperature": 2}, "temperature", 1.99),
        ({"top_p": 0}, "top_p", 0.001),
        ({"seed": -1}, "seed", 2**31 - 1),
        ({"seed": 2**31 + 5}, "seed", 5),
    ],
)
def test_the_edges_of_the_ranges(explain, options, field, sent):  # QW-P3
    explained = explain("hi", **options)
    assert explained.body[field] == sent
    assert facts_of(explained) == [("lowered", field, "QW-P3")]


def test_values_inside_the_ranges_are_left_alone(explain):
    explained = explain("hi", temperature=1.99, top_p=1, seed=2**31 - 1, stop=["a", "b"], max_tokens=10)
    assert explained.adjustments == ()
    assert explained.body["stop"] == ["a", "b"]  # QW-P6
    assert explained.body["max_tokens"] == 10  # QW-P5: not renamed, since the two names do not bound the same thing


@pytest.mark.parametrize("field", ["frequency_penalty", "logit_bias", "user", "service_tier"])
def test_what_has_no_effect_is_dropped_and_said(explain, field):  # QW-P4
    explained = explain("hi", extra={field: 1})
    assert field not in explained.body
    assert facts_of(explained) == [("dropped", field, "QW-P4")]


def test_vendor_fields_go_to_the_top_of_the_body(explain):  # QW-P1, QW-P2, QW-T7
    extra = {"enable_search": True, "top_k": 20, "repetition_penalty": 1.1}
    assert extra.items() <= explain("hi", extra=extra).body.items()


def test_the_developer_role_becomes_system(explain):  # QW-P11
    assert explain([Message.developer("Be brief."), "hi"]).body["messages"][0]["role"] == "system"


def test_text_is_a_plain_string(explain):  # QW-P13
    assert explain([Message.user("a", "b")]).body["messages"][0]["content"] == "ab"


def test_stream_options_go_with_a_stream_only(explain):  # QW-P14
    assert "stream_options" not in explain("hi").body
    assert explain("hi", stream=True).body["stream_options"] == {"include_usage": True}


def test_a_plain_answer_may_be_silent_for_as_long_as_the_vendor_allows():  # QW-P14
    assert provider.timeouts["silence"] > 300


def test_files_are_refused_before_anything_is_sent(explain):  # QW-P15
    for model in ("qwen3.7-plus", "acme-9"):
        with pytest.raises(chatport.UnsupportedFeatureError, match="file"):
            explain([Message.user("read", FilePart(file_id="file-1"))], model)


def test_pictures_only_where_they_are_seen(explain):  # QW-M1
    message = Message.user("what?", ImagePart("https://example.com/a.png", extra={"max_pixels": 1000}))
    part = explain([message], "qwen3-vl-flash").body["messages"][0]["content"][1]
    assert part == {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}, "max_pixels": 1000}
    with pytest.raises(chatport.UnsupportedFeatureError, match="image"):
        explain([message], "qwen-plus")


def test_a_temporary_address_asks_for_its_resolution(explain):  # QW-B7
    message = Message.user("what?", ImagePart("oss://bucket/a.png"))
    assert explain([message], "qwen3-vl-flash").headers["x-dashscope-ossresourceresolve"] == "enable"
    assert "x-dashscope-ossresourceresolve" not in explain("hi", "qwen3-vl-flash").headers


@pytest.mark.parametrize(
    ("data", "sent"),
    [("QUJD", "data:;base64,QUJD"), ("data:;base64,QUJD", "data:;base64,QUJD"), ("https://a.example/b.wav",) * 2],
)
def test_sound_is_an_address_or_a_data_uri(explain, data, sent):  # QW-M3
    message = Message.user("listen", AudioPart(data, "wav"))
    audio = explain([message], "qwen3-omni-flash").body["messages"][0]["content"][1]["input_audio"]
    assert audio == {"data": sent, "format": "wav"}


def test_marked_text_is_flattened_for_glm_without_tools(explain):  # QW-P16
    marked = Message("user", (TextPart("hello", {"cache_control": {"type": "ephemeral"}}), TextPart(" you")))
    explained = explain([marked], "glm-5.1")
    assert explained.body["messages"] == [{"role": "user", "content": "hello you"}]
    assert facts_of(explained) == [("dropped", "messages[0].content", "QW-P16")]
    assert isinstance(explain([marked], "glm-5.1", tools=[get_weather]).body["messages"][0]["content"], list)
    assert isinstance(explain([marked], "qwen-max").body["messages"][0]["content"], list)


@pytest.mark.parametrize("part", [{"image": "https://h.example/x.png"}, {"type": "reference", "ids": [1]}], ids=str)
def test_parts_of_a_vendors_own_are_no_text_to_flatten(part, explain):  # QW-P16
    message = {"role": "user", "content": ["a", part]}
    assert explain([message], "glm-4.6").body["messages"][0]["content"] == [{"type": "text", "text": "a"}, part]


def test_earlier_reasoning_goes_back_only_with_the_flag(explain):  # QW-R3
    earlier = Message("assistant", (TextPart("42"),), reasoning="hm", origin="qwen")
    messages = ["why?", earlier, "sure?"]
    assert "reasoning_content" not in explain(messages, "qwen3.7-plus").body["messages"][1]
    kept = explain(messages, "qwen3.7-plus", extra={"preserve_thinking": True}).body["messages"][1]
    assert kept["reasoning_content"] == "hm"
    foreign = Message("assistant", (TextPart("42"),), reasoning="hm", origin="deepseek")
    sent = explain(["why?", foreign, "sure?"], "qwen3.7-plus", extra={"preserve_thinking": True}).body["messages"][1]
    assert "reasoning_content" not in sent


def test_videos(explain):
    """QW-M1: with keys of its own beside them."""
    clip = VideoPart("https://x.example/a.mp4", {"fps": 2, "max_pixels": 655_360})
    for model in ("qwen3-vl-plus", "qwen3-omni-flash", "qwen3.7-plus"):
        content = explain([Message.user("look", clip)], model).body["messages"][0]["content"]
        assert content[1] == {"type": "video_url", "video_url": {"url": clip.url}, "fps": 2, "max_pixels": 655_360}
    with pytest.raises(chatport.UnsupportedFeatureError):
        explain([Message.user("look", clip)], "qwen-max")
