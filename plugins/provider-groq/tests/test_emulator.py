"""Our client against the vendor's twin, in process: what is refused raw goes through smoothed."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from chatport import (
    AsyncClient,
    AuthenticationError,
    Client,
    ContextLengthError,
    MalformedReplyError,
    ModelNotFoundError,
    OverloadedError,
    RateLimitError,
    ReasoningDelta,
    StreamInterruptedError,
    TextDelta,
    Tool,
    ToolCallDelta,
)
from chatport.testing import EmulatedRequest, Emulator, VirtualClock, faults
from chatport_groq.emulator import GroqEmulator

OSS, QWEN, OLD_QWEN = "groq:openai/gpt-oss-20b", "groq:qwen/qwen3.8-27b", "groq:qwen/qwen3-32b"
COMPOUND, ALLAM = "groq:groq/compound", "groq:allam-2-7b"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = Tool("get_weather", "Tell the weather.", SCHEMA)


@dataclass
class Place:
    city: str
    size: int


def ask(client, text, *, stream=False, **options):
    options = {"model": OSS, **options}
    return list(client.stream(text, **options))[-1].reply if stream else client.chat(text, **options)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [OSS, QWEN, OLD_QWEN])
def test_reasoning_is_never_in_the_text(emulated, model, stream):
    """GQ-S1, GQ-S2, GQ-R1, GQ-R3, GQ-U1"""
    client, _ = emulated(cached_tokens=4)
    reply = ask(client, "think: one two\nsay: three four", model=model, stream=stream)
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("three four", "one two", "stop")
    assert (reply.usage.reasoning_tokens, reply.usage.output_tokens, reply.usage.cached_input_tokens) == (2, 4, 4)
    assert reply.usage.input_tokens > 0
    assert reply.warnings == ()
    assert (reply.cost is None) is (model == OLD_QWEN)  # unknown where a cached token has no known price
    assert reply.request_id.startswith("req_")


def test_hidden_raw_and_absent_reasoning(emulated):
    """GQ-P6, GQ-P7, GQ-R1, GQ-R3"""
    client, _ = emulated()
    hidden = ask(client, "think: a b\nsay: c", model=QWEN, extra={"reasoning_format": "hidden"})
    assert (hidden.text, hidden.reasoning, hidden.usage.reasoning_tokens) == ("c", None, 2)
    raw = ask(client, "think: a b\nsay: c", model=QWEN, extra={"reasoning_format": "raw"}, stream=True)
    assert (raw.text, raw.reasoning) == ("<think>\na b\n</think>\nc", None)
    assert ask(client, "think: a b\nsay: c", model=QWEN, reasoning="none").usage.reasoning_tokens is None


@pytest.mark.parametrize("form", ["both", "x_groq"])
def test_usage_is_read_from_either_place_once(emulated, form):
    """GQ-S4, GQ-S5, GQ-S6"""
    client, _ = emulated(usage_form=form)
    streamed, plain = ask(client, "say: a b c", stream=True), ask(client, "say: a b c")
    assert streamed.usage.output_tokens == plain.usage.output_tokens
    assert streamed.cost is not None


def test_rate_limits_are_read(emulated):
    """GQ-H1, GQ-H3, GQ-H5: tokens by the minute; requests are by the day, and so is a limit that is left out."""
    limits = ask(emulated()[0], "hello").rate_limits
    assert (limits.requests_limit, limits.tokens_limit, limits.requests_remaining) == (None, 250_000, 14370)
    assert (limits.requests_reset_seconds, limits.tokens_reset_seconds) == (pytest.approx(179.56), 0.0125)


@pytest.mark.parametrize("stream", [False, True])
def test_tools_and_parallel_tools(emulated, stream):
    """GQ-T1, GQ-T6, GQ-S3"""
    client, emulator = emulated()
    text = 'call: get_weather {"city": "Oslo"}\ncall: get_weather {"city": "Rome"}'
    reply = ask(client, text, model=QWEN, tools=[WEATHER], stream=stream)
    assert [call.parsed() for call in reply.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert len({call.id for call in reply.tool_calls}) == 2
    results = [{"role": "tool", "tool_call_id": call.id, "content": "sun"} for call in reply.tool_calls]
    history = [{"role": "user", "content": text}, reply.message, *results]
    assert ask(client, history, model=QWEN, tools=[WEATHER], stream=stream).text == "The tool says: sun"
    assert "null" not in json.dumps(emulator.requests[-1].json()["messages"])


def test_a_call_arrives_whole(emulated):
    """GQ-S3"""
    client, _ = emulated()
    seen = list(client.stream('think: hm\ncall: get_weather {"city": "Oslo"}', model=OSS, tools=[WEATHER]))
    assert [event.arguments for event in seen if isinstance(event, ToolCallDelta)] == ['{"city": "Oslo"}']
    assert any(isinstance(event, ReasoningDelta) for event in seen)


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_the_server_refuses_is_recovered(emulated, stream):
    """GQ-T2, GQ-T3, GQ-T5"""
    client, _ = emulated()
    good, bad = 'call: get_weather {"city": "Oslo"}', 'call: get_weather {"town": 1}'
    reply = ask(client, bad, tools=[WEATHER], stream=stream)
    assert [(call.name, call.parsed()) for call in reply.tool_calls] == [("get_weather", {"town": 1})]
    assert reply.raw_finish_reason == "tool_use_failed"
    both = ask(client, f"{good}\n{bad}", tools=[WEATHER], stream=True)
    assert [call.parsed() for call in both.tool_calls] == [{"city": "Oslo"}, {"town": 1}]
    unchecked = ask(client, bad, tools=[WEATHER], stream=stream, extra={"disable_tool_validation": True})
    assert unchecked.raw_finish_reason == "tool_calls"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", ["refuse: no", "call: get_weather {broken"])
def test_what_cannot_be_recovered_is_tried_again(emulated, text, stream):
    """GQ-T4, GQ-X11, GQ-I4"""
    client, emulator = emulated(retry={"attempts": 2, "first_seconds": 0, "longest_seconds": 0})
    with pytest.raises(MalformedReplyError):
        client.chat(text, model=OSS, tools=[WEATHER], tool_choice="required")
    assert len(emulator.requests) == 2
    with pytest.raises(MalformedReplyError):
        ask(client, text, tools=[WEATHER], tool_choice="required", stream=stream)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [OSS, "groq:openai/gpt-oss-safeguard-20b", OLD_QWEN, ALLAM, COMPOUND])
def test_structured_output(emulated, model, stream):
    """GQ-J1, GQ-J2, GQ-J3, GQ-J4: a schema is never streamed, and the caller of a stream gets it all the same."""
    client, emulator = emulated()
    text = "hello" if model in (OSS, OLD_QWEN) else 'say: {"city": "text", "size": 1}'
    reply = ask(client, text, model=model, output=Place, stream=stream)
    assert (reply.parsed(), reply.finish_reason, reply.tool_calls) == (Place("text", 1), "stop", ())
    sent = emulator.requests[-1].json()
    has_schema = sent.get("response_format", {}).get("type") == "json_schema"
    assert has_schema is ("gpt-oss" in model)
    assert bool(sent.get("stream")) is (stream and not has_schema)
    lost = {warning.field for warning in reply.warnings}
    assert ("stream" in lost) is (stream and has_schema)


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output_beside_tools(emulated, stream):
    """GQ-J4, GQ-I3"""
    client, _ = emulated()
    reply = ask(client, 'say: {"city": "Rome", "size": 2}', output=Place, tools=[WEATHER], stream=stream)
    assert reply.parsed() == Place("Rome", 2)
    assert ask(client, 'call: get_weather {"city": "x"}', output=Place, tools=[WEATHER], stream=stream).tool_calls


def test_output_that_is_no_json_is_tried_again(emulated):
    """GQ-J1, GQ-X12, GQ-I2"""
    client, emulator = emulated(retry={"attempts": 2, "first_seconds": 0, "longest_seconds": 0})
    with pytest.raises(MalformedReplyError):
        client.chat("say: sorry", model=OSS, output=Place)
    assert len(emulator.requests) == 2


def cut_stream(text, model, events, **options):
    """Stream an answer that is cut after so many events; give its text, what it ended with, and what was sent."""
    emulator = Emulator("groq", faults=[faults.cut(after_events=events), None], clock=VirtualClock())
    config = {**emulator.config(), "retry": {"continue_after_cut": True}}
    pieces, end = [], None
    with Client(config=config, transport=emulator) as client:
        try:
            for event in client.stream(text, model=model, **options):
                pieces += [event.text] if isinstance(event, TextDelta) else []
                end = event
        except StreamInterruptedError as error:
            end = error
    return "".join(pieces), end, [request.json() for request in emulator.requests]


@pytest.mark.parametrize(("model", "first"), [(ALLAM, 0), (OLD_QWEN, 3)])
def test_an_answer_goes_on_after_a_cut(model, first):
    """GQ-C1: wherever its text was cut; with no new thoughts before the rest."""
    for events in range(first, first + 6):
        text, end, sent = cut_stream("think: hm\nsay: one  two, three four", model, events)
        assert text == end.reply.text == "one  two, three four"
        if len(sent) == 2 and sent[1]["messages"][-1]["role"] == "assistant":
            assert text.startswith(sent[1]["messages"][-1]["content"])
            assert sent[1].get("reasoning_effort") == (None if model == ALLAM else "none")
            assert ("GQ-C1" in str(end.reply.warnings)) is (model != ALLAM)
        else:
            assert events < 2 or events - first > 3  # before the text, or behind it


@pytest.mark.parametrize("model", [OSS, COMPOUND])
def test_an_answer_that_cannot_go_on_is_handed_over_as_it_is(model):
    """GQ-C1: gpt-oss thinks first, always; a compound system is no model."""
    _, end, sent = cut_stream("think: hm\nsay: one two three", model, 4)
    assert isinstance(end, StreamInterruptedError)
    assert "one two three".startswith(end.partial.text)
    assert end.partial.text
    assert len(sent) == 1


def test_structured_output_goes_on_as_plain_text():
    """GQ-C1, GQ-X12: the rest of a JSON value is no JSON."""
    said = '{"city": "Oslo", "size": 7}'
    text, end, sent = cut_stream(f"say: {said}", ALLAM, 3, output=Place)
    assert (text, end.reply.parsed()) == (said, Place("Oslo", 7))
    assert ["response_format" in body for body in sent] == [True, False]
    assert sent[1]["messages"][0] == sent[0]["messages"][0]  # the schema in words


def test_a_limit_that_is_used_up_is_waited_for(emulated):
    """GQ-X21, GQ-H2, GQ-H3: by the vendor's hint or its words, and without them until the limit is full again."""
    wordless = {"error": {"message": "Rate limit reached.", "type": "tokens", "code": "rate_limit_exceeded"}}
    used_up = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m", "retry-after": ""}
    refused = faults.status(429, headers=used_up, body=wordless)
    for fault, seconds in ((faults.status(429), 5), (faults.rate_limited(), 5), (refused, 60)):
        clock = VirtualClock()
        emulator = Emulator("groq", faults=[fault, None], clock=clock)
        with Client(config=emulator.config(), transport=emulator, clock=clock.clock) as client:
            assert ask(client, "say: a").text == "a"
        assert clock.waits == [pytest.approx(seconds, abs=1)]


