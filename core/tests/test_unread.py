"""Keys that nobody here reads: kept of an answer, plain and streamed, and laid over what is sent."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from tests.steps import count_steps

from chatport import (
    BadRequestError,
    Client,
    Message,
    OpaqueReported,
    TextDelta,
    TextPart,
    Tool,
    ToolCall,
    ToolCallDelta,
    UnsupportedFeatureError,
)
from chatport.decoding.collector import Collector
from chatport.inputs.history import mended
from chatport.inputs.messages import read_messages
from chatport.inputs.tools import read_tools
from chatport.standard.unread import laid_over, merge_keys, merged_keys
from chatport.testing import decode_events, replay

SIGNED = {"extra_content": {"google": {"thought_signature": "SIG=="}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def plain(**message: Any) -> str:
    return json.dumps({"choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}]})


def streamed(*deltas: dict[str, Any], finish: str = "stop") -> str:
    chunks: list[Any] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def sent(*messages: Any, **options: Any) -> Any:
    config = {"providers": {"acme": {"kind": "compatible", "base_url": "https://acme.example/v1"}}}
    with Client(config=config) as client:
        return client.explain(list(messages), model="acme:m", **options)


# --- out of an answer


def test_what_says_nothing_is_not_kept() -> None:
    reply = replay("compatible", body=plain(content="a", annotations=[], none=None, text="", name="A"), stream=False)
    assert reply.opaque == {}
    assert replay("compatible", body=plain(content="a", flag=False, zero=0), stream=False).opaque == {
        "message": {"flag": False, "zero": 0}
    }


@pytest.mark.parametrize(
    "fragments",
    [
        [{**CALL, "index": 0, **SIGNED}],
        [{**CALL, "index": 0}, {"index": 0, **SIGNED}],
        [{"index": 0, **SIGNED}, {**CALL, "index": 0}],
        [{**CALL, "index": 0}, SIGNED],  # a piece that says of no call goes to the last one
        [{**CALL, "index": 0, **SIGNED}, {"index": 0, **SIGNED}],
    ],
)
def test_the_keys_of_a_call_may_come_with_any_of_its_pieces(fragments: list[Any]) -> None:
    deltas = [{"tool_calls": [fragment]} for fragment in fragments]
    (call,) = replay("compatible", body=streamed(*deltas), stream=True).tool_calls
    assert (call.id, call.name, call.arguments, call.extra) == ("c1", "f", "{}", SIGNED)
    (one,) = replay("compatible", body=streamed({"tool_calls": fragments}), stream=True).tool_calls
    assert one == call


def test_each_of_several_calls_has_its_own_keys() -> None:
    """GM-T6: of parallel calls only the first one is signed; the signature may come last, after the end."""
    calls = [{**CALL, "id": f"c{n}", "index": n} for n in range(2)]
    late = {"tool_calls": [{"index": 0, **SIGNED}]}
    body = streamed({"tool_calls": calls}, finish="tool_calls").replace("data: [DONE]", "")
    end = "".join(f"data: {json.dumps({'choices': [{'index': 0, 'delta': late}]})}\n\n") + "data: [DONE]\n\n"
    first, second = replay("compatible", body=body + end, stream=True).tool_calls
    assert (first.extra, second.extra) == (SIGNED, {})


def test_only_events_of_the_public_kinds_reach_the_caller() -> None:
    events = decode_events("compatible", body=streamed({"content": "a", "mark": 1}))
    assert [type(event).__name__ for event in events] == ["TextDelta", "Finished"]


def test_a_key_that_a_hook_reports_as_its_own_is_kept_once() -> None:
    collector = Collector()
    collector.add(TextDelta("a"))
    for key, value in (("message", {"seal": "x", "mark": 1}), ("seal", "x")):
        collector.add(OpaqueReported(key, value))
    assert collector.reply().opaque == {"message": {"mark": 1}, "seal": "x"}
    collector.add(OpaqueReported("mark", 1))
    assert collector.reply().opaque == {"seal": "x", "mark": 1}


def test_keys_of_a_call_that_is_not_there_are_nothing() -> None:
    collector = Collector()
    collector.add(TextDelta("a"))
    collector.add(OpaqueReported("call", SIGNED, 0, 3))
    assert collector.reply().tool_calls == ()


def test_what_is_held_weighs() -> None:
    collector = Collector()
    collector.add(ToolCallDelta(0, "c", "f", "{}"))
    light = collector.weight()
    collector.add(OpaqueReported("call", {"x": "y" * 1000}, 0, 0))
    collector.add(OpaqueReported("message", {"x": ["y"] * 1000}))
    size, values = collector.weight()
    assert size > light[0] + 2000
    assert values > light[1] + 1000


def test_pieces_are_merged() -> None:
    held: dict[str, Any] = {}
    for piece in (
        {"text": "a", "list": [1], "deep": {"text": "x", "one": 1}, "number": 1, "same": "s", "none": None},
        {"text": "b", "list": [2], "deep": {"text": "y", "two": 2}, "number": 2, "same": "s", "none": None},
        {"text": "c", "list": [1, 2], "deep": "now a text", "number": None, "turned": {"a": 1}},
        {"list": "a text", "turned": [1]},
    ):
        given = json.loads(json.dumps(piece))
        merge_keys(held, given)
        assert given == piece, "a piece was written to"
    assert merged_keys(held) == {
        "text": "abc", "list": "a text", "deep": "now a text", "number": 2, "same": "s", "none": None, "turned": [1],
    }  # fmt: skip


def test_merging_takes_time_by_what_comes() -> None:
    def merge(pieces: int) -> int:
        held: dict[str, Any] = {}
        new = [{"text": f"{n:09}", "list": [n], "deep": {"text": f"{n:09}"}} for n in range(pieces)]

        def run() -> None:
            for piece in new:
                merge_keys(held, piece)

        return count_steps(run)

    assert merge(400) < 4.5 * merge(100)


# --- into a request


def test_extra_is_laid_over() -> None:
    wire = {"type": "function", "function": {"name": "f"}, "text": "a"}
    assert laid_over(wire, {"x": 1, "function": {"y": 2}, "text": "b"}) == {
        "type": "function", "function": {"name": "f", "y": 2}, "text": "b", "x": 1,
    }  # fmt: skip
    assert wire == {"type": "function", "function": {"name": "f"}, "text": "a"}


def test_tools_are_read_with_all_their_keys() -> None:
    given = {"type": "function", "x": 1, "function": {"name": "f", "parameters": {}, "strict": True, "y": {"z": 2}}}
    (tool,) = read_tools([given])
    assert tool == Tool(
        "f", "", {"type": "object", "properties": {}}, True, extra={"x": 1, "function": {"y": {"z": 2}}}
    )
    (flat,) = read_tools([{"name": "f", "description": "Do.", "input_schema": {"type": "object"}, "x": 1}])
    assert flat == Tool("f", "Do.", {"type": "object"}, extra={"x": 1})
    with pytest.raises(TypeError):
        tool.extra["function"]["y"]["z"] = 3
    endless: dict[str, Any] = {}
    endless["x"] = endless
    with pytest.raises(BadRequestError, match="levels"):
        Tool("f", extra=endless)


def test_calls_are_read_with_all_their_keys() -> None:
    """But for the index, which a stream leaves behind, and which says no more than the order."""
    call = {**CALL, "index": 0, "function": {**CALL["function"], "inner": 1}, **SIGNED, "none": None}  # type: ignore[dict-item]
    history: list[Any] = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "x"},
    ]
    (read,) = read_messages(history)[0].tool_calls
    assert read == ToolCall("c1", "f", "{}", extra={**SIGNED, "function": {"inner": 1}})
    (out,) = sent("q", *history).body["messages"][1]["tool_calls"]
    assert out == {**CALL, "function": {**CALL["function"], "inner": 1}, **SIGNED}  # type: ignore[dict-item]


def test_a_call_that_is_mended_keeps_its_keys() -> None:
    odd = ToolCall("c 1", "a name", "[1]", extra=SIGNED)
    messages, notes = mended((Message.assistant(tool_calls=(odd,)), Message.tool("c 1", "x")), ())
    assert messages[0].tool_calls[0].extra == SIGNED
    assert notes


def test_keys_of_an_answer_go_to_its_own_provider_only() -> None:
    call = ToolCall("c1", "f", "{}", extra={**SIGNED, "function": {"inner": 1}})
    own = Message("assistant", (), (call,), origin="acme", opaque={"message": {"mark": 1, "role": "x"}})
    back = sent("q", own, Message.tool(call, "x"))
    answer = back.body["messages"][1]
    assert (answer["role"], answer["mark"]) == ("assistant", 1)
    assert answer["tool_calls"][0]["extra_content"] == SIGNED["extra_content"]
    assert back.adjustments == ()
    foreign = attrs.evolve(own, origin="other")
    away = sent("q", foreign, Message.tool(call, "x"))
    assert away.body["messages"][1] == {"role": "assistant", "content": None, "tool_calls": [CALL]}
    fields = {"messages.mark", "messages.role", "messages.tool_calls.extra_content", "messages.tool_calls.inner"}
    assert {note.field for note in away.adjustments} == fields
    assert all(note.kind == "dropped" and "other" in note.reason for note in away.adjustments)
    with pytest.raises(UnsupportedFeatureError, match="mark"):
        sent("q", foreign, Message.tool(call, "x"), on_unsupported="raise")


def test_keys_that_are_lost_twice_are_told_once() -> None:
    said = Message("assistant", (TextPart("a"),), origin="other", opaque={"message": {"mark": 1}})
    assert len(sent("q", said, "w", said, "e").adjustments) == 1


def test_an_opaque_that_is_no_object_is_left_alone() -> None:
    """It may be a plugin's own, of the same name."""
    for origin in ("acme", "other"):
        said = Message("assistant", (TextPart("a"),), origin=origin, opaque={"message": "x"})
        shown = sent("q", said, "w")
        assert shown.body["messages"][1] == {"role": "assistant", "content": "a"}
        assert shown.adjustments == ()
