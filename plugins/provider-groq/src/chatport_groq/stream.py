"""`decode_chunk`: the two ways in which a Groq stream tells a failure; every other chunk is the standard's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatport import Chunk, ErrorReported, Event, StreamState, hookimpl

from .tools import recovered

__all__ = ["decode_chunk"]


@hookimpl
def decode_chunk(chunk: Chunk, state: StreamState, context: Any) -> Sequence[Event] | None:
    raw = chunk.raw
    if chunk.event == "error" or raw[:8] == b'{"error"':  # GQ-S7: nothing follows, not even [DONE] (GQ-I4)
        return _failure(chunk.data, state)
    if b'"x_groq"' in raw and b'"error"' in raw:
        x_groq = chunk.data.get("x_groq") if isinstance(chunk.data, dict) else None
        message = x_groq.get("error") if isinstance(x_groq, dict) else None
        if message:  # GQ-S8: the older form, a text in an otherwise normal chunk
            return (ErrorReported({"error": {"message": str(message), "type": "server_error"}}),)
    return None


def _failure(data: Any, state: StreamState) -> Sequence[Event] | None:
    """Recover a refused tool call behind the calls that came before it (GQ-T3); any other failure is an error."""
    error = data.get("error") if isinstance(data, dict) else None
    if not isinstance(error, dict):
        return None
    index = max((len(choice.calls) for choice in state.choices.values()), default=0)
    return recovered(error, index) or None
