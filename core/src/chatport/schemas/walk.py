"""The walk of a check: from a value and its schema to parts of both, by hand, within a budget of steps."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from .keywords import KINDS, MAPPINGS
from .matching import NotRun, Program, compiled, is_found
from .references import resolved
from .shown import shown

__all__ = [
    "MOST_STEPS",
    "STEPS_OF_WORDS",
    "Budget",
    "Check",
    "Exhausted",
    "Found",
    "Rule",
    "Violation",
    "Walk",
    "Walker",
]

MOST_STEPS = 500_000
"""How many steps a check has that somebody asked for: about a second at most."""
_MOST_UNCHECKED = 5
_LONGEST_PATH = 2_000
STEPS_OF_WORDS = 10
"""What it takes to say that a value does not fit."""
_LISTS_OF_NAMES = frozenset({"type", "required", "dependentRequired"})


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


class Budget:
    """How many steps are left: of one check, or of several that share them."""

    def __init__(self, steps: int = MOST_STEPS) -> None:
        self.given = self.left = steps

    def spend(self, steps: int) -> None:
        """Take steps before they are done. Raises an exception that `examine` makes a finding of."""
        self.left -= steps
        if self.left < 0:
            raise Exhausted


class Exhausted(Exception):
    """The steps are used up."""


Found: TypeAlias = list[Violation]
Ask: TypeAlias = tuple[Any, Any, int]
"""A value, a schema to hold it against, and how many violations are wanted."""
Walk: TypeAlias = Generator[Ask, Found, Found]
"""A rule that looks into a value: it asks for the violations of parts, and returns its own."""


class Check:
    """One check: its budget, what has been found of each pair of value and schema, and what cannot be checked.

    `rules` look at a value as it is, `walks` into its parts, each by its keyword.
    """

    def __init__(self, root: Any, budget: Budget, rules: Mapping[str, Rule], walks: Mapping[str, Walker]) -> None:
        self.root = root
        self.budget = budget
        self._rules, self._walks = rules, walks
        self.unchecked: dict[tuple[int, str], str] = {}
        self._known: dict[tuple[int, int, bool], tuple[Any, Any, Found]] = {}
        self._open: set[tuple[int, int]] = set()
        self._circles = 0
        self._programs: dict[Any, Program | None] = {}
        self._targets: dict[str, tuple[Any, str] | None] = {}
        self._choices: dict[int, tuple[Any, frozenset[Any]]] = {}

    def run(self, value: Any, schema: Any, most: int) -> Found:
        """Walk a value, and the parts that the walks ask for. By hand, not by recursion: no depth is too deep."""
        walks: list[Walk] = []
        answer = self._answer(value, schema, most)
        while True:
            if isinstance(answer, list):
                if not walks:
                    return answer
                found: Found | None = answer
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

    def _answer(self, value: Any, schema: Any, most: int) -> Found | Walk:
        """Return the violations where they are known or plain to see, otherwise the walk that will find them."""
        if not isinstance(schema, MAPPINGS):
            self.budget.spend(1)
            if type(schema) is not bool:
                self.note(schema, "schema", lambda: f"{shown(schema)} is no schema")
            return [Violation("", "is not allowed here")] if schema is False else []
        self.budget.spend(1 + len(schema))
        pair = (id(schema), id(value))
        known = self._known.get((*pair, most == 1))
        if known is not None:
            return known[2]
        if pair in self._open:
            self._circles += 1
            return [Violation("", "meets a schema that refers to itself for ever")]
        if self._walks.keys().isdisjoint(schema):
            return self._plain(value, schema, most)
        return self._walk(value, schema, most, pair)

    def _plain(self, value: Any, schema: Mapping[str, Any], most: int) -> Found:
        found: Found = []
        for keyword, wanted in schema.items():
            if keyword in self._rules and self._takes(keyword, wanted, schema):
                found += self._ruled(keyword, value, wanted, schema)
        return found[:most]

    def _ruled(self, keyword: str, value: Any, wanted: Any, schema: Mapping[str, Any]) -> Found:
        found = self._rules[keyword](self, value, wanted, schema)
        if found:
            self.budget.spend(STEPS_OF_WORDS * len(found))
        return found

    def _walk(self, value: Any, schema: Mapping[str, Any], most: int, pair: tuple[int, int]) -> Walk:
        """Find and remember the violations, unless they hang on a pair that is still open: they may change with it."""
        circles, found = self._circles, list[Violation]()
        self._open.add(pair)
        for keyword, wanted in schema.items():
            if keyword in self._rules and self._takes(keyword, wanted, schema):
                found += self._ruled(keyword, value, wanted, schema)
            elif keyword in self._walks and self._takes(keyword, wanted, schema):
                found += yield from self._walks[keyword](self, value, wanted, schema, most)
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
        self.note(schema, keyword, lambda: f"{keyword} must be {KINDS[keyword][0]}, not {shown(wanted)}")
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
                reason = f"the pattern {shown(pattern)} is not run: {problem}"
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


Rule: TypeAlias = Callable[[Check, Any, Any, Mapping[str, Any]], Found]
Walker: TypeAlias = Callable[[Check, Any, Any, Mapping[str, Any], int], Walk]


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
