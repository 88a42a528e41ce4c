"""`decode_chunk`, `decode_reply`: answers in the wrong place, and files that were parsed.

The hook for chunks is no wrapper: it gives nothing for nearly all of them, and the standard decodes those.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from chatport import Chunk, Context, ErrorReported, Event, OpaqueReported, StreamState, hookimpl
from chatport.helpers import standard_reply, standard_stream

__all__ = ["decode_chunk", "decode_reply"]


@hookimpl
def decode_chunk(chunk: Chunk, state: StreamState, context: Context) -> Sequence[Event] | None:
    raw = chunk.raw
    if raw[:1] != b"{":
        return None
    data = chunk.data
    if data.get("choices", ()) is None and not data.get("error") and not data.get("usage"):
        return (ErrorReported(data),)  # OR-S12, OR-I1
    if b'"annotations":' not in raw:
        return None
    return [*standard_stream.decode_chunk(chunk, state, context), *_files(data, "delta")]


@hookimpl(wrapper=True)
def decode_reply(data: Any, context: Context) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    if not isinstance(data, Mapping):
        return events
    if not data.get("choices") and isinstance(data.get("provider"), Mapping):  # OR-X2: the whole reply, one level down
        data = data["provider"]
        events = standard_reply.decode_reply(data, context)
    return [*events, *_files(data, "message")]


def _files(data: Mapping[str, Any], key: str) -> Iterator[OpaqueReported]:
    """Keep what was read from files: sent back, it is not paid for again (OR-M3)."""
    for choice in _list(data.get("choices")):
        message = choice.get(key) if isinstance(choice, Mapping) else None
        notes = message.get("annotations") if isinstance(message, Mapping) else None
        files = [note for note in _list(notes) if isinstance(note, Mapping) and note.get("type") == "file"]
        if files:
            index = choice.get("index")
            yield OpaqueReported("annotations", files, index if isinstance(index, int) else 0)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
