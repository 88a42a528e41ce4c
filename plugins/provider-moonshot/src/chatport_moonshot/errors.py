"""`classify_error` for Moonshot: `error.type` decides, since one status (429) means three things."""

from __future__ import annotations

import re
from collections.abc import Mapping

from chatport import Context, Failure, Verdict, errors as e, hookimpl
from chatport.setup.origins import host_of

__all__ = ["classify_error"]

_TYPES: Mapping[str, Verdict] = {
    "content_filter": Verdict(e.ContentFilterError),  # MS-E1
    "permission_denied_error": Verdict(e.PermissionDeniedError),  # MS-E6
    "resource_not_found_error": Verdict(e.ModelNotFoundError),  # MS-E7
    "exceeded_current_quota_error": Verdict(e.QuotaExceededError),  # MS-E8
    "rate_limit_reached_error": Verdict(e.RateLimitError),  # MS-E9
    "engine_overloaded_error": Verdict(e.OverloadedError),  # MS-E11
    "client_closed_request": Verdict(e.TransportError, retryable=False),  # MS-E12: it may have been billed
    "server_error": Verdict(e.ServerError),  # MS-E13
    "unexpected_output": Verdict(e.ServerError),  # MS-E13
    "server_unavailable": Verdict(e.ServerError),  # MS-E14
}
_KEY_TYPES = ("invalid_authentication_error", "incorrect_api_key_error")  # MS-E5
_TOO_LONG = re.compile(r"input token length too long|exceeded model token limit", re.IGNORECASE)  # MS-E2, MS-E3
_DAILY = re.compile(r"\bTPD\b")  # MS-E10


@hookimpl
def classify_error(failure: Failure, context: Context) -> Verdict | None:
    """Settle by type and a few words; the rest (MS-E4, MS-E16) the standard reads rightly."""
    details = failure.details
    kind = details.type.lower()
    if kind in _KEY_TYPES:  # MS-B1: a good key of the other platform is refused as if it were wrong
        hint = f"(A key belongs to one platform; this call went to {host_of(context.base_url)}.)"
        return Verdict(e.AuthenticationError, message=f"{details.message} {hint}")
    if kind == "rate_limit_reached_error" and _DAILY.search(details.message):
        return Verdict(e.QuotaExceededError)
    if failure.status == 504 and failure.data is None:  # MS-E15, MS-X9: a page of HTML
        return Verdict(e.ServerError, message=f"{details.message} (no answer in time; a stream begins sooner)")
    if kind == "invalid_request_error" and _TOO_LONG.search(details.message):
        return Verdict(e.ContextLengthError)
    return _TYPES.get(kind)
