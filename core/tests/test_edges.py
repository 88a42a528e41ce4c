"""Numbers at the very edge: what is still taken, and the first that is not."""

from __future__ import annotations

import gzip
import json
import random
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import pytest

import chatport
from chatport import (
    ConfigurationError,
    Finished,
    MalformedReplyError,
    Message,
    Tool,
    ToolCall,
    UnsupportedFeatureError,
    jsoncodec,
)
from chatport.basics.bounded import LONGEST_NAME
from chatport.decoding.body import LARGEST_PIECE, body_decoder
from chatport.inputs.options import read_call
from chatport.schemas.check import Budget, examine
from chatport.standard.calls import CallCount, Calls
from chatport.standard.tools import wire_name
from chatport.standard.verdicts import read_error
from chatport.testing import Emulator, decode_events, replay

# --- multipleOf


@pytest.mark.parametrize(
    ("value", "step", "fits"),
    [
        *((0.3, 0.1, True), (-0.3, 0.1, True), (0.35, 0.1, False), (0.7, 0.1, True), (0, 0.1, True)),
        *((4.35, 0.01, True), (4.355, 0.01, False), (1.1, 1.1, True), (1.1, 2.2, False), (3.3, 1.1, True)),
        *((0.05, 0.1, False), (0.1 + 0.2, 0.1, True), (0.3001, 0.1, False), (0.30000001, 0.1, False)),
        *((-0.30000001, 0.1, False),),
        *((7, 2, False), (8, 2, True), (-8, 2, True), (7.0, 2, False), (8.0, 2, True), (7.5, 2.5, True)),
        # with many steps in it, half a step is still no step
        *((1_000_000_000.5, 1, False), (1_000_000_000.5, 0.5, True), (999_999.5, 1, False), (7, 3.5, True)),
        *((1_000_000.5, 1, False), (1_000_001.5, 1, False)),
        *((123_456_789.01, 0.01, True), (123_456_789.015, 0.01, False), (1e15 + 0.5, 1, False), (1e15, 0.5, True)),
        *((2.0**60, 3, False), (2.0**60, 2, True), (1e300, 7, False), (5e-324, 5e-324, True), (1e-10, 1e-11, True)),
        # a step that no schema may have holds nothing
        *((7, 0, True), (7, -2, True)),
    ],
)  # fmt: skip
def test_a_multiple_is_one_as_it_is_written(value: Any, step: Any, fits: bool) -> None:
    assert (not examine(value, {"multipleOf": step}).violations) is fits


# --- what is said of a number, a size


@pytest.mark.parametrize(
    ("schema", "fitting", "misfit"),
    [
        ({"minimum": 3}, 3, 2.999),
        ({"maximum": 3}, 3, 3.001),
        ({"exclusiveMinimum": 3}, 3.001, 3),
        ({"exclusiveMaximum": 3}, 2.999, 3),
        ({"minLength": 2}, "ab", "a"),
        ({"maxLength": 2}, "ab", "abc"),
        ({"minItems": 2}, [1, 2], [1]),
        ({"maxItems": 2}, [1, 2], [1, 2, 3]),
        ({"minProperties": 1}, {"a": 1}, {}),
        ({"maxProperties": 1}, {"a": 1}, {"a": 1, "b": 2}),
        ({"contains": {"const": 1}, "minContains": 2}, [1, 1], [1]),
        ({"contains": {"const": 1}, "maxContains": 2}, [1, 1], [1, 1, 1]),
    ],
)
def test_a_bound_is_met_exactly(schema: Any, fitting: Any, misfit: Any) -> None:
    assert not examine(fitting, schema).violations
    assert examine(misfit, schema).violations


def test_a_check_has_exactly_its_steps() -> None:
    schema, value = {"items": {"type": "integer"}}, [1] * 50
    steps = next(n for n in range(1, 10_000) if examine(value, schema, budget=Budget(n)).is_complete)
    assert not examine(value, schema, budget=Budget(steps - 1)).is_complete
    assert examine(value, schema, budget=Budget(steps + 1)).is_complete


# --- caps of an answer, met exactly


