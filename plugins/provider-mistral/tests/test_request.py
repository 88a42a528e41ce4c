"""The body that goes out, fact by fact, and the warnings that say what was changed."""

from __future__ import annotations

import pytest

from chatport import (
    AudioPart,
    Client,
    FilePart,
    ImagePart,
    Message,
    PolicyError,
    TextPart,
    Tool,
    UnsupportedFeatureError,
)
from chatport.facts import cost_of
from chatport.types import Usage
from chatport_mistral import provider

SMALL, MEDIUM, LARGE, LARGE_4 = (
    f"mistral:{name}"
    for name in ("mistral-small-latest", "mistral-medium-3-5", "mistral-large-latest", "mistral-large-4")
)
CODE, VOICE, TINY, CLI = (
    f"mistral:{name}"
    for name in ("codestral-latest", "voxtral-small-latest", "ministral-3b-latest", "mistral-vibe-cli-latest")
)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("get_weather", "Tell the weather.", SCHEMA)
PDF = FilePart(data=b"%PDF-1.7 \xff", filename="a.pdf")
ADDRESS = "https://papers.example/a.pdf"


def called(call_id="vAKGXGFZD", **more):
    return {
        "role": "assistant",
        "tool_calls": [{"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        **more,
    }


def result(call_id="vAKGXGFZD", content="sun"):
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_a_plain_call_is_the_standard(explain):
    """MI-B1, MI-E1, MI-P2"""
    explanation = explain("hello", max_tokens=50, temperature=0.2, top_p=0.9, stop=["a"], stream=True)
    assert explanation.url == "https://api.mistral.ai/v1/chat/completions"
    assert explanation.body == {
        "model": "mistral-small-latest", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 50,
        "temperature": 0.2, "top_p": 0.9, "stop": ["a"], "stream": True,
    }  # fmt: skip
    assert explanation.adjustments == ()


@pytest.mark.parametrize("region", ["eu", "us"])
def test_regional_hosts(explain, region):
    """MI-B2, MI-B3, MI-D1: the place is known there, and nowhere else."""
    host = f"https://api.{region}.mistral.ai/v1"
    assert explain(settings={"region": region}).url == f"{host}/chat/completions"
    policy = {"allow_regions": ["EU", "CH", "IS", "LI", "NO", "US"]}
    config = {"providers": {"mistral": {"api_key": "k", "region": region}}, "policy": policy}
    assert Client(config=config).explain("hello", model=SMALL).body["model"] == "mistral-small-latest"
    with pytest.raises(PolicyError, match="MI-D1"):
        Client(config={**config, "providers": {"mistral": {"api_key": "k"}}}).explain("hello", model=SMALL)


def test_a_second_host_has_keys_of_its_own():
    """MI-B4"""
    table = {"base_url": "https://codestral.mistral.ai/v1", "api_key": "own"}
    client = Client(config={"providers": {"mistral": table}})
    assert client.explain("hello", model=CODE).url == "https://codestral.mistral.ai/v1/chat/completions"


def test_labs_models_are_for_no_policy_that_forbids_training():
    """MI-D2, MI-L2"""
    config = {"providers": {"mistral": {"api_key": "k"}}, "policy": {"forbid_training": True}}
    client = Client(config=config)
    assert client.explain("hello", model=SMALL).body
    with pytest.raises(PolicyError, match="forbid_training"):
        client.explain("hello", model="mistral:labs-mistral-small-creative")


@pytest.mark.parametrize(
    ("field", "value", "kind", "fact"),
    [
        ("store", True, "dropped", "MI-P4"),
        ("user", "u", "dropped", "MI-P4"),
        ("top_k", 40, "dropped", "MI-P4"),
        ("logit_bias", {"1": 1}, "dropped", "MI-P4"),
        ("logprobs", True, "dropped", "MI-P5"),
        ("top_logprobs", 2, "dropped", "MI-P5"),
        ("stream_options", {"a": 1}, "dropped", "MI-P6"),
        ("service_tier", "flex", "dropped", "MI-P8"),
        ("prediction", {"type": "content", "content": "x"}, "dropped", "MI-P9"),
        ("verbosity", "low", "dropped", "MI-P1"),
        ("seed", 7, "renamed", "MI-P3"),
        ("max_completion_tokens", 7, "renamed", "MI-P3"),
    ],
)
def test_what_is_refused_does_not_go(explain, notes, field, value, kind, fact):
    """MI-P1, MI-P3 to MI-P6, MI-P8, MI-P9"""
    explanation = explain(extra={field: value})
    assert field not in explanation.body
    assert notes(explanation) == {(kind, field, fact)}
    if kind == "dropped":
        with pytest.raises(UnsupportedFeatureError, match=fact):
            explain(extra={field: value}, on_unsupported="raise")


def test_what_costs_no_warning(explain):
    """MI-P2, MI-P8, MI-P10, MI-U3: the vendor's own fields, and defaults."""
    own = {
        "safe_prompt": True, "prompt_cache_key": "k", "service_tier": "auto", "document_page_limit": 3, "metadata": {},
        "guardrails": [{"block_on_error": True}], "n": 2, "parallel_tool_calls": False, "random_seed": 3,
    }  # fmt: skip
    plain = {"store": False, "logprobs": False, "service_tier": "auto", "stream_options": {"include_usage": True}}
    explanation = explain(extra={**own, **plain}, stream=True)
    assert explanation.body.items() >= own.items()
    assert not explanation.body.keys() & {"store", "logprobs", "stream_options"}
    assert explanation.adjustments == ()
    later = explain(extra={"new_field": 1}, settings={"extra_fields": ["new_field"]})
    assert (later.body["new_field"], later.adjustments) == (1, ())


def test_numbers_are_held_in_their_ranges(explain, notes):
    """MI-P2, MI-P3, MI-P7"""
    explanation = explain(seed=-1, temperature=2, max_tokens=256_000, extra={"presence_penalty": -3})
    assert {name: explanation.body[name] for name in ("random_seed", "temperature", "max_tokens")} == {
        "random_seed": 0, "temperature": 1.5, "max_tokens": 255_999,
    }  # fmt: skip
    assert explanation.body["presence_penalty"] == -2
    assert {fact for _, _, fact in notes(explanation)} == {"MI-P2", "MI-P3", "MI-P7"}
    assert explain(model=LARGE_4, max_tokens=600_000).body["max_tokens"] == 262_144


def test_predictions_are_for_one_model(explain, notes):
    """MI-P9"""
    wanted = {"prediction": {"type": "content", "content": "x"}}
    assert explain(model=CODE, extra=wanted).body["prediction"] == wanted["prediction"]
    assert notes(explain(model=CODE, extra={**wanted, "n": 2})) == {("dropped", "prediction", "MI-P9")}


def test_tools_are_the_standards(explain, notes):
    """MI-T2, MI-T4, MI-P3, MI-P11"""
    for given, sent in (("required", "required"), ("any", "any"), ("none", "none"), ("get_weather", None)):
        body = explain(tools=[WEATHER], tool_choice=given).body
        assert body["tool_choice"] == (sent or {"type": "function", "function": {"name": "get_weather"}})
    assert explain(tools=[Tool("now", "Tell the time.", {})]).body["tools"][0]["function"]["parameters"] is not None
    strict = explain(tools=[Tool("now", "", SCHEMA, strict=True)]).body["tools"][0]["function"]
    assert strict["strict"] is True
    assert "tools" not in explain(tools=[]).body
    with pytest.raises(UnsupportedFeatureError, match="at most 128"):
        explain(tools=[{"type": "function", "function": {"name": f"f{n}"}} for n in range(129)])


def test_only_functions_are_tools(explain, notes):
    """MI-W1, recorded: any other type fails the whole request."""
    explanation = explain(tools=[{"type": "web_search"}, WEATHER])
    assert [tool["type"] for tool in explanation.body["tools"]] == ["function"]
    assert notes(explanation) == {("dropped", "tools", "MI-W1")}


@pytest.mark.parametrize("choice", ["none", "auto"])
def test_a_schema_goes_with_tools_that_need_not_be_called(explain, choice):
    """MI-J1, MI-J2, MI-T3"""
    body = explain(tools=[WEATHER], tool_choice=choice, output=SCHEMA).body
    assert body["response_format"]["json_schema"]["name"]
    assert body["tools"]


@pytest.mark.parametrize("choice", ["required", "any", "get_weather"])
def test_a_forced_call_goes_before_a_schema(explain, notes, choice):
    """MI-J2"""
    explanation = explain(tools=[WEATHER], tool_choice=choice, output=SCHEMA)
    assert "response_format" not in explanation.body
    assert notes(explanation) == {("dropped", "response_format", "MI-J2")}


def test_json_mode_gets_its_word(explain, notes):
    """MI-J1, MI-J3"""
    wanted = {"response_format": {"type": "json_object"}}
    assert notes(explain("a list", extra=wanted)) == {("added", "messages", "MI-J1")}
    assert notes(explain("a JSON list", extra=wanted)) == set()


@pytest.mark.parametrize(
    ("model", "asked", "sent", "kind"),
    [
        (SMALL, "high", "high", None),
        (MEDIUM, "none", "none", None),
        (MEDIUM, "low", "high", "note"),
        (MEDIUM, "max", "high", "lowered"),
        (LARGE_4, "medium", "medium", None),
        (LARGE_4, "max", "xhigh", "lowered"),
        (LARGE, "high", None, "dropped"),
        (LARGE, "none", None, None),
        (TINY, "low", None, "dropped"),
        (SMALL, 2000, None, "dropped"),
    ],
)
def test_efforts_depend_on_the_model(explain, notes, model, asked, sent, kind):
    """MI-R1, MI-R2"""
    explanation = explain(model=model, reasoning=asked)
    assert explanation.body.get("reasoning_effort") == sent
    assert {(note[0], note[1]) for note in notes(explanation)} == ({(kind, "reasoning")} if kind else set())


def test_the_deprecated_mode_is_told(explain, notes):
    """MI-R6"""
    explanation = explain(extra={"prompt_mode": "reasoning"})
    assert explanation.body["prompt_mode"] == "reasoning"
    assert notes(explanation) == {("note", "prompt_mode", "MI-R6")}


def test_thoughts_go_back_as_parts(explain):
    """MI-R3, MI-R4, MI-P4, MI-I2: a caller's own too, and another vendor's not at all."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "r"}]}
    text = [{"type": "text", "text": "b"}]
    own = Message("assistant", (TextPart("b"),), reasoning="r", origin="mistral")
    written = {"role": "assistant", "content": "b", "reasoning_content": "r"}
    for answer in (own, written, {"role": "assistant", "content": [thought, *text]}):
        body = explain(["a", answer, "c"]).body
        assert body["messages"][1] == {"role": "assistant", "content": [thought, *text]}
    other = Message("assistant", (TextPart("b"),), reasoning="r", origin="deepseek")
    for model, answer in ((SMALL, other), (LARGE, own)):
        assert explain(["a", answer, "c"], model=model).body["messages"][1] == {"role": "assistant", "content": "b"}
    calls = explain(["a", {**called(), "reasoning": "r"}, result()]).body["messages"][1]
    assert (calls["content"], len(calls["tool_calls"])) == ([thought], 1)


def test_thoughts_in_another_form_are_left_out(explain, notes):
    """MI-R3, MI-I2"""
    foreign = {"type": "thinking", "thinking": "hm", "signature": "x"}
    for text in ([{"type": "text", "text": "b"}], []):
        explanation = explain(["a", {"role": "assistant", "content": [foreign, *text]}, "c"])
        assert explanation.body["messages"][1]["content"] == (text or "(empty)")
        assert notes(explanation) == {("dropped", "messages.content", "MI-I2")}


def test_marks_that_are_none_are_not_looked_at(explain):
    """MI-R4: a caller's own key of that name means nothing."""
    for marks in ("x", [1], [["a", "b"]], {"a": 1}):
        answer = {"role": "assistant", "content": "b", "reasoning": "r", "signatures": marks}
        thought = explain(["a", answer, "c"]).body["messages"][1]["content"][0]
        assert thought == {"type": "thinking", "thinking": [{"type": "text", "text": "r"}]}


def test_foreign_ids_become_nine_letters_and_digits(explain, notes):
    """MI-T1, MI-I2: in calls and results alike; own ones stay."""
    foreign = "call_0123456789abcdef"
    explanation = explain(["a", called(foreign), result(foreign)])
    sent = explanation.body["messages"][1]["tool_calls"][0]["id"]
    assert len(sent) == 9
    assert sent.isalnum()
    assert explanation.body["messages"][2]["tool_call_id"] == sent
    assert notes(explanation) == {("renamed", "messages.tool_call_id", "MI-T1")}
    assert notes(explain(["a", called(), result()])) == set()


def test_an_assistant_stands_between_result_and_user(explain, notes):
    """MI-T5: but for small, which takes the user's turn at once (recorded 2026-08)."""
    talk = ["a", called(), result(), "And tomorrow?"]
    explanation = explain(talk, model=LARGE)
    assert [message["role"] for message in explanation.body["messages"]] == [
        "user", "assistant", "tool", "assistant", "user",
    ]  # fmt: skip
    assert notes(explanation) == {("added", "messages", "MI-T5")}
    assert notes(explain(talk, model=SMALL)) == set()
    with pytest.raises(UnsupportedFeatureError, match="MI-T5"):
        explain(["a", result()])


def test_what_is_no_text_follows_a_result(explain, notes):
    """MI-T11, recorded: text, a bridge, then a user's message with the picture."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    shown = result(content=[{"type": "text", "text": "here"}, image])
    explanation = explain(["a", called(), shown], model=MEDIUM)
    assert [message["role"] for message in explanation.body["messages"][2:]] == ["tool", "assistant", "user"]
    assert explanation.body["messages"][-1]["content"] == [image]
    assert notes(explanation) == {("renamed", "messages", "MI-T11"), ("added", "messages", "MI-T5")}


def test_an_answer_that_is_last_is_begun(explain, notes):
    """MI-T6: without the mark it is refused. A mark of the caller's stays, also where it says no (recorded)."""
    begun = {"role": "assistant", "content": "Dear"}
    explanation = explain(["a", begun])
    assert explanation.body["messages"][-1] == {**begun, "prefix": True}
    assert notes(explanation) == {("added", "messages.prefix", "MI-T6")}
    assert notes(explain(["a", {**begun, "prefix": True}])) == set()
    assert explain(["a", {**begun, "prefix": False}, "b"]).body["messages"][1]["prefix"] is False


def test_messages_have_no_keys_but_their_own(explain, notes):
    """MI-P1, MI-P4, MI-M6, MI-T8, MI-T10"""
    explanation = explain(
        [
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "x", "cache_control": {}}]},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "hm"},
            {**called(), "content": None, "mood": 1},
            {**result(), "name": "f"},
        ]
    )
    assert explanation.body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
        {"role": "assistant", "content": "(empty)"},
        {"role": "user", "content": "hm"},
        called(),
        {**result(), "name": "f"},
    ]
    assert notes(explanation) == {
        ("dropped", "messages.name", "MI-P1"),
        ("dropped", "messages", "MI-P4"),
        ("dropped", "messages", "MI-M6"),
        ("added", "messages.content", "MI-T8"),
    }


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (FilePart(data=ADDRESS), {"type": "document_url", "document_url": ADDRESS}),
        (FilePart("upload-1"), {"type": "file", "file_id": "upload-1"}),
        ({"type": "document_url", "document_url": ADDRESS}, {"type": "document_url", "document_url": ADDRESS}),
        ({"type": "file", "file_id": "upload-1"}, {"type": "file", "file_id": "upload-1"}),
        (
            {"type": "image_url", "image_url": "https://a.example/x.png"},
            {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}},
        ),
        (
            ImagePart("https://a.example/x.png", detail="low"),
            {"type": "image_url", "image_url": {"url": "https://a.example/x.png", "detail": "low"}},
        ),
    ],
)
def test_content_in_the_vendors_forms(explain, notes, part, sent):
    """MI-M1, MI-M3"""
    explanation = explain(
        [Message.user("?", part)] if not isinstance(part, dict) else [{"role": "user", "content": [part]}]
    )
    assert explanation.body["messages"][0]["content"][-1] == sent
    assert notes(explanation) == set()


