"""Completions as a shell has them: real bash, zsh and fish, asked at a real pseudo-terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatport.cli.shells import quoted, words_of_line

from .cli_runs import Folder, Screen, folder_of

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
    for folder in folder_of("deepseek", tmp_path, monkeypatch, capsys):
        evil = EVIL.replace('"', '\\"')
        folder.configure(f'[aliases]\nmain-chat = ["deepseek:deepseek-flash"]\n"{evil}" = "deepseek:deepseek-flash"\n')
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
    assert offered(folder, "models", "deeps") == ["words", "deepseek"]
    assert offered(folder, "chat", "--file", "x") == ["files"]
    assert offered(folder, "chat", "--config", "x") == ["files"]


def test_targets_are_offered_without_asking_anybody(folder: Folder) -> None:
    assert offered(folder, "chat", "-m", "main") == ["words", "main-chat"]
    assert "deepseek:deepseek-v4-pro" in offered(folder, "chat", "-m", "deeps")
    assert "--model=deepseek:deepseek-v4-pro" in offered(folder, "chat", "--model=deepseek:")
    assert {"main-chat", "deepseek:", "openai:", EVIL} <= set(offered(folder, "chat", "-m", ""))
    assert offered(folder, "chat", "-m", "nobody:") == ["words"]
    assert not folder.emulator.requests


def test_models_that_a_vendor_has_listed_are_offered_from_then_on(folder: Folder) -> None:
    folder.emulator.vendor.models = ("deepseek-tomorrow", "two words", "deepseek-\x1b[2J")
    assert "deepseek:deepseek-tomorrow" not in offered(folder, "chat", "-m", "deepseek:")
    assert folder.run("models", "deepseek").code == 0
    found = offered(folder, "chat", "-m", "deepseek:")
    assert "deepseek:deepseek-tomorrow" in found
    assert not [name for name in found if " " in name or "\x1b" in name or "\\" in name]


def test_another_configuration_on_the_line_is_read(folder: Folder) -> None:
    (folder.path / "other.toml").write_text('[aliases]\nelse-where = "acme:m"\n[providers.acme]\nkind = "compatible"\n')
    assert offered(folder, "chat", "--config", "other.toml", "-m", "e") == ["words", "else-where"]
    assert offered(folder, "chat", "--config", "other.toml", "-m", "acme") == ["words", "acme:m"]
    assert offered(folder, "chat", "--config", "nowhere.toml", "-m", "acme") == ["words"]


def test_conversations_are_offered_by_their_names(folder: Folder) -> None:
    assert offered(folder, "logs", "show", "") == ["words"]
    folder.run("chat", "-q", "--log", "say: hello")
    (name,) = offered(folder, "logs", "show", "2")[1:]
    assert offered(folder, "chat", "--continue", "2") == ["words", name]


def test_nothing_heavy_is_loaded_to_complete_a_target(folder: Folder) -> None:
    code = """
import sys
from chatport.cli import main
try:
    main(["completions", "fish", "--", "chat", "-m", "deepseek:"])
finally:
    heavy = ("chatport.client", "chatport.transport", "chatport.engine", "chatport_", "httpx", "sqlite3", "anyio")
    assert not [name for name in sys.modules if name.startswith(heavy)]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "deepseek:deepseek-flash" in done.stdout


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


def test_bash_completes(folder: Folder) -> None:
    needs("bash")
    script = folder.run("completions", "bash").out
    (folder.path / "script").write_text(script, "utf-8")
    with Screen(["bash", "--norc", "--noprofile", "-i"], PS1="ready> ", TERM="dumb", INPUTRC="/dev/null") as screen:
        screen.expect("ready> ")
        screen.type("bind 'set bell-style none'; source ./script; PS1='go> '\r")
        screen.expect("\ngo> ")
        for typed, completed in (
            ("chatport chat -m deepseek:deepseek-v4-p\t", "chatport chat -m deepseek:deepseek-v4-pro "),
            ("chatport chat --model=deepseek:deepseek-v4-p\t", "chatport chat --model=deepseek:deepseek-v4-pro "),
            ("chatport chat -m deeps\tv4-p\t", "chatport chat -m deepseek:deepseek-v4-pro "),
            ("chatport chat -m 'deepseek:deepseek-v4-p\t", "chatport chat -m 'deepseek:deepseek-v4-pro"),
            ("chatport compl\t", "chatport completions "),
            ("chatport chat --file some-n\t", "chatport chat --file some-notes.txt"),
            ("chatport chat -m a\\ \t", f"chatport chat -m {quoted(EVIL)} "),
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
            ("chatport chat -m deepseek:deepseek-v4-p\t", "deepseek-v4-pro "),
            ("chatport chat --model=deepseek:deepseek-v4-p\t", "deepseek-v4-pro "),
            ("chatport compl\t", "completions "),
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

    def completed(line: str) -> list[str]:
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"{script}\ncomplete -C $argv[1]", line],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return [found.partition("\t")[0] for found in done.stdout.splitlines()]

    assert completed("chatport chat -m deepseek:deepseek-v4-p") == ["deepseek:deepseek-v4-pro"]
    assert completed("chatport chat --model=deepseek:deepseek-v4-p") == ["--model=deepseek:deepseek-v4-pro"]
    assert completed("chatport compl") == ["completions"]
    assert completed("chatport chat --file some-n") == ["some-notes.txt"]
    assert completed("chatport chat -m nobody:") == []
    assert len(completed("chatport chat -m a\\ ")) == 1
    assert not (folder.path / "pwned").exists()
