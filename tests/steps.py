"""Counts what a piece of code does, so that a test can bound its cost without a clock."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["count_steps"]


def count_steps(action: Callable[[], Any]) -> int:
    """Return how many lines of Python, and calls of functions written in C, running `action` took.

    The same on every machine and under any load. What a single call into C does by itself (a copy, a search) counts
    one: a test of code that leaves its work to C must measure that work otherwise.
    """
    steps = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal steps
        steps += event == "line"
        return trace

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal steps
        steps += event == "c_call"

    old_trace, old_profile = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(old_profile)
        sys.settrace(old_trace)
    return steps
