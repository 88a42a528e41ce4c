"""Patterns of a JSON Schema, searched for in steps that are counted.

Python's `re` goes back over a text for each way in which a pattern may fit, which is 2^n ways for `^(a+)+$`; and the
pattern is the schema's author's, the text the model's. Here all ways are followed at once (Thompson's construction):
the cost is the length of the text times the size of the pattern, never more. The syntax and its meaning are `re`'s.

Not run, since they need the ways one by one: references back to a group, atomic groups, possessive repeats.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any, TypeAlias

import attrs

__all__ = ["NotRun", "Program", "compiled", "is_found"]

_LONGEST = 4_000  # characters of a pattern
_MOST_GROUPS = 100  # each is a level of recursion, in the parser of `re` and here
_LARGEST = 20_000  # instructions: `{1,9}` is its body nine times

Test: TypeAlias = Callable[[str], bool]
Instruction: TypeAlias = tuple[Any, ...]
Spend: TypeAlias = Callable[[int], None]


class NotRun(ValueError):
    """A pattern that is not run here. Says why."""


@attrs.frozen
class Program:
    """A pattern as instructions, each a tuple: its name, and what it needs; the last is `found`."""

    code: Sequence[Instruction]


def compiled(pattern: str, spend: Spend) -> Program:
    """Return the program of a pattern. `spend` is told each step of making it. Raises NotRun."""
    if len(pattern) > _LONGEST or pattern.count("(") > _MOST_GROUPS:
        raise NotRun(f"it is longer than {_LONGEST} characters, or has more than {_MOST_GROUPS} groups")
    spend(len(pattern))
    try:
        tree: Any = import_module("re._parser").parse(pattern)
    except Exception as error:  # the parser has several: re.error, OverflowError for `a{9999999999}`
        raise NotRun(f"it is no regular expression of Python's: {error}") from None
    return _Writer(iter(range(_LARGEST)), spend).program(tree, tree.state.flags)


class _Writer:
    """Writes one program; `room` has a turn for each instruction that may still be made, in those inside it too."""

    def __init__(self, room: Iterator[int], spend: Spend) -> None:
        self.code: list[Instruction] = []
        self.room = room
        self.spend = spend

    def program(self, tree: Any, flags: int) -> Program:
        self.write(tree, flags)
        self.add("found")
        return Program(self.code)

    def add(self, *instruction: Any) -> int:
        if next(self.room, None) is None:
            raise NotRun(f"written out it has more than {_LARGEST} parts")
        self.spend(1)
        self.code.append(instruction)
        return len(self.code) - 1

    def write(self, tree: Iterable[Any], flags: int) -> None:
        for operation, argument in tree:
            self.part(str(operation), argument, flags)

    def part(self, name: str, argument: Any, flags: int) -> None:
        match name:
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                self.add("character", _test(name, argument, flags))
            case "BRANCH":
                self.branch(argument[1], flags)
            case "SUBPATTERN":
                self.write(argument[3], (flags | argument[1]) & ~argument[2])
            case "MAX_REPEAT" | "MIN_REPEAT":  # which of them comes first says nothing on whether it is found
                self.repeat(argument[0], argument[1], argument[2], flags)
            case "AT":
                self.add("place", str(argument), flags)
            case "ASSERT" | "ASSERT_NOT":
                back = argument[1].getwidth()[0] if argument[0] < 0 else 0
                self.add("look", _Writer(self.room, self.spend).program(argument[1], flags), back, name == "ASSERT")
            case "FAILURE":
                self.add("character", lambda character: False)
            case _:
                raise NotRun(f"it uses {name.lower()}")

    def branch(self, ways: Sequence[Any], flags: int) -> None:
        ends = []
        for way in ways[:-1]:
            fork = self.add("fork")
            self.write(way, flags)
            ends.append(self.add("go"))
            self.code[fork] = ("fork", fork + 1, len(self.code))
        self.write(ways[-1], flags)
        for end in ends:
            self.code[end] = ("go", len(self.code))

    def repeat(self, least: int, most: Any, body: Any, flags: int) -> None:
        if not len(body):  # nothing, however often
            return
        for _ in range(least):
            before = len(self.code)
            self.write(body, flags)
            if len(self.code) == before:
                return
        if str(most) == "MAXREPEAT":
            fork = self.add("fork")
            self.write(body, flags)
            self.add("go", fork)
            self.code[fork] = ("fork", fork + 1, len(self.code))
            return
        forks = []
        for _ in range(most - least):
            forks.append(self.add("fork"))
            self.write(body, flags)
        for fork in forks:
            self.code[fork] = ("fork", fork + 1, len(self.code))


# --- single characters


def _test(name: str, argument: Any, flags: int) -> Test:
    if name == "ANY":
        return (lambda character: True) if flags & re.DOTALL else (lambda character: character != "\n")
    items = argument if name == "IN" else [("LITERAL", argument)]
    is_negated = name == "NOT_LITERAL" or (name == "IN" and str(items[0][0]) == "NEGATE")
    kinds = [_kind(str(kind), value, flags) for kind, value in items if str(kind) != "NEGATE"]

    def fits(character: str) -> bool:
        variants = _in_every_case(character) if flags & re.IGNORECASE else (character,)
        return any(kind(variant) for kind in kinds for variant in variants) is not is_negated

    return fits


def _kind(name: str, value: Any, flags: int) -> Test:
    match name:
        case "LITERAL":
            return chr(value).__eq__
        case "RANGE":
            first, last = map(chr, value)
            return lambda character: first <= character <= last
        case "CATEGORY":
            return _category(str(value).removeprefix("CATEGORY_"), flags)
    raise NotRun(f"it uses {name.lower()} in a set")


def _category(name: str, flags: int) -> Test:
    kind = name.removeprefix("NOT_")
    test: Test = {"DIGIT": str.isdecimal, "SPACE": str.isspace, "WORD": _is_word}[kind]
    if flags & re.ASCII:
        plain = test
        test = (
            (lambda character: character in " \t\n\r\f\v")
            if kind == "SPACE"
            else lambda character: character.isascii() and plain(character)
        )
    return test if kind == name else lambda character: not test(character)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _in_every_case(character: str) -> tuple[str, ...]:
    """Return a character in both cases; what becomes several characters by it stays as it is."""
    upper = character.upper()
    return tuple(form for form in (character, character.lower(), upper, upper.lower()) if len(form) == 1)


# --- searching


def is_found(program: Program, text: str, spend: Spend) -> bool:
    """Whether the pattern is somewhere in the text, as `re.search` has it. `spend` is told each step, before it."""
    return _runs(program, text, 0, len(text), spend)


def _runs(program: Program, text: str, start: int, last_start: int, spend: Spend) -> bool:
    """Whether the pattern is in the text from one of these places on."""
    code = program.code
    waiting: list[int] = []
    for place in range(start, len(text) + 1):
        if place <= last_start:
            waiting.append(0)
        if not waiting:
            return False
        readers = _readers(code, waiting, text, place, spend)
        if readers is None:
            return True
        if place < len(text):
            waiting = [reader + 1 for reader in readers if code[reader][1](text[place])]
    return False


def _readers(code: Sequence[Instruction], waiting: list[int], text: str, place: int, spend: Spend) -> list[int] | None:
    """Return the instructions that wait for a character at this place, None if the end is reached without one."""
    readers, seen = [], set(waiting)
    stack = [*seen]
    while stack:
        spend(1)
        at = stack.pop()
        name, *needs = code[at]
        match name:
            case "character":
                readers.append(at)
                continue
            case "found":
                return None
            case "fork" | "go":
                following: Sequence[int] = needs
            case "place":
                following = (at + 1,) if _is_place(needs[0], needs[1], text, place) else ()
            case _:
                following = (at + 1,) if _looks(needs[0], needs[1], needs[2], text, place, spend) else ()
        for other in following:
            if other not in seen:
                seen.add(other)
                stack.append(other)
    return readers


def _looks(program: Program, back: int, is_wanted: bool, text: str, place: int, spend: Spend) -> bool:
    """Whether what is looked for is there, or is not. Behind a place it has one width, and so ends there."""
    start = place - back
    return (start >= 0 and _runs(program, text, start, start, spend)) is is_wanted


def _is_place(name: str, flags: int, text: str, place: int) -> bool:
    match name:
        case "AT_BEGINNING":
            return place == 0 or bool(flags & re.MULTILINE and text[place - 1] == "\n")
        case "AT_BEGINNING_STRING":
            return place == 0
        case "AT_END":
            rest = text[place : place + 2]
            return rest == "" or (rest[0] == "\n" and (len(rest) == 1 or bool(flags & re.MULTILINE)))
        case "AT_END_STRING":
            return place == len(text)
    before, after = text[place - 1 : place], text[place : place + 1]
    words = [bool(side) and (_is_word(side) and (side.isascii() or not flags & re.ASCII)) for side in (before, after)]
    return (words[0] != words[1]) is (name == "AT_BOUNDARY")
