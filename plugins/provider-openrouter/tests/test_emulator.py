"""The emulator refuses the raw wrong request, and our client never sends it; and what it says, it says in all forms."""

from __future__ import annotations

import json
import re

import attrs
import pytest

from chatport import (
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    Client,
    MalformedReplyError,
    Message,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    TextDelta,
    UnsupportedFeatureError,
)
from chatport.testing import EmulatedRequest, Emulator, faults, replay
from chatport_openrouter.emulator import OpenRouterEmulator

GPT, CLAUDE, GEMINI, DEEPSEEK = MODELS = (
    "openai/gpt-5.2", "anthropic/claude-sonnet-4.6", "google/gemini-3.5-flash", "deepseek/deepseek-v4-pro",
)  # fmt: skip
USER = {"role": "user", "content": "hello"}
CALLS = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
LOOP = [USER, {"role": "assistant", "content": None, "tool_calls": CALLS}, {"role": "tool", "tool_call_id": "1"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


@attrs.frozen
class Place:
    city: str
    people: int


def get_weather(city: str, day: str | None = None) -> str:
    """Tell the weather."""
    return f"Sunny in {city}."


def post(body, *, key="k", **settings):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    request = EmulatedRequest("POST", "/api/v1/chat/completions", headers, json.dumps(body).encode())
    response = OpenRouterEmulator(**settings).respond(request)
    return response.status, json.loads(response.body)


def raw(model=GPT, **fields):
    return {"model": model, "messages": [USER], **fields}


def typed(model=GPT, **schema):
    return raw(model, tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])


REFUSED = [
    ("OR-X10", raw("a/b"), {}, "a/b is not a valid model ID"),
    ("OR-P2", raw(temperature=3), {}, "temperature"),
    ("OR-P2", raw(stop=["x"] * 5), {}, "stop"),
    ("OR-P4", raw(reasoning={"effort": "high", "max_tokens": 9}), {}, "Only one"),
    ("OR-P4", raw(reasoning={"effort": "huge"}), {}, "effort"),
    ("OR-P5", raw(CLAUDE, reasoning={"max_tokens": 2000}, max_tokens=2000), {}, "must be greater"),
    ("OR-P6", raw(reasoning={"effort": "high"}, reasoning_effort="low"), {}, "Only one"),
    ("OR-P7", raw(reasoning={"effort": "none"}), {"mandatory_models": [GPT]}, "mandatory"),
    ("OR-T2", raw(tools=[TOOL]), {"toolless_models": [GPT]}, "support tool use"),
    ("OR-T3", typed(GEMINI, title="T"), {}, "title"),
    ("OR-T3", typed(GEMINI, properties={"a": {"anyOf": [{"type": "null"}]}}), {}, "anyOf"),
    ("OR-T3", typed(GEMINI, items={"enum": [1]}), {}, "enum"),
    ("OR-R2", raw(GEMINI, messages=LOOP, reasoning={"effort": "low"}), {}, "details to be preserved"),
    (
        "OR-R4",
        raw(CLAUDE, messages=[{"role": "assistant", "reasoning_details": [{"type": "reasoning.text"}]}, USER]),
        {},
        "Invalid `signature`",
    ),
    (
        "OR-J2",
        raw(response_format={"type": "json_object"}, provider={"require_parameters": True}),
        {"schemaless_models": [GPT]},
        "requested parameters",
    ),
    ("OR-X13", raw(), {"key": ""}, "Authentication"),
    ("OR-X13", raw(), {"api_key": "other"}, "User not found"),
]


@pytest.mark.parametrize(("fact", "body", "settings", "words"), REFUSED)
def test_emulator_refuses(fact, body, settings, words):
    status, data = post(body, **settings)
    assert status in (400, 401, 404)
    assert words in json.dumps(data)
    assert data["error"].get("code", 400) == status or "ZodError" in json.dumps(data)


def test_emulator_takes_what_the_vendor_takes():
    """OR-E8: a default model; OR-P6: old switches; OR-J2: a schema that is ignored."""
    assert post({"messages": [USER]})[1]["model"] == GPT
    assert post(raw(include_reasoning=True))[1]["choices"][0]["message"]["reasoning"]
    prose = post(raw(response_format={"type": "json_object"}), schemaless_models=[GPT])[1]
    assert prose["choices"][0]["message"]["content"].startswith("Hello")


SMOOTH = [
    ("hello", {"reasoning": "high", "temperature": 0.2, "max_tokens": 2000}),
    ("hello", {"reasoning": 3000, "max_tokens": 3000}),
    ("hello", {"reasoning": "low", "extra": {"reasoning": {"effort": "high"}}}),
    ("hello", {"tools": [get_weather], "tool_choice": "required", "reasoning": "high"}),
    ('call: get_weather {"city": "Oslo"}\ncall: get_weather {"city": "Rome"}', {"tools": [get_weather]}),
    ("hello", {"output": Place, "reasoning": "low"}),
    (["a", *LOOP[1:2], {**LOOP[2], "content": "r"}], {"tools": [get_weather]}),
]


@pytest.mark.parametrize(("messages", "options"), SMOOTH)
@pytest.mark.parametrize("model", MODELS)
def test_client_smooths(emulated, messages, options, model):
    """Plain and streamed replies say the same, and nothing of it is refused."""
    client, emulator = emulated()
    plain = client.chat(messages, model=f"openrouter:{model}", **options)
    events = list(client.stream(messages, model=f"openrouter:{model}", **options))
    streamed = events[-1].reply
    for reply in (plain, streamed):
        assert reply.finish_reason == ("tool_calls" if reply.tool_calls else "stop")
        assert reply.cost is not None and reply.cost.amount == reply.usage.raw["cost"] > 0  # noqa: PT018  # OR-U1
        assert reply.request_id == reply.id
    same = ("text", "reasoning", "finish_reason", "raw_finish_reason", "model")
    assert [getattr(plain, name) for name in same] == [getattr(streamed, name) for name in same]
    assert [call.arguments for call in plain.tool_calls] == [call.arguments for call in streamed.tool_calls]
    assert not isinstance(options.get("output"), type) or plain.parsed() == streamed.parsed() == Place("text", 1)
    assert len(emulator.requests) == 2


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [False, True])
def test_tool_loops_keep_their_reasoning(emulated, model, stream):
    """OR-R2, OR-R5, OR-S8, OR-S9, OR-R8: shown once, sealed parts never, and back as the vendor gave it."""
    client, emulator = emulated()
    messages = ["think: First Oslo.\ncall: get_weather {\"city\": \"Oslo\"}\ncall: get_weather {}"]  # fmt: skip
    options = {"model": f"openrouter:{model}", "tools": [get_weather], "reasoning": "high"}
    reply = list(client.stream(messages, **options))[-1].reply if stream else client.chat(messages, **options)
    assert reply.reasoning == "First Oslo."
    assert len(reply.tool_calls) == 2
    results = [Message.tool(call, "Sunny") for call in reply.tool_calls]
    assert client.chat([*messages, reply, *results], **options).text == "The tool says: Sunny"
    sent = emulator.requests[1].json()["messages"][1]["reasoning_details"]
    kinds = {
        GPT: ["reasoning.summary", "reasoning.encrypted"],
        GEMINI: ["reasoning.text", "reasoning.encrypted"],
    }
    assert [item["type"] for item in sent] == kinds.get(model, ["reasoning.text"])
    assert sent[0].get("text", sent[0].get("summary")) == "First Oslo."
    assert model == DEEPSEEK or any("signature" in item or "data" in item for item in sent)
    if not stream:
        assert sent == reply.raw["choices"][0]["message"]["reasoning_details"]


