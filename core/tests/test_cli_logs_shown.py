"""What `chatport logs` writes, to the letter, and what the file of the log does with odd times, modes and names."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import platformdirs
import pytest

from chatport.cli.conversations import Book, Kept, Listed
from chatport.errors import ConfigurationError
from chatport.types import Cost, FilePart, ImagePart, Message, Reply, ToolCall, Usage

from .cli_runs import Folder, Typed, opened

THEN = 1_700_000_000.0
ISO = "2023-11-14T22:13:20Z"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Folder]:
    yield from opened(tmp_path, monkeypatch, capsys)


def keep(path: Path, *messages: Message, changed: float = THEN, replies: tuple[Reply, ...] = ()) -> str:
    """Write a conversation that began and was last changed at that time, and return its name."""
    name = Book(path).keep(None, messages, stored=0, same=0, model="acme:acme-fast", replies=replies)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE conversations SET began = ?, changed = ? WHERE id = ?", (changed, changed, name))
        db.execute("UPDATE answers SET at = ? WHERE conversation = ?", (changed, name))
    return name


def local(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


# --- lists


def test_a_line_of_the_list_has_name_time_count_beginning_and_model(folder: Folder) -> None:
    brief, first = Message.system("Be brief."), Message.user("first\n  line")
    name = keep(folder.log, brief, first, Message.assistant("yes"), Message.user("second"))
    expected = f"{name}  {local(THEN)}    3  first line  acme:acme-fast\n"
    assert folder.run("logs") == (0, expected, "")
    assert folder.run("logs", "list") == (0, expected, "")


def test_a_conversation_of_which_its_user_said_nothing_has_an_empty_beginning(folder: Folder) -> None:
    name = keep(folder.log, Message.assistant("yes"))
    assert folder.run("logs").out == f"{name}  {local(THEN)}    1    acme:acme-fast\n"
    assert json.loads(folder.run("logs", "--json").out)["beginning"] == ""


@pytest.mark.parametrize(("length", "shown"), [(60, "x" * 60), (61, "x" * 59 + "…")])
def test_a_line_of_the_list_shows_sixty_characters(folder: Folder, length: int, shown: str) -> None:
    keep(folder.log, Message.user("x" * length))
    assert f"    1  {shown}  acme:" in folder.run("logs").out


@pytest.mark.parametrize(("length", "shown"), [(500, "x" * 500), (501, "x" * 499 + "…")])
def test_a_program_is_given_five_hundred_characters(folder: Folder, length: int, shown: str) -> None:
    name = keep(folder.log, Message.user("x" * length), Message.assistant("yes"))
    told = {"id": name, "changed": ISO, "model": "acme:acme-fast", "messages": 2, "beginning": shown}
    assert json.loads(folder.run("logs", "list", "--json").out) == told
    assert json.loads(folder.run("logs", "search", "YES", "--json").out) == {**told, "found": "yes"}


def test_the_newest_come_first_and_as_many_as_were_asked_for(folder: Folder) -> None:
    name = keep(folder.log, Message.user("say: one"))
    with closing(sqlite3.connect(folder.log)) as db, db:
        for number in range(1, 21):
            values = (f"20200101-{number:04x}", THEN + number, name)
            db.execute("INSERT INTO conversations SELECT ?1, began, ?2, model FROM conversations WHERE id = ?3", values)
            db.execute(
                "INSERT INTO messages SELECT ?1, place, role, text, message FROM messages WHERE conversation = ?3",
                values,
            )
    for command in (("logs",), ("logs", "list"), ("logs", "search", "say")):
        shown = [line.split()[0] for line in folder.run(*command).out.splitlines()]
        assert shown == [f"20200101-{number:04x}" for number in range(20, 0, -1)]  # twenty if not said
        for option in ("-n", "--number"):
            assert folder.run(*command, option, "1").out.split()[0] == "20200101-0014"
            assert len(folder.run(*command, option, "21", "--json").out.splitlines()) == 21
            done = folder.run(*command, option, "0")
            assert (done.code, "0 is not in the range x>=1" in done.err) == (2, True)


def test_of_one_time_the_name_says_which_comes_first(folder: Folder) -> None:
    names = sorted(keep(folder.log, Message.user("hi")) for _ in range(5))
    assert [line.split()[0] for line in folder.run("logs").out.splitlines()] == names
    assert Book(folder.log).all_but(2) == names[2:]


def test_an_empty_log_and_a_search_in_vain_are_said(folder: Folder) -> None:
    Book(folder.log).check()
    assert folder.run("logs") == (0, "", "No conversation.\n")
    assert folder.run("logs", "list", "--json") == (0, "", "No conversation.\n")
    assert folder.run("logs", "search", "It's") == (1, "", 'No conversation has "It\'s" in it.\n')


@pytest.mark.parametrize(
    ("before", "shown"), [(20, "." * 20 + "Needle" + "x" * 33), (21, "…" + "." * 20 + "Needle" + "x" * 32)]
)
def test_what_was_found_is_shown_with_what_stands_around_it(folder: Folder, before: int, shown: str) -> None:
    """With twenty characters before it: a mark says that there are more."""
    keep(folder.log, Message.user("a beginning"), Message.assistant("." * before + "Needle" + "x" * 200))
    assert folder.run("logs", "search", "nEEDLE").out.partition("  2  ")[2] == f"{shown}…  acme:acme-fast\n"


def test_the_first_message_with_the_text_is_the_one_that_is_found(folder: Folder) -> None:
    keep(folder.log, Message.user("nothing"), Message.assistant("one word"), Message.user("two words"))
    assert json.loads(folder.run("logs", "search", "WORD", "--json").out)["found"] == "one word"


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_that_of_the_group_and_lists_its_commands(folder: Folder, option: str) -> None:
    done = folder.run("logs", option)
    assert done.code == 0
    assert re.findall(r"^  (\w+) ", done.out.partition("Commands:")[2], re.MULTILINE) == [
        "delete", "list", "path", "prune", "search", "show",
    ]  # fmt: skip
    assert "--number" in folder.run("logs", "--number", "3", option).out  # behind an option it is that of the list


# --- one conversation


def test_everything_of_a_conversation_is_shown(folder: Folder) -> None:
    call = ToolCall("1", "weather", '{"city":\n"Rome"}')
    messages = [
        Message.system("Be brief."),
        Message.user("look", ImagePart("https://a.example/b.png"), FilePart("JVBERi0=", "application/pdf")),
        Message("assistant", (), (call,)),
        Message.tool("1", "rain"),
        Message("assistant", (), refusal="I will not."),
    ]
    counted = Usage(1234567, 1000)
    replies = (
        Reply("", provider="acme", model="one", usage=counted, cost=Cost(0.25, "CNY"), finish_reason="tool_calls"),
        Reply("", provider="acme", model="two", finish_reason="stop"),
    )
    name = keep(folder.log, *messages, replies=replies)
    shown = (
        f"{name}  {local(THEN)}  acme:acme-fast\n"
        "\nsystem\nBe brief.\n"
        "\nuser\nlook\n(image)\n(file)\n"
        '\nassistant\n→ weather({"city":\\n"Rome"})\n'
        "\ntool\nrain\n"
        "\nassistant\nI will not.\n"
        f"{local(THEN)}  acme:one  1,234,567 in, 1,000 out · ¥0.250000 · tool_calls\n"
        f"{local(THEN)}  acme:two  ? in, ? out · cost unknown · stop\n"
    )
    assert folder.run("logs", "show", name) == (0, shown, "")
    assert folder.run("logs", "show") == (0, shown, "")


def test_a_program_is_given_everything_of_a_conversation(folder: Folder) -> None:
    reply = Reply("", provider="acme", model="one", usage=Usage(3, 4), cost=Cost(0.5), finish_reason="stop")
    name = keep(folder.log, Message.user("hi"), Message.assistant("yes"), replies=(reply,))
    told = json.loads(folder.run("logs", "show", "--json").out)
    assert [(message["role"], message["content"][0]["text"]) for message in told.pop("messages")] == [
        ("user", "hi"),
        ("assistant", "yes"),
    ]
    answer = {
        "at": ISO, "model": "acme:one", "finish_reason": "stop", "input_tokens": 3, "output_tokens": 4, "cost": 0.5,
        "currency": "USD", "seconds": None,
    }  # fmt: skip
    assert told == {"id": name, "began": ISO, "changed": ISO, "model": "acme:acme-fast", "answers": [answer]}


def test_how_long_an_answer_took_is_kept(folder: Folder) -> None:
    assert folder.run("chat", "-q", "--log", "say: one").code == 0
    (answer,) = json.loads(folder.run("logs", "show", "--json").out)["answers"]
    assert 0 < answer["seconds"] < 60
    assert answer["model"] == "acme:acme-fast"


def test_the_last_conversation_is_the_one_that_was_changed_last(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    keep(path, Message.user("first"))
    last = keep(path, Message.user("second"), changed=THEN + 1)
    keep(path, Message.user("third"), changed=THEN - 1)
    kept = Book(path).read(None)
    assert (kept.id, kept.began, kept.changed) == (last, THEN + 1, THEN + 1)


# --- what is deleted


def test_as_many_as_were_there_are_deleted(folder: Folder) -> None:
    one, two, three = (keep(folder.log, Message.user("hi")) for _ in range(3))
    done = folder.run("logs", "delete", one, "20200101-abcd", two)
    assert (done.code, done.out) == (2, "")
    assert done.err == ("ConfigurationError: The log has no conversation '20200101-abcd': chatport logs lists all.\n")
    assert folder.run("logs", "delete", one, two, one) == (0, "2 deleted.\n", "")
    assert [entry.id for entry in Book(folder.log).listed(9)] == [three]
    with closing(sqlite3.connect(folder.log)) as db:
        assert db.execute("SELECT DISTINCT conversation FROM messages").fetchall() == [(three,)]


def test_nothing_is_pruned_where_nobody_can_be_asked(folder: Folder) -> None:
    for _ in range(3):
        keep(folder.log, Message.user("hi"))
    words = "Nothing was deleted: there is nobody to ask. Confirm the 2 with --yes.\n"
    for stdin in (None, "y\n"):
        assert folder.run("logs", "prune", "--keep", "1", stdin=stdin) == (1, "", words)
    assert folder.run("logs", "prune", "--keep", "1", "--yes", stdin=Typed("")) == (0, "2 deleted.\n", "")
    assert folder.run("logs", "prune", "--keep", "1", stdin=Typed("")) == (0, "0 deleted.\n", "")


def test_both_options_of_pruning_mean_what_each_of_them_does(folder: Folder) -> None:
    """With --keep 0 alone all go, with --older-than beside it only what is old."""
    now = time.time()
    old = [keep(folder.log, Message.user("hi"), changed=now - days * 86_400) for days in (9.5, 8.5, 7.5)]
    new = keep(folder.log, Message.user("hi"), changed=now)
    assert Book(folder.log).older_than(now - 8 * 86_400) == old[:2]  # the oldest first
    assert folder.run("logs", "prune", "--older-than", "9", "--keep", "0", "-y").out == "1 deleted.\n"
    assert folder.run("logs", "prune", "--older-than", "7", "--keep", "2", "-y").out == "1 deleted.\n"
    assert [entry.id for entry in Book(folder.log).listed(9)] == [new, old[2]]
    assert folder.run("logs", "prune", "--older-than", "0", "--keep", "1", "-y").out == "1 deleted.\n"
    assert folder.run("logs", "prune", "--keep", "0", "-y").out == "1 deleted.\n"
    done = folder.run("logs", "prune")
    assert (done.code, "Say which: --older-than DAYS, --keep NUMBER, or both." in done.err) == (2, True)


@pytest.mark.parametrize("option", ["--older-than", "--keep"])
def test_less_than_nothing_is_no_number_to_prune_by(folder: Folder, option: str) -> None:
    done = folder.run("logs", "prune", option, "-1")
    assert done.code == 2
    assert "is not in the range x>=0" in done.err


def test_what_was_changed_at_that_very_moment_is_not_older(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    name = keep(path, Message.user("hi"))
    assert Book(path).older_than(THEN) == []
    assert Book(path).older_than(THEN + 0.001) == [name]


# --- the file


@pytest.mark.skipif(os.name != "posix", reason="modes are as POSIX has them")
@pytest.mark.parametrize("bit", [0o001, 0o002, 0o004, 0o010, 0o020, 0o040])
def test_whatever_others_may_do_with_the_log_is_taken_from_them(tmp_path: Path, bit: int) -> None:
    path = tmp_path / "deep" / "down" / "log.db"
    Book(path).check()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o600 | bit)
    Book(path).check()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_user_without_a_home_has_no_log(folder: Folder) -> None:
    """Then the usual place is a relative one, below whatever folder somebody is in."""
    folder.patch.setattr(platformdirs, "user_data_path", lambda *_, **__: Path("~/.local/share/chatport"))
    words = "ConfigurationError: There is no place for a log: this user has no home.\n"
    assert folder.run("logs", "path") == (2, "", words)
    assert folder.run("chat", "--log", "hi") == (2, "", words)
    assert not folder.emulator.requests


def test_a_log_that_was_never_written_is_said_with_its_place(folder: Folder) -> None:
    words = f"ConfigurationError: There is no log yet: {folder.log}. Ask with --log, or set log = true in [cli].\n"
    for command in (("logs",), ("logs", "search", "x"), ("logs", "show"), ("logs", "delete", "x")):
        assert folder.run(*command) == (2, "", words)
    assert not folder.log.parent.exists()


def test_a_log_without_a_conversation_says_so(folder: Folder) -> None:
    Book(folder.log).check()
    assert folder.run("logs", "show") == (2, "", "ConfigurationError: The log has no conversation yet.\n")


def test_a_folder_in_the_place_of_the_log_is_said(folder: Folder) -> None:
    folder.log.mkdir(parents=True)
    assert folder.run("logs") == (2, "", f"ConfigurationError: The log {folder.log} cannot be used: Is a directory.\n")


def test_a_log_of_this_form_and_of_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    Book(path).check()
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        db.execute("PRAGMA user_version = 2")
    with pytest.raises(ConfigurationError) as failed:
        Book(path).check()
    words = f"The log {path} is of a newer Chatport (form 2, this one knows 1). Update chatport-core."
    assert str(failed.value) == words


def test_what_fails_inside_of_it_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    name = keep(path, Message.user("hi"))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE answers")
    with pytest.raises(ConfigurationError, match="no such table: answers"):
        Book(path).keep(name, [Message.user("no")], stored=1, same=0, model="c:d", replies=(Reply("x"),))
    (entry,) = Book(path).listed(9)
    assert (entry.beginning, entry.model, entry.changed) == ("hi", "acme:acme-fast", THEN)


def test_a_name_is_the_day_and_four_digits(tmp_path: Path) -> None:
    before = time.time()
    name = Book(tmp_path / "log.db").keep(None, [Message.user("hi")], stored=0, same=0, model="a:b")
    days = {datetime.fromtimestamp(moment).strftime("%Y%m%d") for moment in (before, time.time())}
    assert re.fullmatch(f"(?:{'|'.join(days)})-[0-9a-f]{{4}}", name)
    kept = Book(tmp_path / "log.db").read(name)
    assert before <= kept.began == kept.changed <= time.time()


def test_a_name_that_is_taken_is_not_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = iter([b"\0\1", b"\0\1", b"\0\2"])
    monkeypatch.setattr(os, "urandom", lambda size: next(given)[:size])
    path = tmp_path / "log.db"
    names = [Book(path).keep(None, [Message.user("hi")], stored=0, same=0, model="a:b") for _ in range(2)]
    assert [name[8:] for name in names] == ["-0001", "-0002"]


def test_a_conversation_that_was_deleted_meanwhile_begins_anew(tmp_path: Path) -> None:
    """All of it is written then, also what had not changed; and none of its messages is no sign that it is there."""
    book = Book(tmp_path / "log.db")
    messages = [Message.user("hello"), Message.assistant("hi")]
    name = book.keep(None, messages, stored=0, same=0, model="a:b")
    book.delete([name])
    again = book.keep(name, messages, stored=2, same=2, model="a:b")
    assert [message.text for message in book.read(again).messages] == ["hello", "hi"]
    book.delete([again])
    other = book.keep(again, messages, stored=0, same=0, model="a:b")
    assert [message.text for message in book.read(other).messages] == ["hello", "hi"]
    assert [entry.id for entry in book.listed(9)] == [other]


def test_names_are_looked_up_by_how_they_begin(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    one, two = keep(path, Message.user("one")), keep(path, Message.user("two"))
    book = Book(path)
    assert [entry.id for entry in book.listed(9, beginning=one)] == [one]
    assert {entry.id for entry in book.listed(9, beginning=one[:9])} >= {one}
    assert {entry.id for entry in book.listed(9, beginning="")} == {one, two}
    assert book.listed(9, beginning="%") == []
    assert book.listed(9, "TWO", beginning=one) == []


def test_what_is_kept_and_listed_is_told_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    name = keep(path, Message.user("Straße"), Message.assistant("yes"))
    assert Book(path).listed(1) == [Listed(name, THEN, "acme:acme-fast", 2, "Straße", None)]
    assert Book(path).listed(1, "STRASSE") == [Listed(name, THEN, "acme:acme-fast", 2, "Straße", "Straße")]
    kept = Book(path).read(name)
    assert kept == Kept(name, THEN, THEN, "acme:acme-fast", (Message.user("Straße"), Message.assistant("yes")), ())
