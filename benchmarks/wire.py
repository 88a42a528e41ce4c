"""What the fake vendor sends, built once: streams and plain replies, in OpenAI's shape and in Anthropic's.

A stream is an iterator of HTTP chunks with one event in each. What repeats is one prebuilt `bytes` object, so a chunk
costs the vendor next to nothing.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import chain, cycle, islice
from typing import Any, Literal, cast

__all__ = ["KINDS", "Kind", "Knobs", "Shape", "plain", "stream"]

Kind = Literal["text", "reasoning", "tools"]
Shape = Literal["openai", "anthropic"]
KINDS: tuple[Kind, ...] = ("text", "reasoning", "tools")

WORDS = (" the", " quick", " brown", " fox", ",", " jumps", " over", " a", " lazy", " dog", ".", "\n\n", ' "so"', " é")
PLAIN_TEXT = " ".join(["The quick brown fox jumps over a lazy dog, and then it rests."] * 8)
TOOL = "get_weather"
STAMP = "@" * 19  # stands where a chunk carries the time of its write, in nanoseconds of the machine's monotonic clock


@dataclass(frozen=True)
class Knobs:
    """How a stream looks. As text, in a model name or a path: `chunks-200_delay-10_write-1_kind-tools`."""

    chunks: int = 20
    delay: int = 0  # milliseconds between writes; 0: as fast as the client reads. Above 0, texts are times of writing
    write: int = 1  # HTTP chunks in one write
    kind: Kind = "text"

    def __str__(self) -> str:
        return "_".join(f"{field.name}-{getattr(self, field.name)}" for field in fields(self))

    def read(self, text: str) -> Knobs:
        """Return these knobs, changed by those that a text names."""
        found: dict[str, Any] = {name: int(value) for name, value in re.findall(r"(chunks|delay|write)-(\d+)", text)}
        kind = re.search(r"kind-([a-z]+)", text)
        if kind and kind[1] in KINDS:
            found["kind"] = cast(Kind, kind[1])
        return replace(self, **found) if found else self


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = b"0\r\n\r\n"  # the last HTTP chunk


class _OpenAI:
    """OpenAI's shape, with `reasoning_content` as several vendors have it."""

    def _chunk(self, **fields: Any) -> bytes:
        same = {
            "id": "chatcmpl-9f2c41d07b3e5a68",
            "object": "chat.completion.chunk",
            "created": 1_760_000_000,
            "model": "fake-1",
            "system_fingerprint": "fp_5d1a70c3e2",
        }
        return _chunk(b"data: " + _json({**same, **fields}) + b"\n\n")

    def _choice(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._chunk(choices=[choice], usage=None)

    def opening(self, kind: Kind) -> bytes:
        return self._choice({"role": "assistant", "content": None if kind == "tools" else ""})

    def part_opening(self, kind: Kind, index: int) -> bytes:
        if kind != "tools":
            return b""
        function = {"name": TOOL, "arguments": ""}
        call = {"index": 0, "id": "call_b71c90ad42", "type": "function", "function": function}
        return self._choice({"tool_calls": [call]})

    def piece(self, kind: Kind, text: str, index: int) -> bytes:
        if kind == "tools":
            return self._choice({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})
        if kind == "reasoning":
            return self._choice({"content": None, "reasoning_content": text})
        return self._choice({"content": text})

    def part_ending(self, kind: Kind, index: int) -> bytes:
        return b""

    def ending(self, kind: Kind, chunks: int) -> bytes:
        usage = {"prompt_tokens": 12, "completion_tokens": chunks, "total_tokens": 12 + chunks}
        finish = self._choice({}, "tool_calls" if kind == "tools" else "stop")
        return finish + self._chunk(choices=[], usage=usage) + _chunk(b"data: [DONE]\n\n")

    def plain(self) -> bytes:
        message = {"role": "assistant", "content": PLAIN_TEXT, "refusal": None}
        return _json(
            {
                "id": "chatcmpl-9f2c41d07b3e5a68",
                "object": "chat.completion",
                "created": 1_760_000_000,
                "model": "fake-1",
                "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 12, "completion_tokens": 120, "total_tokens": 132},
            }
        )


class _Anthropic:
    """Anthropic's named events: every part of the answer is a block that is started and stopped."""

    def _event(self, name: str, **fields: Any) -> bytes:
        return _chunk(b"event: %b\ndata: %b\n\n" % (name.encode(), _json({"type": name, **fields})))

    def _message(self, content: list[Any], stop_reason: str | None, output_tokens: int) -> dict[str, Any]:
        return {
            "id": "msg_01Hq7zc5Vt2n",
            "type": "message",
            "role": "assistant",
            "model": "fake-1",
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {"input_tokens": 12, "output_tokens": output_tokens},
        }

    def opening(self, kind: Kind) -> bytes:
        return self._event("message_start", message=self._message([], None, 1))

    def part_opening(self, kind: Kind, index: int) -> bytes:
        blocks: dict[Kind, dict[str, Any]] = {
            "text": {"type": "text", "text": ""},
            "reasoning": {"type": "thinking", "thinking": "", "signature": ""},
            "tools": {"type": "tool_use", "id": "toolu_01b71c90ad", "name": TOOL, "input": {}},
        }
        return self._event("content_block_start", index=index, content_block=blocks[kind]) + self._event("ping")

    def _delta(self, delta: dict[str, str], index: int) -> bytes:
        return self._event("content_block_delta", index=index, delta=delta)

    def piece(self, kind: Kind, text: str, index: int) -> bytes:
        deltas: dict[Kind, tuple[str, str]] = {
            "text": ("text_delta", "text"),
            "reasoning": ("thinking_delta", "thinking"),
            "tools": ("input_json_delta", "partial_json"),
        }
        name, field = deltas[kind]
        return self._delta({"type": name, field: text}, index)

    def part_ending(self, kind: Kind, index: int) -> bytes:
        signature = self._delta({"type": "signature_delta", "signature": "c2ln"}, index) if kind == "reasoning" else b""
        return signature + self._event("content_block_stop", index=index)

    def ending(self, kind: Kind, chunks: int) -> bytes:
        delta = {"stop_reason": "tool_use" if kind == "tools" else "end_turn", "stop_sequence": None}
        return self._event("message_delta", delta=delta, usage={"output_tokens": chunks}) + self._event("message_stop")

    def plain(self) -> bytes:
        return _json(self._message([{"type": "text", "text": PLAIN_TEXT}], "end_turn", 120))


_SHAPES: dict[Shape, _OpenAI | _Anthropic] = {"openai": _OpenAI(), "anthropic": _Anthropic()}


def _head(content_type: str, framing: str) -> bytes:
    """A response head with about as many fields as vendors send."""
    lines = (
        "HTTP/1.1 200 OK",
        "date: Thu, 09 Oct 2025 08:53:20 GMT",
        f"content-type: {content_type}",
        framing,
        "connection: keep-alive",
        "cache-control: no-cache",
        "x-ratelimit-limit-requests: 10000",
        "x-ratelimit-remaining-requests: 9999",
        "x-request-id: req_4be0d17c52f94a1d",
    )
    return "\r\n".join((*lines, "", "")).encode()


@lru_cache
def plain(shape: Shape) -> bytes:
    """Return a whole plain response."""
    body = _SHAPES[shape].plain()
    return _head("application/json", f"content-length: {len(body)}") + body


@lru_cache
def _pieces(shape: Shape, kind: Kind, index: int) -> tuple[bytes, ...]:
    return tuple(_SHAPES[shape].piece(kind, word, index) for word in WORDS)


@lru_cache
def _stamp_halves(shape: Shape) -> tuple[bytes, bytes]:
    before, after = _SHAPES[shape].piece("text", STAMP, 0).split(STAMP.encode())
    return before, after


def _stamped(shape: Shape, count: int) -> Iterator[bytes]:
    """Give texts that are the time at which each is asked for, which is the time of its write."""
    before, after = _stamp_halves(shape)
    for _ in range(count):
        yield b"%b%019d%b" % (before, time.monotonic_ns(), after)


def _arguments(shape: Shape, count: int) -> Iterator[bytes]:
    """Give the pieces of a tool call's arguments, which are one JSON object when put together."""
    piece = _SHAPES[shape].piece
    if count == 1:
        return iter([piece("tools", '{"city":"Rome"}', 0)])
    first, middle, last = (piece("tools", text, 0) for text in ('{"city":"', "abcd", '"}'))
    return chain([first], islice(cycle([middle]), count - 2), [last])


def _part(shape: Shape, kind: Kind, count: int, index: int, stamped: bool) -> Iterator[bytes]:
    if kind == "tools":
        return _arguments(shape, count)
    if stamped:
        return _stamped(shape, count)
    return islice(cycle(_pieces(shape, kind, index)), count)


def stream(shape: Shape, knobs: Knobs) -> tuple[bytes, Iterator[bytes], bytes]:
    """Return a streamed response: the head and the opening events, the HTTP chunks that are counted, the end."""
    wire, kind, count = _SHAPES[shape], knobs.kind, knobs.chunks
    start = _head("text/event-stream; charset=utf-8", "transfer-encoding: chunked") + wire.opening(kind)
    end = wire.ending(kind, count) + END
    stamped = kind == "text" and knobs.delay > 0
    if kind != "reasoning":
        body = _part(shape, kind, count, 0, stamped)
        return start + wire.part_opening(kind, 0), body, wire.part_ending(kind, 0) + end
    thoughts, texts = count // 2, count - count // 2
    change = wire.part_ending("reasoning", 0) + wire.part_opening("text", 1)
    body = chain(
        _part(shape, "reasoning", thoughts, 0, stamped),
        [change] if change else [],
        _part(shape, "text", texts, 1, stamped),
    )
    return start + wire.part_opening("reasoning", 0), body, wire.part_ending("text", 1) + end
