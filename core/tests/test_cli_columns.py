"""Texts beside one another, to the character."""

from __future__ import annotations

import pytest

from chatport.cli.columns import beside, fitting, wrapped


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("abcde", 5, ["abcde"]),
        ("abcdef", 5, ["abcde", "f"]),
        ("abc de", 5, ["abc", "de"]),
        ("abcde fg", 5, ["abcde", "fg"]),  # the blank that is one too many is where it breaks
        ("ab cd ef", 5, ["ab cd", "ef"]),
        ("ab cdefghij", 5, ["ab", "cdefg", "hij"]),
        ("a b c d e", 5, ["a b c", "d e"]),
        ("abc  de", 4, ["abc", "de"]),
        (" abcdef", 5, [" abcd", "ef"]),  # what a line begins with is no place to break it
        ("one\n\ntwo\n", 5, ["one", "", "two", ""]),
        ("a\tb", 9, ["a    b"]),
        ("a\r\nb", 5, ["a", "b"]),
        ("a\x1bb", 9, ["a\\x1bb"]),
        ("abc", 1, ["a", "b", "c"]),
        ("abc", 0, ["a", "b", "c"]),
        ("世界", 1, ["世", "界"]),
        ("世界世", 4, ["世界", "世"]),
        ("a世界", 4, ["a世", "界"]),
        ("e\u0301e\u0301e\u0301", 2, ["e\u0301e\u0301", "e\u0301"]),
    ],
)
def test_a_line_breaks_at_its_last_blank_and_within_a_word_that_is_too_long(
    text: str, width: int, lines: list[str]
) -> None:
    assert list(wrapped(text, width)) == lines


@pytest.mark.parametrize(
    ("character", "places"),
    [
        ("a", 1), ("é", 1), ("世", 2), ("\uff21", 2), ("\uff71", 1), ("·", 1), ("👩", 2),
        *((mark, 0) for mark in "\u0301\u200b\u200c\u200d\ufe0e\ufe0f"),
    ],
)  # fmt: skip
def test_a_character_takes_as_many_places_as_a_terminal_gives_it(character: str, places: int) -> None:
    assert fitting(f"x{character}", 5) == f"x{character}{' ' * (4 - places)}"


def test_what_is_too_long_is_not_filled_up() -> None:
    assert fitting("abc", 3) == "abc"
    assert fitting("abcd", 3) == "abcd"


def test_columns_are_filled_up_and_the_last_one_is_not() -> None:
    lines = list(beside(["one\nline more", "two", "x\ny\nz"], 24 * 3 + 6))
    assert lines == [
        f"{'one':24} │ {'two':24} │ x",
        f"{'line more':24} │ {'':24} │ y",
        f"{'':24} │ {'':24} │ z",
    ]


@pytest.mark.parametrize(("width", "is_beside"), [(24 * 2 + 3, True), (24 * 2 + 2, False)])
def test_columns_of_24_places_are_the_narrowest(width: int, is_beside: bool) -> None:
    below = ["one", "", "two", ""]
    assert list(beside(["one", "two"], width)) == ([f"{'one':24} │ two"] if is_beside else below)


def test_one_below_the_other_they_have_all_of_the_width() -> None:
    assert list(beside(["a" * 21, "b"], 20)) == ["a" * 20, "a", "", "b", ""]
    assert list(beside(["a" * 25], 24)) == ["a" * 24, "a"]
    assert list(beside([], 80)) == []
