"""The short way of the standard decoder gives what the general way gives, for every chunk."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from chatport import (
    Chunk,
    Context,
    Dialect,
    Event,
    MalformedReplyError,
    OpaqueReported,
    Provider,
    StreamState,
    jsoncodec,
)
from chatport.standard.stream import decode_chunk

CONTEXT = Context(Provider("x", "X", "https://x.example/v1", dialect=Dialect()), "m", "https://x.example/v1")
FIRST = {"id": "r", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}

texts = st.text(st.characters(codec="utf-8") | st.sampled_from("\ud83d\ude00\ud800"), max_size=3)
odd: st.SearchStrategy[Any] = (
    st.none() | texts | st.booleans() | st.integers(-1, 2) | st.just([]) | st.just({}) | st.just([{"index": 0}])
)
calls = st.just([{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}])
functions = st.fixed_dictionaries({}, optional={"name": odd, "arguments": texts | odd, "input": odd, "own": odd})
fragments = st.fixed_dictionaries(
    {},
    optional={
        "index": st.integers(0, 2) | odd,
        "id": odd,
        "type": odd,
        "function": functions | odd,
        "custom": functions | odd,
        "extra_content": odd,
    },
)
usages = st.just({"prompt_tokens": 1, "completion_tokens": 2})


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


deltas = maybe(
    content=texts | odd,
    role=st.just("assistant") | st.none(),
    reasoning_content=texts | odd,
    reasoning=texts | odd,
    tool_calls=odd | calls | st.lists(fragments, max_size=2),
    refusal=odd,
    function_call=odd,
    reasoning_details=odd,
    audio=odd,
    annotations=odd,
    images=odd,
    name=odd,
    token_id=odd,
    extra_content=odd,
)
choices = maybe(
    index=st.integers(0, 2) | odd,
    delta=deltas | odd,
    message=deltas | odd,
    finish_reason=st.sampled_from(["stop", "length", "error", ""]) | odd,
    logprobs=odd,
    usage=usages | odd,
    error=odd,
)
chunks = maybe(
    id=texts,
    choices=st.lists(choices, max_size=2) | odd,
    usage=usages | odd,
    error=odd,
    object=st.sampled_from(["chat.completion.chunk", "error"]),
    message=odd,
    code=odd,
)


def piece(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call(index: int, call_id: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


def decoded(stream: list[Any], *, is_common: bool) -> list[Any]:
    state, found = StreamState(), list[Any]()
    for data in [FIRST, *stream]:
        chunk = Chunk(jsoncodec.encode_anything(data))
        state.uncommon = state.uncommon if is_common else 1
        try:
            events: Any = decode_chunk(chunk, state, CONTEXT)
        except MalformedReplyError as error:
            events = str(error)
        found.append(events if isinstance(events, str) else list[Event](events))
    return found


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.lists(chunks, max_size=4))
@example(
    [
        {"choices": [{"index": 0, "delta": {"content": "\ud83d"}}]},
        {"choices": [{"index": 0, "delta": {"content": "\ude00"}}]},
    ]
)
@example([piece(content="a", reasoning="b")])
@example([{"choices": [{"delta": {"content": "a"}}]}])
@example(
    [
        {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 1}},
    ]
)
@example([piece(tool_calls=[call(0, "a", "f", "")]), *[piece(tool_calls=[call(0, None, None, "{")])] * 2])
@example([piece(tool_calls=[call(0, "a", "f", "{}")]), piece(tool_calls=[call(0, "b", "f", "{")])])
@example([piece(tool_calls=[call(1, "a", "f", "")]), piece(tool_calls=[call(0, None, None, "{}")])])
def test_both_ways_mean_the_same(stream: list[Any]) -> None:
    assert decoded(stream, is_common=True) == decoded(stream, is_common=False)


def test_the_short_way_is_taken_again_after_something_else() -> None:
    """Text after a stretch of reasoning details, or of counts, is common again."""
    state = StreamState()
    decode_chunk(Chunk(jsoncodec.encode(FIRST)), state, CONTEXT)
    for _ in range(100):
        decode_chunk(Chunk(jsoncodec.encode(piece(reasoning_details=[{"text": "hm"}]))), state, CONTEXT)
    later = [Chunk(jsoncodec.encode(piece(content="hi"))) for _ in range(20)]
    assert all(decode_chunk(chunk, state, CONTEXT) for chunk in later)
    assert later[-1]._data is None


def test_a_piece_with_keys_that_nobody_reads_goes_the_general_way() -> None:
    """Of the delta, of a fragment of a call, and of its function: none of them is lost for being fast."""
    own: dict[str, Any] = {"x": {"signature": "s"}}
    fragment = call(0, None, None, "{")
    function = {**fragment, "function": {**fragment["function"], **own}}
    for data in (piece(content="hi", **own), piece(tool_calls=[{**fragment, **own}]), piece(tool_calls=[function])):
        found = decoded([piece(tool_calls=[call(0, "a", "f", "")]), data], is_common=True)[-1]
        assert [event for event in found if isinstance(event, OpaqueReported)], data


@pytest.mark.parametrize("begun", ["", None])
@pytest.mark.parametrize(
    "data",
    [piece(content="hi"), piece(reasoning_content="hm"), piece(tool_calls=[call(0, None, None, "{")])],
    ids=["text", "reasoning", "arguments"],
)
def test_the_short_way_is_taken(data: Any, begun: str | None) -> None:
    state = StreamState()
    for earlier in (FIRST, piece(tool_calls=[call(0, "a", "f", begun)])):
        decode_chunk(Chunk(jsoncodec.encode(earlier)), state, CONTEXT)
    chunk = Chunk(jsoncodec.encode(data))
    assert not state.uncommon
    assert decode_chunk(chunk, state, CONTEXT)
    assert chunk._data is None, "the chunk was decoded as a whole"
