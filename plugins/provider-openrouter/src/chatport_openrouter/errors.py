"""`classify_error` for OpenRouter: its own words first, then the cause that it passes on, then the status."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import attrs

from chatport import ChatportError, ContentFilterError, Context, ErrorDetails, Failure, ServerError, Verdict, hookimpl
from chatport.helpers import jsoncodec, standard_errors as standard

from .limits import hint_seconds

__all__ = ["classify_error"]


@hookimpl
def classify_error(failure: Failure, context: Context) -> Verdict | None:
    error, data = failure.details.data, failure.data
    if isinstance(data, Mapping) and "choices" in data and not data["choices"] and not data.get("error"):
        return Verdict(ServerError, True, message="the answer holds no choices")  # OR-S12, OR-X2, OR-I1
    metadata, availability = _mapping(error.get("metadata")), _mapping(error.get("availability"))
    words = (metadata.get("limit_source"), metadata.get("error_type"), error.get("error_type"))
    named = [word for word in (*words, availability.get("code")) if isinstance(word, str) and word]  # OR-X4
    cause = _cause(metadata)
    plain = attrs.evolve(failure, status=_status(failure), details=cause or failure.details)
    kind = _own_class(plain, failure, named, context) or standard.classify_error(plain, context).error
    retryable = availability.get("retryable")
    if metadata.get("reason") == "weight_exceeds_budget":
        retryable = False  # OR-X15: it will never fit
    return Verdict(
        kind,
        retryable if isinstance(retryable, bool) else kind.retryable_by_default,
        hint_seconds(metadata, availability, failure.headers),
        _message(failure, metadata, cause),
        named[0] if named else None,
    )


def _own_class(plain: Failure, failure: Failure, named: list[str], context: Context) -> type[ChatportError] | None:
    """Return what the router itself says it is, by the rules of the facts; None where only cause and status tell."""
    metadata = _mapping(failure.details.data.get("metadata"))
    if plain.status == 403 and {"reasons", "flagged_input", "patterns"} & set(metadata):
        return ContentFilterError  # OR-X16
    text = f"{failure.details.message}\n{plain.details.message}"
    said = (attrs.evolve(plain, details=ErrorDetails(text, code=word)) for word in named or [""])
    return next((found.error for own in said if (found := standard.classify_by_rules(own, context))), None)


def _status(failure: Failure) -> int:
    """Return the status that counts: of the response, or of the error inside it, which need not be there (OR-S6)."""
    status = standard.effective_status(failure)
    named = standard.named_status(failure.details.data.get("http_status"))
    return named if named is not None and standard.named_status(failure.details.code) is None else status


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
