"""`transformers serve`: refuses fields it does not know, ignores some that it does, and fails on bad values."""

from __future__ import annotations

from collections.abc import Generator

from chatport import Call, Context, Failure, ModelNotFoundError, ServerError, Verdict, WireRequest, hookimpl
from chatport.standard.output import schema_in_words

from .shared import drop_each, switch_thinking, without_tool_choice

__all__ = ["classify_error", "shape_request"]

_IGNORED = dict.fromkeys(("n", "logprobs", "top_logprobs"), "the server takes it and ignores it")


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = without_tool_choice(drop_each((yield), _IGNORED, "TS-P1"), "TS-P1")
    if not context.facts.output_formats:
        wire = schema_in_words(wire, call, None, "response_format is ignored: the schema is in the text", "TS-P1")
    if isinstance(call.reasoning, str):
        wire = switch_thinking(wire.discard("reasoning_effort"), on=call.reasoning != "none")
        if call.reasoning != "none":
            wire = wire.note("lowered", "reasoning_effort", "there are no efforts: thinking is switched on", "TS-P1")
    return wire


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    message = failure.details.message
    if message.startswith("Server is pinned to "):  # TS-E1
        return Verdict(ModelNotFoundError)
    if failure.status == 500 and failure.data is None:  # TS-E1: bad values end so, and a call cut by max_tokens
        hint = "The server gives no reason; it also fails so on bad values, and on a tool call cut by max_tokens."
        return Verdict(ServerError, retryable=False, message=f"{message}. {hint}")
    return None
