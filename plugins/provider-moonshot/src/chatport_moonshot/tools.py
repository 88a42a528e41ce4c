"""`translate_tools` for Moonshot: names that begin with a letter, and schemas in the vendor's subset."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import attrs

from chatport import Adjustment, Call, Context, UnsupportedFeatureError, WireTools, hookimpl
from chatport.standard.schemas import loss_warnings
from chatport.standard.tools import wire_name

from .schema import Misfit, fit_schema

__all__ = ["translate_tools"]


@hookimpl(wrapper=True)
def translate_tools(call: Call, context: Context) -> Generator[None, WireTools, WireTools]:
    """Fit names and schemas: one that does not fit would fail the request as a whole (MS-T2, MS-X3)."""
    wire = yield
    tools, names, notes = [], dict(wire.names), list(wire.adjustments)
    renamed: dict[str, str] = {}
    for tool in wire.tools or ():
        name, schema = tool["function"]["name"], tool["function"]["parameters"]
        own = names.get(name, name)
        sent = name if name[:1].isascii() and name[:1].isalpha() else wire_name(f"f.{own}")  # MS-T1
        if sent != name:
            renamed[name] = sent
            names.pop(name, None)
            names[sent] = own
            notes.append(
                Adjustment("renamed", f"tools.{own}.name", f"sent as {sent!r}: it begins with a letter", "MS-T1")
            )
        try:
            fitted, lost = fit_schema(schema)
        except Misfit as misfit:
            raise UnsupportedFeatureError(
                f"{context.provider.title} cannot take the schema of the tool {own!r}: {misfit} (MS-T3).",
                provider=context.provider.name,
                model=context.model,
            ) from None
        notes.extend(loss_warnings(lost, f"tools.{own}.parameters", "MS-T4"))
        tools.append({**tool, "function": {**tool["function"], "name": sent, "parameters": fitted}})
    choice = _renamed(wire.choice, renamed)
    return attrs.evolve(wire, tools=tools or None, choice=choice, names=names, adjustments=tuple(notes))


def _renamed(choice: Any, renamed: Mapping[str, str]) -> Any:
    if not isinstance(choice, Mapping):
        return choice
    name = choice["function"]["name"]
    return {**choice, "function": {"name": renamed.get(name, name)}}
