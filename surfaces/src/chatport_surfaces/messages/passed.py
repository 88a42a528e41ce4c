"""A streamed answer of a vendor that speaks this protocol: its own events, as they came.

Changed are only those with what the vendor wants back, which is sealed. Left out are a second start (AN-S13), and an
error, which is told as ours. A block that was left open is closed (AN-S7). The last event waits until the answer is
known to be whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatport import ChunkSeen, Event, Finished
from chatport.helpers import jsoncodec

from .. import sse
from ..sealing import Seal
from .opaque import closed, may_hold

__all__ = ["PassedStream"]


class PassedStream:
    """Writes the events of one answer."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._open: dict[Any, None] = {}  # indexes of blocks, in order
        self._is_begun = False
        self._last = sse.event("message_stop", {"type": "message_stop"})

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the bytes for some events: what they mean is said by their chunks."""
        written = [self._chunk(event) for event in events if type(event) is ChunkSeen]
        if events and type(events[-1]) is Finished:
            written.append(self._last)
        return b"".join(written)

    def _chunk(self, chunk: ChunkSeen) -> bytes:
        if chunk.event == "content_block_delta" and not may_hold(chunk.raw):
            return sse.raw_event(chunk.event, chunk.raw)
        try:
            data = jsoncodec.decode(chunk.raw)
        except ValueError:  # none of the protocol's, and passed over by the decoder as well
            return b""
        kind = data.get("type") if isinstance(data, Mapping) else None
        return self._typed(kind, data, chunk) if isinstance(kind, str) else b""

    def _typed(self, kind: str, data: Mapping[str, Any], chunk: ChunkSeen) -> bytes:
        """Return an event by the type in it, which decides (AN-S1): clients pass over one without a name."""
        before = b""
        match kind:
            case "error":
                return b""
            case "message_start":
                if self._is_begun:
                    return b""
                self._is_begun = True
            case "content_block_start":
                self._open[_place(data)] = None
            case "content_block_stop":
                self._open.pop(_place(data), None)
            case "message_delta":
                before = self._closed_blocks()
            case "message_stop":
                self._last = sse.raw_event(kind, chunk.raw)
                return b""
        sealed = closed(data, self._seal, chunk.provider) if may_hold(chunk.raw) else data
        own = sse.raw_event(kind, chunk.raw) if sealed is data else sse.event(kind, sealed)
        return before + own

    def _closed_blocks(self) -> bytes:
        left, self._open = self._open, {}
        return b"".join(
            sse.event("content_block_stop", {"type": "content_block_stop", "index": place}) for place in left
        )


def _place(data: Mapping[str, Any]) -> Any:
    place = data.get("index")
    return place if isinstance(place, int | str) else None
