"""Run in a process of its own: answers without end or measure, and what each costs until we give up on it.

Prints one JSON line for each case: its name, the error's class and text, the processor seconds and the extra memory.
Nothing large is held here either: answers are made while they are read.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain, repeat
from random import Random
from typing import Any, NamedTuple

import chatport
from chatport.engine.commands import Clock, Head, HttpRequest

PIECE = 64 * 1024
Pieces = Iterator[bytes]
EVENTS = {"content-type": "text/event-stream"}


class Endless:
    """A transport, and its own exchange, that makes its body while it is read, on a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seconds_per_read = 0.0
        self.head = Head(200, {})
        self.pieces: Pieces = iter(())

    def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> Endless:
        return self

    def read(self, seconds: float | None) -> bytes:
        self.now += self.seconds_per_read
        return next(filter(None, self.pieces), b"")

    def close(self) -> None:
        pass


def gathered(events: Iterator[str]) -> Pieces:
    """Put events together to pieces of the size that a socket gives."""
    held, size = [], 0
    for event in events:
        held.append(f"data: {event}\n\n")
        size += len(held[-1])
        if size > PIECE:
            yield "".join(held).encode()
            held, size = [], 0
    yield "".join(held).encode()


def chunks(form: str, most: int = 1_000_000) -> Pieces:
    """Return a stream of that many chunks; `%d` in the form counts them."""
    return gathered(form % ((number,) * form.count("%d")) for number in range(most))


def delta(text: str) -> str:
    return '{"choices":[{"index":0,"delta":{' + text + "}}]}"