def post(body, **settings):
    body = {"model": "openai/gpt-oss-20b", "messages": [{"role": "user", "content": "hello"}], **body}
    request = EmulatedRequest("POST", "/chat/completions", {"authorization": "Bearer k"}, json.dumps(body).encode())
    return GroqEmulator(**settings).respond(request)


TOOLS = [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]
STRICT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}
LOOSE = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}, "strict": True}}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RAW = [
    {"logprobs": True},
    {"top_logprobs": 2},
    {"logit_bias": {"1": 1}},
    {"n": 2},
    {"stop": list("abcde")},
    {"temperature": 3},
    {"messages": [{"role": "user", "name": "ann", "content": "hi"}]},
    {"messages": [{"role": "assistant", "content": "hi", "function_call": None}, {"role": "user", "content": "hi"}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}], "model": "qwen/qwen3.8-27b"},
    {"tools": TOOLS * 129},
    {"tools": [{"type": "visit_website"}]},
    {"tools": TOOLS, "model": "groq/compound"},
    {"reasoning_effort": "none"},
    {"reasoning_effort": "high", "model": "qwen/qwen3-32b"},
    {"reasoning_format": "parsed"},
    {"reasoning_format": "parsed", "include_reasoning": True, "model": "qwen/qwen3-32b"},
    {"reasoning_format": "raw", "tools": TOOLS, "model": "qwen/qwen3-32b"},
    {"response_format": {"type": "json_object"}},
    {"response_format": STRICT, "tools": TOOLS},
    {"response_format": STRICT, "stream": True},
    {"response_format": STRICT, "model": "qwen/qwen3-32b"},
    {"response_format": STRICT, "model": "openai/gpt-oss-safeguard-20b"},
    {"response_format": LOOSE},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
]


