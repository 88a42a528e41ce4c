"""`read_rate_limits`, and when to come back: the router's hints are in headers, in the body, or in both."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from chatport import RateLimits, hookimpl
from chatport.helpers import header_count

__all__ = ["hint_seconds", "read_rate_limits"]

_Object = Mapping[str, Any]


@hookimpl
def read_rate_limits(headers: Mapping[str, str]) -> RateLimits | None:
    """Only a 429 of the router's own has these headers (OR-H1)."""
    if "x-ratelimit-limit" not in headers:
        return None
    return RateLimits(
        requests_limit=header_count(headers["x-ratelimit-limit"]),
        requests_remaining=header_count(headers.get("x-ratelimit-remaining", "")),
        requests_reset_seconds=_until_reset(headers, headers),
    )


def hint_seconds(metadata: _Object, availability: _Object, headers: Mapping[str, str]) -> float | None:
    """Return how long to wait by the error's body (OR-H1), None if a header says it, since that speaks for all tries.

    `Retry-After` is left out when one of several routes gave no hint.
    """
    if "retry-after" in headers or "retry-after-ms" in headers:
        return None
    passed_on = metadata.get("headers")
    inner = {name.lower(): value for name, value in passed_on.items()} if isinstance(passed_on, Mapping) else {}
    said = (availability.get("retry_after"), metadata.get("retry_after_seconds"), inner.get("retry-after"))
    seconds = (number for number in map(_number, said) if number is not None)
    return next(seconds, _until_reset(inner, headers))


def _until_reset(limits: Mapping[str, Any], headers: Mapping[str, str]) -> float | None:
    """Return the seconds to the reset, a moment in milliseconds, by the server's own clock; None without one."""
    reset = _number(limits.get("x-ratelimit-reset"))
    try:
        now = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return None
    return None if reset is None else max(reset / 1000 - now, 0.0)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number < 1e14 else None
