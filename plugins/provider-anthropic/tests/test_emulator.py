"""The emulator refuses the raw wrong request, and our client never sends it; and what it says, it says in all forms."""

from __future__ import annotations

import json

import attrs
import pytest

from chatport import (
    AsyncClient,
    BadRequestError,
    Client,
    ContextLengthError,
    Message,
    OverloadedError,
    ReasoningDelta,
    ServerError,
    StreamInterruptedError,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolCallEnded,
)
from chatport.testing import EmulatedRequest, Emulator, faults
from chatport_anthropic.emulator import AnthropicEmulator

OPUS, HAIKU, SONNET = "anthropic:claude-opus-5-5", "anthropic:claude-haiku-4-5", "anthropic:claude-sonnet-4-6"
USER = {"role": "user", "content": "hello"}
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}]}
THOUGHT = {"type": "thinking", "thinking": "mine", "signature": "sig_wrong"}


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}."


@attrs.frozen
class Place:
    city: str
    people: int


def post(body, *, headers=None, **settings):
    """Send a body to an emulator; return status and the decoded answer."""
    sent = {"x-api-key": "k", "anthropic-version": "2023-06-01"} if headers is None else headers
    request = EmulatedRequest("POST", "/v1/messages", sent, json.dumps(body).encode())
    response = AnthropicEmulator(**settings).respond(request)
    return response.status, json.loads(response.body)


def raw(model="claude-haiku-4-5", **fields):
    return {"model": model, "max_tokens": 2000, "messages": [USER], **fields}


def without(name):
    return {key: value for key, value in raw().items() if key != name}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def turns(*turns, model="claude-haiku-4-5", **fields):
    return raw(model, messages=list(turns), tools=[TOOL], **fields)


NEW = "claude-opus-5-5"
ON = {"type": "enabled", "budget_tokens": 1024}
ADAPTIVE = {"type": "adaptive"}
REFUSED = [
    ("AN-R1", without("max_tokens"), "max_tokens: Field required"),
    ("AN-R1", raw(max_tokens=64_001), "64001 > 64000"),
    ("AN-R4", raw(temperature=1.5), "temperature: range: 0..1"),
    ("AN-R5", raw(temperature=0.5, top_p=0.5), "cannot both be specified"),
    ("AN-R6", raw(NEW, temperature=0.5), "`temperature` is not supported"),
    ("AN-R6", raw(thinking=ON, temperature=0.5), "may only be set to 1 when thinking is enabled"),
    ("AN-R7", raw(stop_sequences=[" "]), "non-whitespace"),
    ("AN-R10", raw(thinking={"type": "enabled", "budget_tokens": 1000}), "greater than or equal to 1024"),
    ("AN-R14", raw(n=1), "n: Extra inputs are not permitted"),
    ("AN-T1", raw(tools=[{"name": "f", "input_schema": {}}]), "input_schema.type: Field required"),
    ("AN-T2", raw(tools=[{**TOOL, "name": "a.b"}]), "tools.0.custom.name: String should match pattern"),
    ("AN-T3", raw(tools=[TOOL, TOOL]), "tools: Tool names must be unique."),
    ("AN-T6", raw(NEW, tools=[TOOL], tool_choice={"type": "any"}), "are not supported for this model"),
    ("AN-T7", raw(tools=[TOOL], tool_choice={"type": "any"}, thinking=ON), "Thinking may not be enabled when"),
    ("AN-T9", turns(USER, USE, user({**RESULT["content"][0], "content": []})), "must not be empty"),
    ("AN-T10", turns(USER, USE, USER), "`tool_use` ids were found without `tool_result`"),
    ("AN-T10", turns(USER, RESULT), "unexpected `tool_use_id` found"),
    ("AN-T10", turns(USER, USE, user({"type": "text", "text": "a"}, *RESULT["content"])), "immediately after"),
    ("AN-T13", raw(messages=[user({"type": "text", "text": " "})]), "must be non-empty"),
    ("AN-T14", raw("claude-sonnet-4-6", messages=[USER, {"role": "assistant", "content": "a"}]), "prefill"),
    ("AN-T14", raw(messages=[USER, {"role": "assistant", "content": "a "}]), "trailing whitespace"),
    ("AN-T14", raw(messages=[USER, {"role": "assistant", "content": "a"}], thinking=ON), "thinking is enabled"),
    ("AN-T18", raw(tools=[{**TOOL, "name": f"f{n}", "strict": True} for n in range(21)]), "limit: 20"),
    ("AN-O3", raw(output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}}), "additionalProp"),
    ("AN-K3", raw(NEW, thinking={"type": "disabled"}), '"thinking.type.disabled" is not supported'),
    ("AN-K3", raw("claude-opus-4-6", output_config={"effort": "xhigh"}), "Supported levels: high, low, max, medium."),
    ("AN-K5", turns(USER, USE, RESULT, thinking=ON), "Expected `thinking` or `redacted_thinking`"),
    ("AN-K6", raw(messages=[USER, {"role": "assistant", "content": [THOUGHT]}, USER]), "cannot be modified"),
    (
        "AN-K6",
        raw(messages=[USER, {"role": "assistant", "content": [{**THOUGHT, "signature": ""}]}, USER]),
        "signature",
    ),
    ("AN-K7", raw(NEW, messages=[USER, {"role": "assistant", "content": [THOUGHT]}, USER]), "different conversation"),
    ("AN-K11", raw(thinking={"type": "enabled", "budget_tokens": 2000}), "`max_tokens` must be greater than"),
]


