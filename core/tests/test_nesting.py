"""Whether a JSON text that comes in pieces is still open."""

from __future__ import annotations

import pytest

from chatport.jsoncodec import Nesting


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("", False),
        ("{", True),
        ('{"a": [1, {"b": 2}]', True),
        ('{"a": [1, {"b": 2}]}', False),
        ('"a', True),
        ('"a"', False),
        ('"a\\"', True),
        ('"a\\\\"', False),
        ('{"a": "}"', True),
        ('{"a": "}"}', False),
        ("5", False),
    ],
)
def test_a_text_is_open_inside_a_string_and_a_bracket(text: str, is_open: bool) -> None:
    for cut in range(len(text) + 1):
        nesting = Nesting()
        for piece in (text[:cut], text[cut:]):
            nesting.feed(piece)
        assert nesting.is_open is is_open, cut
