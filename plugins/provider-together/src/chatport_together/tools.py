"""`translate_tools` for Together AI: the standard list, with a word of warning where it is known not to hold."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Adjustment, Call, Context, WireTools, hookimpl

__all__ = ["translate_tools"]

_ADVISED_TOOLS = 20


@hookimpl(wrapper=True)
def translate_tools(call: Call, context: Context) -> Generator[None, WireTools, WireTools]:
    tools = yield
    notes = []
    if len(call.tools) > _ADVISED_TOOLS:
        reason = f"the vendor advises fewer than {_ADVISED_TOOLS} tools, and these are {len(call.tools)}"
        notes.append(Adjustment("note", "tools", reason, "TG-T3"))
    forced = call.tool_choice is not None and call.tool_choice.mode in ("required", "named")
    if forced and call.stream and context.facts.quirks.get("loose_choice_in_streams"):
        reason = "this model may answer a stream in text all the same: look whether there is a call"
        notes.append(Adjustment("note", "tool_choice", reason, "TG-T4"))
    return attrs.evolve(tools, adjustments=(*tools.adjustments, *notes)) if notes else tools
