"""`classify_error` for Azure: what the content filter found, and a wait that would never end."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import ContentFilterError, Failure, RateLimitError, Verdict, hookimpl

__all__ = ["classify_error"]


@hookimpl(wrapper=True)
def classify_error(failure: Failure) -> Generator[None, Verdict, Verdict]:
    verdict = yield
    inner = failure.details.data.get("innererror")
    if (
        isinstance(inner, Mapping) and inner.get("code") == "ResponsibleAIPolicyViolation"
    ):  # AZ-C3, AZ-X17: perhaps only here
        found = ", ".join(_filtered(inner.get("content_filter_result")))
        message = f"{failure.details.message} (filtered: {found})" if found else None
        return Verdict(ContentFilterError, retryable=False, message=message, code="content_filter")
    if verdict.error is RateLimitError and failure.headers.get("retry-after-ms") == "0":  # AZ-X30
        told = verdict.message or failure.details.message
        advice = "a request larger than the limit of tokens per minute is answered like this for ever"
        return attrs.evolve(verdict, retryable=False, message=f"{told} ({advice})")
    return verdict


def _filtered(results: Any) -> list[str]:
    """Return the filters that refused, as `hate: high`."""
    found = [(name, table) for name, table in (results.items() if isinstance(results, Mapping) else ())]
    hits = [(name, table) for name, table in found if isinstance(table, Mapping) and table.get("filtered")]
    return [f"{name}: {table['severity']}" if table.get("severity") else str(name) for name, table in hits]
