"""The order of the reasoning efforts, and what is sent where a model does not take the one that was asked for."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["EFFORTS", "effort_of_budget", "is_weaker", "nearest_effort"]

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""From the weakest to the strongest; `none` switches reasoning off."""

_BUDGETS = ((1024, "minimal"), (2048, "low"), (8192, "medium"), (24_576, "high"), (65_536, "xhigh"))
"""The most tokens that each effort stands for; more than the last is `max`."""


def is_weaker(one: str, other: str) -> bool:
    """Whether an effort is weaker than another. Raises ValueError for a word that is no effort."""
    return EFFORTS.index(one) < EFFORTS.index(other)


def nearest_effort(asked: str, taken: Collection[str]) -> str:
    """Return the strongest effort taken that is not above the one asked for, else the weakest taken.

    An effort never becomes `none` where there is another one: to think less is not to think not at all. And `none`
    stays `none` where it is taken: off is off. Raises ValueError for a word that is no effort, or if none is taken.
    """
    if asked == "none" and "none" in taken:
        return "none"
    some = [effort for effort in EFFORTS if effort in taken and effort != "none"]
    if some:
        return next((effort for effort in reversed(some) if not is_weaker(asked, effort)), some[0])
    if not taken:
        raise ValueError("no effort is taken")
    return next(iter(taken))  # off, or a vendor's own word


def effort_of_budget(tokens: int) -> str:
    """Return the effort that a budget in tokens comes nearest to."""
    return next((effort for most, effort in _BUDGETS if tokens <= most), "max")
