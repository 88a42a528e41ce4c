"""From a vendor's error to ours: what the chain gets to see, and the exception that its verdict means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from .. import jsoncodec
from ..basics.secret import Revealed
from ..call import Context, Failure, Verdict
from ..errors import ChatportError, OverloadedError, QuotaExceededError, RateLimitError
from ..standard.error_shapes import said_wait_seconds, said_words
from ..standard.verdicts import class_of_status, read_error
from ..types import RateLimits
from .hints import (
    limit_reset_seconds,
    reset_seconds,
    retry_delay_seconds,
    said_delay_seconds,
    should_retry_header,
    wait_in_headers,
)
from .redaction import hide_key, hide_key_in

__all__ = ["LARGEST_ERROR_BYTES", "error_of", "failure_of", "without_answer"]

LARGEST_ERROR_BYTES = 1024 * 1024
"""A failure that takes more is not decoded, and only its beginning is looked at: nobody explains one at that length."""
_SHOWN = 600


def failure_of(
    status: int,
    headers: Mapping[str, str],
    where: Literal["response", "body", "chunk"],
    content: bytes,
    secret: Revealed,
) -> Failure:
    """Return what `classify_error` looks at, with the key taken out: some vendors echo it in their error text."""
    content = content[:LARGEST_ERROR_BYTES]
    try:
        data: Any = hide_key_in(jsoncodec.decode(content.strip()), secret)
    except ValueError:
        data = None
    text = hide_key(content[:20_000].decode("utf-8", "replace"), secret)
    return Failure(status, headers, where, data, text, read_error(data, text))


def without_answer(data: Any) -> bytes:
    """Return what reports an error as JSON, less the answer beside it where all of it would be too large to look at."""
    content = jsoncodec.encode_anything(data)
    if len(content) > LARGEST_ERROR_BYTES and isinstance(data, Mapping) and "error" in data:
        content = jsoncodec.encode_anything({name: value for name, value in data.items() if name != "choices"})
    return content


def error_of(
    failure: Failure,
    verdict: Verdict | None,
    context: Context,
    now: datetime,
    limits: RateLimits | None = None,
    asked: str = "",
) -> ChatportError:
    """Return the exception for a failure, with the vendor's own words, short, and its hints.

    `limits` is the headroom that the response's headers tell; `asked` is the URL of the request, to tell it where
    nothing answers there.
    """
    verdict = verdict or Verdict(class_of_status(failure.status))
    hint = verdict.retry_after_seconds
    if hint is None:
        hint = retry_delay_seconds(failure.headers, now)
    if hint is None and issubclass(verdict.error, RateLimitError | OverloadedError):
        # The words tell when this request fits; the reset headers, when all of the limit is back (OA-H3, OA-X9).
        facts = context.provider.facts
        hint = wait_in_headers(failure.headers, facts.limits.wait, now) if facts and facts.limits else None
        hint = said_wait_seconds(failure.details) if hint is None else hint
        hint = said_delay_seconds(failure.details.message) if hint is None else hint
        hint = reset_seconds(limits) if hint is None else hint
        hint = limit_reset_seconds(failure.headers, now) if hint is None else hint
    retryable = verdict.retryable
    if failure.status >= 400:
        said = should_retry_header(failure.headers)
        if said is not None and not (said and issubclass(verdict.error, QuotaExceededError)):
            retryable = said  # but no header makes an empty account worth a retry (OA-X11)
    words = _short(verdict.message or said_words(failure.details) or _unexplained(failure))
    lost_at, advice = _lost(failure, context, asked)
    error = verdict.error(
        f"{context.provider.title}: {words}{lost_at}",
        provider=context.provider.name,
        model=context.model,
        status=failure.status,
        code=_short(verdict.code or _code(failure), 200) or None,
        request_id=_id_in_body(failure.data),
        retry_after_seconds=hint,
        retryable=retryable,
        raw=failure.data if failure.data is not None else _short(failure.body, 2000),
    )
    if advice:
        error.advice = advice
    return error


def _lost(failure: Failure, context: Context, asked: str) -> tuple[str, str]:
    """Return where was asked, and what to do, if nothing answers at that address; two empty texts otherwise."""
    if not asked or (failure.status >= 400 and failure.status not in (404, 405)):
        return "", ""
    from ..standard.wrong_path import is_wrong_path, meant_base_url, shown_address  # patterns that only errors need

    if not is_wrong_path(failure, context.model):
        return "", ""
    provider, said, there = context.provider, shown_address(context.base_url), shown_address(asked)
    usual = provider.base_url if provider.facts is not None else ""
    if usual and said.rstrip("/") == usual.rstrip("/"):
        return f" (asked: {there})", f"This is the address that {provider.name} usually has."
    meant = meant_base_url(said, usual)
    return f" (asked: {there})", f"Is base_url right? It is {said}; probably it should be {meant}."


def _code(failure: Failure) -> str:
    """Return the vendor's word for the failure: its code, or its type where the code only repeats the status."""
    code, kind = failure.details.code, failure.details.type
    return kind if kind and code in ("", str(failure.status)) else code


def _unexplained(failure: Failure) -> str:
    if failure.status >= 400:
        return f"HTTP {failure.status} without an explanation."
    if not failure.body.strip():
        return "the reply is empty."
    return f"the reply is not what the protocol says: {_short(failure.body, 200)!r}"


def _short(text: str, most: int = _SHOWN) -> str:
    text = jsoncodec.whole(text.strip())
    return text if len(text) <= most else f"{text[:most]}…"


def _id_in_body(data: Any) -> str | None:
    value = (data.get("request_id") or (data.get("error") and data.get("id"))) if isinstance(data, Mapping) else None
    return _short(value, 200) if isinstance(value, str) else None
