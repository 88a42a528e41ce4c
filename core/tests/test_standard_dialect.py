"""The standard dialect: the request for each option, and every shape of answer that servers really send."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import chatport
from chatport.basics.durations import go_duration_seconds
from chatport.call import Call, Context, OutputSpec, Tool, ToolChoice, WireRequest
from chatport.errors import (
    ChatportError,
    ConfigurationError,
    MalformedReplyError,
    ServerError,
    StreamInterruptedError,
    UnsupportedFeatureError,
)
from chatport.events import Finished, ReasoningDelta, TextDelta, ToolCallDelta, ToolCallEnded
from chatport.facts import ModelFacts
from chatport.plugins.registry import build_plan
from chatport.provider import Dialect, Provider
from chatport.setup.shaping import check_content, shape
from chatport.standard.tools import wire_name
from chatport.testing import decode_events, replay
from chatport.types import AudioPart, FilePart, ImagePart, Message, Reply, TextPart, ToolCall, Usage

# --- requests

PROVIDER = Provider("p", "Acme", "https://p.example/v1")
HELLO = Call((Message.user("hello"),))
WEATHER = Tool("weather", "Tell the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})


def wire_of(
    call: Call, *, provider: Provider = PROVIDER, facts: ModelFacts | None = None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the body, and the kinds and fields of the adjustments."""
    context = Context(provider, "m", provider.base_url, facts or ModelFacts())
    wire, _ = shape(build_plan(provider), call, context)
    assert wire.path == provider.dialect.chat_path
    return dict(wire.body), tuple(f"{note.kind} {note.field}" for note in wire.adjustments)


def body_of(provider: Provider = PROVIDER, **options: Any) -> dict[str, Any]:
    body, notes = wire_of(attrs.evolve(HELLO, **options), provider=provider)
    assert notes == ()
    return body


PLAIN = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
FUNCTION = {
    "type": "function",
    "function": {"name": "weather", "description": "Tell the weather.", "parameters": WEATHER.schema},
}
SCHEMA = {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({}, {}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"stop": ("a", "b")}, {"stop": ["a", "b"]}),
        ({"seed": 0}, {"seed": 0}),
        ({"reasoning": "high"}, {"reasoning_effort": "high"}),
        ({"reasoning": "none"}, {"reasoning_effort": "none"}),
        ({"tools": (WEATHER,)}, {"tools": [FUNCTION]}),
        (
            {"tools": (WEATHER,), "tool_choice": ToolChoice("required")},
            {"tools": [FUNCTION], "tool_choice": "required"},
        ),
        (
            {"tools": (WEATHER,), "tool_choice": ToolChoice("named", "weather")},
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
        ),
        ({"tool_choice": ToolChoice("none")}, {}),
        (
            {"output": OutputSpec("o", SCHEMA)},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "o", "schema": SCHEMA, "strict": True},
                }
            },
        ),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"extra": {"top_k": 5, "temperature": 1}}, {"top_k": 5, "temperature": 1}),
        ({"extra": {"model": "other"}}, {"model": "other"}),
    ],
    ids=str,
)
def test_each_option_has_its_field(options: dict[str, Any], fields: dict[str, Any]) -> None:
    """An option that is given appears as its field, and one that is not given does not appear."""
    assert body_of(**options) == {**PLAIN, **fields}


def test_the_dialect_is_data() -> None:
    """Field names, roles, usage and paths follow the provider's dialect."""
    dialect = Dialect(
        max_tokens_field="max_completion_tokens",
        developer_role="developer",
        system_role="user",
        include_usage=False,
        chat_path="/talk",
    )
    provider = attrs.evolve(PROVIDER, dialect=dialect)
    assert body_of(provider, max_tokens=5, stream=True) == {**PLAIN, "max_completion_tokens": 5, "stream": True}
    roles = [
        message["role"]
        for message in body_of(provider, messages=(Message.system("s"), Message.developer("d")))["messages"]
    ]
    assert roles == ["user", "developer"]
    roles = [message["role"] for message in body_of(messages=(Message.system("s"), Message.developer("d")))["messages"]]
    assert roles == ["system", "system"]


def test_a_budget_has_no_field() -> None:
    """A reasoning budget in tokens is dropped with a warning: the standard has no field for it."""
    assert wire_of(attrs.evolve(HELLO, reasoning=500)) == (PLAIN, ("dropped reasoning",))


def test_limits_of_the_model() -> None:
    """More output than the model writes is lowered with a warning; within the limit nothing is said."""
    facts = ModelFacts(max_output_tokens=100)
    assert wire_of(attrs.evolve(HELLO, max_tokens=101), facts=facts) == (
        {**PLAIN, "max_tokens": 100},
        ("lowered max_tokens",),
    )
    assert wire_of(attrs.evolve(HELLO, max_tokens=100), facts=facts) == ({**PLAIN, "max_tokens": 100}, ())


def test_what_cannot_be_sent_is_refused() -> None:
    """Too many stop strings, too many tools, and tools for a model without them are errors before anything is sent."""
    provider = attrs.evolve(PROVIDER, dialect=Dialect(stop_limit=1))
    with pytest.raises(UnsupportedFeatureError, match=r"Acme takes at most 1 stop strings, not 2"):
        wire_of(attrs.evolve(HELLO, stop=("a", "b")), provider=provider)
    two = attrs.evolve(HELLO, tools=(WEATHER, Tool("other")))
    with pytest.raises(UnsupportedFeatureError, match=r"Acme takes at most 1 tools, not 2"):
        wire_of(two, facts=ModelFacts(max_tools=1))
    with pytest.raises(UnsupportedFeatureError, match=r"m cannot call tools") as caught:
        wire_of(two, facts=ModelFacts(tools=False))
    assert (caught.value.provider, caught.value.model) == ("p", "m")


