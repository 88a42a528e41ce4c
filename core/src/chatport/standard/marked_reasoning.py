"""Reasoning inside the text, between tags, as some vendors show it: made events of its own, for a vendor's decoder.

A text is the model's own, and may begin with such a tag by itself. So the tags count only where reasoning was asked for
in this form, or where the vendor marks a piece as reasoning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..events import Event, FinishReported, ReasoningDelta, TextDelta

__all__ = ["TaggedReasoning"]


class TaggedReasoning:
    """What is to be remembered of one answer, in `StreamState.scratch`; for a whole reply a new one will do.

    `tag` is the word in the tags, `asked`: whether an answer may begin with reasoning that the vendor does not mark.
    """

    def __init__(self, tag: str, *, asked: bool) -> None:
        self._tag, self._asked = tag, asked
        self._choices: dict[int, _Choice] = {}

    @property
    def is_over(self) -> bool:
        """Whether the answer has begun in each choice: only a marked piece is reasoning again."""
        return bool(self._choices) and all(choice.inside is False for choice in self._choices.values())

    def events(self, events: Sequence[Event], marks: Mapping[int, bool] | None = None) -> list[Event]:
        """Return the events with reasoning apart from the text.

        `marks` say, by choice, whether the vendor marks this piece of text as reasoning. The first piece without a
        mark, after some with one, is the answer's first, whether the closing tag has come or not.
        """
        return [told for event in events for told in self._told(event, marks or {})]

    def _told(self, event: Event, marks: Mapping[int, bool]) -> Iterator[Event]:
        if isinstance(event, TextDelta):
            choice = self._choices.get(event.choice)
            if choice is None:
                choice = self._choices[event.choice] = _Choice(self._tag, event.choice)
            marked = marks.get(event.choice, False)
            yield from choice.read(event.text, marked, may_open=marked or (self._asked and choice.inside is None))
            return
        if isinstance(event, FinishReported) and event.choice in self._choices:
            yield from self._choices[event.choice].rest()
        yield event


class _Choice:
    """One choice: before its first piece (`inside` is None), inside its reasoning, or in its answer."""

    __slots__ = ("choice", "closing", "held", "inside", "opening", "was_marked")

    def __init__(self, tag: str, choice: int) -> None:
        self.opening, self.closing, self.choice = f"<{tag}>", f"</{tag}>", choice
        self.inside: bool | None = None
        self.was_marked = False
        self.held = ""  # what may be the beginning of a tag

    def read(self, text: str, marked: bool, *, may_open: bool) -> Iterator[Event]:
        text, self.held = self.held + text, ""
        if may_open and not self.inside:
            if text != self.opening and self.opening.startswith(text):
                self.held = text
                return
            self.inside = marked or text.startswith(self.opening)
            text = text.removeprefix(self.opening)
        elif self.inside and self.was_marked and not marked:
            self.inside, text = False, text.removeprefix(self.closing)
        self.was_marked, self.inside = marked, bool(self.inside)
        thought, end, answer = text.partition(self.closing) if self.inside else ("", "", text)
        if self.inside and not end:
            self.held = _beginning_of(self.closing, thought)
            thought = thought[: len(thought) - len(self.held)]
        self.inside = self.inside and not end
        if thought:
            yield ReasoningDelta(thought, self.choice)
        if answer:
            yield TextDelta(answer, self.choice)

    def rest(self) -> Iterator[Event]:
        """Give what was held back for a tag that did not come."""
        text, self.held = self.held, ""
        if text:
            yield ReasoningDelta(text, self.choice) if self.inside else TextDelta(text, self.choice)


def _beginning_of(tag: str, text: str) -> str:
    """Return the end of a text that may be the beginning of a tag."""
    return next((tag[:size] for size in range(len(tag) - 1, 0, -1) if text.endswith(tag[:size])), "")
