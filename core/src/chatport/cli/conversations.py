"""The local log of conversations: an SQLite file of its user alone, for who wants one.

Each use opens the file and closes it again, so that several terminals share it. What a conversation holds is what
`Message.to_json` writes, without the keys that are known here.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs

from .. import jsoncodec
from ..basics.values import Value
from ..decoding.redaction import hide_key_in
from ..errors import ConfigurationError
from ..types import Message, Reply

__all__ = ["Book", "Kept", "Listed", "log_file"]

_STEPS = (
    """
    CREATE TABLE conversations (
        id TEXT PRIMARY KEY, began REAL NOT NULL, changed REAL NOT NULL, model TEXT NOT NULL);
    CREATE INDEX conversations_by_change ON conversations (changed);
    CREATE TABLE messages (
        conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        place INTEGER NOT NULL, role TEXT NOT NULL, text TEXT NOT NULL, message TEXT NOT NULL,
        PRIMARY KEY (conversation, place)) WITHOUT ROWID;
    CREATE TABLE answers (
        conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        at REAL NOT NULL, model TEXT NOT NULL, finish_reason TEXT NOT NULL, input_tokens INTEGER, output_tokens INTEGER,
        cost REAL, currency TEXT, seconds REAL);
    CREATE INDEX answers_of_conversation ON answers (conversation);
    """,
)
"""What makes a file of one form into one of the next; the file's `user_version` is how many of them it has had."""
_LIST = """
    SELECT c.id, c.changed, c.model,
        (SELECT count(*) FROM messages m WHERE m.conversation = c.id AND m.role != 'system'),
        coalesce((SELECT m.text FROM messages m WHERE m.conversation = c.id AND m.role = 'user' ORDER BY m.place), ''),
        (SELECT m.text FROM messages m WHERE :text IS NOT NULL AND m.conversation = c.id
            AND instr(folded(m.text), :text) ORDER BY m.place) AS found
    FROM conversations c
    WHERE substr(c.id, 1, length(:beginning)) = :beginning AND (:text IS NULL OR found IS NOT NULL)
    ORDER BY c.changed DESC, c.id LIMIT :most"""
_SECONDS = 10.0
"""How long another process may hold the file."""


@attrs.frozen(eq=False, repr=False)
class Kept(Value):
    """A conversation of the log. `model` is what it was asked with last; times are seconds since 1970, UTC."""

    id: str
    began: float
    changed: float
    model: str
    messages: tuple[Message, ...]
    answers: tuple[dict[str, Any], ...]


@attrs.frozen(eq=False, repr=False)
class Listed(Value):
    """A conversation in a list. `beginning` is the first message of its user, `found` the one that was looked for."""

    id: str
    changed: float
    model: str
    messages: int
    beginning: str
    found: str | None = None


def log_file() -> Path:
    """Return where the log is. Raises ConfigurationError for a user without a place of their own."""
    from platformdirs import user_data_path

    path = user_data_path("chatport", appauthor=False) / "conversations.db"
    if not path.is_absolute():
        raise ConfigurationError("There is no place for a log: this user has no home.")
    return path


