"""Our client against the vendor's twin, in process: what is refused raw goes through smoothed."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from chatport import (
    AsyncClient,
    AudioPart,
    AuthenticationError,
    Client,
    Message,
    ModelNotFoundError,
    OverloadedError,
    RateLimitError,
    StreamInterruptedError,
    TextDelta,
    Tool,
    ToolCallDelta,
)
from chatport.testing import EmulatedRequest, Emulator, VirtualClock, faults, replay
from chatport_mistral.emulator import MistralEmulator

SMALL, LARGE, THIRD = "mistral:mistral-small-latest", "mistral:mistral-large-latest", "mistral:zai-glm-5-2"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("get_weather", "Tell the weather.", SCHEMA)
THINKING = "think: one two\nsay: three four"


@dataclass
class Place:
    city: str
    size: int


def ask(client, text, *, stream=False, **options):
    options = {"model": SMALL, **options}
    return list(client.stream(text, **options))[-1].reply if stream else client.chat(text, **options)


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_are_no_text(emulated, stream):
    """MI-S1, MI-S2, MI-S5, MI-R1, MI-R3, MI-R5, MI-U1, MI-U3, MI-H1, MI-I1"""
    client, _ = emulated(cached_tokens=4)
    reply = ask(client, THINKING, stream=stream, reasoning="high")
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("three four", "one two", "stop")
    assert (reply.usage.reasoning_tokens, reply.usage.output_tokens, reply.usage.cached_input_tokens) == (None, 4, 4)
    assert reply.cost is not None
    assert reply.request_id.startswith("corr-")
    assert ask(client, THINKING, stream=stream).reasoning is None


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_thoughts_go_back_as_they_came(emulated, stream, signed):
    """MI-R4: a signature with the block it signs."""
    client, emulator = emulated(signs_thoughts=signed)
    first = ask(client, THINKING, stream=stream, reasoning="high")
    ask(client, ["a", first, "say: b"], reasoning="high")
    thought, text = emulator.requests[-1].json()["messages"][1]["content"]
    assert (thought["thinking"], text["text"]) == ([{"type": "text", "text": "one two"}], "three four")
    assert ("signature" in thought) is signed
    other = Message("assistant", first.message.content, reasoning="one two", origin="acme", opaque=first.message.opaque)
    ask(client, ["a", other, "say: b"])
    assert emulator.requests[-1].json()["messages"][1]["content"] == "three four"


@pytest.mark.parametrize("stream", [False, True])
def test_each_signature_stays_with_its_block(explain, stream):
    """MI-R4, MI-S5: in a stream, blocks come in pieces."""

    def thought(text, **more):
        return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **more}

    blocks = [thought("one ", signature="s1"), thought("two ", signature="s2"), thought("three")]
    text = {"type": "text", "text": "So."}
    if stream:
        pieces = [
            thought("on", closed=True),
            thought("e ", signature="s1"),
            thought("t"),
            thought("wo ", signature="s2"),
        ]
        deltas = [*({"content": [piece]} for piece in pieces), {"content": [thought("three"), text]}]
        body = "".join(f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]})}\n\n" for delta in deltas)
        body += 'data: {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]}\n\n'
    else:
        message = {"role": "assistant", "content": [*blocks, text]}
        body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    reply = replay("mistral", body=body, stream=stream)
    assert (reply.text, reply.reasoning) == ("So.", "one two three")
    assert explain(["a", reply, "b"]).body["messages"][1]["content"] == [*blocks, text]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [LARGE, THIRD])
def test_tools_and_parallel_tools(emulated, stream, model):
    """MI-S3, MI-S4, MI-T1, MI-T2, MI-T5, MI-T7, MI-T10"""
    client, emulator = emulated()
    text = 'call: get_weather {"city": "Oslo"}\ncall: get_weather {"city": "Rome"}'
    reply = ask(client, text, model=model, tools=[WEATHER], stream=stream)
    assert [call.parsed() for call in reply.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert reply.finish_reason == "tool_calls"
    results = [Message.tool(call, "sun") for call in reply.tool_calls]
    history = [text, reply, *results]
    assert ask(client, history, model=model, tools=[WEATHER], stream=stream).text == "The tool says: sun"
    assert ask(client, [*history, "say: on"], model=model, tools=[WEATHER], stream=stream).text == "on"
    ids = [call["id"] for call in emulator.requests[-1].json()["messages"][1]["tool_calls"]]
    assert ids == [call.id for call in reply.tool_calls]


def test_calls_arrive_whole(emulated):
    """MI-S3: all of them with the end, from the vendor's own models."""
    client, _ = emulated()
    for model, pieces in ((LARGE, ['{"city": "Oslo"}']), (THIRD, ['{"city', '": "Os', 'lo"}'])):
        seen = list(client.stream('call: get_weather {"city": "Oslo"}', model=model, tools=[WEATHER]))
        assert [e.arguments for e in seen if isinstance(e, ToolCallDelta) and e.arguments] == pieces


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output(emulated, stream):
    """MI-J1, MI-J2: beside tools too, and a forced call goes before it."""
    client, emulator = emulated()
    assert ask(client, "hello", output=Place, stream=stream).parsed() == Place("text", 1)
    said = 'say: {"city": "Rome", "size": 2}'
    assert ask(client, said, output=Place, tools=[WEATHER], stream=stream).parsed() == Place("Rome", 2)
    assert ask(client, "hi", output=Place, tools=[WEATHER], tool_choice="required", stream=stream).tool_calls
    assert "response_format" not in emulator.requests[-1].json()


