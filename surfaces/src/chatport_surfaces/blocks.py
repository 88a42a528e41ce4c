"""Events as blocks, one after the other: what protocols need that begin, fill and end the parts of an answer.

A vendor may mix the pieces of parallel calls, or go on with its text while a call is open. Here never more than one
block is open. A piece of another block waits until its turn comes: text and reasoning end with the next block, a call
ends when the answer says that it is whole. Nothing is lost, and nothing is told twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import attrs

from chatport import Event, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta, ToolCallEnded

__all__ = ["Block", "BlockEvent", "Blocks", "Closed", "Opened", "Piece"]

Kind: TypeAlias = Literal["text", "reasoning", "refusal", "call"]


class Block:
    """A part of the answer: its place among the blocks (from 0), what it is, and its text so far.

    `id` and `name` are those of a call. `is_whole`: a call came to its end, and may be made.
    """

    __slots__ = ("id", "index", "is_whole", "kind", "name", "pieces")

    def __init__(self, index: int, kind: Kind, id: str = "", name: str = "") -> None:
        self.index, self.kind, self.id, self.name = index, kind, id, name
        self.pieces: list[str] = []
        self.is_whole = False

    @property
    def text(self) -> str:
        """All of its text, or of its arguments."""
        return "".join(self.pieces)


@attrs.frozen
class Opened:
    """A block begins."""

    block: Block


@attrs.frozen
class Piece:
    """A piece of the block that is open."""

    block: Block
    text: str


@attrs.frozen
class Closed:
    """The block that was open has ended."""

    block: Block


BlockEvent: TypeAlias = Opened | Piece | Closed

_KINDS: dict[type[Any], Kind] = {TextDelta: "text", ReasoningDelta: "reasoning", RefusalDelta: "refusal"}


class _Waiting:
    """A block whose turn has not come, with what it will say."""

    __slots__ = ("call", "id", "is_ended", "kind", "name", "pieces")

    def __init__(self, kind: Kind, call: int | None = None, id: str = "", name: str = "") -> None:
        self.kind, self.call, self.id, self.name = kind, call, id, name
        self.pieces: list[str] = []
        self.is_ended = False


class Blocks:
    """Turns the events of the first choice into block events. Other events are left to the caller."""

    def __init__(self) -> None:
        self.all: list[Block] = []
        """The blocks that were begun, in order."""
        self._open: Block | None = None
        self._waiting: list[_Waiting] = []
        self._calls: dict[int, _Waiting | Block] = {}

    def take(self, event: Event) -> Iterator[BlockEvent]:
        """Give what an event means for the blocks."""
        kind = _KINDS.get(type(event))
        if kind is not None:
            if event.choice == 0 and event.text:  # type: ignore[union-attr]  # these three have both
                yield from self._say(kind, event.text)  # type: ignore[union-attr]
        elif isinstance(event, ToolCallDelta):
            if event.choice == 0:
                yield from self._call(event)
        elif isinstance(event, ToolCallEnded) and event.choice == 0:
            yield from self._end_call(event)

    def end(self) -> Iterator[BlockEvent]:
        """Give what is left at the end of the answer, whole or not; the last block is closed."""
        yield from self._close()
        while self._waiting:
            yield from self._next()
            yield from self._close()

    def _say(self, kind: Kind, text: str) -> Iterator[BlockEvent]:
        block = self._open
        if block is not None and block.kind == kind:
            block.pieces.append(text)
            yield Piece(block, text)
            return
        if block is not None and block.kind == "call" and not block.is_whole:
            last = self._waiting[-1] if self._waiting else None
            if last is None or last.kind != kind:
                last = _Waiting(kind)
                self._waiting.append(last)
            last.pieces.append(text)
            return
        yield from self._close()
        yield from self._begin(Block(len(self.all), kind), [text])

    def _call(self, event: ToolCallDelta) -> Iterator[BlockEvent]:
        known = self._calls.get(event.index)
        if known is None:
            yield from self._begin_call(event)
        elif known is self._open:
            if event.arguments:
                known.pieces.append(event.arguments)
                yield Piece(known, event.arguments)
        elif isinstance(known, _Waiting):
            known.pieces.append(event.arguments)

    def _begin_call(self, event: ToolCallDelta) -> Iterator[BlockEvent]:
        block = self._open
        if block is not None and block.kind == "call" and not block.is_whole:
            waiting = _Waiting("call", event.index, event.id, event.name)
            waiting.pieces.append(event.arguments)
            self._calls[event.index] = waiting
            self._waiting.append(waiting)
            return
        yield from self._close()
        new = Block(len(self.all), "call", event.id, event.name)
        self._calls[event.index] = new
        yield from self._begin(new, [event.arguments])

    def _end_call(self, event: ToolCallEnded) -> Iterator[BlockEvent]:
        known = self._calls.get(event.index)
        if known is None:  # a call without a piece
            delta = ToolCallDelta(event.index, event.id, event.name, event.arguments)
            yield from self._begin_call(delta)
            known = self._calls[event.index]
        if isinstance(known, _Waiting):
            known.pieces, known.is_ended = [event.arguments], True
        elif known is self._open:
            yield from self._end_open_call(known, event)

    def _end_open_call(self, known: Block, event: ToolCallEnded) -> Iterator[BlockEvent]:
        rest = event.arguments[len(known.text) :] if event.arguments.startswith(known.text) else ""
        if rest:  # a call without arguments is "{}" in the end
            known.pieces.append(rest)
            yield Piece(known, rest)
        known.is_whole = True
        yield from self._close()
        while self._waiting and self._open is None:
            yield from self._next()

    def _next(self) -> Iterator[BlockEvent]:
        """Begin the block that has waited longest, and end it if it is known to be over."""
        waiting = self._waiting.pop(0)
        block = Block(len(self.all), waiting.kind, waiting.id, waiting.name)
        if waiting.call is not None:
            self._calls[waiting.call] = block
        yield from self._begin(block, waiting.pieces)
        block.is_whole = waiting.is_ended
        if block.is_whole or (waiting.kind != "call" and self._waiting):
            yield from self._close()

    def _begin(self, block: Block, pieces: list[str]) -> Iterator[BlockEvent]:
        self._open = block
        self.all.append(block)
        yield Opened(block)
        text = "".join(pieces)
        if text:
            block.pieces.append(text)
            yield Piece(block, text)

    def _close(self) -> Iterator[BlockEvent]:
        block, self._open = self._open, None
        if block is not None:
            yield Closed(block)
