"""Counts what a regular expression does, so that a test can tell a linear one from one that can be made to hurt.

`re` has no counter, so its own parse tree is run by a small backtracking matcher that tries what `re` would try, in the
same order, and counts each trial. What `re` skips by a clever scan for a first letter is counted here; it changes a
factor, not the growth.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from re import _constants as op, _parser  # type: ignore[attr-defined]  # the only way to the tree
from typing import Any, TypeAlias

__all__ = ["TooManyStepsError", "attacks", "count_regex_steps", "end_of_match", "growth"]

Go: TypeAlias = Callable[[int], bool]
"""What is still to be matched from a position on; whether that succeeded."""

_MOST = 400_000
_DEPTH = 200_000


class TooManyStepsError(Exception):
    """The pattern is still not done after so many steps."""


_CATEGORIES = {
    op.CATEGORY_DIGIT: "\\d",
    op.CATEGORY_NOT_DIGIT: "\\D",
    op.CATEGORY_SPACE: "\\s",
    op.CATEGORY_NOT_SPACE: "\\S",
    op.CATEGORY_WORD: "\\w",
    op.CATEGORY_NOT_WORD: "\\W",
}
_ONE_CHARACTER = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)


class _Machine:
    """One pattern over one text. Groups are kept, for the patterns that refer back to them."""

    def __init__(self, pattern: re.Pattern[Any], text: str, most: int) -> None:
        self.text, self.steps, self.most = text, 0, most
        self.flags = pattern.flags
        self.tree = _tree(pattern)
        self.sets = _sets(pattern)
        self.groups: dict[int, tuple[int, int]] = {}

    def step(self) -> None:
        self.steps += 1
        if self.steps > self.most:
            raise TooManyStepsError

    def match(self, at: int, *, whole: bool = False) -> int | None:
        """Return where a match that begins here ends, None if there is none."""
        ends: list[int] = []

        def end(here: int) -> bool:
            self.step()
            if whole and here != len(self.text):
                return False
            ends.append(here)
            return True

        self.groups = {}
        return ends[-1] if self._run(list(self.tree), 0, at, end) else None

    def search_all(self) -> None:
        """Do what `findall`, `sub` and `split` do: search from each end to the next."""
        at = 0
        while at <= len(self.text):
            self.step()
            end = self.match(at)
            at = at + 1 if end is None or end == at else end

    # --- the nodes

    def _run(self, nodes: list[Any], number: int, at: int, go: Go) -> bool:
        while number < len(nodes):
            kind, given = nodes[number]
            if kind in _ONE_CHARACTER:
                if not self._takes(nodes[number], at):
                    return False
                at, number = at + 1, number + 1
                continue
            rest = nodes[number + 1 :]
            return self._node(kind, given, at, lambda here: self._run(rest, 0, here, go))  # noqa: B023  # it returns
        return go(at)

    def _takes(self, node: Any, at: int) -> bool:
        self.step()
        return at < len(self.text) and self.sets[id(node)](self.text[at])

    def _node(self, kind: Any, given: Any, at: int, go: Go) -> bool:
        self.step()
        if kind in _REPEATS:
            return self._repeat(kind, given, at, go)
        if kind is op.SUBPATTERN:
            return self._group(given, at, go)
        if kind is op.BRANCH:
            return any(self._run(list(branch), 0, at, go) for branch in given[1])
        if kind is op.ATOMIC_GROUP:
            end = self._alone(given, at)
            return end is not None and go(end)
        if kind in (op.ASSERT, op.ASSERT_NOT):
            return self._looks(kind is op.ASSERT, given, at) and go(at)
        if kind is op.AT:
            return self._stands(given, at) and go(at)
        if kind is op.GROUPREF:
            return self._again(given, at, go)
        raise NotImplementedError(f"{kind}: teach the counter this node")

    def _group(self, given: Any, at: int, go: Go) -> bool:
        number, _, _, body = given

        def leave(here: int) -> bool:
            before = self.groups.get(number)
            self.groups[number] = (at, here)
            if go(here):
                return True
            self.groups.pop(number)
            if before is not None:
                self.groups[number] = before
            return False

        return self._run(list(body), 0, at, leave)

    def _again(self, number: int, at: int, go: Go) -> bool:
        if number not in self.groups:
            return False
        start, end = self.groups[number]
        self.steps += end - start
        said = self.text[start:end]
        return self.text.startswith(said, at) and go(at + len(said))

    def _alone(self, body: Any, at: int) -> int | None:
        """Return where the first match of a part ends, which is not gone back into."""
        ends: list[int] = []
        return ends[0] if self._run(list(body), 0, at, lambda here: not ends.append(here)) else None  # type: ignore[func-returns-value]

    def _looks(self, wanted: bool, given: tuple[int, Any], at: int) -> bool:
        direction, body = given
        start = at if direction >= 0 else at - body.getwidth()[0]
        return (start >= 0 and self._alone(body, start) is not None) is wanted

    def _stands(self, where: Any, at: int) -> bool:
        text, many = self.text, bool(self.flags & re.MULTILINE)
        if where in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
            return at == 0 or (many and where is op.AT_BEGINNING and text[at - 1] == "\n")
        if where in (op.AT_END, op.AT_END_STRING):
            if at == len(text):
                return True
            return where is op.AT_END and text[at] == "\n" and (many or at + 1 == len(text))
        around = [0 <= here < len(text) and re.match(r"\w", text[here]) is not None for here in (at - 1, at)]
        return (around[0] != around[1]) is (where is op.AT_BOUNDARY)

    # --- repeats

    def _repeat(self, kind: Any, given: tuple[int, int, Any], at: int, go: Go) -> bool:
        least, most, body = given
        if kind is op.POSSESSIVE_REPEAT:
            return _goes_on(self._most_of(body, least, most, at), go)
        if len(body) == 1 and body[0][0] in _ONE_CHARACTER:
            return self._repeat_character(kind is op.MIN_REPEAT, least, most, body[0], at, go)

        def again(here: int, done: int, before: int) -> bool:
            self.step()
            more = done < most and (here != before or done <= least)

            def one_more() -> bool:
                return more and self._run(list(body), 0, here, lambda end: again(end, done + 1, here))

            if done < least:
                return one_more()
            return go(here) or one_more() if kind is op.MIN_REPEAT else one_more() or go(here)

        return again(at, 0, -1)

    def _most_of(self, body: Any, least: int, most: int, at: int) -> int | None:
        done = 0
        while done < most:
            end = self._alone(body, at)
            if end is None or (end == at and done >= least):
                break
            at, done = end, done + 1
        return at if done >= least else None

    def _repeat_character(self, lazy: bool, least: int, most: int, node: Any, at: int, go: Go) -> bool:
        end = at
        limit = len(self.text) if most == op.MAXREPEAT else min(at + most, len(self.text))
        if lazy:
            while end < at + least:
                if not self._takes(node, end):
                    return False
                end += 1
            while not go(end):
                if end >= limit or not self._takes(node, end):
                    return False
                end += 1
            return True
        while end < limit and self._takes(node, end):
            end += 1
        while end >= at + least:
            if go(end):
                return True
            end -= 1
        return False


def _goes_on(end: int | None, go: Go) -> bool:
    return end is not None and go(end)


@cache
def _tree(pattern: re.Pattern[Any]) -> Any:
    return _parser.parse(
        pattern.pattern, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    )


@cache
def _sets(pattern: re.Pattern[Any]) -> dict[int, Callable[[str], bool]]:
    """Return the test of each node that takes one character, by the node's identity: the tree is kept as well."""
    is_bytes = isinstance(pattern.pattern, bytes)
    return {id(node): _accepts(node, pattern.flags, is_bytes) for node in _characters(_tree(pattern))}


