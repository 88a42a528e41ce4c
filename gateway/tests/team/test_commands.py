"""`chatport gateway`: what a person does with keys, projects, limits and usage on the command line."""

from __future__ import annotations

import importlib.util
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chatport_gateway.team_command import command

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs the command with a store of its own."""
    config = tmp_path / "chatport.toml"
    config.write_text(f'[team]\nfolder = "{tmp_path / "team"}"\n')

    def run_it(*arguments: str) -> Result:
        return CliRunner().invoke(command, ["--config", str(config), *arguments])

    return run_it


def test_a_key_from_its_making_to_its_end(run: Run) -> None:
    assert run("projects", "create", "web", "--usd-month", "100").exit_code == 0
    made = run("keys", "create", "ci", "--project", "web", "--usd-day", "5", "--model", "chat-*", "--expires", "30d")
    secret = made.output.strip()
    assert secret.startswith("cpk_")
    listed = run("keys", "list").output
    assert secret[:14] in listed
    assert secret not in listed
    assert "web" in listed
    assert "until" in listed
    renewed = run("keys", "rotate", secret[:14], "--keep-old", "1h").output.strip()
    assert renewed != secret
    assert run("keys", "revoke", secret[:14]).exit_code == 1  # it begins in another way now
    assert run("keys", "revoke", renewed).exit_code == 0
    assert "revoked" in run("keys", "list").output
    assert run("keys", "rotate", renewed[:14]).exit_code == 1


def test_limits_are_shown_and_set(run: Run) -> None:
    run("projects", "create", "web")
    secret = run("keys", "create", "ci", "--requests-per-minute", "60").output.strip()
    assert run("limits", "set", "web", "--usd-month", "12.5").exit_code == 0
    assert run("limits", "set", "gateway", "--concurrency", "9").exit_code == 0
    assert "12.5" in run("limits", "show", "web").output
    assert "60" in run("limits", "show", secret[:14]).output
    assert "9" in run("limits", "show").output
    run("limits", "set", secret[:14], "--usd-day", "1")
    shown = run("limits", "show", secret[:14]).output
    assert "60" not in shown  # in the place of what there was
    assert "usd_day" in shown


def test_projects_are_listed_by_name_with_their_state(run: Run, tmp_path: Path) -> None:
    ids = [run("projects", "create", name).output.strip() for name in ("web", "app")]
    with sqlite3.connect(tmp_path / "team" / "team.db") as database:
        database.execute("UPDATE projects SET closed_us = 5 WHERE name = 'web'")
    database.close()
    lines = [line.split() for line in run("projects", "list").output.splitlines()]
    assert lines == [["id", "name", "state"], [ids[1], "app", "open"], [ids[0], "web", "closed"]]


@pytest.mark.parametrize(
    ("error", "actor"), [(None, f"cli:{'u' * 60}"), (KeyError("uid"), "cli"), (OSError("no name"), "cli")]
)
def test_what_is_done_has_the_name_of_the_user_if_there_is_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None, actor: str
) -> None:
    """At most 64 characters of it; in a container there may be none."""

    def user() -> str:
        if error is not None:
            raise error
        return "u" * 100

    monkeypatch.setattr("getpass.getuser", user)
    assert run("projects", "create", "web").exit_code == 0
    with sqlite3.connect(tmp_path / "team" / "team.db") as database:
        rows = database.execute("SELECT actor, action FROM audit").fetchall()
    database.close()
    assert rows == [(actor, "project.create")]


def test_usage_of_nothing_is_a_head(run: Run) -> None:
    assert run("usage", "--by", "model").output.split() == [
        "model",
        "calls",
        "input",
        "output",
        "usd",
        "cost",
        "unknown",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["keys", "create", "x", "--project", "nobody"], "no project 'nobody'"),
        (["keys", "create", "x", "--expires", "soon"], "no span of time"),
        (["keys", "create", "x", "--requests-per-minute", "0"], ""),
        (["keys", "create", "x", "--usd-day", "-1"], "at least 0"),
        (["limits", "set", "nobody"], "nobody"),
        (["keys", "revoke", "cpk_nothing"], "no key"),
        (["keys", "create", "x" * 101], "A name has at most 100 characters."),
        (["keys", "create", " x"], "no space at its ends"),
        (["projects", "create", "gateway"], "'gateway' stands for all calls"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run: Run, arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert words in result.output
    assert result.output.startswith("Error: ")
    assert len(result.output.strip().splitlines()) == 1


def test_a_name_may_be_a_hundred_letters_long(run: Run) -> None:
    assert run("keys", "create", "x" * 100).exit_code == 0


def test_without_the_extra_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was asked of it."""
    monkeypatch.setitem(sys.modules, "chatport_gateway.team.command", None)
    spec = importlib.util.find_spec("chatport_gateway.team_command")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = CliRunner().invoke(module.command, ["keys", "create", "x", "--usd-day", "5"])
    assert result.exit_code == 1
    assert result.output == (
        'Error: This needs an extra (chatport_gateway.team.command is missing): pip install "chatport-gateway[team]".\n'
    )


def test_without_a_team_there_is_nothing_to_do(tmp_path: Path) -> None:
    config = tmp_path / "chatport.toml"
    config.write_text("")
    result: Any = CliRunner().invoke(command, ["--config", str(config), "keys", "list"])
    assert result.exit_code == 1
    assert "[team]" in result.output
