"""JSON values held against a JSON Schema: what a model returns is checked by the schema the caller gave.

The schema as sent may be weaker than the caller's, since vendors take different parts of JSON Schema; the answer is
therefore always held against the original. The rules are those of JSON Schema 2020-12, with the older spellings of
draft 7 (`items` as a list, `definitions`, `dependencies`). https://json-schema.org/draft/2020-12

Not checked: `format` (an annotation, by the standard's own default), `unevaluated*`, `$dynamicRef`, references that
leave the schema, and patterns that Python's `re` does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isclose
from typing import Any, TypeAlias

import attrs

__all__ = ["Violation", "violations"]

_MOST_NESTED = 200
_NO_OTHER = ", and no other alternative fits"


@attrs.frozen
class Violation:
    """One place where a value does not fit: `path` into the value (`items[2].price`; empty: the value itself)."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path or 'the value'} {self.problem}"


_Found: TypeAlias = Iterator[Violation]


def violations(
    value: Any, schema: Any, root: Mapping[str, Any] | None = None, path: str = "", depth: int = 0
) -> Iterator[Violation]:
    """Give every violation of a schema by a decoded JSON value, in the order of the schema's keywords.

    `root` is what references start from (default: the schema itself).
    """
    if schema is False:
        yield Violation(path, "is not allowed here")
    if not isinstance(schema, Mapping):
        return
    if depth > _MOST_NESTED:
        yield Violation(path, f"is nested deeper than {_MOST_NESTED} levels, or the schema refers to itself for ever")
        return
    check = _Check(schema if root is None else root, path, depth)
    for keyword, wanted in schema.items():
        rule = _RULES.get(keyword)
        if rule is not None:
            yield from rule(check, value, wanted, schema)


