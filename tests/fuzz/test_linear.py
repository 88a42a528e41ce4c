"""Whatever a stream is made of, twice as much of it takes twice the work: in every dialect, for every kind of piece."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Any

import pytest

from chatport import ChatportError
from chatport.engine.commands import Head
from chatport.engine.route import Route
from chatport.testing.recordings import play, route_of

from ..steps import count_steps
from .properties import PROVIDERS

FEW = 250
MOST_GROWTH = 2.3
HEAD = Head(200, {"content-type": "text/event-stream"})
WHOLE = Head(200, {"content-type": "application/json"})


def event(data: Any, name: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + b"data: " + text.encode() + b"\n\n"


def chunk(index: int = 0, **delta: Any) -> bytes:
    return event({"choices": [{"index": index, "delta": delta}]})


def call(index: Any = 0, call_id: Any = None, name: str | None = None, arguments: Any = None) -> dict[str, Any]:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


def calls(*fragments: dict[str, Any]) -> bytes:
    return chunk(tool_calls=list(fragments))


def stream(piece: Callable[[int], bytes], begin: bytes = b"") -> Callable[[int], bytes]:
    return lambda count: begin + b"".join(map(piece, range(count)))


def block(number: int, kind: str, **data: Any) -> bytes:
    start = {"type": "content_block_start", "index": number, "content_block": {"type": kind, **data}}
    return event(start, "content_block_start")


def piece(number: int, kind: str, **data: Any) -> bytes:
    change = {"type": "content_block_delta", "index": number, "delta": {"type": kind, **data}}
    return event(change, "content_block_delta")


def stop(number: int) -> bytes:
    return event({"type": "content_block_stop", "index": number}, "content_block_stop")


def counted(**usage: Any) -> bytes:
    return event({"type": "message_delta", "delta": {}, "usage": usage}, "message_delta")


BEGUN = calls(call(0, "a", "f", '{"x":"'))
USED = block(0, "tool_use", id="t", name="f")
END = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
STANDARD: dict[str, Callable[[int], bytes]] = {
    "text": stream(lambda n: chunk(content="a")),
    "text and reasoning": stream(lambda n: chunk(content="a", reasoning_content="b")),
    "halves of an emoji": stream(lambda n: chunk(content=("\ud83d", "\ude00")[n % 2])),
    "parts": stream(lambda n: chunk(content=[{"type": "text", "text": "a"}, {"type": "thinking", "thinking": "b"}])),
    "many parts in one": lambda count: chunk(content=["a"] * count),
    "a value for a text": stream(lambda n: chunk(content={"a": n})),
    "refusals": stream(lambda n: chunk(refusal="a")),
    "audio": stream(lambda n: chunk(audio={"id": "a", "data": "b", "transcript": "c"})),
    "annotations": stream(lambda n: chunk(content="a", annotations=[{"type": "file", "file": {"n": n}}])),
    "reasoning details": stream(lambda n: chunk(reasoning_details=[{"type": "reasoning.text", "text": "a"}])),
    "many reasoning details in one": lambda count: chunk(reasoning_details=[{"text": "a"}] * count),
    "new calls": stream(lambda n: calls(call(n, f"c{n}", "f", "{}"))),
    "new calls of one index": stream(lambda n: calls(call(0, f"c{n}", "f", "{}"))),
    "new calls without an index": stream(lambda n: calls({"id": f"c{n}", "function": {"name": "f"}})),
    "new calls of one id": stream(lambda n: calls(call(n, "c", "f", "{}"))),
    "new calls, from the last to the first": stream(lambda n: calls(call(-n, f"c{n}", "f", "{}"))),
    "calls of huge indexes": stream(lambda n: calls(call(10**18 + 7 * n, None, "f", "{}"))),
    "indexes that are none": stream(lambda n: calls(call([n], None, None, "a")), BEGUN),
    "ids that are none": stream(lambda n: calls(call(n, {"n": n}, "f", "a"))),
    "many calls in one": lambda count: calls(*(call(n, f"c{n}", "f", "{}") for n in range(count))),
    "many pieces in one": lambda count: calls(*[call(0, "c", "f", "a")] * count),
    "new ids of an open call": stream(lambda n: calls(call(0, f"c{n}", "f", "a")), BEGUN),
    "new ids and blanks": stream(lambda n: calls(call(0, f"c{n}", "f", " ")), calls(call(0, "a", "f"))),
    "new ids and no arguments": stream(lambda n: calls(call(0, f"c{n}", "f", ""))),
    "new ids of a broken call": stream(lambda n: calls(call(0, f"c{n}", "f", "}"))),
    "new ids of nested brackets": stream(lambda n: calls(call(0, f"c{n}", "f", "[")), calls(call(0, "a", "f", "["))),
    "new ids without a name": stream(lambda n: calls(call(0, f"c{n}", None, "a")), BEGUN),
    "names in pieces": stream(lambda n: calls(call(0, "a", "f", ""))),
    "arguments in bytes": stream(lambda n: calls(call(0, None, None, "a")), BEGUN),
    "arguments of every call in turn": lambda count: b"".join(
        [calls(call(n, f"c{n}", "f", "[")) for n in range(count)]
        + [calls(call(n, None, None, "0")) for n in range(count)]
    ),
    "arguments as values": stream(lambda n: calls(call(0, None, None, {"a": n})), BEGUN),
    "old function calls": stream(lambda n: chunk(function_call={"name": "f", "arguments": "a"})),
    "choices": stream(lambda n: chunk(n, content="a")),
    "choices with calls": stream(lambda n: chunk(n, tool_calls=[call(0, f"c{n}", "f", "{}")])),
    "many choices in one": lambda count: event(
        {"choices": [{"index": n, "delta": {"content": "a"}} for n in range(count)]}
    ),
    "finished choices": stream(lambda n: event({"choices": [{"index": n, "delta": {}, "finish_reason": "stop"}]})),
    "one choice's end again": stream(lambda n: END, calls(*(call(n, f"c{n}", "f", "{}") for n in range(50)))),
    "log probabilities": stream(
        lambda n: event({"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [n]}}]})
    ),
    "usage": stream(lambda n: event({"choices": [], "usage": {"prompt_tokens": n, "completion_tokens": n}})),
    "usage in choices": stream(lambda n: event({"choices": [{"delta": {}, "usage": {"prompt_tokens": n}}]})),
    "envelopes with new names": stream(lambda n: event({"choices": [], f"n{n}": n})),
    "named events": stream(lambda n: event({"n": n}, f"n{n}")),
    "heartbeats": stream(lambda n: b": still there\n\n"),
    "comments in an event": lambda count: b": a\n" * count + chunk(content="a"),
    "comments between events": stream(lambda n: b":\n\n" + chunk(content="a")),
    "lines in an event": lambda count: b'data: {"choices":\n' + b"data:\n" * count + b"data: []}\n\n",
    "unknown fields": stream(lambda n: b"x\n\n"),
    "empty data": stream(lambda n: b"data\n\n"),
    "ids and times": stream(lambda n: b"id: %d\nretry: 1\n" % n + chunk(content="a")),
    "byte-order marks": stream(lambda n: b"\xef\xbb\xbf" + chunk(content="a")),
    "line ends of three kinds": stream(lambda n: chunk(content="a").replace(b"\n", (b"\r\n", b"\r", b"\n")[n % 3])),
    "blank lines": lambda count: b"\n" * count + chunk(content="a"),
}
MESSAGES: dict[str, Callable[[int], bytes]] = {
    "blocks": stream(lambda n: block(n, "text", text="a") + stop(n)),
    "blocks of one index": stream(lambda n: block(0, "text", text="a")),
    "calls": stream(
        lambda n: block(n, "tool_use", id=f"t{n}", name="f") + piece(n, "input_json_delta", partial_json="{}")
    ),
    "calls whose input is there": stream(
        lambda n: block(n, "tool_use", id=f"t{n}", name="f", input={"a": 1}) + stop(n)
    ),
    "text": stream(lambda n: piece(0, "text_delta", text="a"), block(0, "text")),
    "thinking": stream(lambda n: piece(0, "thinking_delta", thinking="a"), block(0, "thinking")),
    "signatures": stream(lambda n: piece(0, "signature_delta", signature="a"), block(0, "thinking")),
    "arguments in bytes": stream(lambda n: piece(0, "input_json_delta", partial_json="a"), USED),
    "arguments of calls in turn": stream(
        lambda n: piece(n % 2, "input_json_delta", partial_json="a"), USED + block(1, "tool_use", id="u", name="f")
    ),
    "halves of an emoji": stream(lambda n: piece(0, "text_delta", text=("\ud83d", "\ude00")[n % 2]), block(0, "text")),
    "citations": stream(lambda n: piece(0, "citations_delta", citation={"n": n}), block(0, "text")),
    "compactions": stream(lambda n: piece(0, "compaction_delta", content="a"), block(0, "compaction")),
    "unknown pieces": stream(lambda n: piece(0, "new_delta", new=n), block(0, "text")),
    "pings": stream(lambda n: event({"type": "ping"}, "ping")),
    "ends of blocks": stream(lambda n: stop(0), USED),
    "usage": stream(lambda n: counted(output_tokens=n)),
    "usage after many iterations": lambda count: (
        counted(output_tokens=1, iterations=[{"type": "compaction", "input_tokens": 1}] * count)
        + counted(output_tokens=1) * count
    ),
    "starts": stream(lambda n: event({"type": "message_start", "message": {"id": f"m{n}"}}, "message_start")),
}


def dialects(hook: str, stream: bool) -> list[str]:
    """Return one provider for each decoder there is: most have the standard one."""
    found = {getattr(route_of(provider, "recorded", stream).plan, hook): provider for provider in reversed(PROVIDERS)}
    return sorted(found.values())


TABLE = [(provider, name, STANDARD[name]) for provider in dialects("decode_chunk", True) for name in STANDARD] + [
    ("anthropic", f"messages: {name}", MESSAGES[name]) for name in MESSAGES
]


def steps(route: Route, head: Head, pieces: list[bytes]) -> int:
    def run() -> None:
        with suppress(ChatportError):
            play(route, head, pieces, deliver=True)

    run()  # what is imported or remembered once
    gc.disable()  # else what other tests left behind may end in here, and be counted
    try:
        return count_steps(run)
    finally:
        gc.enable()


def bytes_of(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize(("provider", "name", "made"), TABLE, ids=[f"{row[0]}-{row[1]}" for row in TABLE])
def test_twice_the_stream_is_twice_the_work(provider: str, name: str, made: Callable[[int], bytes]) -> None:
    route = route_of(provider, "recorded", True)
    few, many = (steps(route, HEAD, [made(count)]) for count in (FEW, 2 * FEW))
    assert few > FEW / 4, "nothing was looked at"
    assert many <= MOST_GROWTH * few, f"{many} steps after {few}"


@pytest.mark.parametrize(
    "name", ["text", "new calls", "line ends of three kinds", "byte-order marks", "lines in an event"]
)
def test_twice_the_stream_in_single_bytes_is_twice_the_work(name: str) -> None:
    route = route_of("compatible", "recorded", True)
    few, many = (steps(route, HEAD, bytes_of(STANDARD[name](count))) for count in (20, 40))
    assert many <= MOST_GROWTH * few, f"{many} steps after {few}"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_blanks_before_an_answer_are_forgotten(mark: bytes) -> None:
    route = route_of("compatible", "recorded", True)
    few, many = (steps(route, WHOLE, [mark, *[b"\n"] * count, chunk(content="a")]) for count in (200, 400))
    assert many <= MOST_GROWTH * few, f"{many} steps after {few}"


def reply(choices: list[Any]) -> bytes:
    return json.dumps({"choices": choices}).encode()


def ended(index: int, *fragments: dict[str, Any]) -> dict[str, Any]:
    return {"index": index, "message": {"tool_calls": list(fragments)}, "finish_reason": "stop"}


WHOLES: dict[str, Callable[[int], bytes]] = {
    "choices": lambda count: reply([ended(n, call(0, f"c{n}", "f", "{}")) for n in range(count)]),
    "calls": lambda count: reply([ended(0, *(call(n, f"c{n}", "f", "{}") for n in range(count)))]),
    "calls of one id": lambda count: reply([ended(0, *(call(n, "c", "f", "{}") for n in range(count)))]),
    "calls, and the end again and again": lambda count: reply(
        [ended(0, *(call(n, f"c{n}", "f", "{}") for n in range(count)))] + [ended(0)] * count
    ),
    "parts": lambda count: reply([{"message": {"content": ["a"] * count}, "finish_reason": "stop"}]),
}


@pytest.mark.parametrize("provider", dialects("decode_reply", False))
@pytest.mark.parametrize("name", WHOLES)
def test_twice_the_reply_is_twice_the_work(provider: str, name: str) -> None:
    route = route_of(provider, "recorded", False)
    few, many = (steps(route, WHOLE, [WHOLES[name](count)]) for count in (FEW, 2 * FEW))
    assert many <= MOST_GROWTH * few, f"{many} steps after {few}"


def test_messages_with_thousands_of_blocks() -> None:
    route = route_of("anthropic", "recorded", False)

    def made(count: int) -> bytes:
        blocks = (
            [{"type": "text", "text": "a"}, {"type": "tool_use", "id": f"t{n}", "name": "f", "input": {}}]
            for n in range(count)
        )
        return json.dumps({"type": "message", "content": list(chain(*blocks)), "stop_reason": "tool_use"}).encode()

    few, many = (steps(route, WHOLE, [made(count)]) for count in (FEW, 2 * FEW))
    assert many <= MOST_GROWTH * few, f"{many} steps after {few}"
