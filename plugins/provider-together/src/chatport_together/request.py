"""`shape_request` for Together AI: what its facts cannot say, of log probabilities, patterns and advice on tools."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from chatport import Call, Context, WireRequest, hookimpl
from chatport.helpers import with_instruction

__all__ = ["shape_request"]

_ADVISED_TOOLS = 20  # TG-T3


@hookimpl(wrapper=True)
def shape_request(call: Call, context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    if isinstance(wire.body.get("stop"), str):
        wire = wire.set("stop", [wire.body["stop"]])  # TG-P2: a list only
    if isinstance(call.reasoning, int) and "reasoning" not in call.extra:
        wire = wire.discard("reasoning")  # TG-P6: no budgets, so that the model's own default holds
    return _pattern_in_words(_logprobs(_advised(wire, call, context)))


def _advised(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Say where the tools are sent as asked for, and may not be taken so."""
    if len(call.tools) > _ADVISED_TOOLS:
        reason = f"the vendor advises fewer than {_ADVISED_TOOLS} tools, and these are {len(call.tools)}"
        wire = wire.note("note", "tools", reason, "TG-T3")
    forced = call.tool_choice is not None and call.tool_choice.mode in ("required", "named")
    if forced and call.stream and context.facts.quirks.get("loose_choice_in_streams"):
        reason = "this model may answer a stream in text all the same: look whether there is a call"
        wire = wire.note("note", "tool_choice", reason, "TG-T4")
    return wire


def _logprobs(wire: WireRequest) -> WireRequest:
    """Make one number of OpenAI's two fields (TG-P2): how many alternatives, 1 where only a yes was said."""
    asked, top = wire.body.get("logprobs"), wire.body.get("top_logprobs")
    if asked is False:
        return wire.discard("logprobs").discard("top_logprobs")
    if top is not None:
        wire = wire.discard("top_logprobs").note("renamed", "top_logprobs", "sent as the number in logprobs", "TG-P2")
    if asked is True or top is not None:
        wire = wire.set("logprobs", max(int(asked or 0), int(top or 0), 1))
    return wire


def _pattern_in_words(wire: WireRequest) -> WireRequest:
    """Keep a pattern, which is enforced as it is (TG-J2), apart from tools, as the other formats are (TG-T5)."""
    wanted = wire.body.get("response_format")
    if not isinstance(wanted, Mapping) or wanted.get("type") != "regex" or not wire.body.get("tools"):
        return wire
    words = "Answer with a text that matches this regular expression, and nothing else:"
    wire = with_instruction(wire.discard("response_format"), f"{words}\n{wanted.get('pattern')}")
    reason = "does not work in a request with tools: asked for in the system text"
    return wire.note("lowered", "response_format", reason, "TG-T5")
