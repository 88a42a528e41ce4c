"""The odd shapes of the stream. The standard decoder takes them all; these tests hold it to that."""

from __future__ import annotations

import json

import pytest

from chatport.testing import replay


def stream(*deltas, finish="tool_calls"):
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices += [[{"index": 0, "delta": {"content": ""}, "finish_reason": finish}], []]
    chunks = [{"id": "chatcmpl-1", "object": "chat.completion.chunk", "usage": None, "choices": c} for c in choices]
    chunks[-1]["usage"] = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    return replay("qwen", status=200, headers={"content-type": "text/event-stream"}, body=body, stream=True)


def fragment(call_id, **function):
    return {"content": None, "tool_calls": [{"index": 0, "id": call_id, "type": "function", "function": function}]}


@pytest.mark.parametrize(
    "deltas",
    [
        # QW-S3, QW-X1: later fragments with an empty id, with or without an empty name
        [fragment("call_1", name="f", arguments=""), fragment("", arguments='{"a"'), fragment("", arguments=": 1}")],
        [fragment("call_1", name="f", arguments=""), fragment("", name="", arguments='{"a": 1}')],
        # an extra fragment that says nothing
        [fragment("call_1", name="f", arguments='{"a": 1}'), fragment("", arguments="")],
        # QW-S4, QW-X2: the name alone, then the arguments alone, with the same id
        [fragment("call_1", name="f"), fragment("call_1", arguments='{"a": 1}')],
    ],
)
def test_fragments_make_one_call(deltas):
    (call,) = stream(*deltas).tool_calls
    assert (call.id, call.name, call.parsed()) == ("call_1", "f", {"a": 1})


@pytest.mark.parametrize("arguments", ["", None])
def test_a_call_without_arguments(arguments):  # QW-S5, QW-X3
    (call,) = stream(fragment("call_1", name="f", arguments=arguments)).tool_calls
    assert (call.arguments, call.complete) == ("{}", True)


def test_thinking_deltas_with_null_content():  # QW-S2, QW-R1
    reply = stream(
        {"content": None, "role": "assistant", "reasoning_content": ""},
        {"content": None, "reasoning_content": "hm"},
        {"content": "yes", "reasoning_content": None},
        finish="stop",
    )
    assert (reply.reasoning, reply.text, reply.finish_reason) == ("hm", "yes", "stop")


def test_usage_comes_in_a_chunk_without_choices():  # QW-S6, QW-X11
    assert stream({"content": "x"}, finish="stop").usage.total_tokens == 8


def test_a_chunk_that_lacks_finish_reason():  # QW-S3
    chunks = [
        {"id": "1", "choices": [{"index": 0, "delta": fragment("call_1", name="f", arguments="{}")}]},
        {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    ]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    assert len(replay("qwen", body=body, stream=True).tool_calls) == 1


def test_sound_in_pieces():  # QW-S10
    reply = stream(
        {"audio": {"data": "QU", "id": "audio_1"}}, {"audio": {"data": "JD", "transcript": "a"}}, finish="stop"
    )
    assert reply.audio == {"data": "QUJD", "transcript": "a", "id": "audio_1"}


def test_cache_counts_lie_inside_the_input():  # QW-U1, QW-U2, QW-X10
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 3,
        "total_tokens": 103,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_creation_input_tokens": 30, "cache_type": "ephemeral"},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    body = {"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}
    read = replay("qwen", body=json.dumps(body), stream=False).usage
    assert (read.input_tokens, read.cached_input_tokens, read.cache_write_tokens) == (100, 60, 30)
    assert (read.output_tokens, read.reasoning_tokens) == (3, 2)
    assert read.raw["prompt_tokens_details"]["cache_type"] == "ephemeral"