@attrs.frozen
class _Check:
    """Where a check stands: the root of the schema, the path into the value, and how deep it is."""

    root: Mapping[str, Any]
    path: str
    depth: int

    def below(self, value: Any, schema: Any, path: str | None = None) -> _Found:
        return violations(value, schema, self.root, self.path if path is None else path, self.depth + 1)

    def fits(self, value: Any, schema: Any) -> bool:
        return next(self.below(value, schema), None) is None

    def member(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def item(self, place: int) -> str:
        return f"{self.path}[{place}]"


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
            return isinstance(value, Mapping)
    return type(value) is {"string": str, "boolean": bool, "null": type(None)}.get(name)


def _type(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    names = [wanted] if isinstance(wanted, str) else list(wanted) if isinstance(wanted, list | tuple) else []
    if names and not any(_is_type(value, str(name)) for name in names):
        yield Violation(check.path, f"is not of type {' or '.join(map(str, names))} but {_shown(value)}")


def _equal(one: Any, other: Any) -> bool:
    """Equal as JSON values: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def _enum(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if isinstance(wanted, Sequence) and not any(_equal(value, choice) for choice in wanted):
        yield Violation(check.path, f"is {_shown(value)}, which is none of {', '.join(map(_shown, wanted))}")


def _const(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if not _equal(value, wanted):
        yield Violation(check.path, f"is {_shown(value)}, not {_shown(wanted)}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# --- numbers and texts


def _bound(what: str, holds: Callable[[Any, Any], bool]) -> Any:
    def rule(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
        if _is_type(value, "number") and _is_type(wanted, "number") and not holds(value, wanted):
            yield Violation(check.path, f"is {_shown(value)}, which is not {what} {wanted}")

    return rule


def _is_multiple(value: Any, step: Any) -> bool:
    if step <= 0:
        return True
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    times = value / step
    return abs(times) < 1e15 and isclose(times, round(times), rel_tol=1e-9, abs_tol=1e-9)


def _size(kind: Any, measure: str, at_least: bool) -> Any:
    def rule(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
        if not isinstance(value, kind) or not _is_type(wanted, "number"):
            return
        if len(value) < wanted if at_least else len(value) > wanted:
            limit = "at least" if at_least else "at most"
            yield Violation(check.path, f"has {len(value)} {measure}, and {limit} {wanted} are allowed")

    return rule


def _pattern(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if isinstance(value, str) and not _matches(wanted, value):
        yield Violation(check.path, f"is {_shown(value)}, which does not match {wanted}")


def _matches(pattern: Any, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except (re.error, TypeError):
        return True


# --- objects


def _required(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if isinstance(value, Mapping) and isinstance(wanted, list | tuple):
        for name in wanted:
            if name not in value:
                yield Violation(check.member(str(name)), "is missing")


def _properties(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if isinstance(value, Mapping) and isinstance(wanted, Mapping):
        for name, part in wanted.items():
            if name in value:
                yield from check.below(value[name], part, check.member(name))


def _pattern_properties(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if isinstance(value, Mapping) and isinstance(wanted, Mapping):
        for pattern, part in wanted.items():
            for name in value:
                if _matches(pattern, str(name)):
                    yield from check.below(value[name], part, check.member(name))


def _additional(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if not isinstance(value, Mapping):
        return
    patterns = schema.get("patternProperties") or {}
    for name in value:
        if name in (schema.get("properties") or {}) or any(_matches(pattern, str(name)) for pattern in patterns):
            continue
        yield from check.below(value[name], wanted, check.member(name))


def _property_names(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if isinstance(value, Mapping):
        for name in value:
            yield from check.below(name, wanted, check.member(name))


def _dependent(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    """`dependentRequired`, `dependentSchemas`, and `dependencies` of draft 7, which is either of them."""
    if not isinstance(value, Mapping) or not isinstance(wanted, Mapping):
        return
    for name, then in wanted.items():
        if name in value:
            yield from _required(check, value, then, schema) if isinstance(then, list) else check.below(value, then)


# --- arrays


def _places(schema: Mapping[str, Any]) -> Sequence[Any]:
    """Return the schemas of the first items, each for its own place."""
    for keyword in ("prefixItems", "items"):
        if isinstance(schema.get(keyword), list):
            return schema[keyword]  # type: ignore[no-any-return]  # compared just above
    return ()


def _prefix(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if isinstance(value, list | tuple) and isinstance(wanted, list):
        for place, (item, part) in enumerate(zip(value, wanted, strict=False)):
            yield from check.below(item, part, check.item(place))


def _items(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if isinstance(wanted, list):
        yield from _prefix(check, value, wanted, schema)
    elif isinstance(value, list | tuple):
        for place in range(len(_places(schema)), len(value)):
            yield from check.below(value[place], wanted, check.item(place))


def _additional_items(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if isinstance(schema.get("items"), list) and isinstance(value, list | tuple):
        for place in range(len(schema["items"]), len(value)):
            yield from check.below(value[place], wanted, check.item(place))


def _unique(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if wanted is True and isinstance(value, list | tuple):
        for place, item in enumerate(value):
            if any(_equal(item, earlier) for earlier in value[:place]):
                yield Violation(check.item(place), "is there already, and the items must differ")
                return


def _contains(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if isinstance(value, list | tuple):
        found = sum(check.fits(item, wanted) for item in value)
        least, most = schema.get("minContains", 1), schema.get("maxContains")
        if found < least or (most is not None and found > most):
            yield Violation(check.path, f"holds {found} items of the wanted kind")


# --- combinations


def _all_of(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    for part in wanted if isinstance(wanted, list) else ():
        yield from check.below(value, part)


def _any_of(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    return _alternatives(check, value, wanted, most=None)


def _one_of(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    return _alternatives(check, value, wanted, most=1)


def _alternatives(check: _Check, value: Any, wanted: Any, *, most: int | None) -> _Found:
    """Each branch is walked once: twice would double at every level of a schema that refers to itself."""
    if not isinstance(wanted, list) or not wanted:
        return
    first = [next(check.below(value, part), None) for part in wanted]
    fitting = first.count(None)
    problems = [problem for problem in first if problem is not None]
    if not fitting:
        nearest = max(problems, key=lambda problem: len(problem.path))  # the branch that fitted furthest says most
        also = "" if len(problems) == 1 or nearest.problem.endswith(_NO_OTHER) else _NO_OTHER
        yield Violation(nearest.path, nearest.problem + also)
    elif most is not None and fitting > most:
        yield Violation(check.path, "fits more than one alternative, and must fit exactly one")


def _not(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if check.fits(value, wanted):
        yield Violation(check.path, f"is {_shown(value)}, which is excluded")


def _if(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    yield from check.below(value, schema.get("then" if check.fits(value, wanted) else "else", True))


def _reference(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if isinstance(wanted, str) and wanted.startswith("#"):
        yield from check.below(value, _target(check.root, wanted))


def _target(root: Any, reference: str) -> Any:
    """Return what a reference inside the schema leads to; true, which allows all, where it leads nowhere."""
    for part in reference.removeprefix("#").removeprefix("/").split("/") if reference != "#" else ():
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(root, Mapping) and name in root:
            root = root[name]
        elif isinstance(root, list) and name.isdigit() and int(name) < len(root):
            root = root[int(name)]
        else:
            return True
    return root


_RULES: Mapping[str, Callable[[_Check, Any, Any, Mapping[str, Any]], _Found]] = {
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
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "propertyNames": _property_names,
    "minProperties": _size(Mapping, "properties", True),
    "maxProperties": _size(Mapping, "properties", False),
    "dependentRequired": _dependent,
    "dependentSchemas": _dependent,
    "dependencies": _dependent,
    "prefixItems": _prefix,
    "items": _items,
    "additionalItems": _additional_items,
    "minItems": _size((list, tuple), "items", True),
    "maxItems": _size((list, tuple), "items", False),
    "uniqueItems": _unique,
    "contains": _contains,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "$ref": _reference,
}
