"""The pytest plugin: a tape for each test, by an option, a variable, or settings of a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatport.testing.tape_plugin import _name_of

CONFTEST = """
import pytest
from chatport.testing import Emulator

pytest_plugins = ["chatport.testing.tape_plugin"]

@pytest.fixture
def tape_settings():
    return {"transport": Emulator("compatible"), "must_use_all": True}
"""
TESTS = """
import os

import chatport
import pytest

TABLE = {"kind": "compatible", "base_url": "http://localhost:9/v1", "api_key": "a-key-here"}

@pytest.mark.parametrize("word", ["one", "two/three"])
def test_a_word(tape, word):
    with chatport.Client({"providers": {"compatible": TABLE}}, transport=tape) as client:
        said = os.environ.get("SAID", word)
        assert client.chat(f"say: {said}", model="compatible:emulated-model").text == said
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST, "utf-8")
    (tmp_path / "test_words.py").write_text(TESTS, "utf-8")
    return tmp_path


def run(folder: Path, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    mine = {name: value for name, value in os.environ.items() if name not in ("CHATPORT_TAPE", "PYTEST_ADDOPTS")}
    mine["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        command, cwd=folder, env={**mine, **environment}, capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout + done.stderr


def test_tests_are_recorded_once_and_replayed_for_ever(folder: Path) -> None:
    assert "2 errors" in run(folder)  # there is no tape yet, and nothing is sent unless that is asked for
    assert "2 passed" in run(folder, "--tape=once")
    kept = sorted((folder / "tapes" / "test_words").iterdir())
    assert [path.name[:16] for path in kept] == ["test_a_word-one-", "test_a_word-two-"]
    assert "2 passed" in run(folder)
    before = [path.read_bytes() for path in kept]
    said = run(folder, SAID="something else", CHATPORT_TAPE="once")
    assert "2 failed" in said
    assert "TapeMissError" in said
    assert 'say: something else", and "say: one" on the tape' in said
    assert "2 passed" in run(folder, CHATPORT_TAPE="record", SAID="something else")
    assert [path.read_bytes() for path in kept] != before


def test_another_mode_is_refused_before_any_test(folder: Path) -> None:
    assert "ERROR: mode of a tape is one of replay, record, once" in run(folder, "--tape=live")


@pytest.mark.parametrize(
    ("test", "name"),
    [("test_a", "test_a"), ("TestA::test_b", "TestA.test_b"), ("test_c[x-1]", "test_c-x-1-"), ("test_d[ü]", "test_d-")],
)
def test_a_tape_has_the_name_of_its_test(test: str, name: str) -> None:
    assert _name_of(test).startswith(name)


def test_no_two_tests_share_a_tape() -> None:
    tests = ["test_a", "test_a[x]", "test_a[x/]", "test_a[X]", "test_a-x", "T::test_a", "T.test_a"]
    tests += [f"test_a[{'long ' * 50}{number}]" for number in range(3)]
    names = [_name_of(test) for test in tests]
    assert len({name.lower() for name in names}) == len(tests)
    assert all(len(name) < 100 for name in names)
