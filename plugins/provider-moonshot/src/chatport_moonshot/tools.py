"""`translate_tools` for Moonshot: schemas in the vendor's subset."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Call, Context, Tool, UnsupportedFeatureError, WireTools, hookimpl
from chatport.helpers import Loss, joined_root, loss_warnings

from .schema import Misfit, fit_schema

__all__ = ["translate_tools"]


@hookimpl(wrapper=True)
def translate_tools(call: Call, context: Context) -> Generator[None, WireTools, WireTools]:
    """Fit the schemas: one that does not fit would fail the request as a whole (MS-T2, MS-X3)."""
    wire = yield
    tools, notes = [], list(wire.adjustments)
    for own, tool in zip(call.tools, wire.tools or (), strict=False):
        try:
            lost: list[Loss] = []
            fitted, more = fit_schema(_without_union(own, lost))
            lost += more
        except Misfit as misfit:
            raise UnsupportedFeatureError(
                f"{context.provider.title} cannot take the schema of the tool {own.name!r}: {misfit} (MS-T3).",
                provider=context.provider.name,
                model=context.model,
            ) from None
        notes.extend(loss_warnings(lost, f"tools.{own.name}.parameters", "MS-T4"))
        tools.append({**tool, "function": {**tool["function"], "parameters": fitted}})
    return attrs.evolve(wire, tools=[*tools, *call.server_tools] or None, adjustments=tuple(notes))


def _without_union(tool: Tool, lost: list[Loss]) -> Mapping[str, Any]:
    """Return the schema of a tool with all branches of a union at its root in one object: it must be one (MS-T3)."""
    schema = tool.schema
    if schema.keys().isdisjoint(("anyOf", "oneOf", "$ref")) or schema.get("$ref") == "#":
        return schema
    return joined_root(schema, ("anyOf", "oneOf"), lost, f"tools.{tool.name}.parameters")
