"""`shape_request`, fact by fact: what goes out, and which note says so."""

from __future__ import annotations

import pytest

import chatport
from chatport.standard.efforts import is_weaker
from chatport.types import AudioPart, FilePart, ImagePart, Message, TextPart, ToolCall, VideoPart

CHAT = {"protocol": "chat"}
TOOL = {"name": "look", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}


def notes(wire):
    return [(note.kind, note.field, note.fact) for note in wire.adjustments]


# --- access


def test_organization_and_project_are_headers_when_set():
    def headers(**settings):
        tables = {"providers": {"openai": {"api_key": "sk-test", **settings}}}
        with chatport.Client(config=tables) as client:
            return client.explain("hi", model="openai:gpt-6-sol").headers

    both = headers(organization="org-1", project="proj_2")
    assert (both["openai-organization"], both["openai-project"]) == ("org-1", "proj_2")
    assert not [name for name in headers() if name.startswith("openai-")]


def test_organization_and_project_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-env")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-env")
    tables = {"providers": {"openai": {"api_key": "sk-test", "project": "proj-own"}}}
    with chatport.Client(config=tables) as client:
        headers = client.explain("hi", model="openai:gpt-6-sol").headers
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-env", "proj-own")


def test_a_foreign_setting_is_refused(shape):
    with pytest.raises(chatport.ConfigurationError, match="organisation"):
        shape(model="gpt-6-sol", config={"organisation": "org-1"})


def test_the_key_may_go_to_regional_hosts():
    from chatport_openai import provider

    assert provider.base_url == "https://api.openai.com/v1"
    assert {"us.api.openai.com", "eu.api.openai.com", "ae.api.openai.com"} == set(provider.hosts)
    assert provider.auth.header == "authorization"
    assert provider.key_env == ("OPENAI_API_KEY",)
    assert provider.base_url_env == ("OPENAI_BASE_URL",)


def test_timers_leave_room_for_hidden_thought():
    from chatport_openai import provider

    assert provider.timeouts["connect"] == 5
    assert provider.timeouts["silence"] == provider.timeouts["first_event"] == provider.timeouts["total"] == 600


# --- limits of length


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5", "gpt-6-sol", "gpt-9-nova", "ft:gpt-4o-mini:acme::x"])
def test_the_limit_has_its_newer_name_for_every_model(shape, model):
    wire = shape(model=model, max_tokens=40)
    assert wire.body["max_completion_tokens"] == 40
    assert "max_tokens" not in wire.body
    assert wire.adjustments == ()


def test_an_old_limit_given_as_extra_is_renamed(shape):
    wire = shape(model="gpt-6-sol", extra={"max_tokens": 7})
    assert wire.body["max_completion_tokens"] == 7
    assert ("renamed", "max_tokens", "OA-R5") in notes(wire)


def test_never_both_limits(shape):
    wire = shape(model="gpt-6-sol", max_tokens=9, extra={"max_tokens": 7})
    assert wire.body["max_completion_tokens"] == 9
    assert "max_tokens" not in wire.body
    assert notes(wire) == [("dropped", "max_tokens", "OA-R5")]


# --- roles


@pytest.mark.parametrize(
    ("model", "role"),
    [
        ("gpt-4o", "system"),
        ("gpt-4.1", "system"),
        ("o3", "developer"),
        ("gpt-5", "developer"),
        ("gpt-5-mini", "developer"),
        ("gpt-5.6-terra", "developer"),
        ("gpt-6.2-astra", "developer"),
        ("gpt-11.3-nova", "developer"),
        ("ft:gpt-5:acme::x", "system"),
        ("somebody-elses-model", "system"),
    ],
)
@pytest.mark.parametrize("written", ["system", "developer"])
def test_instructions_have_the_role_the_model_knows(shape, model, role, written):
    wire = shape([{"role": written, "content": "be brief"}, "hi"], model=model)
    assert [message["role"] for message in wire.body["messages"]] == [role, "user"]
    assert wire.adjustments == ()