def test_a_document_has_its_name_and_bytes(explain):
    """MI-M3"""
    sent = explain([Message.user("?", PDF)]).body["messages"][0]["content"][-1]
    assert sent["document_name"] == "a.pdf"
    assert sent["document_url"].startswith("data:application/pdf;base64,")


def test_sound_in_either_form(explain, notes):
    """MI-M4: the standard's object was taken in 2026-08, bare base64 in 2025-12 (both recorded)."""
    for part in (AudioPart("AAAA", "mp3"), AudioPart("data:audio/mp3;base64,AAAA")):
        sent = explain([Message.user("?", part)], model=VOICE).body["messages"][0]["content"][-1]
        assert sent == {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}
    bare = {"type": "input_audio", "input_audio": "AAAA"}
    explanation = explain([{"role": "user", "content": [bare]}], model=VOICE)
    assert (explanation.body["messages"][0]["content"], notes(explanation)) == ([bare], set())


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (SMALL, AudioPart("AAAA", "mp3")),
        (VOICE, PDF),
        (VOICE, ImagePart("https://a.example/x.png")),
        (TINY, PDF),
        (CLI, ImagePart("https://a.example/x.png")),
        ("mistral:new-model", {"type": "video_url", "video_url": {"url": "https://a.example/x.mp4"}}),
    ],
)
def test_content_the_model_does_not_take(explain, model, part):
    """MI-M5, MI-M7, MI-L4: before it is sent, as a document to voxtral would look like a server that is down."""
    content = [{"type": "text", "text": "?"}, part] if isinstance(part, dict) else (TextPart("?"), part)
    message = {"role": "user", "content": content} if isinstance(part, dict) else Message("user", content)
    with pytest.raises(UnsupportedFeatureError):
        explain([message], model=model)


