"""`translate_tools` for SiliconFlow: a choice by name is undocumented, so its meaning is sent in other words."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Adjustment, Call, WireTools, hookimpl

__all__ = ["translate_tools"]


@hookimpl(wrapper=True)
def translate_tools(call: Call) -> Generator[None, WireTools, WireTools]:
    """Send a named choice as `required` with that tool alone, which means the same (SF-T1)."""
    tools = yield
    if call.tool_choice is None or call.tool_choice.mode != "named" or not tools.tools:
        return tools
    name = tools.choice["function"]["name"]
    only = [tool for tool in tools.tools if tool["function"]["name"] == name]
    note = Adjustment("note", "tool_choice", f"sent as required, with {name} as the only tool", "SF-T1")
    return attrs.evolve(tools, tools=only, choice="required", adjustments=(*tools.adjustments, note))
