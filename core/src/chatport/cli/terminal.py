"""Everything the command line prints goes through here: nothing that others wrote directs the terminal.

That holds for a pipe too, since a pager or `cat` may show it later. The commands call nothing of click's that prints.
A full disk or a closed pipe ends a command here, with a message and a code that is not 0.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from contextlib import suppress
from typing import Any, NamedTuple, TextIO

import click

from ..basics.display import clean, clean_json, one_line

__all__ = [
    "READER_LEFT",
    "Styled",
    "ask",
    "clear_status",
    "give_up",
    "is_confirmed",
    "read_line",
    "show_status",
    "styled",
    "write",
    "write_bytes_of",
    "write_json",
    "write_problem",
]

READER_LEFT = 141
"""What a shell gives for a program that SIGPIPE has ended: 128 and the signal's number."""


class Styled(NamedTuple):
    """A piece of a line with a look of its own."""

    text: str
    style: dict[str, Any]


def styled(text: str, **style: Any) -> Styled:
    """Return a piece for `write`, with the words of `click.style`."""
    return Styled(text, style)


def write(*parts: str | Styled, err: bool = False, end: str = "\n", **style: Any) -> None:
    """Print on stdout, or stderr. `style` is the look of the parts that have none of their own."""
    pieces = [part if isinstance(part, Styled) else Styled(part, style) for part in parts]
    shown = [_styled(clean(text), look) for text, look in pieces]
    _put("".join(shown) + end, err=err)


def _styled(text: str, look: dict[str, Any]) -> str:
    """Return a text with its look, without one where the user wants none: https://no-color.org."""
    return click.style(text, **look) if text and look and not os.environ.get("NO_COLOR") else text


def is_confirmed(question: str) -> bool:
    """Ask a yes-or-no question of whoever sits there."""
    return click.confirm(clean(question))


def ask(question: str) -> str:
    """Ask on stderr, and return the line that somebody types; an empty one where nobody does."""
    _put(clean(question), err=True)
    return sys.stdin.readline() if sys.stdin is not None else ""


def read_line(prompt: str) -> str:
    """Let a line be typed, with what the terminal has of editing. Raises EOFError at the end of the input."""
    if sys.stdout.isatty():
        return input(prompt)
    _put(prompt, err=True)  # what goes to stdout is the answer alone
    return input()


def write_json(text: str) -> None:
    """Print a JSON text as one line on stdout."""
    text = clean_json(text)
    if not _fits(text, sys.stdout):
        text = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)
    _put(text + "\n", err=False)


def write_bytes_of(text: str) -> None:
    """Write a text on stdout as UTF-8, as it came, for `--raw`."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
    except OSError as error:
        raise _unwritable(error) from None


def write_problem(problem: click.ClickException) -> None:
    """Print an error of click's, with the usage where it belongs to it."""
    text = io.StringIO()
    problem.show(file=text)
    write(text.getvalue(), err=True, end="")


def show_status(text: str) -> None:
    """Write over the last line of the terminal."""
    _put(f"\r{_styled(one_line(text), {'dim': True})} ", err=True)


def clear_status() -> None:
    """Empty the last line of the terminal."""
    _put("\r\033[K", err=True)


def _put(text: str, *, err: bool) -> None:
    stream = sys.stderr if err else sys.stdout
    if stream is None:
        return  # nobody listens; a command without stdout does not begin
    if not _fits(text, stream):
        text = text.encode(stream.encoding, "backslashreplace").decode(stream.encoding)
    try:
        click.echo(text, nl=False, err=err)
    except OSError as error:
        if err:
            give_up(stream)  # there is no place left where this could be told
        else:
            raise _unwritable(error) from None


def _fits(text: str, stream: TextIO) -> bool:
    """Whether the stream's encoding has all of a text."""
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _unwritable(error: OSError) -> Exception:
    """Return what ends the command: quietly where the reader has seen enough, else with the system's words."""
    give_up()
    if isinstance(error, BrokenPipeError):
        return click.exceptions.Exit(READER_LEFT)
    return click.ClickException(f"Cannot write to standard output: {error.strerror or error}.")


def give_up(stream: TextIO | None = None) -> None:
    """Let what is still in the buffer of stdout go nowhere: at the end of the process it would fail once more."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, (stream or sys.stdout).fileno())
        os.close(nowhere)
