"""Words for messages to people."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["near_miss"]


def near_miss(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" or, without a near miss, an empty string."""
    import difflib  # only a mistake needs it

    close = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f" Did you mean {close[0]!r}?" if close else ""
