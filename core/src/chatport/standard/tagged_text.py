"""Reasoning inside the text, between tags, as some vendors show it: made events of its own, however it is cut.

Only the beginning counts: a model that writes about a tag later on means what it writes. And since a text is the
model's own, and may begin with such a tag by itself, tags count only where reasoning is known to come in this form, or
where the vendor marks a piece as reasoning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..events import Event, FinishReported, ReasoningDelta, TextDelta

__all__ = ["TaggedReasoning"]


class TaggedReasoning:
    """What is to be remembered of one answer, in `StreamState.scratch`; for a whole reply a new one will do.

    `tags` are the opening and the closing one, `asked`: whether an answer may begin with reasoning that the vendor does
    not mark.
    """

    def __init__(self, tags: tuple[str, str], *, asked: bool) -> None:
        self._tags, self._asked = tags, asked
        self._choices: dict[int, _Choice] = {}

    @property
    def is_over(self) -> bool:
        """Whether the answer has begun in each choice: only a marked piece is reasoning again."""
        return bool(self._choices) and all(choice.is_over for choice in self._choices.values())

    def events(self, events: Sequence[Event], marks: Mapping[int, bool] | None = None) -> list[Event]:
        """Return the events with reasoning apart from the text.

        `marks` say, by choice, whether the vendor marks this piece of text as reasoning. The first piece without a
        mark, after some with one, is the answer's first, whether the closing tag has come or not.
        """
        return [told for event in events for told in self._told(event, marks or {})]

    def rest(self) -> list[Event]:
        """Return what was held back for a tag that did not come, where the end has no word of its own."""
        return [event for choice in self._choices.values() for event in choice.rest()]

    def _told(self, event: Event, marks: Mapping[int, bool]) -> Iterator[Event]:
        if isinstance(event, TextDelta):
            choice = self._choices.get(event.choice)
            if choice is None:
                choice = self._choices[event.choice] = _Choice(self._tags, event.choice, asked=self._asked)
            yield from choice.read(event.text, marked=marks.get(event.choice, False))
            return
        if isinstance(event, FinishReported) and event.choice in self._choices:
            yield from self._choices[event.choice].rest()
        yield event


class _Choice:
    """One choice. What may be half a tag is kept back until the rest of it has come."""

    __slots__ = ("choice", "closing", "held", "is_inside", "may_open", "opening", "was_marked")

    def __init__(self, tags: tuple[str, str], choice: int, *, asked: bool) -> None:
        self.choice, self.may_open = choice, asked
        self.opening, self.closing = tags
        self.is_inside = self.was_marked = False
        self.held = ""

    @property
    def is_over(self) -> bool:
        return not (self.is_inside or self.may_open)

    def read(self, text: str, *, marked: bool) -> Iterator[Event]:
        text, self.held = self.held + text, ""
        if self.is_inside and self.was_marked and not marked:
            self.is_inside, text = False, text.removeprefix(self.closing)
        self.was_marked = marked
        while text:
            if not self.is_inside:
                if not (marked or self.may_open):
                    break
                if text != self.opening and self.opening.startswith(text):
                    self.held = text
                    return
                if not (marked or text.startswith(self.opening)):
                    break
                self.is_inside, text = True, text.removeprefix(self.opening)
            thought, end, text = text.partition(self.closing)
            self.held = "" if end else _beginning_of(self.closing, thought)
            if len(thought) > len(self.held):
                yield ReasoningDelta(thought[: len(thought) - len(self.held)], self.choice)
            self.is_inside = not end
            marked = False  # of this piece it says no more
        if text:
            self.may_open = False
            yield TextDelta(text, self.choice)

    def rest(self) -> Iterator[Event]:
        """Give what was held back."""
        text, self.held = self.held, ""
        if text:
            yield ReasoningDelta(text, self.choice) if self.is_inside else TextDelta(text, self.choice)


def _beginning_of(tag: str, text: str) -> str:
    """Return the longest end of a text with which a tag begins."""
    sizes = range(min(len(tag) - 1, len(text)), 0, -1)
    return next((tag[:size] for size in sizes if text.endswith(tag[:size])), "")
