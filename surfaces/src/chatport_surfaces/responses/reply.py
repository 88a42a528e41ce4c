"""A whole answer: the vendor's own object where it came in this protocol, else made of ours as a stream would be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatport import (
    CitationAdded,
    Event,
    MediaAdded,
    ReasoningDelta,
    RefusalDelta,
    Reply,
    TextDelta,
    ToolCallDelta,
    ToolCallEnded,
)

from ..surface import Asked, SurfaceContext
from .output import Output
from .resource import ended, filled
from .sealed import sealed_response

__all__ = ["whole_response"]


def whole_response(reply: Reply, asked: Asked, context: SurfaceContext, begun: Mapping[str, Any]) -> dict[str, Any]:
    """Return the response object."""
    raw = reply.raw
    if reply.protocol == "responses" and isinstance(raw, Mapping) and isinstance(raw.get("output"), list):
        return filled(sealed_response(raw, reply.provider, context.seal), begun)
    output = Output(asked, context)
    for event in _events(reply):
        for _ in output.take(event):
            pass
    for _ in output.end(reply):
        pass
    return ended(begun, output.items, reply, context.unix_seconds())


def _events(reply: Reply) -> Iterator[Event]:
    """Give the events that a stream of this answer would have."""
    if reply.reasoning:
        yield ReasoningDelta(reply.reasoning)
    if reply.text:
        yield TextDelta(reply.text)
    yield from (CitationAdded(citation) for citation in reply.citations)
    if reply.refusal:
        yield RefusalDelta(reply.refusal)
    for index, call in enumerate(reply.tool_calls):
        yield ToolCallDelta(index, call.id, call.name, call.arguments)
        if call.complete:
            yield ToolCallEnded(index, call.id, call.name, call.arguments)
    yield from (MediaAdded(media) for media in reply.media)