def test_o1_mini_takes_instructions_only_as_a_user(shape):
    wire = shape([Message.system("be brief"), "hi"], model="o1-mini")
    assert [message["role"] for message in wire.body["messages"]] == ["user", "user"]
    assert notes(wire) == [("lowered", "messages", "OA-R3")]


# --- reasoning effort


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("o3", "high", "high"),
        ("o3", "minimal", "low"),
        ("o3", "none", "low"),
        ("o3", "max", "high"),
        ("gpt-5", "minimal", "minimal"),
        ("gpt-5", "none", "minimal"),
        ("gpt-5", "xhigh", "high"),
        ("gpt-5-pro", "low", "high"),
        ("gpt-5.1", "none", "none"),
        ("gpt-5.1", "minimal", "low"),
        ("gpt-5.1", "xhigh", "high"),
        ("gpt-5.1-codex", "none", "low"),
        ("gpt-5.2-chat-latest", "high", "medium"),
        ("gpt-5.2-chat-latest", "low", "medium"),
        ("gpt-5.2-pro", "none", "low"),
        ("gpt-5.4-mini", "xhigh", "xhigh"),
        ("gpt-5.5", "none", "none"),
        ("gpt-5.6-sol", "max", "xhigh"),
        ("gpt-5.6-luna", "minimal", "low"),
        ("gpt-6-sol", "max", "max"),
        ("gpt-6-luna", "minimal", "low"),
        ("gpt-6.1-terra", "none", "none"),
        ("gpt-6-astra", "none", "low"),
        ("gpt-6.1-sol", "max", "xhigh"),
        ("gpt-6.2-astra", "none", "low"),
        ("gpt-6.2-sol", "xhigh", "xhigh"),
    ],
)
def test_an_effort_the_model_lacks_becomes_the_nearest_below(shape, model, asked, sent):
    wire = shape(model=model, reasoning=asked, config=CHAT)
    assert wire.body["reasoning_effort"] == sent
    kind = "note" if asked != "none" and is_weaker(asked, sent) else "lowered"  # a stronger one is no loss
    assert notes(wire) == ([] if asked == sent else [(kind, "reasoning", "OA-K2")])


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5-chat-latest"])
def test_a_model_that_does_not_reason_gets_no_effort(shape, model):
    wire = shape(model=model, reasoning="high")
    assert "reasoning_effort" not in wire.body
    assert notes(wire) == [("dropped", "reasoning", "OA-R15")]
    quiet = shape(model=model, reasoning="none")
    assert "reasoning_effort" not in quiet.body
    assert quiet.adjustments == ()


def test_nothing_is_said_about_reasoning_unless_asked(shape):
    assert shape(model="gpt-6.2-sol").body == {"model": "gpt-6.2-sol", "messages": [{"role": "user", "content": "hi"}]}


def test_an_unknown_family_is_left_alone(shape):
    wire = shape(model="nova-1", reasoning="max", temperature=0.2, stop="x")
    assert wire.body["reasoning_effort"] == "max"
    assert wire.body["temperature"] == 0.2
    assert wire.adjustments == ()


# --- sampling

SAMPLING = {"presence_penalty": 0.5, "frequency_penalty": 0.5, "logit_bias": {"5": 1}, "logprobs": True}
SAMPLING |= {"top_logprobs": 2}


@pytest.mark.parametrize("model", ["o3", "gpt-5", "gpt-5.5", "gpt-5.6-sol", "gpt-6-luna", "gpt-6-astra", "gpt-6.2-sol"])
def test_sampling_is_dropped_while_the_model_reasons(shape, model):
    wire = shape(model=model, temperature=0.2, top_p=0.9, extra=SAMPLING)
    assert not wire.body.keys() & {"temperature", "top_p", *SAMPLING}
    assert sorted(notes(wire)) == sorted(
        [("dropped", "temperature", "OA-R7"), *(("dropped", field, "OA-R8") for field in ("top_p", *SAMPLING))]
    )


