"""Which tests reach a line: those that a mutant there meets first.

As a plugin of pytest (`-p tests.mutants.reached`, below coverage) it notes which test each line is run by, and how long
each test takes. Tests are their functions here, whatever the parameters: they reach much the same.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import attrs
import coverage
import pytest

from .copies import PACKAGES, Copy

__all__ = ["Reached", "chosen_of"]

_FOLDER = "CHATPORT_REACHED"
_ANY = 1_000_000
_CONFIGURATION = """
[run]
parallel = true
patch = subprocess
disable_warnings = no-data-collected
data_file = {folder}/.coverage
source = {sources}
"""


# --- noting it, in the process that runs the tests

_seconds = defaultdict[str, float](float)
_last: list[str] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let coverage know which test it is that runs, and how long."""
    running, name, began = coverage.Coverage.current(), item.nodeid.partition("[")[0], time.perf_counter()
    if running is not None and _last[-1:] != [name]:  # parameters come one after the other; a switch takes a while
        running.switch_context(name)
        _last[:] = [name]
    try:
        return (yield)
    finally:
        _seconds[name] += time.perf_counter() - began


def pytest_sessionfinish() -> None:
    """Write down how long they took."""
    if folder := os.environ.get(_FOLDER):
        Path(folder, f"seconds.{os.getpid()}.json").write_text(json.dumps(_seconds), "utf-8")


# --- reading it


@attrs.frozen
class Reached:
    """Which tests reach each line of each file, and how long they take in seconds."""

    lines: Mapping[Path, Mapping[int, Sequence[str]]]
    seconds: Mapping[str, float]

    @classmethod
    def measured(cls, copy: Copy, folder: Path, workers: int, tests: Sequence[str] = ()) -> Reached:
        """Run tests once in a copy, all if none are said, and note it in an empty folder."""
        sources = sorted(str(path) for pattern in PACKAGES for path in copy.folder.glob(f"{pattern}/src"))
        configuration = folder / "coverage.ini"
        configuration.write_text(_CONFIGURATION.format(folder=folder, sources="\n    ".join(["", *sources])), "utf-8")
        below = ["-m", "coverage", "run", f"--rcfile={configuration}"]
        environment = {_FOLDER: str(folder), "PYTHONPATH": os.pathsep.join([str(copy.folder), *sources])}
        how = ["-p", "no:randomly", "-p", "tests.mutants.reached", *tests]
        copy.failures(how, at_most=_ANY, workers=workers, below=below, environment=environment)
        return cls.read(folder, copy.folder)

    @classmethod
    def read(cls, folder: Path, root: Path) -> Reached:
        """Read what was noted in a folder about the files of a tree."""
        together = coverage.Coverage(data_file=str(folder / ".coverage"), config_file=False)
        together.combine([str(folder)], keep=True)
        data = together.get_data()
        lines = {
            Path(name).relative_to(root): data.contexts_by_lineno(name)
            for name in sorted(data.measured_files())
            if Path(name).is_relative_to(root)
        }
        seconds = defaultdict[str, float](float)
        for noted in sorted(folder.glob("seconds.*.json")):
            for name, taken in json.loads(noted.read_text("utf-8")).items():
                seconds[name] += taken
        return cls(lines, seconds)

    def tests(self, path: Path, line: int, function: range) -> list[str]:
        """Return the tests that reach a line; if none is known to, those that reach its function, or else its file.

        A line of a statement of many is not always one that is known.
        """
        known = self.lines.get(path, {})
        for numbers in ([line], [number for number in known if number in function], list(known)):
            found = sorted({name for number in numbers for name in known.get(number, ()) if name})
            if found:
                return found
        return []


def chosen_of(tests: Sequence[str], seconds: Mapping[str, float], package: Path, most_seconds: float) -> list[str]:
    """Return the quick ones of the tests that reach a line, for so many seconds: half of them of its own package."""
    by_seconds = sorted(tests, key=lambda name: (seconds.get(name, 0.0), name))
    own = [name for name in by_seconds if name.startswith(f"{package}/")]
    others = [name for name in by_seconds if not name.startswith(f"{package}/")]
    chosen, left = list[str](), most_seconds
    for name in filter(None, itertools.chain.from_iterable(itertools.zip_longest(own, others))):
        takes = seconds.get(name, 0.0)
        if takes <= left:
            chosen.append(name)
            left -= takes
    return chosen
