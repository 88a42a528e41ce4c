"""Run in a process of its own: answers without end or measure, and what each costs until we give up on it.

Prints one JSON line for each case: its name, the error's class and text, the processor seconds and the extra memory.
Nothing large is held here either: answers are made while they are read.
"""

from __future__ import annotations

import json
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import repeat
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


def deep(depth: int = 100_000) -> bytes:
    return b'{"choices":' + b"[" * depth + b"]" * depth + b"}"


GZIP = {"content-encoding": "gzip"}
JSON = {"content-type": "application/json"}
CALL = '"tool_calls":[{"index":%d,"id":"c%d","function":{"name":"f","arguments":"{}"}}]'
ONE_CALL = '"tool_calls":[{"index":0,"id":"c%d","function":{"name":"f","arguments":"{}, "}}]'
OPEN_CALL = '"tool_calls":[{"index":0,"id":"c%d","function":{"name":"f","arguments":"[{}, "}}]'
BLOCK = '{"type":"content_block_start","index":%d,"content_block":{"type":"text","text":"a"}}'

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
        lambda: chunks('{"choices":[{"index":%d,"delta":{}}]}'),
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
            if case.streamed:
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
