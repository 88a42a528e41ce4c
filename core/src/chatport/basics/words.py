"""Words for messages to people."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = ["near_miss"]


def near_miss(word: Any, known: Iterable[Any]) -> str:
    """Return " Did you mean 'x'?" or, without a near miss, an empty string."""
    if not isinstance(word, str):  # a key of a dict that a caller wrote
        return ""
    close = difflib.get_close_matches(word, [name for name in known if isinstance(name, str)], 1, 0.6)
    return f" Did you mean {close[0]!r}?" if close else ""
