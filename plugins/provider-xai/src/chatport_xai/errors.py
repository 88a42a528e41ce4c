"""`classify_error` for xAI: names of teams stay out of what is shown and logged; all else is its facts'."""

from __future__ import annotations

import re
from collections.abc import Generator

import attrs

from chatport import Failure, Verdict, hookimpl

__all__ = ["classify_error"]

_TEAM = re.compile(r"\bteam [0-9a-f-]{8,36}\b")


@hookimpl(wrapper=True)
def classify_error(failure: Failure) -> Generator[None, Verdict, Verdict]:
    verdict = yield
    words = verdict.message or failure.details.message
    shown = _TEAM.sub("team ***", words)  # XA-X21
    return verdict if shown == words else attrs.evolve(verdict, message=shown)
