"""Texts that are held as the pieces in which they came."""

from __future__ import annotations

__all__ = ["join_small"]

_BLOCK_CHARACTERS = 4096
"""Pieces of an answer are joined up to this length, and a longer one is not copied again."""


def join_small(pieces: list[str]) -> None:
    """Join the small pieces of a text to blocks, in place: thousands of them take many times the memory of their text.

    Only those since the last block are touched, so that a long text is not copied again and again.
    """
    start = len(pieces)
    while start and len(pieces[start - 1]) < _BLOCK_CHARACTERS:
        start -= 1
    if start < len(pieces) - 1:
        pieces[start:] = ["".join(pieces[start:])]
