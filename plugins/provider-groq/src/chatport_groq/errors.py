"""How Groq tells of failures: its codes, errors inside a stream, and the headroom before a rate limit."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence

import attrs

from chatport import (
    BadRequestError,
    Chunk,
    ContextLengthError,
    ErrorReported,
    Event,
    Failure,
    MalformedReplyError,
    PermissionDeniedError,
    RateLimits,
    StreamState,
    UnsupportedFeatureError,
    Verdict,
    hookimpl,
)

from .tools import recovered

__all__ = ["classify_error", "decode_chunk", "read_rate_limits"]

_ORGANISATION = re.compile(r"\borg_\w+")
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
    if failure.status == 400 and _UNSUPPORTED.search(details.message):  # GQ-P11, GQ-J3: recorded 2025-12
        return Verdict(UnsupportedFeatureError)
    return None


@hookimpl
def decode_chunk(chunk: Chunk, state: StreamState) -> Sequence[Event] | None:
    """Read the two ways in which a stream tells a failure; every other chunk is the standard's."""
    raw = chunk.raw
    if chunk.event == "error" or raw[:8] == b'{"error"':  # GQ-S7: nothing follows, not even [DONE] (GQ-I4)
        error = chunk.data.get("error") if isinstance(chunk.data, dict) else None
        calls_before = max((len(choice.calls) for choice in state.choices.values()), default=0)
        events = recovered(error, calls_before) if isinstance(error, dict) else ()  # GQ-T3: behind the others
        return events or None
    if b'"x_groq"' in raw and b'"error"' in raw:
        x_groq = chunk.data.get("x_groq") if isinstance(chunk.data, dict) else None
        message = x_groq.get("error") if isinstance(x_groq, dict) else None
        if message:  # GQ-S8: the older form, a text in an otherwise normal chunk
            return (ErrorReported({"error": {"message": str(message), "type": "server_error"}}),)
    return None


@hookimpl(wrapper=True)
def read_rate_limits() -> Generator[None, RateLimits | None, RateLimits | None]:
    """Leave out the limit of requests: it is one per day, and would be kept as one per minute (GQ-H1).

    How many are left, and when they are all back, is true of any window.
    """
    limits = yield
    return limits and attrs.evolve(limits, requests_limit=None)
