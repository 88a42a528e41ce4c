"""Our client against the vendor's twin, in process, and the twin's own refusals."""

from __future__ import annotations

import json

import pytest

from chatport import (
    Client,
    MalformedReplyError,
    Message,
    PermissionDeniedError,
    QuotaExceededError,
    ReasoningDelta,
    StreamInterruptedError,
    Tool,
)
from chatport.testing import EmulatedRequest, Emulator, faults, replay
from chatport_minimax.emulator import MiniMaxEmulator

M3, M2 = "minimax:MiniMax-M3", "minimax:MiniMax-M2.7"
WEATHER = Tool("get_weather", "Tell the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
THOUGHT = "think: one two three\nsay: four five"


def ask(client, text, *, stream=False, **options):
    options = {"model": M3, **options}
    return list(client.stream(text, **options))[-1].reply if stream else client.chat(text, **options)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [M3, M2])
def test_reasoning_is_apart_and_counted(emulated, model, stream):
    """MM-R1, MM-R2, MM-S1, MM-S2, MM-S6, MM-U1, MM-X3, MM-H1"""
    client, _ = emulated(cached_tokens=4)
    reply = ask(client, THOUGHT, model=model, stream=stream)
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("four five", "one two three", "stop")
    assert (reply.usage.reasoning_tokens, reply.usage.output_tokens, reply.usage.cached_input_tokens) == (3, 5, 4)
    assert reply.usage.input_tokens
    assert len(reply.request_id) == 32
    assert reply.rate_limits is None


@pytest.mark.parametrize("details", ["pieces", "whole", "alone", "whole alone"])
def test_details_are_pieces_or_all_the_text_so_far(emulated, details):
    """MM-S5, MM-S6, MM-I3: what goes back is whole in each case."""
    client, emulator = emulated(details=details)
    asked = Message.user(THOUGHT)
    events = list(client.stream([asked], model=M3))
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "one two three"
    client.chat([asked, events[-1].reply, Message.user("say: x")], model=M3)
    sent = emulator.requests[-1].json()["messages"][1]
    assert [detail["text"] for detail in sent["reasoning_details"]] == ["one two three"]
    assert "reasoning_content" not in sent


def test_details_that_are_pieces_are_never_taken_for_more():
    """MM-S5: once a piece has shown that it is one, another may begin as the text does."""
    detail = {"type": "reasoning.text", "index": 0}
    pieces = ["Ha", ", ", "Ha, ha", "Ha"]
    deltas = [{"reasoning_details": [{**detail, "text": piece}]} for piece in pieces] + [{"content": "b"}]
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    assert replay("minimax", body=body, stream=True).reasoning == "".join(pieces)


@pytest.mark.parametrize("stream", [False, True])
def test_the_other_form_stays_in_the_text(emulated, stream):
    """MM-R1, MM-P8: as asked for, and it goes back as it came."""
    client, emulator = emulated()
    first = ask(client, THOUGHT, stream=stream, extra={"reasoning_split": False})
    assert first.text == "<think>\none two three\n</think>\n\nfour five"
    ask(client, [Message.user("a"), first, Message.user("say: b")], extra={"reasoning_split": False})
    assert emulator.requests[-1].json()["messages"][1] == {"role": "assistant", "content": first.text}


def test_thinking_can_be_off(emulated):
    """MM-P7, MM-R4"""
    client, _ = emulated()
    assert ask(client, THOUGHT, reasoning="none").reasoning is None
    assert ask(client, THOUGHT, reasoning="none", model=M2).reasoning == "one two three"


@pytest.mark.parametrize("whole_calls", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_calls_stay_apart(emulated, stream, whole_calls):
    """MM-T1, MM-T2, MM-R3"""
    client, emulator = emulated(whole_calls=whole_calls)
    text = 'think: hm\ncall: get_weather {"city": "Oslo"}\ncall: get_weather {"city": "Rome"}'
    reply = ask(client, text, tools=[WEATHER], stream=stream)
    assert [call.parsed() for call in reply.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert [call.id[-2:] for call in reply.tool_calls] == ["_1", "_2"]
    results = [Message.tool(call, "sun") for call in reply.tool_calls]
    ask(client, [Message.user(text), reply, *results], tools=[WEATHER])
    assert emulator.requests[-1].json()["messages"][1]["reasoning_details"][0]["text"] == "hm"


def test_arguments_that_are_no_json_reach_the_caller(emulated):
    """MM-T3, MM-T8: they are the caller's to check, and to tell the model of."""
    reply = ask(emulated()[0], "call: get_weather {broken", tools=[WEATHER])
    with pytest.raises(MalformedReplyError):
        reply.tool_calls[0].parsed()


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_written_as_text_is_asked_for_again(emulated, stream):
    """MM-T4: but not where there are no tools, where it is a text as any."""
    client, emulator = emulated(echoes_pseudo_calls=True, retry={"attempts": 2, "first_seconds": 0})
    call = 'call: get_weather {"city": "Oslo"}'
    with pytest.raises(MalformedReplyError, match="tool call as text") as caught:
        ask(client, call, tools=[WEATHER], stream=stream, reasoning="none")
    assert caught.value.code == "tool_call_in_text"
    assert len(emulator.requests) == 2
    assert "<minimax:tool_call>" in ask(client, "say: <minimax:tool_call>", stream=stream).text


def test_a_call_written_as_text_is_seen_over_pieces():
    """MM-T4"""
    pieces = ["Well. <mini", "max:tool", "_call>\n<invoke"]
    chunks = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": piece}}]} for piece in pieces]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    with pytest.raises(MalformedReplyError) as caught:
        replay("minimax", body=body, stream=True, request={"tools": TOOLS})
    assert caught.value.partial.text == "".join(pieces)


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_alone_is_no_answer(emulated, stream):
    """MM-T8"""
    client, emulator = emulated(retry={"attempts": 2, "first_seconds": 0})
    with pytest.raises(MalformedReplyError, match="no text and no tool call"):
        ask(client, "think: one two\nsay:", stream=stream)
    assert len(emulator.requests) == (1 if stream else 2)


def test_a_whole_message_beside_the_pieces_is_not_added(emulated):
    """MM-S7, MM-S3"""
    client, _ = emulated(repeats_message=True)
    reply = ask(client, f"{THOUGHT}\n", stream=True)
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("four five", "one two three", "stop")
    called = ask(client, "call: get_weather {}", stream=True, tools=[WEATHER])
    assert len(called.tool_calls) == 1
    assert called.usage.output_tokens


def test_usage_that_never_comes_is_unknown(emulated):
    """MM-S2, MM-S3: a placeholder is no count."""
    reply = ask(emulated(usage_in_streams=False)[0], "hello", stream=True)
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.cost) == (None, None, None)


def test_an_end_without_done_is_an_end():
    """MM-S4: but one without its finish is none."""
    said = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}]}
    assert replay("minimax", body=f"data: {json.dumps(said)}\n\n", stream=True).text == "a"
    del said["choices"][0]["finish_reason"]
    with pytest.raises(StreamInterruptedError):
        replay("minimax", body=f"data: {json.dumps(said)}\n\n", stream=True)


