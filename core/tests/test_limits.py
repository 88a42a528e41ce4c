"""Counting what a JSON text would become, before it does; and holding what decoders keep in few pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from chatport import MalformedReplyError, ToolCall, jsoncodec
from chatport.basics.sizes import Limits
from chatport.standard.calls import CallCount, Calls

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
)


def values_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + len(value) + sum(map(values_of, value.values()))
    return 1 + sum(map(values_of, value)) if isinstance(value, list) else 1


@pytest.mark.slow
@given(json_values)
def test_no_value_is_left_out_of_the_count(value: Any) -> None:
    """The count is an upper bound for all but the outermost value."""
    assert jsoncodec.count_values(json.dumps(value).encode()) >= values_of(value) - 1


@pytest.mark.parametrize("unit", ["[],", '{"a":0},', '"ab",', "0,", "null,"])
def test_more_values_than_are_accepted_are_refused_before_they_are_decoded(unit: str) -> None:
    data = f"[{unit * 1_000}0]".encode()
    with pytest.raises(jsoncodec.TooManyValuesError, match="more than 500 values"):
        jsoncodec.decode(data, 500)
    assert len(jsoncodec.decode(data, 5_000)) == 1_001


def test_without_a_bound_of_its_own_a_text_has_the_usual_one() -> None:
    text = "[" + "0," * Limits().values + "0]"
    with pytest.raises(jsoncodec.TooManyValuesError):
        jsoncodec.decode_text(text)
    with pytest.raises(MalformedReplyError, match="more than 2000000 values"):
        ToolCall("c", "f", text).parsed()


def test_two_thousand_embeddings_are_accepted() -> None:
    limits = Limits()
    vector = b'{"object":"embedding","index":1,"embedding":[' + b"0.5," * 3_071 + b"0.5]},"
    jsoncodec.check_numbers(vector * 2_048, limits.embedding_values, limits.values)


@pytest.mark.parametrize("unit", [b"[],", b'"a",', b'{"a":0},'])
def test_embeddings_of_anything_else_are_refused(unit: bytes) -> None:
    limits = Limits()
    with pytest.raises(jsoncodec.TooManyValuesError, match="beside its numbers"):
        jsoncodec.check_numbers(unit * 4_000_000, limits.embedding_values, limits.values)


def test_half_an_emoji_is_mended_wherever_it_is() -> None:
    texts = [r'"a\ud83db"', r'["\ud83db", {"a": "b\ude00c"}]', r'{"a\ud83db": [1, "\ud83d\ude00"]}']
    assert [jsoncodec.decode_text(text) for text in texts] == [
        "a\ufffdb",
        ["\ufffdb", {"a": "b\ufffdc"}],
        {"a\ufffdb": [1, "\U0001f600"]},
    ]


def test_what_is_mended_is_held_to_the_same_depth() -> None:
    """The standard library, which reads halves of emojis, ends by itself where it is nested too deeply."""
    for levels in (201, 100_000):
        text = r'["\ud83d", ' + "[" * levels + "]" * levels + "]"
        with pytest.raises(jsoncodec.TooDeepError, match="nested too deeply, in more than 200 levels"):
            jsoncodec.decode_text(text)


def test_arguments_are_kept_in_few_pieces() -> None:
    calls = Calls(CallCount(10))
    for number in range(50_000):
        list(calls.take_all([{"index": 0, "function": {"arguments": "ab"}}]))
        if number % 1_000 == 0:
            calls.compact()
    calls.compact()
    assert calls.newest is not None
    assert len(calls.newest.unseen) < 50
    assert "".join(calls.newest.unseen) == "ab" * 50_000


def call(index: Any, call_id: Any, name: str = "", arguments: str = "") -> dict[str, Any]:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("fragments", "due"),
    [
        ([call(0, "a", "f", "{}"), call(0, "b", "f", "{}")], [0, 1]),  # an index for all calls
        ([call(0, "a", "f", "{"), call(0, "b", "f", "}")], [0, 0]),  # an id for each fragment
        ([call(0, "a", "f"), call(1, "a", "f"), call(0, "a"), call(1, "a")], [0, 1, 0, 1]),  # an id for all calls
        ([call(0, "a", "f"), call(1, "b", "f"), call(None, "a"), call(None, None)], [0, 1, 0, 0]),
        ([call(0, None, "f"), call(1, "a", "f"), call(0, "a"), call(None, "a")], [0, 1, 1, 1]),
        ([call(0, 5, "f"), call(None, 5)], [0, 0]),  # an id that is a number
        ([call([0], None, "f"), call([1], None)], [0, 0]),  # an index that is none
        ([call(None, None, "f"), call(None, None, "f"), call(None, None)], [0, 1, 1]),
        ([call(0, "a", "f", " "), call(0, "b", "f", " "), call(0, "c", "f", "{}"), call(0, "d", "f")], [0, 0, 0, 1]),
    ],
)
def test_a_fragment_finds_its_call(fragments: list[Any], due: list[int]) -> None:
    calls = Calls()
    assert [found.index for fragment in fragments for found, _ in calls.take_all([fragment])] == due
