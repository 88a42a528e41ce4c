"""llama.cpp's own server: choices are strings, a schema rules out calls, and a 500 may be the caller's fault."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Any

import attrs

from chatport import (
    BadRequestError,
    Call,
    Context,
    Failure,
    ModelInfo,
    OverloadedError,
    UnsupportedFeatureError,
    Verdict,
    WireRequest,
    hookimpl,
)
from chatport.standard.output import schema_in_words

from .shared import fit_effort, named_as_required, without_thinking

__all__ = ["classify_error", "parse_models", "shape_request"]


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = named_as_required((yield), "LC-T1")
    if wire.body.get("tools"):
        wire = schema_in_words(wire, call, None, "with tools the schema would win and no call be made", "LC-J1")
    if wire.body.get("parallel_tool_calls") is False:
        wire = wire.drop("parallel_tool_calls", "it does not hold back a second call", "LC-T5")
    wire = fit_effort(wire, call, context, "LC-R2")
    if call.prefix is not None:
        wire = without_thinking(wire, call, "LC-P6")  # refused while the template thinks
    if not call.stream:
        # LC-Q2: a plain request whose caller has gone may run to its end, a stream stops at the next write.
        wire = attrs.evolve(wire.update({"stream": True, "stream_options": {"include_usage": True}}), stream=True)
    return wire


@hookimpl(wrapper=True)
def parse_models() -> Generator[None, Sequence[ModelInfo], Sequence[ModelInfo]]:
    """Fill in the window of a slot, which is what one request may use (LC-M1)."""
    models = yield
    return [attrs.evolve(model, context_tokens=model.context_tokens or _window(model.raw)) for model in models]


def _window(entry: Any) -> int | None:
    meta = entry.get("meta")
    window = meta.get("n_ctx") if isinstance(meta, dict) else None
    return window if isinstance(window, int) else None


# LC-T7, LC-I1, LC-E2: words of a 500 that the same request would only meet again.
_UNSUPPORTED = re.compile(r"input is not supported|requires --jinja")
_WRONG = re.compile(
    r"^(Failed to parse|Failed to load|Cannot use both|Missing |Unable to generate|error: cannot make GET)|json\.ex"
)


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    message = failure.details.message
    if failure.status == 503 and message == "Loading model":  # LC-B3
        return Verdict(OverloadedError, retry_after_seconds=2.0)
    if failure.status == 500 and _UNSUPPORTED.search(message):
        return Verdict(UnsupportedFeatureError)
    if failure.status == 500 and _WRONG.search(message):
        return Verdict(BadRequestError)
    return None
