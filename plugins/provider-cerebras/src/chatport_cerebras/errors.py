"""`classify_error` for Cerebras: how long to wait for an allowance, which no header of its tells (CB-X10, CB-I5)."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Failure, Verdict, hookimpl

__all__ = ["classify_error"]

_ALLOWANCES = ("request_quota_exceeded", "token_quota_exceeded")
_WINDOW_SECONDS = 60.0


@hookimpl(wrapper=True)
def classify_error(failure: Failure) -> Generator[None, Verdict, Verdict]:
    """An allowance is by the minute: it is back after one. A full queue (CB-X9) is asked again soon, as by the core."""
    verdict = yield
    told = [name for name in failure.headers if name.startswith(("retry-after", "x-ratelimit-reset-"))]
    if failure.details.code not in _ALLOWANCES or told:  # CB-H2: in 2025 there were headers
        return verdict
    return attrs.evolve(verdict, retry_after_seconds=_WINDOW_SECONDS)
