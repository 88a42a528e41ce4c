"""What a piece of an answer costs in each protocol: CPU time in this process, without a network.

    python -m benchmarks.decoding

The same words, in chat's chunks and in the events of Responses, through parser, decoder and collector to the events
that a caller would get. Each number is the least of several runs, for pieces that come one by one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from chatport.engine.commands import Head
from chatport.testing.recordings import play, route_of

__all__ = ["KINDS", "STREAMS", "decoding", "main"]

KINDS = ("text", "reasoning", "arguments")
_HEAD = Head(200, {"content-type": "text/event-stream"})
_MODEL = "gpt-6-sol"
_RUNS = 25
_PIECES = 2000


def _chat(kind: str, words: list[str]) -> list[bytes]:
    """Return a stream of chat, as OpenAI sends it."""
    envelope = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": _MODEL}
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    first: dict[str, Any] = {"role": "assistant", "content": None if kind == "arguments" else ""}
    deltas = [{**first, "tool_calls": [call]} if kind == "arguments" else first]
    for word in words:
        piece = {"tool_calls": [{"index": 0, "function": {"arguments": word}}]}
        deltas.append({"text": {"content": word}, "reasoning": {"reasoning_content": word}}.get(kind, piece))
    chunks: list[tuple[Any, str | None]] = [*((delta, None) for delta in deltas), ({}, "stop")]
    pieces = [
        {
            **envelope,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
            "usage": None,
        }
        for delta, finish in chunks
    ]
    return [*(b"data: " + _json(piece) + b"\n\n" for piece in pieces), b"data: [DONE]\n\n"]


def _item(kind: str, text: str) -> tuple[dict[str, Any], dict[str, Any], str, dict[str, Any]]:
    """Return an item as it begins, what is in it at the end, the event of its pieces, and their place in it."""
    shapes: dict[str, tuple[dict[str, Any], dict[str, Any], str, dict[str, Any]]] = {
        "text": (
            {"id": "msg_1", "type": "message", "role": "assistant", "content": []},
            {"content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]},
            "response.output_text.delta",
            {"content_index": 0, "logprobs": []},
        ),
        "reasoning": (
            {"id": "rs_1", "type": "reasoning", "summary": []},
            {"summary": [{"type": "summary_text", "text": text}]},
            "response.reasoning_summary_text.delta",
            {"summary_index": 0},
        ),
        "arguments": (
            {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": ""},
            {"arguments": text},
            "response.function_call_arguments.delta",
            {},
        ),
    }
    return shapes[kind]


def _responses(kind: str, words: list[str]) -> list[bytes]:
    """Return the same answer as a stream of Responses."""
    text = "".join(words)
    whole: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "status": "in_progress",
        "model": _MODEL,
        "output": [],
    }
    item, done, name, more = _item(kind, text)
    place = {"item_id": item["id"], "output_index": 0, **more}
    last = {**item, **done, "status": "completed"}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": whole},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *({"type": name, **place, "delta": word} for word in words),
        {"type": "response.output_item.done", "output_index": 0, "item": last},
        {"type": "response.completed", "response": {**whole, "status": "completed", "output": [last]}},
    ]
    return [b"event: " + event["type"].encode() + b"\ndata: " + _json(event) + b"\n\n" for event in events]


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


STREAMS: Mapping[str, tuple[str, Callable[[str, list[str]], list[bytes]]]] = {
    "chat": ("/chat/completions", _chat),
    "responses": ("/responses", _responses),
}
"""The path of each protocol, and what writes a stream of it."""


def decoding(protocol: str, kind: str, pieces: int = _PIECES) -> Callable[[], object]:
    """Return what decodes an answer of so many pieces."""
    path, write = STREAMS[protocol]
    stream = write(kind, [f" word{number % 97}" for number in range(pieces)])
    route = route_of("openai", _MODEL, True, path)
    return lambda: play(route, _HEAD, stream, deliver=True)


def _least_seconds(action: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_RUNS):
        began = time.process_time()
        action()
        seconds.append(time.process_time() - began)
    return min(seconds)


def main() -> None:
    """Print the table."""
    print(f"{'':10} {'chat':>10} {'responses':>10} {'ratio':>6}   microseconds of CPU for each piece")
    for kind in KINDS:
        chat, responses = (_least_seconds(decoding(name, kind)) / _PIECES * 1e6 for name in ("chat", "responses"))
        print(f"{kind:10} {chat:10.2f} {responses:10.2f} {responses / chat:6.2f}")


if __name__ == "__main__":
    main()
