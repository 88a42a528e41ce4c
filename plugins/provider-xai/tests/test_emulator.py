"""Our client against the vendor's twin, in process: what is refused raw goes through smoothed."""

from __future__ import annotations

import json

import pytest

from chatport import (
    AuthenticationError,
    Client,
    OverloadedError,
    QuotaExceededError,
    StreamInterruptedError,
    Tool,
    ToolCallDelta,
    UnsupportedFeatureError,
)
from chatport.plugins.registry import load_provider
from chatport.testing import EmulatedRequest, Emulator, VirtualClock, faults, replay
from chatport_xai.emulator import XAIEmulator

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("get_weather", "Tell the weather.", SCHEMA)
MODEL = "xai:grok-4.7"
PROTOCOLS = pytest.mark.parametrize("protocol", ["responses", "chat"])
BOTH = pytest.mark.parametrize("stream", [False, True])


def ask(client, text, *, stream=False, **options):
    options = {"model": MODEL, **options}
    return list(client.stream(text, **options))[-1].reply if stream else client.chat(text, **options)


@BOTH
def test_thoughts_are_shown_and_go_back_sealed(emulated, stream):
    """XA-R4, XA-I6, XA-0: the whole loop of a tool keeps its reasoning."""
    client, emulator = emulated()
    text = 'think: hm\ncall: get_weather {"city": "Oslo"}'
    first = ask(client, text, tools=[WEATHER], stream=stream)
    assert (first.reasoning, first.finish_reason) == ("hm\n", "tool_calls")
    history = [text, first, {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "sun"}]
    assert ask(client, history, tools=[WEATHER], stream=stream).text == "The tool says: sun"
    sent = emulator.requests[-1].json()["input"]
    assert [item.get("type", "message") for item in sent] == [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
    ]
    assert sent[1]["encrypted_content"]
    assert sent[1]["summary"] == [{"type": "summary_text", "text": "hm\n"}]


@BOTH
def test_counts_and_charges(emulated, stream):
    """XA-U1, XA-U2, XA-U3, XA-I2, XA-I3: reasoning is added, the cache is part of the prompt, ticks are USD."""
    for more in ({}, {"protocol": "chat"}):
        client, _ = emulated(cached_tokens=3, table=more)
        reply = ask(client, "think: one two\nsay: three four", stream=stream)
        usage = reply.usage
        assert (usage.output_tokens, usage.reasoning_tokens, usage.cached_input_tokens) == (4, 2, 3)
        assert reply.cost.amount == pytest.approx((usage.input_tokens * 2 + 4 * 6) / 1e6)
        assert reply.warnings == ()


@BOTH
def test_chat_shows_no_thoughts(emulated, stream):
    """XA-R3, XA-S1, XA-S2, XA-S3, XA-S4, XA-S6, XA-S9, XA-I7"""
    client, _ = emulated(table={"protocol": "chat"})
    reply = ask(client, "think: one\nsay: two", stream=stream)
    assert (reply.text, reply.reasoning, reply.finish_reason, reply.model) == ("two", None, "stop", "grok-4.7")
    assert ask(client, "say: one two three", max_tokens=2, stream=stream).finish_reason == "length"


def test_calls_come_whole(emulated):
    """XA-S5"""
    client, _ = emulated(table={"protocol": "chat"})
    text = 'call: get_weather {"city": "Oslo"}\ncall: get_weather {"city": "Rome"}'
    seen = list(client.stream(text, model=MODEL, tools=[WEATHER]))
    assert [event.arguments for event in seen if isinstance(event, ToolCallDelta)] == [
        '{"city": "Oslo"}',
        '{"city": "Rome"}',
    ]


def test_the_output_limit_does_not_count_reasoning(emulated):
    """XA-P2"""
    client, _ = emulated()
    reply = ask(client, f"think: {'so ' * 30}\nsay: {'word ' * 20}", max_tokens=16)
    assert (len(reply.text.split()), reply.usage.reasoning_tokens, reply.finish_reason) == (16, 30, "length")


