"""`read_rate_limits` for Together AI: the standard finds nothing under the vendor's names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from chatport import RateLimits, hookimpl

__all__ = ["read_rate_limits"]

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]*)?")


@hookimpl
def read_rate_limits(headers: Mapping[str, str]) -> RateLimits | None:
    """Read what is left, and when to come back (TG-H1); of 2025, the token counts are under another name.

    The limit of requests is left out: it counts by the second beside a reset of two, and would be taken for one by the
    minute.
    """

    def number(*names: str) -> float | None:
        texts = (headers.get(name + twin, "") for name in names for twin in ("", "-dynamic"))
        return next((float(text) for text in texts if _NUMBER.fullmatch(text)), None)

    def count(*names: str) -> int | None:
        value = number(*names)
        return None if value is None else int(value)

    if not any(name.startswith(("x-ratelimit-", "x-tokenlimit-")) for name in headers):
        return None
    return RateLimits(
        requests_remaining=count("x-ratelimit-remaining"),
        requests_reset_seconds=number("x-ratelimit-reset"),
        tokens_limit=count("x-tokenlimit-limit", "x-ratelimit-limit-tokens"),
        tokens_remaining=count("x-tokenlimit-remaining", "x-ratelimit-remaining-tokens"),
    )
