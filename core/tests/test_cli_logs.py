"""The local log: nothing unless asked for, for its user alone, without keys, and gone when it is deleted."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatport.cli.conversations import Book
from chatport.errors import ConfigurationError
from chatport.types import Message

from .cli_runs import KEY, Folder, opened

PRICES = '[models."acme:acme-fast"]\nprices = [{ match = "*", input = 1.0, output = 2.0, currency = "CNY" }]\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Folder]:
    yield from opened(tmp_path, monkeypatch, capsys)


def shown(folder: Folder, *arguments: str) -> list[dict[str, Any]]:
    """Return what a command of `logs` writes as JSON."""
    done = folder.run("logs", *arguments, "--json")
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def name_of(folder: Folder, *arguments: str) -> str:
    """Ask a question that is logged, and return the name of its conversation."""
    done = folder.run("chat", "--log", *arguments)
    assert done.code == 0, done.err
    return done.err.rpartition(" · log ")[2].strip()


def test_nothing_is_logged_unless_asked_for(folder: Folder) -> None:
    folder.run("chat", "-q", "say: one")
    folder.configure("[cli]\nlog = true\n")
    folder.run("chat", "-q", "--no-log", "say: one")
    assert not folder.log.exists()
    assert "There is no log yet" in folder.run("logs").err
    folder.run("chat", "-q", "say: two")
    folder.configure()
    folder.run("chat", "-q", "--log", "say: three")
    assert [entry["beginning"] for entry in shown(folder)] == ["say: three", "say: two"]
    assert folder.run("logs", "path").out == f"{folder.log}\n"


@pytest.mark.skipif(os.name != "posix", reason="modes are as POSIX has them")
def test_the_log_is_for_its_user_alone(folder: Folder) -> None:
    name_of(folder, "say: one")
    assert stat.S_IMODE(folder.log.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.log.parent.stat().st_mode) == 0o700
    folder.log.chmod(0o644)
    name_of(folder, "say: two")
    assert stat.S_IMODE(folder.log.stat().st_mode) == 0o600


def test_a_conversation_is_gone_on_with(folder: Folder) -> None:
    folder.configure(PRICES)
    first = name_of(folder, "-s", "Be brief.", "say: one")
    second = name_of(folder, "say: two")
    done = folder.run("chat", "-q", "--continue", first, "say: three")
    assert (done.code, done.out) == (0, "three\n"), done.err
    texts = [message["content"] for message in folder.sent()]
    assert texts == ["Be brief.", "say: one", "one", "say: three"]
    folder.run("chat", "-q", "--continue", "say: four")  # the last one, which is the first again
    assert len(folder.sent()) == 6
    (entry, other) = shown(folder)
    assert (entry["id"], entry["messages"], other["id"]) == (first, 6, second)
    (whole,) = shown(folder, "show", first)
    assert [message["role"] for message in whole["messages"]] == ["system", *["user", "assistant"] * 3]
    assert len(whole["answers"]) == 3
    assert whole["answers"][0]["currency"] == "CNY"
    assert whole["answers"][0]["output_tokens"] > 0


def test_a_conversation_goes_on_with_the_model_that_it_had(folder: Folder) -> None:
    name = name_of(folder, "-m", "acme:acme-large", "say: one")
    folder.run("chat", "-q", "-c", name, "say: two")
    assert folder.emulator.requests[-1].json()["model"] == "acme-large"
    folder.run("chat", "-q", "-c", name, "-m", folder.model, "say: three")
    assert f"acme:{folder.emulator.requests[-1].json()['model']}" == folder.model


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("chat", "--continue", "20200101-abcd", "hi"), "no conversation '20200101-abcd'"),
        (("chat", "--continue", "20200101-abcd"), "no conversation '20200101-abcd'"),
        (("logs", "show", "20200101-abcd"), "no conversation '20200101-abcd'"),
        (("logs", "delete", "20200101-abcd"), "no conversation '20200101-abcd'"),
        (("logs", "prune"), "Say which"),
        (("logs", "fly"), "No such command 'fly'"),
    ],
)
def test_what_is_not_there_is_said(folder: Folder, arguments: tuple[str, ...], words: str) -> None:
    name_of(folder, "say: one")
    done = folder.run(*arguments, stdin="say: hi" if arguments[0] == "chat" else None)
    assert done.code == 2
    assert words in done.err
    assert len(folder.emulator.requests) == 1


def test_no_key_is_written_down(folder: Folder) -> None:
    """Neither ours nor another vendor's: not as it is, nor as JSON has it."""
    folder.patch.setenv("ACME_API_KEY", 'other"key\\5678')
    (folder.path / "note.txt").write_text(f'ours is {KEY}, and that one other"key\\5678', "utf-8")
    done = folder.run("chat", "-q", "--log", "--file", "note.txt", "say: fine")
    assert done.code == 0
    data = folder.log.read_bytes()
    assert b"ours is ***, and that one ***" in data
    assert KEY.encode() not in data
    assert b"key\\" not in data
    assert KEY in str(folder.sent()[-1]["content"])  # what is sent is what was given


