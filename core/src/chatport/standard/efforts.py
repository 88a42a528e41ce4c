"""The order of the reasoning efforts, and what is sent where a model does not take the one that was asked for."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["EFFORTS", "is_weaker", "nearest_effort"]

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""From the weakest to the strongest; `none` switches reasoning off."""


def is_weaker(one: str, other: str) -> bool:
    """Whether an effort is weaker than another. Raises ValueError for a word that is no effort."""
    return EFFORTS.index(one) < EFFORTS.index(other)


def nearest_effort(asked: str, taken: Collection[str]) -> str:
    """Return the strongest effort taken that is not above the one asked for, else the weakest taken.

    An effort never becomes `none` where there is another one: to think less is not to think not at all. Raises
    ValueError for a word that is no effort, or if none is taken.
    """
    some = [effort for effort in EFFORTS if effort in taken and effort != "none"] or [e for e in taken if e == "none"]
    if not some:
        raise ValueError("no effort is taken")
    return next((effort for effort in reversed(some) if not is_weaker(asked, effort)), some[0])
