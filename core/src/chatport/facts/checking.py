"""What a facts file may say: no key without a meaning, no rule that cannot act, no pattern that takes for ever."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec

from .rules import NEEDS, STRICT_SIZES, ReasoningRule, Rules
from .vendor_rules import ErrorRule, LimitsRule, UsageRule

__all__ = ["check_errors", "check_limits", "check_rules", "check_usage", "refuse_unknown"]

CONDITIONS = (
    "forced_choice",
    "required_choice",
    "named_choice",
    "tools",
    "prefix",
    "json_schema",
    "json_object",
)
"""What `gives_way_to` and `wins_over` of a reasoning rule, and `when` of a field rule may name."""


def refuse_unknown(data: Any, kind: Any, where: str) -> None:
    """Raise ValueError for a key that has no meaning: a misspelt rule would seem to act, and do nothing."""
    if get_origin(kind) in (Union, UnionType):
        for option in get_args(kind):
            if isinstance(data, Mapping) == (_has_fields(option) or get_origin(option) is Mapping):
                refuse_unknown(data, option, where)
    elif _has_fields(kind) and isinstance(data, Mapping):
        hints = get_type_hints(kind)
        unknown = sorted(data.keys() - hints.keys())
        if unknown:
            raise ValueError(f"unknown facts {unknown} in the entry {where!r}")
        for name, value in data.items():
            refuse_unknown(value, hints[name], f"{where} {name}".strip())
    elif get_origin(kind) is tuple and isinstance(data, list | tuple):
        for number, item in enumerate(data):
            refuse_unknown(item, get_args(kind)[0], f"{where}[{number}]")
    elif get_origin(kind) is Mapping and isinstance(data, Mapping):
        for name, item in data.items():
            refuse_unknown(item, get_args(kind)[1], f"{where} {name}".strip())


def _has_fields(kind: Any) -> bool:
    return attrs.has(kind) or (isinstance(kind, type) and issubclass(kind, msgspec.Struct))


def check_rules(rules: Rules | None, where: str) -> None:
    """Raise ValueError for a rule that cannot act."""
    if rules is None:
        return
    reasoning = rules.reasoning or ReasoningRule()
    for name in (*reasoning.gives_way_to, *reasoning.unasked_gives_way_to, *reasoning.wins_over):
        if name not in CONDITIONS:
            raise ValueError(f"{where}: reasoning gives way to one of {', '.join(CONDITIONS)}, not to {name!r}")
    for field, given in rules.fields.items():
        for rule in given if isinstance(given, tuple) else (given,):
            _check_pattern(rule.fits, f"{where}: fields.{field}.fits")
            if rule.when not in (None, *CONDITIONS):
                raise ValueError(f"{where}: fields.{field}.when is one of {', '.join(CONDITIONS)}, not {rule.when!r}")
    strict = rules.schemas and rules.schemas.strict
    unknown = sorted(strict.most.keys() - set(STRICT_SIZES)) if strict else []
    if unknown:
        raise ValueError(f"{where}: schemas.strict.most bounds {', '.join(STRICT_SIZES)}, not {unknown[0]!r}")
    unknown = sorted(rules.protocol.needs.keys() - set(NEEDS)) if rules.protocol else []
    if unknown:
        raise ValueError(f"{where}: protocol.needs are {', '.join(NEEDS)}, not {unknown[0]!r}")
    if rules.call_ids is not None:
        _check_pattern(rules.call_ids.fits, f"{where}: call_ids.fits")
        rules.call_ids.made_of("")
    if rules.batch is not None:
        _check_pattern(rules.batch.id_form, f"{where}: batch.id_form")
    if rules.batch is not None and not 0 < rules.batch.price_factor <= 1:
        raise ValueError(f"{where}: batch.price_factor is above 0 and at most 1, not {rules.batch.price_factor!r}")


def check_errors(rules: tuple[ErrorRule, ...]) -> None:
    """Raise ValueError for an error rule that names no error class of ours, or fits every error."""
    from .. import errors  # it needs the types, which is more than a rule does

    for rule in rules:
        known = getattr(errors, rule.error, None)
        if not (isinstance(known, type) and issubclass(known, errors.ChatportError)):
            raise ValueError(f"errors: {rule.error!r} is no error class of chatport.errors")
        if not (rule.status or rule.code or rule.words or rule.begins):
            raise ValueError(f"errors: a rule for {rule.error} fits everything; give status, code, words or begins")
        if any(text != text.lower() for text in (*rule.code, *rule.words, *rule.begins)):
            raise ValueError(
                f"errors: code, words and begins of the rule for {rule.error} are compared in small letters"
            )


def check_limits(rule: LimitsRule | None) -> None:
    """Raise ValueError for a header that would never be found."""
    given = [] if rule is None else [getattr(rule, name) for name in rule.__struct_fields__ if name != "fact"]
    for name in (name for names in given for name in names or ()):
        if name != name.lower():
            raise ValueError(f"limits: headers are looked up in small letters, not as {name!r}")


def check_usage(rule: UsageRule | None) -> None:
    """Raise ValueError for a factor by which nothing, or less, would be charged, or for one without a cost."""
    if rule is None:
        return
    if not 0 < rule.cost_factor < float("inf"):
        raise ValueError(f"usage: cost_factor is a positive number, not {rule.cost_factor!r}")
    if rule.cost is None and rule.cost_factor != 1:
        raise ValueError("usage: cost_factor means nothing without cost")


def _check_pattern(pattern: str | None, where: str) -> None:
    """Raise ValueError for a pattern that is none, or that may take more than linear time: a repeat within a repeat."""
    if pattern is None:
        return
    try:
        re.compile(pattern)
    except re.error as problem:
        raise ValueError(f"{where} is no pattern: {problem}") from None
    if re.search(r"[*+}]\??\)[*+{]", pattern):
        raise ValueError(f"{where} repeats what repeats, which may take for ever")
