"""`translate_tools` for Anthropic: its own shape, its caps on strict tools, and models that cannot be forced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatport import Adjustment, Call, Context, Tool, WireTools, hookimpl
from chatport.standard.tools import check_cap, wire_name

from . import schemas
from .blocks import OPAQUE_KEY

__all__ = ["translate_tools"]

_MOST_STRICT, _MOST_OPTIONAL, _MOST_UNIONS = 20, 24, 16  # AN-T18: in sum over the strict tools of a request
_MODES = {"auto": "auto", "required": "any", "named": "tool", "none": "none"}  # AN-T5


@hookimpl
def translate_tools(call: Call, context: Context) -> WireTools:
    """Return tools and choice; no tools, no key (AN-T20). Names that do not fit are mapped back by core (AN-T21)."""
    if not call.tools:
        return WireTools()
    check_cap(call, context)
    names = {tool.name: wire_name(tool.name, longest=128) for tool in call.tools}  # AN-T2
    renamed = {sent: own for own, sent in names.items() if own != sent}
    notes = [
        Adjustment("renamed", f"tools.{own}.name", f"sent as {sent!r}: letters, digits, _ and -, at most 128", "AN-T2")
        for sent, own in renamed.items()
    ]
    choice, wanted = _choice(call, context, names, notes)
    strict = _strict(wanted, notes)
    tools = [_tool(tool, names[tool.name], strict=tool.name in strict) for tool in wanted]
    return WireTools(tools, choice, renamed, tuple(notes))


def _tool(tool: Tool, name: str, *, strict: bool) -> dict[str, Any]:
    """Return one tool; its schema's type must say object (AN-T1)."""
    wire: dict[str, Any] = {"name": name, "input_schema": {"type": "object", **tool.schema}}
    if tool.description:
        wire["description"] = tool.description
    if strict:
        wire |= {"strict": True, "input_schema": schemas.enforceable(wire["input_schema"], [])}
    return wire


def _choice(
    call: Call, context: Context, names: Mapping[str, str], notes: list[Adjustment]
) -> tuple[dict[str, Any] | None, Sequence[Tool]]:
    """Return the choice, and the tools that are left of it: some models cannot be forced (AN-T4 to AN-T6)."""
    wish, wanted = call.tool_choice, call.tools
    choice: dict[str, Any] | None = None if wish is None else {"type": _MODES[wish.mode]}
    if wish is not None and wish.mode == "named":
        choice = {"type": "tool", "name": names[str(wish.name)]}
    if wish is not None and wish.mode in ("required", "named") and context.facts.forced_tool_choice is False:
        choice = {"type": "auto"}
        if wish.mode == "named" and not _is_bound(call, context):
            wanted = tuple(tool for tool in call.tools if tool.name == wish.name)
        reason = f"this model cannot be made to call a tool: it may, and has {len(wanted)} to choose from"
        notes.append(Adjustment("lowered", "tool_choice", reason, "AN-T6"))
    if call.extra.get("parallel_tool_calls") is False:
        choice = choice or {"type": "auto"}
        choice |= {"disable_parallel_tool_use": True} if choice["type"] != "none" else {}
    return choice, wanted


def _is_bound(call: Call, context: Context) -> bool:
    """Whether thinking in the history would be void with another list of tools (AN-K8)."""
    return bool(context.facts.quirks.get("bound")) and any(OPAQUE_KEY in message.opaque for message in call.messages)


def _strict(tools: Sequence[Tool], notes: list[Adjustment]) -> set[str]:
    """Choose the tools that can be strict, in their order, until a cap is reached (AN-T18, AN-P12)."""
    chosen: set[str] = set()
    optional = united = 0
    for tool in tools:
        if not tool.strict:
            continue
        more_optional, more_united = schemas.optional_properties(tool.schema), schemas.unions(tool.schema)
        lost: list[str] = []
        schemas.enforceable(tool.schema, lost)
        root = "a reference at its root" if "$ref" in tool.schema else None
        problem = root or schemas.why_not_enforced({"type": "object", **tool.schema}) or ", ".join(lost)
        if problem:
            reason, fact = f"not strict: its schema has {problem}", "AN-O3"
        elif len(chosen) == _MOST_STRICT or optional + more_optional > _MOST_OPTIONAL:
            reason, fact = "not strict: too many strict tools, or optional arguments in them", "AN-T18"
        elif united + more_united > _MOST_UNIONS:
            reason, fact = "not strict: too many arguments of several types in strict tools", "AN-T18"
        else:
            chosen.add(tool.name)
            optional, united = optional + more_optional, united + more_united
            continue
        notes.append(Adjustment("dropped", f"tools.{tool.name}.strict", reason, fact))
    return chosen
