"""Hooks around the standard's decoders for a dialect with `reasoning_tags`; other dialects do not have them."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from ..call import Chunk, Context, StreamState
from ..events import Event
from ..hooks import hookimpl
from .tagged_text import TaggedReasoning

__all__ = ["decode_chunk", "decode_reply"]

_HELD = "tagged texts"


@hookimpl(wrapper=True)
def decode_chunk(
    chunk: Chunk, state: StreamState, context: Context
) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    tagged = state.scratch.get(_HELD) or state.scratch.setdefault(_HELD, _tagged(context))
    told = tagged.events(events)
    return [*told, *tagged.rest()] if chunk.raw.strip() == b"[DONE]" else told


@hookimpl(wrapper=True)
def decode_reply(context: Context) -> Generator[None, Sequence[Event], Sequence[Event]]:
    tagged = _tagged(context)
    return [*tagged.events((yield)), *tagged.rest()]


def _tagged(context: Context) -> TaggedReasoning:
    tags = context.provider.dialect.reasoning_tags
    assert tags is not None, "else these hooks are not there"
    return TaggedReasoning(tags, asked=True)
