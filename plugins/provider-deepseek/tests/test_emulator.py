"""The emulator refuses the raw wrong request, and our client never sends it; and what it says, it says in all forms."""

from __future__ import annotations

import json

import attrs
import pytest

from chatport import (
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    ChatportError,
    Client,
    ContentFilterError,
    ContextLengthError,
    MalformedReplyError,
    Message,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ReasoningDelta,
    ServerError,
    StreamInterruptedError,
    TextDelta,
    Tool,
    ToolCallDelta,
    ToolCallEnded,
    TransportError,
)
from chatport.testing import EmulatedRequest, Emulator
from chatport_deepseek.emulator import DeepSeekEmulator

FLASH = "deepseek:deepseek-flash"
USER = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CALLS = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
ASSISTANT, RESULT = (
    {"role": "assistant", "content": "", "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "call_1", "content": "done"},
)


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}."


@attrs.frozen
class Place:
    city: str
    people: int


def post(content, *, path="/chat/completions", key="k", **settings):
    """Send raw bytes or a body to an emulator; return status, headers and the decoded body."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    request = EmulatedRequest("POST", path, {"authorization": f"Bearer {key}"} if key else {}, data)
    response = DeepSeekEmulator(**settings).respond(request)
    return response.status, response.headers, json.loads(response.body)


def raw(**fields):
    return {"model": "deepseek-flash", "messages": [USER], **fields}


OFF = {"thinking": {"type": "disabled"}}
BEGUN = {"role": "assistant", "content": "Hello", "prefix": True}
REFUSED = [
    ("DS-E6", raw(model="deepseek-chat"), "The supported API model names are deepseek-flash or deepseek-v4-pro, but"),
    ("DS-E5", raw(model=None), "missing field `model`"),
    ("DS-E5", raw(messages="hello"), "messages: invalid type: string"),
    ("DS-E5", raw(messages=["hello"]), "messages[0]: invalid type: string"),
    ("DS-E5", raw(max_tokens="9"), "max_tokens: invalid type: string"),
    ("DS-E5", raw(messages=[]), "Empty input messages"),
    ("DS-P4", raw(max_tokens=393_217), "Invalid max_tokens value, the valid range of max_tokens is [1, 393216]"),
    ("DS-P5", raw(temperature=2.1), "Invalid temperature value, the valid range of temperature is [0, 2]"),
    ("DS-P6", raw(top_p=0), "Invalid top_p value"),
    ("DS-P8", raw(stop=["x"] * 17), "Invalid stop value"),
    ("DS-P9", raw(top_logprobs=2), "top_logprobs"),
    ("DS-P10", raw(stream_options={"include_usage": True}), "stream_options"),
    ("DS-P12", raw(reasoning_effort="huge"), "reasoning_effort: unknown variant `huge`"),
    ("DS-P15", raw(messages=[{"role": "developer", "content": "a"}, USER]), "unknown variant `developer`"),
    ("DS-T1", raw(tools=[{"type": "web_search"}]), "tools[0].type: unknown variant `web_search`, expected `function`"),
    ("DS-T2", raw(tools=[TOOL] * 129), "tools"),
    ("DS-T2", raw(tools=[TOOL, TOOL]), "tools"),
    ("DS-T3", raw(tools=[TOOL], tool_choice="required"), "Thinking mode does not support this tool_choice"),
    (
        "DS-T3",
        raw(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "f"}}),
        "Thinking mode does not support this tool_choice",
    ),
    ("DS-T7", raw(messages=[USER, RESULT], **OFF), "Messages with role 'tool' must be a response"),
    ("DS-T7", raw(messages=[USER, ASSISTANT, USER], **OFF), "insufficient tool messages"),
    ("DS-T7", raw(messages=[USER, ASSISTANT], **OFF), "insufficient tool messages"),
    ("DS-T7", raw(messages=[USER, ASSISTANT, {"role": "tool", "content": "a"}]), "missing field `tool_call_id`"),
    ("DS-J1", raw(response_format={"type": "json_schema"}), "response_format.type 'json_schema' is unavailable now"),
    ("DS-J2", raw(response_format={"type": "json_object"}), "Prompt must contain the word 'json' in some form"),
    (
        "DS-M1",
        raw(model="deepseek-v4-pro", messages=[{"role": "user", "content": [{"type": "image_url"}]}]),
        "messages[0]: unknown variant `image_url`, expected `text`",
    ),
    ("DS-M2", raw(messages=[{"role": "user", "content": [{"type": "file", "file": {}}]}]), "missing field `file_id`"),
    ("DS-P18", raw(messages=[USER, BEGUN], **OFF), "prefix is only available when using beta api"),
    ("DS-R4", raw(messages=[USER, ASSISTANT, RESULT]), "`reasoning_content` in the thinking mode must be passed back"),
]


@pytest.mark.parametrize(("fact", "body", "words"), REFUSED)
def test_emulator_refuses(fact, body, words):
    status, headers, data = post(body)
    assert status == 400
    assert words in data["error"]["message"]
    assert data["error"]["code"] == data["error"]["type"] == "invalid_request_error"
    assert data["error"]["param"] is None
    assert "x-request-id" not in headers
    assert len(headers["x-ds-trace-id"]) == 32


@pytest.mark.parametrize(
    "body",
    [
        raw(
            max_completion_tokens=1,
            seed=1,
            n=3,
            parallel_tool_calls=True,
            frequency_penalty=1,
            user="u",
            tool_choice=None,
        ),
        raw(tools=[TOOL], tool_choice="required", **OFF),
        raw(tools=[TOOL], tool_choice="auto"),
        raw(messages=[USER, {**ASSISTANT, "reasoning_content": ""}, RESULT]),
        raw(messages=[USER, ASSISTANT, RESULT], **OFF),
        raw(messages=[USER, ASSISTANT, RESULT, {"role": "assistant", "content": "a"}, USER]),
        raw(model="deepseek-v4-flash"),
        raw(response_format={"type": "json_object"}, messages=[{"role": "user", "content": "json please"}]),
        raw(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]),
    ],
)
def test_emulator_takes_what_the_vendor_takes(body):
    assert post(body)[0] == 200


def test_the_dead_limit_limits_nothing():
    """DS-P3"""
    _, _, data = post(raw(max_completion_tokens=2))
    assert data["choices"][0]["finish_reason"] == "stop"
    assert data["usage"]["completion_tokens"] > 2
    _, _, data = post(raw(max_tokens=2))
    assert data["choices"][0]["finish_reason"] == "length"


def test_keys_and_paths_and_bodies():
    status, _, data = post(raw(), key="sk-wrong", api_key="sk-right")
    assert (status, data["error"]["type"]) == (401, "authentication_error")
    assert data["error"]["message"] == "Authentication Fails, Your api key: ****rong is invalid"
    assert post(raw(), key="")[0] == 401
    for path in ("/embeddings", "/v2/chat/completions"):
        assert post(raw(), path=path)[::2] == (404, {"error_msg": "Not Found. Please check the configuration."})
    assert all(post(raw(), path=f"{base}/chat/completions")[0] == 200 for base in ("", "/v1", "/beta"))
    for content in (b"{", b"[]"):
        status, _, data = post(content)
        assert status == 400
        assert data["error"]["message"].startswith("Failed to deserialize the JSON body")


@pytest.mark.parametrize(
    ("status", "error", "retryable"),
    [
        (400, BadRequestError, False),
        (401, AuthenticationError, False),
        (402, QuotaExceededError, False),
        (403, PermissionDeniedError, False),
        (404, ModelNotFoundError, False),
        (422, BadRequestError, False),
        (429, RateLimitError, True),
        (500, ServerError, True),
        (503, OverloadedError, True),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_on_command(emulated, status, error, retryable, stream):
    client, emulator = emulated()
    with pytest.raises(error) as caught:
        list(client.stream(f"error: {status}", model=FLASH)) if stream else client.chat(f"error: {status}", model=FLASH)
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.retryable) == (status, retryable)
    assert len(emulator.requests) == 1


SMOOTH = [
    ("hello", {"tools": [get_weather], "tool_choice": "required"}),
    ("hello", {"tools": [get_weather], "tool_choice": "get_weather", "reasoning": "high", "temperature": 0.2}),
    ("hello", {"output": Place}),
    ("hello", {"extra": {"response_format": {"type": "json_object"}}}),
    ([Message.developer("Be brief."), "hello"], {}),
    ("hello", {"max_tokens": 1_000_000, "top_p": 0.0, "seed": 1, "extra": {"user": "a b", "top_logprobs": 1}}),
    ("hello", {"extra": {"stream_options": {"include_usage": True}, "tools": []}}),
    ("hello", {"extra": {"tools": [{"type": "web_search"}, TOOL]}}),
    ([Message.user("a"), {**ASSISTANT}, {**RESULT}], {"tools": [get_weather]}),
    ("hello", {"reasoning": 4096}),
]


@pytest.mark.parametrize(("messages", "options"), SMOOTH)
@pytest.mark.parametrize("stream", [False, True])
def test_client_smooths(emulated, messages, options, stream):
    client, emulator = emulated()
    if stream:
        reply = list(client.stream(messages, model=FLASH, **options))[-1].reply
    else:
        reply = client.chat(messages, model=FLASH, **options)
    assert reply.finish_reason in ("stop", "tool_calls")
    assert len(emulator.requests) == 1


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        ("hello", {}),
        ("hello", {"reasoning": "none"}),
        ("call: a {}\ncall: b {\"x\": [1, 2]}", {"tools": [Tool("a"), Tool("b")]}),
        ("say: one two three\nthink: because", {"reasoning": "max"}),
        ("say: one two three", {"max_tokens": 2, "reasoning": "none"}),
        ("where?", {"output": Place}),
    ],
)  # fmt: skip
def test_stream_gives_the_same_as_plain(emulated, messages, options):
    """DS-S1"""
    client, _ = emulated()
    plain = client.chat(messages, model=FLASH, **options)
    streamed = list(client.stream(messages, model=FLASH, **options))[-1].reply

    def shown(reply):
        calls = [(call.name, call.arguments) for call in reply.tool_calls]
        return reply.text, reply.reasoning, calls, reply.finish_reason, reply.usage.output_tokens

    assert shown(plain) == shown(streamed)


def test_reasoning_comes_before_text(emulated):
    """DS-S4"""
    client, _ = emulated()
    kinds = [type(event) for event in client.stream("say: a b\nthink: c d", model=FLASH)]
    assert kinds[:4] == [ReasoningDelta, ReasoningDelta, TextDelta, TextDelta]


def test_parallel_calls(emulated):
    """DS-S6, DS-S7: one after another, and `{}` where there are no arguments."""
    client, _ = emulated()
    tools = [Tool("a"), Tool("b")]
    events = list(client.stream('call: a {}\ncall: b {"x": "é"}', model=FLASH, tools=tools))
    indexes = [event.index for event in events if isinstance(event, ToolCallDelta)]
    assert indexes == sorted(indexes)
    ended = [(event.name, event.arguments) for event in events if isinstance(event, ToolCallEnded)]
    assert ended == [("a", "{}"), ("b", '{"x": "é"}')]
    ids = [call.id for call in events[-1].reply.tool_calls]
    assert [call_id[:8] for call_id in ids] == ["call_00_", "call_01_"]
    assert {len(call_id) for call_id in ids} == {32}


def test_a_tool_loop_keeps_its_reasoning(emulated):
    """DS-R4, DS-X2: across turns, and after a turn of the user's."""
    client, emulator = emulated()
    messages = ["weather in Oslo?"]
    first = client.chat(messages, model=FLASH, tools=[get_weather])
    messages += [first, Message.tool(first.tool_calls[0], "Sunny.")]
    second = client.chat(messages, model=FLASH, tools=[get_weather])
    assert "Sunny." in second.text
    messages += [second, "say: thanks"]
    client.chat(messages, model=FLASH, tools=[get_weather])
    sent = emulator.requests[-1].json()["messages"]
    assert [message.get("reasoning_content") for message in sent if message["role"] == "assistant"] == [
        first.reasoning,
        second.reasoning,
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output(emulated, stream):
    client, _ = emulated()
    if stream:
        reply = list(client.stream("where?", model=FLASH, output=Place))[-1].reply
    else:
        reply = client.chat("where?", model=FLASH, output=Place)
    assert reply.parsed() == Place("text", 1)


def test_blank_json_is_an_error(emulated):
    """DS-J3"""
    client, _ = emulated()
    reply = client.chat("say: not what was asked for", model=FLASH, output=Place)
    assert (reply.text.strip(), reply.finish_reason) == ("", "stop")
    with pytest.raises(MalformedReplyError):
        reply.parsed()


@pytest.mark.parametrize("form", ["merged", "separate"])
@pytest.mark.parametrize("stream", [False, True])
def test_usage_in_both_forms(emulated, form, stream):
    """DS-S8, DS-S9, DS-U1, DS-R2"""
    client, _ = emulated(usage_form=form, cached_tokens=4)

    def usage(**options):
        if stream:
            return list(client.stream("hello", model=FLASH, **options))[-1].reply.usage
        return client.chat("hello", model=FLASH, **options).usage

    thought, unthought = usage(), usage(reasoning="none")
    assert thought.cached_input_tokens == thought.raw["prompt_cache_hit_tokens"] == 4
    assert thought.input_tokens == 4 + thought.raw["prompt_cache_miss_tokens"]
    assert 0 < thought.reasoning_tokens < thought.output_tokens
    assert unthought.reasoning_tokens is None
    assert unthought.output_tokens == thought.output_tokens - thought.reasoning_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_heartbeats_are_no_answer(emulated, stream):
    """DS-S2, DS-X8"""
    client, emulator = emulated(keep_alives=3)
    reply = list(client.stream("say: hi", model=FLASH))[-1].reply if stream else client.chat("say: hi", model=FLASH)
    assert reply.text == "hi"
    pieces = emulator.vendor.respond(emulator.requests[0]).pieces
    assert list(pieces[:3]) == [b": keep-alive\n\n" if stream else b"\n"] * 3


@pytest.mark.parametrize("keep_alives", [0, 3])
def test_a_wait_without_an_answer(emulated, keep_alives):
    """DS-E10"""
    client, emulator = emulated(
        keep_alives=keep_alives, never_begins=True, retry={"attempts": 2, "first_seconds": 0, "longest_seconds": 0}
    )
    with pytest.raises(TransportError):
        client.chat("hello", model=FLASH)
    assert len(emulator.requests) == 2
    with pytest.raises((StreamInterruptedError, TransportError)):
        list(client.stream("hello", model=FLASH))
    assert len(emulator.requests) == 4


@pytest.mark.parametrize("word", ["insufficient_system_resource", "aborted"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_lack_of_capacity_is_no_ordinary_stop(emulated, word, stream):
    """DS-S10: what came is in the error, and it is never called complete."""
    client, _ = emulated(finish_reason=word)
    expected = OverloadedError if word == "insufficient_system_resource" else ServerError
    ask = (
        (lambda text: list(client.stream(text, model=FLASH)))
        if stream
        else (lambda text: client.chat(text, model=FLASH))
    )
    with pytest.raises(expected) as caught:
        ask("say: one two three four")
    assert caught.value.retryable
    assert caught.value.partial.text == "one two t"
    assert caught.value.partial.raw_finish_reason == word


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("limit", [1, 2])
def test_a_cut_call_is_not_complete(emulated, limit, stream):
    """DS-S11, DS-X5"""
    client, _ = emulated()
    options = {"model": FLASH, "tools": [Tool("f")], "max_tokens": limit, "reasoning": "none"}
    text = 'call: f {"city": "Oslo", "days": [1, 2, 3]}'
    reply = list(client.stream(text, **options))[-1].reply if stream else client.chat(text, **options)
    assert reply.finish_reason == "length"
    assert [call.complete for call in reply.tool_calls] == [False]
    with pytest.raises(MalformedReplyError):
        reply.tool_calls[0].parsed()


def test_the_budget_can_be_spent_on_thinking(emulated):
    """DS-R8"""
    client, _ = emulated()
    reply = client.chat("think: one two three four five", model=FLASH, max_tokens=3)
    assert (reply.text, reply.finish_reason, reply.reasoning) == ("", "length", "one two three")


def test_refusals_look_like_answers(emulated):
    """DS-S13"""
    client, _ = emulated()
    reply = client.chat("refuse: I cannot help with that.", model=FLASH)
    assert (reply.text, reply.refusal, reply.finish_reason) == ("I cannot help with that.", None, "stop")


def test_content_and_context(emulated):
    """DS-E3, DS-E4"""
    client, _ = emulated(blocked_words=("Forbidden",), context_tokens=100)
    with pytest.raises(ContentFilterError):
        client.chat("a forbidden word", model=FLASH)
    with pytest.raises(ContextLengthError):
        client.chat("a long text " * 100, model=FLASH)


def test_stop_strings_stop(emulated):
    client, _ = emulated()
    assert client.chat("say: alpha ZEBRA omega", model=FLASH, stop="ZEBRA").text == "alpha "


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs(emulated, stream):
    """DS-P9: the reasoning has a list of its own."""
    client, _ = emulated()
    options = {"model": FLASH, "extra": {"logprobs": True}}
    reply = list(client.stream("say: a b", **options))[-1].reply if stream else client.chat("say: a b", **options)
    assert [entry["token"] for entry in reply.logprobs["content"]] == ["a", " b"]
    assert "".join(entry["token"] for entry in reply.logprobs["reasoning_content"]) == reply.reasoning


def test_models_are_listed(emulated):
    client, _ = emulated()
    assert [model.id for model in client.models("deepseek")] == ["deepseek-flash", "deepseek-v4-pro"]


def test_an_unknown_model_is_told(emulated):
    client, _ = emulated()
    with pytest.raises(ModelNotFoundError, match="deepseek-flash or deepseek-v4-pro"):
        client.chat("hello", model="deepseek:deepseek-v9")


@pytest.mark.anyio
async def test_the_asynchronous_client_gets_the_same(emulated):
    emulator = Emulator("deepseek", keep_alives=1)
    async with AsyncClient(config=emulator.config(), transport=emulator.asynchronous()) as client:
        async with client.stream("say: hi", model=FLASH) as stream:
            text = "".join([event.text async for event in stream if isinstance(event, TextDelta)])
        reply = await client.chat("say: hi", model=FLASH)
    assert text == reply.text == "hi"
    assert reply.reasoning == stream.reply.reasoning


def test_it_serves_on_a_port():
    with Emulator("deepseek", keep_alives=2, api_key="sk-test") as emulator, Client(config=emulator.config()) as client:
        reply = client.chat("say: hi", model=FLASH)
        assert (reply.text, len(reply.request_id)) == ("hi", 32)
        assert "".join(e.text for e in client.stream("say: a b", model=FLASH) if isinstance(e, TextDelta)) == "a b"
        with pytest.raises(ChatportError, match="unknown variant"):
            client.chat("hello", model=FLASH, extra={"reasoning_effort": "huge"})