def test_tool_names_are_made_fit() -> None:
    """A name that servers refuse is sent in a form they take, unique and with a warning, also in the choice."""
    tools = (Tool("wetter für dich"), Tool("wetter fur dich"), Tool("x" * 80), Tool("fine-name_1"))
    call = attrs.evolve(HELLO, tools=tools, tool_choice=ToolChoice("named", "wetter für dich"))
    body, notes = wire_of(call)
    names = [tool["function"]["name"] for tool in body["tools"]]
    assert len(set(names)) == 4
    assert all(
        name.replace("_", "").replace("-", "").isalnum() and name.isascii() and len(name) <= 64 for name in names
    )
    assert names[3] == "fine-name_1"
    assert body["tool_choice"]["function"]["name"] == names[0]
    assert notes == (
        "renamed tools.wetter für dich.name",
        "renamed tools.wetter fur dich.name",
        f"renamed tools.{'x' * 80}.name",
    )


@given(st.text(min_size=1))
def test_any_name_is_made_fit(name: str) -> None:
    """Whatever a tool is called, the name sent is one that servers take; a good one is not touched."""
    sent = wire_name(name)
    assert 0 < len(sent) <= 64
    assert all(c.isascii() and (c.isalnum() or c in "_-") for c in sent)
    assert wire_name(sent) == sent


def test_strict_is_passed_on() -> None:
    """`strict` is sent when the caller says it, and a description only when there is one."""
    body = body_of(tools=(Tool("t", "", SCHEMA, False),))
    assert body["tools"] == [{"type": "function", "function": {"name": "t", "parameters": SCHEMA, "strict": False}}]


def test_a_request_is_changed_by_new_values() -> None:
    """Each method of a WireRequest gives a new one with the change and its note, and leaves the old one as it was."""
    wire = WireRequest("/chat", {"a": 1, "b": 2})
    notes = [
        (wire.set("c", 3), {"a": 1, "b": 2, "c": 3}, []),
        (wire.update({"a": 0}), {"a": 0, "b": 2}, []),
        (wire.add("c", 3, "why", "F1"), {"a": 1, "b": 2, "c": 3}, ["added c: why (F1)"]),
        (wire.drop("a", "why"), {"b": 2}, ["dropped a: why"]),
        (wire.discard("a"), {"b": 2}, []),
        (wire.lower("a", 0, "why"), {"a": 0, "b": 2}, ["lowered a: why"]),
        (wire.rename("a", "z"), {"z": 1, "b": 2}, ["renamed a: sent as z"]),
        (wire.note("note", "a", "why"), {"a": 1, "b": 2}, ["note a: why"]),
    ]
    for changed, body, said in notes:
        assert (changed.body, list(map(str, changed.adjustments))) == (body, said)
        assert list(changed.body) == list(body)
    for same in (wire.update({}), wire.drop("x", "why"), wire.discard("x"), wire.rename("x", "y")):
        assert same is wire
    assert wire.with_headers({"h": "1"}).with_headers({"i": "2"}).headers == {"h": "1", "i": "2"}
    assert (wire.body, wire.adjustments) == ({"a": 1, "b": 2}, ())


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (ImagePart("https://h/x.png"), "has an image part"),
        (FilePart("f"), "has a file part"),
        (AudioPart("", "wav"), "has an"),
    ],
)
def test_content_that_a_model_does_not_take_is_refused(part: Any, words: str) -> None:
    """Content of a kind the model is known not to take is an error: dropping it would be silently wrong."""
    call = attrs.evolve(HELLO, messages=(Message.user("a"), Message.user(part)))
    with pytest.raises(UnsupportedFeatureError, match=r"m takes text, and messages\[1\] " + words):
        check_content(call, Context(PROVIDER, "m", "", ModelFacts(input=("text",))))
    check_content(call, Context(PROVIDER, "m", ""))


CALL = ToolCall("c1", "weather", '{"city":  "Bonn"}')
WIRE_CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":  "Bonn"}'}}


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (Message.system("s"), {"role": "system", "content": "s"}),
        (Message.user("a", "b"), {"role": "user", "content": "ab"}),
        (Message.assistant("hi"), {"role": "assistant", "content": "hi"}),
        (Message.assistant(), {"role": "assistant", "content": ""}),
        (Message.assistant(tool_calls=(CALL,)), {"role": "assistant", "content": None, "tool_calls": [WIRE_CALL]}),
        (
            Message.assistant("so", tool_calls=(ToolCall("c", "f", ""),)),
            {
                "role": "assistant",
                "content": "so",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
        ),
        (Message("assistant", refusal="no"), {"role": "assistant", "content": None, "refusal": "no"}),
        (Message("assistant", (TextPart("x"),), refusal="no"), {"role": "assistant", "content": "x"}),
        (Message.tool(CALL, "sun"), {"role": "tool", "tool_call_id": "c1", "content": "sun"}),
        (Message.tool("c1", "sun", " and rain"), {"role": "tool", "tool_call_id": "c1", "content": "sun and rain"}),
        (Message("user", (TextPart("x"),), name="ann"), {"role": "user", "name": "ann", "content": "x"}),
        (Message("user", (TextPart("x"),), extra={"w": 1}), {"role": "user", "content": "x", "w": 1}),
    ],
    ids=str,
)
def test_messages(message: Message, wire: dict[str, Any]) -> None:
    """Every kind of message has its standard form; arguments go back exactly as they came."""
    assert body_of(messages=(message,))["messages"] == [wire]


@pytest.mark.parametrize(
    ("part", "wire"),
    [
        (
            TextPart("a", {"cache_control": {"type": "ephemeral"}}),
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        ),
        (ImagePart("https://h/x.png"), {"type": "image_url", "image_url": {"url": "https://h/x.png"}}),
        (
            ImagePart("https://h/x.png", "low"),
            {"type": "image_url", "image_url": {"url": "https://h/x.png", "detail": "low"}},
        ),
        (
            ImagePart.from_bytes(b"x", "image/png"),
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}},
        ),
        (AudioPart("eA==", "wav"), {"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}}),
        (FilePart("f1"), {"type": "file", "file": {"file_id": "f1"}}),
        (
            FilePart(data="data:x", filename="a.pdf"),
            {"type": "file", "file": {"file_data": "data:x", "filename": "a.pdf"}},
        ),
    ],
    ids=str,
)
def test_parts(part: Any, wire: dict[str, Any]) -> None:
    """Every kind of part has its standard form, beside text in the order given."""
    assert body_of(messages=(Message.user("look", part),))["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "look"}, wire]}
    ]


