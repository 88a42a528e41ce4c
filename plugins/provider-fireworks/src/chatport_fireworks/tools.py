"""Tools as Fireworks takes them, those that a caller wrote as they are on the wire among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import Context, WireRequest
from chatport.standard.schemas import object_root

__all__ = ["fitted_tools"]

_KEYS = ("name", "description", "parameters", "strict")  # FW-T4


def fitted_tools(wire: WireRequest, context: Context) -> WireRequest:
    """Keep functions only (FW-T1), with their known keys (FW-P1), and say `object` in each schema (FW-T4)."""
    given = wire.body.get("tools")
    if given is None:
        return wire
    functions = [tool for tool in given if tool.get("type") == "function" and isinstance(tool.get("function"), Mapping)]
    if len(functions) < len(given):
        wire = wire.note("dropped", "tools", "only functions are taken here", "FW-T1")
    if not functions:
        return wire.discard("tools").discard("tool_choice")
    if any(set(tool) - {"type", "function"} or set(tool["function"]) - set(_KEYS) for tool in functions):
        wire = wire.note("dropped", "tools", f"a function has {', '.join(_KEYS)}; other keys are refused", "FW-T4")
    return wire.set("tools", [_fitted(tool, context) for tool in functions])


def _fitted(tool: Mapping[str, Any], context: Context) -> dict[str, Any]:
    function = {key: value for key, value in tool["function"].items() if key in _KEYS}
    given = {"properties": {}, **(function.get("parameters") or {})}
    parameters = object_root(given, str(function.get("name")), context, "FW-T4")
    return {"type": "function", "function": {**function, "parameters": parameters}}