@pytest.mark.parametrize("stream", [False, True])
def test_repeated_ids_become_unique(emulated, stream):
    """OR-I8"""
    client, emulator = emulated(repeated_ids=True)
    messages, options = ["call: f {}\ncall: f {}"], {"model": f"openrouter:{GPT}", "tools": [TOOL]}
    events = list(client.stream(messages, **options)) if stream else []
    reply = events[-1].reply if stream else client.chat(messages, **options)
    first, second = (call.id for call in reply.tool_calls)
    assert second == f"{first}_1"
    results = [Message.tool(call, "done") for call in reply.tool_calls]
    client.chat([*messages, reply, *results], **options)
    assert [m["tool_call_id"] for m in emulator.requests[1].json()["messages"][2:]] == [first, second]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (402, QuotaExceededError),
        (403, PermissionDeniedError),
        (404, ModelNotFoundError),
        (429, RateLimitError),
        (500, ServerError),
        (502, ServerError),
        (503, OverloadedError),
    ],
)
@pytest.mark.parametrize("form", ["status", "in_200", "mid_stream"])
def test_errors_on_command(emulated, status, error, form):
    """OR-X2, OR-S6"""
    settings = {"retry_after": 2.5} if form == "status" else {f"error_{form}": status}
    client, _ = emulated(**settings)
    for stream in (True,) if form == "mid_stream" else (False, True):
        text = f"error: {status}" if form == "status" else "say: one two three"
        with pytest.raises(error) as caught:
            list(client.stream(text, model=f"openrouter:{GPT}")) if stream else client.chat(
                text, model="openrouter:" + GPT
            )
        assert type(caught.value) is error
        assert status not in (429, 502) or "Acme: The back end is busy." in str(caught.value)
        if (form, status) == ("status", 429):
            assert caught.value.retry_after_seconds == 2.5
        if form == "mid_stream":
            assert caught.value.partial.text


