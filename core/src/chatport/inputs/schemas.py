"""From Python to JSON Schema and back: tools out of functions, structured output out of types.

Attrs classes, dataclasses, msgspec structs, TypedDicts and plain annotations are read by msgspec in one walk.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, get_type_hints

import msgspec

from .. import jsoncodec
from ..call import Tool, ToolChoice
from ..errors import BadRequestError, MalformedReplyError
from ..schemas.answers import UncheckedError, examined, hold
from ..types import Adjustment, OutputSpec, ToolCall

if TYPE_CHECKING:
    from ..schemas.check import Budget

__all__ = [
    "ToolInput",
    "check_arguments",
    "misfits",
    "read_output",
    "read_tool_choice",
    "read_tools",
    "run_tool",
    "schema_of",
]

ToolInput: TypeAlias = "Tool | Callable[..., Any] | Mapping[str, Any]"


def schema_of(annotation: Any) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a type, with shared definitions under `$defs`.

    Raises BadRequestError for types that JSON cannot carry.
    """
    try:
        (schema,), definitions = msgspec.json.schema_components([annotation], ref_template="#/$defs/{name}")
    except (TypeError, RuntimeError) as error:
        raise BadRequestError(f"No JSON Schema can be made of {annotation!r}: {error}.") from error
    if set(schema) == {"$ref"}:  # the type itself belongs at the top, unless it refers to itself
        name = schema["$ref"].removeprefix("#/$defs/")
        if schema["$ref"] not in jsoncodec.encode_text(definitions):
            schema = definitions.pop(name)
    return {**schema, **({"$defs": definitions} if definitions else {})}


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
        _check_schema(tool.schema, f"{where}.schema")
        return tool
    if isinstance(tool, Mapping):
        return _tool_from_dict(tool, where)
    if callable(tool):
        return _tool_from_function(tool, where)
    raise BadRequestError(f"{where} must be a function, a Tool or a dict, not {type(tool).__name__}.")


def _check_schema(schema: Any, where: str) -> None:
    if not isinstance(schema, Mapping):
        raise BadRequestError(f"{where} must be a JSON Schema (a dict), not {type(schema).__name__}.")


def _tool_from_dict(tool: Mapping[str, Any], where: str) -> Tool:
    function = tool.get("function", tool)
    if tool.get("type", "function") != "function" or not isinstance(function, Mapping):
        raise BadRequestError(
            f"{where}: only tools of type 'function' are portable; put others into extra={{'tools': …}}."
        )
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise BadRequestError(f"{where} has no name.")
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    _check_schema(schema, f"{where}.parameters")
    return Tool(name, function.get("description") or "", schema, function.get("strict"))


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


def check_arguments(call: ToolCall, tools: Sequence[ToolInput]) -> Any:
    """Return the arguments of a tool call as Python values, held against the tool's own schema as you gave it.

    Vendors take different parts of JSON Schema, so what a model returns may fit what was sent and not what was meant.
    Raises MalformedReplyError if the arguments are cut or not JSON, BadRequestError, with the first places that do not
    fit, if they break the schema, if 500,000 steps do not suffice to find that out, or if no tool of this name is
    among `tools`.
    """
    return _checked(call, _tool_of(call, read_tools(tools)))


def run_tool(call: ToolCall, tools: Sequence[ToolInput]) -> str:
    """Run the function that a tool call names and return its result as text for the model (JSON if it is no text).

    The arguments are checked by the tool's schema, and checked and converted by the function's annotations. Raises
    MalformedReplyError if they are cut or not JSON, BadRequestError if no function of this name is among `tools`, or
    the arguments do not fit it, or 500,000 steps do not suffice to find that out.
    """
    tool = _tool_of(call, read_tools(tools))
    if tool.function is None:
        raise BadRequestError(f"The model calls {call.name!r}, and no function of this name was given.")
    arguments = call.parsed()
    if not isinstance(arguments, Mapping):
        raise BadRequestError(f"The arguments for {call.name!r} are not an object but {type(arguments).__name__}.")
    try:
        hints = get_type_hints(tool.function, include_extras=True)
        converted = {name: msgspec.convert(value, hints.get(name, Any)) for name, value in arguments.items()}
        inspect.signature(tool.function).bind(**converted)
    except Exception as error:  # a type of the caller's own may raise anything in its making
        raise BadRequestError(f"The arguments for {call.name!r} do not fit: {error}.", raw=call.arguments) from error
    _checked(call, tool)
    result = tool.function(**converted)
    return result if isinstance(result, str) else jsoncodec.encode_text(result)


def misfits(calls: Sequence[ToolCall], tools: Sequence[Tool]) -> Iterator[Adjustment]:
    """Give a warning for each place where a whole call's arguments break the schema of its tool, the first few only.

    And for what of the schema could not be checked, within steps that all calls share.
    """
    budget = None
    for number, call in enumerate(calls):
        tool = next((tool for tool in tools if tool.name == call.name), None)
        if tool is None or not call.complete:
            continue
        field = f"tool_calls[{number}].arguments"
        try:
            arguments = call.parsed()
        except MalformedReplyError:
            yield Adjustment("invalid", field, "is not valid JSON")
            continue
        budget = budget or _budget(_STEPS_UNASKED)
        found = examined(arguments, tool.schema, budget)
        for violation in found.violations:
            yield Adjustment("invalid", f"{field}.{violation.path}".rstrip("."), violation.problem)
        for reason in found.unchecked:
            yield Adjustment("unchecked", field, reason)


_STEPS_UNASKED = 50_000
"""For the warnings of one reply, a tenth of a second: an event loop waits for them, and nobody has asked."""


def _budget(steps: int) -> Budget:
    from ..schemas.check import Budget  # loaded when there is something to check

    return Budget(steps)


def _tool_of(call: ToolCall, tools: Sequence[Tool]) -> Tool:
    tool = next((tool for tool in tools if tool.name == call.name), None)
    if tool is None:
        raise BadRequestError(f"The model calls {call.name!r}, and no function of this name was given.")
    return tool


def _checked(call: ToolCall, tool: Tool) -> Any:
    arguments = call.parsed()
    try:
        hold(arguments, tool.schema)
    except ValueError as error:
        what = "could not be held against" if isinstance(error, UncheckedError) else "do not fit"
        raise BadRequestError(
            f"The arguments for {call.name!r} {what} its schema: {error}.", raw=call.arguments
        ) from None
    return arguments


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


def read_output(output: Any) -> OutputSpec | None:
    """Return the wanted structure: from a JSON Schema dict, or from an attrs, dataclass or msgspec type."""
    if output is None:
        return None
    if isinstance(output, OutputSpec):
        _check_schema(output.schema, "output.schema")
        return output
    if isinstance(output, Mapping):
        if not output:
            raise BadRequestError("output is an empty schema; leave it out for free text.")
        return OutputSpec(_schema_name(output.get("title") or "output"), output)
    schema = schema_of(output)
    return OutputSpec(_schema_name(getattr(output, "__name__", "output")), schema, type=output)


def _schema_name(title: Any) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", str(title))[:64] or "output"
