"""What a server gave for a call, kind by kind: what becomes a part, a text, or an error for the model."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from mcp.types import CallToolResult

from chatport import AudioPart, FilePart, ImagePart, ToolError
from chatport_mcp.results import told

from .server import PNG, WAV

PDF = b"%PDF-1.4\n"


def given(*blocks: Any, **fields: Any) -> Any:
    return told(CallToolResult.model_validate({"content": list(blocks), **fields}))


def blob(data: bytes | str, kind: str | None, uri: str = "file:///a/b.bin") -> dict[str, Any]:
    text = data if isinstance(data, str) else base64.b64encode(data).decode()
    return {"type": "resource", "resource": {"uri": uri, "blob": text, "mimeType": kind}}


@pytest.mark.parametrize(
    ("block", "wanted"),
    [
        (blob("hé".encode(), "text/plain"), "hé"),
        (blob(b'{"a":1}', "application/json"), '{"a":1}'),
        (blob(PDF, "application/pdf"), [FilePart.from_bytes(PDF, "b.bin", media_type="application/pdf")]),
        (blob(PDF, None, "acme://store/x.pdf/"), [FilePart.from_bytes(PDF, "x.pdf")]),
        (blob(PNG, "image/png"), [ImagePart.from_bytes(PNG)]),
        (blob(base64.b64decode(WAV), "audio/wav"), [AudioPart(WAV, "wav")]),
    ],
)
def test_bytes_in_a_resource_are_what_their_kind_says(block: Any, wanted: Any) -> None:
    assert given(block) == wanted


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (blob(b"\xff\xfe", "text/plain"), "The tool gave text/plain that cannot be read: 'utf-8' codec can't decode"),
        (blob("A", "application/pdf"), "The tool gave application/pdf that cannot be read: "),
        (blob("A", None), "The tool gave bytes that cannot be read: "),
        (blob("", "image/png"), "The tool gave image/png that are no such thing: "),
        (
            {"type": "audio", "data": "", "mimeType": "audio/wav"},
            "The tool gave audio/wav that are no such thing: ",
        ),
    ],
)
def test_what_cannot_be_read_is_said_to_the_model(block: Any, words: str) -> None:
    with pytest.raises(ToolError) as caught:
        given({"type": "text", "text": "So: "}, block)
    assert str(caught.value).startswith(words)


def test_structured_content_counts_where_there_is_nothing_else() -> None:
    assert given(structuredContent={"a": 1}) == '{"a":1}'
    assert given({"type": "text", "text": "one"}, structuredContent={"a": 1}) == "one"
    assert given() == ""


def test_a_failure_has_words_in_any_case() -> None:
    with pytest.raises(ToolError, match=r"^The tool failed, and did not say why\.$"):
        given(isError=True)
    with pytest.raises(ToolError) as caught:
        given({"type": "text", "text": "one"}, {"type": "text", "text": "two"}, isError=True)
    assert caught.value.message == "one\ntwo"
