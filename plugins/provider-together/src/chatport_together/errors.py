"""`classify_error` for Together AI: a context overflow has three statuses, and the wait is in a header of its own."""

from __future__ import annotations

import re
from collections.abc import Generator

import attrs

from chatport import ContextLengthError, Failure, PermissionDeniedError, RateLimitError, Verdict, hookimpl

__all__ = ["classify_error"]

# TG-X15, TG-I3: a 403 that speaks of these is about size, not about permission.
_SIZE = re.compile(r"\btokens\b|\bcontext\b|\blength\b", re.IGNORECASE)
_SUM = re.compile(r"\binputs`? tokens \+ `?max_new_tokens`? must be", re.IGNORECASE)  # TG-X18
# TG-X20; TG-X30: these words once came with a 400
_OWN_RATE = frozenset({"dynamic_request_limited", "dynamic_token_limited", "model_rate_limit", "rate_limit"})


@hookimpl(wrapper=True)
def classify_error(failure: Failure) -> Generator[None, Verdict, Verdict]:
    verdict = yield
    details = failure.details
    words = details.message or failure.body
    if _SUM.search(words) or (verdict.error is PermissionDeniedError and _SIZE.search(words)):
        return Verdict(ContextLengthError)
    if {details.type, details.code} & _OWN_RATE:
        verdict = Verdict(RateLimitError)
    if verdict.error is RateLimitError and not {"retry-after", "retry-after-ms"} & set(failure.headers):
        reset = failure.headers.get("x-ratelimit-reset", "")  # TG-H1, TG-F1: in seconds, the wait the vendor suggests
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", reset):
            return attrs.evolve(verdict, retry_after_seconds=float(reset))
    return verdict
