"""What `run_tool` makes of parts that a tool gave: a text for the model, of which nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatport import ImagePart, TextPart, ToolCall, run_tool

URL = "https://pictures.example/a.png"
PICTURE: dict[str, Any] = {"url": URL, "detail": None, "extra": {}}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["a", TextPart("b")], "a\nb"),
        ([TextPart("a")], "a"),
        ([TextPart(""), TextPart("b"), ""], "\nb"),
        (["a", "b"], ["a", "b"]),
        ([], []),
        (["a", ImagePart(URL)], ["a", PICTURE]),
        ([ImagePart(URL), TextPart("b")], [PICTURE, {"text": "b", "extra": {}}]),
    ],
)
def test_parts_become_a_text(given: list[Any], text: Any) -> None:
    def look() -> list[Any]:
        """Look."""
        return given

    found = run_tool(ToolCall("c", "look", "{}"), [look])
    assert (found if isinstance(text, str) else json.loads(found)) == text