def test_reasoning_goes_back_only_to_its_origin() -> None:
    """Reasoning is sent in the dialect's field to the provider that wrote it, if it wants it, and to no other."""
    wants = attrs.evolve(PROVIDER, dialect=Dialect(reasoning_field="reasoning_content"))
    own, foreign = Reply(text="a", reasoning="because", provider="p"), Reply(text="a", reasoning="b", provider="q")
    plain = {"role": "assistant", "content": "a"}
    assert body_of(wants, messages=(own.message,))["messages"] == [{**plain, "reasoning_content": "because"}]
    assert body_of(wants, messages=(foreign.message,))["messages"] == [plain]
    assert body_of(messages=(own.message,))["messages"] == [plain]
    unsigned = Message("assistant", (TextPart("a"),), reasoning="mine")
    assert body_of(wants, messages=(unsigned,))["messages"] == [{**plain, "reasoning_content": "mine"}]


def test_opaque_values_are_not_sent_by_the_standard() -> None:
    """What one vendor wants back stays out of the standard's messages."""
    message = Reply(text="a", provider="p", opaque={"signature": "secret"}).message
    assert body_of(messages=(message,))["messages"] == [{"role": "assistant", "content": "a"}]


def test_a_body_that_is_no_json_is_refused() -> None:
    """A value that JSON does not have is an error before anything is sent."""
    config = {"providers": {"x": {"kind": "compatible", "base_url": "https://h.example"}}}
    client = chatport.Client(config)
    for value in (object(), {1, object()}, ["\ud800", object()]):
        with pytest.raises(ConfigurationError, match=r"The request cannot be written as JSON"):
            client.explain("hi", model="x:m", extra={"value": value})


# --- streams


def sse(*chunks: Any, end: str = "data: [DONE]\n\n") -> bytes:
    lines = [chunk if isinstance(chunk, str) else f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return ("".join(lines) + end).encode()


def delta(content: Any = None, index: Any = 0, finish: Any = None, **fields: Any) -> dict[str, Any]:
    held = {"content": content} if content is not None else {}
    return {"choices": [{"index": index, "delta": {**held, **fields}, "finish_reason": finish}]}


def tools(*fragments: dict[str, Any]) -> dict[str, Any]:
    return delta(tool_calls=list(fragments))


STOP = delta(finish="stop")
CALLS = delta(finish="tool_calls")


def streamed(*chunks: Any, end: str = "data: [DONE]\n\n") -> Reply:
    """Return the reply of a stream, and see to it that every way of cutting and handing over gives the same."""
    data = sse(*chunks, end=end)
    reply = replay("compatible", body=data, stream=True)
    halves = [data[: len(data) // 2], data[len(data) // 2 :]]
    for pieces in (halves, [data[at : at + 1] for at in range(len(data))]):
        assert replay("compatible", body=pieces, stream=True) == reply
        events = decode_events("compatible", body=pieces, stream=True)
        assert isinstance(events[-1], Finished)
        assert "".join(e.text for e in events if isinstance(e, TextDelta) and e.choice == 0) == reply.text
        assert "".join(e.text for e in events if isinstance(e, ReasoningDelta) and e.choice == 0) == (
            reply.reasoning or ""
        )
        ended = [(e.id, e.name, e.arguments) for e in events if isinstance(e, ToolCallEnded) and e.choice == 0]
        assert ended == [(call.id, call.name, call.arguments) for call in reply.tool_calls if call.complete]
    return reply


def test_a_plain_stream() -> None:
    """Text pieces are joined; id, model, finish and usage are read; nothing is missing."""
    first = {"id": "r1", "model": "m-2026", "system_fingerprint": "f", **delta("", role="assistant")}
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    reply = streamed(first, delta("Hel"), delta("lo"), STOP, usage)
    assert (reply.text, reply.finish_reason, reply.raw_finish_reason) == ("Hello", "stop", "stop")
    assert (reply.id, reply.model, reply.usage.total_tokens) == ("r1", "m-2026", 5)
    assert reply.raw["system_fingerprint"] == "f"
    assert reply.warnings == ()


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": []},
        {"choices": None},
        {},
        {"choices": [None]},
        {"choices": 5},
        {"choices": {}},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [{"index": 0}]},
        {"choices": [{"delta": {}, "index": None}]},
        {"choices": [{"index": 0, "delta": {"content": None, "tool_calls": None, "role": None}, "finish_reason": ""}]},
        "data:\n\n",
        "data: \n\n",
        ": ping\n\n",
        "event: ping\ndata: {}\n\n",
        "event: x\n\n",
        "\n\n",
        "retry: 5\n\n",
    ],
    ids=str,
)
def test_chunks_that_say_nothing(odd: Any) -> None:
    """Empty, null or missing choices, empty deltas, heartbeats and named events of the server's own change nothing."""
    reply = streamed(odd, delta("a"), odd, delta("b"), odd, STOP, odd)
    assert (reply.text, reply.finish_reason) == ("ab", "stop")


