"""JSON values held against a JSON Schema: what a model returns is checked by the schema the caller gave.

The schema as sent may be weaker than the caller's, since vendors take different parts of JSON Schema; the answer is
therefore always held against the original. The rules are those of JSON Schema 2020-12, with the older spellings of
draft 7 (`items` as a list, `definitions`, `dependencies`). https://json-schema.org/draft/2020-12

Both schema and value may come from somebody hostile, so the check has an end: a budget of steps, a memory of which
value was held against which schema (else `anyOf` in a schema that refers to itself costs 2^depth), and no recursion,
so that no depth is too deep. What cannot be checked is said, and never an exception: an answer is not lost to it.

Never checked, and not said: `format` (an annotation, by the standard's own default), `unevaluated*`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from math import isclose, isfinite
from reprlib import Repr
from typing import Any, TypeAlias

import attrs

from .keywords import KINDS, MAPPINGS, is_number
from .matching import NotRun, Program, compiled, is_found
from .references import resolved

__all__ = ["MOST_STEPS", "Budget", "Findings", "Violation", "examine", "violations"]

MOST_STEPS = 500_000
"""How many steps a check has that somebody asked for: about a second at most."""
_EVERY = 1_000_000_000
_MOST_UNCHECKED = 5
_MOST_NAMED = 8
_LONGEST_PATH = 2_000
_STEPS_OF_WORDS = 10
"""What it takes to say that a value does not fit."""
_NO_OTHER = ", and no other alternative fits"


@attrs.frozen
class Violation:
    """One place where a value does not fit: `path` into the value (`items[2].price`; empty: the value itself)."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path or 'the value'} {self.problem}"

    def within(self, step: str) -> Violation:
        """Return it as seen from around the value: `step` leads there, a name or a place (`[2]`)."""
        if len(self.path) > _LONGEST_PATH:
            return self if self.path.startswith("…") else Violation(f"….{self.path}", self.problem)
        join = "" if not self.path or self.path.startswith("[") else "."
        return Violation(f"{step}{join}{self.path}", self.problem)


@attrs.frozen
class Findings:
    """What a check has found: the first `violations`, and what of the schema could not be held against the value.

    `is_complete` is False where the steps were used up: then there may be more violations, which are not known.
    """

    violations: tuple[Violation, ...] = ()
    unchecked: tuple[str, ...] = ()
    is_complete: bool = True


class Budget:
    """How many steps are left: of one check, or of several that share them."""

    def __init__(self, steps: int = MOST_STEPS) -> None:
        self.given = self.left = steps

    def spend(self, steps: int) -> None:
        """Take steps before they are done. Raises an exception that `examine` makes a finding of."""
        self.left -= steps
        if self.left < 0:
            raise _Exhausted


class _Exhausted(Exception):
    """The steps are used up."""


def violations(value: Any, schema: Any, root: Any = None) -> Iterator[Violation]:
    """Give every violation of a schema by a decoded JSON value that the usual steps suffice for.

    `root` is what references start from (default: the schema itself). What could not be checked counts as fitting;
    `examine` tells it.
    """
    yield from examine(value, schema, root, most=_EVERY).violations


def examine(value: Any, schema: Any, root: Any = None, *, most: int = 5, budget: Budget | None = None) -> Findings:
    """Hold a decoded JSON value against a schema; give the first `most` violations, in the order of its keywords.

    Ends within the steps of the budget, and raises nothing.
    """
    check = _Check(schema if root is None else root, budget or Budget())
    try:
        found = check.run(value, schema, most)
    except _Exhausted:
        reason = f"the check would take more than {check.budget.given} steps"
        return Findings((), (*check.unchecked.values(), reason), is_complete=False)
    except Exception as error:  # a mapping of the caller's own may raise anything: the answer is there, and stays
        reason = f"the check failed with {type(error).__name__}"
        return Findings((), (*check.unchecked.values(), reason), is_complete=False)
    return Findings(tuple(found), tuple(check.unchecked.values()))


# --- the walk

_Found: TypeAlias = list[Violation]
_Ask: TypeAlias = tuple[Any, Any, int]
"""A value, a schema to hold it against, and how many violations are wanted."""
_Walk: TypeAlias = Generator[_Ask, _Found, _Found]
"""A rule that looks into a value: it asks for the violations of parts, and returns its own."""


