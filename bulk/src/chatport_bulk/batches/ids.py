"""What a row is called in a batch: within the vendor's alphabet and length, and never the same twice."""

from __future__ import annotations

import re
from hashlib import blake2b

from ..rows import Key

__all__ = ["own_id"]

_LEAST_DIGEST = 16


def own_id(key: Key, number: int, *, form: str = "[A-Za-z0-9_-]", longest: int = 64) -> str:
    """Return the id of a row in the batch with this number.

    A key that fits is readable in it; of any other there is a digest. `form` is a pattern for one character. Two rows
    never have one, nor one row in two batches.
    """
    joint = next((sign for sign in "-_." if re.fullmatch(form, sign)), "x")
    end = f"{joint}{number}"
    named = f"r{key}" if isinstance(key, int) else f"k{key}"
    if len(named) + len(end) <= longest and re.fullmatch(f"(?:{form})+", named):
        return named + end
    room = max(longest - len(end) - 1, _LEAST_DIGEST)
    return f"h{blake2b(str(key).encode(), digest_size=20).hexdigest()[:room]}{end}"
