"""Completions as a shell has them: real bash, zsh and fish, asked at a real pseudo-terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import CompletionItem

from chatport.cli.shells import answer, quoted, words_of_line

from .cli_runs import Folder, Screen, opened

EVIL = "a $(touch pwned) `touch pwned`'\"; touch pwned & *"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="these shells are at home where POSIX is")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Folder]:
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "chatport"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "from chatport.cli import main; main()" "$@"\n', "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in opened(tmp_path, monkeypatch, capsys):
        evil = EVIL.replace('"', '\\"')
        models = '[models."acme:acme-large"]\ntools = true\n[models."second:one"]\ntools = true\n'
        second = '[providers.second]\nkind = "compatible"\nbase_url = "http://127.0.0.1:9"\n'
        aliases = f'[aliases]\nmain-chat = ["acme:acme-fast"]\n"{evil}" = "acme:acme-fast"\n'
        folder.configure(f"{models}{second}{aliases}")
        (tmp_path / "some-notes.txt").write_text("x", "utf-8")
        yield folder


def needs(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} on this machine")


def offered(folder: Folder, *words: str, shell: str = "fish") -> list[str]:
    """Return what a shell is told: the kind, and the candidates."""
    done = folder.run("completions", shell, "--", *words)
    assert done.code == 0, done.err
    return [line.partition("\t")[0] for line in done.out.splitlines()]


# --- what is offered


def test_commands_options_and_words_are_offered(folder: Folder) -> None:
    assert offered(folder, "mod") == ["words", "models"]
    assert {"chat", "logs", "completions", "serve"} <= set(offered(folder, ""))
    assert offered(folder, "chat", "--max-t") == ["words", "--max-tokens"]
    assert offered(folder, "chat", "--reasoning", "m") == ["words", "minimal", "medium", "max"]
    assert offered(folder, "logs", "") == ["words", "delete", "list", "path", "prune", "search", "show"]
    assert offered(folder, "logs", "list", "--n") == ["words", "--number"]
    assert offered(folder, "models", "acm") == ["words", "acme"]
    assert offered(folder, "chat", "--file", "x") == ["files"]
    assert offered(folder, "chat", "--config", "x") == ["files"]


def test_options_are_offered_where_a_command_could_stand(folder: Folder) -> None:
    assert offered(folder, "-") == ["words", "--version", "-h", "--help"]
    assert offered(folder, "--v") == ["words", "--version"]


def test_the_files_that_nobody_names_are_read(folder: Folder) -> None:
    folder.patch.delenv("CHATPORT_CONFIG")
    assert not {"of-folder", "of-user"} & set(offered(folder, "chat", "-m", "of-"))
    (folder.path / "chatport.toml").write_text('[aliases]\nof-folder = "acme:a"\n', "utf-8")
    assert offered(folder, "chat", "-m", "of-") == ["words", "of-folder"]
    own = folder.path / "home" / "config" / "chatport" / "config.toml"
    own.parent.mkdir(parents=True)
    own.write_text('[aliases]\nof-user = "acme:b"\n', "utf-8")
    assert set(offered(folder, "chat", "-m", "of-")) == {"words", "of-folder", "of-user"}
    folder.patch.setenv("CHATPORT_CONFIG", "named.toml")
    assert offered(folder, "chat", "-m", "of-") == ["words"]


def test_targets_are_offered_without_asking_anybody(folder: Folder) -> None:
    assert offered(folder, "chat", "-m", "main") == ["words", "main-chat"]
    assert "acme:acme-large" in offered(folder, "chat", "-m", "acm")
    assert "--model=acme:acme-large" in offered(folder, "chat", "--model=acme:")
    assert {"main-chat", "acme:", "second:", EVIL} <= set(offered(folder, "chat", "-m", ""))
    assert offered(folder, "chat", "-m", "nobody:") == ["words"]
    assert not folder.emulator.requests


def test_models_that_a_vendor_has_listed_are_offered_from_then_on(folder: Folder) -> None:
    folder.emulator.vendor.models = ("acme-tomorrow", "two words", "acme-\x1b[2J")
    assert "acme:acme-tomorrow" not in offered(folder, "chat", "-m", "acme:")
    assert folder.run("models", "acme").code == 0
    found = offered(folder, "chat", "-m", "acme:")
    assert "acme:acme-tomorrow" in found
    assert not [name for name in found if " " in name or "\x1b" in name or "\\" in name]


def test_another_configuration_on_the_line_is_read(folder: Folder) -> None:
    (folder.path / "other.toml").write_text('[aliases]\nelse-where = "acme:m"\n[providers.acme]\nkind = "compatible"\n')
    assert offered(folder, "chat", "--config", "other.toml", "-m", "e") == ["words", "else-where"]
    assert offered(folder, "chat", "--config", "other.toml", "-m", "acme") == ["words", "acme:m"]


def test_conversations_are_offered_by_their_names(folder: Folder) -> None:
    assert offered(folder, "logs", "show", "") == ["words"]
    folder.run("chat", "-q", "--log", "say: hello")
    (name,) = offered(folder, "logs", "show", "2")[1:]
    assert offered(folder, "chat", "--continue", "2") == ["words", name]


def test_nothing_heavy_is_loaded_to_complete_a_target(folder: Folder) -> None:
    code = """
import sys
before = set(sys.modules)  # what measures coverage keeps it in SQLite
from chatport.cli import main
try:
    main(["completions", "fish", "--", "chat", "-m", "acme:"])
finally:
    heavy = ("chatport.client", "chatport.transport", "chatport.engine", "chatport_", "httpx", "sqlite3", "anyio")
    assert not [name for name in set(sys.modules) - before if name.startswith(heavy)]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "acme:acme-fast" in done.stdout


