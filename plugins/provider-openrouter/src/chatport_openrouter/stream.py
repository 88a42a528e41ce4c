"""`decode_chunk`, `decode_reply`: answers in the wrong place.

The hook for chunks is no wrapper: it gives nothing for nearly all of them, and the standard decodes those.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from chatport import Chunk, Context, ErrorReported, Event, hookimpl
from chatport.helpers import standard_reply

__all__ = ["decode_chunk", "decode_reply"]

_NO_CHOICES = re.compile(rb'"choices"\s*:\s*null')


@hookimpl
def decode_chunk(chunk: Chunk) -> Sequence[Event] | None:
    if _NO_CHOICES.search(chunk.raw) is None or not isinstance(chunk.data, Mapping):
        return None
    data = chunk.data
    if data.get("choices", ()) is None and not data.get("error") and not data.get("usage"):
        return (ErrorReported(data),)  # OR-S12, OR-I1
    return None


@hookimpl(wrapper=True)
def decode_reply(data: Any, context: Context) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    if isinstance(data, Mapping) and not data.get("choices") and isinstance(data.get("provider"), Mapping):
        return standard_reply.decode_reply(data["provider"], context)  # OR-X2: the whole reply, one level down
    return events
