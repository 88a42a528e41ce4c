"""Blocks of an answer as output items, and the events in which they are told, in their order (RS-E1 to RS-E10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from chatport import Citation, CitationAdded, Event, Media, MediaAdded, Reply

from ..blocks import Block, Blocks, Closed, Opened
from ..surface import Asked, SurfaceContext
from .annotations import annotation, logprobs_of
from .items_out import Item, item_of
from .sealed import state_item

__all__ = ["Output", "Told"]

Told: TypeAlias = tuple[str, dict[str, Any]]
"""An event without its number: its name, and its members."""


class Output:
    """Takes the events of an answer; gives those of the protocol. `items` are the output items that are done."""

    def __init__(self, asked: Asked, context: SurfaceContext) -> None:
        self.items: list[dict[str, Any]] = []
        self._asked, self._context = asked, context
        self._blocks = Blocks()
        self._open: Item | None = None
        self._last_text: Item | None = None
        self._early: list[Citation] = []
        self._media: list[Media] = []
        self._length = 0  # of the answer's text so far

    def take(self, event: Event) -> Iterator[Told]:
        """Give what an event means."""
        if isinstance(event, CitationAdded):
            if event.choice == 0:
                yield from self._cite(event.citation)
        elif isinstance(event, MediaAdded):
            self._media.extend([event.media] if event.choice == 0 else ())
        else:
            yield from self._all(self._blocks.take(event))

    def end(self, reply: Reply) -> Iterator[Told]:
        """Give what is left at the end of an answer: open items, pictures, and what its vendor wants back."""
        is_cut = reply.finish_reason in ("length", "content_filter")
        if self._open is not None:
            self._open.is_cut = is_cut
            if self._open is self._last_text and len(self._texts()) == 1:
                self._open.logprobs = logprobs_of(reply.logprobs)
        yield from self._all(self._blocks.end(), is_cut=is_cut)
        if not self.items and not is_cut:  # clients look for an item, be it empty
            empty = Block(0, "text")
            yield from self._all(iter((Opened(empty), Closed(empty))))
        for media in self._media:
            yield from self._whole(_picture(media, self._context))
        self._late()
        yield from self._whole(state_item(reply, self._context))

    def _texts(self) -> list[Block]:
        return [block for block in self._blocks.all if block.kind == "text"]

    def _all(self, events: Iterator[Any], *, is_cut: bool = False) -> Iterator[Told]:
        for event in events:
            if isinstance(event, Opened):
                yield from self._begin(event.block)
                if self._open is not None:
                    self._open.is_cut = is_cut
            elif isinstance(event, Closed):
                yield from self._close(event.block)
            elif self._open is not None:
                if event.block.kind == "text":
                    self._length += len(event.text)
                yield from self._open.piece(event.text)

    def _begin(self, block: Block) -> Iterator[Told]:
        item = self._open = item_of(block, len(self.items), self._length, self._asked, self._context)
        yield from item.begin()
        if block.kind == "text":
            self._last_text = item
            early, self._early = self._early, []
            for citation in early:
                yield from self._cite(citation)

    def _close(self, block: Block) -> Iterator[Told]:
        item, self._open = self._open, None
        if item is not None:
            done = item.done(is_whole=block.is_whole or block.kind != "call")
            yield from done
            self.items.append(item.data)

    def _cite(self, citation: Citation) -> Iterator[Told]:
        item = self._open
        if item is None or item is not self._last_text:
            self._early.append(citation)
        else:
            yield from item.annotate(annotation(citation, item.start, self._length - item.start))

    def _late(self) -> None:
        """Put sources that came when no text was open to the last one: they are seen in the whole answer alone."""
        item = self._last_text
        if item is None or not self._early:
            return
        part = item.data["content"][0]
        length = len(part["text"])
        part["annotations"] = [*part["annotations"], *(annotation(one, item.start, length) for one in self._early)]

    def _whole(self, item: dict[str, Any] | None) -> Iterator[Told]:
        """Give an item that comes all at once."""
        if item is None:
            return
        begun = {**item, "status": "in_progress"} if "status" in item else item
        yield "response.output_item.added", {"output_index": len(self.items), "item": begun}
        yield "response.output_item.done", {"output_index": len(self.items), "item": item}
        self.items.append(item)


def _picture(media: Media, context: SurfaceContext) -> dict[str, Any] | None:
    """Return a picture that the model has made. The protocol has a place for its bytes, and for nothing else."""
    if media.kind != "image" or media.data is None:
        return None
    made: Mapping[str, Any] = {"id": context.new_id("ig_"), "type": "image_generation_call", "status": "completed"}
    return {**made, "result": media.data}
