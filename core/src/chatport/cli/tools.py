"""Tools of a chat: functions that are named on the command line, and the question before each of their calls."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any

import attrs
import click

from ..basics.display import one_line
from ..call import Tool
from ..inputs.tools import read_tools
from ..runs.approval import Approval
from ..types import ToolCall
from ..types.runs import ToolResult
from .loading import load_object
from .terminal import ask, write

__all__ = ["Toolbox", "tell_result"]

_LONGEST_QUESTION = 2000
_LONGEST_RESULT = 500


class Toolbox:
    """The tools of a chat, and which of them are run without a question."""

    def __init__(self, places: Sequence[str], *, yes: bool, approved: Sequence[str], max_steps: int) -> None:
        functions = read_tools([load_object(place, "--tool") for place in places])
        self.tools = tuple(attrs.evolve(tool, function=_run_here(tool.function)) for tool in functions)
        self.max_steps = max_steps
        self._all = yes
        self._approved = set(approved)
        names = [tool.name for tool in self.tools]
        _check(self.tools, unknown=self._approved - set(names))
        if not (yes or self._approved.issuperset(names) or _somebody_is_there()):
            raise click.UsageError("There is nobody to ask before a tool is run. Say --yes, or --approve TOOL.")

    def approve(self, call: ToolCall) -> bool | Approval:
        """Return whether a call may be run: whoever sits there says it, unless they have said so before."""
        if self._all or call.name in self._approved:
            return True
        shown = one_line(f"Run {call.name}({call.arguments})?", _LONGEST_QUESTION)
        while True:
            match ask(f"{shown} [y]es, [n]o, [a]lways: ").strip().lower():
                case "y" | "yes":
                    return True
                case "a" | "always":
                    self._approved.add(call.name)
                    return True
                case "n" | "no" | "":
                    return Approval.deny("The user said no.")
                case _:
                    write("Answer y, n or a.", err=True)


def _somebody_is_there() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _check(tools: Sequence[Tool], unknown: set[str]) -> None:
    bare = next((tool.name for tool in tools if tool.function is None), None)
    if bare is not None:
        raise click.UsageError(f"The tool {bare!r} has no function that could be run.")
    if unknown:
        there_are = ", ".join(tool.name for tool in tools)
        raise click.UsageError(f"--approve {min(unknown)!r} is none of the tools: {there_are}.")


def _run_here(function: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """Return a function that runs to its end, asynchronous or not, and does not print into the answer."""
    if function is None:
        return None

    @functools.wraps(function)
    def run(**arguments: Any) -> Any:
        with redirect_stdout(sys.stderr):
            result = function(**arguments)
            return _awaited(result) if inspect.isawaitable(result) else result

    return run


def _awaited(awaitable: Any) -> Any:
    import asyncio  # few tools are asynchronous

    async def wait() -> Any:
        return await awaitable

    return asyncio.run(wait())


def tell_result(result: ToolResult) -> None:
    """Write on stderr what became of a call."""
    words = result.content if result.outcome == "ok" else f"({result.outcome}) {result.content}"
    colour = "cyan" if result.outcome == "ok" else "yellow"
    write(one_line(f"← {result.call.name}: {words}", _LONGEST_RESULT), fg=colour, err=True)
