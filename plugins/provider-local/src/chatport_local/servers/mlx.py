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
from chatport.standard.output import fit_output

from .shared import thinking_for_effort, without_tool_choice

__all__ = ["classify_error", "shape_request"]


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = without_tool_choice((yield), "MX-E1")
    reason = "response_format is ignored: the schema is in the text"
    wire = fit_output(wire, call, context.facts.output_formats or (), reason, "MX-E1")
    return thinking_for_effort(wire, call, "MX-E1")


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