@pytest.mark.parametrize(
    ("old", "new", "effort"),
    [
        ("magistral-medium-2509", "mistral-medium-3-5", "high"),
        ("magistral-small-latest", "mistral-small-2603", "high"),
        ("devstral-2512", "mistral-medium-3-5", "none"),
        ("mistral-small-2506", "mistral-small-2603", "none"),
        ("mistral-medium-2508", "mistral-medium-3-5", "none"),
    ],
)
def test_retired_models_are_followed(explain, notes, old, new, effort):
    """MI-L3, MI-R6: one that always thought goes on thinking."""
    explanation = explain(model=f"mistral:{old}")
    assert (explanation.body["model"], explanation.body["reasoning_effort"]) == (new, effort)
    assert {(kind, field) for kind, field, _ in notes(explanation)} == {("redirected", "model")}


def test_an_alias_is_sent_as_it_is(explain):
    """MI-L1: what it stands for is the vendor's matter."""
    assert explain(model=LARGE).body["model"] == "mistral-large-latest"


@pytest.mark.parametrize(
    ("model", "host", "usage", "amount"),
    [
        ("mistral-large-latest", "api", {}, 0.5 + 1.5),
        ("mistral-large-latest", "api", {"service_tier": "standard"}, 0.5 + 1.5),
        ("mistral-large-latest", "api", {"service_tier": "priority"}, 2 * 1.75),
        ("mistral-large-latest", "api.eu", {}, 2 * 1.1),
        ("voxtral-small-latest", "api", {"prompt_audio_seconds": 60}, 0.1 + 0.4 + 0.004),
        ("labs-some-model", "api", {}, 0),
    ],
)
def test_what_a_call_costs(model, host, usage, amount):
    """MI-U2, MI-U4, MI-P8, MI-B2, MI-L2: tiers, regions and minutes of sound."""
    prices = provider.facts.describe(model, f"https://{host}.mistral.ai/v1").prices
    cost = cost_of(Usage(1_000_000, 1_000_000, raw=usage), prices)
    assert cost.amount == pytest.approx(amount)


def test_the_first_thought_may_take_long():
    """MI-I5"""
    assert provider.timeouts == {"first_event": 300.0}
