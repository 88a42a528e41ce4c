"""How one client is installed, told of the gateway, run, and made to use its own tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs

__all__ = ["ALL_DONE", "DONE", "FIRST", "PROMPT", "SECOND", "Call", "Done", "Recipe", "Say", "Step", "shell_loop"]

PROMPT = "Run the two commands that are wanted, one after the other, and say what they have printed."
FIRST = "expr 41 + 1 > first.txt; cat first.txt"
SECOND = "expr 1 + $(cat first.txt) > second.txt; echo found-$(cat second.txt)"
ALL_DONE = "It is all done: found-43."
"""The emulator's last words. Their last one is taken out of a tool's result, so it was there."""


@attrs.frozen
class Call:
    """What the model asks for in one answer: the client's own tool, with its arguments."""

    name: str
    arguments: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The arguments as a vendor sends them."""
        return json.dumps(self.arguments)


@attrs.frozen
class Say:
    """What the model says in one answer, where the client acts on texts."""

    text: str


@attrs.frozen
class Done:
    """The model says `ALL_DONE`, with what the last tool has found in the place of the number."""


DONE = Done()
Step: TypeAlias = Call | Say | Done


@attrs.frozen
class Recipe:
    """A client. `npm` and `pypi` are its packages, each with its version; `node` says which Node runs it, if not
    the machine's own.

    `told` is its name in `chatport serve --print-config`. What that prints goes into `place` (below its home), or the
    shell runs it before `command` if there is none. `files` are further ones, in its home. `steps` are the answers that
    make it act; after them comes `DONE`. `last` is what it shows at the end, where it cannot show that.
    `refusals` are the requests that it is to be refused, and goes on after.
    """

    title: str
    told: str
    command: str
    steps: Sequence[Step]
    npm: Sequence[str] = ()
    pypi: Sequence[str] = ()
    node: str = ""
    place: str = ""
    files: Mapping[str, str] = {}
    last: str = ALL_DONE
    refusals: int = 0
    seconds: float = 120.0

    @property
    def version(self) -> str:
        """The versions of what was asked for, without names where it is one."""
        packages = [text.replace("==", "@") for text in (*self.npm, *self.pypi)]
        return ", ".join(packages) if len(packages) > 1 else packages[0].rpartition("@")[2]


def shell_loop(name: str, field: str = "command", **more: Any) -> tuple[Call, Call]:
    """Return a tool loop of two rounds, by a tool that runs shell commands; `more` are its further arguments."""
    return Call(name, {field: FIRST, **more}), Call(name, {field: SECOND, **more})