FRAGMENTS: list[tuple[str, list[dict[str, Any]], list[tuple[str, str, str]]]] = [
    (
        "as the standard has it",
        [
            tools({"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}),
            tools({"index": 0, "function": {"arguments": '{"x":'}}),
            tools({"index": 0, "function": {"arguments": "1}"}}),
            tools({"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}),
        ],
        [("a", "f", '{"x":1}'), ("b", "g", "{}")],
    ),
    (
        "missing index, whole calls",
        [
            tools({"id": "a", "function": {"name": "f", "arguments": "{}"}}),
            tools({"id": "b", "function": {"name": "f", "arguments": "{}"}}),
        ],
        [("a", "f", "{}"), ("b", "f", "{}")],
    ),
    (
        "missing index, in pieces",
        [
            tools({"id": "a", "function": {"name": "f", "arguments": '{"x"'}}),
            tools({"function": {"arguments": ":1}"}}),
            tools({"id": "b", "function": {"name": "g"}}),
            tools({"function": {"arguments": "{}"}}),
        ],
        [("a", "f", '{"x":1}'), ("b", "g", "{}")],
    ),
    (
        "index 0 for all, with ids",
        [
            tools({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}),
            tools({"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}}),
        ],
        [("a", "f", "{}"), ("b", "g", "{}")],
    ),
    (
        "empty id and name later",
        [
            tools({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}),
            tools({"index": 0, "id": "", "function": {"name": "", "arguments": "}"}}),
        ],
        [("a", "f", "{}")],
    ),
    (
        "null id and name later",
        [
            tools({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": None}}),
            tools({"index": 0, "id": None, "function": {"name": None, "arguments": "{}"}}),
        ],
        [("a", "f", "{}")],
    ),
    (
        "id and name repeated",
        [
            tools({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}),
            tools({"index": 0, "id": "a", "function": {"name": "f", "arguments": "}"}}),
        ],
        [("a", "f", "{}")],
    ),
    (
        "id repeated, no index",
        [
            tools({"id": "a", "function": {"name": "f", "arguments": "{"}}),
            tools({"id": "a", "function": {"arguments": "}"}}),
        ],
        [("a", "f", "{}")],
    ),
    (
        "a new id for each fragment",
        [
            tools({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}),
            tools({"index": 0, "id": "b", "function": {"arguments": "}"}}),
        ],
        [("a", "f", "{}")],
    ),
    (
        "interleaved",
        [
            tools(
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}},
                {"index": 1, "id": "b", "function": {"name": "g", "arguments": "["}},
            ),
            tools({"index": 1, "function": {"arguments": "]"}}, {"index": 0, "function": {"arguments": "}"}}),
        ],
        [("a", "f", "{}"), ("b", "g", "[]")],
    ),
    (
        "index from 1",
        [tools({"index": 1, "id": "a", "function": {"name": "f", "arguments": "{}"}})],
        [("a", "f", "{}")],
    ),
    ("no arguments at all", [tools({"index": 0, "id": "a", "function": {"name": "f"}})], [("a", "f", "{}")]),
    (
        "blank arguments",
        [tools({"index": 0, "id": "a", "function": {"name": "f", "arguments": " "}})],
        [("a", "f", "{}")],
    ),
    (
        "arguments as an object",
        [tools({"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": [1]}}})],
        [("a", "f", '{"x":[1]}')],
    ),
    ("no id", [tools({"index": 0, "function": {"name": "f", "arguments": "{}"}})], [("call_0", "f", "{}")]),
    (
        "a single fragment that is no list",
        [delta(tool_calls={"index": 0, "id": "a", "function": {"name": "f"}})],
        [("a", "f", "{}")],
    ),
    (
        "nonsense among the fragments",
        [delta(tool_calls=[None, 5, {"index": 0, "id": "a", "function": {"name": "f"}}])],
        [("a", "f", "{}")],
    ),
    (
        "half an emoji in the arguments",
        [
            tools({"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x":"\ud83d'}}),
            tools({"index": 0, "function": {"arguments": '\ude00"}'}}),
        ],
        [("a", "f", '{"x":"\U0001f600"}')],
    ),
    (
        "the retired function_call",
        [
            delta(function_call={"name": "f", "arguments": ""}),
            delta(function_call={"arguments": "{"}),
            delta(function_call={"arguments": "}"}),
        ],
        [("call_0", "f", "{}")],
    ),
]


@pytest.mark.parametrize(("name", "chunks", "calls"), FRAGMENTS, ids=[name for name, _, _ in FRAGMENTS])
def test_tool_fragments(name: str, chunks: list[dict[str, Any]], calls: list[tuple[str, str, str]]) -> None:
    """Fragments of tool calls are joined by id, then index, then order, however the server numbers them."""
    reply = streamed(*chunks, CALLS)
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == calls
    assert reply.finish_reason == "tool_calls"
    assert all(call.complete for call in reply.tool_calls)


def test_a_stop_with_calls_is_tool_calls() -> None:
    """Some servers end a reply with calls as an ordinary stop: the calls decide."""
    reply = streamed(tools({"index": 0, "id": "a", "function": {"name": "f"}}), STOP)
    assert (reply.finish_reason, reply.raw_finish_reason) == ("tool_calls", "stop")


def test_a_call_cut_by_length_is_not_complete() -> None:
    """When the token limit cuts a call, that call is marked, does not end, and its arguments cannot be parsed."""
    whole = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    cut = {"index": 1, "id": "b", "function": {"name": "g", "arguments": '{"x": {}'}}
    reply = streamed(tools(whole, cut), delta(finish="length"))
    assert [(call.complete, call.arguments) for call in reply.tool_calls] == [(True, "{}"), (False, '{"x": {}')]
    assert reply.finish_reason == "length"
    with pytest.raises(MalformedReplyError, match=r"was cut while its arguments"):
        reply.tool_calls[1].parsed()


U: dict[str, Any] = {"prompt_tokens": 5, "completion_tokens": 2}


@pytest.mark.parametrize(
    "chunks",
    [
        [delta("a"), STOP, {"choices": [], "usage": U}],
        [delta("a"), STOP, {"choices": None, "usage": U}],
        [delta("a"), STOP, {"usage": U}],
        [delta("a"), {**STOP, "usage": U}],
        [delta("a"), {"choices": [{**STOP["choices"][0], "usage": U}]}],
        [{**delta("a"), "usage": {"prompt_tokens": 5, "completion_tokens": 1}}, {**STOP, "usage": U}],
        [{**delta("a"), "usage": None}, {**STOP, "usage": U}],
        [{**delta("a"), "usage": U}, {**STOP, "usage": None}],
        [{"choices": [], "usage": U}, delta("a"), STOP],
        [delta("a"), STOP, {"choices": [], "usage": {"input_tokens": 5, "output_tokens": 2}}],
        [delta("a"), STOP, {"choices": [], "usage": {"prompt_tokens": 5.0, "completion_tokens": 2}}],
    ],
)
def test_usage_in_all_its_places(chunks: list[Any]) -> None:
    """Usage is read wherever it is, and a later report replaces an earlier one, since it is cumulative."""
    usage = streamed(*chunks).usage
    assert (usage.input_tokens, usage.output_tokens) == (5, 2)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, (None, None, None)),
        ({"prompt_tokens_details": {"cached_tokens": 3}}, (3, None, None)),
        ({"prompt_tokens_details": {"cached_tokens": 0}}, (0, None, None)),
        ({"prompt_tokens_details": None, "completion_tokens_details": None}, (None, None, None)),
        ({"input_tokens_details": {"cached_tokens": 3}}, (3, None, None)),
        ({"prompt_cache_hit_tokens": 3}, (3, None, None)),
        ({"cached_tokens": 3}, (3, None, None)),
        ({"prompt_tokens_details": {"cache_write_tokens": 4}}, (None, 4, None)),
        ({"cache_creation_input_tokens": 4, "cache_read_input_tokens": 3}, (3, 4, None)),
        ({"completion_tokens_details": {"reasoning_tokens": 1}}, (None, None, 1)),
        ({"output_tokens_details": {"reasoning_tokens": 1}}, (None, None, 1)),
        ({"reasoning_tokens": 1}, (None, None, 1)),
        ({"cached_tokens": True, "reasoning_tokens": "1"}, (None, None, None)),
    ],
)
def test_usage_details(more: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """Cache and reasoning counts are read from every place; missing or null is unknown, never 0."""
    usage = streamed(delta("a"), STOP, {"choices": [], "usage": {**U, **more}}).usage
    assert (usage.cached_input_tokens, usage.cache_write_tokens, usage.reasoning_tokens) == expected
    assert usage.raw == {**U, **more}


@pytest.mark.parametrize("usage", [None, {}, [], "x", {"prompt_tokens": None}, {"prompt_tokens": True}])
def test_usage_that_says_nothing_is_unknown(usage: Any) -> None:
    """No counts are unknown counts, with a warning, and no cost."""
    reply = streamed(delta("a"), STOP, {"choices": [], "usage": usage})
    assert reply.usage == Usage()
    assert reply.cost is None
    assert [note.field for note in reply.warnings] == ["usage"]


def test_an_emoji_split_over_chunks() -> None:
    """Halves of a surrogate pair, written as escapes in two chunks, are put together, in every text."""
    text = streamed(delta("a\ud83d"), delta("\ude00b"), STOP)
    assert text.text == "a\U0001f600b"
    both = streamed(
        delta(reasoning_content="\ud83d"), delta("\ud83d"), delta(reasoning_content="\ude00"), delta("\ude01"), STOP
    )
    assert (both.reasoning, both.text) == ("\U0001f600", "\U0001f601")
    assert streamed(delta(refusal="\ud83d"), delta(refusal="\ude00"), STOP).refusal == "\U0001f600"


HIGH, LOW = "\ud83d", "\ude00"


@pytest.mark.parametrize(
    "pieces", [[HIGH], [LOW], [HIGH, "b"], [f"a{HIGH}b"], [LOW, HIGH], [HIGH, HIGH + LOW]], ids=ascii
)
@pytest.mark.parametrize("field", ["content", "reasoning_content", "refusal"])
def test_half_an_emoji_alone_is_replaced(field: str, pieces: list[str]) -> None:
    """A half that stays alone becomes the replacement character: what the caller gets can always be encoded."""
    reply = streamed(*(delta(**{field: piece}) for piece in pieces), STOP)
    text = {"content": reply.text, "reasoning_content": reply.reasoning, "refusal": reply.refusal}[field]
    assert text is not None
    assert "\ufffd" in text
    text.encode()


def test_several_choices() -> None:
    """With n > 1 the first choice is the reply, and the others are its alternatives, in order."""
    reply = streamed(
        delta("b", 1),
        delta("a", 0),
        delta("B", 1),
        delta("c", 2),
        delta(index=0, finish="stop"),
        delta(index=2, finish="length"),
        delta(index=1, finish="stop"),
    )
    assert (reply.text, reply.finish_reason) == ("a", "stop")
    assert [(one.text, one.finish_reason) for one in reply.alternatives] == [("bB", "stop"), ("c", "length")]


def test_a_choice_that_never_ends_is_an_interruption() -> None:
    """With n > 1 every choice must tell its end."""
    with pytest.raises(StreamInterruptedError):
        streamed(delta("a", 0), delta("b", 1), STOP, end="")


def test_logprobs_are_joined() -> None:
    """Token probabilities are collected over the chunks."""
    one = {
        "choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [{"token": "a"}], "refusal": None}}]
    }
    two = {"choices": [{"index": 0, "delta": {"content": "b"}, "logprobs": {"content": [{"token": "b"}]}}]}
    reply = streamed(one, two, STOP)
    assert reply.logprobs["content"] == [{"token": "a"}, {"token": "b"}]


def test_a_refusal() -> None:
    """A refusal is its own text, and becomes an error where a structure is parsed."""
    reply = streamed(delta(refusal="I can"), delta(refusal="not"), STOP)
    assert (reply.refusal, reply.text) == ("I cannot", "")
    with pytest.raises(MalformedReplyError, match=r"The model refused: I cannot"):
        reply.parsed()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reasoning_content": "r"}, "r"),
        ({"reasoning": "r"}, "r"),
        ({"reasoning_content": "r", "reasoning": "r"}, "r"),
        ({"reasoning_content": None, "reasoning": "r"}, "r"),
        ({"reasoning_details": [{"type": "reasoning.text", "text": "r"}]}, "r"),
        ({"reasoning_details": [{"summary": "r"}]}, "r"),
        ({"reasoning": "r", "reasoning_details": [{"text": "r"}]}, "r"),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "r"}]}]}, "r"),
        ({"content": [{"type": "thinking", "thinking": "r"}]}, "r"),
        ({"reasoning": {"odd": 1}}, None),
    ],
)
def test_reasoning_in_all_its_places(fields: dict[str, Any], expected: str | None) -> None:
    """Reasoning is read from each of its fields, and once where a server sends it in two."""
    reply = streamed(delta(**fields), delta("a"), STOP)
    assert (reply.reasoning, reply.text) == (expected, "a")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        (["a", "b"], "ab"),
        ([{"type": "text"}, {"type": "text", "text": None}, {"type": "text", "text": "a"}], "a"),
        ({"x": 1}, '{"x":1}'),
    ],
)
def test_content_as_parts(content: Any, text: str) -> None:
    """Content may come as a list of parts, or as an object where structured output was asked for."""
    assert streamed(delta(content), STOP).text == text


