"""`classify_error` for Anthropic: one type stands for most refusals, so the words decide (AN-X1 to AN-X5)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from chatport import ContextLengthError, Failure, QuotaExceededError, Verdict, hookimpl
from chatport.errors import ChatportError

__all__ = ["classify_error"]

_WORDS: tuple[tuple[re.Pattern[str], type[ChatportError]], ...] = (
    (re.compile(r"prompt is too long|exceed context limit"), ContextLengthError),  # AN-X2, AN-X3
    (re.compile(r"credit balance is too low"), QuotaExceededError),  # AN-X4
    (re.compile(r"reached your specified .{0,40}usage limits"), QuotaExceededError),  # AN-X5
)


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    """Settle what the standard reading cannot; all other rows of the vendor's table it gets right by itself."""
    inner = failure.details.data.get("details")
    if isinstance(inner, Mapping) and inner.get("error_code") == "enforced_spend_limit_reached":  # AN-X13
        return Verdict(QuotaExceededError, retryable=False, code="enforced_spend_limit_reached")
    if failure.details.type != "invalid_request_error":
        return None
    found = (error for words, error in _WORDS if words.search(failure.details.message))
    return next((Verdict(error, retryable=False) for error in found), None)
