"""Shapes near to those that vendors were recorded with: each is one that a reader easily gets wrong in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest

import chatport
from chatport.testing import replay


def stream(*chunks: dict[str, Any], done: bool = True) -> chatport.Reply:
    """Decode chunks as an event stream."""
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + ("data: [DONE]\n\n" if done else "")
    return replay("compatible", body=body, stream=True)


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a chunk with one delta."""
    return {"id": "x", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def whole(message: dict[str, Any], **fields: Any) -> chatport.Reply:
    """Decode a whole body."""
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **fields}
    return replay("compatible", body=json.dumps(body), stream=False)


def fragment(index: int | None, id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    """Return a piece of a tool call."""
    return {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}


def calls(reply: chatport.Reply) -> list[tuple[str, str]]:
    """Return names and arguments."""
    return [(call.name, call.arguments) for call in reply.tool_calls]


def test_calls_that_share_one_id_stay_apart_by_index() -> None:
    reply = stream(
        delta(tool_calls=[fragment(0, "0", "f", '{"a"')]),
        delta(tool_calls=[fragment(0, "0", None, ":1}")]),
        delta(tool_calls=[fragment(1, "0", "g", '{"b"')]),
        delta(tool_calls=[fragment(1, "0", None, ":2}")]),
        delta("tool_calls"),
    )
    assert calls(reply) == [("f", '{"a":1}'), ("g", '{"b":2}')]


def test_calls_of_a_whole_reply_that_share_one_id_stay_apart() -> None:
    reply = whole({"tool_calls": [fragment(None, "0", "f", "{}"), fragment(None, "0", "g", "{}")]})
    assert calls(reply) == [("f", "{}"), ("g", "{}")]


def test_a_new_id_in_every_piece_is_still_one_call() -> None:
    reply = stream(
        delta(tool_calls=[fragment(0, "r1", "f", '{"a"')]),
        delta(tool_calls=[fragment(0, "r2", "f", ":1")]),
        delta("tool_calls", tool_calls=[fragment(0, "r3", "f", "}")]),
    )
    assert calls(reply) == [("f", '{"a":1}')]
    assert reply.tool_calls[0].id == "r1"


def test_whole_calls_that_all_say_index_0_stay_apart() -> None:
    reply = stream(
        delta(tool_calls=[fragment(0, "r1", "f", "{}")]), delta("tool_calls", tool_calls=[fragment(0, "r2", "f", "{}")])
    )
    assert calls(reply) == [("f", "{}"), ("f", "{}")]


def test_the_deprecated_function_call_streams_into_one_call() -> None:
    reply = stream(
        delta(function_call={"name": "f", "arguments": ""}),
        delta(function_call={"arguments": '{"a"'}),
        delta("function_call", function_call={"arguments": ":1}"}),
    )
    assert calls(reply) == [("f", '{"a":1}')]


def test_fields_filled_with_nothing_mean_nothing() -> None:
    empty = {"function_call": {"name": "", "arguments": ""}, "audio": {"data": "", "id": "", "expires_at": 0}}
    reply = whole({"content": "4", "refusal": "", "tool_calls": None, **empty})
    assert (reply.text, reply.tool_calls, reply.audio, reply.refusal) == ("4", (), None, None)


def test_counts_in_an_object_of_the_servers_own_are_found() -> None:
    last = delta("stop") | {"x_own": {"id": "r", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}}
    reply = stream(delta(content="a"), last)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 2)


@pytest.mark.parametrize(("total", "output"), [(110, 100), (20, 10)])
def test_output_includes_reasoning_where_the_sum_proves_that_it_does_not_yet(total: int, output: int) -> None:
    counts = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": total}
    reply = whole({"content": "a"}, usage=counts | {"completion_tokens_details": {"reasoning_tokens": 90}})
    assert (reply.usage.output_tokens, reply.usage.reasoning_tokens) == (output, 90)


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], [{"a": 1}], 7])
def test_structured_output_that_comes_decoded_is_text_again(value: Any) -> None:
    assert json.loads(whole({"content": value}).text) == value


@pytest.mark.parametrize(
    "error",
    [
        {"message": "out of order", "type": "server_error"},
        {"detail": "out of order"},
        {"errors": [{"message": "out of order"}]},
        {"object": "error", "message": "out of order"},
    ],
)
@pytest.mark.parametrize("done", [True, False])
def test_flat_errors_in_a_stream_are_errors(error: dict[str, Any], done: bool) -> None:
    with pytest.raises(chatport.ServerError, match="out of order"):
        stream(error, done=done)


@pytest.mark.parametrize("choices", [{"choices": None}, {"choices": []}])
def test_a_stream_without_a_single_choice_is_an_error_that_keeps_what_came(choices: dict[str, Any]) -> None:
    with pytest.raises(chatport.MalformedReplyError) as caught:
        stream({"id": "x", "base": {"status": 1008, "text": "no money"}, **choices})
    assert "no money" in json.dumps(caught.value.raw)


def test_a_chunk_that_only_leads_in_does_not_hide_whose_reply_it_is() -> None:
    """Some begin with what a filter found in the prompt, and with nothing in the ids."""
    lead = {"id": "", "model": "", "object": "", "created": 0, "choices": [], "found": [{"hate": False}]}
    reply = stream(lead, {**delta(content="Hi."), "model": "m-2"}, {**delta("stop"), "model": "m-3"})
    assert (reply.text, reply.id, reply.model) == ("Hi.", "x", "m-2")
    assert reply.raw["found"] == [{"hate": False}]
