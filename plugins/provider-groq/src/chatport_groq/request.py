"""`shape_request` for Groq: what its facts cannot say, of enforced schemas and of the form of its reasoning."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Context, WireRequest, hookimpl
from chatport.helpers import StrictRules, strict_misfits

__all__ = ["shape_request"]


@hookimpl(wrapper=True)
def shape_request(context: Context) -> Generator[None, WireRequest, WireRequest]:
    wire = yield
    wanted = wire.body.get("response_format")
    if isinstance(wanted, Mapping) and isinstance(wanted.get("json_schema"), Mapping):
        wire = _unstreamed(_fitting(wire, wanted))
    return _format(wire, context)


def _fitting(wire: WireRequest, wanted: Mapping[str, Any]) -> WireRequest:
    """Take `strict` off a schema outside the subset; it is never rewritten: that would change its meaning (GQ-J2)."""
    spec = wanted["json_schema"]
    misfit = next(strict_misfits(spec.get("schema"), StrictRules()), None) if spec.get("strict") else None
    if misfit is None:
        return wire
    wanted = {**wanted, "json_schema": {**spec, "strict": False}}
    return wire.lower("response_format", wanted, f"not enforced: {misfit}", "GQ-J2")


def _unstreamed(wire: WireRequest) -> WireRequest:
    """Ask for a whole reply: its events reach the caller of a stream all the same, at once."""
    if not wire.stream:
        return wire
    wire = attrs.evolve(wire.discard("stream").discard("stream_options"), stream=False)
    return wire.note("lowered", "stream", "schemas and streams exclude each other: the reply comes whole", "GQ-J4")


def _format(wire: WireRequest, context: Context) -> WireRequest:
    """Choose the form of the reasoning, by the one switch that the model has (GQ-P6, GQ-P8)."""
    switch, form = context.facts.quirks.get("reasoning_switch"), wire.body.get("reasoning_format")
    if switch == "include_reasoning":
        if form is None:
            return wire
        wire = wire.discard("reasoning_format")
        if "include_reasoning" not in wire.body:
            wire = wire.set("include_reasoning", form != "hidden")
        return wire.note("renamed", "reasoning_format", "this model has include_reasoning in its place", "GQ-P8")
    if form == "raw" and ("tools" in wire.body or "response_format" in wire.body):
        return wire.lower("reasoning_format", "parsed", "raw is refused with tools and with JSON", "GQ-P6")
    on = wire.body.get("reasoning_effort") != "none" and "include_reasoning" not in wire.body
    # The vendor's own choice depends on tools and JSON, and puts <think> into the text (GQ-S2).
    return wire.set("reasoning_format", "parsed") if switch and on and form is None else wire