@pytest.mark.parametrize("model", ["grok-4.7", "grok-4.3", "grok-4.20-0309-non-reasoning", "grok-4.20-multi-agent"])
def test_every_kind_of_model_takes_what_is_sent(emulated, model):
    """XA-R1, XA-R2, XA-P3, XA-P4, XA-P5"""
    client, _ = emulated()
    for effort in ("none", "low", "high", "max"):
        reply = ask(client, "say: fine", model=f"xai:{model}", reasoning=effort, stop=["#"], temperature=0.2)
        assert reply.text == "fine"


def test_a_retired_name_is_answered_by_another_model():
    """XA-D1, XA-D2: with a 200; a client that asks for it directly is told nothing."""
    for name, heir in (("grok-4-fast", "grok-4.3"), ("grok-code-fast-1", "grok-4.7"), ("grok-3-mini", "grok-4.3")):
        assert json.loads(post({"model": name}).body)["model"] == heir
    assert json.loads(post({"model": "grok-build-0.1"}, today="2026-11-01").body)["error"].startswith("The model")
    kept = post({"model": "grok-4-fast"}, models=["grok-4-fast"])
    assert json.loads(kept.body)["model"] == "grok-4-fast"


@BOTH
@PROTOCOLS
def test_a_service_that_is_down(emulated, stream, protocol):
    """XA-S7"""
    client, _ = emulated(is_up=False, table={"protocol": protocol}, retry={"attempts": 1})
    if stream:
        with pytest.raises(OverloadedError):
            ask(client, "hi", stream=True)


@PROTOCOLS
def test_an_empty_account_is_asked_once(emulated, protocol):
    """XA-X5, XA-I4"""
    client, emulator = emulated(has_credits=False, table={"protocol": protocol})
    with pytest.raises(QuotaExceededError):
        ask(client, "hi")
    assert len(emulator.requests) == 1


@PROTOCOLS
def test_a_wrong_key_is_no_bad_request(emulated, protocol):
    """XA-X2"""
    client, emulator = emulated(table={"protocol": protocol})
    emulator.vendor.api_key = "another"
    with pytest.raises(AuthenticationError):
        ask(client, "hi")


def test_models_are_listed(emulated):
    """XA-E4"""
    client, _ = emulated()
    listed = {model.id: model.context_tokens for model in client.models("xai")}
    assert listed["grok-4.7"] == 500_000


def post(body, *, path="/v1/chat/completions", key="k", **settings):
    if path.endswith("responses"):
        body = {"model": "grok-4.7", "input": "hello", **body}
    else:
        body = {"model": "grok-4.7", "messages": [{"role": "user", "content": "hello"}], **body}
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return XAIEmulator(**settings).respond(EmulatedRequest("POST", path, headers, json.dumps(body).encode()))


TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}


def with_schema(**schema):
    return {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", **schema}}}]}


REFUSED = [
    ({"presence_penalty": 0}, 400, "does not support parameter presencePenalty"),
    ({"frequency_penalty": 0}, 400, "does not support parameter frequencyPenalty"),
    ({"stop": ["a"]}, 400, "does not support parameter stop"),
    ({"stop": list("abcdefghi"), "model": "grok-4.20-0309-non-reasoning"}, 400, "at most 8"),
    ({"reasoning_effort": "none"}, 400, "value 'none'"),
    ({"reasoning_effort": "low", "model": "grok-4.20-0309-reasoning"}, 400, "reasoningEffort"),
    ({"logit_bias": {"1": 1}}, 400, "logitBias"),
    ({"search_parameters": {"mode": "on"}}, 410, "Live search is deprecated"),
    ({"temperature": 3}, 400, "temperature"),
    ({"n": 129}, 400, "'n'"),
    ({"tools": [TOOL] * 129}, 400, "at most 128"),
    ({"tools": [{"type": "web_search"}]}, 422, "unknown variant"),
    ({"model": "grok-4.20-multi-agent"}, 400, "Multi Agent"),
    ({"model": "grok-9"}, 404, "does not exist"),
    ({"model": "gpt-4o"}, 404, "does not exist"),
    ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}, 422, "unknown variant"),
    ({"messages": "hi"}, 422, "Failed to deserialize"),
    (with_schema(properties={"a": {"enum": []}}), 400, "enum must not be empty"),
    (with_schema(properties={"a": {"anyOf": []}}), 400, "anyOf must not be empty"),
    (with_schema(properties={"a": True}), 400, "a property must be an object"),
    (with_schema(properties={"a": {"type": "array", "items": [{}]}}), 400, "items must be a schema"),
]