def test_a_whole_message_where_a_delta_is_due() -> None:
    """A server that sends the whole message in a chunk is understood."""
    assert streamed({"choices": [{"message": {"content": "all"}, "finish_reason": "stop"}]}).text == "all"


def test_audio_is_collected() -> None:
    """Spoken output is joined from its pieces; odd values are no crash."""
    reply = streamed(
        delta(audio={"id": "x", "transcript": "Hel"}),
        delta(audio={"data": "QQ==", "transcript": "lo"}),
        delta(audio={"data": 5, "id": 6}),
        STOP,
    )
    assert reply.audio == {"id": "x", "transcript": "Hello", "data": "QQ=="}


@pytest.mark.parametrize(
    ("raw", "ours"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("unheard_of", "other"),
        (5, "other"),
    ],
)
def test_finish_reasons(raw: Any, ours: str) -> None:
    """The vendor's word becomes ours, an unknown one `other`, and is kept as it was."""
    reply = streamed(delta("a"), delta(finish=raw))
    assert (reply.finish_reason, reply.raw_finish_reason) == (ours, str(raw))


def test_a_finish_reason_that_means_an_error_is_one() -> None:
    """An answer that was broken off is an error that holds what came, in a stream and in a body."""
    whole = {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "error"}]}
    for body, stream in ((sse(delta("a"), delta(finish="error")), True), (json.dumps(whole).encode(), False)):
        error = outcome(body, stream)
        assert isinstance(error, chatport.ServerError)
        assert error.retryable
        assert error.partial is not None
        assert (error.partial.text, error.partial.finish_reason) == ("a", "error")


