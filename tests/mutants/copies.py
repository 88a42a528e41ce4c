"""A copy of the tree, in which mutants live while tests are run there: the checkout stays as it is."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

__all__ = ["ENDLESS", "PACKAGES", "ROOT", "UNREAD", "Copies", "Copy"]

_ItemT = TypeVar("_ItemT")
_FoundT = TypeVar("_FoundT")

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "protocols/*", "plugins/*", "surfaces", "gateway", "mcptools", "bulk")
_FAILED = re.compile(r"^(?:\[gw\d+\] \[ *\d+%\] )?(?:FAILED|ERROR) (\S.*?)(?: - .*)? *$", re.MULTILINE)
UNREAD = "(no test could be read)"  # in place of a name, where already what the tests share is broken
ENDLESS = "(the tests do not end)"  # in place of a name, where one of them hangs so that no limit of its own ends it
_PASSED = (0, 5)  # pytest's statuses: all passed, none was collected
_LONGEST_ID = 300
_ALL_TESTS = 12  # times as long as a part of them


class Copy:
    """A copy of the tree in the state that the checkout is in, with whatever is not committed."""

    def __init__(self, folder: Path, seconds: float, root: Path = ROOT) -> None:
        self.folder = folder
        self._seconds = seconds
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=root, capture_output=True, check=True, text=True).stdout.split("\0"):
            if name and (root / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, folder / name)
        paths = sorted(path for pattern in PACKAGES for path in folder.glob(f"{pattern}/src"))
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        # Before the installed packages, which are the checkout's.
        self._environment = {**inherited, "PYTHONPATH": os.pathsep.join(map(str, paths))}

    def check(self) -> None:
        """Make sure that tests here import what is here."""
        why = self.imports("chatport", f"assert chatport.__file__.startswith({str(self.folder)!r}), chatport.__file__")
        if why:
            raise SystemExit(f"The copy is not what its tests import: {why}")

    def imports(self, module: str, check: str = "") -> str:
        """Return why a module cannot be imported; no words if it can."""
        program = f"import {module}\n{check}"
        ran = subprocess.run([sys.executable, "-c", program], env=self._environment, capture_output=True, text=True)
        return (ran.stderr or f"status {ran.returncode}") if ran.returncode else ""

    @contextmanager
    def holding(self, sources: Mapping[Path, str]) -> Iterator[None]:
        """Put other sources in place of files for a while."""
        originals = {path: (self.folder / path).read_bytes() for path in sources}
        try:
            for path, source in sources.items():
                self._write(path, source.encode())
            yield
        finally:
            for path, content in originals.items():
                self._write(path, content)

    def _write(self, path: Path, content: bytes) -> None:
        place = self.folder / path
        place.write_bytes(content)
        # A mutant may be as long, and as old, as what was there: Python would take its bytecode for this one's.
        Path(importlib.util.cache_from_source(str(place))).unlink(missing_ok=True)

    def failures(
        self,
        tests: Sequence[str],
        *,
        at_most: int = 1,
        workers: int = 0,
        below: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Return the names of tests that fail, in the order in which they did.

        A run that takes too long is ended, and those that had failed until then are returned. `below` are arguments for
        Python that come before pytest's. A run of all tests may have no end for reasons of its own.
        """
        how = ["-v", "--tb=no", "-p", "no:cacheprovider", f"--maxfail={at_most}", "-n", str(workers)]
        at_once = ["--dist", "worksteal"] if workers else []
        command = [sys.executable, *below, "-m", "pytest", *how, *at_once, *tests]
        variables = {**self._environment, **(environment or {})}
        seconds = self._seconds * (_ALL_TESTS if workers else 1)
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            status, is_over = 0, True
            try:
                status = subprocess.run(
                    command, cwd=self.folder, env=variables, stdout=output, stderr=subprocess.STDOUT,
                    timeout=seconds,
                ).returncode  # fmt: skip
            except subprocess.TimeoutExpired:
                is_over = False
                print(f"        not done within {seconds:g} s: {' '.join(tests)[:_LONGEST_ID]}", flush=True)
            output.seek(0)
            names = list(dict.fromkeys(_FAILED.findall(output.read())))
        if not is_over and not workers:
            return names or [ENDLESS]
        return names or ([UNREAD] if status not in _PASSED else [])

    def seen_by(self, changed: Mapping[Path, str], tests: Sequence[str], broken: set[str]) -> str | None:
        """Return a test that always fails with changed sources and never without; and add others to the broken ones."""
        while True:
            without = [argument for test in broken for argument in ("--deselect", test)]
            with self.holding(changed):
                failed = next(iter(self.failures([*without, *tests])), None)
                alone = tests if failed in (UNREAD, ENDLESS) or "--collect-only" in tests else [failed or ""]
                fails_again = failed == ENDLESS or (failed is not None and bool(self.failures(alone)))
            if failed is None or failed in broken:
                return None
            if fails_again and not self.failures(alone):
                return failed
            broken.add(failed)
            why = "fails without the mutant too" if fails_again else "does not always fail with the mutant"
            print(f"        {why}: {failed[:_LONGEST_ID]}", flush=True)


class Copies:
    """So many copies, and a thread for each: what is asked of them is done side by side."""

    def __init__(self, folder: Path, number: int, seconds: float, root: Path) -> None:
        self.number = number
        self._threads = ThreadPoolExecutor(number)
        self._free: SimpleQueue[Copy] = SimpleQueue()
        if (recordings := root.parent / "shared").is_dir():  # where a checkout's tests look for them: beside it
            (folder / "shared").symlink_to(recordings)
        for each in range(number):
            place = folder / str(each)
            place.mkdir()
            self._free.put(Copy(place, seconds, root))

    def each(self, ask: Callable[[Copy, _ItemT], _FoundT], items: Sequence[_ItemT]) -> list[_FoundT]:
        """Return what is found for each item, in a copy that no other item has at that time."""
        return list(self._threads.map(lambda item: self.one(lambda copy: ask(copy, item)), items))

    def one(self, ask: Callable[[Copy], _FoundT]) -> _FoundT:
        """Return what is found in one of the copies."""
        copy = self._free.get()
        try:
            return ask(copy)
        finally:
            self._free.put(copy)

    @classmethod
    @contextmanager
    def made(cls, number: int, seconds: float, root: Path = ROOT) -> Iterator[Copies]:
        """Make copies, and remove them at the end. A run of tests in one may take so many seconds."""
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            copies = cls(Path(folder).resolve(), number, seconds, root)
            with copies._threads:
                yield copies
