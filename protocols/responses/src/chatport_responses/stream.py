"""`decode_chunk` and `decode_reply` for the Responses protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, get_args

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
    WireRequest,
    hookimpl,
)
from chatport.helpers import jsoncodec, vendors_usage

from .turn import Turn

__all__ = ["decode_chunk", "decode_reply"]

_ENVELOPE_LESS = ("output", "usage", "tools", "instructions")
"""Keys of a response that are told otherwise, or repeat the request."""


# --- streams


class _Text(msgspec.Struct, tag="response.output_text.delta", gc=False):
    delta: str
    output_index: int
    content_index: int = 0
    logprobs: tuple[()] | None = None

    def place(self) -> tuple[int, str, int]:
        return (self.output_index, "content", self.content_index)


class _Arguments(msgspec.Struct, tag="response.function_call_arguments.delta", gc=False):
    delta: str
    output_index: int


class _Summary(msgspec.Struct, tag="response.reasoning_summary_text.delta", gc=False):
    delta: str
    output_index: int
    summary_index: int = 0

    def place(self) -> tuple[int, str, int]:
        return (self.output_index, "summary", self.summary_index)


class _Thoughts(msgspec.Struct, tag="response.reasoning_text.delta", gc=False):
    delta: str
    output_index: int
    content_index: int = 0

    def place(self) -> tuple[int, str, int]:
        return (self.output_index, "content", self.content_index)


_Piece: TypeAlias = _Text | _Arguments | _Summary | _Thoughts
_DECODERS: Mapping[str, Callable[[bytes], _Piece]] = {
    **{str(piece.__struct_config__.tag): msgspec.json.Decoder(piece).decode for piece in get_args(_Piece)},
    "message": msgspec.json.Decoder(_Piece).decode,  # where no `event:` line says it (RS-V7)
}


@hookimpl
def decode_chunk(chunk: Chunk, state: StreamState, context: Context, request: WireRequest) -> Sequence[Event] | None:
    """Return what an event means: its `type` decides, which `event:` repeats where there is one (RS-V7)."""
    decode = _DECODERS.get(chunk.event)
    if decode is not None:
        piece = _piece(chunk.raw, decode, state)
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
    if isinstance(kind, str) and "choices" not in data and (kind.startswith("response.") or kind == "keepalive"):
        return ()  # progress of the server's own tools, or something newer
    return None


def _piece(raw: bytes, decode: Callable[[bytes], _Piece], state: StreamState) -> list[Event] | None:
    """Return what nearly every event says, on the shortest way; None where the general way is due."""
    turn = state.choices.get(0)
    if turn is None or turn.choice.halves or (len(raw) > jsoncodec.NEVER_DEEP_BYTES and jsoncodec.may_be_deep(raw)):
        return None
    try:
        decoded = decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # another kind of event, or half an emoji
    delta = decoded.delta
    if isinstance(decoded, _Arguments):
        call = turn.more_arguments(decoded.output_index, delta)
        return None if call is None else [call]
    if turn.running != decoded.place():
        return None
    turn.fresh += len(delta)
    if not delta:
        return []
    return [TextDelta(delta) if type(decoded) is _Text else ReasoningDelta(delta)]


def _started(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    _turn(state, context)
    return [_envelope(data["response"])]


def _envelope(response: Mapping[str, Any]) -> ReplyStarted:
    rest = {name: value for name, value in response.items() if name not in _ENVELOPE_LESS}
    reply_id, model = response.get("id"), response.get("model")
    return ReplyStarted(
        reply_id if isinstance(reply_id, str) else None, model if isinstance(model, str) else None, rest
    )


def _item_added(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    events: list[Event] = []
    turn, place, item = _turn(state, context), data["output_index"], data["item"]
    turn.begin(place, item, events)
    turn.step(place, str(item.get("type")), str(item.get("status") or "in_progress"), events)
    return events


def _item_done(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    events: list[Event] = []
    _turn(state, context).close(data["output_index"], data["item"], events)
    return events


def _text_piece(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    events: list[Event] = []
    kind = "refusal" if ".refusal." in data["type"] else "content"
    turn, place = _turn(state, context), data["output_index"]
    turn.text(place, data.get("content_index", 0), data["delta"], events, kind=kind)
    if data.get("logprobs"):
        turn.logprobs(place, data["logprobs"], events)
    return events


def _annotated(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    """Take a source as it is told: the text that it is cited for has come."""
    events: list[Event] = []
    _turn(state, context).cite(data["output_index"], data.get("content_index", 0), [data["annotation"]], events)
    return events


def _progress(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    """Take the progress of a tool of the server's own (RS-E11); its end is told with the item."""
    events: list[Event] = []
    _, kind, status = data["type"].split(".")
    _turn(state, context).step(data["output_index"], kind, status, events)
    return events


