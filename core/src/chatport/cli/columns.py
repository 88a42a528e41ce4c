"""Texts beside one another on a terminal, wrapped by the places that their characters take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from unicodedata import combining, east_asian_width

from ..basics.display import clean

__all__ = ["beside", "fitting", "wrapped"]

_BETWEEN = " │ "
_LEAST = 24
_TAB = "    "


def beside(texts: Sequence[str], width: int) -> Iterator[str]:
    """Give the lines of texts side by side in so many places, or one below the other where that is too narrow."""
    each = (width - len(_BETWEEN) * (len(texts) - 1)) // max(len(texts), 1)
    if each < _LEAST:
        for text in texts:
            yield from wrapped(text, width)
            yield ""
        return
    for cells in zip_longest(*(wrapped(text, each) for text in texts), fillvalue=""):
        yield _BETWEEN.join(fitting(cell, each) for cell in cells).rstrip()


def fitting(text: str, width: int) -> str:
    """Return a text filled up with blanks to so many places."""
    return text + " " * (width - sum(map(_places, text)))


def wrapped(text: str, width: int) -> Iterator[str]:
    """Give the lines of a text, each of so many places at most: broken at blanks, within words that are too long."""
    for line in clean(text).replace("\t", _TAB).split("\n"):
        yield from _wrapped_line(line, width)


def _wrapped_line(line: str, width: int) -> Iterator[str]:
    start = taken = 0
    blank = -1
    at = 0
    while at < len(line):
        character = line[at]
        if character == " ":
            blank = at
        taken += _places(character)
        if taken > width and at > start:
            end = blank if blank > start else at
            yield line[start:end].rstrip()
            start = end + 1 if end == blank else end
            at, taken, blank = start, 0, -1
            continue
        at += 1
    yield line[start:]


def _places(character: str) -> int:
    if combining(character) or character in "\u200b\u200c\u200d\ufe0e\ufe0f":
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
