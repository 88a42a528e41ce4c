"""The tools of a request, and the choice among them, in words that every vendor knows (RS-F1 to RS-F6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from chatport import Tool
from chatport.helpers import StrictRules, strict_misfits

from .free_text import as_function
from .parts import bad, objects, text_of

__all__ = ["Named", "Tools", "joined_name", "read_choice", "read_tools"]

_FUNCTION = ("type", "name", "description", "parameters", "strict")
_RULES = StrictRules(
    frozenset(
        {
            "allOf", "not", "if", "then", "else", "oneOf", "dependentRequired", "dependentSchemas", "prefixItems",
            "patternProperties", "minLength", "maxLength", "uniqueItems", "minProperties", "maxProperties", "contains",
        }
    ),
    typed=True,
)  # fmt: skip
"""What no schema may have that is strict unasked (OA-T9 to OA-T11)."""


@attrs.frozen
class Named:
    """A tool as its client knows it."""

    name: str
    namespace: str | None = None
    is_free_text: bool = False


@attrs.frozen
class Tools:
    """What is offered: functions, and the vendor's own tools as they are. `names` has those that are called otherwise
    by their client, or take a free text."""

    offered: Sequence[Tool | Mapping[str, Any]] = ()
    names: Mapping[str, Named] = attrs.field(factory=dict)

    @property
    def functions(self) -> list[str]:
        """The names of the functions."""
        return [tool.name for tool in self.offered if isinstance(tool, Tool)]


def joined_name(name: str, namespace: Any) -> str:
    """Return the name of a tool that is in a namespace, or in none."""
    return f"{namespace}__{name}" if isinstance(namespace, str) and namespace else name


def read_tools(tools: Any, where: str = "tools") -> Tools:
    """Return the tools. Raises BadRequestError for those that have no name."""
    offered: list[Tool | Mapping[str, Any]] = []
    names: dict[str, Named] = {}
    for number, tool in enumerate(objects(tools, where)):
        _read(tool, None, "", f"{where}[{number}]", offered, names)
    last = {_key(tool, number): tool for number, tool in enumerate(offered)}  # a later one of the same name counts
    return Tools(list(last.values()), names)


def _key(tool: Tool | Mapping[str, Any], number: int) -> str | int:
    return tool.name if isinstance(tool, Tool) else number


def _read(
    tool: Mapping[str, Any],
    namespace: str | None,
    about: str,
    where: str,
    offered: list[Tool | Mapping[str, Any]],
    names: dict[str, Named],
) -> None:
    kind = tool.get("type")
    if kind == "namespace" and namespace is None:
        space, words = text_of(tool, "name", where), str(tool.get("description") or "")
        for number, inner in enumerate(objects(tool.get("tools"), f"{where}.tools")):
            _read(inner, space, words, f"{where}.tools[{number}]", offered, names)
    elif kind not in ("function", "custom"):
        offered.append(tool)
    else:
        own = text_of(tool, "name", where)
        name = joined_name(own, namespace)
        if namespace is not None or kind == "custom":
            names[name] = Named(own, namespace, kind == "custom")
        description = "\n\n".join(filter(None, (about, str(tool.get("description") or ""))))
        if kind == "custom":
            extra = {key: value for key, value in tool.items() if key not in (*_FUNCTION, "format")}
            offered.append(as_function(tool, name, description, extra))
        else:
            offered.append(_function(tool, name, description, where))


def _function(tool: Mapping[str, Any], name: str, description: str, where: str) -> Tool:
    schema = tool.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(schema, Mapping):
        bad(f"{where}.parameters", "must be a JSON schema")
    extra = {key: value for key, value in tool.items() if key not in _FUNCTION and value is not None}
    return Tool(name, description, schema, _strict(tool.get("strict"), schema), extra=extra)


def _strict(wish: Any, schema: Mapping[str, Any]) -> bool | None:
    """Return whether a tool is to be strict. Unsaid it is, and falls back where its schema cannot be (RS-F2)."""
    if isinstance(wish, bool):
        return wish
    return True if next(strict_misfits(schema, _RULES), None) is None else None


def read_choice(choice: Any, tools: Tools) -> tuple[Any, Tools, bool]:
    """Return the choice, the tools that are left to choose from, and whether that says all (RS-F6).

    Raises BadRequestError for a tool that is not among them.
    """
    if choice is None or isinstance(choice, str):
        is_said = bool(tools.functions) or choice in (None, "auto", "none")
        return (choice if tools.functions else None), tools, is_said
    if not isinstance(choice, Mapping):
        bad("tool_choice", "must be a text or an object")
    if choice.get("type") in ("function", "custom"):
        return _known(choice, tools, "tool_choice"), tools, True
    if choice.get("type") != "allowed_tools":
        return None, tools, False  # one of the vendor's own
    listed = objects(choice.get("tools"), "tool_choice.tools")
    names = [_known(tool, tools, "tool_choice.tools") for tool in listed if tool.get("type") in ("function", "custom")]
    left = [tool for tool in tools.offered if not isinstance(tool, Tool) or tool.name in names]
    mode = choice.get("mode") or "auto"
    return (mode if names else None), attrs.evolve(tools, offered=left), bool(names)


def _known(tool: Mapping[str, Any], tools: Tools, where: str) -> str:
    name = joined_name(text_of(tool, "name", where), tool.get("namespace"))
    if name not in tools.functions:
        bad(where, f"names the tool {name!r}, which is not among the tools")
    return name
