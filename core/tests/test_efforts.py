"""What is sent where a model does not take the effort that was asked for."""

from __future__ import annotations

import pytest

from chatport.standard.efforts import is_weaker, nearest_effort


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
