"""The quirk table, the code and the tests tell the same story."""

from __future__ import annotations

import pathlib
import re

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[1]
SOURCES = FOLDER / "src" / "chatport_qwen"
ID = re.compile(r"QW-[A-Z0-9]+(?:\.\d+)?")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (FOLDER / "README.md").read_text("utf-8").splitlines()
    if line.startswith("| QW-")
]


def cited(*files: pathlib.Path) -> set[str]:
    return {match for file in files for match in ID.findall(file.read_text("utf-8"))}


def test_every_cited_fact_is_in_the_table_once():
    ids = [row[0] for row in ROWS]
    assert len(ids) == len(set(ids))
    files = [*SOURCES.glob("*.py"), *SOURCES.glob("*.json"), *FOLDER.glob("tests/*.py")]
    assert cited(*files) <= set(ids)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_handled_fact_is_cited_where_the_table_says(row):
    fact, what, source, where, test = row
    assert what
    assert source
    for name in re.findall(r"[\w]+\.(?:py|json)", where):
        assert fact in cited(SOURCES / name), f"{name} does not name {fact}"
    tests = re.findall(r"test_\w+\.py", test)
    assert tests or where.startswith("no: "), f"{fact} is handled and has no test"
    for name in tests:
        assert fact in cited(FOLDER / "tests" / name), f"{name} does not name {fact}"
