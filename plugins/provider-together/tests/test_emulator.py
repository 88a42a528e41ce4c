"""The emulator refuses the raw wrong request, and our client never sends it; and what it says, it says in all forms."""

from __future__ import annotations

import json

import attrs
import pytest

from chatport import (
    BadRequestError,
    Client,
    ContextLengthError,
    MalformedReplyError,
    Message,
    ModelNotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    TextDelta,
    Tool,
)
from chatport.testing import EmulatedRequest, Emulator, VirtualClock, decode_events, faults, replay
from chatport_together.emulator import TogetherEmulator

OSS, DEEPSEEK = "together:openai/gpt-oss-120b", "together:deepseek-ai/DeepSeek-V4-Pro"
LLAMA = "together:meta-llama/Llama-3.3-70B-Instruct-Turbo"
USER = {"role": "user", "content": "hello"}


@attrs.frozen
class Place:
    city: str
    people: int


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}."


def raw(**fields):
    return {"model": "openai/gpt-oss-120b", "messages": [USER], **fields}


def post(body, key="Bearer k", path="/v1/chat/completions", **settings):
    request = EmulatedRequest("POST", path, {"authorization": key}, json.dumps(body).encode())
    response = TogetherEmulator(**settings).respond(request)
    return response.status, json.loads(response.body)


def ask(client, messages, *, stream=False, model=OSS, **options):
    if stream:
        return list(client.stream(messages, model=model, **options))[-1].reply
    return client.chat(messages, model=model, **options)


@pytest.mark.parametrize(
    ("body", "settings", "status", "words"),
    [
        (raw(stop="x"), {}, 422, "`stop` must be an array"),  # TG-P2
        (raw(logprobs=True), {}, 422, "`logprobs` must be an integer"),
        (raw(logprobs=21), {}, 422, "`logprobs`"),
        (raw(temperature=3), {}, 422, "`temperature`"),  # TG-P3
        (raw(n=129), {}, 422, "`n`"),
        (raw(reasoning_effort="none"), {}, 422, "`reasoning_effort`"),  # TG-P6
        (raw(response_format={"type": "text"}), {"refuses_text_format": True}, 400, "`response_format.type`"),  # TG-P9
        (raw(response_format={"type": "grammar"}), {}, 400, "`response_format.type`"),  # TG-J2
        (raw(model="bad model"), {}, 404, "Unable to access model bad model"),
        (raw(model="x/Dedicated"), {"listed_only": ("x/Dedicated",)}, 400, "non-serverless"),  # TG-E5, TG-X13
        (raw(max_tokens=131_073), {}, 403, "context length"),  # TG-X15
        (raw(max_tokens=131_073), {"overflow_status": 422}, 422, "`inputs` tokens + `max_new_tokens`"),  # TG-X18
        (raw(max_tokens=131_073), {"overflow_status": 400}, 400, "maximum context length"),  # TG-X11
        (raw(messages=[USER, {"role": "tool", "tool_call_id": "a", "content": ""}]), {}, 400, "tool"),
        (raw(messages=[{"role": "user", "content": "error: 402"}]), {}, 402, "Credit limit"),  # TG-X14
        (raw(), {"api_key": "other"}, 401, "Invalid API key"),
    ],
)
def test_emulator_refuses(body, settings, status, words):
    got, data = post(body, **settings)
    assert (got, data["error"]["param"], bool(data["id"])) == (status, None, True)
    assert words in data["error"]["message"]


def test_emulator_takes_what_the_vendor_takes():
    """TG-P3: the newer name limits nothing; TG-E2: there is no responses API."""
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}
    for more in (
        {"max_completion_tokens": 1, "service_tier": "x", "top_logprobs": 2},
        {"max_tokens": 131_073, "context_length_exceeded_behavior": "truncate"},
        {"response_format": {"type": "regex", "pattern": "a"}},
        {"messages": [image]},
    ):
        status, data = post(raw(**more))
        assert (status, data["choices"][0]["finish_reason"]) == (200, "stop")
    assert post(raw(), path="/v1/responses")[0] == 404


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("messages", "options"),
    [
        ("hello", {"stop": "x", "extra": {"logprobs": True, "top_logprobs": 30}}),
        ("hello", {"extra": {"stop": "x", "response_format": {"type": "text"}}}),
        ("hello", {"reasoning": "none"}),
        ("hello", {"reasoning": "max", "model": LLAMA}),
        ([Message.developer("Be brief."), "hello"], {"extra": {"max_completion_tokens": 50}}),
        ("hello", {"tools": [get_weather], "tool_choice": "required", "output": Place}),
    ],
)
def test_client_smooths(emulated, messages, options, stream):
    client, emulator = emulated(refuses_text_format=True)
    assert ask(client, messages, stream=stream, **options).finish_reason in ("stop", "tool_calls")
    assert len(emulator.requests) == 1