def _arguments(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    events: list[Event] = []
    _turn(state, context).arguments(data["output_index"], data["delta"], events)
    return events


def _reasoning(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    events: list[Event] = []
    kind, number = ("summary", "summary_index") if "summary" in data["type"] else ("content", "content_index")
    _turn(state, context).reasoning(data["output_index"], kind, data.get(number, 0), data["delta"], events)
    return events


def _ended(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    """Take the terminal event: only it proves that the answer is whole."""
    events: list[Event] = []
    state.ended = True
    _whole(_last(data), _turn(state, context), context, events)
    return events


def _failed(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    response = _last(data)
    _turn(state, context)
    status = str(data["type"]).rpartition(".")[2]
    return [_envelope(response), *_usage(response, context), ErrorReported(_as_error(response, status))]


def _last(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the response at the end of a stream. Where there is none, the event says how it ended."""
    if data.get("response") is not None:
        response: Mapping[str, Any] = data["response"]
        return response
    return {"status": data["type"].rpartition(".")[2].replace("done", "completed"), "error": data.get("error")}


def _error(data: Mapping[str, Any], state: StreamState, context: Context) -> list[Event]:
    """Report an error of the stream, whose members stand in `error`, or flat (RS-X20)."""
    if isinstance(data.get("error"), Mapping):
        return [ErrorReported({"error": data["error"]})]
    return [ErrorReported({"error": {name: data.get(name) for name in ("message", "code", "param")}})]


_STEPS = tuple(
    f"response.{kind}.{status}"
    for kind, statuses in (
        ("web_search_call", ("in_progress", "searching")),
        ("x_search_call", ("in_progress", "searching")),  # RS-V2
        ("file_search_call", ("in_progress", "searching")),
        ("code_interpreter_call", ("in_progress", "interpreting")),
        ("image_generation_call", ("in_progress", "generating")),
        ("mcp_call", ("in_progress",)),
        ("mcp_list_tools", ("in_progress",)),
    )
    for status in statuses
)
_HANDLERS: Mapping[str, Callable[[Mapping[str, Any], StreamState, Context], list[Event]]] = {
    **dict.fromkeys(("response.created", "response.queued", "response.in_progress"), _started),
    "response.output_item.added": _item_added,
    "response.output_item.done": _item_done,
    **dict.fromkeys(("response.output_text.delta", "response.refusal.delta"), _text_piece),
    "response.output_text.annotation.added": _annotated,
    **dict.fromkeys(_STEPS, _progress),
    **dict.fromkeys(("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"), _arguments),
    **dict.fromkeys(
        ("response.reasoning_summary_text.delta", "response.reasoning_text.delta", "response.reasoning.delta"),
        _reasoning,
    ),
    **dict.fromkeys(("response.completed", "response.incomplete", "response.done"), _ended),
    **dict.fromkeys(("response.failed", "response.cancelled"), _failed),
    "error": _error,
}


def _turn(state: StreamState, context: Context) -> Turn:
    """Return the answer so far. A stream whose beginning is missing is decoded all the same."""
    turn: Turn | None = state.choices.get(0)
    if turn is None:
        turn = state.choices[0] = Turn(context)
        state.started = True
    return turn


# --- wholes


@hookimpl
def decode_reply(data: Any, context: Context, request: WireRequest) -> Sequence[Event] | None:
    """Return a whole response as the same events that a stream would give."""
    if not isinstance(data, Mapping) or not isinstance(data.get("output"), list):
        return None  # an error, or another protocol's shape
    events: list[Event] = [_envelope(data)]
    try:
        _whole(data, Turn(context), context, events)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise _malformed("The reply", data, problem) from problem
    return events


def _whole(response: Mapping[str, Any], turn: Turn, context: Context, events: list[Event]) -> None:
    if response.get("status") in ("failed", "cancelled") or response.get("error"):
        events.extend([*_usage(response, context), ErrorReported(_as_error(response, str(response.get("status"))))])
        return
    events.append(_envelope(response))
    turn.finish(response, events)
    events.extend(_usage(response, context))


def _as_error(response: Mapping[str, Any], status: str) -> Mapping[str, Any]:
    error = response.get("error")
    if isinstance(error, Mapping):
        return {"error": error}
    words = error if isinstance(error, str) and error else f"the response ended with the status {status!r}"
    return {"error": {"message": words, "type": "server_error", "code": status}}


def _usage(response: Mapping[str, Any], context: Context) -> list[Event]:
    usage = vendors_usage(response.get("usage"), context)
    return [] if usage is None else [UsageReported(usage)]


def _malformed(what: str, data: Any, problem: Exception) -> MalformedReplyError:
    return MalformedReplyError(f"{what} is not what the protocol says ({type(problem).__name__}: {problem}).", raw=data)
