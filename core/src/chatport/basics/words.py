"""Words for messages to people."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["MISSPELT", "near_miss"]

MISSPELT = 0.75
"""How like a known word another must be to be misspelt, where it may be right: two of four letters changed places."""


def near_miss(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """Return " Did you mean 'x'?" or, without a near miss, an empty string."""
    close = difflib.get_close_matches(word, list(known), 1, likeness)
    return f" Did you mean {close[0]!r}?" if close else ""
