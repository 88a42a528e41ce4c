"""The faults that `make mutants` makes: each is a program, differs in one place, and means something when it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from .mutants.mutate import diff_of, mutants_of
from .mutants.run import near_tests, sample, sources, stages


def changed(source: str) -> set[tuple[str, str]]:
    """Return the kind of each mutant of a source of one line, and the line that it makes of it."""
    applied = [(mutant.kind, mutant.applied(source)) for mutant in mutants_of(source)]
    return {(kind, text) for kind, text in applied if text is not None}


@pytest.mark.parametrize(
    ("source", "kind", "mutant"),
    [
        ("x = a < b", "a comparison is another", "x = (a <= b)"),
        ("x = a is b", "a comparison is another", "x = (a is not b)"),
        ("x = a and b", "and is or", "x = (a or b)"),
        ("x = a and b", "a part of a condition is left out", "x = (b)"),
        ("x = not a", "not is left out", "x = (a)"),
        ("x = a + b", "an operator is another", "x = (a - b)"),
        ("x = 5", "a constant is one more", "x = (5 + 1)"),
        ("x = 5", "a constant is one less", "x = (5 - 1)"),
        ("x = True", "a constant is another", "x = False"),
        ("x = 'name'", "a constant is another", "x = 'name?'"),
        ("x = a if b else c", "the two branches are swapped", "x = (c if b else a)"),
        ("f(a, b)", "two arguments are swapped", "(f(b, a))"),
        ("f(a, key=b)", "an argument is left out", "(f(a))"),
        ("f(a)", "a statement is left out", "pass"),
        ("a.b = c", "a statement is left out", "pass"),
        ("raise a", "an error is not raised", "pass"),
        ("if a: b()", "a condition is turned round", "if not (a): b()"),
        ("def f(): return a", "None is returned", "def f(): return None"),
        ("for a in b: continue", "a loop ends early", "for a in b: break"),
        ("for a in b: break", "a loop goes on", "for a in b: continue"),
    ],
)
def test_each_kind_of_change(source: str, kind: str, mutant: str) -> None:
    assert (kind, mutant) in changed(source)


@pytest.mark.parametrize(
    "source",
    [
        "x: list[5]",
        "def f(x: int = None) -> 5: ...",
        '__all__ = ["a"]',
        "'a docstring'",
        "raise_ = 'words for people'",
        "from a import b",
        "if TYPE_CHECKING:\n    x = 5",
        "x = f'{5} words'",
    ],
)
def test_what_means_nothing_when_it_runs_is_left_alone(source: str) -> None:
    assert changed(source) == set()


def test_the_rest_of_a_file_stays_as_it_is_written() -> None:
    source = "# é, a comment\nx = 'é'\nif x == (1 +\n        2):  # here\n    pass\n"
    (mutant,) = [mutant for mutant in mutants_of(source) if mutant.kind == "a comparison is another"]
    after = mutant.applied(source)
    assert after == "# é, a comment\nx = 'é'\nif (x != 1 + 2):  # here\n    pass\n"
    assert mutant.line == 3
    assert diff_of(source, after, "file.py").splitlines()[-1] == "+if (x != 1 + 2):  # here"


def test_a_sample_is_the_same_for_the_same_seed_and_from_shipped_code_alone() -> None:
    assert sample(5, 1) == sample(5, 1) != sample(5, 2)
    places = sources()
    assert Path("core/src/chatport/limits/retry.py") in places
    assert not [path for path in places if "testing" in path.parts or path.name in ("sync.py", "emulator.py")]


def test_the_likeliest_tests_come_first_and_all_others_after_them() -> None:
    path = Path("core/src/chatport/limits/retry.py")
    assert near_tests(path)[:1] == ["core/tests/test_retry_budget.py"]
    after = ["protocols", "surfaces", "gateway", "plugins"]
    quick, own, slow, *rest = stages(path)
    assert quick[:3] == ["-m", "not slow and not real_server and not engines", "core/tests/test_retry_budget.py"]
    assert own == ["-m", "not slow and not real_server and not engines", "core/tests"]
    assert (slow[1], slow[-1], rest) == (
        "(slow or real_server) and not engines",
        "core/tests",
        [["tests/faults", "tests/behaviour", "tests"], after],
    )
    plugin = Path("plugins/provider-glm/src/chatport_glm/__init__.py")
    assert ["-m", "not slow and not real_server and not engines", "plugins/provider-glm/tests"] in list(stages(plugin))