@pytest.mark.parametrize(("fact", "body", "words"), REFUSED)
def test_emulator_refuses(fact, body, words):
    status, data = post(body)
    assert status == 400, data
    assert words in data["error"]["message"]
    assert data["type"] == "error"
    assert data["error"]["type"] == "invalid_request_error"


def test_keys_versions_and_models():
    """AN-A2, AN-A3, AN-X6, AN-X9"""
    assert post(raw(), headers={})[1]["error"] == {"type": "authentication_error", "message": "invalid x-api-key"}
    assert post(raw(), headers={"x-api-key": "k"})[0] == 400
    assert post(raw("claude-x"))[1]["error"] == {"type": "not_found_error", "message": "model: claude-x"}


FOREIGN = [
    Message.user("weather?"),
    Message.assistant(tool_calls=(ToolCall("functions.get:0", "get_weather", '{"city": "Oslo"}'),)),
    Message.tool("functions.get:0", ""),
]
PARTS = [{"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "hi"}]}]
SMOOTH = [
    ("hello", {"tools": [get_weather], "tool_choice": "required", "reasoning": "low"}),
    ("hello", {"tools": [get_weather], "tool_choice": "get_weather", "temperature": 0.2}),
    ("hello", {"tools": [Tool("a.b/c", strict=True), get_weather]}),
    ("hello", {"output": Place, "reasoning": "max"}),
    ([Message.system("Be brief."), "hello", Message.developer("Really.")], {}),
    ("hello", {"max_tokens": 1_000_000, "temperature": 1.5, "top_p": 0.5, "seed": 1, "extra": {"n": 2, "user": "u"}}),
    ("hello", {"reasoning": 100, "temperature": 0.5, "max_tokens": 2000}),
    ("hello", {"reasoning": "none", "stop": ["x"]}),
    ("hello", {"extra": {"response_format": {"type": "json_object"}, "parallel_tool_calls": False}}),
    (FOREIGN, {"tools": [get_weather], "reasoning": "high"}),
    ([*FOREIGN, "and now?"], {"tools": [get_weather]}),
    (PARTS, {"reasoning": "xhigh"}),
]


@pytest.mark.parametrize("model", [OPUS, HAIKU, SONNET, "anthropic:claude-sonnet-5-5", "anthropic:claude-opus-5"])
@pytest.mark.parametrize(("messages", "options"), SMOOTH)
def test_client_smooths(emulated, messages, options, model):
    client, emulator = emulated()
    reply = client.chat(messages, model=model, **options)
    assert reply.finish_reason in ("stop", "tool_calls")
    assert len(emulator.requests) == 1


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        ("hello", {}),
        ("say: one two\nthink: because so", {"reasoning": "high"}),
        ('call: a {}\ncall: b {"x": [1, 2]}', {"tools": [Tool("a"), Tool("b")]}),
        ("say: one two three", {"max_tokens": 2}),
        ("where?", {"output": Place}),
        ("refuse: I will not.", {}),
    ],
)
def test_stream_gives_the_same_as_plain(emulated, messages, options):
    """AN-S2 to AN-S8"""
    client, emulator = emulated()
    options = {"max_tokens": 20_000, **options, "model": SONNET}
    plain = client.chat(messages, **options)
    streamed = list(client.stream(messages, **options))[-1].reply
    assert [bool(request.json().get("stream")) for request in emulator.requests] == [False, True]

    def shown(reply):
        calls = [(call.name, call.parsed()) for call in reply.tool_calls]
        return reply.text, reply.reasoning, calls, reply.finish_reason, reply.refusal, reply.usage.output_tokens

    assert shown(plain) == shown(streamed)
    assert bool(plain.opaque) == bool(streamed.opaque) == (options.get("reasoning") == "high")


