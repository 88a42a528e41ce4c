"""`classify_error` for Groq: a refused call that can be handed out all the same, and names that are not to be shown."""

from __future__ import annotations

import re
from collections.abc import Generator

import attrs

from chatport import BadRequestError, Failure, Verdict, hookimpl

from .stream import recovered

__all__ = ["classify_error"]

_ORGANISATION = re.compile(r"\borg_\w+")


@hookimpl(wrapper=True)
def classify_error(failure: Failure) -> Generator[None, Verdict, Verdict]:
    verdict = yield
    events = (
        recovered(failure.details.data) if failure.where != "chunk" else ()
    )  # GQ-X11; `decode_chunk` has seen chunks
    if events:
        return Verdict(BadRequestError, events=events)
    words = verdict.message or failure.details.message
    shown = _ORGANISATION.sub("org_***", words)  # GQ-X31: ids stay out of what is shown and logged
    return verdict if shown == words else attrs.evolve(verdict, message=shown)
