"""What becomes of single body fields: the rules of the dialect, which hold for every model, and those of the facts."""

from __future__ import annotations

import re
from typing import Any

from ..call import Call, Context, WireRequest
from ..facts.rules import FieldRule, KnownFieldsRule
from .paths import at, has, holds, is_same, put, without
from .reasoning import asks_for, reasons

__all__ = ["apply_field_rules"]

_LONGEST_FITTED = 1024
"""Characters of a text that are held against a pattern; a longer one does not fit."""


def apply_field_rules(wire: WireRequest, call: Call, context: Context) -> WireRequest:
    """Return the request with the rules for the fields that are there applied, in the order of their writing."""
    known = context.facts.rules
    for rules in (context.provider.dialect.fields, {} if known is None else known.fields):
        for field, given in rules.items():
            for rule in given if isinstance(given, tuple) else (given,):
                if has(wire.body, field) and _holds(rule, wire, call, context):
                    wire = _applied(wire, field, rule)
    return wire if known is None or known.known_fields is None else _known(wire, known.known_fields, context)


def _known(wire: WireRequest, rule: KnownFieldsRule, context: Context) -> WireRequest:
    more = context.settings.get(rule.setting or "") or ()
    known = {*rule.fields, *((more,) if isinstance(more, str) else more)}
    for field in [field for field in wire.body if field not in known]:
        wire = wire.drop(field, "a field that is not known here would fail the whole request", rule.fact)
    return wire


def _holds(rule: FieldRule, wire: WireRequest, call: Call, context: Context) -> bool:
    """Whether the rule is meant for this request."""
    return (
        (rule.streamed is None or rule.streamed == wire.stream)
        and (rule.beside is None or has(wire.body, rule.beside))
        and (rule.without is None or not has(wire.body, rule.without))
        and holds(wire.body, rule.where)
        and (rule.when is None or asks_for(rule.when, wire, call))
        and (rule.reasoning is None or rule.reasoning == reasons(wire, context))
    )


def _applied(wire: WireRequest, field: str, rule: FieldRule) -> WireRequest:
    value = at(wire.body, field)
    if any(is_same(value, same) for same in rule.same):
        return without(wire, field)
    if rule.instead is not None and value not in rule.values:
        return put(wire, field, rule.instead).note("lowered", field, rule.reason, rule.fact)
    if (rule.fits is not None and not _fits(value, rule.fits)) or (rule.values and value not in rule.values):
        return _dropped(wire, field, rule.reason, rule.fact)
    if rule.rename is not None:
        if has(wire.body, rule.rename):
            return _dropped(wire, field, f"{rule.rename} is given too", rule.fact)
        wire = put(without(wire, field), rule.rename, value)
        return wire.note("renamed", field, rule.reason or f"sent as {rule.rename}", rule.fact)
    if rule.least is not None or rule.most is not None:
        return _held(wire, field, value, rule)
    if rule.brings:
        return _brought(wire, rule)
    if rule.noted:
        return wire.note("note", field, rule.reason, rule.fact)
    is_taken = rule.kept or rule.fits is not None or rule.values
    return wire if is_taken else _dropped(wire, field, rule.reason, rule.fact)


def _dropped(wire: WireRequest, field: str, reason: str, fact: str) -> WireRequest:
    return without(wire, field).note("dropped", field, reason, fact)


def _fits(value: Any, pattern: str) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_FITTED and re.fullmatch(pattern, value) is not None


def _held(wire: WireRequest, field: str, value: Any, rule: FieldRule) -> WireRequest:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return wire
    held = max(value, rule.least) if rule.least is not None else value
    held = min(held, rule.most) if rule.most is not None else held
    return wire if held == value else put(wire, field, held).note("lowered", field, rule.reason, rule.fact)


def _brought(wire: WireRequest, rule: FieldRule) -> WireRequest:
    for name, value in rule.brings.items():
        given = at(wire.body, name)
        if given in (None, False) and not is_same(given, value):
            wire = put(wire, name, value).note("added", name, rule.reason, rule.fact)
    return wire
