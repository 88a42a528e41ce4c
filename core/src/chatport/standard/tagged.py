"""Reasoning that stands in the text, between tags at its beginning: a dialect's `reasoning_tags`.

These hooks stand around the standard's decoders, and are there only for a dialect that has tags. Only the beginning
counts: a model that writes about a tag later on means what it writes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

from ..call import Chunk, Context, StreamState
from ..events import Event, FinishReported, ReasoningDelta, TextDelta
from ..hooks import hookimpl

__all__ = ["decode_chunk", "decode_reply"]

_HELD = "tagged texts"


@hookimpl(wrapper=True)
def decode_chunk(
    chunk: Chunk, state: StreamState, context: Context
) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    texts = state.scratch.setdefault(_HELD, {})
    told = list(_told(events, texts, context))
    return [*told, *_rest(texts)] if chunk.raw.strip() == b"[DONE]" else told


@hookimpl(wrapper=True)
def decode_reply(context: Context) -> Generator[None, Sequence[Event], Sequence[Event]]:
    events = yield
    texts: dict[int, _Text] = {}
    return [*_told(events, texts, context), *_rest(texts)]


def _told(events: Sequence[Event], texts: dict[int, _Text], context: Context) -> Iterator[Event]:
    for event in events:
        if isinstance(event, TextDelta):
            text = texts.get(event.choice)
            if text is None:
                text = texts[event.choice] = _Text(event.choice, context.provider.dialect.reasoning_tags or ("", ""))
            yield from text.take(event)
            continue
        if isinstance(event, FinishReported) and event.choice in texts:
            yield from texts[event.choice].end()
        yield event


def _rest(texts: dict[int, Any]) -> Iterator[Event]:
    for text in texts.values():
        yield from text.end()


class _Text:
    """The text of one choice. What may be half a tag is kept back until the rest of it has come."""

    __slots__ = ("choice", "closing", "held", "is_plain", "is_thought", "opening")

    def __init__(self, choice: int, tags: tuple[str, str]) -> None:
        self.choice = choice
        self.opening, self.closing = tags
        self.held = ""
        self.is_thought = False
        self.is_plain = False
        """Whether the answer itself has begun, in which nothing is looked for."""

    def take(self, event: TextDelta) -> Iterator[Event]:
        if self.is_plain:
            yield event
            return
        self.held += event.text
        while self.held:
            if self.is_thought:
                thought, closing, rest = self.held.partition(self.closing)
                kept = "" if closing else self._half(thought)
                if len(thought) > len(kept):
                    yield ReasoningDelta(thought[: len(thought) - len(kept)], self.choice)
                self.held, self.is_thought = rest if closing else kept, not closing
                if not closing:
                    return
            elif self.held.startswith(self.opening):
                self.held, self.is_thought = self.held[len(self.opening) :], True
            elif self.opening.startswith(self.held):
                return
            else:
                self.is_plain = True
                yield from self.end()

    def end(self) -> Iterator[Event]:
        """Give what was kept back."""
        held, self.held = self.held, ""
        if held:
            yield ReasoningDelta(held, self.choice) if self.is_thought else TextDelta(held, self.choice)

    def _half(self, text: str) -> str:
        """Return the longest end of a text with which the closing tag begins."""
        sizes = range(min(len(self.closing) - 1, len(text)), 0, -1)
        return next((self.closing[:size] for size in sizes if text.endswith(self.closing[:size])), "")
