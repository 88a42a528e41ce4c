"""The quirk table and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ID = re.compile(r"OA-[A-Z]\d+")
ROW = re.compile(r"^\| (OA-[A-Z]\d+) \|(.*)\|$", re.MULTILINE)
ROWS = {
    number: [cell.strip() for cell in cells.split(" | ")]
    for number, cells in ROW.findall((ROOT / "README.md").read_text("utf-8"))
}
SOURCES = {path: path.read_text("utf-8") for path in (ROOT / "src").rglob("*.[pj]*") if path.suffix != ".pyc"}
TESTS = {path: path.read_text("utf-8") for path in (ROOT / "tests").glob("test_*.py") if path != Path(__file__)}


def test_every_fact_has_a_row_of_four_cells():
    assert len(ROWS) == 130
    assert [number for number, cells in ROWS.items() if len(cells) != 4 or not all(cells)] == []


def test_every_number_cited_is_in_the_table():
    cited = {number for text in (*SOURCES.values(), *TESTS.values()) for number in ID.findall(text)}
    assert cited - ROWS.keys() == set()


def test_what_is_handled_is_cited_where_the_table_says():
    everywhere = {number for text in (*SOURCES.values(), *TESTS.values()) for number in ID.findall(text)}
    handled = {number for number, cells in ROWS.items() if not cells[2].startswith("not done")}
    assert handled - everywhere == set()
    for number in handled:
        files = re.findall(r"(\w+\.(?:py|json))", ROWS[number][2])
        texts = [text for path, text in SOURCES.items() if path.name in files]
        assert len(texts) == len(set(files)), number
        assert all(number in text for text in texts), number


def test_every_test_named_is_there():
    defined = {name for text in TESTS.values() for name in re.findall(r"def (test_\w+)", text)}
    named = {name for cells in ROWS.values() for name in re.findall(r"test_\w+", cells[3])}
    assert named
    assert named - defined == set()
    handled = [
        number for number, cells in ROWS.items() if not cells[2].startswith("not done") and "test_" not in cells[3]
    ]
    assert handled == []