def test_rate_limits_are_read(emulated):
    """MI-H2: with whole answers only, and with no time of return."""
    client, _ = emulated()
    limits = ask(client, "hello").rate_limits
    assert (limits.requests_limit, limits.requests_remaining) == (100, 87)
    assert (limits.tokens_limit, limits.tokens_remaining, limits.tokens_reset_seconds) == (100_000, 97_292, None)
    assert ask(client, "hello", stream=True).rate_limits is None
    body = '{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}'
    older = {"x-ratelimit-limit-req-60-second": "360", "x-ratelimit-remaining-req-60-second": "359"}
    found = replay("mistral", headers=older, body=body, stream=False).rate_limits
    assert (found.requests_limit, found.requests_remaining) == (360, 359)


def test_priority_and_sound_cost_more(emulated):
    """MI-P8, MI-U2: what the usage tells beside the tokens."""
    client, _ = emulated()
    costs = []
    for priority in (False, True):
        client, _ = emulated(priority=priority)
        costs.append(ask(client, "say: a", extra={"service_tier": "auto"}).cost.amount)
    assert costs[1] == pytest.approx(1.75 * costs[0])
    heard = ask(client, [Message.user("say: a", AudioPart("SUQz", "mp3"))], model="mistral:voxtral-small-latest")
    assert heard.usage.raw["prompt_audio_seconds"] == 4
    tokens = (heard.usage.input_tokens * 0.1 + heard.usage.output_tokens * 0.4) / 1_000_000
    assert heard.cost.amount == pytest.approx(tokens + 4 * 0.004 / 60)


def cut_stream(text, events, **options):
    """Stream an answer that is cut after so many events; give its text, what it ended with, and what was sent."""
    emulator = Emulator("mistral", faults=[faults.cut(after_events=events), None], clock=VirtualClock())
    config = {**emulator.config(), "retry": {"continue_after_cut": True}}
    pieces, end = [], None
    with Client(config=config, transport=emulator) as client:
        try:
            for event in client.stream(text, model=SMALL, **options):
                pieces += [event.text] if isinstance(event, TextDelta) else []
                end = event
        except StreamInterruptedError as error:
            end = error
    return "".join(pieces), end, [request.json() for request in emulator.requests]


