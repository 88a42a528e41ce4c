"""The tools that a caller gives (functions, values, dicts), and which of them the model is to choose.

A dict that is no function is a tool of the vendor's own, and a choice that names none of the functions its own word: it
is carried as it is, and the vendor's facts say whether it is taken.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeGuard, get_type_hints

import msgspec

from ..basics.words import near_miss
from ..call import Tool, ToolChoice
from ..errors import BadRequestError
from ..schemas.kinds import asked
from ..types import Adjustment
from .schemas import check_schema, schema_of

__all__ = ["ToolInput", "bare_tools", "read_server_tools", "read_tool_choice", "read_tools"]

ToolInput: TypeAlias = "Tool | Callable[..., Any] | Mapping[str, Any]"


_FUNCTION_KEYS = ("name", "description", "parameters", "strict", "input_schema")
_TOOL_KEYS = ("type", "function", "input_schema")  # the last is where a tool without a function may have its schema


def read_tools(tools: Sequence[ToolInput] | None) -> tuple[Tool, ...]:
    """Return the functions: from Tool values, Python functions, or OpenAI-shaped dicts. The rest is a vendor's own."""
    if tools is None:
        return ()
    if isinstance(tools, str | Mapping) or not isinstance(tools, Sequence):
        raise BadRequestError("tools must be a list of functions, Tool values or dicts.")
    read = tuple(_tool(tool, f"tools[{number}]") for number, tool in enumerate(tools) if not _is_vendor_tool(tool))
    names = [tool.name for tool in read]
    for name in names:
        if names.count(name) > 1:
            raise BadRequestError(f"Two tools are called {name!r}; the model could not tell them apart.")
    return read


def read_server_tools(tools: Sequence[ToolInput] | None) -> tuple[Mapping[str, Any], ...]:
    """Return the tools that are no functions, as they are given: the vendor runs them, or has a shape of its own."""
    own = [(number, tool) for number, tool in enumerate(tools or ()) if _is_vendor_tool(tool)]
    for number, tool in own:
        if not tool or not isinstance(tool.get("type", ""), str):
            raise BadRequestError(f"tools[{number}].type must say what the tool is, such as 'function'.")
    return tuple(tool for _, tool in own)


def bare_tools(tools: Sequence[ToolInput] | None) -> Iterator[Adjustment]:
    """Give a note for each dict that has nothing but a name, of which a function is made."""
    for tool in tools or ():
        if isinstance(tool, Mapping) and len(tool) == 1 and "name" in tool:
            yield Adjustment("note", f"tools.{tool['name']}", "only a name: sent as a function without arguments")


def _tool(tool: Any, where: str) -> Tool:
    if isinstance(tool, Tool):
        check_schema(tool.schema, f"{where}.schema")
        return tool
    if isinstance(tool, Mapping):
        return _tool_from_dict(tool, where)
    if callable(tool):
        return _tool_from_function(tool, where)
    raise BadRequestError(f"{where} must be a function, a Tool or a dict, not {type(tool).__name__}.")


def _is_vendor_tool(tool: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether this is a dict that describes no function, neither in the standard's shape nor flat, as some write it."""
    if not isinstance(tool, dict | Mapping):  # the quicker question first
        return False
    kind = tool.get("type")
    if kind == "function":
        return False
    if kind == "custom" and "input_schema" in tool:
        return False  # a function in the shape of a protocol that has no word for it
    if kind is not None:
        return True
    return bool(tool) and "name" not in tool and "function" not in tool


def _tool_from_dict(tool: Mapping[str, Any], where: str) -> Tool:
    function = tool.get("function", tool)
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str) or not name:
        raise BadRequestError(f"{where} has no name.")
    schema = (
        function.get("parameters")
        or function.get("input_schema")
        or tool.get("input_schema")
        or {"type": "object", "properties": {}}
    )
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


def _as_default(value: Any) -> Any:
    """Return a default as msgspec takes it: of what can change, something that makes it."""
    return msgspec.field(default_factory=lambda: value) if isinstance(value, list | dict | set) and value else value


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
        annotation = asked(hints.get(name, Any))
        required = parameter.default is parameter.empty
        fields.append((name, annotation) if required else (name, annotation, _as_default(parameter.default)))
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


_MODES = ("auto", "none", "required")


def read_tool_choice(choice: Any, tools: tuple[Tool, ...]) -> ToolChoice | None:
    """Return the choice: a mode, a tool's name, the function itself, the OpenAI-shaped dict, or the vendor's own.

    Raises BadRequestError for a tool that is not among the tools, and for a text that seems to be misspelt.
    """
    if choice is None:
        return None
    names = [tool.name for tool in tools]
    if isinstance(choice, Mapping) and choice:
        name = _only_name(choice)
        return ToolChoice("named", name) if name in names else ToolChoice("vendor", value=choice)
    if isinstance(choice, str):
        return _choice_of_word(choice, names)
    if not isinstance(choice, Tool) and not callable(choice):
        raise BadRequestError(
            f"tool_choice must be a text, a tool or a dict with its name, not {type(choice).__name__}."
        )
    name = choice.name if isinstance(choice, Tool) else getattr(choice, "__name__", None)
    if name not in names:
        raise _unknown_choice(name, names)
    return ToolChoice("named", name)


def _only_name(choice: Mapping[str, Any]) -> Any:
    """Return the name in a dict that says nothing more than that; None for any other."""
    function = choice.get("function")
    is_plain = choice.keys() <= {"type", "function"} and choice.get("type", "function") == "function"
    return function.get("name") if is_plain and isinstance(function, Mapping) and function.keys() == {"name"} else None


def _choice_of_word(word: str, names: list[str]) -> ToolChoice:
    if word in names:
        return ToolChoice("named", word)
    if word in _MODES:
        return ToolChoice(word)  # type: ignore[arg-type]  # compared just above
    if not word or near_miss(word, (*names, *_MODES)):
        raise _unknown_choice(word, names)
    return ToolChoice("vendor", value=word)


def _unknown_choice(given: Any, names: list[str]) -> BadRequestError:
    hint = near_miss(given, (*names, *_MODES)) if isinstance(given, str) else ""
    return BadRequestError(
        f"tool_choice {given!r} is neither auto, none, required, nor the name of one of the tools "
        f"({', '.join(names) or 'none given'}).{hint}"
    )
