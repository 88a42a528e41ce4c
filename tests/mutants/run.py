"""Make small faults in the code, a sample of them, and say which ones the tests do not notice.

    make mutants                                        a sample of 40, another one each day
    make mutants ARGS="--number 150 --seed 7"           the same one as whoever says so
    make mutants ARGS="--at core/src/chatport/limits/retry.py"        all of a file, or of FILE:LINE

Each mutant is tried in a copy of the tree, never in the checkout. The tests that name its module or are named after it
come first, then those of its package, then all others; the first that fails is enough. A test that fails without the
mutant as well is told, and does not count. A loop without end is noticed by the time limit of a single test; tests that
together take too long are told, and have noticed nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

import attrs

from .mutate import Mutant, diff_of, mutants_of

__all__ = ["main", "near_tests", "sources", "stages"]

ROOT = Path(__file__).resolve().parents[2]
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.MULTILINE)
_NO_TESTS = 5  # pytest's status where nothing was collected
_LONGEST_ID = 300
_QUICK = ("-m", "not slow and not real_server and not engines")
_PACKAGES = ("core", "protocols/*", "plugins/*", "surfaces", "gateway", "bulk")


# --- what to change


def sources(root: Path = ROOT) -> list[Path]:
    """Return the files whose mutants are sampled, relative to the root: not what is generated, or there for tests."""
    found = [path for pattern in _PACKAGES for path in root.glob(f"{pattern}/src/**/*.py")]
    names = sorted(path.relative_to(root) for path in found)
    return [
        path
        for path in names
        if path.name not in ("sync.py", "running_sync.py", "serving_sync.py")
        and not {"testing", "emulators"} & set(path.parts)
        and not path.stem.endswith("emulator")
    ]


@attrs.frozen
class Trial:
    """A mutant, and the whole source of its file with it."""

    path: Path
    mutant: Mutant
    source: str = attrs.field(repr=False)


def sample(number: int, seed: int) -> list[Trial]:
    """Return so many trials, the same ones for the same seed and tree. A long file has more than a short one."""
    texts = {path: (ROOT / path).read_text("utf-8") for path in sources()}
    every = [(path, mutant) for path, text in texts.items() for mutant in mutants_of(text)]
    random.Random(seed).shuffle(every)
    chosen = islice(_trials(every, texts), number)
    return sorted(chosen, key=lambda trial: (trial.path, trial.mutant.line))


def at(place: str) -> list[Trial]:
    """Return all trials of a file, or of one of its lines."""
    name, _, line = place.partition(":")
    text = (ROOT / name).read_text("utf-8")
    found = [(Path(name), mutant) for mutant in mutants_of(text) if not line or mutant.line == int(line)]
    return list(_trials(found, {Path(name): text}))


def _trials(mutants: Sequence[tuple[Path, Mutant]], texts: Mapping[Path, str]) -> Iterator[Trial]:
    for path, mutant in mutants:
        source = mutant.applied(texts[path])
        if source is not None:
            yield Trial(path, mutant, source)


# --- what became of it


@attrs.frozen
class Verdict:
    """What became of a mutant: `seen_by` names the test that noticed it; None: none did."""

    trial: Trial
    seen_by: str | None

    def told(self) -> str:
        """Return it for a person."""
        path, mutant = self.trial.path, self.trial.mutant
        place = f"{path}:{mutant.line}"
        if self.seen_by is not None:
            return f"seen    {place}  {mutant.kind}  ({self.seen_by[:_LONGEST_ID]})"
        changed = diff_of((ROOT / path).read_text("utf-8"), self.trial.source, str(path))
        return f"UNSEEN  {place}  {mutant.kind}\n" + "\n".join(f"        {line}" for line in changed.splitlines())


# --- which tests, in which order


def near_tests(path: Path, root: Path = ROOT) -> list[str]:
    """Return the test files that are named after a module, then those that name it; of its own package first."""
    module = ".".join(path.with_suffix("").parts[path.parts.index("src") + 1 :]).removesuffix(".__init__")
    parent, _, stem = module.rpartition(".")
    named = re.compile(rf"{re.escape(module)}\b|from {re.escape(parent)} import .*\b{re.escape(stem)}\b")
    package = Path(*path.parts[: path.parts.index("src")], "tests")
    tests = sorted(
        test.relative_to(root)
        for folder in (package, Path("tests"))
        for test in (root / folder).rglob("test_*.py")
        if test.name != "test_recordings.py"
    )
    after = [test for test in tests if stem.strip("_") in test.stem]
    naming = [test for test in tests if test not in after and named.search((root / test).read_text("utf-8"))]
    return [str(test) for test in sorted([*after, *naming], key=lambda test: package not in test.parents)]


def stages(path: Path, root: Path = ROOT) -> Iterator[list[str]]:
    """Give the arguments for pytest for a mutant of a file: the likeliest tests first, and of those the quick ones."""
    near, own = near_tests(path, root), str(Path(*path.parts[: path.parts.index("src")], "tests"))
    if near:
        yield [*_QUICK, *near]
    yield [*_QUICK, own]
    yield ["-m", "(slow or real_server) and not engines", *near, own]
    yield ["tests/faults", "tests/behaviour", "tests"]
    if path.parts[0] in ("core", "protocols"):
        yield ["protocols", "surfaces", "gateway", "plugins"]


# --- running them


class Copy:
    """A copy of the tree in which one mutant at a time lives."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self._seconds = seconds
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0"):
            if name and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        paths = sorted(path for pattern in _PACKAGES for path in folder.glob(f"{pattern}/src"))
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),  # before the installed ones, which are the checkout's
            "PYTHONDONTWRITEBYTECODE": "1",  # a mutant may be as long, and as old, as the one before it
        }

    def check(self) -> None:
        """Make sure that tests here import what is here."""
        program = "import chatport; print(chatport.__file__)"
        ran = subprocess.run([sys.executable, "-c", program], env=self._environment, capture_output=True, text=True)
        if not ran.stdout.startswith(str(self.folder)):
            raise SystemExit(f"The copy is not what its tests import: {ran.stdout or ran.stderr}")

    def seen_by(self, trial: Trial) -> str | None:
        """Return the test that notices a mutant, None if none does."""
        place, broken = self.folder / trial.path, set[str]()
        original = place.read_bytes()
        for tests in stages(trial.path):
            while True:
                try:
                    place.write_text(trial.source, "utf-8")
                    failed = self._first_failure(tests, broken)
                    fails_again = failed is not None and self._first_failure([failed], set()) is not None
                finally:
                    place.write_bytes(original)
                if failed is None:
                    break
                if fails_again and self._first_failure([failed], set()) is None:
                    return failed
                broken.add(failed)
                why = "fails without the mutant too" if fails_again else "does not always fail with the mutant"
                print(f"        {why}: {failed[:_LONGEST_ID]}", flush=True)
        return None

    def _first_failure(self, tests: Sequence[str], without: set[str]) -> str | None:
        """Return the first test that fails, None where all pass or their time is over."""
        skipped = [argument for test in without for argument in ("--deselect", test)]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *skipped, *tests]
        try:
            ran = subprocess.run(
                command, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=self._seconds
            )
        except subprocess.TimeoutExpired:
            print(f"        not done within {self._seconds:g} s: {' '.join(tests)[:_LONGEST_ID]}", flush=True)
            return None
        if ran.returncode in (0, _NO_TESTS):
            return None
        found = _FAILED.search(ran.stdout)
        return found[1] if found else tests[-1]