def test_large_plain_calls_stream_inside(emulated):
    """AN-A7"""
    client, emulator = emulated()
    for limit, streams in ((None, True), (21_334, True), (21_333, None)):
        assert client.chat("say: hi", model=HAIKU, max_tokens=limit).text == "hi"
        assert emulator.requests[-1].json().get("stream") is streams


def test_parallel_calls_and_order(emulated):
    """AN-S6, AN-P9: calls are counted from 0, whatever their block."""
    client, _ = emulated()
    text = 'say: look\nthink: well\ncall: a {}\ncall: b {"x": "é"}'
    events = list(client.stream(text, model=SONNET, tools=[Tool("a"), Tool("b")], reasoning="low"))
    kinds = list(dict.fromkeys(type(event) for event in events))
    assert kinds[1:5] == [ReasoningDelta, TextDelta, ToolCallDelta, ToolCallEnded] or kinds[0] is ReasoningDelta
    ended = [(event.index, event.name, event.arguments) for event in events if isinstance(event, ToolCallEnded)]
    assert ended == [(0, "a", "{}"), (1, "b", '{"x": "é"}')]


@pytest.mark.parametrize("redacts", [False, True])
@pytest.mark.parametrize("model", [OPUS, HAIKU, "anthropic:claude-sonnet-5-5"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_keeps_its_thinking(emulated, model, stream, redacts):
    """AN-T16, AN-K5 to AN-K8, AN-P3: verbatim and in order, through streams and plain replies."""
    client, emulator = emulated(redacts=redacts)

    def ask(messages):
        options = {"model": model, "tools": [get_weather], "reasoning": "low", "max_tokens": 9000}
        return list(client.stream(messages, **options))[-1].reply if stream else client.chat(messages, **options)

    messages = ["weather in Oslo?"]
    first = ask(messages)
    messages += [first, Message.tool(first.tool_calls[0], "Sunny.")]
    second = ask(messages)
    assert "Sunny." in second.text
    third = ask([*messages, second, "say: thanks"])
    assert third.warnings == first.warnings
    sent = emulator.requests[-1].json()["messages"]
    kind = "redacted_thinking" if redacts else "thinking"
    assert [[block["type"] for block in turn["content"]] for turn in sent] == [
        ["text"], [kind, "tool_use"], ["tool_result"], [kind, "text"], ["text"],
    ]  # fmt: skip


def test_thinking_goes_only_where_it_was_signed(emulated):
    """AN-K9, AN-K6, AN-T17: not to another model, not with an edited answer, not from another vendor."""
    client, emulator = emulated()
    first = client.chat("say: yes", model=HAIKU, reasoning="low").message
    for model, message, facts in (
        ("claude-sonnet-4-6", first, {"AN-K9"}),
        ("claude-haiku-4-5", attrs.evolve(first, content=(first.content[0].__class__("no"),)), {"AN-K6"}),
        ("claude-haiku-4-5", attrs.evolve(first, origin="deepseek"), set()),
        ("claude-haiku-4-5-20251001", first, set()),
    ):
        reply = client.chat(["q", message, "say: more"], model=f"anthropic:{model}")
        sent = [block["type"] for block in emulator.requests[-1].json()["messages"][1]["content"]]
        assert sent == (["thinking", "text"] if model.endswith("1001") else ["text"])
        assert {note.fact for note in reply.warnings} == facts


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [OPUS, HAIKU])
def test_structured_output(emulated, model, stream):
    client, _ = emulated()
    options = {"model": model, "output": Place}
    reply = list(client.stream("where?", **options))[-1].reply if stream else client.chat("where?", **options)
    assert reply.parsed() == Place("text", 1)


def test_usage_includes_the_cache(emulated):
    """AN-U2, AN-K1"""
    client, _ = emulated(cached_tokens=4)
    usage = client.chat("think: one two", model=HAIKU, reasoning="low").usage
    assert (usage.cached_input_tokens, usage.cache_write_tokens, usage.reasoning_tokens) == (4, 0, 2)
    assert usage.input_tokens == usage.raw["input_tokens"] + 4


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("word", "finish"),
    [("pause_turn", "stop"), ("model_context_window_exceeded", "length"), ("stop_sequence", "stop"), ("new", "other")],
)
def test_stop_reasons(emulated, word, finish, stream):
    """AN-S15, AN-S17, AN-S19, AN-S20"""
    client, _ = emulated(stop_reason=word)
    options = {"model": HAIKU, "max_tokens": 100}
    reply = list(client.stream("hi", **options))[-1].reply if stream else client.chat("hi", **options)
    assert (reply.finish_reason, reply.raw_finish_reason) == (finish, word)


