"""Words for messages to people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["near_miss"]

_ALIKE = 0.8
"""How much two longer words have in common that are one word with a slip, from 0 to 1."""
_SHORT = 5
"""Letters up to which one other letter makes another word: there only the slips of a hand count."""
_ROWS = ("1234567890-", "qwertyuiop", "asdfghjkl", "zxcvbnm_")


def near_miss(word: Any, known: Iterable[Any], *, parts: bool = False) -> str:
    """Return " Did you mean 'x'?" or, without a near miss, an empty string.

    A near miss is the same word with a slip of the hand. Words that are told apart by their digits, or by one letter
    that no hand confuses (`top_k` and `top_p`), are two words. `parts`: a name that has all parts of a longer one, or
    lacks some of them, is near as well (`reasoning_effort` and `reasoning`), which names of things are, and names of
    people and companies are not.
    """
    if not isinstance(word, str):  # a key of a dict that a caller wrote
        return ""
    import difflib  # only a mistake needs it

    choices = [name for name in known if isinstance(name, str)]
    close = [
        choice
        for choice in difflib.get_close_matches(word.lower(), choices, len(choices) or 1, 0.6)
        if _is_slip(word.lower(), choice.lower()) and (parts or not _goes_on(word.lower(), choice.lower()))
    ]
    if not close and parts:
        said = _parts(word)
        close = [choice for choice in choices if said and (said > _parts(choice) or said < _parts(choice))]
        close.sort(key=lambda choice: (-len(said & _parts(choice)), len(choice)))
    return f" Did you mean {close[0]!r}?" if close else ""


def _parts(word: str) -> frozenset[str]:
    return frozenset(filter(None, re.split(r"[^a-z0-9]+", word.lower())))


def _is_slip(word: str, other: str) -> bool:
    if re.sub("[^0-9]", "", word) != re.sub("[^0-9]", "", other):
        return False
    if _letters(word) == _letters(other):
        return True  # written together, apart, or with another mark
    if max(len(word), len(other)) > _SHORT:
        from difflib import SequenceMatcher

        return SequenceMatcher(None, word, other).ratio() >= _ALIKE
    return _is_slip_of_hand(word, other)


def _goes_on(word: str, other: str) -> bool:
    """Whether one is the other with more to it: a name of its own, as no slip adds two letters at an end."""
    shorter, longer = sorted((word, other), key=len)
    return len(longer) > len(shorter) + 1 and (longer.startswith(shorter) or longer.endswith(shorter))


def _letters(word: str) -> str:
    return re.sub("[^a-z0-9]", "", word)


def _is_slip_of_hand(word: str, other: str) -> bool:
    """Whether one letter is missing, too much, swapped with the next, or on the key beside the right one."""
    if len(word) != len(other):
        longer, shorter = sorted((word, other), key=len, reverse=True)
        return any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer)))
    wrong = [at for at, (one, two) in enumerate(zip(word, other, strict=True)) if one != two]
    if len(wrong) == 2:
        first, second = wrong
        return second == first + 1 and word[first] == other[second] and word[second] == other[first]
    return len(wrong) == 1 and len(word) > 3 and _are_neighbours(word[wrong[0]], other[wrong[0]])


def _are_neighbours(one: str, two: str) -> bool:
    return any(one in row and two in row and abs(row.index(one) - row.index(two)) == 1 for row in _ROWS)
