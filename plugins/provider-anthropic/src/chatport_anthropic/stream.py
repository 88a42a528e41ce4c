"""`decode_chunk` and `decode_reply` for the Messages protocol. The standard's own shapes are left to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from chatport import (
    Chunk,
    Context,
    ErrorReported,
    Event,
    MalformedReplyError,
    ReasoningDelta,
    ReplyStarted,
    StreamState,
    TextDelta,
    UsageReported,
    hookimpl,
)
from chatport.helpers import jsoncodec

from .blocks import Turn

__all__ = ["decode_chunk", "decode_reply"]


@hookimpl
def decode_chunk(chunk: Chunk, state: StreamState, context: Context) -> Sequence[Event] | None:
    """Return what a named event means: the name is repeated in `type`, which decides (AN-S1, AN-S2)."""
    if chunk.event == "content_block_delta":
        piece = _piece(chunk, state)
        if piece is not None:
            return piece
    if chunk.raw.lstrip()[:1] != b"{":
        return None
    data = chunk.data
    kind = data.get("type")
    handle = _HANDLERS.get(kind) if isinstance(kind, str) else None
    if handle is not None:
        try:
            return handle(data, state, context)
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            raise _malformed(f"The event {kind}", data, problem) from problem
    if kind is not None and "choices" not in data:
        return ()  # a ping, or something newer (AN-S2)
    if isinstance(state.choices.get(0), Turn):
        raise MalformedReplyError("A chunk of another protocol came in the middle of the answer.", raw=data)
    return None


class _Text(msgspec.Struct, tag="text_delta", gc=False):
    text: str


class _Thinking(msgspec.Struct, tag="thinking_delta", gc=False):
    thinking: str


class _Arguments(msgspec.Struct, tag="input_json_delta", gc=False):
    partial_json: str


class _Piece(msgspec.Struct, tag="content_block_delta", gc=False):
    index: int
    delta: _Text | _Thinking | _Arguments


_decode_piece = msgspec.json.Decoder(_Piece).decode


def _piece(chunk: Chunk, state: StreamState) -> list[Event] | None:
    """Return what nearly every event of an answer says, on the shortest way; None where the general way is due."""
    if jsoncodec.may_be_deep(chunk.raw):
        return None  # the general way says so, or finds that it is not
    try:
        decoded = _decode_piece(chunk.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # another kind of piece, or half an emoji
    turn, delta = state.choices.get(0), decoded.delta
    if not isinstance(turn, Turn) or turn.choice.halves:
        return None
    block = turn.blocks.get(decoded.index)
    if block is None:
        return None
    if isinstance(delta, _Text):
        block.pieces.append(delta.text)
        return [TextDelta(delta.text)] if delta.text else []
    if isinstance(delta, _Thinking):
        block.pieces.append(delta.thinking)
        return [ReasoningDelta(delta.thinking)] if delta.thinking else []
    if not delta.partial_json or block.type != "tool_use":
        return None
    arguments = turn.choice.more_arguments(decoded.index, delta.partial_json)
    if arguments is None:
        return None
    block.pieces.append(delta.partial_json)
    return [arguments]


def _message_start(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    message = data["message"]
    known = state.choices.get(0)
    if known is not None and known.id == message.get("id"):  # AN-S13: a proxy said it twice
        return []
    if known is not None and known.blocks:
        return [_broken("another answer was spliced into the stream")]
    turn = state.choices[0] = Turn(message, context)
    state.started = True
    envelope = {name: value for name, value in message.items() if name not in ("content", "usage")}
    events: list[Event] = [ReplyStarted(turn.id, turn.model, envelope), *_usage(turn, message)]
    for number, block in enumerate(message.get("content") or ()):
        turn.begin(("given", number), block, events)  # AN-S3
        turn.close(("given", number), events)
    return events


def _block(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    events: list[Event] = []
    turn, kind = _turn(state, context), data["type"]
    place = _place(data, turn, begins=kind == "content_block_start")
    if kind == "content_block_start":
        turn.begin(place, data["content_block"], events)
    elif kind == "content_block_delta":
        turn.extend(place, data["delta"], events)
    else:
        turn.close(place, events)
    return events


def _place(data: Mapping[str, Any], turn: Turn, *, begins: bool) -> Any:
    """Return what the events of one block share: the index, or something like it where it is none."""
    index = data.get("index")
    if index is None:
        return ("unplaced", len(turn.blocks)) if begins else next(reversed(turn.blocks), None)
    return index if isinstance(index, int | str) else repr(index)


def _message_delta(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    """Remember the stop reason: only `message_stop` proves that the answer is whole (AN-S9, AN-S12)."""
    turn, delta = _turn(state, context), data.get("delta") or {}
    turn.stop = delta.get("stop_reason") or turn.stop
    turn.details = delta.get("stop_details") or turn.details
    return [ReplyStarted(envelope={k: v for k, v in delta.items() if v is not None}), *_usage(turn, data)]


def _message_stop(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    events: list[Event] = []
    _turn(state, context).finish(context, events)
    state.ended = True
    return events


def _error(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    return [ErrorReported(data)]  # AN-S10


_HANDLERS: Mapping[Any, Callable[[Mapping[str, Any], StreamState, Context], list[Event]]] = {
    **dict.fromkeys(("content_block_delta", "content_block_start", "content_block_stop"), _block),
    "message_start": _message_start,
    "message_delta": _message_delta,
    "message_stop": _message_stop,
    "error": _error,
}


def _turn(state: StreamState, context: Context) -> Turn:
    """Return the answer so far. A stream whose beginning is missing is decoded all the same."""
    turn = state.choices.get(0)
    if turn is None:
        turn = state.choices[0] = Turn({}, context)
        state.started = True
    return turn


def _usage(turn: Turn, data: Mapping[str, Any]) -> list[Event]:
    """Report the counts so far (AN-S9, AN-P2)."""
    counts = data.get("usage")
    if not isinstance(counts, Mapping) or not counts:
        return []
    return [UsageReported(turn.count(counts))]


def _broken(message: str) -> ErrorReported:
    return ErrorReported({"type": "error", "error": {"type": "api_error", "message": message}})


@hookimpl
def decode_reply(data: Any, context: Context) -> Sequence[Event] | None:
    """Return a whole message as the same events that a stream would give."""
    content = data.get("content") if isinstance(data, Mapping) else None
    if not isinstance(content, list):
        return None  # an error, or the compatible endpoint's shape (AN-C6)
    try:
        return _message(data, content, context)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise _malformed("The reply", data, problem) from problem


def _message(data: Mapping[str, Any], content: Sequence[Any], context: Context) -> list[Event]:
    turn = Turn(data, context)
    events: list[Event] = [ReplyStarted(turn.id, turn.model), *_usage(turn, data)]
    for index, block in enumerate(content):
        turn.begin(index, block, events)
        turn.close(index, events)
    turn.stop, turn.details = data.get("stop_reason"), data.get("stop_details")
    turn.finish(context, events)
    return events


def _malformed(what: str, data: Any, problem: Exception) -> MalformedReplyError:
    return MalformedReplyError(f"{what} is not what the protocol says ({type(problem).__name__}: {problem}).", raw=data)
