"""Mistral.rs: fields without effect, no json_object, and errors of a stream that all look like server faults."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Call, Context, Failure, ServerError, Verdict, WireRequest, hookimpl

from .shared import drop_each, fit_effort

__all__ = ["classify_error", "shape_request"]

_IGNORED = dict.fromkeys(
    ("seed", "user", "stream_options", "metadata", "service_tier", "parallel_tool_calls", "store"),
    "the server takes it and ignores it",
)


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = drop_each((yield), _IGNORED, "MR-P1")
    if wire.body.get("response_format") == {"type": "json_object"}:  # MR-J1
        anything = {"name": "object", "schema": {"type": "object"}}
        wire = wire.set("response_format", {"type": "json_schema", "json_schema": anything})
        wire = wire.note("renamed", "response_format", "json_object is sent as a schema of any object", "MR-J1")
    return fit_effort(wire, call, context, "MR-R1")


@hookimpl(wrapper=True)
def classify_error(failure: Failure) -> Generator[None, Verdict, Verdict]:
    """Do not repeat what failed inside a stream: a refused request comes as `server_error` there too (MR-E2)."""
    verdict = yield
    if failure.where == "chunk" and verdict.error is ServerError:
        return attrs.evolve(verdict, retryable=False)
    return verdict
