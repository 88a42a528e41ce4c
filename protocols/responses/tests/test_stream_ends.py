"""How a stream ends: by which events, and with how little in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

import chatport
from chatport.testing import decode_events, replay

CREATED = {"type": "response.created", "response": {"id": "r-1", "model": "m", "status": "in_progress", "output": []}}
TEXT = {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": "Hi"}
CALL = {"type": "function_call", "id": "f", "call_id": "c-1", "name": "look", "arguments": '{"a": 1}'}
ADDED = {"type": "response.output_item.added", "output_index": 0, "item": CALL}


def read(*events: dict[str, Any]) -> chatport.Reply:
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return replay("compatible", body=body, stream=True, path="/responses")


@pytest.mark.parametrize("response", [{}, {"response": None}, {"response": {"status": "completed", "output": []}}])
def test_the_last_event_may_hold_no_response(response: dict[str, Any]) -> None:
    reply = read(CREATED, TEXT, {"type": "response.completed", **response})
    assert (reply.text, reply.finish_reason) == ("Hi", "stop")


@pytest.mark.parametrize("kind", ["failed", "cancelled"])
@pytest.mark.parametrize("inside", [False, True])
def test_every_other_end_is_an_error(kind: str, inside: bool) -> None:
    error = {"code": "server_error", "message": "It broke."}
    last = {"response": {"status": kind, "output": [], "error": error}} if inside else {"error": error}
    with pytest.raises(chatport.ServerError, match="It broke") as caught:
        read(CREATED, TEXT, {"type": f"response.{kind}", **last})
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hi"


def test_a_cancelled_run_without_an_error_says_so() -> None:
    with pytest.raises(chatport.ServerError, match="cancelled"):
        read(CREATED, {"type": "response.cancelled", "response": {"status": "cancelled", "output": [], "usage": None}})


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"type": "response.created"}, "The event response.created is not what the protocol says (KeyError"),
        ({**ADDED, "item": 3}, "The event response.output_item.added is not what the protocol says (AttributeError"),
        (
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0},
            "The event response.output_text.delta is not what the protocol says (KeyError: 'delta').",
        ),
    ],
)
def test_an_event_of_another_shape_is_an_error_that_shows_it(event: dict[str, Any], words: str) -> None:
    with pytest.raises(chatport.MalformedReplyError) as caught:
        read(CREATED, TEXT, event)
    assert words in str(caught.value)
    assert caught.value.raw == event
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hi"


def test_a_piece_without_text_is_told_to_nobody() -> None:
    events = [CREATED, TEXT, {**TEXT, "delta": ""}, {**TEXT, "delta": "!"}, {"type": "response.completed"}]
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    told = decode_events("compatible", body=body, path="/responses")
    assert [event.text for event in told if isinstance(event, chatport.TextDelta)] == ["Hi", "!"]


@pytest.mark.parametrize("count", [10_000, 10_001])
def test_an_answer_has_no_end_of_items(count: int) -> None:
    items = [{"type": "message", "id": f"m{number}", "content": []} for number in range(count)]
    events = [{**ADDED, "output_index": number, "item": item} for number, item in enumerate(items)]
    if count == 10_000:
        assert read(CREATED, *events, {"type": "response.completed"}).finish_reason == "stop"
        return
    words = r"The answer has more than 10000 output items; raise limits\.parts"
    with pytest.raises(chatport.MalformedReplyError, match=words):
        read(CREATED, *events)


@pytest.mark.parametrize("output", [[], [CALL]])
def test_a_call_that_is_whole_when_it_is_added_needs_no_end(output: list[Any]) -> None:
    reply = read(CREATED, ADDED, {"type": "response.completed", "response": {"status": "completed", "output": output}})
    (call,) = reply.tool_calls
    assert (call.id, call.name, call.parsed(), call.complete) == ("c-1", "look", {"a": 1}, True)
    assert reply.finish_reason == "tool_calls"
