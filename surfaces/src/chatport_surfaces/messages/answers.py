"""An earlier answer as the client gives it back: its blocks as messages, and what rides in them opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from chatport import Message, Part, TextPart, ToolCall, VendorPart
from chatport.helpers import jsoncodec

from ..sealing import Seal
from .blocks import DIRECT
from .opaque import LostError, Opener
from .parts import read_part
from .shape import table, text, without

__all__ = ["read_answer"]

_LOST = "not_ours"
"""The key of a part that stands for what does not open. It has no type, so no vendor is sent it, and it is told."""


def read_answer(blocks: Sequence[Mapping[str, Any]], where: str, seal: Seal) -> list[Message]:
    """Return an answer: one message, or several where blocks follow a call, so that their order stays.

    Who speaks this protocol puts turns that follow each other together again (AN-R2), and so does the core for others.
    """
    answer = _Answer(seal)
    for number, block in enumerate(blocks):
        answer.take(block, f"{where}.{number}")
    return answer.messages()


@attrs.define
class _Segment:
    """What stands between two runs of calls, and the calls after it."""

    content: list[Part] = attrs.field(factory=list)
    calls: list[ToolCall] = attrs.field(factory=list)


class _Answer:
    def __init__(self, seal: Seal) -> None:
        self._opener = Opener(seal)
        self._segments = [_Segment()]
        self._reasoning: list[str] = []
        self._unsigned: list[Part] = []

    def take(self, block: Mapping[str, Any], where: str) -> None:
        """Take a block."""
        match block.get("type"):
            case "thinking":
                self._thinking(block, where)
            case "redacted_thinking":
                self._redacted(block, where)
            case "tool_use":
                self._segments[-1].calls.append(_call(block, where))
            case _:
                self._other(block, where)

    def messages(self) -> list[Message]:
        """Return the answer. What its vendor wants back of the whole belongs to one message."""
        origin, opaque = self._opener.origin, self._opener.opaque
        if opaque:
            first = self._segments[0]
            for segment in self._segments[1:]:
                first.content += segment.content
                first.calls += segment.calls
            del self._segments[1:]
        reasoning = "".join(self._reasoning) if origin is not None else ""
        if origin is None:  # nobody knows whose it is
            self._segments[0].content[:0] = self._unsigned
        return [
            Message(
                "assistant",
                tuple(segment.content),
                tuple([self._keyed(call) for call in segment.calls]),
                reasoning=reasoning or None if segment is self._segments[0] else None,
                origin=origin,
                opaque=opaque,
            )
            for segment in self._segments
        ]

    def _keyed(self, call: ToolCall) -> ToolCall:
        keys = self._opener.calls.get(call.id)
        return call if keys is None else attrs.evolve(call, extra={**call.extra, **keys})

    def _thinking(self, block: Mapping[str, Any], where: str) -> None:
        """Take thinking: its vendor's own with its signature, ours as reasoning."""
        words = text(block.get("thinking"), f"{where}.thinking")
        signature = block.get("signature")
        if not isinstance(signature, str) or not signature:
            self._reasoning.append(words)
            self._unsigned.append(VendorPart({"type": "thinking", "thinking": words}))
            return
        try:
            own = self._opener.text(signature)
        except LostError:
            self._add(_lost(block))
            return
        if own is None:
            self._reasoning.append(words)
        else:
            self._add(VendorPart({**block, "signature": own}))

    def _redacted(self, block: Mapping[str, Any], where: str) -> None:
        try:
            own = self._opener.text(text(block.get("data"), f"{where}.data"))
        except LostError:
            self._add(_lost(block))
            return
        if own is not None:
            self._add(VendorPart({**block, "data": own}))

    def _other(self, block: Mapping[str, Any], where: str) -> None:
        try:
            part = read_part(self._opener.block(block), where)
        except LostError:
            part = read_part(without(block, "citations"), where) if block.get("type") == "text" else _lost(block)
        if part != TextPart(""):
            self._add(part)

    def _add(self, part: Part) -> None:
        if self._segments[-1].calls:
            self._segments.append(_Segment())
        self._segments[-1].content.append(part)


def _lost(block: Mapping[str, Any]) -> Part:
    return VendorPart({_LOST: str(block.get("type"))})


def _call(block: Mapping[str, Any], where: str) -> ToolCall:
    arguments = jsoncodec.encode_anything(table(block.get("input"), f"{where}.input")).decode()
    call_id, name = (text(block.get(key), f"{where}.{key}") for key in ("id", "name"))
    says_nothing = [key for key, value in DIRECT.items() if block.get(key) == value]
    return ToolCall(call_id, name, arguments, extra=without(block, "type", "id", "name", "input", *says_nothing))
