"""The arguments of tool calls, held against the schemas of their tools, and the functions run with them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_type_hints

from .. import jsoncodec
from ..basics.typed import expect
from ..call import Tool
from ..errors import BadRequestError, MalformedReplyError
from ..schemas.answers import UncheckedError, examined, hold
from ..schemas.kinds import builtins_of, converted
from ..types import Adjustment, AudioPart, FilePart, ImagePart, Part, TextPart, ToolCall, VendorPart, VideoPart
from .tools import ToolInput, read_tools

if TYPE_CHECKING:
    from ..schemas.check import Budget

__all__ = [
    "bound_call",
    "check_arguments",
    "drop",
    "is_async",
    "is_to_be_awaited",
    "misfits",
    "result_parts",
    "result_text",
    "run_tool",
    "run_tool_async",
]


def check_arguments(call: ToolCall, tools: Sequence[ToolInput]) -> Any:
    """Return the arguments of a tool call as Python values, held against the tool's own schema as you gave it.

    Vendors take different parts of JSON Schema, so what a model returns may fit what was sent and not what was meant.
    Raises MalformedReplyError if the arguments are cut or not JSON, BadRequestError, with the first places that do not
    fit, if they break the schema, if 500,000 steps do not suffice to find that out, or if no tool of this name is
    among `tools`.
    """
    _check_call(call)
    return _checked(call, _tool_of(call, read_tools(tools)))


def run_tool(call: ToolCall, tools: Sequence[ToolInput]) -> str:
    """Run the function that a tool call names and return its result as text for the model (JSON if it is no text).

    The arguments are checked by the tool's schema, and checked and converted by the function's annotations. Raises
    MalformedReplyError if they are cut or not JSON, BadRequestError if no function of this name is among `tools`, or
    the arguments do not fit it, or 500,000 steps do not suffice to find that out, or the function is asynchronous.
    """
    _check_call(call)
    function, arguments = bound_call(call, read_tools(tools))
    if is_async(function):
        raise is_to_be_awaited(call)
    result = function(**arguments)
    if inspect.isawaitable(result):
        drop(result)
        raise is_to_be_awaited(call)
    return result_text(call, result)


async def run_tool_async(call: ToolCall, tools: Sequence[ToolInput]) -> str:
    """Run the function that a tool call names, awaited where it is asynchronous; else the same as `run_tool`."""
    _check_call(call)
    function, arguments = bound_call(call, read_tools(tools))
    result = function(**arguments)
    return result_text(call, await result if inspect.isawaitable(result) else result)


def bound_call(call: ToolCall, tools: Sequence[Tool]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the function that a tool call names, and its arguments as its own types. Raises as `run_tool` does."""
    tool = _tool_of(call, tools)
    if tool.function is None:
        raise _no_function(call)
    arguments = call.parsed()
    if not isinstance(arguments, Mapping):
        raise BadRequestError(f"The arguments for {call.name!r} are not an object but {type(arguments).__name__}.")
    try:
        hints = get_type_hints(tool.function, include_extras=True)
        hints.pop("return", None)  # an argument of this name may come where a function takes any
        typed = {name: converted(value, hints.get(name, Any)) for name, value in arguments.items()}
        inspect.signature(tool.function).bind(**typed)
    except Exception as error:  # a type of the caller's own may raise anything in its making
        raise BadRequestError(f"The arguments for {call.name!r} do not fit: {error}.", raw=call.arguments) from error
    _checked(call, tool)
    return tool.function, typed


_PARTS = (TextPart, ImagePart, AudioPart, VideoPart, FilePart, VendorPart)


def result_parts(result: Any) -> tuple[Part, ...]:
    """Return what a tool gave as parts: one of them, or a list of parts and texts with at least one; else none."""
    given = tuple(result) if isinstance(result, list | tuple) else (result,)
    is_mixed = any(isinstance(item, _PARTS) for item in given) and all(isinstance(i, (str, *_PARTS)) for i in given)
    return tuple([TextPart(i) if isinstance(i, str) else i for i in given if i != ""]) if is_mixed else ()


def result_text(call: ToolCall, result: Any) -> str:
    """Return what a tool gave as text for the model. Raises BadRequestError where it cannot be written as JSON."""
    parts = result_parts(result)
    if parts and all(isinstance(part, TextPart) for part in parts):
        return "\n".join(part.text for part in parts if isinstance(part, TextPart))
    try:
        return (
            result if isinstance(result, str) else jsoncodec.encode_text(jsoncodec.without_halves(builtins_of(result)))
        )
    except Exception as error:  # a type of the caller's own may raise anything
        raise BadRequestError(f"The result of {call.name!r} cannot be written as JSON: {error}.") from error


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a function, or the call of an object, is written with `async def`."""
    call = getattr(function, "__call__", None)  # noqa: B004  # of an object, which is a function by that
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def is_to_be_awaited(call: ToolCall) -> BadRequestError:
    """Return the error for an asynchronous function where nothing can be awaited."""
    return BadRequestError(
        f"The function {call.name!r} is asynchronous: use run_tool_async, or a run of an AsyncClient."
    )


def drop(awaitable: Any) -> None:
    """Close a coroutine that nobody will await, so that Python does not warn of it."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()


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


def _check_call(call: ToolCall) -> None:
    expect(call, ToolCall, "A tool call is one of `reply.tool_calls`", BadRequestError)


def _tool_of(call: ToolCall, tools: Sequence[Tool]) -> Tool:
    tool = next((tool for tool in tools if tool.name == call.name), None)
    if tool is None:
        raise _no_function(call)
    return tool


def _no_function(call: ToolCall) -> BadRequestError:
    return BadRequestError(f"The model calls {call.name!r}, and no function of this name was given.")


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
