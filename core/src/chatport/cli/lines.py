"""Lines that somebody types: edited, remembered and completed where this Python has readline, plain where not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self

from .terminal import read_line, write

__all__ = ["Lines"]

_PROMPT = "> "
_MORE = ". "
_BLOCK = '"""'
_MOST_LINES = 1000


class Lines:
    """Reads messages, one at a time. `complete` returns what a line may become.

    `fit_to_keep` returns a line as it may lie in a file of the history; None: there is no such file. It is kept only
    where conversations are: what somebody types may be as private as what is answered.
    """

    def __init__(self, complete: Callable[[str], list[str]], fit_to_keep: Callable[[str], str] | None = None) -> None:
        self._complete = complete
        self._fit_to_keep = fit_to_keep
        self._found: list[str] = []
        self._readline = _readline()
        self._history = None if fit_to_keep is None or self._readline is None else _history_file()

    def __enter__(self) -> Self:
        if self._readline is not None:
            self._set_up(self._readline)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._readline is None:
            return
        self._readline.set_completer(None)
        if self._history is not None and self._fit_to_keep is not None:
            try:
                self._keep(self._readline, self._history, self._fit_to_keep)
            except OSError as problem:
                write(f"The history of lines was not kept: {problem}", fg="yellow", err=True)

    def _keep(self, readline: ModuleType, path: Path, fit: Callable[[str], str]) -> None:
        """Write the history, a line for each: readline's own files differ from one readline to the other."""
        count = readline.get_current_history_length()
        items = [
            readline.get_history_item(number) or "" for number in range(max(count - _MOST_LINES, 0) + 1, count + 1)
        ]
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text("".join(f"{fit(item).replace(chr(10), ' ')}\n" for item in items), "utf-8", "replace")

    def _set_up(self, readline: ModuleType) -> None:
        if self._history is not None and self._history.exists():
            try:
                for line in self._history.read_text("utf-8", "replace").splitlines():
                    readline.add_history(line)
            except OSError:
                self._history = None  # it is not ours to read, and so not to write
        readline.set_completer(self._candidate)
        readline.set_completer_delims("")  # a line is completed as a whole
        is_editline = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if is_editline else "tab: complete")
        if not is_editline:
            readline.parse_and_bind(r'"\e\C-m": "\C-v\C-j"')  # Alt and Enter: a new line in the message

    def _candidate(self, line: str, number: int) -> str | None:
        if number == 0:
            try:
                self._found = self._complete(line)
            except Exception:  # there is no place here where it could be told
                self._found = []
        return self._found[number] if number < len(self._found) else None

    def read(self) -> str | None:
        """Return the next message that is not empty; None where they leave, by Ctrl-C or at the end of the input."""
        while True:
            try:
                text = self._message()
            except (EOFError, KeyboardInterrupt):
                write(err=True)
                return None
            except UnicodeDecodeError:
                write("That is no text in the encoding of this terminal.", fg="red", err=True)
                continue
            if text.strip():
                return text.strip()

    def _message(self) -> str:
        line = read_line(_PROMPT)
        if line.lstrip().startswith(_BLOCK):
            return self._block(line.lstrip().removeprefix(_BLOCK))
        lines = []
        while line.endswith("\\"):
            lines.append(line[:-1])
            line = read_line(_MORE)
        return "\n".join([*lines, line])

    def _block(self, line: str) -> str:
        lines = []
        while not line.rstrip().endswith(_BLOCK):
            lines.append(line)
            line = read_line(_MORE)
        return "\n".join([*lines, line.rstrip().removesuffix(_BLOCK)])


def _readline() -> ModuleType | None:
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    try:
        import readline  # it takes the terminal over: not before somebody types
    except ImportError:  # as on Windows
        return None
    return readline


def _history_file() -> Path | None:
    from platformdirs import user_data_path

    path = user_data_path("chatport", appauthor=False) / "lines.txt"
    return path if path.is_absolute() and os.name == "posix" else None
