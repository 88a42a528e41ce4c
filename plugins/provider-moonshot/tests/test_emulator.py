"""The emulator refuses the raw wrong request, and our client never sends it; and what it says, it says in all forms."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import attrs
import msgspec
import pytest

from chatport import (
    AsyncClient,
    AuthenticationError,
    ChatportError,
    Client,
    ContentFilterError,
    ContextLengthError,
    Message,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ReasoningDelta,
    ServerError,
    TextDelta,
    Tool,
    ToolCallDelta,
    TransportError,
)
from chatport.testing import EmulatedRequest, Emulator, replay
from chatport_moonshot.emulator import MoonshotEmulator

K3, K27, K26 = "moonshot:kimi-k3", "moonshot:kimi-k2.7-code", "moonshot:kimi-k2.6"
ALL = (K3, "moonshot:kimi-k3.1-pro", K27, K26)
USER = {"role": "user", "content": "hello"}
OFF = {"thinking": {"type": "disabled"}}
CALLS = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "done"}
NAMED = {"type": "function", "function": {"name": "f"}}


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sunny in {city}."


@attrs.frozen
class Place:
    city: str
    people: Annotated[int, msgspec.Meta(ge=0)]
    twin: Place | None = None
    kind: Literal["town", 1, None] = None
    more: Any = None
    at: tuple[float, float] = (0.0, 0.0)


def post(body, *, key="k", path="/v1/chat/completions", method="POST", **settings):
    """Send a body to an emulator; return status and the decoded answer."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    response = MoonshotEmulator(**settings).respond(EmulatedRequest(method, path, headers, json.dumps(body).encode()))
    return response.status, json.loads(response.body)


def raw(model="kimi-k3", **fields):
    return {"model": model, "messages": [USER], **fields}


def tool(name="f", **schema):
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", **schema}}}


def with_part(**part):
    return raw(messages=[{"role": "user", "content": [part]}])


def with_property(part, **more):
    return raw(tools=[tool(properties={"x": part}, **more)])


REFUSED = [
    ("MS-P5", raw(temperature=0.3), "invalid temperature: only 1 is allowed for this model"),
    ("MS-P5", raw("kimi-k2.6", temperature=1, **OFF), "invalid temperature: only 0.6"),
    ("MS-P5", raw(top_p=1), "invalid top_p: only 0.95"),
    ("MS-P5", raw(n=2), "invalid n: only 1"),
    ("MS-P5", raw(presence_penalty=1), "invalid presence_penalty: only 0"),
    ("MS-P10", raw(logprobs=True), "invalid logprobs: only false"),
    ("MS-P4", raw(stop=["x"] * 6), "stop"),
    ("MS-P4", raw(stop=["x" * 33]), "stop"),
    ("MS-P7", raw(reasoning_effort="none"), "reasoning_effort"),
    ("MS-P8", raw("kimi-k2.7-code", **OFF), "invalid thinking: only type=enabled is allowed for this model"),
    ("MS-P13", raw(messages=[{"role": "developer", "content": "a"}]), "role 'developer' is not allowed"),
    ("MS-P14", raw(messages=[]), "messages must not be empty"),
    ("MS-P14", raw(messages=[{"role": "user", "content": ""}]), "must not be empty"),
    ("MS-X8", raw(messages=[USER, {"role": "assistant", "content": "", "tool_calls": CALLS, "reasoning_content": "r"},
                            RESULT]), "must not be empty"),
    ("MS-M1", with_part(type="image_url", image_url={"url": "https://example.org/a.png"}), "only data URLs"),
    ("MS-M1", with_part(type="input_audio"), "unsupported content type 'input_audio'"),
    ("MS-R3", raw(messages=[USER, {"role": "assistant", "content": None, "tool_calls": CALLS}, RESULT]),
     "reasoning_content is missing in assistant tool call message at index 1"),
    ("MS-T1", raw(tools=[tool("_f")]), "must start with a letter"),
    ("MS-T1", raw(tools=[tool()] * 129), "128"),
    ("MS-T2", raw(tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]),
     "tools.function.parameters is not a valid moonshot flavored json schema, details: <At path '': root"),
    ("MS-T3", with_property({"enum": ["a"]}), "At path 'properties.x': type is not defined"),
    ("MS-T3", with_property({"type": "string", "anyOf": [{"type": "string"}]}), "when using anyOf"),
    ("MS-T3", with_property({"$ref": "#/$defs/Y"}), "$ref must"),
    ("MS-T3", with_property({"type": "string", "enum": ["a", 1]}), "one primitive type"),
    ("MS-T3", with_property({"type": "object", "$defs": {}}), "$defs must be at the root"),
    ("MS-T4", with_property({"type": "string", "format": "uri"}), "keyword format is not supported"),
    ("MS-T8", raw(tools=[tool()], tool_choice=NAMED), "tool_choice 'specified' is incompatible with thinking enabled"),
    ("MS-T8", raw("kimi-k2.6", tools=[tool()], tool_choice=NAMED), "incompatible with thinking enabled"),
    ("MS-T8", raw("kimi-k2.6", tools=[tool()], tool_choice="required"), "required is not supported"),
    ("MS-J1", raw(response_format={"type": "json_schema", "json_schema": {"schema": {"type": "array"}}}),
     "response_format"),
]  # fmt: skip


