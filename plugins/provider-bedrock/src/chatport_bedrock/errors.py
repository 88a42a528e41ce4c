"""`classify_error` for Bedrock: names of accounts and resources stay out of what is shown and logged (BR-X2)."""

from __future__ import annotations

import re
from collections.abc import Generator

import attrs

from chatport import Failure, Verdict, hookimpl

__all__ = ["classify_error"]

_ARN = re.compile(r"\barn:aws[\w-]{0,12}:[^\s\"',;)]+")
_ACCOUNT = re.compile(r"\b[0-9]{12}\b")


@hookimpl(wrapper=True)
def classify_error(failure: Failure) -> Generator[None, Verdict, Verdict]:
    verdict = yield
    words = verdict.message or failure.details.message
    shown = _ACCOUNT.sub("***", _ARN.sub("arn:***", words))
    return verdict if shown == words else attrs.evolve(verdict, message=shown)
