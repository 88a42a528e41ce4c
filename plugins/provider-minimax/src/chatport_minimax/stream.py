"""`decode_chunk`, `decode_reply` for MiniMax: errors inside a 200, what is told twice, and calls written as text."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from chatport import (
    Chunk,
    ErrorReported,
    Event,
    FinishReported,
    OpaqueReported,
    ReasoningDelta,
    StreamState,
    TextDelta,
    ToolCallDelta,
    WireRequest,
    hookimpl,
)

__all__ = ["decode_chunk", "decode_reply"]

_PSEUDO_CALL = "<minimax:tool_call>"
_CONTENT = (TextDelta, ReasoningDelta, ToolCallDelta, OpaqueReported)
_WRITTEN_OUT = {"error": {"message": "The model wrote a tool call as text.", "code": "tool_call_in_text"}}
_NO_ANSWER = {"error": {"message": "There is no text and no tool call.", "code": "no_answer"}}


@hookimpl(wrapper=True)
def decode_chunk(
    chunk: Chunk, state: StreamState, request: WireRequest
) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    raw, seen = chunk.raw, state.scratch
    if b'"base_resp"' in raw and _failed(chunk.data):
        return [ErrorReported(chunk.data)]
    if b'"message"' in raw and seen.get("answered") and not any(_deltas(chunk.data)):
        return [event for event in events if not isinstance(event, _CONTENT)]  # MM-S7: all of it once more
    if b'"reasoning_details"' in raw and not any(delta.get("reasoning_content") for delta in _deltas(chunk.data)):
        events = [_news(event, seen) if isinstance(event, ReasoningDelta) else event for event in events]  # MM-S6
    return _checked(events, seen, request)


@hookimpl(wrapper=True)
def decode_reply(data: Any, request: WireRequest) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    return [ErrorReported(data)] if _failed(data) else _checked(events, {}, request)


def _checked(events: Sequence[Event], seen: dict[str, Any], request: WireRequest) -> Sequence[Event]:
    """Add an error for a call that was written as text (MM-T4), and for an end without an answer (MM-T8)."""
    for event in events:
        if isinstance(event, TextDelta):
            seen["answered"] = True
            tail = seen["tail"] = seen.get("tail", "")[1 - len(_PSEUDO_CALL) :] + event.text
            if _PSEUDO_CALL in tail and request.body.get("tools"):
                return [*events, ErrorReported(_WRITTEN_OUT)]
        elif isinstance(event, ToolCallDelta):
            seen["answered"] = True
        elif isinstance(event, FinishReported) and event.reason == "stop" and not seen.get("answered"):
            return [*events, ErrorReported(_NO_ANSWER)]
    return events


def _failed(data: Any) -> bool:
    """Whether a 200 says that it is an error, whatever choices stand beside it (MM-X2, MM-X3)."""
    told = data.get("base_resp") if isinstance(data, Mapping) else None
    return isinstance(told, Mapping) and told.get("status_code") not in (None, 0, "0")


def _deltas(data: Any) -> Iterator[Mapping[str, Any]]:
    choices = data.get("choices") if isinstance(data, Mapping) else None
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, Mapping) and isinstance(choice.get("delta"), Mapping):
            yield choice["delta"]


def _news(event: ReasoningDelta, seen: dict[str, Any]) -> ReasoningDelta:
    """Return what a detail adds: it is all the text so far, or a piece, as all are after the first that shows it."""
    known = seen.get("reasoning", "")
    if known is None or not event.text.startswith(known):
        seen["reasoning"] = None
        return event
    seen["reasoning"] = event.text
    return ReasoningDelta(event.text[len(known) :], event.choice)  # MM-S5