@pytest.mark.parametrize(
    ("model", "reasoning"),
    [("gpt-5.1", None), ("gpt-5.4", None), ("gpt-5.4", "none"), ("gpt-5.6-terra", "none"), ("gpt-6-sol", "none")],
)
def test_without_reasoning_the_plain_ones_work(shape, model, reasoning):
    wire = shape(model=model, reasoning=reasoning, temperature=0.2, top_p=0.9, extra=SAMPLING)
    assert wire.body["temperature"] == 0.2
    assert wire.body["top_p"] == 0.9
    assert wire.body["logprobs"] is True
    assert {field for _, field, _ in notes(wire)} == SAMPLING.keys() - {"logprobs"}


@pytest.mark.parametrize("model", ["gpt-6-astra", "gpt-6.1-sol", "gpt-6.2-astra", "gpt-5.1-codex"])
def test_a_model_that_always_reasons_never_takes_sampling(shape, model):
    wire = shape(model=model, reasoning="none", temperature=0.2)
    assert "temperature" not in wire.body
    assert ("dropped", "temperature", "OA-R7") in notes(wire)


def test_a_default_in_words_is_no_loss(shape):
    wire = shape(model="gpt-6-sol", temperature=1, top_p=1, extra={"logprobs": False, "presence_penalty": 0})
    assert not wire.body.keys() & {"temperature", "top_p", "logprobs", "presence_penalty"}
    assert wire.adjustments == ()


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-5-chat-latest"])
def test_a_model_that_does_not_reason_takes_all_sampling(shape, model):
    wire = shape(model=model, temperature=1, top_p=0.9, extra=SAMPLING)
    assert wire.body.keys() >= {"temperature", "top_p", *SAMPLING}
    assert wire.adjustments == ()


def test_raise_instead_of_a_loss(shape):
    with pytest.raises(chatport.UnsupportedFeatureError, match="OA-R7"):
        shape(model="gpt-6-sol", temperature=0.2, on_unsupported="raise")


def test_search_models_take_no_temperature(shape):
    wire = shape(model="gpt-4o-search-preview", temperature=0.2, top_p=0.5)
    assert notes(wire) == [("dropped", "temperature", "OA-R9")]
    assert wire.body["top_p"] == 0.5


@pytest.mark.parametrize("model", ["o3", "gpt-5-mini", "gpt-6-astra", "gpt-6.3-astra"])
def test_some_models_take_no_stop(shape, model):
    wire = shape(model=model, stop=["END"])
    assert "stop" not in wire.body
    assert notes(wire) == [("dropped", "stop", "OA-R10")]


def test_others_take_up_to_four_stops(shape):
    assert shape(model="gpt-6-sol", stop=["a", "b", "c", "d"]).body["stop"] == ["a", "b", "c", "d"]
    with pytest.raises(chatport.UnsupportedFeatureError, match="at most 4 stop"):
        shape(model="gpt-6-sol", stop=["a", "b", "c", "d", "e"])


# --- which protocol


@pytest.mark.parametrize(
    "model", ["gpt-5.5", "gpt-5.6-sol", "gpt-6-sol", "gpt-6-luna", "gpt-6-astra", "gpt-6.1-sol", "gpt-6.2-astra"]
)
@pytest.mark.parametrize("reasoning", [None, "high"])
def test_tools_beside_thoughts_go_by_responses_and_need_no_warning(shape, model, reasoning):
    wire = shape(model=model, tools=[TOOL], reasoning=reasoning)
    assert wire.path == "/responses"
    assert wire.body.get("reasoning") == (None if reasoning is None else {"effort": "high"})
    assert wire.body["include"] == ["reasoning.encrypted_content"]
    assert wire.body["store"] is False
    assert wire.adjustments == ()