def test_a_cut_call_is_not_complete(emulated):
    """AN-S7: the block is never closed."""
    client, _ = emulated()
    options = {"model": HAIKU, "tools": [Tool("f")], "max_tokens": 2}
    reply = list(client.stream('call: f {"city": "Oslo", "days": [1, 2, 3]}', **options))[-1].reply
    assert (reply.finish_reason, [call.complete for call in reply.tool_calls]) == ("length", [False])


@pytest.mark.parametrize(("after", "attempts"), [(0, 2), (2, 2), (5, 1)])
def test_errors_inside_a_stream(emulated, after, attempts):
    """AN-S10, AN-S11, AN-P1: tried again only while nothing has been handed over."""
    retry = {"attempts": 2, "first_seconds": 0, "longest_seconds": 0}
    client, emulator = emulated(stream_error="overloaded_error", stream_error_after=after, retry=retry)
    with pytest.raises(OverloadedError) as caught:
        list(client.stream("say: a b c", model=HAIKU))
    assert (caught.value.retryable, len(emulator.requests)) == (True, attempts)
    assert caught.value.request_id == f"req_emulated{attempts:08d}"


CUT = {"attempts": 2, "first_seconds": 0, "longest_seconds": 0, "continue_after_cut": True}


def test_a_cut_answer_goes_on(emulated):
    """AN-T14: and the parts are joined exactly."""
    client, emulator = emulated(faults=[faults.cut(after_events=5)], retry=CUT)
    stream = client.stream("say: one two three four", model=HAIKU)
    text = "".join(event.text for event in stream if isinstance(event, TextDelta))
    assert text == stream.reply.text == "one two three four"
    begun = {"role": "assistant", "content": [{"type": "text", "text": "one two"}]}
    assert emulator.requests[-1].json()["messages"][-1] == begun


@pytest.mark.parametrize("table", [{}, {"protocol": "chat"}])
def test_a_cut_answer_is_handed_over_where_it_cannot_go_on(emulated, table):
    """AN-T14, AN-C1: a model without prefill, and the compatible endpoint."""
    client, emulator = emulated(faults=[faults.cut(after_events=5)], retry=CUT, table=table)
    with pytest.raises(StreamInterruptedError) as caught:
        list(client.stream("say: one two three four five six", model=HAIKU if table else SONNET))
    assert caught.value.partial.text.startswith("one two")
    assert len(emulator.requests) == 1


def test_errors_on_command(emulated):
    client, emulator = emulated(context_tokens=50)
    for status, error in ((529, OverloadedError), (500, ServerError), (400, BadRequestError)):
        with pytest.raises(error):
            client.chat(f"error: {status}", model=HAIKU)
    with pytest.raises(ContextLengthError):
        client.chat("long " * 100, model=HAIKU)
    assert len(emulator.requests) == 4


def test_models_are_listed(emulated):
    """AN-E2"""
    client, emulator = emulated()
    listed = client.models("anthropic")
    assert (listed[0].id, listed[0].context_tokens, listed[0].created) == ("claude-haiku-4-5", 1_000_000, 1790035200)
    assert emulator.requests[0].path.endswith("/models?limit=1000")


@pytest.mark.anyio
async def test_the_asynchronous_client_gets_the_same():
    emulator = Emulator("anthropic", duplicate_start=True)  # AN-S13
    async with AsyncClient(config=emulator.config(), transport=emulator.asynchronous()) as client:
        async with client.stream("say: hi there", model=OPUS) as stream:
            text = "".join([event.text async for event in stream if isinstance(event, TextDelta)])
        reply = await client.chat("say: hi there", model=OPUS)
    assert text == reply.text == "hi there"


def test_it_serves_on_a_port():
    with Emulator("anthropic", api_key="sk-test") as emulator, Client(config=emulator.config()) as client:
        reply = client.chat("say: hi", model=OPUS)
        assert (reply.text, reply.request_id) == ("hi", "req_emulated00000001")
        assert (reply.rate_limits.requests_remaining, reply.rate_limits.requests_reset_seconds) == (3999, 30)