def test_the_first_finish_counts() -> None:
    """A finish reason that is repeated, or changed later, does not replace the first."""
    reply = streamed(delta("a"), STOP, delta(finish="length"), delta(finish=""))
    assert reply.finish_reason == "stop"


# --- the end


def test_done_without_a_finish() -> None:
    """The vendor's own end event proves the end; that the reason is missing is a warning."""
    reply = streamed(delta("a"))
    assert (reply.text, reply.finish_reason, reply.raw_finish_reason) == ("a", "other", None)
    assert "missing finish_reason" in " ".join(map(str, reply.warnings))


def test_a_finish_without_done() -> None:
    """A finish reason proves the end, with or without `[DONE]`."""
    assert streamed(delta("a"), STOP, end="").finish_reason == "stop"


@pytest.mark.parametrize(
    "end", ["data: [DONE]", "data: [DONE]\n", "data:[DONE]\n\n", "data:  [DONE] \n\n", "data: [DONE]\r\n\r\n"]
)
def test_forms_of_done(end: str) -> None:
    """The end event counts without its blank line too, with or without spaces."""
    assert streamed(delta("a"), end=end).text == "a"


def test_the_last_event_without_its_blank_line() -> None:
    """A last event that the body ends in counts when its data are whole JSON, and only then."""
    whole = json.dumps(delta("b", finish="stop"))
    assert streamed(delta("a"), end=f"data: {whole}").text == "ab"
    with pytest.raises(StreamInterruptedError) as caught:
        streamed(delta("a"), end=f"data: {whole[:-1]}")
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a"


def test_what_follows_the_end_does_not_count() -> None:
    """Nothing after `[DONE]` is taken."""
    assert streamed(delta("a"), STOP, end=f"data: [DONE]\n\ndata: {json.dumps(delta('b'))}\n\n").text == "a"


@pytest.mark.parametrize("chunks", [[], [delta("a")], [delta("", role="assistant")], [": ping\n\n"]])
def test_a_stream_without_its_end_is_interrupted(chunks: list[Any]) -> None:
    """A stream that just stops is an error with all that came, never an invented stop."""
    for stream in (True, False):
        with pytest.raises(StreamInterruptedError, match=r"ended without its finish") as caught:
            replay(
                "compatible", body=sse(*chunks, end=""), stream=stream, headers={"content-type": "text/event-stream"}
            )
        assert caught.value.partial is not None
        assert caught.value.partial.text == ("a" if chunks == [delta("a")] else "")
        assert caught.value.partial.finish_reason == "error"


def test_done_alone_is_malformed() -> None:
    """A stream that ends in order, but without a single chunk, is no reply."""
    with pytest.raises(MalformedReplyError, match=r"without a single chunk"):
        replay("compatible", body=b"data: [DONE]\n\n", stream=True)


@pytest.mark.parametrize(
    "bad",
    [
        "data: {\n\n",
        "data: {}{}\n\n",
        'data: {"choices":[]}{"choices":[]}\n\n',
        "data: hello\n\n",
        "data: {'a': 1}\n\n",
        "data: {\ndata: }}\n\n",
        "data: NaN\n\n",
        "data: " + "[" * 100_000 + "\n\n",
        'data: {"a":"\\ud83d"\n\n',
    ],
    ids=lambda bad: bad[:20],
)
def test_broken_json_is_never_skipped(bad: str) -> None:
    """An event that is not one JSON value is an error that shows it, with what had come before."""
    with pytest.raises(MalformedReplyError, match=r"A stream event is not valid JSON") as caught:
        replay("compatible", body=sse(delta("a"), bad, delta("b"), STOP), stream=True)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a"
    assert len(str(caught.value)) < 600


def test_deep_json_is_refused() -> None:
    """JSON that is nested beyond all reason is a malformed reply, not a crash."""
    deep = b'{"choices":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    with pytest.raises(MalformedReplyError):
        replay("compatible", body=deep, stream=False)
    with pytest.raises(MalformedReplyError):
        replay("compatible", body=b"data: " + deep + b"\n\n", stream=True)


