"""Structured output, as a step of `shape_request`: the vendor's own format, or the schema in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chatport import Call, Context, WireRequest
from chatport.helpers import Loss, with_losses

from . import schemas

__all__ = ["structured"]


def structured(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Ask for the wanted structure. An OpenAI-shaped `response_format` in `extra` is understood too."""
    wanted = wire.body.get("response_format")
    wire = wire.discard("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if call.output is not None:
        return _schema(wire, call.output.schema, context)
    if kind == "json_schema":
        return _schema(wire, wanted["json_schema"]["schema"], context)  # type: ignore[index]  # kind came from it
    if kind == "json_object":  # AN-O6
        wire = _instructed(wire, "Answer with one JSON object and nothing else, no Markdown.")
        return wire.note("lowered", "response_format", "no JSON mode here: asked for in the system text", "AN-O6")
    return wire


def _schema(wire: WireRequest, schema: Mapping[str, Any], context: Context) -> WireRequest:
    problem = schemas.why_not_closed(schema)
    if "json_schema" not in (context.facts.output_formats or ()):
        problem = "this model has no structured output"
    if problem:
        text = json.dumps(schema, ensure_ascii=False)
        wire = _instructed(wire, f"Answer with one JSON value and nothing else, no Markdown. Its JSON Schema:\n{text}")
        return wire.note("lowered", "output", f"in the system text, not enforced: {problem}", "AN-O3")
    losses: list[Loss] = []
    output_format = {"type": "json_schema", "schema": schemas.enforceable(schema, losses)}  # AN-O1
    wire = with_losses(wire, losses, "output", "AN-O4")
    return wire.set("output_config", {**wire.body.get("output_config", {}), "format": output_format})


def _instructed(wire: WireRequest, text: str) -> WireRequest:
    return wire.set("system", [*wire.body.get("system", ()), {"type": "text", "text": text}])
