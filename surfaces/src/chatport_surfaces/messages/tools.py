"""Tools and the choice among them. A tool of the server's own stays as it is: its vendor runs it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from chatport import Tool

from .shape import objects, table, text, without

__all__ = ["forbids_parallel", "names_of", "read_choice", "read_tools"]

_MODES = {"auto": "auto", "any": "required", "none": "none"}  # AN-T5
_READ = ("type", "name", "description", "input_schema", "strict")


def read_tools(tools: Any) -> list[Tool | Mapping[str, Any]]:
    """Return the tools. Further keys of a function, such as a cache mark, are its `extra` (AN-T1)."""
    return [_tool(tool, f"tools.{number}") for number, tool in enumerate(objects(tools, "tools"))]


def names_of(tools: Collection[Tool | Mapping[str, Any]]) -> list[str]:
    """Return the names of the functions."""
    return [tool.name for tool in tools if isinstance(tool, Tool)]


def read_choice(choice: Any, names: Collection[str]) -> Any:
    """Return the choice in the standard's words, or as it is where it is about a tool of the server's own (AN-T4)."""
    kind, name = table(choice, "tool_choice").get("type"), choice.get("name")
    if kind in _MODES:
        return _MODES[kind]
    if kind == "tool" and name in names:
        return {"type": "function", "function": {"name": name}}
    return without(choice, "disable_parallel_tool_use")


def forbids_parallel(choice: Any) -> bool:
    """Whether at most one tool may be called at a time (AN-T5)."""
    return isinstance(choice, Mapping) and choice.get("disable_parallel_tool_use") is True


def _tool(tool: Mapping[str, Any], where: str) -> Tool | Mapping[str, Any]:
    if tool.get("type") not in (None, "custom"):
        return tool
    name, strict = text(tool.get("name"), f"{where}.custom.name"), tool.get("strict")
    description = tool.get("description")
    return Tool(
        name,
        "" if description is None else text(description, f"{where}.custom.description"),
        table(tool.get("input_schema"), f"{where}.custom.input_schema"),
        strict if isinstance(strict, bool) else None,
        extra=without(tool, *_READ),
    )
