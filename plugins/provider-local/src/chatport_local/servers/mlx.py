"""mlx-lm's server: neither forced calls nor formats nor efforts, and 404 for most mistakes."""

from __future__ import annotations

import re
from collections.abc import Generator

from chatport import (
    BadRequestError,
    Call,
    Context,
    Failure,
    ModelNotFoundError,
    UnsupportedFeatureError,
    Verdict,
    WireRequest,
    hookimpl,
)
from chatport.standard.output import schema_in_words

from .shared import switch_thinking, without_tool_choice

__all__ = ["classify_error", "shape_request"]


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = without_tool_choice((yield), "MX-E1")
    if not context.facts.output_formats:
        wire = schema_in_words(wire, call, None, "response_format is ignored: the schema is in the text", "MX-E1")
    wire = wire.drop("stop", "a stop string is cut out of the text, which then goes on", "MX-E1")
    if isinstance(call.reasoning, str):
        wire = switch_thinking(wire.discard("reasoning_effort"), on=call.reasoning != "none")
        if call.reasoning != "none":
            wire = wire.note("lowered", "reasoning_effort", "there are no efforts: thinking is switched on", "MX-E1")
    return wire


_NO_SUCH_MODEL = re.compile(
    r"snapshot folder|No such file or directory|Repository Not Found|not a valid model|repo id", re.I
)


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    """Tell the many meanings of its 404 apart by their words (MX-E1); the bare text is an unknown path."""
    message = failure.details.message
    if failure.status != 404 or failure.data is None:
        return None
    if "content type is supported" in message:
        return Verdict(UnsupportedFeatureError)
    return Verdict(ModelNotFoundError if _NO_SUCH_MODEL.search(message) else BadRequestError)