@pytest.mark.parametrize(("body", "status", "words"), REFUSED)
def test_emulator_refuses_in_chat(body, status, words):
    """XA-P1, XA-P3 to XA-P7, XA-T1, XA-T4, XA-M1, XA-M2, XA-R1, XA-R2, XA-X1, XA-X7, XA-X8, XA-X20"""
    answer = post(body)
    assert (answer.status, words in json.loads(answer.body)["error"]) == (status, True), answer.body


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"presence_penalty": 0}, 400, "presencePenalty"),
        ({"reasoning": {"effort": "none"}}, 400, "value 'none'"),
        ({"background": True}, 400, "not supported"),
        ({"temperature": 3}, 400, "temperature"),
        ({"model": "grok-9"}, 404, "does not exist"),
        ({"previous_response_id": "x"}, 400, "not found"),
        ({"input": [{"type": "reasoning", "encrypted_content": "x"}]}, 400, "compaction blob"),
        ({"tools": [{"type": "function", "name": "f", "parameters": {"properties": {"a": False}}}]}, 400, "property"),
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {"enum": []}}}}, 400, "enum"),
    ],
)
def test_emulator_refuses_in_responses(body, status, words):
    """XA-P3, XA-R1, XA-I6, XA-T4, XA-X1"""
    answer = post(body, path="/v1/responses")
    assert (answer.status, words in json.loads(answer.body)["error"]) == (status, True), answer.body


def test_keys():
    """XA-X2, XA-X3"""
    assert post({}, key="").status == 401
    assert post({}, key="wrong", api_key="right").status == 400


def test_a_deferred_answer_is_only_a_number():
    """XA-P10"""
    assert json.loads(post({"deferred": True}).body).keys() == {"request_id"}


def test_citations_are_read():
    """XA-W2"""
    message = {"role": "assistant", "content": "Rain [1]."}
    body = {"choices": [{"message": message, "finish_reason": "stop"}], "citations": ["https://rain.example/"]}
    reply = replay("xai", body=json.dumps(body), stream=False)
    assert [citation.url for citation in reply.citations] == ["https://rain.example/"]


@PROTOCOLS
def test_an_answer_is_not_gone_on_with(protocol):
    """XA-F1: no way is documented."""
    emulator = Emulator("xai", faults=[faults.cut(after_events=6), None], clock=VirtualClock())
    config = {**emulator.config(), "retry": {"continue_after_cut": True}}
    config["providers"]["xai"]["protocol"] = protocol
    with Client(config=config, transport=emulator) as client, pytest.raises(StreamInterruptedError):
        ask(client, "say: one two three four five six seven", stream=True)
    assert len(emulator.requests) == 1


def test_there_are_no_embeddings(emulated):
    """XA-E2"""
    client, emulator = emulated()
    with pytest.raises(UnsupportedFeatureError):
        client.embed("hello", model=MODEL)
    assert emulator.requests == []


def test_hard_questions_may_take_long():
    """XA-B5"""
    timeouts = load_provider("xai").timeouts
    assert (timeouts["first_event"], timeouts["total"]) == (27 * 60, 3600)