@pytest.mark.parametrize("name", ["ACME_KEY", "ACME_TOKEN", "ACME_SECRET", "ACME_PASSWORD"])
def test_what_a_variable_is_named_says_that_it_is_secret(folder: Folder, name: str) -> None:
    folder.patch.setenv(name, "hunter2!")
    folder.patch.setenv("ACME_KEYS", "no-secret")
    folder.run("chat", "-q", "--log", "say: hunter2! no-secret")
    assert shown(folder)[0]["beginning"] == "say: *** no-secret"


def test_text_is_found_whatever_its_case(folder: Folder) -> None:
    for text in ("say: Über den Wolken", "say: 天気はどう", "say: 100% sure"):
        name_of(folder, text)
    found = shown(folder, "search", "über DEN")
    assert [entry["beginning"] for entry in found] == ["say: Über den Wolken"]
    assert len(shown(folder, "search", "天気")) == 1
    assert len(shown(folder, "search", "0%")) == 1  # a percent sign is itself
    done = folder.run("logs", "search", "wolken")
    assert "den Wolken" in done.out
    assert folder.run("logs", "search", "nowhere").code == 1


def test_conversations_are_shown_as_they_were(folder: Folder) -> None:
    folder.configure(PRICES)
    name = name_of(folder, "say: one \x1b[2J two")
    done = folder.run("logs", "show")
    assert done.out.startswith(f"{name}  ")
    assert "\nuser\nsay: one \\x1b[2J two\n" in done.out
    assert "\nassistant\none \\x1b[2J two\n" in done.out
    assert "¥" in done.out
    assert "\x1b" not in done.out + folder.run("logs").out


def test_what_is_deleted_is_gone_from_the_file(folder: Folder) -> None:
    name = name_of(folder, "say: a-secret-word")
    other = name_of(folder, "say: another")
    assert b"a-secret-word" in folder.log.read_bytes()
    done = folder.run("logs", "delete", name, "20200101-abcd")
    assert done.code == 2  # one of them is not there, so none is deleted
    assert folder.run("logs", "delete", name).out == "1 deleted.\n"
    assert b"a-secret-word" not in folder.log.read_bytes()
    assert [entry["id"] for entry in shown(folder)] == [other]


def test_old_conversations_are_pruned(folder: Folder) -> None:
    names = [name_of(folder, f"say: {number}") for number in range(4)]
    with closing(sqlite3.connect(folder.log)) as db, db:
        for days, name in zip((40, 30, 20, 0), names, strict=True):
            db.execute("UPDATE conversations SET changed = ? WHERE id = ?", (time.time() - days * 86_400 - 9, name))
    done = folder.run("logs", "prune", "--older-than", "30")
    assert done.code == 1
    assert "there is nobody to ask" in done.err
    assert folder.run("logs", "prune", "--older-than", "30", "--keep", "3", "--yes").out == "1 deleted.\n"
    assert folder.run("logs", "prune", "--older-than", "29", "-y").out == "1 deleted.\n"
    assert folder.run("logs", "prune", "--keep", "1", "-y").out == "1 deleted.\n"
    assert [entry["id"] for entry in shown(folder)] == [names[3]]
    assert folder.run("logs", "prune", "--keep", "1").out == "0 deleted.\n"