def test_errors_before_content_are_tried_again(emulated):
    client, emulator = emulated(retry={"attempts": 2}, retry_after=0.01)
    with pytest.raises(RateLimitError):
        client.chat("error: 429", model=f"openrouter:{GPT}")
    client, _ = emulated(no_choices=True)
    with pytest.raises(ServerError, match="no choices"):
        client.chat("hello", model=f"openrouter:{GPT}")
    assert len(emulator.requests) == 2


def test_what_no_route_can_do_is_told(emulated):
    client, _ = emulated(toolless_models=[GPT], schemaless_models=[CLAUDE], mandatory_models=[GPT])
    for options in ({"tools": [TOOL]}, {"reasoning": "none"}):
        with pytest.raises(UnsupportedFeatureError):
            client.chat("hello", model=f"openrouter:{GPT}", **options)
    with pytest.raises(UnsupportedFeatureError):
        client.chat("hello", model=f"openrouter:{CLAUDE}", output=Place)
    reply = client.chat(
        "hello", model=f"openrouter:{CLAUDE}", output=Place, extra={"provider": {"require_parameters": False}}
    )
    with pytest.raises(MalformedReplyError):
        reply.parsed()


def test_length_without_text(emulated):
    """OR-R7"""
    client, _ = emulated()
    reply = client.chat("think: a b c\nsay: d", model=f"openrouter:{GPT}", reasoning="low", max_tokens=2)
    assert (reply.text, reply.finish_reason) == ("", "length")


def test_models_are_listed(emulated):
    """OR-E3, OR-E4, OR-E5"""
    client, _ = emulated()
    models = client.models("openrouter")
    assert (models[0].id, models[0].context_tokens) == (GPT, 131_072)
    assert models[0].raw["pricing"] == {"prompt": "0.000001"}


@pytest.mark.anyio
async def test_async_is_the_same():
    emulator = Emulator("openrouter")
    async with AsyncClient(config=emulator.config(), transport=emulator) as client:
        reply = await client.chat("say: Hi", model=f"openrouter:{CLAUDE}", reasoning="low")
    assert (reply.text, reply.finish_reason) == ("Hi", "stop")


# --- odd replies


