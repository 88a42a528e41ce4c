"""`classify_error` for MiniMax: the vendor's code, which an HTTP error has at the end of its message."""

from __future__ import annotations

import re

import attrs

from chatport import Context, Failure, Verdict, hookimpl
from chatport.helpers import standard_errors

__all__ = ["classify_error"]

_CODE = re.compile(r"\((\d{4})\)\s*\Z")


@hookimpl
def classify_error(failure: Failure, context: Context) -> Verdict | None:
    """Read `… (2013)` as the code 2013, for which the facts have their rules (MM-X1); inside a 200 it is a field."""
    found = _CODE.search(failure.details.message[-100:])
    if found is None:
        return None
    details = attrs.evolve(failure.details, code=found[1])
    verdict = standard_errors.classify_error(attrs.evolve(failure, details=details), context)
    return attrs.evolve(verdict, code=found[1])
