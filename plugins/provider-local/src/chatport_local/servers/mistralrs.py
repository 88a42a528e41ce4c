"""Mistral.rs: errors of a stream that all look like server faults."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Failure, ServerError, Verdict, hookimpl

__all__ = ["classify_error"]


@hookimpl(wrapper=True)
def classify_error(failure: Failure) -> Generator[None, Verdict, Verdict]:
    """Do not repeat what failed inside a stream: a refused request comes as `server_error` there too (MR-E2)."""
    verdict = yield
    if failure.where == "chunk" and verdict.error is ServerError:
        return attrs.evolve(verdict, retryable=False)
    return verdict
