"""What the words for the end of an answer mean, over all vendors; and that no cut is taken for an end."""

from __future__ import annotations

import json
from typing import Any

import pytest

import chatport
from chatport import ChatportError, Reply, ServerError
from chatport.testing import decode_events, replay

STOP = (
    "stop",
    "STOP",
    "eos",
    "eos_token",
    "end_turn",
    "stop_sequence",
    "EndTurn",
    "stop-sequence",
    "completed",
    "done",
    *("eos_token_id", "eot", "end", "end_of_turn", "stop_token", "stop_string", "complete", "finished", "success"),
    "normal",
)
LENGTH = (
    *("length", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens", "max_length", "token_limit"),
    *("model_context_window_exceeded", "context_length_exceeded", "truncated", "max_new_tokens", "limit"),
)
TOOLS = ("tool_calls", "function_call", "tool_use", "TOOL_USE", "tool-calls", "tool_call")
FILTER = (
    *("content_filter", "SAFETY", "sensitive", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"),
    *("refusal", "guardrail_intervened", "content_filtered", "content_filter: PROHIBITED_CONTENT", "moderation"),
)
OUTSIDE = (
    *(
        "abort",
        "aborted",
        "cancel",
        "cancelled",
        "canceled",
        "CANCELLED",
        "interrupted",
        "timeout",
        "timed_out",
        "error",
    ),
    *("network_error", "insufficient_system_resource", "internal_server_error", "failed", "MALFORMED_FUNCTION_CALL"),
    *("UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE", "malformed_response", "overloaded", "engine_overloaded"),
    *("function_call_filter: MALFORMED_FUNCTION_CALL", "error: upstream", "preempted", "server_shutdown", "OOM"),
    *("rate_limit", "deadline_exceeded", "client_disconnected", "incomplete"),
)
UNKNOWN = ("repetition", "unheard_of", "other", "unknown", "FINISH_REASON_UNSPECIFIED", "LANGUAGE", "7", "x" * 300)
NONE = ("", "null", "None", "NULL")
CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "run", "arguments": '{"cmd": "ls"}'}}
HALF = {"index": 0, "id": "c1", "type": "function", "function": {"name": "run", "arguments": '{"cmd": "l'}}


