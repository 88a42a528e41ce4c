"""Any bytes as an HTTP response, cut anywhere: read as a plain reader does, or refused by our own error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st

from .heads import check_response

FILES = sorted(Path(__file__).with_name("corpus_http").iterdir())
WORDS = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Hints\r\n\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
     b"\r\n", b"\n", b"\r", b": ", b";a=b", b"5\r\nhello\r\n", b"0\r\n", b"A: b\r\n", b" c\r\n", b"hello",
     b"\x00", b"\xff"]
)  # fmt: skip


@given(st.one_of(st.binary(max_size=200), st.lists(st.one_of(WORDS, st.binary(max_size=3)), max_size=14).map(b"".join)))
@example(b"HTTP/1.1 200 OK\r\na: b\r\n\r\n")
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_an_answer_or_our_own_error(data: bytes) -> None:
    check_response(data)
    check_response(b"HTTP/1.1 200 OK\r\n" + data)


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_every_property_holds(path: Path) -> None:
    check_response(path.read_bytes())
