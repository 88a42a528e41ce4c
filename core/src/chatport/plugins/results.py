"""What each hook may give, and in which words it is said that something else came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from ..call import Verdict, WireRequest, WireTools
from ..errors import ChatportError
from ..events import Event
from ..facts.models import ModelFacts
from ..types import ModelInfo, RateLimits

__all__ = ["PLAIN_VALUES", "problem_of"]

_EVENTS: tuple[type, ...] = get_args(Event)
PLAIN_VALUES: Mapping[str, type] = {
    "describe_model": ModelFacts,
    "translate_tools": WireTools,
    "shape_request": WireRequest,
    "read_rate_limits": RateLimits,
}
"""What a hook gives, where nothing is wrong with any value of the class."""
_VALUES: Mapping[str, type] = {**PLAIN_VALUES, "classify_error": Verdict}
_LISTS: Mapping[str, frozenset[type]] = {
    "decode_chunk": frozenset(_EVENTS),
    "decode_reply": frozenset(_EVENTS),
    "parse_models": frozenset((ModelInfo,)),
}
_NEEDED = ("shape_request",)
"""Hooks for which None, "I have nothing to say", cannot be the last word."""


def problem_of(hook: str, result: Any) -> str | None:
    """Return in words what a hook gave in place of its value, None if it gave that."""
    if result is None:
        return "None, not a WireRequest" if hook in _NEEDED else None
    if hook in _LISTS:
        return _problem_of_list(hook, result)
    wanted = _VALUES.get(hook)
    if wanted is None:
        return None
    if not isinstance(result, wanted):
        return f"{_named(result)}, not a {wanted.__name__}"
    return _problem_of_verdict(result) if isinstance(result, Verdict) else None


def _problem_of_list(hook: str, result: Any) -> str | None:
    kinds = _LISTS[hook]
    if type(result) is list and kinds.issuperset(map(type, result)):  # as nearly every hook gives it
        return None
    thing = "ModelInfo values" if hook == "parse_models" else "events"
    if isinstance(result, str | bytes | Mapping) or not isinstance(result, Iterable):
        return f"{_named(result)}, not a list of {thing}"
    if not isinstance(result, list | tuple):  # a generator would be used up by a look into it
        return None
    wrong = next((item for item in result if not isinstance(item, tuple(kinds))), None)
    if wrong is None and None in result:
        return f"None among its {thing}"
    return None if wrong is None else f"{_named(wrong)} among its {thing}"


def _problem_of_verdict(verdict: Verdict) -> str | None:
    error: Any = verdict.error  # nobody has checked it
    if not (isinstance(error, type) and issubclass(error, ChatportError)):
        return f"a Verdict whose error is {_named(error)}, not a class of chatport's errors"
    wrong = [event for event in verdict.events if not isinstance(event, _EVENTS)]
    return f"a Verdict with {_named(wrong[0])} among its events" if wrong else None


def _named(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return type(value).__name__