def sse(*data: Any) -> bytes:
    return b"".join(f"data: {json.dumps(each)}\n\n".encode() for each in data) + b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any], finish: Any = None) -> dict[str, Any]:
    return {"id": "r", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def outcome(message: dict[str, Any], finish: Any, *, stream: bool) -> Reply | ChatportError:
    """Return what becomes of a message with this end, plain or streamed."""
    whole = {"id": "r", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    body = sse(chunk(message), chunk({}, finish)) if stream else json.dumps(whole).encode()
    try:
        return replay("compatible", body=body, stream=stream)
    except ChatportError as error:
        return error


both = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@both
@pytest.mark.parametrize(
    ("word", "ours"),
    [
        (word, ours)
        for ours, words in (("stop", STOP), ("length", LENGTH), ("content_filter", FILTER))
        for word in words
    ],
)
def test_known_words(word: str, ours: str, stream: bool) -> None:
    reply = outcome({"content": "a"}, word, stream=stream)
    assert isinstance(reply, Reply)
    assert (reply.finish_reason, reply.raw_finish_reason) == (ours, word)


@both
@pytest.mark.parametrize("word", [*STOP, *TOOLS])
def test_a_call_with_an_ordinary_end_is_whole(word: str, stream: bool) -> None:
    reply = outcome({"content": None, "tool_calls": [CALL]}, word, stream=stream)
    assert isinstance(reply, Reply)
    assert reply.finish_reason == "tool_calls"
    assert [call.complete for call in reply.tool_calls] == [True]


@both
@pytest.mark.parametrize("word", OUTSIDE)
def test_what_was_stopped_from_outside_is_an_error_with_the_part(word: str, stream: bool) -> None:
    error = outcome({"content": "The capital of Fr"}, word, stream=stream)
    assert isinstance(error, ChatportError)
    assert error.retryable
    assert error.partial is not None
    assert (error.partial.text, error.partial.finish_reason) == ("The capital of Fr", "error")


TWO = [CALL, {**HALF, "index": 1, "id": "c2"}]


@both
@pytest.mark.parametrize(
    ("word", "calls"),
    [(word, calls) for word in OUTSIDE for calls in ([CALL], [HALF], TWO)]
    + [(word, calls) for word in UNKNOWN for calls in ([HALF], TWO)],
)
def test_a_call_beside_such_a_word_is_never_complete(word: str, calls: list[Any], stream: bool) -> None:
    """Nor is one that is not whole beside a word that nobody knows: it may mean the same."""
    error = outcome({"content": "", "tool_calls": calls}, word, stream=stream)
    assert isinstance(error, ChatportError)
    assert error.partial is not None
    assert len(error.partial.tool_calls) == len(calls)
    assert not any(call.complete for call in error.partial.tool_calls)


@both
@pytest.mark.parametrize("word", UNKNOWN)
def test_a_whole_call_beside_a_word_that_nobody_knows_is_a_call(word: str, stream: bool) -> None:
    reply = outcome({"content": "", "tool_calls": [CALL]}, word, stream=stream)
    assert isinstance(reply, Reply)
    assert (reply.finish_reason, reply.raw_finish_reason) == ("tool_calls", word)
    assert [call.complete for call in reply.tool_calls] == [True]


@pytest.mark.parametrize(("word", "call"), [*((w, CALL) for w in OUTSIDE), *((w, HALF) for w in UNKNOWN)])
def test_no_such_call_is_told_to_have_ended(word: str, call: Any) -> None:
    told: list[chatport.Event] = []
    with pytest.raises(ChatportError):
        told += decode_events("compatible", body=sse(chunk({"tool_calls": [call]}), chunk({}, word)))
    assert not any(isinstance(event, chatport.ToolCallEnded) for event in told)


@both
@pytest.mark.parametrize("word", UNKNOWN)
def test_an_unknown_word_after_a_text_is_other(word: str, stream: bool) -> None:
    reply = outcome({"content": "a"}, word, stream=stream)
    assert isinstance(reply, Reply)
    assert (reply.text, reply.finish_reason, reply.raw_finish_reason) == ("a", "other", word)


@both
@pytest.mark.parametrize("word", [*UNKNOWN, *OUTSIDE])
def test_an_empty_reply_with_an_unknown_end_is_no_success(word: str, stream: bool) -> None:
    error = outcome({"content": ""}, word, stream=stream)
    assert isinstance(error, ChatportError)
    assert error.retryable


@pytest.mark.parametrize("word", NONE)
def test_a_word_for_nothing_ends_nothing(word: str) -> None:
    """Some servers write their null as a text, in every chunk."""
    pieces = [chunk({"role": "assistant", "content": "a"}, word), chunk({"content": "b"}, word), chunk({}, "stop")]
    assert replay("compatible", body=sse(*pieces), stream=True).text == "ab"
    with pytest.raises(chatport.StreamInterruptedError):
        replay("compatible", body=sse(*pieces[:2]).removesuffix(b"data: [DONE]\n\n"), stream=True)


@both
def test_an_object_for_a_word(stream: bool) -> None:
    reply = outcome({"content": "a"}, {"type": "length", "length": 5}, stream=stream)
    assert isinstance(reply, Reply)
    assert (reply.finish_reason, reply.raw_finish_reason) == ("length", "length")
    error = outcome({"content": "a"}, {"type": "abort", "message": "stopped"}, stream=stream)
    assert isinstance(error, ServerError)


def test_the_vendors_own_table_goes_first() -> None:
    """With its word alone, and with a suffix."""
    table = chatport.Dialect(finish_reasons={"abort": "stop", "worn_out": "length"})
    provider = chatport.Provider(
        "acme", "Acme", "https://acme.example/v1", auth=chatport.Auth(required=False), dialect=table
    )
    for word, ours in (("abort", "stop"), ("worn_out", "length"), ("worn_out: very", "length")):
        assert replay(provider, body=sse(chunk({"content": "a"}, word)), stream=True).finish_reason == ours


@pytest.mark.parametrize(("word", "call"), [("abort", CALL), ("unheard_of", HALF)])
def test_every_cut_of_such_a_stream_is_the_same_error(word: str, call: dict[str, Any]) -> None:
    body = sse(chunk({"content": "Well", "tool_calls": [call]}), chunk({}, word))
    for at in range(len(body)):
        with pytest.raises(ChatportError) as caught:
            replay("compatible", body=[body[:at], body[at:]], stream=True)
        assert caught.value.partial is not None
        assert [call.complete for call in caught.value.partial.tool_calls] == [False]


@pytest.mark.parametrize("word", ["cancelled", "abort"])
@both
def test_the_messages_protocol_too(word: str, stream: bool) -> None:
    """A plugin's own decoder, by the same helper."""
    pytest.importorskip("chatport_anthropic")
    block = {"type": "tool_use", "id": "t1", "name": "run", "input": {"cmd": "ls"}}
    whole = {"type": "message", "id": "m", "role": "assistant", "model": "c", "content": [block], "stop_reason": word}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": word}},
        {"type": "message_stop"},
    ]
    lines = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    with pytest.raises(ChatportError) as caught:
        replay("anthropic", body=lines if stream else json.dumps(whole), stream=stream)
    assert caught.value.partial is not None
    assert [call.complete for call in caught.value.partial.tool_calls] == [False]