class Book:
    """The log. Every method raises ConfigurationError where the file cannot be used."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or log_file()

    @property
    def exists(self) -> bool:
        """Whether anything was ever logged here."""
        return self.path.exists()

    def check(self) -> None:
        """Make the file, or find out that it can be used, before anything is sent that it is to keep."""
        with self._open():
            pass

    # --- writing

    def keep(
        self,
        name: str | None,
        messages: Sequence[Message],
        *,
        stored: int,
        same: int,
        model: str,
        replies: Sequence[Reply] = (),
        seconds: float | None = None,
        keys: tuple[str, ...] = (),
    ) -> str:
        """Write a conversation as it stands, and return its name; None begins a new one.

        `stored` messages were there last, of which the first `same` have not changed. Where another process has gone on
        with it meanwhile, a new one begins too: neither loses anything to the other.
        """
        now = time.time()
        with self._open() as db:
            if name is not None and not _is_as_known(db, name, stored):
                name = None
            if name is None:
                name, same = _new_name(db, now), 0
                db.execute("INSERT INTO conversations VALUES (?, ?, ?, ?)", (name, now, now, model))
            db.execute("UPDATE conversations SET changed = ?, model = ? WHERE id = ?", (now, model, name))
            db.execute("DELETE FROM messages WHERE conversation = ? AND place >= ?", (name, len(messages)))
            rows = [(name, *_row(place, messages[place], keys)) for place in range(same, len(messages))]
            db.executemany("INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?)", rows)
            db.executemany(
                "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(name, now, *_answer(reply), seconds) for reply in replies],
            )
        return name

    def delete(self, names: Sequence[str]) -> int:
        """Remove conversations, and return how many there were."""
        with self._open() as db:
            return sum(db.execute("DELETE FROM conversations WHERE id = ?", (name,)).rowcount for name in names)

    def older_than(self, changed: float) -> list[str]:
        """Return the conversations that were last changed before that time."""
        with self._open() as db:
            rows = db.execute("SELECT id FROM conversations WHERE changed < ? ORDER BY changed", (changed,))
            return [row[0] for row in rows]

    def all_but(self, most: int) -> list[str]:
        """Return all conversations but the newest ones."""
        with self._open() as db:
            rows = db.execute("SELECT id FROM conversations ORDER BY changed DESC, id LIMIT -1 OFFSET ?", (most,))
            return [row[0] for row in rows]

    # --- reading

    def read(self, name: str | None) -> Kept:
        """Return a conversation, the last one for None. Raises ConfigurationError where there is none."""
        with self._open(must_exist=True) as db:
            which = "ORDER BY changed DESC LIMIT 1" if name is None else "WHERE id = ?"
            row = db.execute(f"SELECT * FROM conversations {which}", [name] if name else []).fetchone()
            if row is None:
                what = "no conversation yet" if name is None else f"no conversation {name!r}: chatport logs lists all"
                raise ConfigurationError(f"The log has {what}.")
            texts = db.execute("SELECT message FROM messages WHERE conversation = ? ORDER BY place", (row["id"],))
            messages = tuple(Message.from_json(text) for (text,) in texts)
            answers = db.execute("SELECT * FROM answers WHERE conversation = ? ORDER BY rowid", (row["id"],)).fetchall()
        told = tuple({key: value for key, value in dict(answer).items() if key != "conversation"} for answer in answers)
        return Kept(row["id"], row["began"], row["changed"], row["model"], messages, told)

    def listed(self, most: int, text: str | None = None, beginning: str = "") -> list[Listed]:
        """Return the newest conversations, or those with a text in one of their messages, whatever its case."""
        with self._open(must_exist=True) as db:
            db.create_function("folded", 1, str.casefold, deterministic=True)
            given = {"text": None if text is None else text.casefold(), "beginning": beginning, "most": most}
            return [Listed(*row) for row in db.execute(_LIST, given)]

    # --- the file

    @contextmanager
    def _open(self, *, must_exist: bool = False) -> Iterator[sqlite3.Connection]:
        """Give the file in one transaction. Raises ConfigurationError, also for what goes wrong inside."""
        if must_exist and not self.exists:
            raise ConfigurationError(f"There is no log yet: {self.path}. Ask with --log, or set log = true in [cli].")
        try:
            _make_private(self.path)
            with closing(sqlite3.connect(self.path, timeout=_SECONDS, isolation_level=None)) as db:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA foreign_keys = ON")
                db.execute("PRAGMA secure_delete = ON")  # what is deleted is gone, not only out of sight
                db.execute("BEGIN IMMEDIATE")
                _bring_up(db, self.path)
                yield db
                db.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            problem = getattr(error, "strerror", None) or error
            raise ConfigurationError(f"The log {self.path} cannot be used: {problem}.") from error


def _make_private(path: Path) -> None:
    """Make the file and its folder for the user alone. What SQLite puts beside it gets the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    if os.name == "posix" and path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _bring_up(db: sqlite3.Connection, path: Path) -> None:
    """Make an older file, or an empty one, into one of this form."""
    (form,) = db.execute("PRAGMA user_version").fetchone()
    if form > len(_STEPS):
        raise ConfigurationError(
            f"The log {path} is of a newer Chatport (form {form}, this one knows {len(_STEPS)}). Update chatport-core."
        )
    for step in _STEPS[form:]:
        for statement in filter(str.strip, step.split(";")):
            db.execute(statement)
    if form < len(_STEPS):
        db.execute(f"PRAGMA user_version = {len(_STEPS)}")


def _new_name(db: sqlite3.Connection, now: float) -> str:
    day = time.strftime("%Y%m%d", time.localtime(now))
    while True:
        name = f"{day}-{os.urandom(2).hex()}"
        if db.execute("SELECT 1 FROM conversations WHERE id = ?", (name,)).fetchone() is None:
            return name


def _is_as_known(db: sqlite3.Connection, name: str, stored: int) -> bool:
    (count,) = db.execute("SELECT count(*) FROM messages WHERE conversation = ?", (name,)).fetchone()
    is_there = db.execute("SELECT 1 FROM conversations WHERE id = ?", (name,)).fetchone() is not None
    return is_there and bool(count == stored)


def _row(place: int, message: Message, keys: tuple[str, ...]) -> tuple[int, str, str, str]:
    whole = message.to_json()
    if keys:
        whole = jsoncodec.encode_text(hide_key_in(jsoncodec.decode_text(whole), keys))
    return place, message.role, hide_key_in(message.text, keys) if keys else message.text, whole


def _answer(reply: Reply) -> tuple[Any, ...]:
    cost = (None, None) if reply.cost is None else (reply.cost.amount, reply.cost.currency)
    return (
        f"{reply.provider}:{reply.model}", reply.finish_reason, reply.usage.input_tokens, reply.usage.output_tokens,
        *cost,
    )  # fmt: skip