@pytest.mark.parametrize("model", ["gpt-5-pro", "gpt-5.2-pro", "gpt-5.4-pro", "gpt-5.5-pro", "o3-pro", "gpt-5-codex"])
def test_a_model_that_answers_only_by_responses_is_asked_there(shape, model):
    assert shape(model=model).path == "/responses"


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("gpt-6-sol", {}),
        ("gpt-6-sol", {"reasoning": "high"}),
        ("gpt-6-sol", {"tools": [TOOL], "reasoning": "none"}),
        ("gpt-5.4", {"tools": [TOOL]}),
        ("gpt-5", {"tools": [TOOL], "reasoning": "high"}),
        ("gpt-4o", {"tools": [TOOL]}),
    ],
)
def test_what_chat_takes_goes_by_chat(shape, model, options):
    assert shape(model=model, **options).path == "/chat/completions"


def test_the_users_word_goes_before_all_facts(shape):
    assert shape(model="gpt-4o", config={"protocol": "responses"}).path == "/responses"
    assert shape(model="gpt-6-sol", tools=[TOOL], config=CHAT).path == "/chat/completions"
    with pytest.raises(chatport.ConfigurationError, match=r"protocol is one of auto, chat, responses, not 'rest'"):
        shape(model="gpt-4o", config={"protocol": "rest"})


def test_going_on_from_what_the_server_has_kept_goes_by_responses(shape):
    wire = shape(model="gpt-4o", extra={"previous_response_id": "resp_1"})
    assert wire.path == "/responses"
    assert "store" not in wire.body


def test_a_summary_of_the_thoughts_is_a_setting(shape):
    wire = shape(model="gpt-6-sol", tools=[TOOL], reasoning="low", config={"reasoning_summary": "auto"})
    assert wire.body["reasoning"] == {"effort": "low", "summary": "auto"}
    off = shape(model="gpt-6-sol", reasoning="none", config={"reasoning_summary": "auto", "protocol": "responses"})
    assert off.body["reasoning"] == {"effort": "none"}


# --- tools and reasoning


@pytest.mark.parametrize(
    "model", ["gpt-5.5", "gpt-5.6-sol", "gpt-5.6-terra", "gpt-6-sol", "gpt-6-luna", "gpt-6.1-terra"]
)
@pytest.mark.parametrize("reasoning", [None, "high"])
def test_tools_switch_reasoning_off_where_it_is_on_by_default(shape, model, reasoning):
    wire = shape(model=model, tools=[TOOL], reasoning=reasoning, config=CHAT)
    assert wire.body["reasoning_effort"] == "none"
    assert notes(wire) == [("lowered", "reasoning", "OA-T15")]


@pytest.mark.parametrize("model", ["gpt-5.2", "gpt-5.4", "gpt-5.4-mini"])
def test_tools_leave_the_effort_out_where_it_is_off_by_default(shape, model):
    assert shape(model=model, tools=[TOOL]).adjustments == ()
    for reasoning in (None, "none", "high"):
        wire = shape(model=model, tools=[TOOL], reasoning=reasoning, config=CHAT)
        assert "reasoning_effort" not in wire.body
        assert notes(wire) == ([("lowered", "reasoning", "OA-T15")] if reasoning == "high" else [])


def test_asking_for_none_needs_no_note(shape):
    wire = shape(model="gpt-6-sol", tools=[TOOL], reasoning="none", temperature=0.3)
    assert wire.body["reasoning_effort"] == "none"
    assert wire.body["temperature"] == 0.3
    assert wire.adjustments == ()


@pytest.mark.parametrize("model", ["gpt-6-astra", "gpt-6.1-sol", "gpt-6.2-astra", "gpt-6.2-sol"])
def test_tools_are_refused_where_reasoning_cannot_be_off(shape, model):
    with pytest.raises(chatport.UnsupportedFeatureError, match=r"Use gpt-6-sol.*Responses API"):
        shape(model=model, tools=[TOOL], config=CHAT)


def test_the_pro_models_name_their_plain_twin(shape):
    with pytest.raises(chatport.UnsupportedFeatureError, match=r"Use gpt-5\.5,"):
        shape(model="gpt-5.5-pro", tools=[TOOL], config=CHAT)


