"""What each model takes, a second time, apart from the facts file that the hooks read (AN-K2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["ALWAYS", "MODELS", "Rules", "alias", "rules_of"]


class Rules(NamedTuple):
    """One row of the vendor's table of models (AN-K2)."""

    thinking: tuple[str, ...]
    thinks: bool
    efforts: tuple[str, ...]
    sampling: bool = False
    forced: bool = True
    prefill: bool = False
    max_tokens: int = 128_000
    bound: bool = False
    both_samplings: bool = False


_ALL = ("low", "medium", "high", "xhigh", "max")
_OLD = Rules(("enabled", "disabled"), False, (), sampling=True, prefill=True, max_tokens=64_000)
_MIDDLE = Rules(("adaptive", "enabled", "disabled"), False, ("low", "medium", "high", "max"), sampling=True)
_NEW = Rules(("adaptive", "disabled"), True, _ALL)
ALWAYS = Rules(("adaptive",), True, _ALL, forced=False)
MODELS: Mapping[str, Rules] = {
    "claude-haiku-4-5": _OLD,
    "claude-sonnet-4-5": _OLD,
    "claude-opus-4-5": _OLD._replace(efforts=("low", "medium", "high")),
    "claude-sonnet-4-6": _MIDDLE,
    "claude-opus-4-6": _MIDDLE,
    "claude-opus-4-7": _NEW._replace(thinks=False),
    "claude-opus-4-8": _NEW._replace(thinks=False),
    "claude-sonnet-5": _NEW,
    "claude-opus-5": _NEW,
    "claude-fable-5": ALWAYS,
    "claude-mythos-5": ALWAYS,
    "claude-fable-5-1": ALWAYS._replace(bound=True),
    "claude-opus-5-5": ALWAYS._replace(bound=True),
    "claude-sonnet-5-5": ALWAYS._replace(thinking=("adaptive", "between_tools"), bound=True),
    "claude-haiku-5-5": ALWAYS._replace(forced=True, bound=True),
}
_THREE = Rules(("disabled",), False, (), sampling=True, prefill=True, max_tokens=8_192)
_FOUR = _OLD._replace(both_samplings=True)
_FAMILIES: Mapping[str, Rules] = {  # models of before the table, for who has them: the longest beginning holds
    "claude-3": _THREE,
    "claude-3-haiku": _THREE._replace(max_tokens=4_096),
    "claude-3-opus": _THREE._replace(max_tokens=4_096),
    "claude-3-7-sonnet": _FOUR._replace(max_tokens=128_000),
    "claude-sonnet-4": _FOUR,
    "claude-opus-4": _FOUR._replace(max_tokens=32_000),
}
_ANY = Rules((*_MIDDLE.thinking, "between_tools"), False, _ALL, sampling=True, prefill=True, both_samplings=True)
"""A model that exists and of which nothing is known: nothing is refused on its account."""


def alias(body: Mapping[str, Any]) -> str:
    """Return the model's name as the table has it: without its date, and as it is called here, not by a gateway."""
    name = str(body.get("model")).rpartition("/")[2].replace(".", "-")
    return re.sub(r"-\d{8}$", "", name)


def rules_of(body: Mapping[str, Any]) -> Rules:
    """Return what the model of a request takes."""
    name = alias(body)
    families = [family for family in _FAMILIES if name.startswith(family)]
    return MODELS.get(name) or (_FAMILIES[max(families, key=len)] if families else _ANY)