def test_a_reply_in_the_wrong_place():
    """OR-X2"""
    whole = {"id": "gen-1", "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
    reply = replay("openrouter", body=json.dumps({"choices": None, "provider": whole}), stream=False)
    assert (reply.text, reply.id, reply.finish_reason) == ("Hi", "gen-1", "stop")


def test_a_reply_in_its_place_is_read_there():
    """Whatever the field holds in which another one may be."""
    choices = [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]
    body = json.dumps({"id": "gen-2", "choices": choices, "provider": {"name": "Acme"}})
    reply = replay("openrouter", body=body, stream=False)
    assert (reply.text, reply.id) == ("Hi", "gen-2")


@pytest.mark.parametrize("stream", [False, True])
def test_parsed_files_are_kept(stream):
    """OR-M3: not the links of a web search."""
    file = {"type": "file", "file": {"hash": "h"}}
    message = {"content": "Hi", "annotations": [file, {"type": "url_citation"}]}
    choice = {"index": 0, "delta" if stream else "message": message, "finish_reason": "stop"}
    text = json.dumps({"choices": [choice]})
    reply = replay("openrouter", body=f"data: {text}\n\ndata: [DONE]\n\n" if stream else text, stream=stream)
    assert reply.message.opaque == {"annotations": [file]}


def chunks(*choices):
    lines = [json.dumps({"choices": [{"index": 0, **choice}]}) for choice in choices]
    return "".join(f": OPENROUTER PROCESSING\n\ndata: {line}\n\n" for line in lines) + "data: [DONE]\n\n"


CALL = {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": None}}]}
ENDINGS = [
    ("OR-S13", [{"delta": CALL, "finish_reason": None}], "", "tool_calls"),
    ("OR-T5", [{"delta": CALL}, {"delta": {}, "finish_reason": "stop"}], "", "tool_calls"),
    ("OR-S4", [{"delta": {"content": "a"}, "finish_reason": "length"}] * 2, "aa", "length"),
    ("OR-S3", [{"delta": {"content": "a"}, "finish_reason": "stop"}, {"delta": {}}], "a", "stop"),
]  # fmt: skip


@pytest.mark.parametrize(("fact", "choices", "text", "finish"), ENDINGS)
def test_endings(fact, choices, text, finish):
    """OR-S1, OR-S5, OR-S10"""
    reply = replay("openrouter", body=chunks(*choices), stream=True)
    assert (reply.text, reply.finish_reason) == (text, finish)
    assert all(call.arguments == "{}" for call in reply.tool_calls)


GOES_ON = ("deepseek/deepseek-v4-pro", "anthropic/claude-sonnet-4.5")
TEXT = "one two  three\tfour"


def cut_stream(model, events, **options):
    """Return emulator and stream of a call whose first answer is cut after so many events."""
    emulator = Emulator("openrouter", faults=[faults.cut(after_events=events), None], keep_alives=0)
    client = Client(config=emulator.config(retry={"continue_after_cut": True}), transport=emulator)
    return emulator, client.stream(f"think: hm\nsay: {TEXT}", model=f"openrouter:{model}", **options)


@pytest.mark.parametrize("reasoning", [None, "none", "low", 2000])
@pytest.mark.parametrize("model", GOES_ON)
@pytest.mark.parametrize("events", range(2, 6))
def test_a_cut_answer_goes_on(model, events, reasoning):
    """OR-P16: no word twice, none lost."""
    thoughts = int(reasoning not in (None, "none"))
    emulator, stream = cut_stream(model, events + thoughts, reasoning=reasoning)
    with stream:
        text = "".join(event.text for event in stream if isinstance(event, TextDelta))
    assert text == stream.reply.text == TEXT
    first, second = (json.loads(request.content) for request in emulator.requests)
    *before, begun = second["messages"]
    assert before == first["messages"]
    assert begun == {"role": "assistant", "content": "".join(re.findall(r"\s*\S+", TEXT)[: events - 1])}
    assert second["reasoning"] == {"effort": "none"}
    assert sum(warning.fact == "OR-P16" for warning in stream.reply.warnings) == thoughts


@pytest.mark.parametrize("model", [GPT, CLAUDE, GEMINI])
def test_other_models_do_not_go_on(model):
    emulator, stream = cut_stream(model, 3)
    with pytest.raises(StreamInterruptedError) as caught, stream:
        list(stream)
    assert caught.value.partial.text == "one two"
    assert caught.value.messages
    assert len(emulator.requests) == 1


def test_answers_that_anthropics_routes_do_not_continue():
    """OR-P16: the raw requests."""

    def begun(model, text="one", **fields):
        return post(raw(model, messages=[USER, {"role": "assistant", "content": text}], **fields))[0]

    assert begun(CLAUDE) == 400
    assert begun(GOES_ON[1], "one ") == 400
    assert begun(GOES_ON[1], reasoning={"effort": "low"}) == 400
    assert begun(GOES_ON[1]) == begun(GOES_ON[0], "one ") == 200


def test_an_exhausted_limit_is_waited_for():
    """OR-H1: the reset is a moment, by the server's clock."""
    headers = {"date": "Fri, 08 Aug 2025 15:40:34 GMT", "x-ratelimit-remaining": "0"}
    refused = faults.status(429, headers={**headers, "x-ratelimit-reset": "1754667634020"})
    emulator = Emulator("openrouter", faults=[refused, None])
    with Client(config=emulator.config(retry={"attempts": 2}), transport=emulator) as client:
        reply = client.chat("hi", model=f"openrouter:{GPT}")
    assert [attempt.outcome for attempt in reply.attempts] == ["RateLimitError", "ok"]
    assert reply.attempts[0].error.retry_after_seconds == pytest.approx(0.02, abs=1e-3)