@pytest.mark.parametrize("model", ["gpt-6.3-sol", "gpt-7", "gpt-7-nova"])
def test_tools_of_an_unknown_model_are_never_refused_by_a_guess(shape, model):
    assert shape(model=model, tools=[TOOL]).body["tools"]


@pytest.mark.parametrize("model", ["gpt-4o", "o3", "gpt-5", "gpt-5.1", "gpt-5.1-codex", "gpt-5.2-chat-latest"])
def test_older_models_take_tools_with_their_reasoning(shape, model):
    assert shape(model=model, tools=[TOOL]).adjustments == ()


def test_a_custom_tool_is_not_a_function(shape):
    wire = shape(model="gpt-6-astra", extra={"tools": [{"type": "custom", "custom": {"name": "free"}}]})
    assert wire.adjustments == ()


def test_fields_about_tools_are_left_out_without_tools(shape):
    wire = shape(model="gpt-4o", extra={"tools": [], "tool_choice": "auto", "parallel_tool_calls": False})
    assert not wire.body.keys() & {"tools", "tool_choice", "parallel_tool_calls"}
    assert notes(wire) == [("dropped", "tool_choice", "OA-R14"), ("dropped", "parallel_tool_calls", "OA-R13")]


# --- messages


def call_turn(*ids):
    return Message.assistant(tool_calls=tuple(ToolCall(i, "look", "{}") for i in ids))


def test_long_ids_of_other_vendors_are_replaced(shape):
    """OA-T17, in each model's requests: 40 characters are taken, and no more."""
    long = "fc_" + "0" * 50
    for model in ("gpt-4o", "o3", "gpt-6.1-terra"):
        ids = (long + "a", long + "b", "c" * 40)
        messages = ["hi", call_turn(*ids), *(Message.tool(one, "r") for one in ids)]
        wire = shape(messages, model=model)
        sent = [call["id"] for call in wire.body["messages"][1]["tool_calls"]]
        assert [message["tool_call_id"] for message in wire.body["messages"][2:]] == sent
        assert len(set(sent)) == 3
        assert sent[2] == "c" * 40
        assert max(map(len, sent)) <= 40
        assert ("renamed", "messages.tool_call_id", "OA-T17") in notes(wire)


def test_pictures_of_tool_results_follow_in_a_user_turn(shape):
    picture = ImagePart("https://example.com/a.png")
    messages = ["hi", call_turn("1", "2"), Message.tool("1", picture), Message.tool("2", "two"), "and?"]
    wire = shape(messages, model="gpt-4o")
    sent = wire.body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool", "user", "user"]
    assert sent[2]["content"] == "(in the next user message)"
    assert sent[4]["content"] == [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    assert notes(wire) == [("renamed", "messages", "OA-T6")]


def test_pictures_of_the_last_result_come_last(shape):
    result = Message.tool("1", "see:", ImagePart("https://example.com/a.png"))
    sent = shape(["hi", call_turn("1"), result], model="gpt-4o").body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "user"]
    assert sent[2]["content"] == [{"type": "text", "text": "see:"}]


def test_a_result_of_text_parts_stays_as_it_is(shape):
    result = Message("tool", (TextPart("a", {"x": 1}),), tool_call_id="1")
    wire = shape(["hi", call_turn("1"), result], model="gpt-4o")
    assert wire.body["messages"][2]["content"] == [{"type": "text", "text": "a", "x": 1}]
    assert wire.adjustments == ()


def test_a_file_by_its_address_is_refused(shape):
    with pytest.raises(chatport.UnsupportedFeatureError, match=r"messages\[0\].*data URL"):
        shape(Message.user("read", FilePart(data="https://example.com/a.pdf")), model="gpt-6-sol")
    shape(Message.user("read", FilePart(data="data:application/pdf;base64,AA", filename="a.pdf")), model="gpt-6-sol")