class _Check:
    """One check: its budget, what has been found of each pair of value and schema, and what cannot be checked."""

    def __init__(self, root: Any, budget: Budget) -> None:
        self.root = root
        self.budget = budget
        self.unchecked: dict[tuple[int, str], str] = {}
        self._known: dict[tuple[int, int, bool], tuple[Any, Any, _Found]] = {}
        self._open: set[tuple[int, int]] = set()
        self._circles = 0
        self._programs: dict[Any, Program | None] = {}
        self._targets: dict[str, tuple[Any, str] | None] = {}
        self._choices: dict[int, tuple[Any, frozenset[Any]]] = {}

    def run(self, value: Any, schema: Any, most: int) -> _Found:
        """Walk a value, and the parts that the walks ask for. By hand, not by recursion: no depth is too deep."""
        walks: list[_Walk] = []
        answer = self._answer(value, schema, most)
        while True:
            if isinstance(answer, list):
                if not walks:
                    return answer
                found: _Found | None = answer
            else:
                walks.append(answer)
                found = None
            try:
                asked = walks[-1].send(found)  # type: ignore[arg-type]  # None starts a walk
            except StopIteration as end:
                walks.pop()
                answer = end.value
            else:
                answer = self._answer(*asked)

    def _answer(self, value: Any, schema: Any, most: int) -> _Found | _Walk:
        """Return the violations where they are known or plain to see, otherwise the walk that will find them."""
        if not isinstance(schema, MAPPINGS):
            self.budget.spend(1)
            if type(schema) is not bool:
                self.note(schema, "schema", lambda: f"{_shown(schema)} is no schema")
            return [Violation("", "is not allowed here")] if schema is False else []
        self.budget.spend(1 + len(schema))
        pair = (id(schema), id(value))
        known = self._known.get((*pair, most == 1))
        if known is not None:
            return known[2]
        if pair in self._open:
            self._circles += 1
            return [Violation("", "meets a schema that refers to itself for ever")]
        if _WALKS.keys().isdisjoint(schema):
            return self._plain(value, schema, most)
        return self._walk(value, schema, most, pair)

    def _plain(self, value: Any, schema: Mapping[str, Any], most: int) -> _Found:
        found: _Found = []
        for keyword, wanted in schema.items():
            if keyword in _RULES and self._takes(keyword, wanted, schema):
                found += self._ruled(keyword, value, wanted, schema)
        return found[:most]

    def _ruled(self, keyword: str, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
        found = _RULES[keyword](self, value, wanted, schema)
        if found:
            self.budget.spend(_STEPS_OF_WORDS * len(found))
        return found

    def _walk(self, value: Any, schema: Mapping[str, Any], most: int, pair: tuple[int, int]) -> _Walk:
        """Find and remember the violations, unless they hang on a pair that is still open: they may change with it."""
        circles, found = self._circles, list[Violation]()
        self._open.add(pair)
        for keyword, wanted in schema.items():
            if keyword in _RULES and self._takes(keyword, wanted, schema):
                found += self._ruled(keyword, value, wanted, schema)
            elif keyword in _WALKS and self._takes(keyword, wanted, schema):
                found += yield from _WALKS[keyword](self, value, wanted, schema, most)
            if len(found) >= most:
                break
        self._open.discard(pair)
        found = found[:most]
        if circles == self._circles:
            self._known[*pair, most == 1] = (value, schema, found)  # with both, so that no other object gets their ids
        return found

    def _takes(self, keyword: str, wanted: Any, schema: Mapping[str, Any]) -> bool:
        """Whether a keyword has a value of its kind; if not, that it is not checked is noted."""
        if keyword in _LISTS_OF_NAMES and isinstance(wanted, list | tuple | Mapping):
            self.budget.spend(len(wanted))
        if KINDS[keyword][1](wanted):
            return True
        self.note(schema, keyword, lambda: f"{keyword} must be {KINDS[keyword][0]}, not {_shown(wanted)}")
        return False

    def note(self, schema: Any, keyword: str, reason: Callable[[], str]) -> None:
        """Note once what cannot be checked."""
        if len(self.unchecked) < _MOST_UNCHECKED and (id(schema), keyword) not in self.unchecked:
            self.unchecked[id(schema), keyword] = reason()

    def matches(self, pattern: Any, text: Any, unknown: bool) -> bool:
        """Whether a text has the pattern in it; `unknown` is the answer for a pattern that is not run."""
        if pattern not in self._programs:
            try:
                self._programs[pattern] = compiled(str(pattern), self.budget.spend)
            except NotRun as problem:
                self._programs[pattern] = None
                reason = f"the pattern {_shown(pattern)} is not run: {problem}"
                self.note(self._programs, str(pattern), lambda: reason)
        program = self._programs[pattern]
        return unknown if program is None else is_found(program, str(text), self.budget.spend)

    def target(self, reference: str) -> tuple[Any, str] | None:
        """Return what a reference leads to, None if it leads nowhere; each is looked up once."""
        if reference not in self._targets:
            self._targets[reference] = resolved(reference, self.root)
        return self._targets[reference]

    def is_among(self, value: Any, choices: Sequence[Any]) -> bool:
        """Whether a value equals one of the choices, which are read once."""
        if id(choices) not in self._choices:
            self._choices[id(choices)] = choices, frozenset(map(self.flat, choices))
        return self.flat(value) in self._choices[id(choices)][1]

    def flat(self, value: Any) -> tuple[Any, ...]:
        """Return what is the same for equal JSON values, and for no others: 1 and 1.0 are equal, 1 and true are not.

        Numbers become texts in it: whoever writes an answer can make many numbers of one hash, and of texts nobody can.
        """
        tokens: list[Any] = []
        waiting = [value]
        while waiting:
            item = waiting.pop()
            self.budget.spend(1)
            if isinstance(item, MAPPINGS):
                names = sorted(item, key=str)
                self.budget.spend(len(names))
                tokens.append(("object", *map(str, names)))
                waiting.extend(item[name] for name in reversed(names))
            elif isinstance(item, list | tuple):
                self.budget.spend(len(item))
                tokens.append(("array", len(item)))
                waiting.extend(reversed(item))
            else:
                tokens.append(_token(item))
        return tuple(tokens)


def _token(item: Any) -> tuple[str, Any]:
    if isinstance(item, str):
        return "text", str.__str__(item)
    if isinstance(item, bool):
        return "boolean", item
    if isinstance(item, float) and not item.is_integer():
        return "number", item.hex()
    if isinstance(item, int | float):
        return "number", hex(int(item))
    return ("null", None) if item is None else (type(item).__name__, id(item))


# --- what is told


class _Short(Repr):
    """`repr` in few characters; Python refuses to write an integer of thousands of digits at all."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 80
        self.maxlevel, self.maxlist, self.maxtuple, self.maxdict = 2, 4, 4, 4

    def repr_dict(self, mapping: Mapping[Any, Any], level: int) -> str:
        """Return the first members as they stand: the inherited one sorts them all."""
        if level <= 0:
            return "{...}"
        first = islice(mapping.items(), self.maxdict)
        members = [f"{self.repr1(name, level - 1)}: {self.repr1(value, level - 1)}" for name, value in first]
        return f"{{{', '.join(members)}{', ...' if len(mapping) > self.maxdict else ''}}}"

    def repr_instance(self, value: Any, level: int) -> str:
        return self.repr_dict(value, level) if isinstance(value, Mapping) else super().repr_instance(value, level)

    def repr_int(self, number: int, level: int) -> str:
        return repr(number) if number.bit_length() < 1_000 else f"an integer of {number.bit_length()} bits"


_SHORT = _Short()


def _shown(value: Any) -> str:
    text = repr(value[:60]) if isinstance(value, str) else _SHORT.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _listed(values: Sequence[Any]) -> str:
    more = f" and {len(values) - _MOST_NAMED} more" if len(values) > _MOST_NAMED else ""
    return ", ".join(map(_shown, values[:_MOST_NAMED])) + more


def _member(name: Any, longest: int = 60) -> str:
    """Return a text as it is, such as a name as a step of a path; one that nobody could read is cut and escaped."""
    text = str(name)
    return text if len(text) <= longest and text.isprintable() else _shown(text)[1:].rstrip("'\"")


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


def _type(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if not names or any(_is_type(value, name) for name in names):
        return []
    return [Violation("", f"is not of type {' or '.join(names)} but {_shown(value)}")]


def _enum(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if check.is_among(value, wanted):
        return []
    check.budget.spend(_STEPS_OF_WORDS * min(len(wanted), _MOST_NAMED))
    return [Violation("", f"is {_shown(value)}, which is none of {_listed(wanted)}")]


def _const(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if check.flat(value) == check.flat(wanted):
        return []
    return [Violation("", f"is {_shown(value)}, not {_shown(wanted)}")]


# --- numbers and texts


def _bound(what: str, holds: Callable[[Any, Any], bool]) -> Any:
    def rule(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
        if not _is_type(value, "number") or holds(value, wanted):
            return []
        return [Violation("", f"is {_shown(value)}, which is not {what} {_shown(wanted)}")]

    return rule


def _is_multiple(value: Any, step: Any) -> bool:
    if step <= 0:
        return True
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    try:
        times = value / step
    except OverflowError:
        times = float("inf")
    if abs(times) < 1e15:
        return isclose(times, round(times), rel_tol=1e-9, abs_tol=1e-9)
    return (isinstance(value, int) or isfinite(value)) and (_exact(value) / _exact(step)).denominator == 1


def _exact(number: int | float) -> Fraction:
    """Return a number as it is written: 0.1 is a tenth."""
    return Fraction(number if isinstance(number, int) else repr(number))


def _size(kind: Any, measure: str, at_least: bool) -> Any:
    def rule(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
        if not isinstance(value, kind) or (len(value) >= wanted if at_least else len(value) <= wanted):
            return []
        limit = "at least" if at_least else "at most"
        return [Violation("", f"has {len(value)} {measure}, and {limit} {_shown(wanted)} are allowed")]

    return rule


def _pattern(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if not isinstance(value, str) or check.matches(wanted, value, unknown=True):
        return []
    return [Violation("", f"is {_shown(value)}, which does not match {_member(wanted, 200)}")]


# --- objects


def _required(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if not isinstance(value, MAPPINGS):
        return []
    return [Violation(_member(name), "is missing") for name in wanted if name not in value]


def _dependent_required(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if not isinstance(value, MAPPINGS):
        return []
    present = [then for name, then in wanted.items() if name in value]
    return [violation for then in present for violation in _required(check, value, then, schema)]


def _parts(parts: Iterable[tuple[str, Any, Any]], most: int) -> _Walk:
    """Find the violations of parts of a value: each the step that leads there, the part, and its schema."""
    found: _Found = []
    for step, part, schema in parts:
        inside = yield part, schema, most
        found += [violation.within(step) for violation in inside] if step else inside
        if len(found) >= most:
            break
    return found


def _properties(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    if not isinstance(value, MAPPINGS):
        return []
    check.budget.spend(len(wanted))
    named = ((name, part) for name, part in wanted.items() if name in value)
    return (yield from _parts(((_member(name), value[name], part) for name, part in named), most))


def _pattern_properties(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    if not isinstance(value, MAPPINGS):
        return []
    check.budget.spend(len(wanted) * len(value))
    pairs = ((name, part) for pattern, part in wanted.items() for name in value if check.matches(pattern, name, False))
    return (yield from _parts(((_member(name), value[name], part) for name, part in pairs), most))


def _additional(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    if not isinstance(value, MAPPINGS):
        return []
    listed, patterns = (schema.get(keyword) for keyword in ("properties", "patternProperties"))
    listed = listed if isinstance(listed, MAPPINGS) else {}
    patterns = patterns if isinstance(patterns, MAPPINGS) else {}
    check.budget.spend((1 + len(patterns)) * len(value))
    more = (
        name for name in value if name not in listed and not any(check.matches(one, name, True) for one in patterns)
    )
    return (yield from _parts(((_member(name), value[name], wanted) for name in more), most))


def _property_names(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    names = value if isinstance(value, MAPPINGS) else ()
    return (yield from _parts(((_member(name), name, wanted) for name in names), most))


def _dependent(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    """`dependentSchemas`, and `dependencies` of draft 7, which may be lists of names too."""
    if not isinstance(value, MAPPINGS):
        return []
    check.budget.spend(len(wanted))
    present = [then for name, then in wanted.items() if name in value]
    lists = [{"required": then} if isinstance(then, list | tuple) else then for then in present]
    return (yield from _parts((("", value, then) for then in lists), most))


# --- arrays


def _places(schema: Mapping[str, Any]) -> int:
    """Return how many of the first items have a schema each for its own place."""
    lists = [schema[word] for word in ("prefixItems", "items") if isinstance(schema.get(word), list | tuple)]
    return len(lists[0]) if lists else 0


def _prefix(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    pairs = zip(value, wanted, strict=False) if isinstance(value, list | tuple) else ()
    return (yield from _parts(((f"[{place}]", item, part) for place, (item, part) in enumerate(pairs)), most))


def _items(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    if isinstance(wanted, list | tuple):
        return (yield from _prefix(check, value, wanted, schema, most))
    places = range(_places(schema), len(value)) if isinstance(value, list | tuple) else ()
    return (yield from _parts(((f"[{place}]", value[place], wanted) for place in places), most))


def _additional_items(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    first = schema.get("items")
    is_tuple = isinstance(first, list | tuple) and isinstance(value, list | tuple)
    places = range(len(first), len(value)) if is_tuple and first is not None else ()
    return (yield from _parts(((f"[{place}]", value[place], wanted) for place in places), most))


def _unique(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    if not wanted or not isinstance(value, list | tuple):
        return []
    seen: set[Any] = set()
    for place, item in enumerate(value):
        flat = check.flat(item)
        if flat in seen:
            return [Violation(f"[{place}]", "is there already, and the items must differ")]
        seen.add(flat)
    return []


def _contains(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    if not isinstance(value, list | tuple):
        return []
    fitting = 0
    for item in value:
        fitting += not (yield item, wanted, 1)
    limits = [schema.get("minContains", 1), schema.get("maxContains", fitting)]
    least, at_most = (limit if is_number(limit) else fitting for limit in limits)
    return [] if least <= fitting <= at_most else [Violation("", f"holds {fitting} items of the wanted kind")]


# --- combinations


def _all_of(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    return (yield from _parts((("", value, part) for part in wanted), most))


def _any_of(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    problems: _Found = []
    for part in wanted:
        found = yield value, part, 1
        if not found:
            return []
        problems += found
    return _nearest(problems)


def _one_of(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    problems: _Found = []
    for part in wanted:
        problems += yield value, part, 1
    fitting = len(wanted) - len(problems)
    if fitting > 1:
        return [Violation("", "fits more than one alternative, and must fit exactly one")]
    return [] if fitting else _nearest(problems)


def _nearest(problems: _Found) -> _Found:
    """Return the problem of the branch that fitted furthest, which says most."""
    if not problems:
        return []
    nearest = max(problems, key=lambda problem: len(problem.path))
    also = "" if len(problems) == 1 or nearest.problem.endswith(_NO_OTHER) else _NO_OTHER
    return [Violation(nearest.path, nearest.problem + also)]


def _not(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    found = yield value, wanted, 1
    check.budget.spend(_STEPS_OF_WORDS)
    return [] if found else [Violation("", f"is {_shown(value)}, which is excluded")]


def _if(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    found = yield value, wanted, 1
    return (yield value, schema.get("else" if found else "then", True), most)


def _reference(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any], most: int) -> _Walk:
    target = check.target(wanted)
    if target is not None:
        return (yield value, target[0], most)
    check.note(schema, "$ref", lambda: f"$ref {_shown(wanted)} leads nowhere in this schema")
    return []


def _unfollowed(check: _Check, value: Any, wanted: Any, schema: Mapping[str, Any]) -> _Found:
    check.note(schema, "$dynamicRef", lambda: f"dynamic references such as {_shown(wanted)} are not followed")
    return []


# --- the keywords

_Rule: TypeAlias = Callable[[_Check, Any, Any, Mapping[str, Any]], _Found]
_Walker: TypeAlias = Callable[[_Check, Any, Any, Mapping[str, Any], int], _Walk]

_RULES: Mapping[str, _Rule] = {
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

_WALKS: Mapping[str, _Walker] = {
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

_LISTS_OF_NAMES = frozenset({"type", "required", "dependentRequired"})
