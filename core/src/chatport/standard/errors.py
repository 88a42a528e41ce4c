"""Standard `classify_error`. Its names, words and patterns are loaded with the first error there is."""

from __future__ import annotations

from ..call import Context, Failure, Verdict
from ..hooks import hookimpl

__all__ = ["classify_error"]


@hookimpl
def classify_error(failure: Failure, context: Context) -> Verdict:
    from .verdicts import classify_error as verdict_on

    return verdict_on(failure, context)
