"""Patterns are found where `re` finds them, at a cost that is no more than the text times the pattern."""

from __future__ import annotations

import contextlib
import re
from functools import partial

import pytest
from hypothesis import given, settings, strategies as st
from tests.steps import count_steps

from chatport.schemas.matching import NotRun, Spend, compiled, is_found

ATOMS = st.sampled_from([r"a", r"b", r"[ab]", r"[^a]", r".", r"\d", r"\W", r"\s", r"[a-c\d_]", r"é", r"[^\w]"])
PLACES = st.sampled_from([r"\b", r"^", r"$", r"\Z", r"(?=a)", r"(?!b)", r"(?<=ab)", r"(?<!a)", r"(?m:^a$)"])
FLAGGED = st.sampled_from([r"(?i:k)", r"(?s:.)", r"(?a:\w)", r"(?i:[^k])"])


def free(steps: int) -> None:
    """Take any number of steps."""


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeats = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "*?", "{,2}?", "{2,}"])
    return (
        st.builds(lambda one, other: one + other, inner, inner)
        | st.builds(lambda one, other: f"({one}|{other})", inner, inner)
        | st.builds(lambda one, often: f"(?:{one}){often}", inner, repeats)
        | st.builds(lambda one: f"(?!{one})", inner)
        | st.builds(lambda flag, one: f"(?{flag}){one}" if one[:2] != "(?" else one, st.sampled_from("ims"), inner)
    )


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(
    st.recursive(ATOMS | PLACES | FLAGGED, _larger, max_leaves=6), st.text("aabbk K1_é\n\u017f", min_size=1, max_size=8)
)
def test_it_agrees_with_re(pattern: str, text: str) -> None:
    try:
        expected = re.search(pattern, text) is not None
    except re.error:
        return
    assert is_found(compiled(pattern, free), text, free) is expected


@pytest.mark.parametrize(
    "pattern",
    ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", r"^(\w+\s?)*$", r"(a*)*b", r"^(([a-z])+.)+[A-Z]([a-z])+$", ".*.*.*.*=.*"],
)
def test_no_pattern_costs_more_than_the_text_times_its_size(pattern: str) -> None:
    program = compiled(pattern, free)
    for length in (100, 10_000):
        spent: list[int] = []
        is_found(program, "a" * length + "!", spent.append)
        assert sum(spent) <= len(program.code) * (length + 2)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?P<", "no regular expression"),
        (r"\p{L}", "no regular expression"),
        ("a{99999999999999}", "no regular expression"),
        (r"(a)\1", "groupref"),
        ("(?>a)", "atomic_group"),
        ("a*+", "possessive_repeat"),
        ("(" * 5000, "more than 100 groups"),
        ("(?:" * 101 + ")" * 101, "more than 100 groups"),
        ("a" * 5000, "longer than 4000"),
        ("(?:a{1000}){1000}", "more than 20000 parts"),
        ("(?:(?=a{1000})){1000}", "more than 20000 parts"),
    ],
)
def test_what_is_not_run_says_why(pattern: str, why: str) -> None:
    with pytest.raises(NotRun, match=why):
        compiled(pattern, free)


@pytest.mark.parametrize("pattern", ["(?:){1000000000}", "(?:a{0}){1000000000}", "(?:(?:){2}){1000000000}"])
def test_nothing_many_times_is_nothing(pattern: str) -> None:
    assert is_found(compiled(pattern, free), "x", free)


def made(pattern: str, spend: Spend = free) -> None:
    with contextlib.suppress(NotRun):
        compiled(pattern, spend)


def test_making_a_program_is_counted() -> None:
    for pattern in ("(?:a{100}){50}", "(?:(?=a{50}))" * 50, "(?:a{1000}){1000}"):
        spent: list[int] = []
        made(pattern, spent.append)
        lines = count_steps(partial(made, pattern))
        assert lines < 100 * sum(spent)


@pytest.mark.parametrize(
    ("pattern", "text", "is_there"),
    [("a$", "a", True), ("a$", "a\n", True), ("a$", "a\nb", False), ("a$", "ab\n", False), ("(?m)a$", "a\nb", True),
     ("(?m)a$", "ab\na", True), ("a$", "a\n\n", False), ("a$", "ax", False)],
)  # fmt: skip
def test_the_end_is_before_the_last_line_end_too(pattern: str, text: str, is_there: bool) -> None:
    assert is_found(compiled(pattern, free), text, free) is is_there is (re.search(pattern, text) is not None)


@pytest.mark.parametrize(
    ("pattern", "text", "is_there"),
    [("(?!)", "x", False), ("(?!)|b", "ab", True), (r"\Ab", "b", True), (r"\Ab", "ab", False),
     (r"(?m)\Ab", "a\nb", False), ("(?m)^b", "a\nb", True), ("^b", "a\nb", False)],
)  # fmt: skip
def test_the_beginning_of_the_text_and_what_is_nowhere(pattern: str, text: str, is_there: bool) -> None:
    assert is_found(compiled(pattern, free), text, free) is is_there is (re.search(pattern, text) is not None)
