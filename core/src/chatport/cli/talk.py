"""A conversation at a terminal: lines are read, questions are asked, and words that begin with a slash are commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import click

from ..basics.display import one_line
from ..decoding.redaction import hide_key
from ..errors import BadRequestError, ChatportError
from ..types import Message
from ..types.runs import Run
from .failures import tell_error
from .lines import Lines
from .sessions import Session, known_keys
from .terminal import is_confirmed, write
from .turns import Turn, unanswered

__all__ = ["Talk"]

_COMMAND = re.compile(r"/([a-z]++)(?:\s++(.*+))?+", re.DOTALL)
_HELP = """\
/model [TARGET]   ask another vendor or model from now on; without TARGET, say which one it is
/system [TEXT]    set the instruction above the conversation; - takes it away
/file FILE        have a text file or a document go along with the next message
/image FILE|URL   have an image go along with it
/undo             take back the last question and its answer
/retry            ask the last question again
/clear            begin a new conversation; the instruction stays
/save FILE        write the conversation to a file
/load FILE        go on with a conversation from such a file
/usage            say what was used and what it cost
/quit             leave, as Ctrl-D does
\"\"\"               begins and ends a message of several lines; so does a line that ends in \\
//TEXT            a message that begins with a slash
Ctrl-C            stops an answer, and keeps what came; where a line is typed, it leaves"""


class Leave(Exception):
    """The conversation is over."""


class Talk:
    """One conversation with whoever sits there. `hold` returns when they leave."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._failed: Message | None = None  # a question without any answer, for /retry
        self._commands: Mapping[str, Callable[[str], None]] = {
            "help": self._help, "model": self._model, "system": self._system, "file": self._file, "image": self._image,
            "undo": self._undo, "retry": self._retry, "clear": self._clear, "save": self._save, "load": self._load,
            "usage": self._usage, "quit": self._quit, "exit": self._quit,
        }  # fmt: skip
        self._lines = Lines(self._complete, self._without_keys if session.book is not None else None)

    def hold(self) -> None:
        """Talk until they leave."""
        self._greet()
        with self._lines:
            while (text := self._lines.read()) is not None:
                try:
                    self._take(text)
                except Leave:
                    break

    def _greet(self) -> None:
        asked = self._session.model or "no model yet: /model provider:model"
        said = sum(message.role != "system" for message in self._session.messages)
        earlier = f" · {said} messages so far" if said else ""
        write(one_line(f"{asked}{earlier} · /help says what else can be typed"), dim=True, err=True)

    def _take(self, text: str) -> None:
        """Do what a line wants. Nothing that goes wrong ends the conversation."""
        command = _COMMAND.fullmatch(text)
        try:
            if command is None:
                self._ask(lambda: self._session.ask(text.removeprefix("/") if text.startswith("//") else text))
            elif command[1] in self._commands:
                self._commands[command[1]]((command[2] or "").strip())
            else:
                write(f"There is no /{command[1]}. /help lists all; //{command[1]} is a message.", fg="red", err=True)
        except ChatportError as error:
            tell_error(error)
        except OSError as error:
            write(f"{error.filename or 'The file'}: {error.strerror or error}.", fg="red", err=True)
        except (KeyboardInterrupt, click.Abort):  # in a question of ours
            write(err=True)

    def _ask(self, ask: Callable[[], Turn]) -> None:
        """Ask, and tell how it ended. Ctrl-C stops the answer, and what has come of it stays in the conversation."""
        before = len(self._session.messages)
        try:
            turn = ask()
        except KeyboardInterrupt:
            has_come = len(self._session.messages) > before
            words = "Stopped. What had come is kept." if has_come else "Stopped, before anything had come."
            write(words, fg="yellow", err=True)
        except ChatportError as error:
            tell_error(error)
        else:
            with suppress(click.exceptions.Exit):  # what is wrong was said, and here it is no end
                turn.tell()
        self._failed = None if len(self._session.messages) > before else self._session.asked_last

    # --- commands

    def _help(self, _: str) -> None:
        write(_HELP, err=True)

    def _model(self, name: str) -> None:
        if name:
            for target in self._session.client.targets(name):
                self._session.client.facts(target)  # which says what is wrong with it
            self._session.call["model"] = name
        targets = self._session.client.targets(self._session.call["model"])
        shown = self._session.model
        more = "" if targets == (shown,) else f" ({', '.join(targets)})"
        write(one_line(f"{shown}{more}"), dim=True, err=True)

    def _system(self, text: str) -> None:
        if text:
            self._session.set_system("" if text == "-" else text)
        write(self._session.system or "There is no instruction.", dim=True, err=True)

    def _file(self, place: str) -> None:
        self._attach(place, files=[place])

    def _image(self, place: str) -> None:
        self._attach(place, images=[place])

    def _attach(self, place: str, **places: Sequence[str]) -> None:
        if not place:
            raise BadRequestError("Which one? Name it behind the command.")
        self._session.attach(**places)
        write(f"{len(self._session.attached)} attached to the next message.", dim=True, err=True)

    def _undo(self, _: str) -> None:
        message = self._session.undo()
        words = "There is nothing to take back." if message is None else f"Taken back: {message.text}"
        write(one_line(words, 200), dim=True, err=True)

    def _retry(self, _: str) -> None:
        earlier = None if self._failed else list(self._session.messages)
        message = self._failed or self._session.undo()
        if message is None:
            raise BadRequestError("There is no question yet.")
        self._ask(lambda: self._session.ask_with(message))
        if self._failed is not None and earlier is not None:
            self._failed = None
            self._session.put_back(earlier)
            write("The answer that there was stays.", dim=True, err=True)

    def _clear(self, _: str) -> None:
        self._session.clear()
        self._failed = None
        write("A new conversation.", dim=True, err=True)

    def _save(self, place: str) -> None:
        if not place:
            raise BadRequestError("Where to? /save FILE.")
        path = Path(place).expanduser()
        if path.exists() and not is_confirmed(f"{path} exists. Write over it?"):
            return
        text = Run(tuple(self._session.messages)).to_json()
        path.touch(mode=0o600)  # a conversation is its user's own affair
        path.write_text(text, encoding="utf-8")
        write(f"{len(self._session.messages)} messages are in {path}.", dim=True, err=True)

    def _load(self, place: str) -> None:
        if not place:
            raise BadRequestError("From where? /load FILE.")
        run = Run.from_json(Path(place).expanduser().read_bytes())
        self._session.replace([*run.messages, *unanswered(run)])
        self._failed = None
        write(f"{len(run.messages)} messages; the last: {_last_text(run)}", dim=True, err=True)

    def _usage(self, _: str) -> None:
        write(str(self._session.client.totals), dim=True, err=True)

    def _quit(self, _: str) -> None:
        raise Leave

    # --- lines

    def _without_keys(self, text: str) -> str:
        return hide_key(text, known_keys(self._session.client))

    def _complete(self, line: str) -> list[str]:
        """Return whole lines that one may become."""
        command, space, rest = line.partition(" ")
        if not space:
            return [f"/{name} " for name in self._commands if f"/{name}".startswith(line)] if line[:1] == "/" else []
        if command != "/model":
            return []
        from .completing import targets

        return [f"{command} {item.value}" for item in targets(rest.strip())]


def _last_text(run: Run) -> str:
    return one_line(next((message.text for message in reversed(run.messages) if message.text), "nothing"), 80)
