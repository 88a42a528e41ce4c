"""What is sent where a model does not take the effort that was asked for."""

from __future__ import annotations

import pytest

from chatport.standard.efforts import effort_of_budget, is_weaker, nearest_effort


@pytest.mark.parametrize(
    ("asked", "taken", "sent"),
    [
        ("high", ("low", "medium", "high"), "high"),
        ("max", ("low", "medium", "high"), "high"),
        ("xhigh", ("low", "max"), "low"),
        ("minimal", ("medium", "high"), "medium"),
        ("low", ("none", "high"), "high"),
        ("none", ("low", "high"), "low"),
        ("high", ("none",), "none"),
        ("none", ("none", "low"), "none"),
        ("high", ("own",), "own"),
    ],
)
def test_the_nearest_effort(asked: str, taken: tuple[str, ...], sent: str) -> None:
    assert nearest_effort(asked, taken) == sent


def test_words_that_are_no_efforts() -> None:
    assert is_weaker("low", "high")
    assert not is_weaker("high", "high")
    with pytest.raises(ValueError, match="not in tuple"):
        is_weaker("hot", "high")
    with pytest.raises(ValueError, match="no effort is taken"):
        nearest_effort("high", ())


@pytest.mark.parametrize(
    ("effort", "least", "most"),
    [
        ("minimal", 0, 1024),
        ("low", 1025, 2048),
        ("medium", 2049, 8192),
        ("high", 8193, 24_576),
        ("xhigh", 24_577, 65_536),
        ("max", 65_537, 10**9),
    ],
)
def test_a_budget_comes_nearest_to_an_effort(effort: str, least: int, most: int) -> None:
    assert [effort_of_budget(least), effort_of_budget(most)] == [effort, effort]
