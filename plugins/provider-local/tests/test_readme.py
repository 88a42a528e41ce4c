"""The quirk table, the code and the tests name the same facts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from chatport.registry import load_provider

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
FACT = re.compile(r"\b(?:(?:VL|OL|LM|LC|MR|LP|TS|MX)-[A-Z]\d+|D[1-5])\b")
ROW = re.compile(rf"^\| ({FACT.pattern}) \| (.+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
ROWS = {row[0]: row[1:] for row in ROW.findall(README)}
TESTS = {
    path.stem: path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py") if path.stem != "test_readme"
}
SOURCES = "".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*") if path.suffix in (".py", ".json"))


def test_every_row_of_the_table_is_read() -> None:
    assert len(ROWS) == len(re.findall(r"^\| (?:[A-Z]{2}-[A-Z]|D)\d", README, re.MULTILINE)) > 150


def test_every_fact_that_the_code_or_a_test_names_is_in_the_table() -> None:
    assert set(FACT.findall(SOURCES + "".join(TESTS.values()))) <= set(ROWS)


@pytest.mark.parametrize("fact", ROWS)
def test_what_is_handled_is_named_where_it_is_handled_or_tested(fact: str) -> None:
    _, source, where, test = ROWS[fact]
    assert re.search(r"\b2026-\d\d$", source)
    named = [name for name, text in TESTS.items() if re.search(rf"\b{fact}\b", text)]
    in_code = re.search(rf"\b{fact}\b", SOURCES)
    by_traces = {"test_recordings", "test_shapes"}  # these hold for every recorded exchange at once
    files = set(re.findall(r"test_\w+", test))
    assert files <= set(TESTS)
    if where.startswith("no: "):
        return
    if files:
        assert files & (set(named) | by_traces), f"{fact} is said to be tested in {files}, and named in {named}"
    else:
        assert where.startswith("core"), f"{fact} is handled here, without a test"
    if "`" in where and ".py`" in where and "__init__" not in where:
        assert in_code, f"{fact} is said to be handled in {where}"


def test_every_file_that_is_named_is_there() -> None:
    names = {path.name for path in (ROOT / "src").rglob("*")}
    named = {name for _, _, where, _ in ROWS.values() for name in re.findall(r"`(?:facts/)?(\w+\.\w+)`", where)}
    assert {name for name in named if name.endswith((".py", ".json"))} <= names


def test_every_provider_and_setting_is_described() -> None:
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    for name in entry_points["chatport.providers"]:
        provider = load_provider(name)
        assert f"| `{name}` |" in README
        for word in (*provider.key_env, *provider.base_url_env, *provider.settings, *provider.settings_env.values()):
            assert f"`{word}`" in README
        if provider.base_url:
            assert f"`{provider.base_url}`" in README