def judged(chosen: Sequence[Trial], workers: int, seconds: float) -> list[Verdict]:
    """Try mutants side by side, each worker in a copy of its own, and tell of each when it is done."""
    telling = threading.Lock()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies: SimpleQueue[Copy] = SimpleQueue()
        if (recordings := ROOT.parent / "shared").is_dir():  # where a checkout's tests look for them: beside it
            (Path(folder).resolve() / "shared").symlink_to(recordings)
        for number in range(workers):
            place = Path(folder).resolve() / str(number)
            place.mkdir()
            copies.put(Copy(place, seconds))
        copy = copies.get()
        copy.check()
        copies.put(copy)

        def judge(trial: Trial) -> Verdict:
            mine = copies.get()
            try:
                verdict = Verdict(trial, mine.seen_by(trial))
            finally:
                copies.put(mine)
            with telling:
                print(verdict.told(), flush=True)
            return verdict

        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(judge, chosen))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line. The status is 1 where too few were seen."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--number", type=int, default=40, help="how many (40)")
    parser.add_argument("--seed", type=int, default=date.today().toordinal(), help="which ones (another each day)")
    parser.add_argument("--at", metavar="FILE[:LINE]", help="all of one place, in place of a sample")
    parser.add_argument("--workers", type=int, default=2, help="how many side by side (2)")
    parser.add_argument("--seconds", type=float, default=900, help="for one run of tests (900)")
    parser.add_argument("--least", type=float, default=95, help="percent that must be seen (95)")
    parser.add_argument("--list", action="store_true", help="show the mutants, and try none")
    given = parser.parse_args(arguments)
    chosen = at(given.at) if given.at else sample(given.number, given.seed)
    print(f"{len(chosen)} mutants" + ("" if given.at else f" of seed {given.seed}"), flush=True)
    if given.list:
        for trial in chosen:
            print(Verdict(trial, None).told().removeprefix("UNSEEN  "))
        return 0
    verdicts = judged(chosen, given.workers, given.seconds)
    unseen = [verdict for verdict in verdicts if verdict.seen_by is None]
    share = 100 * (1 - len(unseen) / len(verdicts)) if verdicts else 100.0
    print(f"\n{len(verdicts) - len(unseen)} of {len(verdicts)} seen ({share:.0f} %)")
    for verdict in unseen:
        print(verdict.told())
    return int(share < given.least)


if __name__ == "__main__":
    sys.exit(main())
