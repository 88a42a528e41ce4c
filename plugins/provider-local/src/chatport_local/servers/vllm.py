"""vLLM: gone field names, strict arguments, thinking in the template."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import attrs

from chatport import (
    Adjustment,
    Call,
    Context,
    ContextLengthError,
    Failure,
    UnsupportedFeatureError,
    Verdict,
    WireRequest,
    WireTools,
    hookimpl,
)

from .shared import fit_effort, switch_thinking, without_thinking

__all__ = ["classify_error", "shape_request", "translate_tools"]

_GUIDED = {"guided_json": "json", "guided_regex": "regex", "guided_choice": "choice", "guided_grammar": "grammar"}
_MISSING_FEATURES = (
    "requires --enable-auto-tool-choice",  # VL-T1
    "requires --tool-call-parser",  # VL-T1
    "not a multimodal model",  # VL-I1
)


@hookimpl(wrapper=True)
def translate_tools(call: Call) -> Generator[None, WireTools, WireTools]:
    """Make the arguments of a forced call follow the schema: without `strict` they may be any JSON value (VL-T3)."""
    tools = yield
    if call.tool_choice is None or call.tool_choice.mode not in ("required", "named"):
        return tools
    strict, notes = [], []
    for tool in tools.tools or ():
        function = tool["function"]
        if "strict" not in function:
            reason = "a forced call follows its schema only when the tool is strict"
            notes.append(Adjustment("added", f"tools.{function['name']}.strict", reason, "VL-T3"))
            tool = {**tool, "function": {**function, "strict": True}}
        strict.append(tool)
    return attrs.evolve(tools, tools=strict, adjustments=(*tools.adjustments, *notes))


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = _structured(_fitted((yield), call, context))
    if call.tools and not call.stream:
        # VL-T6: a call cut by max_tokens is raw markup in a plain reply, and a cut call in a stream.
        wire = attrs.evolve(wire.update({"stream": True, "stream_options": {"include_usage": True}}), stream=True)
    return wire


def _fitted(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    if call.prefix is not None:
        return without_thinking(wire, call, "VL-P9")  # VL-R4: else some parsers take the rest for thinking
    if call.reasoning == "none":
        wire = switch_thinking(wire, on=False)  # VL-R4, VL-R5: some parsers take an answer without tags for thinking
    return fit_effort(wire, call, context, "VL-R5")


def _structured(wire: WireRequest) -> WireRequest:
    """Send the guided_* fields, which are gone and ignored in silence, in the form that works (VL-P3)."""
    wanted: dict[str, Any] = dict(wire.body.get("structured_outputs") or {})
    for old, new in _GUIDED.items():
        if old in wire.body:
            wanted[new] = wire.body[old]
            wire = wire.rename(old, "structured_outputs", f"sent as structured_outputs.{new}", "VL-P3")
            wire = wire.set("structured_outputs", dict(wanted))
    return wire


@hookimpl
def classify_error(failure: Failure) -> Verdict | None:
    message = failure.details.message
    if any(words in message for words in _MISSING_FEATURES):
        return Verdict(UnsupportedFeatureError)
    if "max_model_len" in message:  # VL-P4: max_tokens alone is more than the window
        return Verdict(ContextLengthError)
    return None
