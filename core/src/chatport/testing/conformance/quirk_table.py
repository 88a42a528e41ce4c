"""The README's quirk table and the package tell the same story, in both directions.

The table has the header `| id | what | source, date | where handled | test |`; there may be several. "Where handled"
names files of the package, or `core`; for a fact that is not handled it begins with — or `no:` and says why. "Test"
names test functions or test files of the package. A range `XY-E1 to XY-E5` cites every number in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import cache
from pathlib import Path

import attrs
import pytest

from .subject import ConformanceTests

__all__ = ["QuirkTableTests"]

_HEADER = ("id", "what", "source, date", "where handled", "test")
_UNHANDLED = ("—", "no: ")
_SHORTEST_REASON = 10
_NUMBER = r"\d+(?:\.\d+)?[a-z]?"


@attrs.frozen
class Row:
    """A row of the table: a fact of the vendor's, and what became of it."""

    id: str
    what: str
    source: str
    where: str
    test: str

    @property
    def is_handled(self) -> bool:
        """Whether the package or the core does something about it."""
        return not self.where.startswith(_UNHANDLED)


@attrs.frozen
class Package:
    """A provider package as far as the table tells of it: its rows, and what each file cites, by the file's name."""

    rows: tuple[Row, ...]
    broken: tuple[str, ...]
    sources: Mapping[str, Set[str]]
    tests: Mapping[str, Set[str]]
    test_names: Set[str]

    @property
    def cited(self) -> Set[str]:
        """All that is cited anywhere."""
        return set().union(*self.sources.values(), *self.tests.values())


class QuirkTableTests(ConformanceTests):
    """What a vendor does differently is written down once, and cited where it is handled and where it is tested."""

    package: Path | None
    quirks: int | None

    def test_the_quirk_table_is_whole(self) -> None:
        package = self._package()
        ids = [row.id for row in package.rows]
        twice = sorted({fact for fact in ids if ids.count(fact) > 1})
        self._report([f"{line}: not five cells with the first four filled" for line in package.broken])
        self._report([f"{fact}: it has two rows" for fact in twice])
        if self.quirks not in (None, len(ids)):
            self._report([f"it has {len(ids)} rows, and conformance(…, quirks={self.quirks}) says another number"])

    def test_every_fact_that_is_cited_is_in_the_table(self) -> None:
        package = self._package()
        unknown = package.cited - {row.id for row in package.rows}
        self._report([f"{fact}: cited, and not in the table" for fact in sorted(unknown)])

    def test_what_is_handled_is_cited_where_the_table_says(self) -> None:
        package = self._package()
        cited = package.cited
        problems = [f"{row.id}: {problem}" for row in package.rows for problem in _citing_problems(row, package, cited)]
        self._report(problems)

    def test_what_is_handled_is_tested_where_the_table_says(self) -> None:
        package = self._package()
        self._report([f"{row.id}: {problem}" for row in package.rows for problem in _test_problems(row, package)])

    # --- tools for the tests

    def _package(self) -> Package:
        if self.package is None or not (self.package / "README.md").is_file():
            pytest.skip(f"{self.subject.name}: no README.md beside pyproject.toml above the test file")
        package = _read(self.package)
        if not package.rows and self.quirks is None:
            pytest.skip(f"{self.subject.name}: README.md has no quirk table (| {' | '.join(_HEADER)} |)")
        return package

    def _report(self, problems: list[str]) -> None:
        __tracebackhide__ = True
        found = f"the quirk table of README.md is not true in {len(problems)} places"
        change = "correct the table, or cite the fact where the table says"
        self.subject.check(not problems, "the quirk table", "\n          ".join(problems), found, change)


def _citing_problems(row: Row, package: Package, cited: Set[str]) -> Iterator[str]:
    if not row.is_handled:
        if len(row.where) < _SHORTEST_REASON:
            yield "it is not handled, and no reason is given"
        return
    if row.id not in cited:
        yield "it is cited nowhere"
    for name in re.findall(r"\b\w++\.(?:py|json)", row.where):
        if name not in package.sources:
            yield f"there is no {name}"
        elif row.id not in package.sources[name]:
            yield f"{name} does not cite it"


def _test_problems(row: Row, package: Package) -> Iterator[str]:
    named = re.findall(r"test_\w+", row.test)
    if row.is_handled and not named:
        yield "it is handled, and no test is named"
    for name in named:
        if f"{name}.py" in package.tests:
            if row.id not in package.tests[f"{name}.py"]:
                yield f"{name}.py does not cite it"
        elif name not in package.test_names:
            yield f"there is no {name}"


@cache
def _read(folder: Path) -> Package:
    rows, broken = [], []
    for line in _table_lines((folder / "README.md").read_text("utf-8")):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))]
        if len(cells) == len(_HEADER) and all(cells[:4]) and re.fullmatch(rf"[A-Z]+(?:-[A-Z]*)?{_NUMBER}", cells[0]):
            rows.append(Row(*cells))
        else:
            broken.append(line)
    prefixes = {re.sub(r"(?<=-).*|\d.*", "", row.id) for row in rows}  # "XY-" of XY-E1, "Q" of Q1
    sources = _citations((path for path in folder.glob("src/**/*") if path.suffix in (".py", ".json")), prefixes)
    test_files = list(folder.glob("tests/**/*.py"))
    names = {name for path in test_files for name in re.findall(r"def (test_\w+)\(", path.read_text("utf-8"))}
    return Package(tuple(rows), tuple(broken), sources, _citations(test_files, prefixes), names)


def _citations(paths: Iterable[Path], prefixes: Set[str]) -> dict[str, set[str]]:
    """Return what is cited, by the file's name; files of one name count together."""
    found: dict[str, set[str]] = {}
    for path in paths:
        found.setdefault(path.name, set()).update(_cited(path.read_text("utf-8"), prefixes))
    return found


def _table_lines(text: str) -> list[str]:
    """Return the rows of every table with the header above."""
    found, inside = [], False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
        elif tuple(cell.strip() for cell in line.strip().strip("|").split("|")) == _HEADER:
            inside = True
        elif inside and not re.fullmatch(r"[|\s:-]+", line):
            found.append(line)
    return found


def _cited(text: str, prefixes: Set[str]) -> set[str]:
    """Return the facts that a text names, one by one or in a range."""
    if not prefixes:
        return set()
    heads = "|".join(f"{prefix}[A-Z]*" if prefix.endswith("-") else prefix for prefix in sorted(prefixes))
    found = set(re.findall(rf"(?<![\w-])(?:{heads}){_NUMBER}(?!\w)", text))
    for head, first, last in re.findall(rf"(?<![\w-])({heads})(\d+) to \1(\d+)", text):
        found.update(f"{head}{number}" for number in range(int(first), int(last) + 1))
    return found
