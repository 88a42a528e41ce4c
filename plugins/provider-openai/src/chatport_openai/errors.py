"""`classify_error`: the few rows that code, type and status alone get wrong; all others are the standard's."""

from __future__ import annotations

import re

from chatport import hookimpl
from chatport.call import Context, Failure, Verdict
from chatport.errors import BadRequestError, PermissionDeniedError, UnsupportedFeatureError
from chatport.events import FinishReported

__all__ = ["classify_error"]

_TOOLS_WITH_REASONING = "function tools with reasoning_effort are not supported"
_BUDGET_SPENT = re.compile(r"could not finish the message because max_tokens\b.{0,200}\breached", re.IGNORECASE | re.S)


@hookimpl
def classify_error(failure: Failure, context: Context) -> Verdict | None:
    details = failure.details
    if _TOOLS_WITH_REASONING in details.message.lower():  # OA-T14
        return Verdict(UnsupportedFeatureError, message=f'{details.message} Here: reasoning="none", or another model.')
    if (details.code, details.param) == ("unsupported_value", "stream"):  # OA-X7
        return Verdict(
            PermissionDeniedError,
            message=f"{details.message} Until then: chat() in place of stream(), or stream = false under "
            f"[providers.{context.provider.name}], with which every reply comes whole.",
        )
    if failure.status == 400 and _BUDGET_SPENT.search(details.message):  # OA-R6: it is a `length` without a text
        return Verdict(BadRequestError, events=(FinishReported("length", None),))
    return None
