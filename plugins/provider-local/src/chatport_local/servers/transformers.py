"""`transformers serve`: refuses fields it does not know, ignores some that it does, and fails on bad values."""

from __future__ import annotations

from collections.abc import Generator

from chatport import Call, Context, Failure, ModelNotFoundError, ServerError, Verdict, WireRequest, hookimpl
from chatport.standard.output import fit_output

from .shared import thinking_for_effort, without_tool_choice

__all__ = ["classify_error", "shape_request"]


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = without_tool_choice((yield), "TS-P1")
    reason = "response_format is ignored: the schema is in the text"
    wire = fit_output(wire, call, context.facts.output_formats or (), reason, "TS-P1")
    return thinking_for_effort(wire, call, "TS-P1")


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    message = failure.details.message
    if message.startswith("Server is pinned to "):  # TS-E1
        return Verdict(ModelNotFoundError)
    if failure.status == 500 and failure.data is None:  # TS-E1: bad values end so, and a call cut by max_tokens
        hint = "The server gives no reason; it also fails so on bad values, and on a tool call cut by max_tokens."
        return Verdict(ServerError, retryable=False, message=f"{message}. {hint}")
    return None
