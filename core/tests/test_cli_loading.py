"""Objects that are named on the command line: where they are looked for, and what is said of those that fail."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatport.cli.loading import load_object
from chatport.errors import ConfigurationError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in a folder of its own; what is loaded there is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refused(place: str) -> str:
    with pytest.raises(ConfigurationError) as failed:
        load_object(place, "--tool")
    return failed.value.message


def test_an_object_is_loaded_from_a_module_or_a_file() -> None:
    Path("loaded_here.py").write_text("class Sky:\n    class Sun:\n        warm = 7\n", "utf-8")
    for where in ("loaded_here", "loaded_here.py"):
        assert load_object(f"{where}:Sky.Sun.warm", "--tool") == 7
        assert load_object(f"{where}:Sky", "--tool").__name__ == "Sky"
    assert load_object("os.path:join", "--tool").__name__ == "join"


@pytest.mark.parametrize(
    "place", ["", ":", "module", "module:", ":name", "module:a b", "module:a.", "module:1", "a:b-c"]
)
def test_what_is_no_place_is_said_with_its_option(place: str) -> None:
    assert refused(place) == f"--tool {place!r} is not MODULE:NAME, such as weather:forecast or tools.py:search."


def test_what_is_not_in_a_module_is_said() -> None:
    Path("loaded_here.py").write_text("class Sky: pass\n", "utf-8")
    assert refused("loaded_here:Sea") == "--tool 'loaded_here:Sea': there is no 'Sea' in loaded_here."
    words = "--tool 'loaded_here.py:Sky.Sun': there is no 'Sky.Sun' in loaded_here.py."
    assert refused("loaded_here.py:Sky.Sun") == words


def test_a_module_that_is_not_there_is_said() -> None:
    assert refused("no_such_module_here:x") == (
        "--tool 'no_such_module_here:x' cannot be loaded: ModuleNotFoundError: No module named 'no_such_module_here'."
    )
    assert refused("missing.py:x").startswith("--tool 'missing.py:x' cannot be loaded: FileNotFoundError: ")


@pytest.mark.parametrize("where", ["broken", "broken.py"])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero (broken.py, line 2)"),
        ("raise SystemExit('enough')", "SystemExit: enough (broken.py, line 2)"),
        ("import helping", "ValueError: not today (helping.py, line 3)"),
    ],
)
def test_what_fails_is_said_with_its_place_in_the_users_own_code(where: str, line: str, words: str) -> None:
    Path("broken.py").write_text(f"x = 1\n{line}\n", "utf-8")
    Path("helping.py").write_text("\n\nraise ValueError('not today')\n", "utf-8")
    sys.path.append(str(Path.cwd()))
    for _ in range(2):  # what has failed is no half of a module the next time
        assert refused(f"{where}:x") == f"--tool '{where}:x' cannot be loaded: {words}."
    assert not {"broken", "chatport_cli_broken"} & set(sys.modules)


def test_a_file_that_is_no_python_is_said() -> None:
    Path("broken.py").write_text("def\n", "utf-8")
    assert "cannot be loaded: SyntaxError: invalid syntax (broken.py, line 1)" in refused("broken.py:x")


def test_several_objects_of_one_file_are_of_one_module(folder: Path) -> None:
    Path("counted.py").write_text(
        "from pathlib import Path\nwith Path('runs').open('a') as file: file.write('x')\none = object()\n", "utf-8"
    )
    one = load_object("counted.py:one", "--tool")
    assert load_object(f"{folder}/counted.py:one", "--tool") is one
    assert Path("runs").read_text() == "x"


def test_files_of_one_name_in_two_folders_are_two(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("USERPROFILE", str(folder / "home"))
    for name in ("home", "other"):
        Path(name).mkdir()
        Path(name, "same.py").write_text(f"name = {name!r}\n", "utf-8")
    assert load_object("other/same.py:name", "--tool") == "other"
    assert load_object("~/same.py:name", "--tool") == "home"


def test_a_file_has_a_module_of_its_own_while_it_runs() -> None:
    """Dataclasses and annotations look up the module that they are in."""
    code = "import sys\nname = __name__\nis_there = sys.modules[__name__].__dict__ is globals()\n"
    Path("looking.py").write_text(code, "utf-8")
    assert load_object("looking.py:name", "--tool") == "chatport_cli_looking"
    assert load_object("looking.py:is_there", "--tool") is True


def test_the_working_folder_is_looked_at_last_and_named_once(folder: Path) -> None:
    Path("loaded_here.py").write_text("x = 1\n", "utf-8")
    Path("colorsys.py").write_text("raise SystemExit\n", "utf-8")
    for _ in range(2):
        assert load_object("loaded_here:x", "--tool") == 1
    assert load_object("colorsys:hls_to_rgb", "--tool").__module__ == "colorsys"
    assert sys.path[-1] == str(folder)
    assert sys.path.count(str(folder)) == 1