def _accepts(node: Any, flags: int, is_bytes: bool) -> Callable[[str], bool]:
    """Return a test of one character, as `re` itself would make it."""
    kind, given = node
    if kind is op.ANY:
        return (lambda c: True) if flags & re.DOTALL else (lambda c: c != "\n")
    if kind is op.LITERAL:
        parts = f"[{re.escape(chr(given))}]"
    elif kind is op.NOT_LITERAL:
        parts = f"[^{re.escape(chr(given))}]"
    else:
        parts = "[" + "".join(map(_item, given)) + "]"
    ascii_only = re.ASCII if is_bytes or flags & re.ASCII else re.UNICODE
    test = re.compile(parts, flags & re.IGNORECASE | ascii_only)
    known: dict[str, bool] = {}

    def accepts(c: str) -> bool:
        if c not in known:
            known[c] = test.fullmatch(c) is not None
        return known[c]

    return accepts


def _item(item: Any) -> str:
    kind, given = item
    if kind is op.NEGATE:
        return "^"
    if kind is op.LITERAL:
        return re.escape(chr(given))
    if kind is op.RANGE:
        return f"{re.escape(chr(given[0]))}-{re.escape(chr(given[1]))}"
    return _CATEGORIES[given]


def count_regex_steps(pattern: re.Pattern[Any], text: str, *, how: str = "search", most: int = _MOST) -> int:
    """Return how many steps a pattern takes over a text. `how`: match, fullmatch, or search, again to the end.

    Raises TooManyStepsError.
    """
    machine = _Machine(pattern, text, most)
    old = sys.getrecursionlimit()
    sys.setrecursionlimit(_DEPTH)
    try:
        if how == "search":
            machine.search_all()
        else:
            machine.match(0, whole=how == "fullmatch")
    finally:
        sys.setrecursionlimit(old)
    return machine.steps


