"""`classify_error` for Anthropic: the one refusal that is told apart by a detail, beside the rules of its facts."""

from __future__ import annotations

from collections.abc import Mapping

from chatport import Failure, QuotaExceededError, Verdict, hookimpl

__all__ = ["classify_error"]


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    """Tell a spend limit, which waiting does not help, from a rate limit (AN-X13)."""
    details = failure.details.data.get("details")
    code = details.get("error_code") if isinstance(details, Mapping) else None
    is_spent = code == "enforced_spend_limit_reached"
    return Verdict(QuotaExceededError, retryable=False, code=str(code)) if is_spent else None
