"""The hooks of `local`: servers without a module of their own, and llama-cpp-python, whose quirks are known."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from chatport import (
    BadRequestError,
    Call,
    Chunk,
    Context,
    ErrorReported,
    Event,
    Failure,
    StreamInterruptedError,
    StreamState,
    Verdict,
    WireRequest,
    hookimpl,
)
from chatport.helpers import fit_output

__all__ = ["classify_error", "decode_chunk", "shape_request"]

LLAMA_CPP_PYTHON = "llama-cpp-python"
_CUT = "stream_cut"


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    if context.settings.get("server") != LLAMA_CPP_PYTHON:
        return wire
    if "max_tokens" not in wire.body:
        wire = wire.rename("max_completion_tokens", "max_tokens", fact="LP-P1")
    wire = _forced(wire.discard("stream_options").drop("n", "the server ignores it", "LP-P1"))
    return fit_output(wire, call, ("json_object",), "json_schema is refused", "LP-P1", forced_tool=True)  # LP-T1


def _forced(wire: WireRequest) -> WireRequest:
    """Name the tool where there is only one: just a named choice gives a call, and no markup in the text (LP-T1)."""
    tools: Sequence[Any] = wire.body.get("tools") or ()
    if wire.body.get("tool_choice") != "required":
        return wire
    if len(tools) != 1 or tools[0].get("type") != "function":
        return wire.note("lowered", "tool_choice", "it forces no call unless one tool is named", "LP-T1")
    name = tools[0]["function"]["name"]
    wire = wire.set("tool_choice", {"type": "function", "function": {"name": name}})
    return wire.note("renamed", "tool_choice", f"'required' is sent as the only tool's name, {name}", "LP-T1")


@hookimpl(wrapper=True)
def decode_chunk(chunk: Chunk, state: StreamState) -> Generator[None, Sequence[Event], Sequence[Event]]:
    """Take an end event without a finish reason for what it is: another request has cut this one short (LP-Q1)."""
    events = yield
    if state.ended and not all(choice.finished for choice in state.choices.values()):
        message = "The server ended the stream in the middle of the answer, as it does when another request arrives."
        return (*events, ErrorReported({"error": {"message": message, "type": _CUT}}))
    return events


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    details = failure.details
    if details.type == _CUT:
        return Verdict(StreamInterruptedError)
    if failure.status == 500 and details.type == "internal_server_error":  # LP-E1: every refusal is a 500
        return Verdict(BadRequestError, message=details.message.partition('\n\n  File "')[0])
    return None
