"""The quirk table is true: it names every fact that the code cites, and every test that it names is there."""

from __future__ import annotations

import pathlib
import re

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
FACT = re.compile(r"MS-[A-Z]*[0-9]+(?:\.[0-9]+)?")
ROWS = {
    cells[0]: cells
    for line in (PACKAGE / "README.md").read_text("utf-8").splitlines()
    if line.startswith("| MS-")
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
SOURCES = "\n".join(
    path.read_text("utf-8")
    for path in sorted([*PACKAGE.glob("src/**/*.py"), *PACKAGE.glob("src/**/*.json"), *PACKAGE.glob("tests/*.py")])
    if path != pathlib.Path(__file__).resolve()
)
CITED = set(FACT.findall(SOURCES))
UNHANDLED = {fact for fact, cells in ROWS.items() if cells[3].startswith("—")}


def test_the_table_is_whole():
    assert len(ROWS) > 90
    assert all(len(cells) == 5 for cells in ROWS.values())
    assert all(len(ROWS[fact][3]) > 2 for fact in UNHANDLED), "an unhandled fact says why"


def test_the_table_and_the_code_agree():
    assert CITED - set(ROWS) == set(), "cited, and not in the table"
    assert set(ROWS) - UNHANDLED - CITED == set(), "said to be handled, and cited nowhere"


def test_every_handled_fact_names_a_test_that_exists():
    assert [fact for fact in ROWS if fact not in UNHANDLED and not ROWS[fact][4]] == []
    names = {name for cells in ROWS.values() for name in cells[4].split()}
    assert [name for name in sorted(names) if f"def {name}(" not in SOURCES] == []
