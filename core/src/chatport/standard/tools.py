"""Standard `translate_tools`: function tools as they are, names shortened to what every server takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain, count
from typing import Any

import attrs

from ..call import Call, Context, Tool, ToolChoice, WireTools
from ..errors import UnsupportedFeatureError
from ..facts.rules import ToolRule
from ..hooks import hookimpl
from ..types import Adjustment
from .unread import laid_over

__all__ = ["translate_tools", "wire_choice", "wire_name", "wire_tool"]


@hookimpl
def translate_tools(call: Call, context: Context) -> WireTools:
    if not call.tools:
        is_plain = call.tool_choice is None and not call.server_tools  # as nearly every call is
        return WireTools() if is_plain else _without_functions(call, context)
    check_cap(call, context)
    rule = None if context.facts.rules is None else context.facts.rules.tools
    names = {tool.name: wire_name(tool.name) for tool in call.tools}
    adjustments = [
        Adjustment(
            "renamed",
            f"tools.{own}.name",
            f"sent as {sent!r}: a name takes letters, digits, _ and -, at most 64",
        )
        for own, sent in names.items()
        if own != sent
    ]
    if rule is not None and (rule.reserved or rule.letter_first):
        names, notes = _free_names(names, rule)
        adjustments += notes
    tools = WireTools(
        [wire_tool(tool, names[tool.name]) for tool in call.tools],
        None if call.tool_choice is None else wire_choice(call.tool_choice, names),
        {sent: own for own, sent in names.items() if own != sent},
        tuple(adjustments),
    )
    schemas = None if context.facts.rules is None else context.facts.rules.schemas
    if schemas is not None:
        from .fitting import fit_tools  # most vendors take schemas as they are

        tools = fit_tools(tools, call, schemas)
    return attrs.evolve(tools, tools=[*(tools.tools or ()), *call.server_tools]) if call.server_tools else tools


def _without_functions(call: Call, context: Context) -> WireTools:
    """Return the vendor's own tools alone, and the choice, which may be about tools in `extra`."""
    forces_nothing = call.tool_choice is None or call.tool_choice.mode in ("auto", "none")
    if forces_nothing and not call.server_tools and "tools" not in call.extra:
        return WireTools()
    _check_count(call, context)
    choice = None if call.tool_choice is None else wire_choice(call.tool_choice, {})
    return WireTools(list(call.server_tools) or None, choice)


def _free_names(names: Mapping[str, str], rule: ToolRule) -> tuple[dict[str, str], list[Adjustment]]:
    """Return the names with those replaced that the vendor keeps for itself, or that do not begin with a letter."""
    free, notes = dict(names), []
    for own, sent in names.items():
        is_reserved = sent in rule.reserved
        if is_reserved or (rule.letter_first and not (sent[:1].isascii() and sent[:1].isalpha())):
            own_stem = rule.reserved.get(sent) if isinstance(rule.reserved, Mapping) else None
            stem = own_stem or wire_name(f"f_{own}")
            taken = set(free.values())
            free[own] = next(name for name in chain((stem,), (f"{stem}_{n}" for n in count(2))) if name not in taken)
            reason = "the name is the vendor's own" if is_reserved else "a name begins with a letter"
            fact = rule.cite("reserved" if is_reserved else "letter_first")
            notes.append(Adjustment("renamed", f"tools.{own}.name", f"sent as {free[own]!r}: {reason}", fact))
    return free, notes


def check_cap(call: Call, context: Context) -> None:
    """Raise UnsupportedFeatureError when there are more tools than the vendor takes, or the model takes none."""
    if context.facts.tools is False:
        raise UnsupportedFeatureError(
            f"{context.model} cannot call tools.", provider=context.provider.name, model=context.model
        )
    _check_count(call, context)


def _check_count(call: Call, context: Context) -> None:
    cap, given = context.facts.max_tools, len(call.tools) + len(call.server_tools)
    if cap is not None and given > cap:
        raise UnsupportedFeatureError(
            f"{context.provider.title} takes at most {cap} tools, not {given}.",
            provider=context.provider.name,
            model=context.model,
        )


def wire_tool(tool: Tool, name: str) -> dict[str, Any]:
    """Return one tool in the standard's shape. No `parameters` means no arguments, as in OA-T1."""
    function: dict[str, Any] = {"name": name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.schema
    if tool.strict is not None:
        function["strict"] = tool.strict
    wire = {"type": "function", "function": function}
    return laid_over(wire, tool.extra) if tool.extra else wire


def wire_choice(choice: ToolChoice, names: Mapping[str, str]) -> Any:
    """Return `tool_choice` as the standard has it, and the vendor's own as it is given."""
    if choice.mode == "named":
        return {"type": "function", "function": {"name": names.get(choice.name or "", choice.name)}}
    return choice.value if choice.mode == "vendor" else choice.mode


def wire_name(name: str, *, longest: int = 64) -> str:
    """Return a name every server takes; a shortened one keeps its beginning and gets a hash, so it stays unique."""
    clean = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    if clean == name and len(name) <= longest:
        return name
    import hashlib  # it loads OpenSSL, and hardly any call needs it

    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{clean[: longest - 9]}_{digest}"
