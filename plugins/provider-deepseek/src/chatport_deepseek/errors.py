"""`classify_error` for DeepSeek: its `code` is nearly always `invalid_request_error`, so the words decide."""

from __future__ import annotations

import re

from chatport import (
    ContextLengthError,
    Failure,
    ModelNotFoundError,
    OverloadedError,
    TransportError,
    Verdict,
    hookimpl,
)
from chatport.errors import ChatportError

__all__ = ["classify_error"]

_WORDS: tuple[tuple[re.Pattern[str], type[ChatportError]], ...] = (
    (re.compile(r"supported API model names are", re.IGNORECASE), ModelNotFoundError),  # DS-E6: a 400, not a 404
    (re.compile(r"resolved to \d+ input tokens", re.IGNORECASE), ContextLengthError),  # DS-E4: with images
)


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    """Settle what the standard reading cannot; all other rows of the vendor's table it gets right by itself."""
    if failure.details.code == "insufficient_system_resource":  # DS-S10: broken off for want of capacity
        return Verdict(OverloadedError)
    if failure.where == "body" and not failure.body.strip():
        return _never_begun()
    return next((Verdict(error) for words, error in _WORDS if words.search(failure.details.message)), None)


def _never_begun() -> Verdict:
    """DS-E10: a queued plain call gets blank lines (DS-S2); when its ten minutes are over, they are all it gets."""
    return Verdict(TransportError, True, message="the connection was closed before an answer was begun")
