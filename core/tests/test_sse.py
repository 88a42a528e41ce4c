"""The event-stream parser: the WHATWG rules, any cut of the bytes, and its bounds."""

from __future__ import annotations

import base64
import itertools
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from chatport.decoding.sse import EventStreamParser, ServerSentEvent
from chatport.errors import MalformedReplyError

VECTORS = Path(__file__).resolve().parents[2].parent / "shared/vectors/sse.json"
Shown = tuple[str, str, str]


def load_vectors() -> list[dict[str, Any]]:
    if not VECTORS.is_file():
        return [{"name": "absent"}]
    vectors: list[dict[str, Any]] = json.loads(VECTORS.read_text("utf-8"))["vectors"]
    return vectors


def body_of(vector: dict[str, Any]) -> bytes:
    if "input" in vector:
        return base64.b64decode(vector["input"])
    return b"".join(base64.b64decode(piece) * times for piece, times in vector["repeat"])


def cut(data: bytes, *places: int) -> list[bytes]:
    edges = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def shown(event: ServerSentEvent) -> Shown:
    return event.event, event.data.decode("utf-8", "replace"), event.id


def parse(pieces: Iterable[bytes], **options: Any) -> tuple[list[Shown], EventStreamParser]:
    parser = EventStreamParser(**options)
    events = [shown(event) for piece in pieces for event in parser.feed(piece)]
    return events, parser


def events_of(data: bytes) -> list[Shown]:
    return parse([data])[0]


def check(vector: dict[str, Any], pieces: Iterable[bytes]) -> None:
    events, parser = parse(pieces)
    if "big" in vector:
        big = vector["big"]
        assert len(events) == big["count"]
        assert len(events[big["at"]][1]) == big["length"]
    else:
        assert events == [(event["type"], event["data"], event["id"]) for event in vector["events"]]
    assert parser.last_id == vector["last_id"]
    if "retry" in vector:
        assert parser.retry_ms == vector["retry"]
    if "done" in vector:
        assert any(data.strip() == "[DONE]" for _, data, _ in events) is vector["done"]