@pytest.mark.parametrize("levels", [200, 900, 5_000, 100_000])  # how deep a Python looks by itself is its own affair
def test_a_chunk_of_the_common_shape_is_held_to_the_same_depth(levels: int) -> None:
    """What stands beside the text counts too, though nobody reads it."""

    def nested(levels: int) -> str:
        chunk = {"choices": [{"index": 0, "delta": {"content": "b"}}]}
        return f'data: {json.dumps(chunk)[:-1]}, "x": {"[" * levels}{"]" * levels}}}\n\n'

    with pytest.raises(MalformedReplyError, match="nested too deeply"):
        replay("compatible", body=sse(delta("a"), nested(levels), STOP), stream=True)
    reply = replay("compatible", body=sse(delta("a"), nested(199), STOP), stream=True)
    assert reply.text == "ab"


# --- errors inside a 200


ERRORS = [
    {"error": {"message": "boom", "type": "server_error", "code": "overloaded"}},
    {"error": {"message": "boom", "code": 502}},
    {"error": "boom"},
    {"choices": [], "error": {"message": "boom", "code": 500}},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"message": "boom", "code": 500}}]},
    {"object": "error", "message": "boom", "code": 500},
    {"message": "boom", "code": "internal", "request_id": "r"},
    {"error": {"message": "boom \ud83d", "code": 500}},
]


@pytest.mark.parametrize("error", ERRORS, ids=str)
@pytest.mark.parametrize("before", [[], [delta("a")]], ids=["at once", "later"])
def test_an_error_inside_a_stream(error: Any, before: list[Any]) -> None:
    """An error in a chunk is an error, in each of its shapes, with what had come before."""
    for pieces in (sse(*before, error), sse(*before, error, end="")):
        with pytest.raises(ServerError, match="boom") as caught:
            replay("compatible", body=pieces, stream=True)
        assert caught.value.retryable
        partial = caught.value.partial
        assert (partial.text if partial else None) == ("a" if before else None)
        str(caught.value).encode()


@pytest.mark.parametrize("error", [error for error in ERRORS if "delta" not in str(error)], ids=str)
def test_an_error_in_a_200_body(error: Any) -> None:
    """The same shapes as a whole body are errors, also where a stream was asked for."""
    for stream in (False, True):
        with pytest.raises(ChatportError, match="boom"):
            replay("compatible", body=json.dumps(error), stream=stream)


def test_an_error_event() -> None:
    """An event named `error` is an error, whatever its data look like, with or without its blank line."""
    for end in ("\n\n", ""):
        with pytest.raises(ChatportError, match="boom"):
            replay("compatible", body=sse(delta("a"), end='event: error\ndata: {"detail": "boom"}' + end), stream=True)


def test_an_error_as_a_stray_line() -> None:
    """A line of bare JSON among the events is the error that some servers write."""
    with pytest.raises(ChatportError, match="boom"):
        replay("compatible", body=b': ping\n\n{"error": {"message": "boom"}}\n\n', stream=True)


# --- whole replies


def completion(message: Any, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    return {
        "id": "r1",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": U,
        **more,
    }


def test_a_whole_reply() -> None:
    """A plain completion has all that a stream has, and the vendor's JSON as `raw`."""
    calls = [
        {"id": "a", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "index": 0, "function": {"name": "g"}},
    ]
    data = completion({"content": "hi", "reasoning_content": "r", "tool_calls": calls}, "tool_calls")
    reply = replay("compatible", body=json.dumps(data), stream=False)
    assert (reply.text, reply.reasoning, reply.finish_reason, reply.id) == ("hi", "r", "tool_calls", "r1")
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [("a", "f", "{}"), ("b", "g", "{}")]
    assert reply.usage.input_tokens == 5
    assert reply.raw == data


def test_a_whole_reply_where_a_stream_was_asked_for() -> None:
    """A server that does not stream though asked to is understood, and its events are those of a stream."""
    body = json.dumps(completion({"content": "hi"}))
    for headers in ({}, {"content-type": "application/json"}, {"content-type": "text/event-stream"}):
        events = decode_events("compatible", body=body, headers=headers, stream=True)
        assert isinstance(events[-1], Finished)
        assert events[-1].reply.text == "hi"
        assert TextDelta("hi") in events


def test_a_stream_where_a_whole_reply_was_asked_for() -> None:
    """A server that streams though not asked to is understood, however it labels the answer."""
    for content_type in ("text/event-stream", "application/json", "text/plain", ""):
        pieces = [
            sse(delta("h"), delta("i"), STOP)[at : at + 1] for at in range(len(sse(delta("h"), delta("i"), STOP)))
        ]
        reply = replay("compatible", body=pieces, headers={"content-type": content_type}, stream=False)
        assert reply.text == "hi"


def test_blank_lines_before_a_reply() -> None:
    """White space that keeps a queued request alive is not part of the answer."""
    body = [b"\n", b"\n\n", b"  ", json.dumps(completion({"content": "hi"})).encode()]
    assert replay("compatible", body=body, stream=False).text == "hi"
    assert replay("compatible", body=[b"\n", b"\n", sse(delta("hi"), STOP)], stream=True).text == "hi"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "body", ["<html><head><title>x</title></head><body>Bad <b>gateway</b></body></html>", "<!doctype html>x"]
)
def test_a_page_is_malformed(body: str, stream: bool) -> None:
    """A page of HTML in place of a reply is malformed; the error shows its words, not its tags."""
    with pytest.raises(MalformedReplyError) as caught:
        replay("compatible", body=body, stream=stream, headers={"content-type": "text/html"})
    assert "<b>" not in str(caught.value)
    assert caught.value.retryable


def test_an_empty_body() -> None:
    """An empty 200 is malformed as a reply, and an interruption as a stream."""
    for body in ("", "  \n"):
        with pytest.raises(MalformedReplyError, match=r"the reply is empty"):
            replay("compatible", body=body, stream=False)
        with pytest.raises(StreamInterruptedError):
            replay("compatible", body=body, stream=True)


