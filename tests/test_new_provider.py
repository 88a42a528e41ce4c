"""`chatport new-provider` writes a package whose tests pass at once, and refuses what cannot be meant."""

from __future__ import annotations

import ast
import json
import os
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import attrs
import pytest
from hypothesis import given, strategies as st

from chatport import ConfigurationError
from chatport.basics.version import __version__
from chatport.cli.scaffold import NewProvider, _words, write_provider


def run_tests(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests of a written package as its author would."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:randomly", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "src", "CHATPORT_PLUGINS": "acme=chatport_acme:provider"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_tests_of_a_new_package_pass_at_once(tmp_path: Path) -> None:
    """Before its author fills anything in, the package is found and conforms."""
    folder = tmp_path / "acme"
    written = write_provider(NewProvider.of("acme", "https://llm.acme.example/v1"), folder)
    assert folder / "src" / "chatport_acme" / "__init__.py" in written
    done = run_tests(folder)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    for missing in ("quirk table", "no facts file"):  # these are there to be checked
        assert missing not in done.stdout


def test_no_placeholder_is_left(tmp_path: Path) -> None:
    """Every word of the templates is filled in, and the address is the one that was given."""
    written = write_provider(NewProvider.of("my_ai", "https://x.example/v2/", key_env="K", model="m-1"), tmp_path / "p")
    texts = {path.name: path.read_text("utf-8") for path in written}
    assert 'base_url="https://x.example/v2"' in "".join(texts.values())
    assert 'key_env=("K",)' in "".join(texts.values())
    assert "class MyAiEmulator" in "".join(texts.values())
    assert not [name for name, text in texts.items() if "NAME" in name or ("$" in text and name != "test.yml")]


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    """Nothing of the user's is written over."""
    with pytest.raises(ConfigurationError, match="exists already"):
        write_provider(NewProvider.of("acme", "https://llm.acme.example"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "url"), [("Acme", "https://x.example"), ("a-b", "https://x.example"), ("a", "x.example")]
)
def test_a_name_or_address_that_cannot_be_is_refused(name: str, url: str) -> None:
    """Bad input is said before anything is written."""
    with pytest.raises(ConfigurationError):
        NewProvider.of(name, url)


# --- what is written holds its values as data

CODE = """"),__import__('os').mkdir("proof"),("""
HOSTILE_MODELS = [
    CODE,
    f"'{CODE}'",
    f'"""{CODE}"""',
    f"'''{CODE}'''",
    "back\\slash\\",
    "${name} $model $$ {model} {{x}} %(model)s",
    "a[b]*?c",
    "#=é模型\U0001f600",
    "`rm -rf proof`; $(mkdir proof) | mkdir proof",
]


def literals(text: str) -> set[object]:
    """Return all values that stand in Python code as literals."""
    return {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}


def check_same_code(hostile: Path, tame: Path) -> None:
    """Hold a package against one with tame values: every file parses, and has no other code and no other tables."""
    for path in (path for path in tame.rglob("*") if path.is_file()):
        texts = [(folder / path.relative_to(tame)).read_text("utf-8") for folder in (hostile, tame)]
        if path.suffix == ".py":
            kinds = [[type(node) for node in ast.walk(ast.parse(text))] for text in texts]
            assert kinds[0] == kinds[1], f"{path.name} has other code in it"
        if path.name == "pyproject.toml":
            assert tomllib.loads(texts[0]) == tomllib.loads(texts[1])


@pytest.mark.parametrize("model", HOSTILE_MODELS)
def test_a_hostile_model_is_written_as_data(model: str, tmp_path: Path) -> None:
    new = NewProvider.of("acme", "https://x.example/it's(1)$name", model=model)
    texts = {path.name: path.read_text("utf-8") for path in write_provider(new, tmp_path / "hostile")}
    write_provider(NewProvider.of("acme", "https://llm.acme.example/v1"), tmp_path / "tame")
    check_same_code(tmp_path / "hostile", tmp_path / "tame")
    assert new.base_url in literals(texts["__init__.py"])
    assert model in literals(texts["emulator.py"])
    assert model in literals(texts["conftest.py"])
    assert f"acme:{model}" in literals(texts["test_acme.py"])
    assert fnmatchcase(model, json.loads(texts["facts.json"])["models"][1]["match"])
    command = next(line for line in texts["README.md"].splitlines() if line.startswith("    chatport chat"))
    assert shlex.split(command) == ["chatport", "chat", "-m", f"acme:{model}", "hello"]


def test_the_tests_of_a_package_with_a_hostile_model_pass_and_run_nothing_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    write_provider(NewProvider.of("acme", "https://x.example/it's", model=CODE + "[x]*\\'''"), folder)
    done = run_tests(folder)
    assert done.returncode == 0, done.stdout
    assert not list(tmp_path.rglob("proof"))


NAMES = ["a\n", 'a"', "a_", "a__b", "../a", "a.b", "é", "a" * 51, "", "a b", "$name", "a\u202e"]
URLS = [
    'https://x.example/"+1',
    "https://x.example/\n",
    "https://x.example/\\",
    "https://x.example/{}",
    "https://x.example/a b",
    "https://x.example/\u202e",
    "https://x.example:port/",
    "https://[::1/",
    "https://user:word@x.example/",
    "https://x.example/?key=1",
    "https://x.example/#a",
    "file:///etc/passwd",
    "javascript://x.example/",
    "https://",
    "https://x.example/" + "a" * 500,
]
VARIABLES = ["", "A-B", 'A"', "1A", "A\n", "A=1", "A" * 501]
MODELS = ["", " ", "a ", "a\n", "a\r", "\x1b[2J", "\u202e", "\x9b", "a\ud800", "a\0", "a" * 501]
IMPOSSIBLE = {"name": NAMES, "base_url": URLS, "key_env": VARIABLES, "model": MODELS}


@pytest.mark.parametrize(("field", "value"), [(name, value) for name, all in IMPOSSIBLE.items() for value in all])
def test_a_value_that_cannot_be_is_refused_whoever_makes_one(field: str, value: str) -> None:
    good = NewProvider("acme", "https://x.example/v1", "ACME_API_KEY", "m-1")
    with pytest.raises(ConfigurationError) as caught:
        attrs.evolve(good, **{field: value})
    assert str(caught.value).isprintable()


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_model_and_address_is_refused_or_written_as_data(model: str, path: str) -> None:
    try:
        new = NewProvider.of("acme", f"https://x.example/{path}", model=model or None)
    except ConfigurationError:
        return
    words = _words(new)
    for name, value in (("base_url", new.base_url), ("model", new.model), ("target", f"acme:{new.model}")):
        assert ast.literal_eval(words[name]) == json.loads(words[name]) == value
        assert tomllib.loads(f"a = {words[name]}") == {"a": value}


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(ConfigurationError, match="Cannot write"):
        write_provider(NewProvider.of("acme", "https://x.example"), tmp_path / "file" / "acme")


# --- what a package has


def test_a_package_can_be_published_as_it_is(tmp_path: Path) -> None:
    """It has a licence, keeps to the core it was made for, and builds with what its test extra brings."""
    folder = tmp_path / "acme"
    written = write_provider(NewProvider.of("acme", "https://llm.acme.example/v1"), folder)
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    major, minor = __version__.split(".")[:2]
    assert project["dependencies"] == [f"chatport-core>={major}.{minor},<{major}.{int(minor) + 1}"]
    assert "build" in project["optional-dependencies"]["test"]
    assert project["license-files"] == ["LICENSE"]
    assert "chatport-provider-acme" in (folder / "LICENSE").read_text("utf-8")
    source = folder / "src" / "chatport_acme"
    names = {path.name for path in written if path.parent == source}
    assert names == {"__init__.py", "emulator.py", "facts.json", "py.typed", "request.py", "stream.py"}
    assert json.loads((source / "facts.json").read_text("utf-8"))["models"][0]["facts"]["rules"]
    assert 'model="' in (folder / "tests" / "test_conformance.py").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "given", "title"), [("acme", None, "Acme"), ("my_ai", None, "My Ai"), ("openai", "OpenAI", "OpenAI")]
)
def test_a_package_has_the_title_that_people_write(name: str, given: str | None, title: str, tmp_path: Path) -> None:
    new = NewProvider.of(name, "https://x.example/v1", title=given)
    assert new.title == title
    write_provider(new, tmp_path / "p")
    package = tmp_path / "p" / "src" / f"chatport_{name}"
    assert title in literals((package / "__init__.py").read_text("utf-8"))
    assert f"The {title} provider" in (tmp_path / "p" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("title", ["", " ", "a\n", 'a"', "a\\", "$name", "a ", "{a}", "'''", "a" * 51, "a\u202e"])
def test_a_title_that_cannot_be_is_refused(title: str) -> None:
    with pytest.raises(ConfigurationError, match="--title"):
        NewProvider.of("acme", "https://x.example/v1", title=title)
