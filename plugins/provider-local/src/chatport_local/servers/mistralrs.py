"""Mistral.rs: fields without effect, no json_object, and errors of a stream that all look like server faults."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Call, Context, Failure, ServerError, Verdict, WireRequest, hookimpl

from .shared import any_object, fit_effort

__all__ = ["classify_error", "shape_request"]


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    return fit_effort(any_object((yield), "MR-J1"), call, context, "MR-R1")


@hookimpl(wrapper=True)
def classify_error(failure: Failure) -> Generator[None, Verdict, Verdict]:
    """Do not repeat what failed inside a stream: a refused request comes as `server_error` there too (MR-E2)."""
    verdict = yield
    if failure.where == "chunk" and verdict.error is ServerError:
        return attrs.evolve(verdict, retryable=False)
    return verdict