SETTINGS = [
    {},
    {"older": True},
    {"stop_word": "eos"},
    {"repeat_finish": True},
    {"usage_unasked": False},
    {"older": True, "usage_unasked": False},
    {"cached_tokens": 4},
    {"cached_tokens": 4, "older": True},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(
    ("text", "options", "finish"),
    [
        ("say: one two three", {}, "stop"),
        ("think: because\nsay: one two three", {"reasoning": "low"}, "stop"),
        ("say: one two three", {"max_tokens": 2, "model": LLAMA}, "length"),
        ('call: a {}\ncall: b {"x": [1, 2]}', {"tools": [Tool("a"), Tool("b")]}, "tool_calls"),
        ("refuse: I will not.", {"model": DEEPSEEK, "reasoning": "none"}, "stop"),
    ],
)
def test_shapes_of_streams(emulated, settings, text, options, finish):
    """TG-S1 to TG-S5: the text once, reasoning apart, one finish, and usage in every form (TG-R2, TG-I2)."""
    client, _ = emulated(**settings)

    def shown(reply):
        calls = [(call.name, call.arguments) for call in reply.tool_calls]
        usage = reply.usage.output_tokens, reply.usage.cached_input_tokens
        return reply.text, reply.reasoning, calls, reply.finish_reason, reply.raw_finish_reason, usage

    plain, streamed = (ask(client, text, stream=stream, **options) for stream in (False, True))
    assert shown(plain) == shown(streamed)
    assert (plain.finish_reason, plain.usage.cached_input_tokens or 0) == (finish, settings.get("cached_tokens", 0))
    if finish == "stop":
        assert plain.raw_finish_reason == settings.get("stop_word", "stop")


@pytest.mark.parametrize(("model", "always"), [(OSS, True), ("together:MiniMaxAI/MiniMax-M2.5", True), (LLAMA, False)])
def test_families_without_a_switch(emulated, model, always):
    client, _ = emulated()
    for effort in (None, "none", "high"):
        assert bool(ask(client, "hello", model=model, reasoning=effort).reasoning) is always
    assert bool(ask(client, "hello", model=DEEPSEEK, reasoning="high").reasoning)


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_calls(emulated, stream):
    """TG-T6; and TG-R1: the reasoning goes back with the results."""
    client, emulator = emulated()
    options = {"model": DEEPSEEK, "tools": [get_weather, Tool("b.c")]}
    first = ask(client, 'call: get_weather {"city": "Oslo"}\ncall: b_c {}', stream=stream, **options)
    assert (first.tool_calls[0].name, first.tool_calls[0].arguments) == ("get_weather", '{"city": "Oslo"}')
    assert len({call.id for call in first.tool_calls}) == 2
    results = [Message.tool(call, "Sunny.") for call in first.tool_calls]
    assert "Sunny." in ask(client, ["weather?", first, *results], stream=stream, **options).text
    sent = emulator.requests[-1].json()["messages"][1]
    assert (sent["reasoning"], len(sent["tool_calls"])) == (first.reasoning, 2)


@pytest.mark.parametrize("stream", [False, True])
def test_structure_with_and_without_tools(emulated, stream):
    """TG-T5: beside tools it is only asked for, and comes all the same."""
    client, _ = emulated()
    assert ask(client, "where?", stream=stream, output=Place).parsed() == Place("text", 1)
    options = {"output": Place, "tools": [get_weather], "stream": stream}
    first = ask(client, "where?", **options)
    results = [Message.tool(first.tool_calls[0], "Sunny.")]
    again = ask(client, ["where?", first, *results], **options)
    assert (again.parsed(), [note.fact for note in again.warnings]) == (Place("text", 1), ["TG-T5"])


def test_cut_structure_is_an_error(emulated):
    """TG-J4"""
    client, _ = emulated()
    reply = ask(client, "where?", model=LLAMA, output=Place, max_tokens=2)
    assert reply.finish_reason == "length"
    with pytest.raises(MalformedReplyError):
        reply.parsed()


def test_logprobs(emulated):
    """TG-S9: each shape is passed on."""
    for spec, keys in ((False, {"content"}), (True, {"tokens", "token_logprobs", "token_ids", "top_logprobs"})):
        client, _ = emulated(spec_logprobs=spec)
        options = {"model": LLAMA, "extra": {"logprobs": True}}
        assert set(ask(client, "say: a b", **options).logprobs) == keys
        streamed = ask(client, "say: a b", stream=True, **options).logprobs
        assert streamed == -0.5 if spec else streamed["tokens"] == ["a", " b"]


def test_answers_to_streams(emulated):
    """TG-S6, TG-S7: errors inside a stream, plain JSON where a stream is due, warnings on the way."""
    client, _ = emulated(fails_after=3)
    with pytest.raises(ServerError, match="while streaming") as caught:
        list(client.stream("say: one two three four", model=LLAMA))
    assert (caught.value.retryable, caught.value.partial.text) == (True, "one two")
    data = {"error": {"message": "x", "type": "dynamic_token_limited"}}
    with pytest.raises(RateLimitError):
        replay("together", headers={"content-type": "application/json"}, body=json.dumps(data), stream=True)
    chunk = {"choices": [{"index": 0, "text": "a", "delta": {"content": "a"}, "finish_reason": ""}]}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]}
    text = f"data: {json.dumps({**chunk, 'warnings': [{'message': 'w'}]})}\n\ndata: {json.dumps(last)}\n\n"
    with pytest.raises(ServerError) as caught:
        replay("together", headers={"content-type": "text/event-stream"}, body=text, stream=True)
    assert (caught.value.partial.text, caught.value.partial.raw_finish_reason) == ("a", "error")
    text = f"data: {json.dumps(chunk)}\n\ndata: {json.dumps(last).replace('error', 'eos')}\n\ndata: [DONE]\n\n"
    events = decode_events("together", headers={"content-type": "text/event-stream"}, body=text)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "a"
    assert events[-1].reply.finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_told(emulated, stream):
    client, _ = emulated(context_tokens=100)
    with pytest.raises(ContextLengthError):
        ask(client, "a long text " * 100, stream=stream)
    with pytest.raises(ModelNotFoundError, match="dedicated"):
        ask(client, "hi", stream=stream, model="together:meta-llama/Llama-4-Dedicated")
    with pytest.raises(RateLimitError) as caught:
        ask(client, "error: 429", stream=stream)
    assert caught.value.retry_after_seconds == 2
    with pytest.raises(BadRequestError):
        ask(client, "error: 422", stream=stream)
    with pytest.raises(PermissionDeniedError):
        ask(client, "error: 403", stream=stream)
    with pytest.raises(ServerError):
        ask(client, "error: 502", stream=stream)


