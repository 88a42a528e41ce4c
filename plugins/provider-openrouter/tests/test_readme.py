"""The quirk table is true: it names every fact that the code cites, and every test that it names is there."""

from __future__ import annotations

import pathlib
import re

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
FACT = re.compile(r"OR-[A-Z][0-9]+")
ROWS = {
    cells[0]: cells
    for line in (PACKAGE / "README.md").read_text("utf-8").splitlines()
    if line.startswith("| OR-")
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
SOURCES = "\n".join(
    path.read_text("utf-8")
    for path in sorted([*PACKAGE.glob("src/**/*.py"), *PACKAGE.glob("src/**/*.json"), *PACKAGE.glob("tests/*.py")])
    if path != pathlib.Path(__file__).resolve()
)


def test_the_table_is_complete():
    assert len(ROWS) == 107
    assert [fact for fact, cells in ROWS.items() if len(cells) != 5 or not all(cells[:4])] == []


def test_handled_facts_are_cited_and_tested():
    ranges = re.findall(r"OR-([A-Z])([0-9]+) to OR-\1([0-9]+)", SOURCES)
    cited = {f"OR-{a}{n}" for a, first, last in ranges for n in range(int(first), int(last) + 1)}
    cited |= set(FACT.findall(SOURCES))
    handled = {fact: cells for fact, cells in ROWS.items() if not cells[3].startswith("—")}
    assert set(handled) - cited == set()
    assert [fact for fact, cells in handled.items() if not cells[4]] == []
    assert [fact for fact, cells in ROWS.items() if len(cells[3]) < 3] == []


def test_cited_facts_are_in_the_table():
    assert set(FACT.findall(SOURCES)) - set(ROWS) == set()


def test_named_tests_exist():
    names = {name for cells in ROWS.values() for name in cells[4].split()}
    assert [name for name in names if f"def {name}(" not in SOURCES] == []
