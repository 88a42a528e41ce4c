"""`chatport completions`."""

from __future__ import annotations

import click

from .terminal import write

__all__ = ["command"]


@click.command("completions")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def command(shell: str, words: tuple[str, ...]) -> None:
    """Print what makes SHELL complete the commands, options, models and aliases of chatport.

    With WORDS, it prints what may stand in the place of the last one: so the shell asks when somebody presses Tab.
    """
    from .shells import SCRIPTS

    if not words:
        write(SCRIPTS[shell], end="")
        return
    from . import group
    from .completing import candidates
    from .shells import answer

    typed, cut, quote = list(words), 0, ""
    if shell == "bash":
        typed, cut, quote = _of_bash(*words[:2])
    for text in answer(shell, candidates(group, typed), cut, quote):
        write(text)


def _of_bash(breaks: str, line: str = "") -> tuple[list[str], int, str]:
    """Return the words of a line; of the last one how much bash takes for a word before it, and the open quote."""
    from .shells import words_of_line

    words, quote = words_of_line(line)
    last = words[-1]
    cut = 0 if quote else max(last.rfind(mark) + 1 if mark in breaks else 0 for mark in ":=")
    return words[1:], cut, quote
