"""The quirk table is true: it names every fact that the code cites, and every test that it names is there."""

from __future__ import annotations

import pathlib
import re

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
FACT = re.compile(r"AN-[A-Z][0-9]+b?")
ROWS = {
    cells[0]: cells
    for line in (PACKAGE / "README.md").read_text("utf-8").splitlines()
    if line.startswith("| AN-")
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
SOURCES = "\n".join(
    path.read_text("utf-8")
    for path in sorted([*PACKAGE.glob("src/**/*.py"), *PACKAGE.glob("src/**/*.json"), *PACKAGE.glob("tests/*.py")])
    if path != pathlib.Path(__file__).resolve()
)


def test_the_table_is_there():
    assert len(ROWS) > 80
    assert all(len(cells) == 5 for cells in ROWS.values())


def test_handled_facts_are_cited_and_tested():
    handled = {fact: cells[4] for fact, cells in ROWS.items() if not cells[3].startswith("—")}
    assert [fact for fact in handled if not re.search(rf"{fact}(?![0-9b])", SOURCES)] == []
    assert [fact for fact, tests in handled.items() if not tests] == []


def test_unhandled_facts_say_why():
    assert [fact for fact, cells in ROWS.items() if cells[3] == "—"] == []


def test_cited_facts_are_in_the_table():
    assert set(FACT.findall(SOURCES)) - set(ROWS) == set()


def test_named_tests_exist():
    named = {name for cells in ROWS.values() for name in cells[4].split()}
    assert {name for name in named if f"def {name}(" not in SOURCES} == set()
