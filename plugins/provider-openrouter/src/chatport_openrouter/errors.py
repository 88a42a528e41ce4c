"""`classify_error` for OpenRouter: its own words first, then the cause that it passes on, then the status."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import attrs

from chatport import (
    ContentFilterError,
    Context,
    ContextLengthError,
    Failure,
    ModelNotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    UnsupportedFeatureError,
    Verdict,
    hookimpl,
    jsoncodec,
)
from chatport.call import ErrorDetails
from chatport.errors import ChatportError
from chatport.standard import errors as standard

from .limits import hint_seconds

__all__ = ["classify_error"]

_WORDS_OF_CLASSES: Mapping[type[ChatportError], str] = {
    ContextLengthError: "context_length_exceeded max_tokens_exceeded token_limit_exceeded",  # OR-X11
    ContentFilterError: "content_policy_violation refusal",  # OR-X12
    QuotaExceededError: "openrouter_guardrail_budget openrouter_workspace_budget openrouter_key_limit "
    "guardrail_budget workspace_budget key_limit",  # OR-X17
    PermissionDeniedError: "region_restricted privacy_restricted",  # OR-X17, OR-I4
    ModelNotFoundError: "model_not_found no_endpoints model_deprecated model_unavailable_upstream "
    "constraint_filtered free_variant_ended",  # OR-X10, OR-X18
    RateLimitError: "capacity_exhausted openrouter_in_flight_budget",  # OR-X6, OR-X15
}
_CLASSES = {word: kind for kind, words in _WORDS_OF_CLASSES.items() for word in words.split()}
"""Words that say what an error is, whatever its status."""

_WORDS_OF_STATUSES = {
    400: "invalid_request invalid_prompt string_too_long wrong_endpoint invalid_image image_too_large "
    "image_too_small unsupported_image_format image_download_failed",  # OR-X10
    401: "authentication",  # OR-X13
    402: "payment_required",  # OR-X14
    403: "permission_denied",  # OR-X17
    404: "not_found",  # OR-X18
    412: "precondition_failed",  # OR-X20
    413: "payload_too_large",
    422: "unprocessable",
    429: "rate_limit_exceeded",  # OR-X21
    500: "server unmapped",  # OR-X24
    502: "provider_unavailable",  # OR-X22
    503: "provider_overloaded temporarily_unavailable",  # OR-X23
    504: "timeout",  # OR-X19
}
_STATUSES = {word: status for status, words in _WORDS_OF_STATUSES.items() for word in words.split()}
"""What a word means inside a 200, where nothing else may say it (OR-X4)."""

_PHRASES: tuple[tuple[str, type[ChatportError]], ...] = (
    (r"data policy", PermissionDeniedError),  # OR-I4: a setting of the account
    (r"no endpoints found that (support|can handle)", UnsupportedFeatureError),  # OR-T2, OR-J2
    (r"reasoning is mandatory", UnsupportedFeatureError),  # OR-P7
)


@hookimpl
def classify_error(failure: Failure, context: Context) -> Verdict | None:
    error, data = failure.details.data, failure.data
    if isinstance(data, Mapping) and "choices" in data and not data["choices"] and not data.get("error"):
        return Verdict(ServerError, True, message="the answer holds no choices")  # OR-S12, OR-X2, OR-I1
    metadata, availability = _mapping(error.get("metadata")), _mapping(error.get("availability"))
    words = (
        metadata.get("limit_source"),
        metadata.get("error_type"),
        error.get("error_type"),
        availability.get("code"),
    )
    named = [word for word in words if isinstance(word, str) and word]
    cause = _cause(metadata)
    plain = attrs.evolve(failure, status=_status(failure, named), details=cause or failure.details)
    said = standard.classify_error(plain, context)
    kind = _own_class(plain, failure.details.message, metadata, named) or said.error
    retryable = availability.get("retryable")
    if metadata.get("reason") == "weight_exceeds_budget":
        retryable = False  # OR-X15: it will never fit
    return Verdict(
        kind,
        retryable if isinstance(retryable, bool) else kind.retryable_by_default,
        hint_seconds({"metadata": metadata, "availability": availability}, failure.headers),
        _message(failure, metadata, cause),
        named[0] if named else None,
    )


def _own_class(
    plain: Failure, message: str, metadata: Mapping[str, Any], named: list[str]
) -> type[ChatportError] | None:
    """Return what the router itself says it is, None where only cause and status tell."""
    if plain.status == 403 and {"reasons", "flagged_input", "patterns"} & set(metadata):
        return ContentFilterError  # OR-X16
    text = f"{message}\n{plain.details.message}"[:4000]
    for pattern, kind in _PHRASES:
        if re.search(pattern, text, re.IGNORECASE):
            return kind
    return next((_CLASSES[word] for word in named if word in _CLASSES), None)


def _status(failure: Failure, named: list[str]) -> int:
    """Return the status that counts: of the response, of the error inside it (a number, at times as text), of its word.

    OR-X1, OR-S6, OR-X4: none of these must be there.
    """
    if failure.status >= 400:
        return failure.status
    for value in (failure.details.data.get("code"), failure.details.data.get("http_status")):
        status = standard.named_status(value)
        if status is not None:
            return status
    return next((_STATUSES[word] for word in named if word in _STATUSES), standard.effective_status(failure))


def _cause(metadata: Mapping[str, Any]) -> ErrorDetails | None:
    """Return the innermost error of `metadata.raw` (OR-X3): a text, often JSON, that may hold another one."""
    found: ErrorDetails | None = None
    for _ in range(4):
        raw = metadata.get("raw")
        if not raw:
            break
        if isinstance(raw, str):
            with suppress(ValueError):
                raw = jsoncodec.decode_text(raw)
        found = standard.read_error(raw, str(raw))
        metadata = _mapping(found.data.get("metadata"))
    return found


def _message(failure: Failure, metadata: Mapping[str, Any], cause: ErrorDetails | None) -> str | None:
    """Return the text with its cause (OR-I6), its reasons (OR-X16), and the tries before it (OR-X5)."""
    notes = []
    if cause is not None and cause.message:
        notes.append(f"{metadata.get('provider_name') or 'upstream'}: {cause.message}")
    if isinstance(metadata.get("reasons"), list):
        notes.append(f"flagged for {', '.join(map(str, metadata['reasons']))}")
    before = metadata.get("previous_errors")
    tries = [entry for entry in before if isinstance(entry, Mapping)] if isinstance(before, list) else []
    if tries:
        shown = (f"{entry.get('provider') or '?'} {entry.get('code') or entry.get('status') or ''}" for entry in tries)
        notes.append(f"tried before: {', '.join(text.strip() for text in shown)}")
    return f"{failure.details.message} ({'; '.join(notes)})" if notes else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