def bomb(kind: bytes, mebibytes: int = 2_000) -> Pieces:
    """Return gzip that inflates to as much of one byte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = kind * (1024 * 1024)
    yield packer.compress(b'{"a":"' if kind != b" " else b" ")
    for _ in range(mebibytes):
        yield packer.compress(block)
    yield packer.flush()


def packed(start: bytes, unit: bytes, end: bytes = b"", mebibytes: int = 63) -> Pieces:
    """Return gzip of a text that repeats a unit, with noise in between: it shrinks by less than a bomb does."""
    packer, chance = zlib.compressobj(1, zlib.DEFLATED, 31), Random(7)
    block = unit * (128 * 1024 // len(unit))
    yield packer.compress(start)
    for _ in range(8 * mebibytes):
        noise = {b",": b'"%s",', b"\n": b": %s\n\n"}.get(unit[-1:], b"%s") % chance.randbytes(160).hex().encode()
        yield packer.compress(block) + packer.compress(noise)
    yield packer.compress(end) + packer.flush()


def in_pieces(data: bytes, size: int) -> Pieces:
    return (data[at : at + size] for at in range(0, len(data), size))


def blocks(*deltas: str) -> Pieces:
    """Return a stream of the Messages protocol: one block, and these pieces of it."""
    start = '{"type":"content_block_start","index":0,"content_block":{"type":"compaction","content":""}}'
    return gathered(chain((start,), (f'{{"type":"content_block_delta","index":0,"delta":{each}}}' for each in deltas)))


def full_of_calls() -> bytes:
    call = '{"index":0,"id":"a"},' * 300
    choices = (f'{{"index":{number},"message":{{"tool_calls":[{call}{{}}]}}}},' for number in range(900))
    return ('{"choices":[' + "".join(choices) + "{}]}").encode()


def twice_used(call_id: str, pieces: int) -> Iterator[str]:
    """Give two calls of one id, and many pieces of the second."""
    form = '"tool_calls":[{"index":%d,"id":"%s","function":{"name":"f","arguments":""}}]'
    yield delta(form % (0, call_id))
    yield delta(form % (1, call_id))
    for _ in range(pieces):
        yield delta('"tool_calls":[{"index":1,"function":{"arguments":"a"}}]')


def deep(depth: int = 100_000) -> bytes:
    return b'{"choices":' + b"[" * depth + b"]" * depth + b"}"


GZIP = {"content-encoding": "gzip"}
JSON = {"content-type": "application/json"}
CALL = '"tool_calls":[{"index":%d,"id":"c%d","function":{"name":"f","arguments":"{}"}}]'
ONE_CALL = '"tool_calls":[{"index":0,"id":"c%d","function":{"name":"f","arguments":"{}, "}}]'
OPEN_CALL = '"tool_calls":[{"index":0,"id":"c%d","function":{"name":"f","arguments":"[{}, "}}]'
BLOCK = '{"type":"content_block_start","index":%d,"content_block":{"type":"text","text":"a"}}'

PACKED_JSON = GZIP | JSON
ANSWER = b'],"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
KEPT = b'data: {"choices":[{"delta":{"%s":[' + b"0," * 200 + b"0]}}]}\n\n"
SMALL_PIECES = "a text of small pieces without end"


class Case(NamedTuple):
    """An answer, how much time passes while each piece of it is read, and the error that is due."""

    provider: str
    streamed: bool
    status: int
    headers: dict[str, str]
    pieces: Callable[[], Pieces]
    seconds_per_read: float
    due: str
    mebibytes: int = 32
    """The most extra memory. The bytes of a body of 64 MiB are held twice while they are put together."""
    asked: str = "chat"


CASES: dict[str, Case] = {
    "a line of 300 MB": Case(
        "compatible", True, 200, EVENTS, lambda: repeat(b"data: " + b"a" * PIECE, 4_800), 0, "MalformedReplyError"
    ),
    "a line of 300 MB, one event": Case(
        "compatible", True, 200, EVENTS, lambda: repeat(b"a" * PIECE, 4_800), 0, "MalformedReplyError"
    ),
    "events that look like events inside": Case(
        "compatible",
        True,
        200,
        EVENTS,
        lambda: repeat(b"data: " * (PIECE // 6) + b"\nid: 1\n\n", 8),
        0,
        "MalformedReplyError",
    ),
    "a million lines in an event": Case(
        "compatible",
        True,
        200,
        EVENTS,
        lambda: iter([*repeat(b"data:a\n" * 9_000, 120), b"\n"]),
        0,
        "MalformedReplyError",
    ),
    "gzip bomb": Case("compatible", False, 200, GZIP, lambda: bomb(b"a"), 0, "MalformedReplyError"),
    "gzip bomb of blanks": Case("compatible", False, 200, GZIP, lambda: bomb(b" "), 0, "MalformedReplyError"),
    "gzip bomb where a stream is due": Case(
        "compatible", True, 200, GZIP | EVENTS, lambda: bomb(b"\n"), 0, "MalformedReplyError"
    ),
    "gzip bomb of an error": Case("compatible", False, 500, GZIP, lambda: bomb(b"a"), 0, "ServerError"),
    "an error of 300 MB": Case("compatible", False, 400, {}, lambda: repeat(b"a" * PIECE, 4_800), 0, "BadRequestError"),
    "deep JSON in a chunk": Case(
        "compatible", True, 200, EVENTS, lambda: iter([b"data: ", deep(), b"\n\n"]), 0, "MalformedReplyError"
    ),
    "deep JSON in a body": Case("compatible", False, 200, JSON, lambda: iter([deep()]), 0, "MalformedReplyError"),
    "deep JSON in an error": Case("compatible", False, 400, JSON, lambda: iter([deep()]), 0, "BadRequestError"),
    "a tool call in every chunk": Case(
        "compatible", True, 200, EVENTS, lambda: chunks(delta(CALL)), 0, "MalformedReplyError"
    ),
    "a tool call of a huge index": Case(
        "compatible",
        True,
        200,
        EVENTS,
        lambda: chunks(delta(CALL.replace("%d", "100000%d", 1))),
        0,
        "MalformedReplyError",
    ),
    "a choice in every chunk": Case(
        "compatible",
        True,
        200,
        EVENTS,
        lambda: chunks('{"choices":[{"index":100000%d,"delta":{"content":"a"}}]}'),
        0,
        "MalformedReplyError",
    ),
    "an empty choice in every chunk": Case(
        "compatible",
        True,
        200,
        EVENTS,
        lambda: chunks('{"choices":[{"index":%d,"delta":{}}]}', 100_000),
        0,
        "StreamInterruptedError",
    ),
    "a word of a new choice in every chunk": Case(
        "compatible",
        True,
        200,
        EVENTS,
        lambda: chunks('{"choices":[{"index":%d,"delta":{"content":"a"}}]}'),
        0,
        "MalformedReplyError",
    ),
    "a new id in every piece": Case(
        "compatible", True, 200, EVENTS, lambda: chunks(delta(ONE_CALL), 100_000), 0, "StreamInterruptedError"
    ),
    "a new id in every piece of an open text": Case(
        "compatible", True, 200, EVENTS, lambda: chunks(delta(OPEN_CALL), 100_000), 0, "StreamInterruptedError"
    ),
    "a content block in every event": Case(
        "anthropic", True, 200, EVENTS, lambda: chunks(BLOCK), 0, "MalformedReplyError"
    ),
    "log probabilities without end": Case(
        "compatible",
        True,
        200,
        EVENTS,
        lambda: chunks('{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[%d]}}]}', 100_000),
        0,
        "StreamInterruptedError",
    ),
    "reasoning details without end": Case(
        "compatible",
        True,
        200,
        EVENTS,
        lambda: chunks(delta('"reasoning_details":[%d]'), 100_000),
        0,
        "StreamInterruptedError",
    ),
    "audio without end": Case(
        "compatible",
        True,
        200,
        EVENTS,
        lambda: chunks(delta('"audio":{"data":"%d"}'), 100_000),
        0,
        "StreamInterruptedError",
    ),
    "usage without end": Case(
        "compatible",
        True,
        200,
        EVENTS,
        lambda: chunks('{"choices":[],"usage":{"prompt_tokens":%d}}', 10**9),
        10,
        "DeadlineError",
    ),
    "empty deltas without end": Case(
        "compatible", True, 200, EVENTS, lambda: chunks(delta('"content":""'), 10**9), 10, "DeadlineError"
    ),
    "heartbeats without end": Case(
        "compatible", True, 200, EVENTS, lambda: repeat(b": still there\n\n" * 4_000), 10, "DeadlineError"
    ),
    "blank lines without end": Case("compatible", False, 200, {}, lambda: repeat(b"\n" * PIECE), 10, "DeadlineError"),
    "gzip of lists by the million": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"x":[', b"[],", b"0" + ANSWER),
        0,
        "MalformedReplyError",
        160,
    ),
    "gzip of lists by the million, in an error": Case(
        "compatible", False, 500, PACKED_JSON, lambda: packed(b'{"error":[', b"[],", b"0]}"), 0, "ServerError"
    ),
    "gzip of lists by the million, in an error inside a 200": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"error":[', b"[],", b"0]}"),
        0,
        "MalformedReplyError",
        160,
    ),
    "gzip of lists by the million, in an event": Case(
        "compatible",
        True,
        200,
        GZIP | EVENTS,
        lambda: packed(b'data: {"x":[', b"[],", b"0]}\n\n", 7),
        0,
        "MalformedReplyError",
    ),
    "gzip of objects by the million": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"x":[', b'{"a":0},', b"0" + ANSWER),
        0,
        "MalformedReplyError",
        160,
    ),
    "gzip of objects by the million, in an error": Case(
        "compatible", False, 500, PACKED_JSON, lambda: packed(b'{"error":[', b'{"a":0},', b"0]}"), 0, "ServerError"
    ),
    "gzip of objects by the million, in an error inside a 200": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"error":[', b'{"a":0},', b"0]}"),
        0,
        "MalformedReplyError",
        160,
    ),
    "gzip of objects by the million, in an event": Case(
        "compatible",
        True,
        200,
        GZIP | EVENTS,
        lambda: packed(b'data: {"x":[', b'{"a":0},', b"0]}\n\n", 7),
        0,
        "MalformedReplyError",
    ),
    "gzip of texts by the million": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"x":[', b'"ab",', b"0" + ANSWER),
        0,
        "MalformedReplyError",
        160,
    ),
    "gzip of texts by the million, in an event": Case(
        "compatible",
        True,
        200,
        GZIP | EVENTS,
        lambda: packed(b'data: {"x":[', b'"ab",', b"0]}\n\n", 7),
        0,
        "StreamInterruptedError",
        128,
    ),
    "gzip of numbers by the million": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"x":[', b"0,", b"0" + ANSWER),
        0,
        "MalformedReplyError",
        160,
    ),
    "gzip of numbers by the million, in an event": Case(
        "compatible",
        True,
        200,
        GZIP | EVENTS,
        lambda: packed(b'data: {"x":[', b"0,", b"0]}\n\n", 7),
        0,
        "MalformedReplyError",
    ),
    "gzip of as many lists as are accepted": Case(
        "compatible", False, 200, PACKED_JSON, lambda: packed(b'{"x":[', b"[],", b"0" + ANSWER, 2), 0, "NoneType", 160
    ),
    "gzip of as many objects as are accepted": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"x":[', b'{"a":0},', b"0" + ANSWER, 5),
        0,
        "NoneType",
        180,
    ),
    "gzip of as many texts as are accepted": Case(
        "compatible", False, 200, PACKED_JSON, lambda: packed(b'{"x":[', b'"ab",', b"0" + ANSWER, 9), 0, "NoneType", 200
    ),
    "gzip of a long text": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"x":["', b"aaaaaaa ", b'"' + ANSWER),
        0,
        "NoneType",
        160,
    ),
    "gzip of an error with a long text": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"error":{"message":"', b"aaaaaaa ", b'"}}'),
        0,
        "MalformedReplyError",
        220,
    ),
    "half an emoji in a long text": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"x":["\\ud83d', b"aaaaaaa ", b'"' + ANSWER),
        0,
        "MalformedReplyError",
        160,
    ),
    "choices by the million": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"choices":[', b'{"message":{"content":"a"}},', b"0]}", 7),
        0,
        "MalformedReplyError",
        160,
    ),
    "choices full of calls": Case(
        "compatible", False, 200, JSON, lambda: iter([full_of_calls()]), 0, "MalformedReplyError", 96
    ),
    "parts by the million": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"choices":[{"message":{"content":[', b'"a",', b'"a"]},"finish_reason":"stop"}]}', 7),
        0,
        "MalformedReplyError",
        160,
    ),
    "calls by the million in one event": Case(
        "compatible",
        True,
        200,
        EVENTS,
        lambda: in_pieces(b'data: {"choices":[{"delta":{"tool_calls":[' + b"{}," * 900_000 + b"{}]}}]}\n\n", PIECE),
        0,
        "MalformedReplyError",
        128,
    ),
    "reasoning details full of numbers": Case(
        "compatible",
        True,
        200,
        GZIP | EVENTS,
        lambda: packed(b"", KEPT % b"reasoning_details", b"", 40),
        0,
        "MalformedReplyError",
        160,
    ),
    "embeddings that are no numbers": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"data":[{"embedding":[', b"[],", b"0]}]}"),
        0,
        "MalformedReplyError",
        160,
        "embeddings",
    ),
    "models by the million": Case(
        "compatible",
        False,
        200,
        PACKED_JSON,
        lambda: packed(b'{"data":[', b'{"id":"a"},', b"0]}"),
        0,
        "MalformedReplyError",
        160,
        "models",
    ),
    "empty gzip members without end": Case(
        "compatible",
        True,
        200,
        GZIP | EVENTS,
        lambda: in_pieces(gzip.compress(b"") * 100_000, PIECE),
        0,
        "StreamInterruptedError",
    ),
    "blanks after a byte-order mark, byte by byte": Case(
        "compatible", False, 200, {}, lambda: chain([b"\xef\xbb\xbf"], repeat(b"\n", 100_000)), 0, "MalformedReplyError"
    ),
    "a compaction in small pieces": Case(
        "anthropic",
        True,
        200,
        EVENTS,
        lambda: blocks(*['{"type":"compaction_delta","content":"' + "a" * 256 + '"}'] * 30_000),
        0,
        "StreamInterruptedError",
        48,
    ),
    "citations without end": Case(
        "anthropic",
        True,
        200,
        EVENTS,
        lambda: blocks(*['{"type":"citations_delta","citation":[[],[],[],[]]}'] * 30_000),
        0,
        "MalformedReplyError",
    ),
    "usage with new names without end": Case(
        "anthropic",
        True,
        200,
        EVENTS,
        lambda: chunks('{"type":"message_delta","delta":{},"usage":{"n%d":1}}', 30_000),
        0,
        "MalformedReplyError",
    ),
    "a long id in front of many pieces": Case(
        "openrouter",
        True,
        200,
        EVENTS,
        lambda: gathered(twice_used("i" * 200_000, 20_000)),
        0,
        "StreamInterruptedError",
        48,
    ),
    SMALL_PIECES: Case(
        "compatible",
        True,
        200,
        EVENTS,
        lambda: chunks(delta(f'"content":"%d{"a" * 500}"'), 10**9),
        0,
        "MalformedReplyError",
    ),
}


def run(case: Case) -> Exception | None:
    provider, transport = case.provider, Endless()
    transport.head, transport.pieces = Head(case.status, case.headers), case.pieces()
    transport.seconds_per_read = case.seconds_per_read
    clock = Clock(lambda: transport.now, lambda: datetime(2026, 1, 1, tzinfo=UTC), lambda: 0.0)
    table = {"api_key": "k", "base_url": "https://bounded.invalid/v1"} | (
        {"kind": "compatible"} if provider == "compatible" else {}
    )
    # The limit is small for the one case that must reach it by honest text; every other one is over before it.
    config: dict[str, Any] = {"providers": {provider: table}, "retry": {"attempts": 1}}
    config["limits"] = {"body_bytes": 4 * 1024 * 1024} if case is CASES[SMALL_PIECES] else {}
    with chatport.Client(config, transport=transport, clock=clock) as client:
        try:
            if case.asked == "embeddings":
                client.embed("text", model=f"{provider}:m")
            elif case.asked == "models":
                client.models(provider)
            elif case.streamed:
                for _ in client.stream("hello", model=f"{provider}:m"):
                    pass
            else:
                client.chat("hello", model=f"{provider}:m")
        except chatport.ChatportError as error:
            return error
    return None


def memory(name: str) -> int:
    """Return a value of this process in bytes: VmRSS is what is held, VmHWM the most since the mark was reset."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def reset_mark() -> None:
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


if __name__ == "__main__":
    run(
        Case("compatible", True, 200, EVENTS, lambda: chunks(delta('"content":"a"'), 10), 0, "")
    )  # what is imported lazily
    run(Case("anthropic", False, 400, JSON, lambda: iter([b"{}"]), 0, ""))
    for name in sys.argv[1:] or CASES:
        reset_mark()
        before, began = memory("VmRSS"), time.process_time()
        problem = run(CASES[name])
        seconds, extra = time.process_time() - began, memory("VmHWM") - before
        row = [name, type(problem).__name__, str(problem)[:300], round(seconds, 2), extra // 1024]
        print(json.dumps(row), flush=True)
