"""Token counts from the five places vendors put them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..call import Context
from ..types import Usage
from .paths import at

__all__ = ["read_usage", "vendors_usage"]

_COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens")

_PLAIN = frozenset(("prompt_tokens", "completion_tokens", "total_tokens"))
"""What most servers send and nothing else; the other names are not looked for where they cannot be."""
_TOO_MANY = 10**15
"""From here on, and below 0, a number is no count of tokens: it stays unknown, and no cost is made of it."""


def vendors_usage(data: Any, context: Context) -> Usage | None:
    """Return the usage object in our words, with the counts that the vendor's facts say are in other places."""
    usage, facts = read_usage(data), context.provider.facts
    if facts is None or facts.usage is None or not isinstance(data, Mapping):
        return usage
    counts: dict[str, Any] = {}
    for name in _COUNTS:
        place = getattr(facts.usage, name)
        if place is not None:
            counts[name] = _count({name: at(data, place)}, name)
    usage = attrs.evolve(usage or Usage(raw=data), **counts)
    if facts.usage.rest_is_reasoning:
        usage = _with_rest(usage, _count(data, "total_tokens"))
    return None if usage.input_tokens is None and usage.output_tokens is None else usage


def _with_rest(usage: Usage, total: int | None) -> Usage:
    """Return the usage with the rest of the total as reasoning, unless reasoning was named, or something is unknown."""
    known = None not in (total, usage.input_tokens, usage.output_tokens) and usage.reasoning_tokens is None
    rest = (total or 0) - (usage.input_tokens or 0) - (usage.output_tokens or 0)
    if not known or rest <= 0:  # none at all may be all of it, counted inside
        return usage
    return attrs.evolve(usage, output_tokens=(usage.output_tokens or 0) + rest, reasoning_tokens=rest)


def read_usage(data: Any) -> Usage | None:
    """Return the usage object in our words, None if it holds no count. Missing or null stays unknown, never 0."""
    if not (type(data) is dict or isinstance(data, Mapping)):
        return None
    if data.keys() <= _PLAIN:
        asked, answered = _count(data, "prompt_tokens"), _count(data, "completion_tokens")
        return None if asked is None and answered is None else Usage(asked, answered, raw=data)
    prompt = _details(data, "prompt_tokens_details", "input_tokens_details")
    completion = _details(data, "completion_tokens_details", "output_tokens_details")
    asked, answered = _count(data, "prompt_tokens", "input_tokens"), _count(data, "completion_tokens", "output_tokens")
    reasoned = _first(_count(completion, "reasoning_tokens"), _count(data, "reasoning_tokens"))
    total = _count(data, "total_tokens")
    if asked is not None and answered is not None and reasoned and total == asked + answered + reasoned:
        answered += reasoned  # the sum proves that this server counts reasoning beside its output, not inside
    usage = Usage(
        input_tokens=asked,
        output_tokens=answered,
        cached_input_tokens=_first(
            _count(prompt, "cached_tokens", "cache_read_input_tokens"),
            _count(
                data,
                "prompt_cache_hit_tokens",
                "cached_tokens",
                "num_cached_tokens",
                "cache_read_input_tokens",
            ),
        ),
        cache_write_tokens=_first(
            _count(prompt, "cache_write_tokens", "cache_creation_input_tokens"),
            _count(data, "cache_creation_input_tokens"),
        ),
        reasoning_tokens=reasoned,
        raw=data,
    )
    return None if usage.input_tokens is None and usage.output_tokens is None else usage


def _details(data: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        value = data.get(name)
        if isinstance(value, Mapping):
            return value
    return {}


def _count(data: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value: Any = data.get(name)
        is_whole = type(value) is int or (type(value) is float and value.is_integer())
        if is_whole and 0 <= value < _TOO_MANY:
            return int(value)
    return None


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)
