"""`translate_tools` for Moonshot: schemas in the vendor's subset."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Call, Context, UnsupportedFeatureError, WireTools, hookimpl
from chatport.helpers import loss_warnings

from .schema import Misfit, fit_schema

__all__ = ["translate_tools"]


@hookimpl(wrapper=True)
def translate_tools(call: Call, context: Context) -> Generator[None, WireTools, WireTools]:
    """Fit the schemas: one that does not fit would fail the request as a whole (MS-T2, MS-X3)."""
    wire = yield
    tools, notes = [], list(wire.adjustments)
    for own, tool in zip(call.tools, wire.tools or (), strict=False):
        try:
            fitted, lost = fit_schema(own.schema)
        except Misfit as misfit:
            raise UnsupportedFeatureError(
                f"{context.provider.title} cannot take the schema of the tool {own.name!r}: {misfit} (MS-T3).",
                provider=context.provider.name,
                model=context.model,
            ) from None
        notes.extend(loss_warnings(lost, f"tools.{own.name}.parameters", "MS-T4"))
        tools.append({**tool, "function": {**tool["function"], "parameters": fitted}})
    return attrs.evolve(wire, tools=[*tools, *call.server_tools] or None, adjustments=tuple(notes))
