"""`decode_chunk`, `decode_reply` for Gemini: thoughts inside the text, whose signature it is, and prefixed names."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from chatport import Chunk, Context, Event, OpaqueReported, StreamState, ToolCallDelta, WireRequest, hookimpl
from chatport.helpers import TaggedReasoning

from .request import google_of

__all__ = ["decode_chunk", "decode_reply"]

_PREFIX = "default_api"


@hookimpl(wrapper=True)
def decode_chunk(
    chunk: Chunk, state: StreamState, context: Context, request: WireRequest
) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events, raw = (yield), chunk.raw
    thoughts = state.scratch.get("thoughts") or state.scratch.setdefault("thoughts", _thoughts(request))
    if not thoughts.is_over or b'"thought"' in raw:
        events = thoughts.events(events, _marks(chunk.data))
    if b"default_api" in raw:
        events = [_named(event, request) for event in events]
    return _with_signer(events, context) if b'"thought_signature"' in raw else events


@hookimpl(wrapper=True)
def decode_reply(context: Context, request: WireRequest) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = _thoughts(request).events((yield))  # GM-R5: the mark of a whole message is no proof
    return _with_signer([_named(event, request) for event in events], context)


def _thoughts(request: WireRequest) -> TaggedReasoning:
    """Return what takes thoughts out of the text, by the tag that was asked for (GM-S4, GM-S5)."""
    google = google_of(request.body)
    config, tag = google.get("thinking_config"), google.get("thought_tag_marker")
    asked = isinstance(config, Mapping) and bool(config.get("include_thoughts"))
    word = tag if isinstance(tag, str) and tag else "thought"
    return TaggedReasoning((f"<{word}>", f"</{word}>"), asked=asked)


def _marks(data: Any) -> dict[int, bool]:
    """Return which choices' pieces are marked as thoughts; a mark beside a signature is that of an answer (GM-R5)."""
    choices = data.get("choices") if isinstance(data, Mapping) else None
    found: dict[int, bool] = {}
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, Mapping) and isinstance(choice.get("delta"), Mapping):
            google, index = google_of(choice["delta"], "extra_content"), choice.get("index")
            is_thought = google.get("thought") is True and "thought_signature" not in google
            found[index if isinstance(index, int) else 0] = is_thought
    return found


def _named(event: Event, request: WireRequest) -> Event:
    """Return a call under the tool's own name, if there is such a tool (GM-T11)."""
    if not isinstance(event, ToolCallDelta) or not event.name.startswith(_PREFIX):
        return event
    bare = event.name[len(_PREFIX) + 1 :]
    functions = (tool.get("function") for tool in request.body.get("tools") or ())
    known = any(isinstance(function, Mapping) and function.get("name") == bare for function in functions)
    name = bare if known else event.name
    return ToolCallDelta(event.index, event.id, name, event.arguments, event.choice)


def _with_signer(events: Sequence[Event], context: Context) -> Sequence[Event]:
    """Tell which model has signed, if one has: no other takes that (GM-T8)."""
    opaque = (event.value for event in events if isinstance(event, OpaqueReported))
    is_known = "signatures" in context.facts.quirks
    is_signed = is_known and any("thought_signature" in str(value) for value in opaque)
    return [*events, OpaqueReported("signed_by", context.model)] if is_signed else events
