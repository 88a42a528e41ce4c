"""`shape_request` for Qwen: what its facts cannot say, a seed's range, uploaded images, and text in parts."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from chatport import Call, Context, ImagePart, WireRequest, hookimpl

__all__ = ["shape_request"]

_SEED_END = 2**31


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = _seed((yield))
    if any(isinstance(part, ImagePart) and part.url.startswith("oss://") for m in call.messages for part in m.content):
        wire = wire.with_headers({"x-dashscope-ossresourceresolve": "enable"})  # QW-B7
    if context.facts.quirks.get("flat_content") and not _calls_functions(wire.body):
        wire = _flattened(wire)
    return wire


def _seed(wire: WireRequest) -> WireRequest:
    seed = wire.body.get("seed")
    if not isinstance(seed, int) or 0 <= seed < _SEED_END:
        return wire
    return wire.lower("seed", seed % _SEED_END, "must be from 0 to 2^31-1; the remainder is sent", "QW-P3")


def _calls_functions(body: Mapping[str, Any]) -> bool:
    return bool(body.get("tools")) or any(message["role"] == "tool" for message in body["messages"])


def _flattened(wire: WireRequest) -> WireRequest:
    """QW-P16: this family loses a prompt made of parts, without a word, when there are no tools."""
    for number, message in enumerate(wire.body["messages"]):
        parts = message.get("content")
        if isinstance(parts, list) and all(part.get("type") == "text" for part in parts):
            flat = {**message, "content": "".join(part["text"] for part in parts)}
            messages = [*wire.body["messages"][:number], flat, *wire.body["messages"][number + 1 :]]
            wire = wire.set("messages", messages)
            wire = wire.note("dropped", f"messages[{number}].content", "marks on text parts do not go here", "QW-P16")
    return wire