@pytest.mark.parametrize(("fact", "body", "words"), REFUSED)
def test_emulator_refuses(fact, body, words):
    status, data = post(body)
    assert status == 400
    assert words in data["error"]["message"]
    assert set(data["error"]) == {"type", "message"}


@pytest.mark.parametrize(
    "body",
    [
        raw(temperature=1, top_p=0.95, n=1, frequency_penalty=0, logprobs=False),
        raw("kimi-k2.6", temperature=0.6, tools=[tool()], tool_choice=NAMED, **OFF),
        raw(tools=[tool()], tool_choice="required"),
        raw(**OFF),  # MS-P8: K3 ignores it
        raw("kimi-k2.6", messages=[USER, {"role": "assistant", "content": None, "tool_calls": CALLS}, RESULT], **OFF),
        raw(messages=[{"role": "system", "tools": [tool()]}, USER]),  # MS-P17
        raw(tools=[{"type": "builtin_function", "function": {"name": "$web_search"}}], tool_choice="none"),  # MS-T12
        with_part(type="video_url", video_url={"url": "ms://f"}),
    ],
)
def test_emulator_takes_what_the_vendor_takes(body):
    assert post(body)[0] == 200


@pytest.mark.parametrize("model", ALL)
def test_the_client_sends_nothing_that_is_refused(emulated, model):
    """MS-X1 to MS-X4: everything at once that other vendors take."""
    client, emulator = emulated()
    history = [
        Message.developer("Be brief."),
        Message.user("Weather?"),
        {"role": "assistant", "content": "", "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "call_1", "content": ""},
        Message.user("call: get_weather {}"),
    ]
    tools = [get_weather, Tool("_f"), Tool("schema", schema={"title": "S", "properties": {"x": {"enum": [1, "a"]}}})]
    sampling = {"temperature": 0, "top_p": 0.1, "seed": 1, "stop": ["x"], "max_tokens": 9000}
    for choice in ("auto", "none", "required", "get_weather"):
        for reasoning in (None, "none", "medium", 512):
            options: Any = {**sampling, "tools": tools, "tool_choice": choice, "reasoning": reasoning}
            client.chat(history, model=model, extra={"logprobs": True, "n": 2, "user": "u"}, **options)
    client.chat("hello", model=model, output=Place)
    assert len(emulator.requests) == 17


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("usage_form", ["choice", "both"])
def test_plain_and_streamed_replies_are_the_same(emulated, model, usage_form):
    """MS-S2, MS-S4, MS-S5, MS-R1, MS-R4, MS-U1, MS-L4"""
    client, _ = emulated(usage_form=usage_form, cached_tokens=4)
    question = "think: One and one.\nsay: It is two."
    plain = client.chat(question, model=model)
    with client.stream(question, model=model) as stream:
        events = list(stream)
    for reply in (plain, stream.reply):
        assert (reply.text, reply.reasoning, reply.finish_reason) == ("It is two.", "One and one.", "stop")
        assert (reply.usage.cached_input_tokens, reply.usage.reasoning_tokens) == (4, 3)
        assert len(reply.request_id) == 32
        assert reply.cost is not None
    kinds = [type(event) for event in events if isinstance(event, ReasoningDelta | TextDelta)]
    assert kinds == [ReasoningDelta] * 3 + [TextDelta] * 3


def test_usage_inside_the_choice_is_enough(emulated):
    """MS-S4, MS-S5: nobody asked for it, and it is there, without the cache."""
    client, emulator = emulated(cached_tokens=4)
    with client.stream("say: a", model=K3, extra={"stream_options": {}}) as stream:
        list(stream)
    assert json.loads(emulator.requests[0].content)["stream_options"] == {}
    assert (stream.reply.usage.output_tokens or 0) > 1
    assert stream.reply.usage.cached_input_tokens is None


def test_thinking_off(emulated):
    client, _ = emulated()
    reply = client.chat("think: hm\nsay: a", model=K26, reasoning="none")
    assert (reply.text, reply.reasoning, reply.usage.reasoning_tokens) == ("a", None, None)
    assert client.chat("think: hm\nsay: a", model=K26).reasoning == "hm"


@pytest.mark.parametrize("call_index", [True, False])
@pytest.mark.parametrize("model", [K3, K26])
def test_parallel_calls_and_the_way_back(emulated, model, call_index):
    """MS-S6, MS-T10, MS-R2, MS-R3"""
    client, emulator = emulated(call_index=call_index)
    question = 'think: Look.\ncall: get_weather {"city": "Oslo"}\ncall: get_weather {"city": "Rome"}'
    with client.stream(question, model=model, tools=[get_weather]) as stream:
        pieces = [event for event in stream if isinstance(event, ToolCallDelta)]
    reply = stream.reply
    assert len(pieces) > 4
    assert [call.parsed()["city"] for call in reply.tool_calls] == ["Oslo", "Rome"]
    assert reply.finish_reason == "tool_calls"
    results = [Message.tool(call, f"Sunny in {call.parsed()['city']}.") for call in reply.tool_calls]
    after = client.chat([question, reply, *results], model=model, tools=[get_weather])
    assert after.text == "The tool says: Sunny in Rome."
    assert after.warnings == ()
    assert json.loads(emulator.requests[1].content)["messages"][1]["reasoning_content"] == "Look."


def test_empty_call_ids(emulated):
    """MS-X7"""
    client, _ = emulated(empty_call_ids=True)
    question = 'call: get_weather {"city": "Oslo"}\ncall: get_weather {"city": "Rome"}'
    with client.stream(question, model=K3, tools=[get_weather]) as stream:
        list(stream)
    for reply in (client.chat(question, model=K3, tools=[get_weather]), stream.reply):
        ids = [call.id for call in reply.tool_calls]
        assert all(ids)
        assert len(set(ids)) == 2


@pytest.mark.parametrize("model", [K3, "moonshot:kimi-k3.1-pro"])
def test_forced_calls(emulated, model):
    """MS-T9"""
    client, _ = emulated()
    reply = client.chat("hello", model=model, tools=[Tool("other"), Tool("_own")], tool_choice="_own")
    assert [call.name for call in reply.tool_calls] == ["_own"]


@pytest.mark.parametrize("model", ALL)
def test_structured_output(emulated, model):
    """MS-J1, MS-J4"""
    client, _ = emulated()
    assert client.chat('say: {"city": "Oslo", "people": 3}', model=model, output=Place).parsed() == Place("Oslo", 3)
    assert client.chat("A place?", model=model, output=Place).parsed().city == "text"


def test_fenced_answers():
    """MS-J2"""
    text = '```json\n{"city": "Oslo"}\n```'
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    reply = replay("moonshot", body=json.dumps(body), stream=False, model="kimi-k2.6")
    assert reply.parsed() == {"city": "Oslo"}


def test_the_output_limit_holds(emulated):
    """MS-P1, MS-P2: thinking spends it first."""
    client, _ = emulated()
    reply = client.chat("think: a b c\nsay: one two three", model=K3, max_tokens=5)
    assert (reply.text, reply.finish_reason) == ("one two", "length")
    assert client.chat("think: a b c\nsay: one", model=K3, max_tokens=3).text == ""


ERRORS = [
    (400, {}, ContentFilterError), (401, {}, AuthenticationError), (403, {}, PermissionDeniedError),
    (404, {}, ModelNotFoundError), (429, {}, RateLimitError), (429, {"broke": True}, QuotaExceededError),
    (429, {"overloaded": True}, OverloadedError), (499, {}, TransportError), (500, {}, ServerError),
    (503, {}, ServerError),
]  # fmt: skip


@pytest.mark.parametrize(("status", "settings", "error"), ERRORS)
def test_errors(emulated, status, settings, error):
    """MS-X6, MS-L2: with one attempt set, none is repeated."""
    client, emulator = emulated(**settings)
    with pytest.raises(error) as caught:
        client.chat(f"error: {status}", model=K3)
    assert type(caught.value) is error
    assert caught.value.retry_after_seconds == (1.0 if settings.get("overloaded") else None)
    assert len(emulator.requests) == 1


REFUSALS = [
    ({"api_key": "other"}, "hello", K3, {}, AuthenticationError),
    ({}, "hello", "moonshot:kimi-k1", {}, ModelNotFoundError),
    ({"blocked_words": ("bomb",)}, "a bomb", K3, {}, ContentFilterError),
    ({"context_tokens": 100}, "word " * 200, K3, {}, ContextLengthError),
    ({"context_tokens": 100}, "word", K3, {"max_tokens": 99}, ContextLengthError),
]


@pytest.mark.parametrize(("settings", "text", "model", "options", "error"), REFUSALS)
def test_refusals_become_errors(settings, text, model, options, error):
    """MS-E1, MS-E2, MS-E3, MS-E5, MS-E7"""
    emulator = Emulator("moonshot", **settings)
    config = emulator.config()
    config["providers"]["moonshot"]["api_key"] = "k"
    with Client(config=config, transport=emulator) as client, pytest.raises(error) as caught:
        client.chat(text, model=model, **options)
    assert not caught.value.retryable


def test_model_list(emulated):
    """MS-N2"""
    client, _ = emulated()
    models = {model.id: model for model in client.models("moonshot")}
    assert models["kimi-k3"].context_tokens == 1_048_576
    assert models["kimi-k2.6"].raw["supports_image_in"] is True
    assert post({}, path="/v1/embeddings")[0] == 404
    assert post({}, key="")[0] == 401


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_same_without_threads(anyio_backend):
    emulator = Emulator("moonshot")
    async with AsyncClient(config=emulator.config(), transport=emulator) as client:
        reply = await client.chat("say: hi", model=K3)
        assert reply.text == "hi"
        with pytest.raises(ChatportError):
            await client.chat("error: 401", model=K3)
