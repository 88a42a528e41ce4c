"""`classify_error` for SiliconFlow: its integer codes, then its words; the status alone often lies."""

from __future__ import annotations

import re

from chatport import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    Failure,
    ModelNotFoundError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
    UnsupportedFeatureError,
    Verdict,
    hookimpl,
)
from chatport.errors import ChatportError

__all__ = ["classify_error"]

_CODES: dict[str, type[ChatportError]] = {
    "20012": ModelNotFoundError,  # SF-X10: a 400
    "30001": QuotaExceededError,  # SF-X15, SF-I2: a 403 that is no matter of permission
    "30003": ModelNotFoundError,  # SF-X16: a 403 too
    "30014": AuthenticationError,  # SF-X14
    "50505": OverloadedError,  # SF-X21
    "50508": OverloadedError,
    "insufficient_system_resource": OverloadedError,  # SF-S5
}
_WORDS: tuple[tuple[str, type[ChatportError]], ...] = (
    (r"\bmax_seq_len\b", ContextLengthError),  # SF-X11, SF-I4: only the text of a 20015 says it
    (r"balance is insufficient", QuotaExceededError),  # SF-X15
    (r"does not support function call", UnsupportedFeatureError),  # SF-T4
)
_LONG_LIMIT = re.compile(r"\b[RTI]P[HD] limit")


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    """Settle what the standard reading cannot; it reads all of this vendor's forms (SF-X1, SF-X2, SF-I3)."""
    code, text = failure.details.code, failure.details.message or failure.body
    if failure.status == 429:  # SF-X19, SF-I5: no wait of ours outlasts a limit per hour or day
        return Verdict(RateLimitError, retryable=False) if _LONG_LIMIT.search(text) else None
    if failure.status == 451:  # SF-X23
        return Verdict(ContentFilterError)
    error = _CODES.get(code) or next((error for words, error in _WORDS if re.search(words, text)), None)
    if error is None and code == "20015" and failure.status < 400:  # SF-X13, inside a stream
        error = BadRequestError
    return None if error is None else Verdict(error)
