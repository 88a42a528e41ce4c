"""`classify_error` for Groq: its own codes, a 413 that is no rate limit, and no organisation ids in texts."""

from __future__ import annotations

import re
from collections.abc import Generator

import attrs

from chatport import (
    BadRequestError,
    ContextLengthError,
    Failure,
    MalformedReplyError,
    PermissionDeniedError,
    RateLimitError,
    UnsupportedFeatureError,
    Verdict,
    hookimpl,
)
from chatport.standard.models import go_duration_seconds

from .tools import recovered

__all__ = ["classify_error"]

_ORGANISATION = re.compile(r"\borg_\w+")
_TRY_AGAIN_IN = re.compile(r"try again in ((?:\d+(?:\.\d+)?(?:ms|h|m|s))+)")
_UNSUPPORTED = re.compile(r"is not supported with this model|model does not support response format")


@hookimpl(wrapper=True)
def classify_error(failure: Failure) -> Generator[None, Verdict, Verdict]:
    """Settle what the standard reading cannot; organisation ids stay out of what is shown and logged (GQ-X31)."""
    verdict = yield
    verdict = _settled(failure) or verdict
    words = verdict.message or failure.details.message
    shown = _ORGANISATION.sub("org_***", words)
    return verdict if shown == words else attrs.evolve(verdict, message=shown)


def _settled(failure: Failure) -> Verdict | None:
    details = failure.details
    if details.code == "tool_use_failed":  # GQ-X11; a stream's has been looked at by `decode_chunk`
        events = recovered(details.data) if failure.where != "chunk" else ()
        return Verdict(BadRequestError, events=events) if events else Verdict(MalformedReplyError, True)
    if details.code == "json_validate_failed":  # GQ-X12, GQ-I2: the model's mistake, and it passes
        return Verdict(MalformedReplyError, True)
    if failure.status == 413 and details.code == "rate_limit_exceeded":  # GQ-X18, GQ-I1: waiting would loop for ever
        return Verdict(ContextLengthError, False)
    if details.code == "organization_restricted":  # GQ-X15
        return Verdict(PermissionDeniedError)
    if details.code == "rate_limit_exceeded":  # GQ-X21: the text only where the header is missing (GQ-X30, GQ-H2)
        found = None if failure.headers.get("retry-after") else _TRY_AGAIN_IN.search(details.message)
        return Verdict(RateLimitError, retry_after_seconds=go_duration_seconds(found[1]) if found else None)
    if failure.status == 400 and _UNSUPPORTED.search(details.message):  # GQ-P11, GQ-J3: recorded 2025-12
        return Verdict(UnsupportedFeatureError)
    return None
