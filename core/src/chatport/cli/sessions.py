"""A conversation at the command line: what was said, how it is asked on, and whether it is logged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import BadRequestError, ChatportError, ConfigurationError
from ..types import Message, Part, Reply
from .options import read_reasoning
from .terminal import write
from .turns import Turn

if TYPE_CHECKING:
    from .conversations import Book
    from .tools import Toolbox

__all__ = ["Session", "known_keys"]

_SAMPLING = ("max_tokens", "temperature", "top_p", "seed", "timeout")


class Session:
    """A conversation. `messages` is all of it, the instruction first; `call` is what every question is asked with."""

    def __init__(
        self,
        client: Any,
        call: dict[str, Any],
        look: dict[str, Any],
        *,
        toolbox: Toolbox | None = None,
        book: Book | None = None,
    ) -> None:
        self.client = client
        self.call = call
        self.look = look
        self.toolbox = toolbox
        self.book = book
        self.messages: list[Message] = []
        self.attached: list[Part] = []
        self.asked_last: Message | None = None
        self.name: str | None = None  # in the log
        self._stored = self._same = 0  # how many messages the log has, and how many of those are as they were

    @classmethod
    def opened(cls, client: Any, options: dict[str, Any]) -> Session:
        """Return a session as the options of `chatport chat` want it. Raises before anything is sent."""
        toolbox = None
        if options["tools"]:
            from .tools import Toolbox

            kinds = {name: options[name] for name in ("yes", "max_steps")}
            toolbox = Toolbox(options["tools"], approved=options["approve"], **kinds)
        elif options["approve"]:
            raise BadRequestError("--approve names a tool, and none is given with --tool.")
        session = cls(client, _call(options), options, toolbox=toolbox, book=_book(client, options))
        if options["goes_on"] is not None:
            session._go_on(options["goes_on"] or None)
        if options["system"]:
            session.set_system(options["system"])
        return session

    def _go_on(self, name: str | None) -> None:
        from .conversations import Book

        kept = (self.book or Book()).read(name)
        self.name, self.messages = kept.id, list(kept.messages)
        self._stored = self._same = len(kept.messages)
        self.call["model"] = self.call["model"] or kept.model or None

    @property
    def model(self) -> str:
        """The target or alias that is asked; empty where none is named."""
        return self.call["model"] or self.client.config.model or ""

    @property
    def system(self) -> str:
        """The instruction above the conversation, empty where there is none."""
        return self.messages[0].text if self.messages and self.messages[0].role == "system" else ""

    def set_system(self, text: str) -> None:
        """Put an instruction in the place of the one that there is; an empty one is none."""
        rest = self.messages[1:] if self.messages and self.messages[0].role == "system" else self.messages
        self.messages = [Message.system(text), *rest] if text else list(rest)
        self._same = 0

    def attach(self, files: Iterable[str] = (), images: Iterable[str] = ()) -> None:
        """Have files and images go along with the next message. Raises BadRequestError."""
        files, images = list(files), list(images)
        if files or images:
            from .attachments import parts_of

            self.attached += parts_of(files, images)

    # --- asking

    def ask(self, text: str) -> Turn:
        """Ask, and show what comes. Raises as `Turn.run` does; what has come is in the conversation all the same."""
        message = Message.user(text)
        if self.attached:
            from .attachments import message_of

            message, self.attached = message_of(text, self.attached), []
        return self.ask_with(message)

    def ask_with(self, message: Message) -> Turn:
        """Ask with a message that is made already."""
        self.asked_last = message
        turn = Turn(self.client, [*self.messages, message], self.call, self.look, self.toolbox)
        try:
            turn.run()
        finally:
            if turn.messages:
                self.messages += [message, *turn.messages]
                self._log(turn.replies, turn.seconds)
                turn.note = f" · log {self.name}" if self.book is not None and self.name else ""
        return turn

    # --- changing what was said

    def undo(self) -> Message | None:
        """Take back the last question with all that came of it, and return it; None where there is none."""
        at = next((at for at in reversed(range(len(self.messages))) if self.messages[at].role == "user"), None)
        if at is None:
            return None
        message = self.messages[at]
        del self.messages[at:]
        self._same = min(self._same, at)
        if self.name is not None:
            self._log()
        return message

    def put_back(self, messages: Sequence[Message]) -> None:
        """Have the conversation as it was before `undo`."""
        self.messages = list(messages)
        if self.name is not None:
            self._log()

    def replace(self, messages: Sequence[Message]) -> None:
        """Begin another conversation, with these messages."""
        self.messages, self.name, self._stored, self._same = list(messages), None, 0, 0

    def clear(self) -> None:
        """Begin another conversation; the instruction stays."""
        self.replace([Message.system(self.system)] if self.system else [])

    # --- the log

    def _log(self, replies: Sequence[Reply] = (), seconds: float | None = None) -> None:
        """Write the conversation as it stands to the log. The answer is here: what goes wrong there stops nothing."""
        if self.book is None:
            return
        try:
            self.name = self.book.keep(
                self.name, self.messages, stored=self._stored, same=self._same, model=self.model, replies=replies,
                seconds=seconds, keys=known_keys(self.client),
            )  # fmt: skip
        except ChatportError as error:
            write(f"The conversation was not logged: {error}", fg="yellow", err=True)
        else:
            self._stored = self._same = len(self.messages)


def _call(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the call itself, as the client takes them."""
    call = {name: options[name] for name in ("model", *_SAMPLING)}
    call |= {"reasoning": read_reasoning(options["reasoning"]), "stop": list(options["stop"]) or None}
    call["output"] = _structure(options["schema"])
    if options["strict"]:
        call["on_unsupported"] = "raise"
    return call


def _structure(place: str | None) -> Any:
    if place is None:
        return None
    from .structures import structure_of

    return structure_of(place)


def _book(client: Any, options: dict[str, Any]) -> Book | None:
    """Return the log, None where none is wanted. Raises ConfigurationError where it is, and cannot be used."""
    wanted, table = options["logs"], client.config.tables.get("cli")
    if table is not None:
        unknown = [key for key in table if key != "log"]
        if unknown or not isinstance(table.get("log", False), bool):
            raise ConfigurationError("[cli] has one key: log = true, or false.")
        wanted = table.get("log", False) if wanted is None else wanted
    if wanted is None and options["goes_on"] is not None:
        wanted = True  # who goes on with what was logged has it logged
    if not wanted:
        return None
    from .conversations import Book

    book = Book()
    book.check()
    return book


def known_keys(client: Any) -> tuple[str, ...]:
    """Return all keys that are known here: none of them is written down, even where somebody has pasted one."""
    import os

    from ..basics.secret import Secret

    secrets = [secret for vendor in client._vendors._providers.values() for secret in vendor.secrets]
    secrets += [
        key for table in client.config.providers.values() for key in table.key_sources if isinstance(key, Secret)
    ]
    named = [value for name, value in os.environ.items() if name.endswith(_KEY_NAMES) and len(value) >= _SHORTEST_KEY]
    return tuple(dict.fromkeys([*(secret.reveal() for secret in secrets), *named]))


_KEY_NAMES = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
_SHORTEST_KEY = 8
