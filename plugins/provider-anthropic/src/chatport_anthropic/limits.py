"""`read_rate_limits` for Anthropic: a reset is a moment of RFC 3339 (AN-H2)."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from chatport import RateLimits, hookimpl
from chatport.helpers import header_count

from .models import read_time

__all__ = ["read_rate_limits"]

_PREFIX = "anthropic-ratelimit-"


@hookimpl
def read_rate_limits(headers: Mapping[str, str]) -> RateLimits | None:
    """Return the headroom; a reset is a moment, which counts from the reply's own date."""
    if not any(name.startswith(_PREFIX) for name in headers):
        return None
    tokens = "tokens" if f"{_PREFIX}tokens-limit" in headers else "input-tokens"

    def values(kind: str) -> tuple[int | None, int | None, float | None]:
        limit, left = (header_count(headers.get(f"{_PREFIX}{kind}-{name}", "")) for name in ("limit", "remaining"))
        return limit, left, _seconds_until(headers.get(f"{_PREFIX}{kind}-reset"), headers.get("date"))

    return RateLimits(*values("requests"), *values(tokens))


def _seconds_until(reset: str | None, now: str | None) -> float | None:
    moment = read_time(reset)
    try:
        return None if moment is None or now is None else max((moment - parsedate_to_datetime(now)).total_seconds(), 0)
    except (TypeError, ValueError, OverflowError):
        return None