@pytest.mark.parametrize("reasoning", ["none", "high"])
def test_an_answer_goes_on_after_a_cut(reasoning):
    """MI-F1, MI-F2: the beginning comes once more, and is not handed out again; the rest has no thoughts."""
    said = "one  two, one  two, one"
    for events in range(2, 9):
        text, end, sent = cut_stream(f"think: hm\nsay: {said}", events, reasoning=reasoning)
        assert text == end.reply.text == said
        if len(sent) == 2 and sent[1]["messages"][-1]["role"] == "assistant":
            assert sent[1]["messages"][-1]["prefix"] is True
            assert sent[1].get("reasoning_effort") in (None, "none")


def test_structured_output_goes_on_as_plain_text():
    """MI-F1: the rest of a JSON value is no JSON."""
    said = '{"city": "Oslo", "size": 7}'
    text, end, sent = cut_stream(f"say: {said}", 3, output=Place)
    assert (text, end.reply.parsed()) == (said, Place("Oslo", 7))
    assert ["response_format" in body for body in sent] == [True, False]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("begun", "said", "rest"),
    [
        ("Dear ", "Dear Sir", "Sir"),
        ("Dear Sir", "Dear Sir", ""),
        ("a a", "a a a a", " a a"),
        ("Dear Sir", "Dear", "Dear"),  # should it not come again
        ("x", "Dear", "Dear"),
    ],
)
def test_a_beginning_is_taken_off_once(begun, said, rest, stream):
    """MI-F1, MI-F2"""
    if stream:
        chunks = [{"choices": [{"index": 0, "delta": {"content": letter}}]} for letter in said]
        chunks.append({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]})
        body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    else:
        body = json.dumps({"choices": [{"message": {"content": said}, "finish_reason": "stop"}]})
    asked = {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": begun, "prefix": True}]}
    reply = replay("mistral", body=body, stream=stream, request=asked)
    assert (reply.text, reply.finish_reason) == (rest, "stop")


def post(body, **settings):
    body = {"model": "mistral-large-latest", "messages": [{"role": "user", "content": "hello"}], **body}
    request = EmulatedRequest("POST", "/v1/chat/completions", {"authorization": "Bearer k"}, json.dumps(body).encode())
    answer = MistralEmulator(**settings).respond(request)
    return answer.status, json.loads(answer.body)


USER = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
CALL = {"id": "vAKGXGFZD", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "vAKGXGFZD", "content": "sun"}
FORM = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}


def having(*parts):
    return [{"role": "user", "content": list(parts)}]


RAW = [
    ("MI-P1", 422, {"verbosity": "low"}),
    ("MI-P4", 422, {"max_completion_tokens": 5}),
    ("MI-P4", 422, {"seed": 5}),
    ("MI-P4", 422, {"messages": [USER, {"role": "assistant", "content": "a", "reasoning_content": "b"}, USER]}),
    ("MI-P2", 422, {"temperature": 1.6}),
    ("MI-P2", 422, {"random_seed": -1}),
    ("MI-P5", 400, {"logprobs": True}),
    ("MI-P7", 422, {"max_tokens": 256_000}),
    ("MI-P8", 422, {"service_tier": "flex"}),
    ("MI-P9", 400, {"prediction": {"type": "content", "content": "x"}}),
    ("MI-R1", 422, {"reasoning_effort": "max"}),
    ("MI-T2", 422, {"tools": [TOOL], "tool_choice": "sometimes"}),
    ("MI-T4", 400, {"tools": [TOOL] * 129}),
    ("MI-T4", 422, {"tools": [{"type": "function", "function": {"name": "f"}}]}),
    ("MI-W1", 422, {"tools": [{"type": "web_search"}]}),
    ("MI-T1", 400, {"messages": [USER, {**CALLED, "tool_calls": [{**CALL, "id": "call_1"}]}, RESULT]}),
    ("MI-T5", 400, {"messages": [USER, CALLED, RESULT, USER]}),
    ("MI-T5", 400, {"messages": [USER, RESULT]}),
    ("MI-T6", 400, {"messages": [USER, {"role": "assistant", "content": "a"}]}),
    ("MI-T7", 400, {"messages": [USER, CALLED]}),
    ("MI-T7", 400, {"messages": [USER, CALLED, RESULT, RESULT]}),
    ("MI-T8", 400, {"messages": [USER, {"role": "assistant", "content": ""}, USER]}),
    ("MI-J1", 422, {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}),
    ("MI-J2", 400, {"response_format": FORM, "tools": [TOOL], "tool_choice": "any"}),
    ("MI-J3", 422, {"response_format": {"type": "grammar"}}),
    ("MI-M5", 422, {"messages": having({"type": "video_url", "video_url": "x"})}),
    ("MI-M6", 422, {"messages": having({"type": "text", "text": "x", "cache_control": {}})}),
    ("MI-M7", 400, {"model": "voxtral-small-latest", "messages": having({"type": "image_url", "image_url": "x"})}),
    (
        "MI-M7",
        500,
        {"model": "voxtral-small-latest", "messages": having({"type": "document_url", "document_url": "x"})},
    ),
    (
        "MI-M4",
        400,
        {"model": "voxtral-small-latest", "messages": having({"type": "input_audio", "input_audio": "//FgQ"})},
    ),
    ("MI-X2", 400, {"model": "magistral-medium-2509"}),
    ("MI-X6", 400, {"messages": [{"role": "user", "content": "x" * 1_100_000}]}),
    ("MI-I2", 422, {"messages": [{"role": "developer", "content": "x"}, USER]}),
]


