"""`classify_error` for Fireworks: one status with two meanings, and one body that quotes the caller."""

from __future__ import annotations

import re

from chatport import BadRequestError, Failure, OverloadedError, QuotaExceededError, Verdict, hookimpl

__all__ = ["classify_error"]

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