def many_cuts(data: bytes) -> Iterator[list[bytes]]:
    """Give the body in one piece, byte by byte, with empty reads, in each two pieces, and in each three if short."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    yield [b"", *itertools.chain.from_iterable((data[at : at + 1], b"") for at in range(len(data)))]
    if len(data) <= 400:
        yield from (cut(data, place) for place in range(len(data) + 1))
    if len(data) <= 40:
        yield from (cut(data, *places) for places in itertools.combinations(range(len(data) + 1), 2))


@pytest.mark.parametrize("vector", load_vectors(), ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any]) -> None:
    """Every vector gives its events whole, byte by byte, at the splits it lists, and at every cut while it is short."""
    if vector["name"] == "absent":
        pytest.skip("shared/vectors/sse.json is not beside this checkout; the rules are tested below without it")
    data = body_of(vector)
    if "splits" in vector:
        check(vector, cut(data, *vector["splits"]))
    if len(data) > 100_000:
        check(vector, [data])
        check(vector, (data[at : at + 997] for at in range(0, len(data), 997)))
        return
    for pieces in many_cuts(data):
        check(vector, pieces)


RULES: list[tuple[str, bytes, list[Shown]]] = [
    ("a blank line ends an event", b"data: a\n\ndata: b\n\n", [("message", "a", ""), ("message", "b", "")]),
    ("CR alone ends a line", b"data: a\r\rdata: b\r\r", [("message", "a", ""), ("message", "b", "")]),
    ("CRLF ends a line once", b"data: a\r\ndata: b\r\n\r\n", [("message", "a\nb", "")]),
    ("line ends may be mixed", b"data: a\rdata: b\r\n\ndata: c\n\r", [("message", "a\nb", ""), ("message", "c", "")]),
    ("one byte-order mark is dropped", b"\xef\xbb\xbfdata: a\n\n", [("message", "a", "")]),
    ("a second byte-order mark belongs to a name", b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
    ("a later byte-order mark is data", b"data: \xef\xbb\xbf\n\n", [("message", "\ufeff", "")]),
    ("a comment is nothing", b": ping\n\n:\ndata: a\n:x\n\n", [("message", "a", "")]),
    ("one space after the colon is dropped", b"data:a\ndata: b\ndata:  c\n\n", [("message", "a\nb\n c", "")]),
    ("the first colon splits", b"data: a: b\n\n", [("message", "a: b", "")]),
    ("a line without a colon is a field without value", b"data\ndata\n\n", [("message", "\n", "")]),
    ("an empty data line is data", b"data:\n\n", [("message", "", "")]),
    ("names are exact", b"Data: a\n data: b\ndata : c\n\n", []),
    ("unknown fields are nothing", b"foo: a\ndata: b\n\n", [("message", "b", "")]),
    ("without data there is no event", b"event: x\nid: 1\n\ndata: a\n\n", [("message", "a", "1")]),
    ("the event field names the event", b"event: x\ndata: a\n\ndata: b\n\n", [("x", "a", ""), ("message", "b", "")]),
    ("an empty event name means message", b"event:\ndata: a\n\n", [("message", "a", "")]),
    (
        "an id persists until it is reset",
        b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
        [("message", "a", "1"), ("message", "b", "1"), ("message", "c", "")],
    ),
    ("an id with NUL is ignored", b"id: a\0b\ndata: a\n\n", [("message", "a", "")]),
    ("broken UTF-8 is replaced", b"data: \xff\n\n", [("message", "\ufffd", "")]),
    (
        "other separators do not end a line",
        "data: a\u2028b\u0085c\x0bd\n\n".encode(),
        [("message", "a\u2028b\u0085c\x0bd", "")],
    ),
    ("an unfinished event is dropped", b"data: a\n\ndata: b\n", [("message", "a", "")]),
    ("a stream may be empty", b"", []),
]


@pytest.mark.parametrize(("rule", "data", "expected"), RULES, ids=[rule for rule, _, _ in RULES])
def test_rule(rule: str, data: bytes, expected: list[Shown]) -> None:
    """Each rule of the standard holds, however the bytes are cut."""
    for pieces in many_cuts(data):
        assert parse(pieces)[0] == expected, (rule, pieces)


def test_retry_takes_ascii_digits_only() -> None:
    """`retry` sets the reconnection time only when it is made of ASCII digits."""
    assert parse([b"retry: 10\n\n"])[1].retry_ms == 10
    for value in ("", "-1", "1.5", "1e3", " 5", "\u0661", "5x"):
        assert parse([f"retry: 7\n\nretry: {value}\n\n".encode()])[1].retry_ms == 7


def test_the_id_of_an_unfinished_event_does_not_count() -> None:
    """The last event id changes only when its block is complete, also when the rest is asked for."""
    _, parser = parse([b"id: 1\ndata: a\n\nid: 2\ndata: b\n"])
    assert parser.last_id == "1"
    assert parser.close() == ServerSentEvent(b"b", "message", "2")
    assert parser.last_id == "1"


@pytest.mark.parametrize(
    ("data", "rest"),
    [
        (b"data: a\n\n", None),
        (b"", None),
        (b": ping", None),
        (b"event: x\n", None),
        (b"data: a\n\ndata: b", ServerSentEvent(b"b")),
        (b"data: b\n", ServerSentEvent(b"b")),
        (b"data: b\r\n", ServerSentEvent(b"b")),
        (b"event: error\ndata: b\ndata: c", ServerSentEvent(b"b\nc", "error")),
        (b"data", ServerSentEvent(b"")),
    ],
)
def test_the_rest_is_an_event_without_its_blank_line(data: bytes, rest: ServerSentEvent | None) -> None:
    """`close` gives the event that the body ended in, with its name, and gives it once."""
    for pieces in many_cuts(data):
        parser = parse(pieces)[1]
        assert parser.close() == rest
        assert parser.close() is None


def test_a_stray_json_line_is_kept() -> None:
    """A line that is no field and looks like JSON is no event, and is kept for the error message; the first counts."""
    events, parser = parse([b'{"error": 1}\n\n{"error": 2}\n\ndata: a\n\n'])
    assert events == [("message", "a", "")]
    assert parser.stray == b'{"error": 1}'
    assert parse([b"data: {}\n\nfoo\n\n"])[1].stray is None


def test_unparsed_shows_the_unfinished_event() -> None:
    """`unparsed` shows what is held back, short."""
    assert parse([b"data: a\n\ndata: " + b"b" * 5000])[1].unparsed == b"data: " + b"b" * 1994


LINES = st.one_of(
    st.sampled_from(
        [
            b"data: a",
            b"data:",
            b"data",
            b"data: {}",
            b"event: x",
            b"event",
            b"id: 1",
            b"id",
            b"retry: 5",
            b": c",
            b"",
            b"",
            b"",
            b"\xef\xbb\xbfdata: b",
            b"foo: bar",
            "data: \U0001f600".encode(),
            b"data: \xf0\x9f",
        ]
    ),
    st.binary(max_size=6),
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
STREAMS = st.lists(st.tuples(LINES, ENDS), max_size=14).map(lambda lines: b"".join(a + b for a, b in lines))


def reference(data: bytes) -> list[Shown]:
    """A second reading of the standard, slow and plain: decode, split into lines, interpret."""
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")[:-1]
    events: list[Shown] = []
    held, name, last_id, pending_id = list[str](), "", "", ""
    for line in lines:
        if not line:
            last_id = pending_id
            if held:
                words = "\n".join(held).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                events.append((name or "message", words, last_id))
            held, name = [], ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            held.append(value)
        elif field == "event":
            name = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        elif field == "id" and "\0" not in value:
            pending_id = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return events


@settings(deadline=None)
@given(STREAMS)
def test_any_stream_is_read_as_the_standard_says(data: bytes) -> None:
    """A plain reading of the standard gives the same events for any stream."""
    assert events_of(data) == reference(data)


@settings(deadline=None)
@given(STREAMS, st.lists(st.integers(0, 80), max_size=6))
def test_any_cut_gives_the_same_events(data: bytes, places: list[int]) -> None:
    """However a stream is cut into reads, the events, the last id, the retry time and the rest are the same."""
    whole, first = parse([data])
    pieces, second = parse(cut(data, *(min(place, len(data)) for place in places)))
    assert pieces == whole
    assert (first.last_id, first.retry_ms, first.stray) == (second.last_id, second.retry_ms, second.stray)
    assert first.close() == second.close()


MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize("size", [1000, 65536, 9 * MEBIBYTE])
def test_an_event_over_the_limit_is_refused(size: int) -> None:
    """One line of 9 MiB is refused, in whatever pieces it comes, with an error that names the limit to raise."""
    line = b"data: " + b"x" * (9 * MEBIBYTE) + b"\n\n"
    with pytest.raises(MalformedReplyError, match=r"larger than 8388608 bytes.*limits\.event_bytes"):
        parse(line[at : at + size] for at in range(0, len(line), size))


def test_a_complete_event_over_the_limit_is_refused() -> None:
    """An event over the limit is refused too when it arrives whole, in one read, among others."""
    with pytest.raises(MalformedReplyError):
        parse([b"data: a\n\ndata: " + b"x" * 100 + b"\n\ndata: b\n\n"], max_event_bytes=50)


def test_many_lines_count_together() -> None:
    """The limit is for the event, not for its lines."""
    with pytest.raises(MalformedReplyError):
        parse([b"data: 123456789\n"] * 7, max_event_bytes=100)


def test_a_large_event_within_the_limit_is_taken() -> None:
    """An event just under the limit is no error, nor are many events that are larger together."""
    events, _ = parse([b"data: ", b"x" * (8 * MEBIBYTE - 16), b"\n", b"\n"])
    assert len(events[0][1]) == 8 * MEBIBYTE - 16
    assert len(parse([b"data: 123456\n\n" * 100], max_event_bytes=20)[0]) == 100


def test_memory_stays_bounded() -> None:
    """A line without end costs no more memory than the limit and a read or two."""
    piece = b"x" * 65536
    tracemalloc.start()
    try:
        with pytest.raises(MalformedReplyError):
            parse((piece for _ in range(1000)), max_event_bytes=MEBIBYTE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MEBIBYTE


def test_a_long_event_in_small_reads_takes_linear_time() -> None:
    """A long event is not searched again with every read: twice the length costs about twice, not four times."""

    class Counting(bytearray):
        searched = 0

        def rfind(self, sub: Any, start: Any = 0, end: Any = None) -> int:
            Counting.searched += len(self) - start
            return super().rfind(sub, start)

    parser = EventStreamParser()
    parser._rest = Counting(b"data: ")
    for _ in range(2000):
        parser.feed(b"x" * 100)
    assert Counting.searched < 2 * 200_000 + 2 * 2000


BLOCKS = st.lists(
    st.sampled_from(
        [
            "data: a", "data:a", "data: a\ndata: b", "event: x\ndata: a", "event: X\ndata: a", "data: a\nevent: x",
            "event: x.y_z\ndata: ", "data: ", "data", "id: 1\ndata: a", ": a", "data: data: a", "event: \ndata: a",
            "data: a\nid: 2", "retry: 5", "", "{stray}", "data: event: x", "event: event: x\ndata: a",
        ]
    ),
    max_size=6,
)  # fmt: skip


@given(BLOCKS, st.sampled_from(["\n", "\r\n", "\r"]))
def test_the_usual_forms_mean_what_the_rules_say(blocks: list[str], end: str) -> None:
    """A comment in each event is no usual form, and changes nothing."""
    usual = "".join(f"{block}\n\n" for block in blocks)
    spelled = "".join(f": no event\n{block}\n\n" if block else "\n\n" for block in blocks)
    first, second = (parse([text.replace("\n", end).encode()]) for text in (usual, spelled))
    assert first[0] == second[0]
    assert (first[1].last_id, first[1].retry_ms, first[1].stray) == (
        second[1].last_id,
        second[1].retry_ms,
        second[1].stray,
    )


@given(BLOCKS, st.sampled_from(["\n", "\r\n", "\r"]))
def test_events_that_come_one_by_one_mean_what_they_mean_together(blocks: list[str], end: str) -> None:
    """An event that is a whole read has a way of its own, which it takes only behind the beginning of the stream."""
    pieces = [f"{block}\n\n".replace("\n", end).encode() for block in ["data: first", *blocks]]
    first, second = parse(pieces), parse([b"".join(pieces)])
    assert first[0] == second[0]
    assert (first[1].last_id, first[1].retry_ms, first[1].stray) == (
        second[1].last_id,
        second[1].retry_ms,
        second[1].stray,
    )
