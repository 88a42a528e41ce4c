"""The quirk table is true: it names every fact that the code cites, and every test that it names is there."""

from __future__ import annotations

import pathlib
import re

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
FACT = re.compile(r"FW-[A-Z]+[0-9]+")
ROWS = {
    cells[0]: cells
    for line in (PACKAGE / "README.md").read_text("utf-8").splitlines()
    if line.startswith("| FW-")
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
SOURCES = "\n".join(
    path.read_text("utf-8")
    for path in sorted([*PACKAGE.glob("src/**/*.py"), *PACKAGE.glob("src/**/*.json"), *PACKAGE.glob("tests/*.py")])
    if path != pathlib.Path(__file__).resolve()
)


def test_the_table_is_there():
    assert len(ROWS) == 72
    assert all(len(cells) == 5 for cells in ROWS.values())


def test_facts_and_citations_agree():
    cited = set(FACT.findall(SOURCES))
    assert cited <= set(ROWS), "cited in the code, and not in the table"
    handled = {fact for fact, cells in ROWS.items() if not cells[3].startswith("—")}
    assert handled <= cited, "in the table, and nowhere in the code"
    assert all(ROWS[fact][4] for fact in handled), "handled, and no test is named"
    assert all(len(ROWS[fact][3]) > 9 for fact in set(ROWS) - handled), "not handled, and no reason is given"


def test_named_tests_exist():
    named = {name for cells in ROWS.values() for name in cells[4].split()}
    assert {name for name in named if f"def {name}(" not in SOURCES} == set()