def test_another_target_is_asked_where_a_plan_is_used_up():
    """MM-F1, MM-X15, MM-X16"""
    emulator = Emulator("minimax", faults=[faults.status(429, body=_plan_is_used_up()), None])
    config = {**emulator.config(), "aliases": {"main": [M3, M2]}}
    with Client(config=config, transport=emulator) as client:
        assert client.chat("say: a", model="main").model == "MiniMax-M2.7"
        with pytest.raises(PermissionDeniedError):
            client.chat("error: 2061", model=M3)
        with pytest.raises(QuotaExceededError):
            client.chat("error: 1008", model=M3)


def _plan_is_used_up():
    error = {"type": "rate_limit_error", "message": "usage limit exceeded (2056)"}
    return {"type": "error", "error": error}


def test_models_are_listed(emulated):
    """MM-E1"""
    assert "MiniMax-M2.5-highspeed" in {model.id for model in emulated()[0].models("minimax")}


def test_prices():
    """MM-U1: by length of the input, and for the global host alone."""
    from chatport_minimax import provider

    def price(model, url="https://api.minimax.io/v1"):
        return [(p.input, p.output, p.cached_input) for p in provider.facts.describe(model, url).prices]

    assert price("MiniMax-M3") == [(0.3, 1.2, 0.06)]
    assert price("MiniMax-M2.7-highspeed") == [(0.6, 2.4, 0.06)]
    assert price("MiniMax-M3", "https://api.minimaxi.com/v1") == []
    assert provider.facts.describe("MiniMax-M3").prices == ()
    tier = provider.facts.describe("MiniMax-M3", provider.base_url).prices[0].tiers[0]
    assert (tier.above_input_tokens, tier.input, tier.cached_input) == (512_000, 0.6, 0.12)
    assert provider.facts.describe("MiniMax-M3").context_tokens == 1_000_000  # MM-L1


def post(body, **settings):
    body = {"model": "MiniMax-M3", "messages": [{"role": "user", "content": "hello"}], **body}
    request = EmulatedRequest("POST", "/v1/chat/completions", {"authorization": "Bearer k"}, json.dumps(body).encode())
    return MiniMaxEmulator(**settings).respond(request)


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
REFUSED = [
    {"model": "minimax-m3"},
    {"messages": []},
    {"messages": [{"role": "developer", "content": "a"}]},
    {"messages": [{"role": "tool", "tool_call_id": "x", "content": "a"}]},
    {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
    {"messages": [{"role": "user", "content": [IMAGE]}], "model": "MiniMax-M2"},
    {"temperature": 3},
    {"tools": []},
]


@pytest.mark.parametrize("body", REFUSED, ids=lambda body: "-".join(body))
def test_emulator_refuses(body):
    """MM-P1, MM-P6, MM-P10, MM-T5, MM-T6, MM-M1, MM-M2, MM-X1, MM-X11, MM-X12, MM-I5"""
    answer = post(body)
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["type"], error["http_code"]) == (400, "bad_request_error", "400")
    assert error["message"].endswith("(2013)")


def test_emulator_overlooks():
    """MM-P4: taken with a 200, without effect."""
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    answer = post({"response_format": schema, "stop": ["Hello"], "tool_choice": "required", "reasoning_split": True})
    assert json.loads(answer.body)["choices"][0]["message"]["content"].startswith("Hello")
    assert post({}, window_tokens=1).status == 400  # MM-X13


def test_emulator_fails_inside_a_200():
    """MM-X2: with no choices, plain and as an event."""
    ask_wrong = {"messages": [{"role": "user", "content": "error: 2061"}]}
    plain, streamed = post(ask_wrong), post({**ask_wrong, "stream": True})
    assert (plain.status, streamed.status) == (200, 200)
    assert json.loads(plain.body)["choices"] is None
    assert streamed.headers["content-type"] == "text/event-stream"
    assert json.loads(streamed.body[6:])["base_resp"]["status_code"] == 2061