def stream(*deltas: Any, choices: int = 1) -> str:
    chunks = [{"choices": [{"index": n, "delta": delta} for n in range(choices)]} for delta in deltas]
    chunks.append({"choices": [{"index": n, "delta": {}, "finish_reason": "stop"} for n in range(choices)]})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def fragment(number: int) -> dict[str, Any]:
    return {"index": number, "id": f"c{number}", "function": {"name": "f", "arguments": "{}"}}


def test_as_many_calls_as_are_accepted_are() -> None:
    assert [*Calls(CallCount(3)).take_all([fragment(n) for n in range(3)])]
    with pytest.raises(MalformedReplyError, match="more than 3 entries"):
        [*Calls(CallCount(3)).take_all([fragment(n) for n in range(4)])]
    calls = Calls(CallCount(3))
    for number in range(3):
        [*calls.take_all([fragment(number)])]
    [*calls.take_all([fragment(2)])]
    with pytest.raises(MalformedReplyError, match="more than 3 tool calls"):
        [*calls.take_all([fragment(3)])]


@pytest.mark.parametrize("streamed", [True, False])
def test_the_thousandth_call_is_taken_and_the_next_is_not(streamed: bool) -> None:
    def reply(count: int) -> chatport.Reply:
        calls = [fragment(number) for number in range(count)]
        if streamed:
            return replay("compatible", body=stream({"tool_calls": calls}), stream=True)
        plain = {"choices": [{"message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}
        return replay("compatible", body=json.dumps(plain), stream=False)

    assert len(reply(1_000).tool_calls) == 1_000
    with pytest.raises(MalformedReplyError, match="more than 1000"):
        reply(1_001)


def test_the_thousandth_choice_is_taken_and_the_next_is_not() -> None:
    events = decode_events("compatible", body=stream({"content": "a"}, choices=1_000))
    end = events[-1]
    assert isinstance(end, Finished)
    assert len(end.reply.alternatives) == 999
    with pytest.raises(MalformedReplyError, match="more than 1000 choices"):
        decode_events("compatible", body=stream({"content": "a"}, choices=1_001))


def test_values_are_counted_to_the_last_one() -> None:
    text = b"[" + b"0," * 99 + b"0]"
    counted = jsoncodec.count_values(text)
    assert len(jsoncodec.decode(text, counted)) == 100
    with pytest.raises(jsoncodec.TooManyValuesError):
        jsoncodec.decode(text, counted - 1)


@pytest.mark.parametrize("unit", ["[", '{"a":'])
def test_two_hundred_levels_are_read_and_no_more(unit: str) -> None:
    def nested(levels: int) -> bytes:
        return (unit * levels + "1" + ("]" if unit == "[" else "}") * levels).encode()

    assert jsoncodec.decode(nested(200))
    with pytest.raises(jsoncodec.TooDeepError):
        jsoncodec.decode(nested(201))


@pytest.mark.parametrize("name", ["event_bytes", "body_bytes"])
def test_an_answer_of_exactly_the_size_is_taken(name: str) -> None:
    """The limit is the size of the largest that is taken: of one event, or of a body."""
    emulator = Emulator("compatible")
    streamed = name == "event_bytes"

    def ask(most: int) -> str:
        config = {**emulator.config(), "limits": {name: most}, "retry": {"attempts": 1}}
        with chatport.Client(config, transport=emulator) as client:
            if not streamed:
                return client.chat(f"say: {'x' * 5000}", model="compatible:emulated-model").text
            with client.stream(f"say: {'x' * 5000}", model="compatible:emulated-model") as answer:
                list(answer)
            return answer.reply.text

    taken = bisect_left(range(7_000), True, key=lambda most: most > 0 and not fails(lambda: ask(most)))
    assert ask(taken) == "x" * 5000
    assert fails(lambda: ask(taken - 1))


def fails(call: Any) -> bool:
    try:
        call()
    except MalformedReplyError:
        return True
    return False


# --- caps of a request, met exactly


def test_a_name_of_exactly_the_length_stays() -> None:
    assert wire_name("n" * 64) == "n" * 64
    assert len(wire_name("n" * 65)) == 64
    assert wire_name("n" * 65) != wire_name("n" * 66)
    with chatport.Client({"providers": {"x": {"kind": "compatible", "base_url": "https://x.example"}}}) as client:
        assert client.explain("a", model="x:" + "m" * (LONGEST_NAME - 2)).body["model"] == "m" * (LONGEST_NAME - 2)
        with pytest.raises(ConfigurationError, match="at most"):
            client.explain("a", model="x:" + "m" * (LONGEST_NAME - 1))


@pytest.mark.parametrize(("count", "is_taken"), [(128, True), (129, False)])
def test_exactly_as_many_tools_as_a_vendor_takes(count: int, is_taken: bool) -> None:
    tools = [Tool(f"f{number}") for number in range(count)]
    config = {"providers": {"openai": {"api_key": "k"}}}
    with chatport.Client(config) as client:
        if is_taken:
            assert len(client.explain("a", model="openai:gpt-4o", tools=tools).body["tools"]) == count
        else:
            with pytest.raises(UnsupportedFeatureError, match="at most 128 tools, not 129"):
                client.explain("a", model="openai:gpt-4o", tools=tools)


@pytest.mark.parametrize(
    ("option", "least", "most"),
    [("reasoning", 1, None)],
)
def test_options_at_their_edge(option: str, least: Any, most: Any) -> None:
    for edge in (least, most):
        if edge is not None:
            assert getattr(read_call("a", **{option: edge})[0], option) == edge
    for beyond in ([] if least is None else [least - 1]) + ([] if most is None else [most + 0.001]):
        if not (option == "max_tokens" and beyond == 0):
            with pytest.raises(chatport.BadRequestError):
                read_call("a", **{option: beyond})


def test_an_id_of_128_characters_stays() -> None:
    def sent(length: int) -> str:
        call = ToolCall("i" * length, "f", "{}")
        return (
            read_call(["q", Message.assistant(tool_calls=(call,)), Message.tool(call, "r")])[0]
            .messages[1]
            .tool_calls[0]
            .id
        )

    assert sent(128) == "i" * 128
    assert len(sent(129)) == 64


# --- the words of an error


@pytest.mark.parametrize(("levels", "is_read"), [(0, True), (1, True), (6, True), (7, True), (9, False), (100, False)])
def test_an_errors_own_words_are_looked_for_in_seven_levels(levels: int, is_read: bool) -> None:
    in_lists: Any = "why"
    for _ in range(levels):
        in_lists = [in_lists]
    in_objects: Any = "why"
    for _ in range(levels):
        in_objects = {"msg": in_objects}
    for nested in (in_lists, in_objects):
        for name in ("message", "detail", "errors"):
            assert read_error({name: nested}).message == ("why" if is_read else "")
        assert read_error({"error": {"message": nested}}).message == ("why" if is_read else "")


def test_an_error_that_is_too_deep_to_read_is_still_an_error() -> None:
    deep = "[" * 300 + "]" * 300
    with pytest.raises(chatport.BadRequestError) as caught:
        replay("compatible", status=400, body=f'{{"error": {{"message": "why", "detail": {deep}}}}}', stream=False)
    assert caught.value.status == 400


# --- compression

FLOOR, RATIO = 8 * 1024 * 1024, 500


def inflated(data: bytes) -> Iterator[bytes]:
    yield from body_decoder("gzip").feed(gzip.compress(data, mtime=0))


def test_what_shrinks_to_nothing_is_taken_up_to_the_floor() -> None:
    """Eight megabytes of one letter are no bomb; with one byte more they are."""
    pieces = [*inflated(bytes(FLOOR))]
    assert sum(map(len, pieces)) == FLOOR
    assert max(map(len, pieces)) == LARGEST_PIECE
    with pytest.raises(MalformedReplyError, match=rf"more than {RATIO} bytes out of one, {FLOOR + 1} so far"):
        [*inflated(bytes(FLOOR + 1))]


def test_above_the_floor_the_ratio_decides() -> None:
    noise = random.Random(1).randbytes
    size = 2 * FLOOR
    for share, is_taken in ((20_000, True), (10_000, False)):
        data = noise(share) + bytes(size - share)
        ratio = size / len(gzip.compress(data, mtime=0))
        assert (ratio <= RATIO) is is_taken
        if is_taken:
            assert sum(map(len, inflated(data))) == size
        else:
            with pytest.raises(MalformedReplyError):
                [*inflated(data)]