def test_a_refusal_waits_for_the_reset():
    """TG-H1, TG-F1: the vendor sends no retry-after."""
    clock = VirtualClock()
    used_up = {"x-ratelimit-limit": "1", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "7"}
    emulator = Emulator("together", faults=[faults.rate_limited(), None], clock=clock, limits=used_up)
    with Client(config=emulator.config(), transport=emulator, clock=clock.clock) as client:
        reply = client.chat("say: at last", model=LLAMA)
    assert [(attempt.status, attempt.wait_seconds) for attempt in reply.attempts] == [(429, 7), (200, 0)]


def test_limits_by_the_second_are_not_paced_by_the_minute():
    """TG-H1: the headers of the recordings."""
    clock = VirtualClock()
    recorded = {"x-ratelimit-limit": "1", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "2"}
    emulator = Emulator("together", clock=clock, limits=recorded)
    with Client(config=emulator.config(pacing={}), transport=emulator, clock=clock.clock) as client:
        started = clock.clock.monotonic()
        for _ in range(5):
            client.chat("hello", model=LLAMA)
    assert clock.clock.monotonic() - started < 5


def test_a_cut_answer_is_not_continued(emulated):
    """Nothing documents how: the text so far comes with the error."""
    client, emulator = emulated(faults=[faults.cut(after_events=3), None], retry={"continue_after_cut": True})
    with pytest.raises(StreamInterruptedError) as caught:
        list(client.stream("say: one two three", model=LLAMA))
    assert (caught.value.partial.text, len(emulator.requests)) == ("one two", 1)


def test_models_are_listed(emulated):
    """TG-E3, TG-E4, TG-E5"""
    client, _ = emulated()
    first, *_, last = client.models("together")
    assert (first.id, first.owned_by, first.context_tokens) == ("openai/gpt-oss-120b", "openai", 131_072)
    assert first.raw["pricing"]["input"] == 0.15
    with pytest.raises(ModelNotFoundError):
        client.chat("hi", model=f"together:{last.id}")
