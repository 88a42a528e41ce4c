"""The quirk table is true: it names every fact that the code cites, and every test that it names is there."""

from __future__ import annotations

import pathlib
import re

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
FACT = re.compile(r"SF-[A-Z]+[0-9]+")
ROWS = {
    cells[0]: cells
    for line in (PACKAGE / "README.md").read_text("utf-8").splitlines()
    if line.startswith("| SF-")
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
SOURCES = "\n".join(
    path.read_text("utf-8")
    for path in sorted([*PACKAGE.glob("src/**/*.py"), *PACKAGE.glob("src/**/*.json"), *PACKAGE.glob("tests/*.py")])
    if path != pathlib.Path(__file__).resolve()
)


def test_the_table_is_there():
    assert len(ROWS) >= 69
    assert all(len(cells) == 5 for cells in ROWS.values())


@pytest.mark.parametrize("fact", [fact for fact, cells in ROWS.items() if not cells[3].startswith("—")])
def test_handled_facts_are_cited(fact):
    assert re.search(rf"{re.escape(fact)}(?![0-9.]*[0-9])", SOURCES), f"{fact} is nowhere in code or tests"
    assert ROWS[fact][4], f"{fact} names no test"


@pytest.mark.parametrize("fact", [fact for fact, cells in ROWS.items() if cells[3].startswith("—")])
def test_unhandled_facts_say_why(fact):
    assert len(ROWS[fact][3]) > 2


@pytest.mark.parametrize("fact", sorted(set(FACT.findall(SOURCES))))
def test_cited_facts_are_in_the_table(fact):
    assert fact in ROWS


@pytest.mark.parametrize("name", sorted({name for cells in ROWS.values() for name in cells[4].split()}))
def test_named_tests_exist(name):
    assert f"def {name}(" in SOURCES