@pytest.mark.parametrize(("fact", "status", "body"), RAW, ids=[f"{fact}-{'-'.join(body)}" for fact, _, body in RAW])
def test_emulator_refuses(fact, status, body):
    """MI-X3, MI-X4, MI-X5: in either form."""
    found, data = post(body)
    assert found == status
    if status == 422:
        assert data["detail"][0]["loc"][0] == "body"
        assert post(body, wrapped_faults=True)[1]["message"]["detail"] == data["detail"]
    else:
        assert data["object"] == "error"


def test_a_signature_of_others_is_refused():
    """MI-R4"""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "signature": "x"}
    answer = {"role": "assistant", "content": [thought, {"type": "text", "text": "a"}]}
    assert post({"messages": [USER, answer, USER]}, signs_thoughts=True)[0] == 400
    assert post({"messages": [USER, answer, USER]})[0] == 200


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthenticationError), (429, RateLimitError), (503, OverloadedError)]
)
def test_errors_by_command(emulated, status, error):
    """MI-X1, MI-X8, MI-X9"""
    with pytest.raises(error):
        ask(emulated()[0], f"error: {status}")


def test_a_wrong_path_is_said_to_be_one(emulated):
    """MI-B1, MI-X10, MI-E2"""
    emulator = Emulator("mistral")
    config = {"providers": {"mistral": {"base_url": f"{emulator.base_url}/nowhere", "api_key": "k"}}}
    with (
        Client(config=config, transport=emulator) as client,
        pytest.raises(ModelNotFoundError, match="Is base_url right"),
    ):
        client.embed(["a"], model="mistral:mistral-embed")


def test_models_are_listed(emulated):
    """MI-E3, MI-L4: each name once, and what else is known of it."""
    models = emulated()[0].models("mistral")
    assert [model.id for model in models] == list(MistralEmulator.models)
    assert models[0].context_tokens == 256_000
    assert models[0].raw["aliases"] == ["mistral-small-2603"]


@pytest.mark.anyio
async def test_the_asynchronous_client_gets_the_same(anyio_backend):
    """MI-S5"""
    emulator = Emulator("mistral")
    async with AsyncClient(config=emulator.config(), transport=emulator.asynchronous()) as client:
        async with client.stream("think: hm\nsay: a b", model=SMALL, reasoning="high") as stream:
            text = "".join([event.text async for event in stream if isinstance(event, TextDelta)])
        assert (text, stream.reply.reasoning) == ("a b", "hm")
