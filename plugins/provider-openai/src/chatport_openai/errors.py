"""`classify_error` for OpenAI: what is no matter of code, words and status alone, which the facts settle."""

from __future__ import annotations

import re

from chatport import BadRequestError, Context, Failure, FinishReported, PermissionDeniedError, Verdict, hookimpl

__all__ = ["classify_error"]

_BUDGET_SPENT = re.compile(r"could not finish the message because max_tokens\b.{0,200}\breached", re.IGNORECASE | re.S)


@hookimpl
def classify_error(failure: Failure, context: Context) -> Verdict | None:
    details = failure.details
    if (details.code, details.param) == ("unsupported_value", "stream"):  # OA-X7
        return Verdict(
            PermissionDeniedError,
            message=f"{details.message} Until then: chat() in place of stream(), or stream = false under "
            f"[providers.{context.provider.name}], with which every reply comes whole.",
        )
    if failure.status == 400 and _BUDGET_SPENT.search(details.message):  # OA-R6: it is a `length` without a text
        return Verdict(BadRequestError, events=(FinishReported("length", None),))
    return None
