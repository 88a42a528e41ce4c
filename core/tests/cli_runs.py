"""The command line as tests run it: in this process, which is quick, and at a pseudo-terminal, which is real."""

from __future__ import annotations

import io
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import pytest

import chatport.cli
from chatport.testing import Emulator

KEY = "emulated-key-1234"


class Done(NamedTuple):
    """What a command has left."""

    code: int
    out: str
    err: str


class Folder:
    """A folder whose configuration leads to an emulated server, with a home of its own. `run` runs a command in it."""

    model = "acme:acme-fast"

    def __init__(self, path: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self.patch = patch
        self._capture = capture
        self.emulator = Emulator("compatible", api_key=KEY, models=("acme-fast", "acme-large"))
        for name in [name for name in os.environ if name.startswith(("LLM_", "CHATPORT_", "BASE_URL"))]:
            patch.delenv(name)
        for name in ("CONFIG", "DATA", "CACHE", "STATE"):
            patch.setenv(f"XDG_{name}_HOME", str(path / "home" / name.lower()))
        patch.setenv("CHATPORT_CONFIG", "named.toml")
        patch.setenv("NO_COLOR", "1")
        patch.chdir(path)

    def configure(self, more: str = "") -> None:
        """Write the configuration, with more at its end."""
        text = f'model = "{self.model}"\n{table("acme", self.emulator)}[retry]\nattempts = 1\n{more}'
        (self.path / "named.toml").write_text(text, "utf-8")

    def run(self, *arguments: str, stdin: str | io.TextIOBase | None = None) -> Done:
        """Run a command, whose input is a text or what is given in its place, or closed."""
        given = io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8") if isinstance(stdin, str) else stdin
        self.patch.setattr("sys.stdin", given)
        self._capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            chatport.cli.main(list(arguments))
        shown = self._capture.readouterr()
        assert "Traceback" not in shown.err
        assert KEY not in shown.out + shown.err
        return Done(int(ended.value.code or 0), shown.out, shown.err)

    @property
    def log(self) -> Path:
        """Where the log is."""
        return self.path / "home" / "data" / "chatport" / "conversations.db"

    def sent(self, at: int = -1) -> list[dict[str, object]]:
        """Return the messages of a request that was sent, the last one if not said."""
        messages: list[dict[str, object]] = self.emulator.requests[at].json()["messages"]
        return messages


class Typed(io.TextIOWrapper):
    """What somebody types at a terminal."""

    def __init__(self, text: str) -> None:
        super().__init__(io.BytesIO(text.encode()), "utf-8")

    def isatty(self) -> bool:
        """Return that it is one."""
        return True


def table(name: str, emulator: Emulator) -> str:
    """Return what a configuration says of a server."""
    return f'[providers.{name}]\nkind = "compatible"\nbase_url = "{emulator.base_url}"\napi_key = "{KEY}"\n'


def opened(path: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> Iterator[Folder]:
    """Give a folder while its server answers."""
    folder = Folder(path, patch, capture)
    with folder.emulator:
        folder.configure()
        yield folder


_PATIENCE_SECONDS = 5.0
_SECONDS = 60.0


class Screen:
    """A program at a pseudo-terminal of its own: what is typed goes to it, and what it writes is seen."""

    def __init__(self, arguments: Sequence[str], **environment: str) -> None:
        import pty
        import termios

        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (50, 200))
        self.process = subprocess.Popen(
            arguments, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", **environment}
        )
        os.close(theirs)
        self.seen = ""
        self._at = 0

    @classmethod
    def of_chatport(cls, *arguments: str, **environment: str) -> Self:
        """Run `chatport` there; it has the terminal for its own, so that Ctrl-C is a signal.

        It is one even where the tests themselves were started in the background, with that signal ignored.
        """
        heard = "signal.signal(signal.SIGINT, signal.default_int_handler)"
        code = f"import os, signal; {heard}; os.login_tty(0); from chatport.cli import main; main()"
        return cls([sys.executable, "-c", code, *arguments], **environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(_SECONDS)
        os.close(self._ours)

    def type(self, text: str) -> None:
        """Type a text as it is; a line ends in a carriage return."""
        os.write(self._ours, text.encode())

    def expect(self, text: str) -> str:
        """Wait until a text is seen, behind what was waited for before; return what stands before it."""
        ends_at = time.monotonic() + _SECONDS
        while (at := self.seen.find(text, self._at)) < 0:
            assert self._read(ends_at), f"{text!r} was not seen in {self.seen[self._at :]!r}"
        before, self._at = self.seen[self._at : at], at + len(text)
        return before

    def ask(self, line: str, answer: str) -> str:
        """Wait for the prompt, type a line, and wait for an answer."""
        self.expect("> ")
        self.type(f"{line}\r")
        self.expect("\n")  # of the line itself, which the terminal shows
        return self.expect(answer)

    def interrupt(self, seen: str = "") -> None:
        """Press Ctrl-C where a line is typed, until a text is seen, or the program has ended where none is given.

        Python's readline loses a signal that comes between its prompt and its waiting: then one presses again.
        """
        for _ in range(int(_SECONDS / _PATIENCE_SECONDS)):
            self.type("\x03")
            ends_at = time.monotonic() + _PATIENCE_SECONDS
            while self._read(ends_at):
                if seen and self.seen.find(seen, self._at) >= 0:
                    return
            if self.process.poll() is not None:
                return

    def left(self) -> int:
        """Wait until the program has ended, and return its exit code."""
        ends_at = time.monotonic() + _SECONDS
        while self._read(ends_at):
            pass
        return self.process.wait(_SECONDS)

    def _read(self, ends_at: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(ends_at - time.monotonic(), 0))
        try:
            piece = os.read(self._ours, 65536) if ready else b""
        except OSError:  # Linux says so at the end
            piece = b""
        self.seen += piece.decode("utf-8", "replace")
        return bool(piece)
