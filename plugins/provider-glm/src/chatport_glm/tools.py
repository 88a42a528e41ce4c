"""`translate_tools` for GLM: there is no choice but `auto`, and no strictness."""

from __future__ import annotations

from collections.abc import Generator

import attrs

from chatport import Adjustment, Call, Context, WireTools, hookimpl

__all__ = ["translate_tools"]


@hookimpl(wrapper=True)
def translate_tools(call: Call, context: Context) -> Generator[None, WireTools, WireTools]:
    """Take `strict` off (GL-T3), and say `none` and a name by the list of tools itself (GL-T2)."""
    wire = yield
    sent = wire.tools or ()
    if not sent:
        return wire
    notes = [
        Adjustment("dropped", f"tools.{tool.name}.strict", "there are no strict tools here", "GL-T3")
        for tool in call.tools
        if tool.strict
    ]
    sent = [{**t, "function": {k: v for k, v in t["function"].items() if k != "strict"}} for t in sent]
    choice, mode = wire.choice, call.tool_choice.mode if call.tool_choice else "auto"
    if mode == "none":
        return attrs.evolve(wire, tools=None, choice=None, adjustments=(*wire.adjustments, *notes))
    if mode != "auto":
        named = choice["function"]["name"] if mode == "named" else None
        sent = [tool for tool in sent if named in (None, tool["function"]["name"])]
        reason = "there is only auto here: asked for in words" + (", with this tool alone" if named else "")
        notes.append(Adjustment("lowered", "tool_choice", reason, "GL-T2"))
        choice = "auto"
    return attrs.evolve(wire, tools=sent, choice=choice, adjustments=(*wire.adjustments, *notes))
