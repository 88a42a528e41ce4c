"""Our client against the vendor's twin, in process: what is refused raw goes through smoothed."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from chatport import (
    AsyncClient,
    AuthenticationError,
    Client,
    ImagePart,
    Message,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    TextDelta,
    Tool,
    ToolCallDelta,
    UnsupportedFeatureError,
)
from chatport.testing import EmulatedRequest, Emulator, VirtualClock, faults
from chatport_cerebras.emulator import CerebrasEmulator

OSS, QWEN = "cerebras:gpt-oss-120b", "cerebras:qwen-3.8-27b"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = Tool("get_weather", "Tell the weather.", SCHEMA)
THINKING = "think: one two\nsay: three four"


@dataclass
class Place:
    city: str
    size: int | None


def ask(client, text, *, stream=False, **options):
    options = {"model": OSS, **options}
    return list(client.stream(text, **options))[-1].reply if stream else client.chat(text, **options)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [OSS, QWEN])
def test_thoughts_have_a_field_of_their_own(emulated, model, stream):
    """CB-S1, CB-S2, CB-S4, CB-R2, CB-R3, CB-U1, CB-H1"""
    client, emulator = emulated()
    reply = ask(client, THINKING, model=model, stream=stream)
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("three four", "one two", "stop")
    assert (reply.usage.reasoning_tokens, reply.usage.output_tokens, reply.usage.cached_input_tokens) == (2, 4, 0)
    assert reply.cost is not None
    assert (reply.rate_limits.requests_limit, reply.rate_limits.tokens_remaining) == (1000, 999_992)
    ask(client, ["a", reply, "say: b"], model=model, stream=stream)
    assert emulator.requests[-1].json()["messages"][1]["reasoning"] == "one two"


@pytest.mark.parametrize("stream", [False, True])
def test_other_forms_of_thoughts(emulated, stream):
    """CB-R1, CB-R4: hidden ones are paid for, raw ones are in the text."""
    client, _ = emulated()
    hidden = ask(client, THINKING, stream=stream, extra={"reasoning_format": "hidden"})
    assert (hidden.text, hidden.reasoning, hidden.usage.reasoning_tokens) == ("three four", None, 2)
    raw = ask(client, THINKING, stream=stream, extra={"reasoning_format": "raw"})
    assert raw.text.endswith("three four")
    assert ask(client, THINKING, model=QWEN, reasoning="none", stream=stream).reasoning is None


@pytest.mark.parametrize("stream", [False, True])
def test_a_budget_may_be_spent_on_thoughts(emulated, stream):
    """CB-R6"""
    reply = ask(emulated()[0], THINKING, max_tokens=2, stream=stream)
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("", "one two", "length")


def test_what_a_cached_token_costs_is_not_known(emulated):
    """CB-U3"""
    reply = ask(emulated(cached_tokens=128)[0], "hello")
    assert (reply.usage.cached_input_tokens, reply.cost) == (128, None)


@pytest.mark.parametrize("stream", [False, True])
def test_tools_and_parallel_tools(emulated, stream):
    """CB-S5, CB-T1, CB-T2, CB-T4, CB-P5"""
    client, emulator = emulated()
    text = 'call: get_weather {"city": "Oslo"}\ncall: get_weather {"city": "Rome"}'
    strict = Tool("look", "Look.", {"type": "object", "properties": {"n": {"type": ["integer", "null"]}}}, strict=True)
    reply = ask(client, text, tools=[WEATHER, strict], stream=stream, extra={"parallel_tool_calls": True})
    assert [call.parsed() for call in reply.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert reply.finish_reason == "tool_calls"
    history = [text, reply, *(Message.tool(call, "sun") for call in reply.tool_calls)]
    assert ask(client, history, tools=[WEATHER], stream=stream).text == "The tool says: sun"
    assert "null" not in json.dumps(emulator.requests[-1].json()["messages"])


def test_calls_arrive_whole(emulated):
    """CB-S5: all of them in one chunk."""
    seen = list(emulated()[0].stream('call: get_weather {"city": "Oslo"}', model=OSS, tools=[WEATHER]))
    assert [event.arguments for event in seen if isinstance(event, ToolCallDelta)] == ['{"city": "Oslo"}']


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output(emulated, stream):
    """CB-J1, CB-J2, CB-J3, CB-T6"""
    client, emulator = emulated()
    assert ask(client, "hello", output=Place, stream=stream).parsed().city == "text"
    assert emulator.requests[-1].json()["response_format"]["json_schema"]["strict"] is True
    said = 'say: {"city": "Rome", "size": 2}'
    assert ask(client, said, output=Place, tools=[WEATHER], stream=stream).parsed() == Place("Rome", 2)
    assert "response_format" not in emulator.requests[-1].json()


@pytest.mark.parametrize("stream", [False, True])
def test_pictures(emulated, stream):
    """CB-M1, CB-M3"""
    client, _ = emulated()
    seen = ask(client, [Message.user("say: a", ImagePart("data:image/png;base64,AAAA"))], model=QWEN, stream=stream)
    assert (seen.text, seen.usage.raw["image_tokens"]) == ("a", 0)


def test_a_stream_may_have_no_mark_at_its_end(emulated):
    """CB-S3"""
    assert ask(emulated(without_done=True)[0], "say: a b", stream=True).text == "a b"


def test_an_error_may_end_a_stream(emulated):
    """CB-S7"""
    with pytest.raises(OverloadedError):
        ask(emulated(fails_in_stream=True)[0], "say: a b", stream=True)


def test_models_are_those_of_the_catalogue(emulated):
    """CB-E2, CB-E3, CB-L3, CB-2: what there is today, with limits and prices; no key is needed for it."""
    client, emulator = emulated()
    models = client.models("cerebras")
    assert emulator.requests[-1].path == "/public/v1/models"
    assert [(model.id, model.context_tokens) for model in models] == [
        ("gpt-oss-120b", 131_072),
        ("qwen-3.8-27b", 131_072),
    ]
    assert models[0].raw["pricing"]["prompt"] == "0.00000035"
    request = EmulatedRequest("GET", "/public/v1/models", {}, b"")
    assert CerebrasEmulator().respond(request).status == 200


def test_an_allowance_is_waited_for(emulated):
    """CB-X9, CB-X10, CB-I5"""
    for busy, least, most in ((False, 60, 60), (True, 0, 2)):
        clock = VirtualClock()
        emulator = Emulator("cerebras", faults=[faults.status(429), None], clock=clock, busy=busy)
        with Client(config=emulator.config(), transport=emulator, clock=clock.clock) as client:
            assert ask(client, "say: a").text == "a"
        assert least <= clock.waits[0] <= most


def post(body, **settings):
    body = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "hello"}], **body}
    request = EmulatedRequest("POST", "/v1/chat/completions", {"authorization": "Bearer k"}, json.dumps(body).encode())
    answer = CerebrasEmulator(**settings).respond(request)
    return answer.status, json.loads(answer.body)


USER = {"role": "user", "content": "hello"}
CALL = {"id": "be09f9de4", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def tool(schema=SCHEMA, **more):
    return {"type": "function", "function": {"name": "f", "parameters": schema, **more}}


def form(schema):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}}


def seeing(url):
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


RAW = [
    ("CB-P1", 400, {"metadata": {}}),
    ("CB-P1", 400, {"tools": [{**tool(), "own": 1}]}),
    ("CB-P2", 400, {"top_logprobs": 21}),
    ("CB-P2", 400, {"stop": list("abcde")}),
    ("CB-P3", 400, {"temperature": 1.6}),
    ("CB-P4", 400, {"max_tokens": 1, "max_completion_tokens": 1}),
    ("CB-P6", 400, {"model": "qwen-3.8-27b", "prediction": {"type": "content", "content": "x"}}),
    ("CB-P6", 400, {"prediction": {"type": "content", "content": "x"}, "logprobs": True}),
    ("CB-P7", 400, {"service_tier": "scale"}),
    ("CB-R1", 400, {"reasoning_effort": "none"}),
    ("CB-R3", 400, {"messages": [USER, {"role": "assistant", "content": "a", "reasoning_content": "b"}, USER]}),
    ("CB-R4", 400, {"reasoning_format": "other"}),
    ("CB-R5", 400, {"disable_reasoning": True}),
    ("CB-T2", 400, {"tools": [tool(strict=True), tool(strict=False)]}),
    ("CB-T5", 400, {"messages": [USER, {"role": "assistant", "content": "a", "tool_calls": None}, USER]}),
    ("CB-T5", 400, {"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, USER]}),
    ("CB-T6", 400, {"tools": [tool()], "response_format": {"type": "text"}}),
    ("CB-W1", 400, {"tools": [{"type": "web_search"}]}),
    ("CB-J2", 400, form({"type": "object", "properties": {}})),
    ("CB-J3", 400, form({**SCHEMA, "definitions": {}})),
    ("CB-J3", 400, form({**SCHEMA, "properties": {"city": {"type": ["string", "null"]}}})),
    ("CB-J3", 400, form({**SCHEMA, "properties": {"city": {"type": "integer", "minimum": 1}}})),
    ("CB-J3", 400, form({**SCHEMA, "properties": {"city": {"type": "array"}}})),
    ("CB-J3", 400, {"tools": [tool({**SCHEMA, "properties": {"city": {"type": "array"}}}, strict=True)]}),
    ("CB-J4", 400, form({"type": "array", "items": {"type": "string"}})),
    ("CB-M1", 400, {"model": "qwen-3.8-27b", "messages": seeing("https://a.example/x.png")}),
    ("CB-M2", 403, {"messages": seeing("data:image/png;base64,AAAA")}),
    ("CB-M4", 400, {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
    ("CB-X6", 404, {"model": "llama-3.3-70b"}),
    ("CB-X6", 404, {"model": "no-such-model"}),
]


@pytest.mark.parametrize(("fact", "status", "body"), RAW, ids=[f"{fact}-{'-'.join(body)}" for fact, _, body in RAW])
def test_emulator_refuses(fact, status, body):
    """CB-0, CB-1, CB-X1, CB-X20: flat, with a code, or in one of three other forms."""
    found, data = post(body)
    assert found == status
    assert data["message"]
    assert data["code"]
    assert post(body, error_form="nested")[1] == {"error": data}
    assert post(body, error_form="status")[1] == {"status_code": status, "error": data}
    assert post(body, error_form="detail")[1] == {"detail": data["message"]}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AuthenticationError),
        (402, QuotaExceededError),
        (403, PermissionDeniedError),
        (429, RateLimitError),
        (503, OverloadedError),
    ],
)
def test_errors_by_command(emulated, status, error):
    """CB-X3, CB-X4, CB-X5, CB-X10, CB-X11"""
    with pytest.raises(error):
        ask(emulated()[0], f"error: {status}")


def test_there_is_nothing_but_chat(emulated):
    """CB-E1"""
    with pytest.raises(UnsupportedFeatureError):
        emulated()[0].embed(["a"], model=OSS)


@pytest.mark.anyio
async def test_the_asynchronous_client_gets_the_same(anyio_backend):
    """CB-S4"""
    emulator = Emulator("cerebras")
    async with AsyncClient(config=emulator.config(), transport=emulator.asynchronous()) as client:
        async with client.stream("think: hm\nsay: a b", model=OSS) as stream:
            text = "".join([event.text async for event in stream if isinstance(event, TextDelta)])
        assert (text, stream.reply.reasoning) == ("a b", "hm")
