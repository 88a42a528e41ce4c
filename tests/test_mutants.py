"""The faults that `make mutants` makes: each is a program, differs in one place, and means something when it runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .mutants.copies import ENDLESS, ROOT, UNREAD, Copies
from .mutants.mutate import Trial, diff_of, function_around, mutants_of
from .mutants.reached import Reached, chosen_of
from .mutants.run import at, sample, sources
from .mutants.together import combined, spread, unseen_together

_PLUGIN, _PLUGIN_FILES = Path("tests/mutants"), ("copies.py", "mutate.py", "reached.py")


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
    first = sample(5, 1)
    assert first == sample(5, 1)
    assert first != sample(5, 2)
    places = sources()
    assert Path("core/src/chatport/limits/retry.py") in places
    assert not [path for path in places if "testing" in path.parts or path.name in ("sync.py", "emulator.py")]


def test_mutants_of_one_file_are_made_together() -> None:
    path = Path("core/src/chatport/limits/retry.py")
    trials = at(str(path))
    first, last = trials[0], trials[-1]
    text = (ROOT / path).read_text("utf-8")
    both = combined([first, last])[path]
    head, tail = text[: first.mutant.start], text.encode()[last.mutant.end :].decode()
    assert both.startswith(head + first.mutant.text)
    assert both.endswith(last.mutant.text + tail)
    assert combined([first]) == {path: first.source}


def test_of_the_tests_that_failed_some_of_each_file_are_asked() -> None:
    assert spread(["a::1", "a::2", "a::3", "b::1", "c::1"], [], 4) == ["a::1", "b::1", "c::1", "a::2"]
    assert spread(["a::1", "folder/test_file.py"], []) == ["--collect-only", "folder/test_file.py"]
    assert spread([UNREAD], ["core/tests"]) == ["--collect-only", "core/tests"]
    assert spread([], ["core/tests"]) == []


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """Return the folder of a tree of its own, and the place of the only source in it."""
    path = Path("core/src/small.py")
    files = {
        path: "def small(number):\n    return number < 10 and number != 0\n\n\ndef big():\n    return 5\n",
        Path("core/tests/test_small.py"): "from small import *\n\n\ndef test_ten():\n    assert not small(10)\n",
    }
    files |= {place: (ROOT / place).read_text("utf-8") for place in map(_PLUGIN.joinpath, _PLUGIN_FILES)}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path, path


@pytest.mark.slow
def test_which_tests_reach_a_line_is_measured(
    small: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root, path = small
    with Copies.made(1, 60, root) as copies:
        reached = copies.one(lambda copy: Reached.measured(copy, tmp_path_factory.mktemp("noted"), 1, ["core/tests"]))
    test = "core/tests/test_small.py::test_ten"
    assert reached.lines[path][2] == [test]
    assert reached.lines[path][1] == [""]  # when it is imported
    assert reached.seconds[test] > 0
    assert reached.tests(path, 2, range(1, 3)) == [test]
    assert reached.tests(path, 6, range(5, 7)) == [test]  # nobody reaches that function: whoever reaches its file
    assert reached.tests(Path("core/src/other.py"), 1, range(0)) == []


def test_the_likeliest_of_the_tests_that_reach_a_line_are_chosen() -> None:
    seconds = {"core/tests/a::1": 3.0, "core/tests/a::2": 0.5, "tests/b::1": 0.1, "tests/b::2": 9.0}
    assert chosen_of(sorted(seconds), seconds, Path("core"), 4) == ["core/tests/a::2", "tests/b::1", "core/tests/a::1"]
    assert chosen_of(sorted(seconds), seconds, Path("core"), 1) == ["core/tests/a::2", "tests/b::1"]


@pytest.mark.slow
def test_who_is_noticed_is_told_apart(small: tuple[Path, Path]) -> None:
    """With three mutants: one would hide another if both were made at once."""
    root, path = small
    source = (root / path).read_text("utf-8")
    every = [Trial(path, mutant, applied) for mutant in mutants_of(source) if (applied := mutant.applied(source))]
    wanted = ("(number <= 10)", "(number == 0)", "(5 + 1)")
    trials = [trial for trial in every if trial.mutant.text in wanted]
    told: list[tuple[str, str]] = []
    with Copies.made(1, 60, root) as copies:
        unseen = unseen_together(
            trials, ["core/tests"], copies, lambda trial, test: told.append((trial.mutant.text, test)), root
        )
    assert told == [("(number <= 10)", "core/tests/test_small.py::test_ten")]
    assert [trial.mutant.text for trial in unseen] == ["(number == 0)", "(5 + 1)"]
    assert (root / path).read_text("utf-8") == source


@pytest.mark.slow
def test_a_mutant_that_lets_tests_wait_for_ever_is_noticed(small: tuple[Path, Path]) -> None:
    """Not all that hangs can be interrupted by the time limit of a single test: here nothing of Python's runs."""
    root, path = small
    hanging = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})\nwhile True: pass\n"
    with Copies.made(1, 10, root) as copies:
        assert copies.one(lambda copy: copy.seen_by({path: hanging}, ["core/tests"], set())) == ENDLESS
        assert copies.one(lambda copy: copy.seen_by({}, ["core/tests"], set())) is None


def test_the_function_around_a_line() -> None:
    source = "x = 1\n\ndef outer():\n    def inner():\n        return 5\n    return inner\n"
    assert [function_around(source, line) for line in (1, 5, 6)] == [range(0), range(4, 6), range(3, 7)]
