"""A stream in the right order, whatever the order of events: held against a reading of the protocol, and its client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from chatport import (
    Citation,
    CitationAdded,
    Finished,
    Media,
    MediaAdded,
    ReasoningDelta,
    RefusalDelta,
    Reply,
    ServerError,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnded,
    Usage,
    UsageReported,
)
from chatport_surfaces import Asked, Seal, SurfaceContext
from chatport_surfaces.messages import surface

from .asking import SECRET, Event, blocks_of, events_of

DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "redacted_thinking": set(),
}
USAGE = Usage(100, 20, 60, 10, 5)


def context() -> SurfaceContext:
    numbers = iter(range(1000))
    return SurfaceContext(Seal(SECRET), lambda: 0, lambda prefix: f"{prefix}{next(numbers)}", lambda model: ("acme",))


def check(events: Sequence[Event], *, ends: bool = True) -> None:
    """Assert what the protocol says of a stream (AN-S2 to AN-S9)."""
    names = [name for name, _ in events if name != "ping"]
    assert names[0] == "message_start"
    assert names.count("message_start") == 1
    message = events[0][1]["message"]
    assert message["content"] == []
    assert message["usage"].keys() >= {"input_tokens", "output_tokens", "cache_read_input_tokens"}
    open_block: Mapping[str, Any] | None = None
    count = 0
    for name, data in events[1:]:
        match name:
            case "content_block_start":
                assert open_block is None, "two blocks are open"
                assert data["index"] == count
                open_block, count = data["content_block"], count + 1
            case "content_block_delta":
                assert open_block is not None
                assert data["index"] == count - 1
                assert data["delta"]["type"] in DELTAS[open_block["type"]]
            case "content_block_stop":
                assert open_block is not None
                assert data["index"] == count - 1
                open_block = None
            case "message_delta" | "message_stop":
                assert open_block is None, "a block was left open"
    if ends:
        assert names[-2:] == ["message_delta", "message_stop"]
        assert names.count("message_delta") == names.count("message_stop") == 1
        assert open_block is None
    else:
        assert not {"message_delta", "message_stop"} & set(names)


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=5)
CALLS = 3
citations = st.builds(lambda url: CitationAdded(Citation(url=url)), words)
# A picture of its own bytes is shown otherwise. Hypothesis takes texts out of the sources too, and "data:" is in some.
addresses = words.filter(lambda text: not text.startswith("data:"))
media = st.builds(lambda url: MediaAdded(Media("image", url=url)), addresses)
loose = st.one_of(
    st.builds(TextDelta, words, st.sampled_from([0, 0, 0, 1])),
    st.builds(ReasoningDelta, words),
    st.builds(RefusalDelta, words),
    citations,
    media,
    st.just(UsageReported(USAGE)),
)


@st.composite
def streams(draw: st.DrawFn) -> list[Any]:
    """Events in any order that the core may give: pieces of several calls mixed with text, each call ended or not."""
    arguments = dict.fromkeys(range(draw(st.integers(0, CALLS))), "")
    over: set[int] = set()
    pieces: dict[int, int] = {}
    events: list[Any] = []
    for _ in range(draw(st.integers(0, 25))):
        left = [index for index in arguments if index not in over]
        kind = draw(st.sampled_from(["loose", "piece", "end"]))
        if kind == "loose" or not left:
            events.append(draw(loose))
            continue
        index = draw(st.sampled_from(left))
        if kind == "piece":
            piece = "" if draw(st.booleans()) else ('{"a"', ": 1", "}", "")[min(pieces.get(index, 0), 3)]
            pieces[index] = pieces.get(index, 0) + bool(piece)
            arguments[index] += piece
            events.append(ToolCallDelta(index, f"call_x{index}", f"f{index}", piece))
        else:
            over.add(index)
            events.append(ToolCallEnded(index, f"call_x{index}", f"f{index}", arguments[index] or "{}"))
    return events


def reply_of(events: Sequence[Any], opaque: Mapping[str, Any]) -> Reply:
    return Reply(
        text="".join(event.text for event in events if isinstance(event, TextDelta) and event.choice == 0),
        finish_reason="stop",
        usage=USAGE,
        provider="acme",
        model="m",
        opaque=opaque,
    )


@settings(max_examples=200)
@given(streams(), st.lists(st.integers(1, 5), max_size=20), st.sampled_from([{}, {"k": "v"}]), st.booleans())
def test_no_order_of_events_makes_an_invalid_stream(events: Any, cuts: Any, opaque: Any, whole: Any) -> None:
    writer = surface.writer(Asked("chat", "m"), context())
    writer.begin(Reply(provider="acme", model="m"))
    reply = reply_of(events, opaque)
    given_events = [*events, Finished(reply)] if whole else events or [TextDelta("x")]
    data = b""
    while given_events:
        size = cuts.pop() if cuts else 3
        data += writer.write(given_events[:size])
        given_events = given_events[size:]
    check(events_of(data), ends=whole)
    if not whole:
        failed = data + writer.fail(ServerError("broken"))
        assert events_of(failed)[-1][0] == "error"
        assert b"message_stop" not in failed
        return
    blocks = blocks_of(events_of(data))
    pictures = "".join(f"![image]({event.media.url})" for event in events if isinstance(event, MediaAdded))
    refusals = "".join(event.text for event in events if isinstance(event, RefusalDelta))
    texts = "".join(block["text"] for block in blocks if block["type"] == "text")
    assert sorted(texts) == sorted(reply.text + pictures + refusals)
    thought = "".join(block["thinking"] for block in blocks if block["type"] == "thinking")
    assert thought == "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    cited = [source["url"] for block in blocks for source in block.get("citations") or ()]
    assert cited == [event.citation.url for event in events if isinstance(event, CitationAdded)]
    told: dict[str, str] = {}
    for block, data_of in of_calls(events_of(data)):
        told[block["id"]] = told.get(block["id"], "") + data_of
    for event in events:
        if isinstance(event, ToolCallEnded):
            assert told[event.id] == event.arguments


def of_calls(events: Sequence[Event]) -> list[tuple[Mapping[str, Any], str]]:
    current: Mapping[str, Any] = {}
    pieces = []
    for _, data in events:
        current = data.get("content_block", current)
        delta = data.get("delta", {})
        if delta.get("type") == "input_json_delta":
            pieces.append((current, delta["partial_json"]))
    return pieces


@settings(max_examples=60)
@given(streams())
def test_the_clients_own_accumulator_takes_it(events: Any) -> None:
    messages = pytest.importorskip("anthropic.lib.streaming._messages")
    types = pytest.importorskip("anthropic.types")
    models = pytest.importorskip("anthropic._models")
    writer = surface.writer(Asked("chat", "m"), context())
    writer.begin(Reply(provider="acme", model="m"))
    data = writer.write([*events, Finished(reply_of(events, {}))])
    snapshot: Any = None
    buffers: dict[Any, Any] = {}
    for _, body in events_of(data):
        event = models.construct_type(value=body, type_=types.RawMessageStreamEvent)
        snapshot = messages.accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    assert snapshot.stop_reason == "end_turn"
    assert [block.type for block in snapshot.content] == [block["type"] for block in blocks_of(events_of(data))]
    assert snapshot.usage.input_tokens == 30


def test_the_end_of_it() -> None:
    """Counts less the cache (AN-U2), the reason, and what the vendor wants back in a last block."""
    writer = surface.writer(Asked("chat", "m"), context())
    writer.begin(Reply(provider="acme", model="m", usage=Usage(7)))
    call = ToolCall("c_1", "f", "{}", extra={"signed": "s"})
    reply = Reply(
        finish_reason="tool_calls", tool_calls=(call,), usage=USAGE, provider="acme", model="m", opaque={"k": 1}
    )
    events = events_of(writer.write([ReasoningDelta("hm"), ToolCallEnded(0, "c_1", "f", "{}"), Finished(reply)]))
    check(events)
    assert events[0][1]["message"]["usage"]["input_tokens"] == 7
    thinking, used, last = blocks_of(events)
    seal = Seal(SECRET)
    assert seal.open(thinking["signature"]) is not None
    assert used["input"] == {}
    sealed = seal.open(last["data"])
    assert sealed is not None
    assert (sealed.origin, sealed.opaque, sealed.calls) == ("acme", {"k": 1}, {"c_1": {"signed": "s"}})
    assert events[-2][1]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None, "stop_details": None}
    assert {name: count for name, count in events[-2][1]["usage"].items() if count is not None} == {
        "input_tokens": 30,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 60,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 5},
    }


def test_ids_that_each_answer_repeats_are_told_apart() -> None:
    ids = set()
    shared = context()
    for _ in range(2):
        writer = surface.writer(Asked("chat", "m"), shared)
        writer.begin(Reply(provider="acme"))
        end = Finished(Reply(provider="acme", tool_calls=(ToolCall("call_0", "f", "{}", extra={"a": 1}),)))
        blocks = blocks_of(events_of(writer.write([ToolCallEnded(0, "call_0", "f", "{}"), end])))
        sealed = shared.seal.open(blocks[1]["data"])
        assert sealed is not None
        assert sealed.calls == {blocks[0]["id"]: {"a": 1}}
        ids.add(blocks[0]["id"])
    assert len(ids) == 2
