"""What becomes of single body fields: the rules of the dialect, which hold for every model, and those of the facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..call import Context, WireRequest
from ..rules import FieldRule
from .reasoning import reasons

__all__ = ["apply_field_rules"]

_LONGEST_FITTED = 1024
"""Characters of a text that are held against a pattern; a longer one does not fit."""


def apply_field_rules(wire: WireRequest, context: Context) -> WireRequest:
    """Return the request with the rules for the fields that are there applied, in the order of their writing."""
    known = context.facts.rules
    for rules in (context.provider.dialect.fields, {} if known is None else known.fields):
        for field, given in rules.items():
            for rule in given if isinstance(given, tuple) else (given,):
                if field in wire.body and _holds(rule, wire, context):
                    wire = _applied(wire, field, rule)
    return wire


def _holds(rule: FieldRule, wire: WireRequest, context: Context) -> bool:
    """Whether the rule is meant for this request."""
    return (
        (rule.streamed is None or rule.streamed == wire.stream)
        and (rule.beside is None or rule.beside in wire.body)
        and (rule.without is None or rule.without not in wire.body)
        and (rule.reasoning is None or rule.reasoning == reasons(wire, context))
    )


def _applied(wire: WireRequest, field: str, rule: FieldRule) -> WireRequest:
    value = wire.body[field]
    if any(type(value) is type(same) and value == same for same in rule.same):
        return wire.discard(field)
    if (rule.fits is not None and not _fits(value, rule.fits)) or (rule.values and value not in rule.values):
        return wire.drop(field, rule.reason, rule.fact)
    if rule.rename is not None:
        if rule.rename in wire.body:
            return wire.drop(field, f"{rule.rename} is given too", rule.fact)
        return wire.rename(field, rule.rename, rule.reason, rule.fact)
    if rule.least is not None or rule.most is not None:
        return _held(wire, field, value, rule)
    if rule.brings:
        return _brought(wire, rule)
    return wire if rule.fits is not None or rule.values else wire.drop(field, rule.reason, rule.fact)


def _fits(value: Any, pattern: str) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_FITTED and re.fullmatch(pattern, value) is not None


def _held(wire: WireRequest, field: str, value: Any, rule: FieldRule) -> WireRequest:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return wire
    held = max(value, rule.least) if rule.least is not None else value
    held = min(held, rule.most) if rule.most is not None else held
    return wire if held == value else wire.lower(field, held, rule.reason, rule.fact)


def _brought(wire: WireRequest, rule: FieldRule) -> WireRequest:
    missing: Mapping[str, Any] = {name: value for name, value in rule.brings.items() if wire.body.get(name) is None}
    for name, value in missing.items():
        wire = wire.add(name, value, rule.reason, rule.fact)
    return wire
