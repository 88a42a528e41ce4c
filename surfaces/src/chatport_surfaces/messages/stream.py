"""A streamed answer of a vendor that speaks another protocol, as this one's events.

Invariants: one `message_start`; never more than one block open; indexes count from 0; `message_delta` and
`message_stop` come once, at the end of a whole answer, and behind everything (AN-S2). The last block is what was said
or called: clients take it for the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from chatport import CitationAdded, Event, Finished, MediaAdded, Reply, TextDelta

from .. import sse
from ..blocks import Block, BlockEvent, Blocks, Closed, Opened, Piece
from ..sealing import Sealed
from ..surface import SurfaceContext
from .blocks import CallIds, citation, envelope, media_text, state
from .endings import ending, wire_usage

__all__ = ["TranslatedStream"]


_SAID = ("text", "refusal")


class TranslatedStream:
    """Writes the events of one answer. `partial` is what was known of the reply before the first of them,
    `so_far` gives what is known of it now."""

    def __init__(self, partial: Reply, so_far: Callable[[], Reply], context: SurfaceContext) -> None:
        self._partial, self._so_far = partial, so_far
        self._context = context
        self._blocks = Blocks()
        self._ids = CallIds(context)
        self._cited: list[dict[str, Any]] = []  # sources whose text has not begun
        self._count = 0  # of blocks that were begun
        self._last = ""  # the kind of the block that was begun last
        self._is_text_open = self._is_begun = False

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the bytes for some events."""
        return b"".join(
            [part for event in events for part in self._event(event)] if self._is_begun else self._begun(events)
        )

    def _begun(self, events: Sequence[Event]) -> list[bytes]:
        self._is_begun = True
        message = {
            **envelope(self._partial, self._context),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": wire_usage(self._partial.usage),
        }
        start = sse.event("message_start", {"type": "message_start", "message": message})
        return [start, *(part for event in events for part in self._event(event))]

    def _event(self, event: Event) -> Iterator[bytes]:
        if isinstance(event, Finished):
            yield from self._end(event.reply)
        elif isinstance(event, CitationAdded):
            if event.choice == 0:
                yield from self._cite(citation(event.citation))
        else:
            if isinstance(event, MediaAdded):
                event = TextDelta(media_text(event.media), event.choice)
            for block_event in self._blocks.take(event):
                yield from self._block_event(block_event)

    def _block_event(self, event: BlockEvent) -> Iterator[bytes]:
        match event:
            case Piece(block, text):
                yield self._delta(_piece(block, text))
            case Opened(block):
                yield from self._open(block)
            case Closed(block):
                if block.kind == "reasoning":  # AN-S8
                    signature = self._context.seal.close(Sealed(self._partial.provider))
                    yield self._delta({"type": "signature_delta", "signature": signature})
                yield self._stop()

    def _open(self, block: Block) -> Iterator[bytes]:
        if block.kind in _SAID:
            yield from self._state(self._so_far())
        self._last = block.kind
        yield self._start(self._beginning(block))
        if block.kind == "text":
            self._is_text_open = True
            cited, self._cited = self._cited, []
            yield from (self._delta({"type": "citations_delta", "citation": source}) for source in cited)

    def _beginning(self, block: Block) -> dict[str, Any]:
        """Return a block as it begins (AN-S4)."""
        match block.kind:
            case "reasoning":
                return {"type": "thinking", "thinking": "", "signature": ""}
            case "call":
                return {"type": "tool_use", "id": self._ids.of(block.id), "name": block.name, "input": {}}
        return {"type": "text", "text": ""}

    def _cite(self, source: dict[str, Any]) -> Iterator[bytes]:
        if self._is_text_open:
            yield self._delta({"type": "citations_delta", "citation": source})
        else:
            self._cited.append(source)

    def _end(self, reply: Reply) -> Iterator[bytes]:
        """Give the end of a whole answer: sources without a text, what the vendor wants back, why it ended (AN-S9).

        Behind a text nothing comes. What stands before it was told there; the rest, such as the text itself with its
        id, its vendor can do without.
        """
        for event in self._blocks.end():
            yield from self._block_event(event)
        if self._cited:
            yield from self._open(Block(0, "text"))
            yield self._stop()
        if self._last not in _SAID:
            yield from self._state(reply)
        last = {"type": "message_delta", "delta": ending(reply), "usage": wire_usage(reply.usage)}
        yield sse.event("message_delta", last)
        yield sse.event("message_stop", {"type": "message_stop"})

    def _state(self, reply: Reply) -> Iterator[bytes]:
        """Give a block with what the vendor wants back of an answer, or of its beginning, if there is anything."""
        wanted = state(reply, self._ids)
        if wanted is not None:
            yield self._start({"type": "redacted_thinking", "data": self._context.seal.close(wanted)})
            yield self._stop()

    # --- events of a block

    def _start(self, block: dict[str, Any]) -> bytes:
        self._count += 1
        data = {"type": "content_block_start", "index": self._count - 1, "content_block": block}
        return sse.event("content_block_start", data)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        data = {"type": "content_block_delta", "index": self._count - 1, "delta": delta}
        return sse.event("content_block_delta", data)

    def _stop(self) -> bytes:
        self._is_text_open = False
        return sse.event("content_block_stop", {"type": "content_block_stop", "index": self._count - 1})


def _piece(block: Block, text: str) -> dict[str, Any]:
    """Return a piece of a block (AN-S5). A refusal is said like any text, and the stop reason tells what it is."""
    match block.kind:
        case "reasoning":
            return {"type": "thinking_delta", "thinking": text}
        case "call":
            return {"type": "input_json_delta", "partial_json": text}
    return {"type": "text_delta", "text": text}
