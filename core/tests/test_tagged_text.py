"""Reasoning between tags in the text: apart from it however it is cut, and only where it can be reasoning."""

from __future__ import annotations

import pytest

from chatport import Event, FinishReported, ReasoningDelta, TextDelta
from chatport.helpers import TaggedReasoning

END = FinishReported("stop", "stop")


def told(pieces: list[tuple[str, bool]], *, asked: bool) -> tuple[str, str]:
    """Return reasoning and text of pieces, each with its mark."""
    tagged, events = TaggedReasoning(("<think>", "</think>"), asked=asked), list[Event]()
    for text, marked in pieces:
        events += tagged.events([TextDelta(text)], {0: marked})
    events += tagged.events([END])
    assert events[-1] is END
    assert all(event.text for event in events if isinstance(event, TextDelta | ReasoningDelta))
    reasoning, text = (
        "".join(event.text for event in events if isinstance(event, kind)) for kind in (ReasoningDelta, TextDelta)
    )
    return reasoning, text


@pytest.mark.parametrize(
    ("said", "reasoning", "text"),
    [
        ("<think>a b</think>c d", "a b", "c d"),
        ("<think></think>c", "", "c"),
        ("<think>a</thin</think>c</think>", "a</thin", "c</think>"),
        ("<think>a</thi", "a</thi", ""),
        ("<thi", "", "<thi"),
        ("c <think>d</think>", "", "c <think>d</think>"),
        ("", "", ""),
    ],
)
def test_however_it_is_cut_it_says_the_same(said: str, reasoning: str, text: str) -> None:
    assert told([(said, False)], asked=True) == (reasoning, text)
    assert told([(piece, False) for piece in said], asked=True) == (reasoning, text)
    for place in range(len(said)):
        assert told([(said[:place], False), (said[place:], False)], asked=True) == (reasoning, text)


def test_unasked_and_unmarked_it_is_a_text() -> None:
    assert told([("<think>a</think>c", False)], asked=False) == ("", "<think>a</think>c")


@pytest.mark.parametrize(
    ("pieces", "reasoning", "text"),
    [
        ([("<think>a", True), ("b", True), ("</think>c", False), ("d", False)], "ab", "cd"),
        ([("a", True), ("c", False)], "a", "c"),
        ([("c", False), ("<think>a", True), ("d", False)], "a", "cd"),
        ([("<think>a</think>c", True), ("d", False)], "a", "cd"),
    ],
)
def test_a_mark_says_it_without_a_tag(pieces: list[tuple[str, bool]], reasoning: str, text: str) -> None:
    assert told(pieces, asked=False) == (reasoning, text)


def test_choices_are_apart_and_other_events_pass() -> None:
    tagged = TaggedReasoning(("<think>", "</think>"), asked=True)
    assert not tagged.is_over
    assert tagged.events([TextDelta("<think>a"), TextDelta("c", 1)]) == [ReasoningDelta("a"), TextDelta("c", 1)]
    assert not tagged.is_over
    other = ReasoningDelta("x", 1)
    assert tagged.events([other, TextDelta("</think>b")]) == [other, TextDelta("b")]
    assert tagged.is_over
