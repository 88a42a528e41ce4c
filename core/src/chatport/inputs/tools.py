"""The tools that a caller gives (functions, values, dicts), and which of them the model is to choose."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, get_type_hints

import msgspec

from ..call import Tool, ToolChoice
from ..errors import BadRequestError
from .schemas import check_schema, schema_of

__all__ = ["ToolInput", "read_tool_choice", "read_tools"]

ToolInput: TypeAlias = "Tool | Callable[..., Any] | Mapping[str, Any]"


_FUNCTION_KEYS = ("name", "description", "parameters", "strict")
_TOOL_KEYS = ("type", "function", "input_schema")  # the last is where a tool without a function may have its schema


def read_tools(tools: Sequence[ToolInput] | None) -> tuple[Tool, ...]:
    """Return the tools: from Tool values, Python functions, or OpenAI-shaped dicts."""
    if tools is None:
        return ()
    if isinstance(tools, str | Mapping) or not isinstance(tools, Sequence):
        raise BadRequestError("tools must be a list of functions, Tool values or dicts.")
    read = tuple(_tool(tool, f"tools[{number}]") for number, tool in enumerate(tools))
    names = [tool.name for tool in read]
    for name in names:
        if names.count(name) > 1:
            raise BadRequestError(f"Two tools are called {name!r}; the model could not tell them apart.")
    return read


def _tool(tool: Any, where: str) -> Tool:
    if isinstance(tool, Tool):
        check_schema(tool.schema, f"{where}.schema")
        return tool
    if isinstance(tool, Mapping):
        return _tool_from_dict(tool, where)
    if callable(tool):
        return _tool_from_function(tool, where)
    raise BadRequestError(f"{where} must be a function, a Tool or a dict, not {type(tool).__name__}.")


def _tool_from_dict(tool: Mapping[str, Any], where: str) -> Tool:
    function = tool.get("function", tool)
    if tool.get("type", "function") != "function" or not isinstance(function, Mapping):
        raise BadRequestError(
            f"{where}: only tools of type 'function' are portable; put others into extra={{'tools': …}}."
        )
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise BadRequestError(f"{where} has no name.")
    schema = function.get("parameters") or tool.get("input_schema") or {"type": "object", "properties": {}}
    check_schema(schema, f"{where}.parameters")
    extra = _unread(tool, function)
    return Tool(name, function.get("description") or "", schema, function.get("strict"), extra=extra)


def _unread(tool: Mapping[str, Any], function: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that nobody here reads, each where it stood: on the tool, or in its function."""
    inner = {key: value for key, value in function.items() if key not in _FUNCTION_KEYS}
    if function is tool:
        return {key: value for key, value in inner.items() if key not in _TOOL_KEYS}
    extra = {key: value for key, value in tool.items() if key not in _TOOL_KEYS}
    return {**extra, "function": inner} if inner else extra


def _tool_from_function(function: Callable[..., Any], where: str) -> Tool:
    """Read a function's signature: annotations give the types, the docstring the descriptions."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception as error:
        raise BadRequestError(f"{where}: the annotations of {function!r} cannot be read: {error}.") from error
    summary, described = _docstring(inspect.getdoc(function) or "")
    fields: list[Any] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise BadRequestError(f"{where}: the parameter {name!r} of {function!r} cannot be called by name.")
        annotation = hints.get(name, Any)
        required = parameter.default is parameter.empty
        fields.append((name, annotation) if required else (name, annotation, parameter.default))
    name = getattr(function, "__name__", type(function).__name__)
    try:
        arguments = msgspec.defstruct(name, fields, kw_only=True)
        schema = schema_of(arguments)
    except (TypeError, ValueError) as error:
        raise BadRequestError(f"{where}: no JSON Schema can be made of the arguments of {name}: {error}.") from error
    schema.pop("title", None)
    for argument, text in described.items():
        if argument in schema.get("properties", {}):
            schema["properties"][argument] = {**schema["properties"][argument], "description": text}
    schema.setdefault("required", [])
    return Tool(name, summary, schema, None, function)


_ARGUMENT = re.compile(r"\s*+(?::param\s++)?+\*{0,2}+(\w++)\s*+(?:\([^)]*+\)\s*+)?+:\s*+(.+)$")


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return the text above the arguments, and each argument's description (Google and Sphinx style)."""
    lines, summary, described, inside = text.splitlines(), [], {}, False
    for line in lines:
        heading = line.strip().lower()
        if heading in ("args:", "arguments:", "parameters:"):
            inside = True
        elif heading in ("returns:", "raises:", "yields:", "examples:", "example:"):
            break
        elif inside or line.strip().startswith(":param"):
            match = _ARGUMENT.match(line)
            if match:
                described[match[1]] = match[2].strip()
        elif not line.strip().startswith((":return", ":raise", ":rtype", ":type")):
            summary.append(line)
    return "\n".join(summary).strip(), described


def read_tool_choice(choice: Any, tools: tuple[Tool, ...]) -> ToolChoice | None:
    """Return the choice: a mode, a tool's name, the function itself, or the OpenAI-shaped dict."""
    if choice is None:
        return None
    if isinstance(choice, Mapping) and isinstance(choice.get("function"), Mapping):
        choice = choice["function"].get("name")
    elif isinstance(choice, Tool):
        choice = choice.name
    elif callable(choice):
        choice = getattr(choice, "__name__", None)
    if not isinstance(choice, str):
        raise BadRequestError(
            f"tool_choice must be a text, a tool or a dict with its name, not {type(choice).__name__}."
        )
    if choice in ("auto", "none", "required") and choice not in {tool.name for tool in tools}:
        if not tools and choice == "required":
            raise BadRequestError("tool_choice='required' needs tools.")
        return ToolChoice(choice)  # type: ignore[arg-type]  # compared just above
    if choice in {tool.name for tool in tools}:
        return ToolChoice("named", choice)
    raise BadRequestError(
        f"tool_choice {choice!r} is neither auto, none, required, nor the name of one of the tools "
        f"({', '.join(tool.name for tool in tools) or 'none given'})."
    )
