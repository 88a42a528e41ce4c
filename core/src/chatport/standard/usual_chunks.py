"""The shortest way for the chunks that nearly every stream consists of: one choice, and in it one more piece.

A piece of text, of reasoning, or of the arguments of a call that has begun.

The bytes are decoded into a struct that has room for nothing else: a field that could mean something must be empty.
Any other chunk goes the general way in `stream`, which decodes it again, and so do the next few: a server whose pieces
have another shape is not tried anew with each of them.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from ..call import Chunk, StreamState
from ..events import Event, ReasoningDelta, TextDelta
from ..jsoncodec import NEVER_DEEP_BYTES, may_be_deep

__all__ = ["usual_events"]


_NEXT = 16
_NoText: TypeAlias = Literal["", None]
_NoItems: TypeAlias = tuple[()] | None


class _Function(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    arguments: str | None = None
    name: str | None = None


class _Call(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    index: int
    function: _Function
    id: str | None = None
    type: str | None = None


class _Delta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: None = None
    reasoning_details: _NoItems = None
    refusal: _NoText = None
    audio: None = None
    images: _NoItems = None
    annotations: _NoItems = None
    citations: _NoItems = None
    executed_tools: _NoItems = None
    context: None = None
    name: str | None = None  # vendors are known to put these into every piece, with nothing in it
    token_id: None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta
    index: int = 0
    finish_reason: _NoText = None
    logprobs: None = None
    usage: None = None
    error: None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: tuple[_Choice]
    usage: None = None
    error: None = None
    images: _NoItems = None
    citations: _NoItems = None
    search_results: _NoItems = None
    web_search: _NoItems = None
    references: _NoItems = None
    search_info: None = None


_decode = msgspec.json.Decoder(_Chunk).decode


def usual_events(chunk: Chunk, state: StreamState) -> list[Event] | None:
    """Return the events of a common chunk, None for any other. Sets `state.uncommon` where the next are none either."""
    raw = chunk.raw
    if len(raw) > NEVER_DEEP_BYTES and may_be_deep(raw):
        return None
    try:
        decoded = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        state.uncommon = _NEXT
        return None
    choice = decoded.choices[0]
    delta, known = choice.delta, state.choices.get(choice.index)
    if known is None or known.finished or known.halves:
        return None
    text, reasoning = delta.content, delta.reasoning_content or delta.reasoning
    if delta.tool_calls:
        return None if text or reasoning else _arguments(delta.tool_calls, known)
    if text:
        if reasoning:
            return [ReasoningDelta(reasoning, known.index), TextDelta(text, known.index)]
        return [TextDelta(text, known.index)]
    return [ReasoningDelta(reasoning, known.index)] if reasoning else []


def _arguments(fragments: list[_Call], known: Any) -> list[Event] | None:
    """Return the piece of a call that has begun, None for anything more."""
    fragment = fragments[0]
    function = fragment.function
    if fragment.id or function.name or function.arguments is None or len(fragments) > 1:
        return None
    piece = known.more_arguments(fragment.index, function.arguments)
    return None if piece is None else [piece]