# --- bash: what is typed, and what is written for it


@pytest.mark.parametrize(
    ("line", "words", "quote"),
    [
        ("chatport chat -m ", ["chatport", "chat", "-m", ""], ""),
        (r"chatport a\ b", ["chatport", "a b"], ""),
        ("chatport 'a b' \"c d\" e", ["chatport", "a b", "c d", "e"], ""),
        ("chatport 'a b", ["chatport", "a b"], "'"),
        (r'chatport "a\"b', ["chatport", 'a"b'], '"'),
        ("ls; chatport chat", ["chatport", "chat"], ""),
        ("ls | chatport chat '' x", ["chatport", "chat", "", "x"], ""),
        ("chatport $(touch pwned) x\\", ["touch", "pwned)", "x"], ""),
    ],
)
def test_a_line_is_read_as_bash_has_it(line: str, words: list[str], quote: str) -> None:
    assert words_of_line(line) == (words, quote)


def test_a_quoted_word_is_itself_to_a_shell(tmp_path: Path) -> None:
    for word in (EVIL, "ümläut:天気", "~root", "a#b", "{a,b}", "!!", "a\\b", "-x", "=", "^x"):
        done = subprocess.run(
            ["bash", "-c", f"printf %s {quoted(word)}"], capture_output=True, cwd=tmp_path, check=True
        )
        assert done.stdout.decode() == word
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("quote", "offered"),
    [
        ("'", ["two words", 'a"b', "$HOME"]),
        ('"', ["two words", "it's"]),
        ("", [f"{quoted(word)} " for word in ("two words", "it's", 'a"b', "$HOME")]),
    ],
)
def test_inside_of_quotes_bash_is_offered_what_can_stand_there(quote: str, offered: list[str]) -> None:
    items = [CompletionItem(word) for word in ("two words", "it's", 'a"b', "$HOME", "no\nword")]
    assert list(answer("bash", items, 0, quote)) == ["words", *offered]


@pytest.mark.parametrize("shell", ["fish", "zsh"])
def test_what_an_item_is_stands_in_its_line_after_a_tab(shell: str) -> None:
    """So there is no other tab in it, and no line ends in it."""
    items = [CompletionItem("word", help="one\ttwo\nthree"), CompletionItem("bare"), CompletionItem("no\tword")]
    assert list(answer(shell, items, 0, "")) == ["words", "word\tone two three", "bare"]


def test_bash_completes(folder: Folder) -> None:
    needs("bash")
    script = folder.run("completions", "bash").out
    (folder.path / "script").write_text(script, "utf-8")
    with Screen(["bash", "--norc", "--noprofile", "-i"], PS1="ready> ", TERM="dumb", INPUTRC="/dev/null") as screen:
        screen.expect("ready> ")
        screen.type("bind 'set bell-style none'; source ./script; PS1='go> '\r")
        screen.expect("\ngo> ")
        for typed, completed in (
            ("chatport chat -m acme:acme-l\t", "chatport chat -m acme:acme-large "),
            ("chatport chat --model=acm\tl\t", "chatport chat --model=acme:acme-large "),
            ("chatport chat -m 'acme:acme-l\t", "chatport chat -m 'acme:acme-large"),
            ("chatport chat --file some-n\t", "chatport chat --file some-notes.txt"),
        ):
            screen.type(typed)
            screen.expect(completed)
            screen.type("\x15\r")  # the line is emptied
            screen.expect("go> ")
        screen.type("chatport chat -m a\\ \tTEXT\x01printf '<%s>' \x05\r")
        screen.expect(f"<-m><{EVIL}><TEXT>")
        screen.type("exit\r")
        screen.left()
    assert not (folder.path / "pwned").exists()
    assert not folder.emulator.requests


def test_zsh_completes(folder: Folder) -> None:
    needs("zsh")
    (folder.path / "script").write_text(folder.run("completions", "zsh").out, "utf-8")
    with Screen(["zsh", "-f", "-i"], PS1="ready> ", TERM="dumb") as screen:
        screen.expect("ready> ")
        screen.type("autoload -U compinit && compinit -u -D; source ./script; unsetopt beep; PS1='go> '\r")
        screen.expect("go> '")
        screen.expect("go> ")
        for typed, completed in (
            ("chatport chat -m acme:acme-l\t", "acme-large "),
            ("chatport chat --model=acme:acme-l\t", "acme-large "),
            ("chatport chat --file some-n\t", "some-notes.txt "),
        ):
            screen.type(typed)
            screen.expect(completed)
            screen.type("\x15\r")
            screen.expect("go> ")
        screen.type("chatport chat -m a\\ \tTEXT\x01printf '<%s>' \x05\r")
        screen.expect(f"<-m><{EVIL}><TEXT>")
        screen.type("exit\r")
        screen.left()
    assert not (folder.path / "pwned").exists()


def test_fish_completes(folder: Folder) -> None:
    needs("fish")
    script = folder.run("completions", "fish").out
    expected = {
        "chatport chat -m acme:acme-l": ["acme:acme-large"],
        "chatport chat --model=acme:acme-l": ["--model=acme:acme-large"],
        "chatport compl": ["completions"],
        "chatport chat --file some-n": ["some-notes.txt"],
        "chatport chat -m nobody:": [],
        "chatport chat -m a\\ ": [EVIL],
    }
    asking = "for line in $argv; complete -C $line; echo END; end"
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"{script}\n{asking}", *expected], capture_output=True, text=True, check=True
    )
    answers = [answer.splitlines() for answer in done.stdout.split("END\n")]
    found = [[line.partition("\t")[0] for line in answer] for answer in answers[:-1]]
    assert dict(zip(expected, found, strict=True)) == expected
    assert not (folder.path / "pwned").exists()
