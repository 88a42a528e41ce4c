"""How Fireworks tells of failures, where the standard reading is wrong, and of the headroom before a rate limit."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping

import attrs

from chatport import BadRequestError, Failure, OverloadedError, QuotaExceededError, RateLimits, Verdict, hookimpl
from chatport.standard.models import header_count

__all__ = ["classify_error", "read_rate_limits"]

_UNPAID = re.compile(r"suspended|spending limit|past invoices", re.IGNORECASE)


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    """Settle what the standard reading cannot; all other rows of the vendor's table it gets right by itself."""
    message = failure.details.message or failure.body
    if failure.status == 400 and message.startswith("Extra inputs are not permitted"):
        return Verdict(BadRequestError)  # FW-X10: the text goes on with a value of the caller's, which says nothing
    if failure.status == 412 and _UNPAID.search(message):
        return Verdict(QuotaExceededError)  # FW-X20; any other 412 is a bad request (FW-X21)
    if failure.status == 425:
        return Verdict(OverloadedError)  # FW-X22: a deployment that is starting up
    return None


@hookimpl(wrapper=True)
def read_rate_limits(headers: Mapping[str, str]) -> Generator[None, RateLimits | None, RateLimits | None]:
    """Take the prompt's tokens for the token limit: they are the kind that a caller can foresee (FW-H1)."""
    limits = yield
    names = (f"x-ratelimit-{kind}-tokens-prompt" for kind in ("limit", "remaining"))
    limit, left = (header_count(headers.get(name, "")) for name in names)
    if limits is None or limits.tokens_limit is not None or limit is None or left is None:
        return limits
    return attrs.evolve(limits, tokens_limit=limit, tokens_remaining=left)
