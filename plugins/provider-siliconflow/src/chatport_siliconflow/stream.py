"""`decode_chunk`, `decode_reply` for SiliconFlow: an answer that ends in order and says nothing is a failure."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from chatport import (
    ErrorReported,
    Event,
    FinishReported,
    ReasoningDelta,
    RefusalDelta,
    StreamState,
    TextDelta,
    ToolCallDelta,
    hookimpl,
)

__all__ = ["decode_chunk", "decode_reply"]

_CONTENT = (TextDelta, ReasoningDelta, ToolCallDelta, RefusalDelta)


@hookimpl(wrapper=True)
def decode_chunk(state: StreamState) -> Generator[None, Sequence[Event], Sequence[Event]]:
    """Watch until the first word has come; after it a chunk costs one look-up."""
    events = yield
    if "said" in state.scratch:
        return events
    if any(isinstance(event, _CONTENT) for event in events):
        state.scratch["said"] = True
        return events
    return _checked(events)


@hookimpl(wrapper=True)
def decode_reply() -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    return events if any(isinstance(event, _CONTENT) for event in events) else _checked(events)


def _checked(events: Sequence[Event]) -> Sequence[Event]:
    if not any(type(event) is FinishReported and event.reason == "stop" for event in events):
        return events
    words = {"message": "the answer ended in order, with nothing in it", "type": "server_error", "code": "empty_answer"}
    return [*events, ErrorReported({"error": words})]
