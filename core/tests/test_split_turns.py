"""A turn in several choices is one answer, and a name in pieces is one name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatport import Event, Finished, Reply, ToolCallDelta, ToolCallEnded
from chatport.testing import decode_events, replay

TEXT = "Let me do it."
CALL = {"id": "t1", "type": "function", "function": {"name": "read_file", "arguments": '{"path": "a"}'}}
OTHER = {**CALL, "id": "t2"}


def whole(*choices: dict[str, Any], n: int | None = None) -> Reply:
    request = {} if n is None else {"n": n}
    return replay("compatible", body=json.dumps({"id": "x", "choices": choices}), stream=False, request=request)


def message(finish: str = "tool_calls", index: int | None = None, **fields: Any) -> dict[str, Any]:
    place = {} if index is None else {"index": index}
    return {**place, "message": {"role": "assistant", "content": None, **fields}, "finish_reason": finish}


@pytest.mark.parametrize("places", [(None, None), (0, 0), (0, 1), (1, 0), (0, None)], ids=str)
def test_the_text_in_one_choice_and_the_calls_in_another_are_one_answer(places: tuple[Any, Any]) -> None:
    first, second = places
    parts = [message(index=first, content=TEXT), message(index=second, tool_calls=[CALL])]
    for choices in (parts, parts[::-1]):
        reply = whole(*choices)
        assert (reply.text, reply.finish_reason, reply.alternatives) == (TEXT, "tool_calls", ())
        assert [(call.id, call.complete) for call in reply.tool_calls] == [("t1", True)]


def test_each_call_in_a_choice_of_its_own() -> None:
    reply = whole(message(content=TEXT), message(tool_calls=[CALL]), message(tool_calls=[OTHER]))
    assert [call.id for call in reply.tool_calls] == ["t1", "t2"]
    assert reply.text == TEXT


def test_the_end_of_the_text_is_not_the_end_of_the_turn() -> None:
    reply = whole(message("stop", 0, content=TEXT), message("tool_calls", 1, tool_calls=[CALL]))
    assert (reply.finish_reason, reply.raw_finish_reason) == ("tool_calls", "tool_calls")


def test_two_whole_answers_stay_two() -> None:
    reply = whole(message("stop", 0, content="A"), message("stop", 1, content="B"))
    assert (reply.text, [other.text for other in reply.alternatives]) == ("A", ["B"])
    both = whole(message("stop", 0, content="A"), message("tool_calls", 1, content="B", tool_calls=[CALL]))
    assert (both.tool_calls, len(both.alternatives[0].tool_calls)) == ((), 1)


def test_where_several_were_asked_for_they_stay_several() -> None:
    reply = whole(message("stop", 0, content="A"), message("tool_calls", 1, tool_calls=[CALL]), n=2)
    assert (reply.text, reply.tool_calls, len(reply.alternatives)) == ("A", (), 1)


# --- streamed


def piece(index: int | None = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {**({} if index is None else {"index": index}), "delta": delta, "finish_reason": finish}


def sse(*chunks: list[dict[str, Any]]) -> bytes:
    lines = [f"data: {json.dumps({'id': 'x', 'choices': choices})}\n\n" for choices in chunks]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


FRAGMENTS = [
    {"index": 0, "id": "t1", "function": {"name": "read_file", "arguments": ""}},
    {"index": 0, "function": {"arguments": '{"path"'}},
    {"index": 0, "function": {"arguments": ': "a"}'}},
]
STREAMS: dict[str, bytes] = {
    "one index": sse(
        [piece(content=TEXT)],
        [piece(0, "tool_calls"), piece(0, "tool_calls", tool_calls=[CALL])],
    ),
    "one index, one end after the other": sse(
        [piece(content=TEXT)],
        [piece(0, "stop")],
        *([piece(tool_calls=[fragment])] for fragment in FRAGMENTS),
        [piece(0, "tool_calls")],
    ),
    "two": sse(
        [piece(role="assistant", content="")],
        [piece(content=TEXT[:5])],
        [piece(content=TEXT[5:])],
        [piece(1, role="assistant", content="")],
        *([piece(1, tool_calls=[fragment])] for fragment in FRAGMENTS),
        [piece(0, "stop")],
        [piece(1, "tool_calls")],
    ),
    "two, the first ends first": sse(
        [piece(content=TEXT)],
        [piece(0, "tool_calls")],
        *([piece(1, tool_calls=[fragment])] for fragment in FRAGMENTS),
        [piece(1, "tool_calls")],
    ),
    "none": sse([piece(None, content=TEXT)], [piece(None), piece(None, "tool_calls", tool_calls=[CALL])]),
}


def reply_of(events: list[Event]) -> Reply:
    assert isinstance(events[-1], Finished)
    return events[-1].reply


@pytest.mark.parametrize("kind", list(STREAMS))
def test_a_streamed_turn_is_joined_in_every_cut(kind: str) -> None:
    body = STREAMS[kind]
    events = decode_events("compatible", body=body)
    reply = reply_of(events)
    assert (reply.text, reply.alternatives) == (TEXT, ())
    assert [(call.id, call.name, call.parsed()) for call in reply.tool_calls] == [("t1", "read_file", {"path": "a"})]
    assert [event.id for event in events if isinstance(event, ToolCallEnded)] == ["t1"]
    assert {event.choice for event in events if hasattr(event, "choice")} == {0}
    for at in range(0, len(body), 5):
        assert decode_events("compatible", body=[body[:at], body[at:]]) == events


def test_streamed_answers_that_were_asked_for_stay_several() -> None:
    body = sse([piece(0, "stop", content="A")], [piece(1, "tool_calls", tool_calls=[CALL])])
    reply = replay("compatible", body=body, stream=True, request={"n": 2})
    assert (reply.text, reply.tool_calls, len(reply.alternatives)) == ("A", (), 1)
    texts = sse([piece(0, content="A")], [piece(1, content="B")], [piece(0, "stop")], [piece(1, "stop")])
    reply = replay("compatible", body=texts, stream=True)
    assert (reply.text, [other.text for other in reply.alternatives]) == ("A", ["B"])


# --- names


def named(*fragments: dict[str, Any]) -> Reply:
    return replay(
        "compatible", body=sse(*([piece(tool_calls=[f])] for f in fragments), [piece(0, "tool_calls")]), stream=True
    )


def fragment(name: str | None = None, arguments: str | None = None, **more: Any) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {"index": 0, "function": function, **more}


NAMES: dict[str, list[dict[str, Any]]] = {
    "pieces": [fragment("read", "", id="t1"), fragment("_fi"), fragment("le", ""), fragment(None, '{"path": "a"}')],
    "pieces with the id": [fragment("read_", id="t1"), fragment("file", id="t1"), fragment(None, '{"path": "a"}')],
    "the last piece with arguments": [fragment("read", id="t1"), fragment("_file", '{"path": "a"}')],
    "what is known so far": [fragment("read", id="t1"), fragment("read_file"), fragment(None, '{"path": "a"}')],
    "all of it each time": [
        fragment("read_file", "", id="t1"), fragment("read_file", ""), fragment("read_file", '{"path"'),
        fragment("read_file", ': "a"}'),
    ],
    "another one inside the arguments": [fragment("read_file", '{"path"', id="t1"), fragment("x", ': "a"}')],
    "empty ones": [fragment("read_file", "", id="t1"), fragment("", '{"path"'), fragment("", ': "a"}')],
}  # fmt: skip


@pytest.mark.parametrize("kind", list(NAMES))
def test_a_name_is_put_together_and_never_said_twice(kind: str) -> None:
    reply = named(*NAMES[kind])
    assert [(call.id, call.name, call.parsed()) for call in reply.tool_calls] == [("t1", "read_file", {"path": "a"})]


def test_the_last_piece_tells_the_whole_name() -> None:
    body = sse(*([piece(tool_calls=[f])] for f in NAMES["pieces"]), [piece(0, "tool_calls")])
    names = [event.name for event in decode_events("compatible", body=body) if isinstance(event, ToolCallDelta)]
    assert names == ["read", "read_fi", "read_file", "read_file"]


def test_another_id_and_name_before_any_arguments_is_another_call() -> None:
    """A server that gives index 0 to all: the first call has no arguments, and is no beginning of the second."""
    reply = named(fragment("now", "", id="t1"), fragment("read_file", '{"path": "a"}', id="t2"))
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [
        ("t1", "now", "{}"),
        ("t2", "read_file", '{"path": "a"}'),
    ]


def test_a_name_without_end_takes_no_time_with_its_square() -> None:
    reply = named(fragment("a", id="t1"), *[fragment("bc")] * 5_000)
    assert len(reply.tool_calls[0].name) < 1_100
