"""What each keyword of JSON Schema asks of a value: those that look at it as it is, and those that look into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from math import isclose, isfinite
from typing import Any

from .keywords import MAPPINGS, is_number
from .shown import MOST_NAMED, listed_values, member, shown
from .walk import STEPS_OF_WORDS, Check, Found, Rule, Violation, Walk, Walker

__all__ = ["RULES", "WALKS"]

_NO_OTHER = ", and no other alternative fits"


# --- any value


def _is_type(value: Any, name: str) -> bool:
    match name:
        case "integer":
            return (type(value) is int) or (type(value) is float and value.is_integer())
        case "number":
            return type(value) in (int, float)
        case "array":
            return isinstance(value, list | tuple)
        case "object":
            return isinstance(value, MAPPINGS)
    return type(value) is {"string": str, "boolean": bool, "null": type(None)}.get(name)


def _type(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> Found:
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if not names or any(_is_type(value, name) for name in names):
        return []
    return [Violation("", f"is not of type {' or '.join(names)} but {shown(value)}")]


def _enum(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> Found:
    if check.is_among(value, wanted):
        return []
    check.budget.spend(STEPS_OF_WORDS * min(len(wanted), MOST_NAMED))
    return [Violation("", f"is {shown(value)}, which is none of {listed_values(wanted)}")]


def _const(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> Found:
    if check.flat(value) == check.flat(wanted):
        return []
    return [Violation("", f"is {shown(value)}, not {shown(wanted)}")]


# --- numbers and texts


def _bound(what: str, holds: Callable[[Any, Any], bool]) -> Any:
    def rule(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> Found:
        if not _is_type(value, "number") or holds(value, wanted):
            return []
        return [Violation("", f"is {shown(value)}, which is not {what} {shown(wanted)}")]

    return rule


_MOST_ROUNDED = 1e6
"""Above it the error of a division of floats comes near to the tolerance: the numbers are taken as they are written."""


def _is_multiple(value: Any, step: Any) -> bool:
    if step <= 0:
        return True
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    try:
        times = value / step
    except OverflowError:
        times = float("inf")
    if abs(times) < _MOST_ROUNDED:
        return isclose(times, round(times), rel_tol=0.0, abs_tol=1e-9)
    return (isinstance(value, int) or isfinite(value)) and (_exact(value) / _exact(step)).denominator == 1


def _exact(number: int | float) -> Fraction:
    """Return a number as it is written: 0.1 is a tenth."""
    return Fraction(number if isinstance(number, int) else repr(number))


def _size(kind: Any, measure: str, at_least: bool) -> Any:
    def rule(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> Found:
        if not isinstance(value, kind) or (len(value) >= wanted if at_least else len(value) <= wanted):
            return []
        limit = "at least" if at_least else "at most"
        return [Violation("", f"has {len(value)} {measure}, and {limit} {shown(wanted)} are allowed")]

    return rule


def _pattern(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> Found:
    if not isinstance(value, str) or check.matches(wanted, value, unknown=True):
        return []
    return [Violation("", f"is {shown(value)}, which does not match {member(wanted, 200)}")]


# --- objects


def _required(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> Found:
    if not isinstance(value, MAPPINGS):
        return []
    return [Violation(member(name), "is missing") for name in wanted if name not in value]


def _dependent_required(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> Found:
    if not isinstance(value, MAPPINGS):
        return []
    present = [then for name, then in wanted.items() if name in value]
    return [violation for then in present for violation in _required(check, value, then, schema)]


def _parts(parts: Iterable[tuple[str, Any, Any]], most: int) -> Walk:
    """Find the violations of parts of a value: each the step that leads there, the part, and its schema."""
    found: Found = []
    for step, part, schema in parts:
        inside = yield part, schema, most
        found += [violation.within(step) for violation in inside] if step else inside
        if len(found) >= most:
            break
    return found


def _properties(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    if not isinstance(value, MAPPINGS):
        return []
    check.budget.spend(len(wanted))
    named = ((name, part) for name, part in wanted.items() if name in value)
    return (yield from _parts(((member(name), value[name], part) for name, part in named), most))


def _pattern_properties(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    if not isinstance(value, MAPPINGS):
        return []
    check.budget.spend(len(wanted) * len(value))
    pairs = ((name, part) for pattern, part in wanted.items() for name in value if check.matches(pattern, name, False))
    return (yield from _parts(((member(name), value[name], part) for name, part in pairs), most))


def _additional(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    if not isinstance(value, MAPPINGS):
        return []
    listed, patterns = (schema.get(keyword) for keyword in ("properties", "patternProperties"))
    listed = listed if isinstance(listed, MAPPINGS) else {}
    patterns = patterns if isinstance(patterns, MAPPINGS) else {}
    check.budget.spend((1 + len(patterns)) * len(value))
    more = (
        name for name in value if name not in listed and not any(check.matches(one, name, True) for one in patterns)
    )
    return (yield from _parts(((member(name), value[name], wanted) for name in more), most))


def _property_names(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    names = value if isinstance(value, MAPPINGS) else ()
    return (yield from _parts(((member(name), name, wanted) for name in names), most))


def _dependent(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    """`dependentSchemas`, and `dependencies` of draft 7, which may be lists of names too."""
    if not isinstance(value, MAPPINGS):
        return []
    check.budget.spend(len(wanted))
    present = [then for name, then in wanted.items() if name in value]
    lists = [{"required": then} if isinstance(then, list | tuple) else then for then in present]
    return (yield from _parts((("", value, then) for then in lists), most))


# --- arrays


def _prefix_length(schema: Mapping[str, Any]) -> int:
    """Return how many of the first items have a schema each for its own place."""
    lists = [schema[word] for word in ("prefixItems", "items") if isinstance(schema.get(word), list | tuple)]
    return len(lists[0]) if lists else 0


def _prefix(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    pairs = zip(value, wanted, strict=False) if isinstance(value, list | tuple) else ()
    return (yield from _parts(((f"[{place}]", item, part) for place, (item, part) in enumerate(pairs)), most))


def _items(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    if isinstance(wanted, list | tuple):
        return (yield from _prefix(check, value, wanted, schema, most))
    indices = range(_prefix_length(schema), len(value)) if isinstance(value, list | tuple) else ()
    return (yield from _parts(((f"[{index}]", value[index], wanted) for index in indices), most))


def _additional_items(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    first = schema.get("items")
    is_tuple = isinstance(first, list | tuple) and isinstance(value, list | tuple)
    indices = range(len(first), len(value)) if is_tuple and first is not None else ()
    return (yield from _parts(((f"[{index}]", value[index], wanted) for index in indices), most))


def _unique(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> Found:
    if not wanted or not isinstance(value, list | tuple):
        return []
    seen: set[Any] = set()
    for place, item in enumerate(value):
        flat = check.flat(item)
        if flat in seen:
            return [Violation(f"[{place}]", "is there already, and the items must differ")]
        seen.add(flat)
    return []


def _contains(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    if not isinstance(value, list | tuple):
        return []
    fitting = 0
    for item in value:
        fitting += not (yield item, wanted, 1)
    limits = [schema.get("minContains", 1), schema.get("maxContains", fitting)]
    least, at_most = (limit if is_number(limit) else fitting for limit in limits)
    return [] if least <= fitting <= at_most else [Violation("", f"holds {fitting} items of the wanted kind")]


# --- combinations


def _all_of(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    return (yield from _parts((("", value, part) for part in wanted), most))


def _any_of(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    problems: Found = []
    for part in wanted:
        found = yield value, part, 1
        if not found:
            return []
        problems += found
    return _nearest(problems)


def _one_of(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    problems: Found = []
    for part in wanted:
        problems += yield value, part, 1
    fitting = len(wanted) - len(problems)
    if fitting > 1:
        return [Violation("", "fits more than one alternative, and must fit exactly one")]
    return [] if fitting else _nearest(problems)


def _nearest(problems: Found) -> Found:
    """Return the problem of the branch that fitted furthest, which says most."""
    if not problems:
        return []
    nearest = max(problems, key=lambda problem: len(problem.path))
    also = "" if len(problems) == 1 or nearest.problem.endswith(_NO_OTHER) else _NO_OTHER
    return [Violation(nearest.path, nearest.problem + also)]


def _not(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    found = yield value, wanted, 1
    check.budget.spend(STEPS_OF_WORDS)
    return [] if found else [Violation("", f"is {shown(value)}, which is excluded")]


def _if(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    found = yield value, wanted, 1
    return (yield value, schema.get("else" if found else "then", True), most)


def _reference(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> Walk:
    target = check.target(wanted)
    if target is not None:
        return (yield value, target[0], most)
    check.note(schema, "$ref", lambda: f"$ref {shown(wanted)} leads nowhere in this schema")
    return []


def _unfollowed(check: Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> Found:
    check.note(schema, "$dynamicRef", lambda: f"dynamic references such as {shown(wanted)} are not followed")
    return []


# --- the keywords

RULES: Mapping[str, Rule] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "minimum": _bound("at least", lambda value, limit: value >= limit),
    "maximum": _bound("at most", lambda value, limit: value <= limit),
    "exclusiveMinimum": _bound("more than", lambda value, limit: value > limit),
    "exclusiveMaximum": _bound("less than", lambda value, limit: value < limit),
    "multipleOf": _bound("a multiple of", _is_multiple),
    "minLength": _size(str, "characters", True),
    "maxLength": _size(str, "characters", False),
    "pattern": _pattern,
    "required": _required,
    "minProperties": _size(Mapping, "properties", True),
    "maxProperties": _size(Mapping, "properties", False),
    "dependentRequired": _dependent_required,
    "minItems": _size((list, tuple), "items", True),
    "maxItems": _size((list, tuple), "items", False),
    "uniqueItems": _unique,
    "$dynamicRef": _unfollowed,
    "$recursiveRef": _unfollowed,
}
"""Rules that look at the value as a whole."""

WALKS: Mapping[str, Walker] = {
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "propertyNames": _property_names,
    "dependentSchemas": _dependent,
    "dependencies": _dependent,
    "prefixItems": _prefix,
    "items": _items,
    "additionalItems": _additional_items,
    "contains": _contains,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "$ref": _reference,
}
"""Rules that hold a part of the value, or all of it, against further schemas."""
