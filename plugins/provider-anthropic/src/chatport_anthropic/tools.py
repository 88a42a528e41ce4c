"""`translate_tools` for Anthropic: its own shape, its caps on strict tools, and models that cannot be forced."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from chatport import Adjustment, Call, Context, Tool, ToolChoice, WireTools, hookimpl
from chatport.helpers import Loss, below, check_cap, is_native, joined_root, loss_warnings, object_root, wire_name

from . import schemas
from .blocks import OPAQUE_KEY

__all__ = ["own_keys", "translate_tools", "unforced"]

_MOST_STRICT, _MOST_OPTIONAL, _MOST_UNIONS = 20, 24, 16  # AN-T18: in sum over the strict tools of a request
_OWN_KEYS = ("allowed_callers", "cache_control", "defer_loading", "eager_input_streaming", "input_examples")  # AN-T1
_BARRED = ("anyOf", "oneOf", "allOf")  # AN-T23: at the root of a tool's arguments
_MODES = {"auto": "auto", "required": "any", "named": "tool", "none": "none"}  # AN-T5
_KINDS: Mapping[Any, Any] = {"auto": "auto", "any": "required", "none": "none"}
_OWN_TYPE = re.compile(r"[a-z0-9_]+_20\d{6}|mcp_toolset|custom")  # web_search_20250305


@hookimpl
def translate_tools(call: Call, context: Context) -> WireTools:
    """Return tools and choice; no tools, no key (AN-T20). Names that do not fit are mapped back by core (AN-T21)."""
    notes: list[Adjustment] = []
    own = _own_tools(call, context, notes)
    if not call.tools:
        wish = _choice(unforced(_in_our_words(call, notes), context, notes), {}) if own else None
        return WireTools(own or None, wish, {}, tuple(notes))
    check_cap(call, context)
    names = {tool.name: wire_name(tool.name, longest=128) for tool in call.tools}  # AN-T2
    renamed = {sent: own for own, sent in names.items() if own != sent}
    notes += [
        Adjustment("renamed", f"tools.{own}.name", f"sent as {sent!r}: letters, digits, _ and -, at most 128", "AN-T2")
        for sent, own in renamed.items()
    ]
    call = unforced(_in_our_words(call, notes), context, notes)
    wanted, choice = call.tools, _choice(call, names)
    roots = {tool.name: _root(tool, context, notes) for tool in wanted}
    strict = _strict([tool.name for tool in wanted if tool.strict], roots, notes)
    tools = [_tool(tool, names[tool.name], roots[tool.name], strict=tool.name in strict) for tool in wanted]
    tools = [
        {**wire, **(own_keys(tool) if is_native(call, context) else _own_keys(tool, notes))}
        for tool, wire in zip(wanted, tools, strict=True)
    ]
    return WireTools([*tools, *own], choice, renamed, tuple(notes))


def _own_tools(call: Call, context: Context, notes: list[Adjustment]) -> list[Mapping[str, Any]]:
    """Return the vendor's own tools, which are known by the date in their type; another's are left out.

    Those of a call that came in this protocol are its own.
    """
    if is_native(call, context):
        return list(call.server_tools)
    own = [tool for tool in call.server_tools if _OWN_TYPE.fullmatch(str(tool.get("type", "custom")))]
    others = sorted({str(tool.get("type")) for tool in call.server_tools if tool not in own})
    if others:
        notes.append(Adjustment("dropped", "tools", f"tools of another vendor: {', '.join(others)}", "AN-T3"))
    return own


def _in_our_words(call: Call, notes: list[Adjustment]) -> Call:
    """Return the call with a choice that was made in the vendor's own words in ours; another vendor's is left out."""
    wish = call.tool_choice
    if wish is None or wish.mode != "vendor":
        return call
    value = wish.value if isinstance(wish.value, Mapping) else {"type": wish.value}
    kind, name = value.get("type"), value.get("name")
    if value.keys() <= {"type", "name"}:
        if kind == "tool" and any(tool.name == name for tool in call.tools):
            return attrs.evolve(call, tool_choice=ToolChoice("named", name))
        if kind in _KINDS:
            return attrs.evolve(call, tool_choice=ToolChoice(_KINDS[kind]))
    if kind in _MODES.values() and isinstance(wish.value, Mapping):
        return call
    notes.append(Adjustment("dropped", "tool_choice", "a choice in another vendor's words", "AN-T4"))
    return attrs.evolve(call, tool_choice=None)


def _own_keys(tool: Tool, notes: list[Adjustment]) -> dict[str, Any]:
    """Return the vendor's own keys of a tool, wherever they stood; others would be refused, and are told (AN-T1)."""
    given = own_keys(tool)
    reason = "tools have no such key here"
    notes.extend(Adjustment("dropped", f"tools.{tool.name}.{n}", reason, "AN-T1") for n in given if n not in _OWN_KEYS)
    return {name: value for name, value in given.items() if name in _OWN_KEYS}