def test_a_text_file_is_sent_as_text(shape):
    """OA-M3: only PDF is a file there."""
    wire = shape(Message.user("read", FilePart.from_bytes(b"a,b", "a.csv")), model="gpt-4o")
    assert wire.body["messages"][0]["content"][1] == {"type": "text", "text": "a.csv:\n\na,b"}
    assert [(note.kind, note.field, note.fact) for note in wire.adjustments] == [("renamed", "messages.file", "OA-M3")]


def test_sound_is_bare_base64_and_there_is_no_video(shape):
    """OA-M2"""
    sound = shape(Message.user("hear", AudioPart("data:audio/mpeg;base64,AAAA")), model="gpt-4o-audio-preview")
    assert sound.body["messages"][0]["content"][1]["input_audio"] == {"data": "AAAA", "format": "mp3"}
    for part in (AudioPart("https://example.com/a.wav", "wav"), VideoPart("https://example.com/a.mp4")):
        with pytest.raises(chatport.UnsupportedFeatureError, match="OA-M2"):
            shape(Message.user("?", part), model="gpt-4o")


def test_earlier_reasoning_is_not_sent_back(shape):
    earlier = Message("assistant", (TextPart("4"),), reasoning="2 and 2", origin="openai")
    sent = shape(["2+2?", earlier, "sure?"], model="gpt-6-sol").body["messages"]
    assert sent[1] == {"role": "assistant", "content": "4"}


# --- streams


def test_usage_is_asked_for_beside_other_stream_options(shape):
    wire = shape(model="gpt-6-sol", stream=True, extra={"stream_options": {"include_obfuscation": False}})
    assert wire.body["stream_options"] == {"include_usage": True, "include_obfuscation": False}


def test_stream_options_need_a_stream(shape):
    wire = shape(model="gpt-6-sol", extra={"stream_options": {"include_usage": True}})
    assert "stream_options" not in wire.body
    assert notes(wire) == [("dropped", "stream_options", "OA-R18")]


def test_streams_can_be_switched_off_for_an_unverified_organisation(shape):
    wire = shape(model="gpt-5", stream=True, config={"stream": False})
    assert not wire.stream
    assert not wire.body.keys() & {"stream", "stream_options"}
    assert notes(wire) == [("note", "stream", "OA-P11")]
    assert shape(model="gpt-5", config={"stream": False}).adjustments == ()


@pytest.mark.parametrize(
    ("choice", "sent", "said"),
    [
        ({"type": "custom", "custom": {"name": "sh"}}, {"type": "custom", "custom": {"name": "sh"}}, set()),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
            set(),
        ),
        ("any", "required", {("renamed", "tool_choice")}),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}, {("renamed", "tool_choice")}),
        ("sometimes", None, {("dropped", "tool_choice")}),
    ],
    ids=str,
)
def test_the_choices_of_the_api_are_sent_and_others_said_in_its_words(choice, sent, said, shape):
    """OA-T4"""
    custom = {"type": "custom", "custom": {"name": "sh"}}
    function = {"type": "function", "function": {"name": "f"}}
    wire = shape(model="gpt-6-sol", reasoning="none", tools=[custom, function], tool_choice=choice)
    assert [tool["type"] for tool in wire.body["tools"]] == ["function", "custom"]
    assert wire.body["tools"][1] == custom
    assert (wire.body.get("tool_choice"), {(note.kind, note.field) for note in wire.adjustments}) == (sent, said)


def test_another_vendors_thinking_is_left_out_and_its_documents_are_refused(shape):
    """OA-M2"""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    answer = {"role": "assistant", "content": [thinking, {"type": "text", "text": "a"}]}
    wire = shape(["q", answer, "b"], model="gpt-6-sol")
    assert wire.body["messages"][1]["content"] == [{"type": "text", "text": "a"}]
    assert [(note.kind, note.field, note.fact) for note in wire.adjustments] == [
        ("dropped", "messages.content", "OA-M2")
    ]
    document = {"type": "document_url", "document_url": "https://h.example/x.pdf"}
    with pytest.raises(chatport.UnsupportedFeatureError, match=r"not document_url \(OA-M2\)"):
        shape([{"role": "user", "content": [document]}], model="gpt-6-sol")
