"""Whether a plain call is answered by a stream: the `stream` rule of the facts."""

from __future__ import annotations

import attrs

from ..call import Context, WireRequest
from .reasoning import reasons

__all__ = ["as_stream"]


def as_stream(wire: WireRequest, context: Context) -> WireRequest:
    """Return the request with its answer asked for as a stream where the rule says so; `chat` folds it."""
    rule = None if context.facts.rules is None else context.facts.rules.stream
    if rule is None or wire.stream:
        return wire
    cases = {"always": True, "tools": bool(wire.body.get("tools")), "reasoning": reasons(wire, context)}
    if not any(cases[case] for case in rule.when):
        return wire
    wire = wire.add("stream", True, rule.reason, rule.fact) if rule.reason else wire.set("stream", True)
    if context.provider.dialect.include_usage:
        wire = wire.set("stream_options", {"include_usage": True})
    return attrs.evolve(wire, stream=True)