def own_keys(tool: Tool) -> dict[str, Any]:
    """Return a tool's vendor-only keys: those on it, and those in its function."""
    inner = tool.extra.get("function")
    given = {**(inner if isinstance(inner, Mapping) else {}), **tool.extra}
    given.pop("function", None)
    return given


def _root(tool: Tool, context: Context, notes: list[Adjustment]) -> dict[str, Any]:
    """Return the schema of a tool's arguments as an object (AN-T1) that is no union at its root (AN-T23)."""
    schema = object_root(tool.schema, tool.name, context, "AN-T1")
    if schema.keys().isdisjoint(_BARRED):
        return schema
    losses: list[Loss] = []
    field = f"tools.{tool.name}.parameters"
    schema = joined_root(schema, _BARRED, losses, field)
    notes += loss_warnings(losses, field, "AN-T23")
    return schema


def _tool(tool: Tool, name: str, schema: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
    wire: dict[str, Any] = {"name": name, "input_schema": schema}
    if tool.description:
        wire["description"] = tool.description
    if strict:
        wire |= {"strict": True, "input_schema": schemas.enforceable(schema, [])}
    return wire


def unforced(call: Call, context: Context, notes: list[Adjustment]) -> Call:
    """Return the call with a choice the model takes: some cannot be forced, and get only the wanted tool (AN-T6)."""
    wish, wanted = call.tool_choice, call.tools
    own = wish.value.get("type") if wish is not None and isinstance(wish.value, Mapping) else None
    forces = wish is not None and (wish.mode in ("required", "named") or own in ("any", "tool"))
    if wish is None or not forces or context.facts.forced_tool_choice is not False:
        return call
    if wish.mode == "named" and not _is_bound(call, context):
        wanted = tuple(tool for tool in wanted if tool.name == wish.name)
    reason = f"this model cannot be made to call a tool: it may, and has {len(wanted)} to choose from"
    notes.append(Adjustment("lowered", "tool_choice", reason, "AN-T6"))
    return attrs.evolve(call, tools=wanted, tool_choice=ToolChoice("auto"))


def _choice(call: Call, names: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the choice in the vendor's shape (AN-T4, AN-T5)."""
    wish = call.tool_choice
    choice: dict[str, Any] | None
    if wish is not None and wish.mode == "vendor":
        choice = dict(wish.value)
    else:
        choice = None if wish is None else {"type": _MODES[wish.mode]}
    if wish is not None and wish.mode == "named":
        choice = {"type": "tool", "name": names[str(wish.name)]}
    if call.extra.get("parallel_tool_calls") is False:
        choice = choice or {"type": "auto"}
        choice |= {"disable_parallel_tool_use": True} if choice["type"] != "none" else {}
    return choice


def _is_bound(call: Call, context: Context) -> bool:
    """Whether thinking in the history would be void with another list of tools (AN-K8)."""
    return bool(context.facts.quirks.get("bound")) and any(OPAQUE_KEY in message.opaque for message in call.messages)


def _strict(wished: Sequence[str], roots: Mapping[str, Mapping[str, Any]], notes: list[Adjustment]) -> set[str]:
    """Choose the tools that can be strict, in their order, until a cap is reached (AN-T18, AN-P12)."""
    chosen: set[str] = set()
    optional = united = 0
    for name in wished:
        losses: list[Loss] = []
        reference = "a reference at its root" if "$ref" in roots[name] else None
        problem = reference or schemas.why_not_closed(roots[name])
        schema = schemas.enforceable({} if problem else roots[name], losses)
        more_optional, more_united = schemas.optional_properties(schema), schemas.unions(schema)
        problem = problem or ", ".join(below(loss.path, loss.keyword) for loss in losses)
        if problem:
            reason, fact = f"not strict: its schema has {problem}", "AN-O3"
        elif len(chosen) == _MOST_STRICT or optional + more_optional > _MOST_OPTIONAL:
            reason, fact = "not strict: too many strict tools, or optional arguments in them", "AN-T18"
        elif united + more_united > _MOST_UNIONS:
            reason, fact = "not strict: too many arguments of several types in strict tools", "AN-T18"
        else:
            chosen.add(name)
            optional, united = optional + more_optional, united + more_united
            continue
        notes.append(Adjustment("dropped", f"tools.{name}.strict", reason, fact))
    return chosen
