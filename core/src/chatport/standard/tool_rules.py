"""Which tools, and which choice among them, as a vendor takes them: the `tools` rule of the facts.

What cannot be said in the vendor's own words is said in another way that means the same, else asked for in the system
text, with a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..call import Context, WireRequest
from ..facts.rules import ToolRule
from .output import with_instruction

__all__ = ["shape_tools"]

_PLAIN = ToolRule()


def shape_tools(wire: WireRequest, context: Context) -> WireRequest:
    """Return the request with its tools and `tool_choice` as this model takes them."""
    facts = context.facts
    rule = _PLAIN if facts.rules is None or facts.rules.tools is None else facts.rules.tools
    if "tools" not in wire.body and "tool_choice" not in wire.body:
        return wire
    if rule.kinds:
        wire = _known_kinds(wire, rule)
    if rule.function_keys is not None:
        wire = _known_keys(wire, rule.function_keys, rule)
    if not rule.strict:
        wire = _loose(wire, rule)
    if not wire.body.get("tools"):
        refused, wire = rule.facts.get("without_tools"), wire.discard("tools")
        return wire.drop("tool_choice", "refused without tools", refused) if refused else wire.discard("tool_choice")
    if rule.parallel is not None and facts.parallel_tools and "parallel_tool_calls" not in wire.body:
        wire = wire.add(
            "parallel_tool_calls", rule.parallel, "the vendor's own default is the other", rule.cite("parallel")
        )
    if wire.body.get("parallel_tool_calls") is True and facts.parallel_tools is False:
        wire = wire.drop("parallel_tool_calls", "this model makes one call at a time", rule.cite("parallel"))
    taken = _taken(rule, context)
    wire = _chosen(wire, taken, rule)
    return wire if "auto" in taken or wire.body.get("tool_choice") != "auto" else wire.discard("tool_choice")


def _taken(rule: ToolRule, context: Context) -> Collection[str]:
    if rule.choices is not None:
        return rule.choices
    return ("auto", "none") if context.facts.forced_tool_choice is False else ("auto", "none", "required", "named")


def _known_kinds(wire: WireRequest, rule: ToolRule) -> WireRequest:
    tools = wire.body.get("tools") or []
    kept = [tool for tool in tools if tool.get("type") in rule.kinds]
    if len(kept) == len(tools):
        return wire
    others = ", ".join(sorted({str(tool.get("type")) for tool in tools if tool not in kept}))
    wire = wire.set("tools", kept)
    return wire.note(
        "dropped", "tools", f"only {', '.join(rule.kinds)} tools are taken, not {others}", rule.cite("kinds")
    )


def _known_keys(wire: WireRequest, keys: Collection[str], rule: ToolRule) -> WireRequest:
    """Take off what no function may have, beside it and within. Tools of other types are left alone."""
    given = list(wire.body.get("tools") or [])
    tools = [_with_keys(tool, keys) for tool in given]
    if tools == given:
        return wire
    lost = dict.fromkeys(key for tool in given for key in _other_keys(tool, keys))
    reason = f"a function has {', '.join(keys)}, and nothing else: {', '.join(lost)} cannot go"
    return wire.set("tools", tools).note("dropped", "tools", reason, rule.cite("function_keys"))


def _with_keys(tool: Mapping[str, Any], keys: Collection[str]) -> Mapping[str, Any]:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return tool
    return {"type": tool.get("type"), "function": {key: value for key, value in function.items() if key in keys}}


def _other_keys(tool: Mapping[str, Any], keys: Collection[str]) -> list[str]:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return []
    return [key for key in tool if key not in ("type", "function")] + [key for key in function if key not in keys]


def _loose(wire: WireRequest, rule: ToolRule) -> WireRequest:
    """Take `strict` off: as a wish it is told, as a plain no it goes without a word."""
    tools = []
    for tool in wire.body.get("tools") or []:
        function = tool.get("function")
        if isinstance(function, Mapping) and "strict" in function:
            if function["strict"]:
                name = function.get("name")
                wire = wire.note(
                    "dropped", f"tools.{name}.strict", "there are no strict tools here", rule.cite("strict")
                )
            tool = {**tool, "function": {key: value for key, value in function.items() if key != "strict"}}
        tools.append(tool)
    return wire.set("tools", tools)


def _chosen(wire: WireRequest, taken: Collection[str], rule: ToolRule) -> WireRequest:
    choice: Any = wire.body.get("tool_choice")
    kind = "named" if _name(choice) is not None else choice
    if kind in (None, "auto", *taken) or kind not in ("none", "required", "named"):
        return wire
    if kind == "none":
        wire = wire.discard("tools").discard("tool_choice")
        return wire.note("note", "tool_choice", "none is said by leaving the tools out", rule.cite("choices"))
    tools = wire.body["tools"]
    if kind == "required":
        if "named" in taken and len(tools) == 1 and _name(tools[0]) is not None:
            sole = {"type": "function", "function": {"name": _name(tools[0])}}
            return wire.set("tool_choice", sole).note(
                "note", "tool_choice", "sent as the only tool's name", rule.cite("choices")
            )
        return _in_words(wire, "one of the tools", rule)
    name = _name(choice)
    wire = wire.set("tools", [tool for tool in tools if _name(tool) == name])
    if "required" in taken:
        wire = wire.set("tool_choice", "required")
        return wire.note("note", "tool_choice", f"sent as required, with {name} as the only tool", rule.cite("choices"))
    return _in_words(wire, f"the tool {name}", rule)


def _in_words(wire: WireRequest, which: str, rule: ToolRule) -> WireRequest:
    wire = wire.lower("tool_choice", "auto", "no call can be forced here: asked for in words", rule.cite("choices"))
    return with_instruction(wire, f"Answer by calling {which}, not with text.")


def _name(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    return function.get("name") if isinstance(function, Mapping) else None
