"""`classify_error` for DeepSeek: what is no matter of code, words and status, which the facts settle."""

from __future__ import annotations

from chatport import Failure, TransportError, Verdict, hookimpl

__all__ = ["classify_error"]


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    """DS-E10: a queued plain call gets blank lines (DS-S2); when its ten minutes are over, they are all it gets."""
    if failure.where == "body" and not failure.body.strip():
        return Verdict(TransportError, True, message="the connection was closed before an answer was begun")
    return None
