"""Small readings that much depends on: a wait in words, the first bytes of a body, an escaped key, a forced choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chatport.decoding.body import is_undecided
from chatport.decoding.hints import said_delay_seconds
from chatport.decoding.redaction import hide_keys
from chatport.standard.choices import is_forced, is_required

from .maps import Answers, map_over


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 20 milliseconds.", 0.02),
        ("Please try again in 1 millisecond.", 0.001),
        ("Retry after 3 seconds", 3.0),
        ("wait for about 1.5 secs", 1.5),
        ("resets in 1 second", 1.0),
        ("Try again in 2 minutes.", 120.0),
        ("available again in 1 minute", 60.0),
        ("retry in 2 hours", 7200.0),
        ("try again in 1m30s", 90.0),
        ("try again in 250ms", 0.25),
        ("try again in 1h0m1s", 3601.0),
        ("try again in 5mb", None),
        ("try again later", None),
    ],
)
def test_a_wait_is_read_in_every_unit(words: str, seconds: float | None) -> None:
    assert said_delay_seconds(words) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b" \n\t\r", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("field", [b"data:", b"event:", b"id:", b"retry:"])
def test_a_field_that_is_cut_may_still_become_one(start: bytes, field: bytes) -> None:
    for length in range(len(field)):
        assert is_undecided(start + field[:length]) is True
    assert is_undecided(start + field) is False
    assert is_undecided(start + field[:-1] + b"x") is False


@pytest.mark.parametrize("first", [b"{", b"[", b"<html>", b": a comment", b"x", b"Data", b"\xef\xbb\xbf{"])
def test_what_can_become_no_field_is_decided(first: bytes) -> None:
    assert is_undecided(first) is False


@pytest.mark.parametrize(
    ("character", "escape"),
    [
        ("%", "%25"), ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&apos;"), ("/", "&sol;"),
        ("+", "&plus;"), (".", "&period;"), ("_", "&lowbar;"), ("/", "%2F"), ("/", "%2f"), ("+", "&#43;"),
        ("+", "&#x2b;"), ("/", "\\u002f"), ("+", "\\x2b"),
    ],
)  # fmt: skip
def test_a_key_is_hidden_in_whatever_escape_a_character_of_it_stands(character: str, escape: str) -> None:
    key, words = f"sk-0123456{character}789abcdef", "wrong key: {}!"
    for written in (key, key.replace(character, escape)):
        assert hide_keys(words.format(written), [key]) == "wrong key: ***!"


@pytest.mark.parametrize(
    ("choice", "required", "forced"),
    [
        (None, False, False),
        ("auto", False, False),
        ("none", False, False),
        ("required", True, True),
        ("any", True, True),
        ({"type": "auto"}, False, False),
        ({"type": "none"}, False, False),
        ({"type": "any"}, True, True),
        ({"type": "required"}, True, True),
        ({"type": "tool", "name": "f"}, False, True),
        ({"type": "function", "function": {"name": "f"}}, False, True),
        ({"function": {"name": "f"}}, False, True),
    ],
)
def test_a_choice_is_forced_where_a_tool_must_be_called(choice: Any, required: bool, forced: bool) -> None:
    assert (is_required(choice), is_forced(choice)) == (required, forced)


@pytest.mark.parametrize("backend", ["sync", "asyncio", "trio"])
def test_an_empty_line_in_a_resume_file_is_passed_over(backend: str, tmp_path: Path) -> None:
    path, model = tmp_path / "kept", Answers()
    map_over(backend, model, range(3), resume=path).whole()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"\n", *lines[2:]]))
    again = Answers()
    assert map_over(backend, again, range(3), resume=path).whole().texts == ["answer 0", "answer 1", "answer 2"]
    assert again.asked == []
    assert path.read_bytes().splitlines(keepends=True) == [*lines[:2], b"\n", *lines[2:]]
