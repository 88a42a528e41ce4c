"""A free text, read out of the JSON of its arguments while that is being written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from chatport_surfaces.responses.free_text import FreeText, as_arguments, as_text


def read(arguments: str, cuts: list[int]) -> tuple[list[str], str]:
    """Return the pieces that were told, and the rest at the end."""
    reader = FreeText()
    bounds = sorted({0, len(arguments), *(cut % (len(arguments) + 1) for cut in cuts)})
    pieces = [arguments[start:end] for start, end in zip(bounds, [*bounds[1:], len(arguments)], strict=True)]
    return [reader.take(piece) for piece in pieces], reader.rest(arguments)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.booleans(),
    st.sampled_from(('{"input":%s}', '{ "input" : %s }', '\n{"input": %s,"more":1}', '{"more":1,"input":%s}', "%s")),
    st.lists(st.integers(0, 200), max_size=5),
)
def test_the_pieces_are_the_text(text: str, ascii_only: bool, form: str, cuts: list[int]) -> None:
    arguments = form % json.dumps(text, ensure_ascii=ascii_only)
    pieces, rest = read(arguments, cuts)
    whole = as_text(arguments)
    if "more" not in form and "input" in form:
        assert whole == text
    assert whole.startswith("".join(pieces)) or "more" in form
    if whole.startswith("".join(pieces)):
        assert "".join(pieces) + rest == whole
    else:  # the vendor wrote more than the text, which came as it was written
        assert ("".join(pieces), rest) == (text, "")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_arguments_and_text_are_each_others_reverse(text: str) -> None:
    assert as_text(as_arguments(text)) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input":"a\\ud83d\\ude00b"}', "a😀b"),
        ('{"input":"\\u00e9\\/"}', "é/"),
        ('{"input":1}', '{"input":1}'),
        ("*** plain", "*** plain"),
        ("", ""),
    ],
)
def test_each_cut_gives_the_same(arguments: str, text: str) -> None:
    for cut in range(len(arguments) + 1):
        pieces, rest = read(arguments, [cut])
        assert "".join(pieces) + rest == text


def test_it_comes_as_it_is_written() -> None:
    reader = FreeText()
    assert [reader.take(piece) for piece in ('{"input":"a', "b\\", 'n"', "}")] == ["a", "b", "\n", ""]


@pytest.mark.parametrize("escape", ["\\u00g9", "\\ud83dx", "\\ud83d\\n"])
def test_what_is_no_escape_is_held_for_as_long_as_one_may_be(escape: str) -> None:
    reader = FreeText()
    assert reader.take('{"input":"a' + escape.ljust(11, "x")) == "a"
    assert reader._held == escape.ljust(11, "x")
    assert reader.take("y") == ""
    assert not reader._held
    assert reader.take('z"}') == ""
    assert not reader._held


def test_the_text_may_begin_after_blanks_but_not_after_any_number_of_them() -> None:
    reader = FreeText()
    assert [reader.take(" " * 256), reader.take('{"input":"a')] == ["", "a"]
    reader = FreeText()
    assert [reader.take(" " * 257), reader.take('{"input":"a"}')] == ["", ""]
    assert reader.rest(" " * 257 + '{"input":"a"}') == "a"


def test_what_is_no_such_object_is_not_held_for_ever() -> None:
    reader = FreeText()
    for _ in range(1000):
        assert reader.take("x" * 100) == ""
    assert not reader._held
