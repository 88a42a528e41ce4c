"""`classify_error` for Gemini: "quota" is what passes in a minute, unless a quota of the day is named."""

from __future__ import annotations

from collections.abc import Generator

from chatport import Failure, QuotaExceededError, RateLimitError, Verdict, hookimpl

__all__ = ["classify_error"]

_SPENT = ("perday", "limit: 0")


@hookimpl(wrapper=True)
def classify_error(failure: Failure) -> Generator[None, Verdict, Verdict]:
    """Take "exceeded your current quota", said of every limit, for one of a minute (GM-X18, GM-X30, GM-I3)."""
    verdict = yield
    body = failure.body.lower()
    is_vague = verdict.error is QuotaExceededError and failure.details.type == "RESOURCE_EXHAUSTED"
    return Verdict(RateLimitError) if is_vague and not any(word in body for word in _SPENT) else verdict