def test_an_answer_survives_a_log_that_cannot_be_written(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk may be full by then; the answer is paid for."""
    real = Book.keep

    def fails(self: Book, *arguments: Any, **more: Any) -> str:
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute("DROP TABLE answers")
        return real(self, *arguments, **more)

    monkeypatch.setattr(Book, "keep", fails)
    done = folder.run("chat", "-q", "--log", "say: here it is")
    assert (done.code, done.out) == (0, "here it is\n")
    assert "The conversation was not logged" in done.err


def test_a_file_that_is_no_log_of_ours_is_said_before_anything_is_sent(folder: Folder) -> None:
    folder.log.parent.mkdir(parents=True)
    folder.log.write_text("something else entirely, and long enough to be looked at" * 20, "utf-8")
    done = folder.run("chat", "--log", "say: hi")
    assert done.code == 2
    assert "cannot be used: file is not a database" in done.err
    folder.log.unlink()
    Book(folder.log).check()
    with closing(sqlite3.connect(folder.log)) as db, db:
        db.execute("PRAGMA user_version = 99")
    done = folder.run("chat", "--log", "say: hi")
    assert done.code == 2
    assert "is of a newer Chatport (form 99" in done.err
    assert not folder.emulator.requests


@pytest.mark.parametrize("table", ['log = "yes"', "logs = true"])
def test_a_wrong_table_is_said(folder: Folder, table: str) -> None:
    folder.configure(f"[cli]\n{table}\n")
    done = folder.run("chat", "say: hi")
    assert done.code == 2
    assert "[cli] has one key" in done.err


def test_a_found_file_turns_no_log_on(folder: Folder) -> None:
    """Whoever made a working folder has no say in what is written down."""
    folder.patch.delenv("CHATPORT_CONFIG")
    (folder.path / "chatport.toml").write_text("[cli]\nlog = true\n", "utf-8")
    done = folder.run("chat", "-m", folder.model, "say: hi")
    assert done.code == 2
    assert "cli (has your conversations written down)" in done.err


def test_two_that_go_on_with_one_conversation_lose_nothing(tmp_path: Path) -> None:
    book = Book(tmp_path / "log.db")
    first = [Message.user("hello"), Message.assistant("hi")]
    name = book.keep(None, first, stored=0, same=0, model="a:b")
    one = book.keep(name, [*first, Message.user("one"), Message.assistant("1")], stored=2, same=2, model="a:b")
    two = book.keep(name, [*first, Message.user("two"), Message.assistant("2")], stored=2, same=2, model="a:b")
    assert one == name != two
    assert [message.text for message in book.read(one).messages] == ["hello", "hi", "one", "1"]
    assert [message.text for message in book.read(two).messages] == ["hello", "hi", "two", "2"]


def test_only_what_changed_is_written_again(tmp_path: Path) -> None:
    book = Book(tmp_path / "log.db")
    messages = [Message.user("hello"), Message.assistant("hi"), Message.user("more"), Message.assistant("and more")]
    name = book.keep(None, messages, stored=0, same=0, model="a:b")
    book.keep(name, messages[:2], stored=4, same=2, model="a:b")
    book.keep(name, [*messages[:2], Message.user("else")], stored=2, same=2, model="c:d")
    kept = book.read(name)
    assert ([message.text for message in kept.messages], kept.model) == (["hello", "hi", "else"], "c:d")
    book.delete([name])
    with pytest.raises(ConfigurationError, match="no conversation yet"):
        book.read(None)
