"""Make small faults in the code, a sample of them, and say which ones the tests do not notice.

    make mutants                                        a sample of 100, another one each day
    make mutants ARGS="--number 150 --seed 7"           the same one as whoever says so
    make mutants ARGS="--at core/src/chatport/limits/retry.py"        all of a file, or of FILE:LINE

Each mutant is tried in a copy of the tree, never in the checkout. It first meets tests that reach its line, see
`reached.py`; the first that fails is enough. Those that pass there meet all tests together, see `together.py`. A test
that fails without the mutant as well is told, and does not count. A loop without end is noticed by the time limit of a
single test, or where a mutant alone has no end; all tests that take too long together have noticed nothing after that.
"""

from __future__ import annotations

import argparse
import functools
import random
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from pathlib import Path

import attrs

from .copies import PACKAGES, ROOT, Copies, Copy
from .mutate import Mutant, Trial, diff_of, function_around, mutants_of
from .reached import Reached, chosen_of
from .together import unseen_together

__all__ = ["main", "sources"]

_LONGEST_ID = 300
_ALONE_SECONDS = 20
_EVERY = ("-m", "not engines")


# --- what to change


def sources(root: Path = ROOT) -> list[Path]:
    """Return the files whose mutants are sampled, relative to the root: not what is generated, or there for tests."""
    found = [path for pattern in PACKAGES for path in root.glob(f"{pattern}/src/**/*.py")]
    names = sorted(path.relative_to(root) for path in found)
    return [
        path
        for path in names
        if path.name not in ("sync.py", "running_sync.py", "serving_sync.py")
        and not {"testing", "emulators"} & set(path.parts)
        and not path.stem.endswith("emulator")
    ]


def sample(number: int, seed: int) -> list[Trial]:
    """Return so many trials, the same ones for the same seed and tree. A long file has more than a short one."""
    texts = {path: text for path, (text, _) in _all().items()}
    every = [(path, mutant) for path, (_, mutants) in _all().items() for mutant in mutants]
    random.Random(seed).shuffle(every)
    chosen = islice(_trials(every, texts), number)
    return sorted(chosen, key=lambda trial: (trial.path, trial.mutant.line))


@functools.cache
def _all() -> Mapping[Path, tuple[str, Sequence[Mutant]]]:
    """Return the text of each source, and all its mutants."""
    texts = {path: (ROOT / path).read_text("utf-8") for path in sources()}
    return {path: (text, mutants_of(text)) for path, text in texts.items()}


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


# --- running them


def judged(chosen: Sequence[Trial], workers: int, seconds: float) -> list[Verdict]:
    """Try mutants, and tell of each when it is done: each alone with tests that reach it, then together with all."""
    telling, seen = threading.Lock(), dict[Trial, str]()

    def tell(trial: Trial, test: str) -> None:
        seen[trial] = test
        with telling:
            print(Verdict(trial, test).told(), flush=True)

    with Copies.made(workers, seconds) as copies, tempfile.TemporaryDirectory(prefix="reached-") as folder:
        copies.one(Copy.check)
        print("        which tests reach which lines: all tests are run once", flush=True)
        reached = copies.one(lambda copy: Reached.measured(copy, Path(folder), workers))

        def meet_those_that_reach_it(copy: Copy, trial: Trial) -> None:
            test = alone(copy, trial, reached)
            if test is not None:
                tell(trial, test)

        copies.each(meet_those_that_reach_it, chosen)
        left = unseen_together([trial for trial in chosen if trial not in seen], _EVERY, copies, tell)
    for trial in left:
        print(Verdict(trial, None).told(), flush=True)
    return [Verdict(trial, seen.get(trial)) for trial in chosen]


def alone(copy: Copy, trial: Trial, reached: Reached) -> str | None:
    """Return what notices a mutant, of the tests that reach it and take but a few seconds; None: none of them."""
    path, changed = trial.path, {trial.path: trial.source}
    with copy.holding(changed):
        why = copy.imports(
            ".".join(path.with_suffix("").parts[path.parts.index("src") + 1 :]).removesuffix(".__init__")
        )
    if why:
        return why.rstrip().rpartition("\n")[2]
    function = function_around((ROOT / path).read_text("utf-8"), trial.mutant.line)
    package = Path(*path.parts[: path.parts.index("src")])
    tests = chosen_of(reached.tests(path, trial.mutant.line, function), reached.seconds, package, _ALONE_SECONDS)
    return copy.seen_by(changed, tests, set()) if tests else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line. The status is 1 where too few were seen."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--number", type=int, default=100, help="how many (100)")
    parser.add_argument("--seed", type=int, default=date.today().toordinal(), help="which ones (another each day)")
    parser.add_argument("--at", metavar="FILE[:LINE]", help="all of one place, in place of a sample")
    parser.add_argument("--workers", type=int, default=2, help="how many side by side (2)")
    parser.add_argument("--seconds", type=float, default=300, help="for one run of tests (300); all: 12 times that")
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
