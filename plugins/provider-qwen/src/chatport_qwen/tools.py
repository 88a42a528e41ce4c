"""translate_tools: one forbidden name, several calls at once, and strictness where the model has it."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import attrs

from chatport.call import Call, Context, WireTools
from chatport.hooks import hookimpl
from chatport.types import Adjustment

_RESERVED = "search"


@hookimpl(wrapper=True)
def translate_tools(call: Call, context: Context) -> Generator[None, WireTools, WireTools]:
    wire = yield
    if not wire.tools:
        return wire
    if any(tool["function"]["name"] == _RESERVED for tool in wire.tools):
        wire = _without_reserved_name(wire, wire.tools)
    if context.facts.quirks.get("strict_tools") is False:
        wire = _without_strict(wire, wire.tools or ())
    return wire


def _without_reserved_name(wire: WireTools, tools: Sequence[Any]) -> WireTools:
    """QW-T1: a tool called `search` is refused; it is sent under another name and comes back under its own."""
    taken = {tool["function"]["name"] for tool in tools}
    name = next(name for name in (f"{_RESERVED}_{n}" for n in range(1, len(taken) + 2)) if name not in taken)
    note = Adjustment("renamed", f"tools.{_RESERVED}.name", f"sent as {name!r}: the name is reserved", "QW-T1")
    return attrs.evolve(
        wire,
        tools=[_renamed(tool, name) for tool in tools],
        choice=_renamed(wire.choice, name) if isinstance(wire.choice, Mapping) else wire.choice,
        names={**wire.names, name: _RESERVED},
        adjustments=(*wire.adjustments, note),
    )


def _renamed(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a tool, or a choice of one, with the reserved name replaced."""
    function = entry["function"]
    return {**entry, "function": {**function, "name": name}} if function["name"] == _RESERVED else entry


def _without_strict(wire: WireTools, tools: Sequence[Any]) -> WireTools:
    """QW-T4: the coder models know no strict tools."""
    strict = [tool["function"]["name"] for tool in tools if tool["function"].get("strict")]
    plain = [
        {**tool, "function": {key: value for key, value in tool["function"].items() if key != "strict"}}
        for tool in tools
    ]
    notes = [Adjustment("dropped", f"tools.{name}.strict", "not known to this model", "QW-T4") for name in strict]
    return attrs.evolve(wire, tools=plain, adjustments=(*wire.adjustments, *notes))
