"""`translate_tools` for Cerebras: all tools are strict, or none is (CB-T2), with schemas in its subset (CB-J2)."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Adjustment, Call, WireTools, hookimpl
from chatport.helpers import Loss, loss_warnings

from .schema import strict_schema, why_not_strict

__all__ = ["translate_tools"]


@hookimpl(wrapper=True)
def translate_tools(call: Call) -> Generator[None, WireTools, WireTools]:
    """Keep `strict` where all tools have it and can; else take it off, with a warning."""
    tools = yield
    if not any(tool.strict for tool in call.tools):
        return tools
    problem = _why_not(call)
    sent, notes = [], list(tools.adjustments)
    for own, tool in zip(call.tools, tools.tools or (), strict=False):
        losses: list[Loss] = []
        strict = {"parameters": strict_schema(own.schema, losses), "strict": True} if problem is None else {}
        function = {key: value for key, value in tool["function"].items() if key != "strict"}
        sent.append({**tool, "function": {**function, **strict}})
        notes += loss_warnings(losses, f"tools.{own.name}.parameters", "CB-J3")
    if problem is not None:
        notes.append(Adjustment("dropped", "tools.strict", problem, "CB-T2"))
    return attrs.evolve(tools, tools=[*sent, *call.server_tools], adjustments=tuple(notes))


def _why_not(call: Call) -> str | None:
    for tool in call.tools:
        if not tool.strict:
            return f"strict holds for all tools of a request or for none, and {tool.name} is not"
        problem = why_not_strict(tool.schema)
        if problem is not None:
            return f"the schema of {tool.name} cannot be strict: {problem}"
    return None
