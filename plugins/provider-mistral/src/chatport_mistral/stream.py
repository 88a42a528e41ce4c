"""`decode_chunk`, `decode_reply` for Mistral: signatures of thoughts, and beginnings that come once more."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from chatport import Chunk, Event, FinishReported, OpaqueReported, StreamState, TextDelta, WireRequest, hookimpl

__all__ = ["decode_chunk", "decode_reply"]


@hookimpl(wrapper=True)
def decode_chunk(
    chunk: Chunk, state: StreamState, request: WireRequest
) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    if b'"thinking"' in chunk.raw:
        events = [*events, *_signatures(chunk.data, "delta", state.scratch.setdefault("thought", {}))]
    prefix = _prefix(request)
    return list(_behind(events, prefix, state.scratch.setdefault("begun", {}))) if prefix else events


@hookimpl(wrapper=True)
def decode_reply(data: Any, request: WireRequest) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    return list(_behind([*events, *_signatures(data, "message", {})], _prefix(request), {}))


def _signatures(data: Any, place: str, lengths: dict[int, int]) -> Iterator[OpaqueReported]:
    """Give the signature of each block of thoughts, with the place in the reasoning where the block ends (MI-R4)."""
    choices = data.get("choices") if isinstance(data, Mapping) else None
    for number, choice in enumerate(choices if isinstance(choices, list) else ()):
        message = choice.get(place) if isinstance(choice, Mapping) else None
        content = message.get("content") if isinstance(message, Mapping) else None
        index = choice["index"] if content and type(choice.get("index")) is int else number
        for part in content if isinstance(content, list) else ():
            thinking = part.get("thinking") if isinstance(part, Mapping) else None
            for piece in thinking if isinstance(thinking, list) else ():
                text = piece.get("text") if isinstance(piece, Mapping) else None
                lengths[index] = lengths.get(index, 0) + len(str(text or ""))
            if thinking and isinstance(part.get("signature"), str):
                yield OpaqueReported("signatures", [[lengths.get(index, 0), part["signature"]]], index)


def _prefix(request: WireRequest) -> str:
    """Return the beginning of the answer that the request had, "" if it had none."""
    messages = request.body.get("messages")
    last = messages[-1] if messages else None
    content = last.get("content") if isinstance(last, Mapping) and last.get("prefix") else None
    return content if isinstance(content, str) else ""


def _behind(events: Iterable[Event], prefix: str, seen: dict[int, str | None]) -> Iterator[Event]:
    """Give the events without the beginning that the caller has, which the answer repeats (MI-F1, MI-F2).

    `seen` has, for each choice, what may still be that beginning; None once that is settled.
    """
    for event in events:
        if not isinstance(event, TextDelta | FinishReported) or seen.get(event.choice, "") is None:
            yield event
            continue
        text = (seen.get(event.choice) or "") + (event.text if isinstance(event, TextDelta) else "")
        if isinstance(event, TextDelta) and len(text) < len(prefix) and prefix.startswith(text):
            seen[event.choice] = text
            continue
        seen[event.choice] = None
        if text.removeprefix(prefix):
            yield TextDelta(text.removeprefix(prefix), event.choice)
        if isinstance(event, FinishReported):
            yield event
