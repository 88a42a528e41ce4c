"""Try many mutants in one run of tests: whoever fails there is asked which of them it is about.

A run of all tests for each mutant that the nearest tests do not notice would take days. So all of those are made at
once, and the tests run once. Each mutant is then tried alone with those that failed, and is done with if one of them
notices it. That goes on until nothing fails: what is left by then has met every test, in company.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from .copies import ROOT, UNREAD, Copies, Copy
from .mutate import Trial

__all__ = ["combined", "spread", "unseen_together"]

_MOST_FAILURES = 60
_MOST_ASKED = 24
_LINES_APART = 5


def unseen_together(
    trials: Sequence[Trial],
    tests: Sequence[str],
    copies: Copies,
    tell: Callable[[Trial, str], None],
    root: Path = ROOT,
) -> list[Trial]:
    """Run tests with all these mutants, tell which are noticed and by which test, and return those that are not."""
    left, broken = list(trials), set[str]()

    def failures(made: Sequence[Trial]) -> list[str]:
        def run(copy: Copy) -> list[str]:
            without = [argument for test in broken for argument in ("--deselect", test)]
            with copy.holding(combined(made, root)):
                return copy.failures([*without, *tests], at_most=_MOST_FAILURES, workers=copies.number)

        return spread([name for name in copies.one(run) if name not in broken], tests)

    def noticed_by(made: Sequence[Trial], failed: Sequence[str]) -> list[str | None]:
        def ask(copy: Copy, trial: Trial) -> str | None:
            return copy.seen_by({trial.path: trial.source}, failed, broken)

        return copies.each(ask, made)

    while left:
        made = _side_by_side(left)
        print(f"        {len(made)} mutants together: {' '.join(tests)[:200]}", flush=True)
        failed = failures(made)
        if not failed:
            others = [trial for trial in left if trial not in made]
            unseen = unseen_together(others, tests, copies, tell, root)
            return [trial for trial in left if trial in made or trial in unseen]
        found = noticed_by(made, failed)
        for trial, test in zip(made, found, strict=True):
            if test is not None:
                tell(trial, test)
                left.remove(trial)
        if not any(found):
            broken.update(failed)  # they fail without a mutant too, or not always
    return left


def combined(trials: Sequence[Trial], root: Path = ROOT) -> dict[Path, str]:
    """Return the sources of the files of mutants with all of them made. No two may change the same text."""
    sources = {trial.path: (root / trial.path).read_bytes() for trial in trials}
    for trial in sorted(trials, key=lambda trial: trial.mutant.start, reverse=True):
        content, mutant = sources[trial.path], trial.mutant
        sources[trial.path] = content[: mutant.start] + mutant.text.encode() + content[mutant.end :]
    return {path: content.decode() for path, content in sources.items()}


def _side_by_side(trials: Sequence[Trial]) -> list[Trial]:
    """Return those of them that are some lines apart: one would hide another in the same expression."""
    made: list[Trial] = []
    for trial in trials:
        others = (other.mutant for other in made if other.path == trial.path)
        if all(abs(trial.mutant.line - other.line) > _LINES_APART for other in others):
            made.append(trial)
    return made


def spread(failed: Sequence[str], tests: Sequence[str], most: int = _MOST_ASKED) -> list[str]:
    """Return so many tests that failed, of as many files as there are; where a file could not be read, only read it."""
    if UNREAD in failed:
        return ["--collect-only", *tests]
    if unread := [name for name in failed if "::" not in name]:
        return ["--collect-only", *unread]
    by_file = defaultdict[str, list[str]](list)
    for name in failed:
        by_file[name.partition("::")[0]].append(name)
    rows = max(map(len, by_file.values()), default=0)
    return [found[row] for row in range(rows) for found in by_file.values() if row < len(found)][:most]
