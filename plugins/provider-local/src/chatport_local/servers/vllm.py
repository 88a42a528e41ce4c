"""vLLM: the arguments of a forced call follow the schema only where the tool is strict."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Adjustment, Call, WireTools, hookimpl

__all__ = ["translate_tools"]


@hookimpl(wrapper=True)
def translate_tools(call: Call) -> Generator[None, WireTools, WireTools]:
    """Make the arguments of a forced call follow the schema: without `strict` they may be any JSON value (VL-T3)."""
    tools = yield
    if call.tool_choice is None or call.tool_choice.mode not in ("required", "named"):
        return tools
    strict, notes = [], []
    for tool in tools.tools or ():
        function = tool["function"] if tool.get("type") == "function" else None
        if function is not None and "strict" not in function:
            reason = "a forced call follows its schema only when the tool is strict"
            notes.append(Adjustment("added", f"tools.{function['name']}.strict", reason, "VL-T3"))
            tool = {**tool, "function": {**function, "strict": True}}
        strict.append(tool)
    return attrs.evolve(tools, tools=strict, adjustments=(*tools.adjustments, *notes))
