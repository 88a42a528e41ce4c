"""Which tools, and which choice among them, as a vendor takes them: the `tools` rule of the facts.

What cannot be said in the vendor's own words is said in another way that means the same, else asked for in the system
text, with a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..call import Call, Context, WireRequest, is_native
from ..facts.rules import ToolRule
from .choices import WORDS, choice_kind, function_name, is_forced, standard_choice
from .output import with_instruction

__all__ = ["shape_tools"]

_PLAIN = ToolRule()
_LISTED = "this vendor has other words for a choice"


def shape_tools(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Return the request with its tools and `tool_choice` as this model takes them."""
    facts = context.facts
    rule = _PLAIN if facts.rules is None or facts.rules.tools is None else facts.rules.tools
    if "tools" not in wire.body and "tool_choice" not in wire.body:
        return wire
    had_tools = bool(wire.body.get("tools"))
    if rule.kinds:
        wire = _known_kinds(wire, rule)
    if rule.function_keys is not None:
        wire = _known_keys(wire, rule.function_keys, rule)
    if not rule.strict:
        wire = _loose(wire, rule)
    if not wire.body.get("tools"):
        return _without_tools(wire.discard("tools"), rule, had_tools=had_tools)
    if rule.parallel is not None and facts.parallel_tools and "parallel_tool_calls" not in wire.body:
        wire = wire.add(
            "parallel_tool_calls", rule.parallel, "the vendor's own default is the other", rule.cite("parallel")
        )
    if wire.body.get("parallel_tool_calls") is True and facts.parallel_tools is False:
        wire = wire.drop("parallel_tool_calls", "this model makes one call at a time", rule.cite("parallel"))
    taken = _taken(rule, context)
    wire = _chosen(wire, taken, rule, lists_all=rule.choices is not None and not is_native(call, context))
    return wire if "auto" in taken or wire.body.get("tool_choice") != "auto" else wire.discard("tool_choice")


def _without_tools(wire: WireRequest, rule: ToolRule, *, had_tools: bool) -> WireRequest:
    """Leave a choice out where it forces nothing, or would be refused; of any other the vendor may make sense."""
    refused = rule.facts.get("without_tools")
    if refused:
        return wire.drop("tool_choice", "refused without tools", refused)
    if wire.body.get("tool_choice") in (None, "auto", "none"):
        return wire.discard("tool_choice")
    return wire.drop("tool_choice", "none of the tools is taken here", rule.cite("kinds")) if had_tools else wire


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
    if tool.get("type") != "function" or not isinstance(function, Mapping):
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


def _chosen(wire: WireRequest, taken: Collection[str], rule: ToolRule, *, lists_all: bool) -> WireRequest:
    if wire.body.get("tool_choice") in (None, "auto"):
        return wire
    wire = _in_standard_words(wire, taken, rule, lists_all=lists_all)
    choice: Any = wire.body.get("tool_choice")
    kind = choice_kind(choice)
    if choice is None or kind in ("auto", *taken) or kind not in ("none", "required", "named"):
        return wire
    if kind == "none":
        wire = wire.discard("tools").discard("tool_choice")
        return wire.note("note", "tool_choice", "none is said by leaving the tools out", rule.cite("choices"))
    if kind == "required":
        return _required(wire, taken, rule)
    name = function_name(choice)
    only = [tool for tool in wire.body["tools"] if function_name(tool) == name]
    if not only:
        return wire.drop("tool_choice", f"{name!r} is none of the tools", rule.cite("choices"))
    is_cut, wire = len(only) < len(wire.body["tools"]), wire.set("tools", only)
    if "required" in taken:
        wire = wire.set("tool_choice", "required")
        return wire.note("note", "tool_choice", f"sent as required, with {name} as the only tool", rule.cite("choices"))
    return _in_words(wire, kind, f"the tool {name}", rule, alone=is_cut)


def _required(wire: WireRequest, taken: Collection[str], rule: ToolRule) -> WireRequest:
    tools = wire.body["tools"]
    if "named" not in taken or len(tools) != 1 or function_name(tools[0]) is None:
        return _in_words(wire, "required", "one of the tools", rule)
    sole = {"type": "function", "function": {"name": function_name(tools[0])}}
    wire = wire.set("tool_choice", sole)
    return wire.note("note", "tool_choice", "sent as the only tool's name", rule.cite("choices"))


def _in_standard_words(wire: WireRequest, taken: Collection[str], rule: ToolRule, *, lists_all: bool) -> WireRequest:
    """Say another vendor's choice in the standard's words, or leave it out, where the facts list what is taken.

    A rule that lists nothing, and a model that only cannot be forced, do not speak of other words; nor does a list
    of the standard's of those that another protocol has.
    """
    choice = wire.body.get("tool_choice")
    kind = choice_kind(choice)
    known = ("auto", "none", "required", *taken) if isinstance(choice, str) else ("named", *(set(taken) - WORDS))
    if choice is None or kind in known:
        return wire
    if rule.choices is None and ("required" in taken or not is_forced(choice)):
        return wire
    functions = [name for tool in wire.body["tools"] if isinstance(name := function_name(tool), str)]
    meant = standard_choice(choice, functions)
    if meant is None:
        return wire.drop("tool_choice", _LISTED, rule.cite("choices")) if lists_all else wire
    wire = wire.set("tool_choice", meant)
    return wire.note("renamed", "tool_choice", f"sent as {choice_kind(meant)}: {_LISTED}", rule.cite("choices"))


def _in_words(wire: WireRequest, kind: str, which: str, rule: ToolRule, *, alone: bool = False) -> WireRequest:
    told = f"in a system message{', and the other tools are left out' if alone else ''}"
    if kind in rule.hints:
        reason = f"taken, and not promised to force a call: asked for in words as well, {told}"
        wire = wire.note("lowered", "tool_choice", reason, rule.cite("choices"))
    else:
        reason = f"no call can be forced here: asked for in words, {told}"
        wire = wire.lower("tool_choice", "auto", reason, rule.cite("choices"))
    return with_instruction(wire, f"Answer by calling {which}, not with text.")