@pytest.mark.parametrize(
    "body",
    [
        "null",
        "[]",
        "5",
        '"hi"',
        "{}",
        '{"choices": null}',
        '{"choices": []}',
        '{"choices": [null]}',
        '{"choices": {}}',
        '{"choices": "x"}',
        '{"id": "x"}',
        "{} {}",
        "{",
        "[{}]",
    ],
)
def test_json_that_is_no_reply(body: str) -> None:
    """JSON without choices is a malformed reply, no empty answer. What holds nothing, or was cut, may come whole."""
    with pytest.raises(MalformedReplyError) as caught:
        replay("compatible", body=body, stream=False)
    assert caught.value.retryable is (body not in ("5", '"hi"', '{"id": "x"}', "[{}]"))


def test_choices_of_the_older_kind() -> None:
    """A choice with `text` in place of a message is read."""
    data = {"choices": [{"text": "hi", "finish_reason": "stop"}, {"text": "ho", "finish_reason": "stop"}]}
    reply = replay("compatible", body=json.dumps(data), stream=False)
    assert (reply.text, reply.alternatives[0].text) == ("hi", "ho")


def test_a_reply_without_a_finish() -> None:
    """A complete body proves itself; that the reason is missing is a warning."""
    reply = replay("compatible", body=json.dumps(completion({"content": "hi"}, None)), stream=False)
    assert (reply.text, reply.finish_reason) == ("hi", "other")
    assert "finish_reason" in [note.field for note in reply.warnings]


def test_names_go_back_to_the_callers() -> None:
    """A tool name that was changed for the wire comes back as the caller's own."""
    from chatport.testing import Emulator

    def wetter(ort: str) -> str:
        """Tell."""
        return ort

    wetter.__name__ = "wetter für"
    emulator = Emulator("compatible")
    client = chatport.Client(emulator.config(), transport=emulator)
    reply = client.chat("hi", model="compatible:emulated-model", tools=[wetter])
    assert [call.name for call in reply.tool_calls] == ["wetter für"]
    with client.stream("hi", model="compatible:emulated-model", tools=[wetter]) as stream:
        names = {event.name for event in stream if isinstance(event, ToolCallDelta)}
    assert names == {"wetter für"}


# --- whatever comes


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.sampled_from([0.5, "", "a", "stop", "\ud83d", "\ude00", "error"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "message",
                    "content",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "id",
                    "index",
                    "finish_reason",
                    "usage",
                    "prompt_tokens",
                    "completion_tokens",
                    "error",
                    "code",
                    "type",
                    "text",
                    "reasoning",
                    "reasoning_content",
                    "reasoning_details",
                    "refusal",
                    "audio",
                    "data",
                    "logprobs",
                    "function_call",
                    "thinking",
                    "model",
                    "object",
                    "detail",
                    "param",
                    "status",
                    "cached_tokens",
                    "prompt_tokens_details",
                    "request_id",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
NEAR = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries({"delta": JSON, "message": JSON, "finish_reason": JSON, "index": JSON}), max_size=2
        )
    },
    optional={"usage": JSON, "error": JSON, "id": JSON, "model": JSON},
)


@pytest.mark.slow
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(JSON | NEAR, min_size=1, max_size=4), st.sampled_from(["data: [DONE]\n\n", ""]))
def test_whatever_comes_the_error_is_ours(values: list[Any], end: str) -> None:
    """Any JSON at all, in a stream or as a body, gives a reply that can be encoded, or one of our errors."""
    for body, stream in (
        (sse(*(f"data: {json.dumps(value)}\n\n" for value in values), end=end), True),
        (json.dumps(values[0]).encode(), False),
        (json.dumps(values[0]).encode(), True),
    ):
        found = outcome(body, stream)
        if isinstance(found, Reply):
            (found.text + (found.reasoning or "") + (found.refusal or "")).encode()
            assert found.finish_reason in ("stop", "length", "tool_calls", "content_filter", "error", "other")
            assert all(isinstance(call.arguments, str) for call in found.tool_calls)
        else:
            assert not isinstance(found, chatport.PluginError), found.__cause__
            str(found).encode()


def outcome(body: bytes, stream: bool) -> Reply | ChatportError:
    try:
        return replay("compatible", body=body, stream=stream)
    except ChatportError as error:
        return error


# --- headers and lists


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("8.64s", 8.64),
        ("12ms", 0.012),
        ("1h2m3s", 3723.0),
        ("", None),
        ("5", None),
        ("soon", None),
        ("1d", None),
        ("-1s", None),
        ("250us", 0.00025),
        ("1.5h", 5400.0),
        ("1s2", None),
        ("1s 2s", None),
        ("1.s", None),
        ("s", None),
        ("1" * 41, None),
        ("0s" * 21, None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    """Go-style durations are read; anything else is unknown."""
    assert go_duration_seconds(text) == (None if seconds is None else pytest.approx(seconds))


def test_rate_limit_headers() -> None:
    """Headroom is read from the headers; what they do not tell is unknown, and no headers are no headroom."""
    plan, context = build_plan(PROVIDER), Context(PROVIDER, "m", "")
    headers: Mapping[str, str] = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-remaining-tokens": "many",
    }
    limits = plan.read_rate_limits(headers, context)
    assert (limits.requests_limit, limits.requests_remaining, limits.requests_reset_seconds) == (60, 59, 1.0)
    assert (limits.tokens_limit, limits.tokens_remaining, limits.tokens_reset_seconds) == (None, None, None)
    assert plan.read_rate_limits({"retry-after": "1"}, context) is None


def test_model_lists() -> None:
    """Models are read from `data`, `models` or a bare list; entries without an id are left out."""
    plan, context = build_plan(PROVIDER), Context(PROVIDER, "m", "")
    entry = {"id": "m", "created": 5, "owned_by": "me", "max_model_len": 100}
    for data in ({"data": [entry, {}, None, {"id": ""}]}, {"models": [entry]}, [entry]):
        (model,) = plan.parse_models(data, context)
        assert (model.id, model.created, model.owned_by, model.context_tokens, model.raw) == ("m", 5, "me", 100, entry)
    (odd,) = plan.parse_models([{"id": 5, "created": "x", "owned_by": 5, "context_length": "y"}], context)
    assert (odd.id, odd.created, odd.owned_by, odd.context_tokens) == ("5", None, None, None)
    for data in list[Any]((None, {}, 5, {"data": {}})):
        assert list(plan.parse_models(data, context)) == []
