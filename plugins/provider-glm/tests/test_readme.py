"""The quirk table, the code and the tests tell the same story."""

from __future__ import annotations

import pathlib
import re

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[1]
SOURCES = FOLDER / "src" / "chatport_glm"
FACT = re.compile(r"GL-[A-Z]*[0-9]+(?:\.[0-9]+)?")
SPAN = re.compile(r"(GL-[A-Z])([0-9]+) to GL-[A-Z]([0-9]+)")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (FOLDER / "README.md").read_text("utf-8").splitlines()
    if line.startswith("| GL-")
]
TESTS = [path for path in FOLDER.glob("tests/*.py") if path.name != "test_readme.py"]


def cited(*files: pathlib.Path) -> set[str]:
    text = "\n".join(file.read_text("utf-8") for file in files)
    spans = {f"{head}{n}" for head, first, last in SPAN.findall(text) for n in range(int(first), int(last) + 1)}
    return spans | set(FACT.findall(text))


def test_every_cited_fact_is_in_the_table_once():
    ids = [row[0] for row in ROWS]
    assert len(ids) == len(set(ids)) > 80
    assert cited(*SOURCES.glob("*.py"), *SOURCES.glob("*.json"), *TESTS) <= set(ids)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_handled_fact_is_cited_where_the_table_says(row):
    fact, what, source, where, test = row
    assert what
    assert source
    assert where
    for name in re.findall(r"\w+\.(?:py|json)", where):
        assert fact in cited(SOURCES / name), f"{name} does not name {fact}"
    tests = re.findall(r"test_\w+\.py", test)
    assert tests or where.startswith("no: "), f"{fact} is handled and has no test"
    for name in tests:
        assert fact in cited(FOLDER / "tests" / name), f"{name} does not name {fact}"
