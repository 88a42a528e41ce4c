"""The shortest way for the chunk that nearly every stream consists of: one choice with a piece of text or reasoning.

The bytes are decoded into a struct with just the fields that decide whether the chunk is such a one. Whatever else is
in it, in a field that could mean something, sends it the general way in `stream`, which decodes it again: a few chunks
of a stream. A server whose pieces have another shape is found out by its first one, and not tried again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..call import Chunk, StreamState
from ..events import ReasoningDelta, TextDelta

__all__ = ["common_events"]


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: Any = None
    function_call: Any = None
    reasoning_details: Any = None
    refusal: Any = None
    audio: Any = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta
    index: int = 0
    finish_reason: Any = None
    logprobs: Any = None
    usage: Any = None
    error: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: tuple[_Choice]
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


def common_events(chunk: Chunk, state: StreamState) -> list[TextDelta | ReasoningDelta] | None:
    """Return the events of a common chunk, None for any other. Sets `state.is_common` to False if none will be."""
    try:
        decoded = _decode(chunk.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        state.is_common = False  # a list of parts, half an emoji, an empty list of choices at the end: the general way
        return None
    choice = decoded.choices[0]
    delta, known = choice.delta, state.choices.get(choice.index)
    if known is None or known.finished or known.halves:
        return None
    if (
        (choice.finish_reason or choice.logprobs or choice.usage or choice.error or decoded.usage or decoded.error)
        or (delta.tool_calls or delta.refusal or delta.function_call or delta.reasoning_details or delta.audio)
    ):  # fmt: skip
        return None
    text, reasoning = delta.content, delta.reasoning_content or delta.reasoning
    if text:
        if reasoning:
            return [ReasoningDelta(reasoning, choice.index), TextDelta(text, choice.index)]
        return [TextDelta(text, choice.index)]
    return [ReasoningDelta(reasoning, choice.index)] if reasoning else []
