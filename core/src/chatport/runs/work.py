"""One tool call: what is wrong with it, and what becomes of it when it is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import attrs

from ..basics.display import one_line
from ..call import Tool
from ..errors import BadRequestError, ChatportError, MalformedReplyError, ToolError
from ..inputs.arguments import bound_call, is_async, result_parts, result_text
from ..types import TextPart, ToolCall
from ..types.runs import ToolResult

__all__ = ["ToolWork", "prepared"]

_LONGEST = 4000
"""Characters of an error that a model is told: some quote a whole file."""

_Outcome: TypeAlias = Literal["ok", "error", "invalid", "unknown", "denied", "answered"]


class CancelledToolError(Exception):
    """A tool has ended by the cancellation of a task that it had waited for, or of its own."""


@attrs.define(eq=False)
class ToolWork:
    """A call whose arguments fit: the driver runs `function`, and leaves what it gives or raises here."""

    call: ToolCall
    function: Callable[..., Any]
    arguments: dict[str, Any]
    began: float = 0.0
    value: Any = None
    error: BaseException | None = None
    has_ended: bool = False
    ending: BaseException | None = None
    """What it has raised in a thread of its own to end the program, for whoever reads the run."""

    @property
    def is_async(self) -> bool:
        """Whether the function is written with `async def`."""
        return is_async(self.function)

    @property
    def is_over(self) -> bool:
        """Whether it has ended by itself, and was not stopped."""
        return self.has_ended or self.error is not None

    def start(self) -> Any:
        """Call the function; what it gives may have to be awaited."""
        return self.function(**self.arguments)

    def end(self, value: Any) -> None:
        """Take what the function gave."""
        self.value, self.has_ended = value, True

    def end_early(self) -> None:
        """Take it that the tool was cancelled, and not by us."""
        self.error = CancelledToolError("it was cancelled before its end")

    def result(self, seconds: float) -> ToolResult:
        """Return the result for the model: of an error its kind and its words, never the traceback."""
        if self.error is None:
            parts = result_parts(self.value)
            if any(not isinstance(part, TextPart) for part in parts):
                text = "\n".join(part.text for part in parts if isinstance(part, TextPart))
                return ToolResult(self.call, text, "ok", seconds, parts=parts)
            try:
                return ToolResult(self.call, result_text(self.call, self.value), "ok", seconds)
            except BadRequestError as error:
                self.error = error
        return ToolResult(self.call, _words(self.error), "error", seconds, self.error)


def prepared(call: ToolCall, tools: Sequence[Tool]) -> ToolWork | ToolResult | None:
    """Return what is to be run for a call, or what the model is told in its place; None if it is not run here."""
    tool = next((tool for tool in tools if tool.name == call.name), None)
    if tool is None:
        names = ", ".join(tool.name for tool in tools) or "none"
        return _failed(call, f"There is no tool {call.name!r}. There are: {names}.", "unknown")
    if not call.complete:
        return _failed(call, "The answer was cut inside this call, and it was not run. Call it again.", "invalid")
    if tool.function is None:
        return None
    try:
        function, arguments = bound_call(call, tools)
    except (BadRequestError, MalformedReplyError) as error:
        return _failed(call, error.message, "invalid", error)
    return ToolWork(call, function, arguments)


def _failed(call: ToolCall, words: str, outcome: _Outcome, error: BaseException | None = None) -> ToolResult:
    return ToolResult(call, one_line(words, _LONGEST), outcome, error=error)


def _words(error: BaseException) -> str:
    if isinstance(error, ToolError):
        return error.message
    said = error.message if isinstance(error, ChatportError) else _told(error)
    return one_line(f"{type(error).__name__}: {said}" if said else type(error).__name__, _LONGEST)


def _told(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an error of the caller's own may fail in its own words
        return ""
