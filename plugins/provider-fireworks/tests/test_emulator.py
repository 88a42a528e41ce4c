"""The emulator refuses the raw wrong request, and our client never sends it; and what it says, it says in all forms."""

from __future__ import annotations

import json

import attrs
import pytest

from chatport import (
    AuthenticationError,
    BadRequestError,
    Client,
    ContextLengthError,
    MalformedReplyError,
    Message,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    Tool,
    ToolCallDelta,
)
from chatport.testing import EmulatedRequest, Emulator, VirtualClock, faults, replay
from chatport_fireworks.emulator import FireworksEmulator

KIMI, OSS = "fireworks:kimi-k2p6", "fireworks:gpt-oss-120b"
USER = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


@attrs.frozen
class Place:
    city: str
    people: int


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}."


def post(body, **settings):
    data = json.dumps({"model": "accounts/fireworks/models/kimi-k2p6", "messages": [USER], **body}).encode()
    request = EmulatedRequest("POST", "/inference/v1/chat/completions", {"authorization": "Bearer k"}, data)
    response = FireworksEmulator(**settings).respond(request)
    return response.status, json.loads(response.body)


def tool(**changes):
    return {"tools": [{"type": "function", "function": {**TOOL["function"], **changes}}]}


REFUSED = [
    ({"model": "kimi-k2p6"}, "Model not found, inaccessible, and/or not deployed"),  # FW-E2, FW-X17
    ({"stream_options": {}}, "Extra inputs are not permitted, field: 'stream_options', value: {}"),  # FW-P1, FW-X10
    ({"messages": [{**USER, "name": "a"}]}, "field: 'messages[0].name'"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": 1}]}]}, "cache_control"),
    ({"messages": [{**USER, "reasoning": "a"}]}, "field: 'messages[0].reasoning'"),  # FW-R2
    (tool(defer_loading=True), "field: 'tools[0].function[0].defer_loading'"),  # FW-T4
    (tool(parameters={}), "must be an object schema"),  # FW-T4
    (tool(name="a.b"), "name is not valid"),  # FW-P5
    ({"tools": [{"type": "web_search"}]}, "type must be function"),  # FW-T1
    ({"max_tokens": 1, "max_completion_tokens": 1}, "cannot be set together"),  # FW-P4
    ({"max_tokens": 4097}, "Requests with max_tokens > 4096 must have stream=true"),  # FW-P4, FW-X12
    ({"top_k": 101}, "top_k"),  # FW-P5
    ({"stop": list("abcde")}, "stop"),
    ({"top_logprobs": 6}, "top_logprobs"),  # FW-P6
    ({"reasoning_effort": "xhigh"}, "Invalid reasoning effort: xhigh"),  # FW-P7, FW-X13
    *[
        ({"model": "accounts/fireworks/models/gpt-oss-120b", "reasoning_effort": effort}, "Invalid reasoning effort: ")
        for effort in ("none", False, 2048)  # FW-P8
    ],
    ({"thinking": {"type": "enabled"}, "reasoning_effort": "low"}, "cannot be set together"),  # FW-P9
    ({"prompt_truncate_len": 1, "safe_tokenization": True}, "safe_tokenization"),  # FW-P12
]


@pytest.mark.parametrize(("body", "words"), REFUSED)
def test_emulator_refuses(body, words):
    status, data = post(body)
    assert status == (404 if "Model" in words else 400)
    assert words in data["error"]["message"]
    assert data["error"]["code"] == ("NOT_FOUND" if status == 404 else "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "body", [{"reasoning_effort": 2048}, {"reasoning_effort": True}, {"max_tokens": 200_000, "stream": True}]
)
def test_emulator_takes_what_the_vendor_takes(body):
    data = json.dumps({"model": "accounts/fireworks/models/kimi-k2p6", "messages": [USER], **body}).encode()
    request = EmulatedRequest("POST", "/inference/v1/chat/completions", {"authorization": "Bearer k"}, data)
    assert FireworksEmulator().respond(request).status == 200


SMOOTH = [
    ("hello", {"extra": {"store": True, "stream_options": {"include_usage": True}, "top_k": 500, "top_logprobs": 20}}),
    ("hello", {"max_tokens": 20_000}),
    ("hello", {"max_tokens": 10, "extra": {"max_completion_tokens": 20}}),
    ("hello", {"model": OSS, "reasoning": "none"}),
    ("hello", {"model": OSS, "reasoning": 2048}),
    ("hello", {"reasoning": "max", "seed": 1}),
    ("hello", {"reasoning": "low", "extra": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}),
    ("hello", {"tools": [Tool("maps.find", "", {})], "tool_choice": "required"}),
    ("hello", {"extra": {"tools": [{"type": "web_search"}, {**TOOL, "x": 1}]}}),
    ([{**USER, "name": "ann", "cache_control": {}}], {}),
    ([Message.user("a"), attrs.evolve(Message.assistant(""), refusal="No."), Message.user("b")], {}),
]  # fmt: skip


@pytest.mark.parametrize(("messages", "options"), SMOOTH)
@pytest.mark.parametrize("stream", [False, True])
def test_client_smooths(emulated, messages, options, stream):
    client, emulator = emulated()
    options = {"model": KIMI, **options}
    reply = list(client.stream(messages, **options))[-1].reply if stream else client.chat(messages, **options)
    assert reply.finish_reason in ("stop", "tool_calls", "length")
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("usage_chunk", [False, True])
@pytest.mark.parametrize(
    ("messages", "options"),
    [
        ("hello", {}),
        ("say: one two\nthink: because", {"reasoning": "low"}),
        ("hello", {"reasoning": "none"}),
        ("hello", {"model": "fireworks:llama-v3p1-8b-instruct"}),
        ("say: one two three four", {"max_tokens": 3, "reasoning": "none"}),
        ('call: a {}\ncall: a {"x": "é", "y": [1, 2]}', {"tools": [Tool("a")]}),
        ("where?", {"output": Place}),
    ],
)
def test_stream_gives_the_same_as_plain(emulated, messages, options, usage_chunk):
    """FW-S1 to FW-S4, FW-R1, FW-U1: with usage at the end of every stream, and no index on tool calls."""
    client, _ = emulated(usage_chunk=usage_chunk, cached_tokens=4)
    options = {"model": KIMI, **options}
    plain, streamed = client.chat(messages, **options), list(client.stream(messages, **options))[-1].reply
    for reply in (plain, streamed):
        assert (reply.usage.cached_input_tokens, reply.usage.reasoning_tokens) == (4, None)  # FW-R3
        assert (reply.cost is None) is ("llama" in options["model"])

    def shown(reply):
        calls = [(call.name, call.arguments) for call in reply.tool_calls]
        return reply.text, reply.reasoning, calls, reply.finish_reason, reply.usage.output_tokens

    assert shown(plain) == shown(streamed)


def test_parallel_calls(emulated):
    """FW-S4"""
    client, _ = emulated()
    events = list(client.stream('call: a {}\ncall: b {"x": 1}', model=KIMI, tools=[Tool("a"), Tool("b")]))
    assert {event.index for event in events if isinstance(event, ToolCallDelta)} == {0, 1}
    calls = events[-1].reply.tool_calls
    assert [(call.name, call.parsed()) for call in calls] == [("a", {}), ("b", {"x": 1})]
    assert len({call.id for call in calls}) == 2


def test_a_tool_loop_keeps_its_reasoning(emulated):
    """FW-R1"""
    client, emulator = emulated()
    first = client.chat("weather in Oslo?", model=KIMI, tools=[get_weather])
    second = client.chat(
        ["weather?", first, Message.tool(first.tool_calls[0], "Sunny.")], model=KIMI, tools=[get_weather]
    )
    assert "Sunny." in second.text
    assert emulator.requests[-1].json()["messages"][1]["reasoning_content"] == first.reasoning


@pytest.mark.parametrize("model", [KIMI, OSS])
def test_structured_output(emulated, model):
    client, emulator = emulated()
    assert client.chat("where?", model=model, output=Place).parsed() == Place("text", 1)
    assert emulator.requests[0].json()["stream"] is True  # FW-P4: the limit that was added is a high one
    _, blank = post({"response_format": {"type": "json_object"}, "max_tokens": 9})  # FW-J2, FW-I4: without our words
    assert (blank["choices"][0]["message"]["content"].strip(), blank["choices"][0]["finish_reason"]) == ("", "length")


def test_cut_json_is_an_error(emulated):
    """FW-J3"""
    client, _ = emulated()
    reply = client.chat("where?", model=KIMI, output=Place, max_tokens=13)
    assert reply.finish_reason == "length"
    with pytest.raises(MalformedReplyError):
        reply.parsed()


def test_the_window(emulated):
    """FW-P2, FW-X11: raw, a limit that does not fit is lowered; ours is an error, which a fallback can act upon."""
    client, _ = emulated(context_tokens=100)
    assert post({"max_tokens": 900, "stream": False}, context_tokens=100)[0] == 200
    for options in ({"max_tokens": 900}, {"max_tokens": 9}):
        message = "long " * (10 if options["max_tokens"] == 900 else 100)
        with pytest.raises(ContextLengthError):
            client.chat(message, model=KIMI, **options)


def test_headers_and_models(emulated):
    """FW-E3, FW-H1, FW-H4"""
    client, _ = emulated()
    reply = client.chat("hello", model=KIMI)
    assert reply.request_id
    assert (reply.rate_limits.requests_remaining, reply.rate_limits.tokens_remaining) == (599, 59_000)
    models = {model.id: model for model in client.models("fireworks")}
    assert models["accounts/fireworks/models/kimi-k2p6"].context_tokens == 131_072


def test_a_rate_limit_without_a_hint():
    """FW-H1: no header tells when a limit is full again, so the wait is our own."""
    clock = VirtualClock()
    emulator = Emulator("fireworks", faults=[faults.status(429), None], clock=clock)
    with Client(config=emulator.config(), transport=emulator, clock=clock.clock) as client:
        assert client.chat("say: a", model=KIMI).text == "a"
    assert clock.waits == [pytest.approx(0.25)]  # half of the first, as the clock's chance has it


def test_an_answer_that_is_cut_does_not_go_on():
    """FW-C1: no way to ask for it is documented, so nothing is sent, and the caller gets what has come."""
    emulator = Emulator("fireworks", faults=[faults.cut(after_events=4), None], clock=VirtualClock())
    config = {**emulator.config(), "retry": {"continue_after_cut": True}}
    with Client(config=config, transport=emulator) as client, pytest.raises(StreamInterruptedError) as caught:
        list(client.stream("say: one two three four", model=KIMI, reasoning="none"))
    assert caught.value.partial.text == "one two three"
    assert [message.text for message in caught.value.messages[:2]] == ["say: one two three four", "one two three"]
    assert len(emulator.requests) == 1


@pytest.mark.parametrize(
    ("status", "error", "retryable"),
    [
        (400, BadRequestError, False),
        (401, AuthenticationError, False),
        (402, QuotaExceededError, False),
        (403, PermissionDeniedError, False),
        (404, ModelNotFoundError, False),
        (405, BadRequestError, False),
        (408, ServerError, True),
        (412, QuotaExceededError, False),
        (425, OverloadedError, True),
        (429, RateLimitError, True),
        (500, ServerError, True),
        (503, OverloadedError, True),
        (504, ServerError, True),
    ],
)
def test_errors_on_command(emulated, status, error, retryable):
    """FW-X1"""
    client, emulator = emulated(error_form=("object", "text", "detail")[status % 3])
    with pytest.raises(error) as caught:
        client.chat(f"error: {status}", model=KIMI)
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.retryable, len(emulator.requests)) == (status, retryable, 1)


def test_finish_reasons():
    """FW-S5, FW-S7: both forms of log probabilities are handed on."""
    for word, reason in (("stop", "stop"), ("length", "length"), ("function_call", "tool_calls")):
        choice = {"index": 0, "message": {"content": "a"}, "finish_reason": word, "logprobs": {"tokens": ["a"]}}
        reply = replay("fireworks", body=json.dumps({"choices": [choice]}), stream=False)
        assert reply.finish_reason == reason
    choice["finish_reason"] = "error"
    with pytest.raises(ServerError):
        replay("fireworks", body=json.dumps({"choices": [choice]}), stream=False)