@pytest.mark.parametrize("body", RAW, ids=lambda body: "-".join(body))
def test_emulator_refuses(body):
    """GQ-P1, GQ-P2, GQ-P4 to GQ-P8, GQ-P11, GQ-J1 to GQ-J4, GQ-M1, GQ-M2, GQ-X1"""
    answer = post(body)
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("status", "error", "wait"),
    [
        (401, AuthenticationError, None),
        (429, RateLimitError, 5),
        (498, OverloadedError, None),
        (503, OverloadedError, None),
    ],
)
def test_errors_by_command(emulated, status, error, wait):
    """GQ-X16, GQ-X21, GQ-X22, GQ-X24, GQ-H2"""
    with pytest.raises(error) as caught:
        ask(emulated()[0], f"error: {status}")
    assert caught.value.retry_after_seconds == wait


def test_errors_of_the_account(emulated):
    """GQ-X14, GQ-X16, GQ-X18, GQ-X22, GQ-I1, GQ-P9, GQ-S8: a request over the minute's limit is sent once."""
    client, emulator = emulated(tokens_per_minute=50, flex_capacity=False, retry={"attempts": 3})
    with pytest.raises(ContextLengthError, match="Limit 50") as caught:
        ask(client, "word " * 100)
    assert len(emulator.requests) == 1
    assert "org_01emulated" not in str(caught.value)
    client, _ = emulated(flex_capacity=False, fails_in_stream="over capacity")
    with pytest.raises(OverloadedError):
        ask(client, "hello", extra={"service_tier": "flex"})
    with pytest.raises(OverloadedError, match="over capacity"):
        ask(client, "hello", stream=True)
    with pytest.raises(ModelNotFoundError, match="does not exist"):
        ask(client, "hello", model="groq:no/model")
    emulator = Emulator("groq", api_key="right")
    config = {"providers": {"groq": {"base_url": emulator.base_url, "api_key": "wrong"}}}
    with Client(config=config, transport=emulator) as client, pytest.raises(AuthenticationError):
        ask(client, "hello")


def test_models_are_listed(emulated):
    """GQ-E1, GQ-E3"""
    assert "openai/gpt-oss-20b" in [model.id for model in emulated()[0].models("groq")]


@pytest.mark.anyio
async def test_the_asynchronous_client_gets_the_same(anyio_backend):
    emulator = Emulator("groq")
    async with AsyncClient(config=emulator.config(), transport=emulator.asynchronous()) as client:
        async with client.stream("think: hm\nsay: a b", model=OSS) as stream:
            text = "".join([event.text async for event in stream if isinstance(event, TextDelta)])
        assert (text, stream.reply.reasoning) == ("a b", "hm")