def end_of_match(pattern: re.Pattern[Any], text: str) -> int | None:
    """Return where a match at the beginning of a text ends, None if there is none: to hold against `re` itself."""
    return _Machine(pattern, text, _MOST).match(0)


# --- texts that are made to hurt


def growth(pattern: re.Pattern[Any], how: str, *, most: float = 2.3) -> tuple[float, str]:
    """Return by how much a text costs more when it is twice as long, and its shape: the worst, or one over `most`.

    A linear pattern gives about 2, a quadratic one about 4. Every text is first tried short; only where that grows, it
    is tried long, so that a bounded repeat such as `{1,64}` is seen to end.
    """
    worst, shape = 0.0, ""
    for prefix, pump, suffix in attacks(pattern):
        ratio = _ratio(pattern, how, prefix, pump, suffix, max(10, 48 // len(pump)))
        if ratio > 2.1:
            ratio = _ratio(pattern, how, prefix, pump, suffix, max(24, 1280 // len(pump)))
        if ratio > worst:
            worst, shape = ratio, f"{prefix!r} + {pump!r} * n + {suffix!r}"
        if worst > most:
            break
    return worst, shape


def _ratio(pattern: re.Pattern[Any], how: str, prefix: str, pump: str, suffix: str, size: int) -> float:
    texts = (prefix + pump * times + suffix for times in (size, 2 * size))
    try:
        once, twice = (
            count_regex_steps(pattern, text, how=how, most=min(_MOST, 2_000 + 400 * len(text))) for text in texts
        )
    except TooManyStepsError:
        return float("inf")
    return twice / once


def attacks(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str, str]]:
    """Give prefixes, pumps and suffixes: what the pattern's own repeats take, and what stops them."""
    tree = _tree(pattern)
    letters = _letters(pattern, tree)
    leads, bodies = [""], [""]
    _walk(tree, "", pattern, letters, leads, bodies)
    few = len(letters) <= 6
    tests = [_sets(pattern)[id(node)] for node in _characters(tree, within=True)]
    repeated = _one_for_each(tests, [c for c in letters if any(test(c) for test in tests)])
    pairs = map("".join, itertools.product(letters, repeat=2)) if few else ()
    pumps = dict.fromkeys([*repeated, *bodies, *pairs])
    suffixes = dict.fromkeys(["", *(letters if few else letters[-1:])])
    for prefix, pump, suffix in itertools.product(dict.fromkeys(leads), pumps, suffixes):
        if pump:
            yield prefix, pump, suffix
    for lead, more in itertools.product(filter(None, dict.fromkeys(leads)), ["", " ", letters[-1], *repeated[:3]]):
        yield "", lead + more, ""  # each beginning is followed by a search of the rest


_SAMPLES = "aAzZ0_9-.:;,/+=*?!#$%&@~'\"`<>()[]{}|\\^ \t\r\n\x00\x7f\x85é…ſ中" + "bcdefghijklmnopqrstuvwxy"


def _letters(pattern: re.Pattern[Any], tree: Any) -> list[str]:
    """Return one character for each class that the pattern tells apart; the one that fits least comes last."""
    is_bytes = isinstance(pattern.pattern, bytes)
    nodes = list(_characters(tree))
    tests = [_accepts(node, pattern.flags, is_bytes) for node in {repr(node): node for node in nodes}.values()]
    own = [chr(code) for code in _codes(nodes)]
    return _one_for_each(tests, [c for c in [*_SAMPLES, *own] if not (is_bytes and ord(c) > 255)])


def _one_for_each(tests: list[Callable[[str], bool]], letters: list[str]) -> list[str]:
    """Return one of those letters which all tests take alike."""
    classes: dict[tuple[bool, ...], str] = {}
    for c in letters:
        classes.setdefault(tuple(test(c) for test in tests), c)
    return [c for _, c in sorted(classes.items(), key=lambda entry: -sum(entry[0]))]


def _characters(tree: Any, *, within: bool = False) -> Iterator[Any]:
    """Give the nodes that take one character; `within`: those inside repeats only, the others cannot be pumped."""
    for node in tree:
        if node[0] in _ONE_CHARACTER and not within:
            yield node
        for part in _parts(node):
            yield from _characters(part, within=within and node[0] not in _REPEATS)


def _codes(nodes: list[Any]) -> Iterator[int]:
    for kind, given in nodes:
        if kind in (op.LITERAL, op.NOT_LITERAL):
            yield given
        elif kind is op.IN:
            for item, value in given:
                if item is op.LITERAL:
                    yield value
                elif item is op.RANGE:
                    yield value[0]


def _parts(node: Any) -> list[Any]:
    """Return the patterns inside a node."""
    kind, given = node
    if kind in _REPEATS:
        return [given[2]]
    if kind is op.SUBPATTERN:
        return [given[3]]
    if kind is op.BRANCH:
        return list(given[1])
    if kind in (op.ASSERT, op.ASSERT_NOT):
        return [given[1]]
    return [given] if kind is op.ATOMIC_GROUP else []


def _walk(tree: Any, before: str, pattern: Any, letters: list[str], leads: list[str], bodies: list[str]) -> None:
    """Collect what leads to each repeat, and what its body takes."""
    for number, node in enumerate(tree):
        lead = before + _sample(tree[:number], pattern, letters, {})
        if node[0] in _REPEATS:
            leads.append(lead)
            branches = [list(part) for part in _alternatives(node[1][2])]
            bodies += [_sample(branch, pattern, letters, {}) for branch in branches]
        for part in _parts(node):
            _walk(part, lead, pattern, letters, leads, bodies)


def _alternatives(body: Any) -> Iterator[Any]:
    """Give the body, and each alternative in place of its first branch."""
    yield body
    for number, node in enumerate(body):
        inner = node[1][3] if node[0] is op.SUBPATTERN else [node]
        for part in inner:
            if part[0] is op.BRANCH:
                for branch in part[1][1]:
                    yield [*body[:number], *branch, *body[number + 1 :]]


def _sample(nodes: Any, pattern: Any, letters: list[str], groups: dict[int, str]) -> str:
    """Return a short text that a list of nodes takes, as far as that can be said without looking around."""
    text = ""
    for node in nodes:
        kind, given = node
        if kind in _ONE_CHARACTER:
            accepts = _accepts(node, pattern.flags, isinstance(pattern.pattern, bytes))
            text += next((c for c in letters if accepts(c)), "")
        elif kind in _REPEATS:
            text += _sample(given[2], pattern, letters, groups) * max(given[0], min(given[1], 1))
        elif kind is op.BRANCH:
            text += _sample(given[1][0], pattern, letters, groups)
        elif kind is op.SUBPATTERN:
            inner = _sample(given[3], pattern, letters, groups)
            groups[given[0]] = inner
            text += inner
        elif kind is op.ATOMIC_GROUP:
            text += _sample(given, pattern, letters, groups)
        elif kind is op.GROUPREF:
            text += groups.get(given, "")
    return text
