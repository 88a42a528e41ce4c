"""What reading a response costs: twice the bytes, in whatever pieces, is twice the work and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chatport.engine.commands import TransportFailure
from chatport.transport import http1
from chatport.transport.http1 import Chunked, HeadReader

from .steps import count_steps

OK = b"HTTP/1.1 200 OK\r\n"
MOST_FOR_TWICE = 2.3


class Touched(bytearray):
    """A buffer that counts the bytes which C copies into it, out of it, or searches in it."""

    handled = 0

    def __iadd__(self, more: Any) -> Touched:
        Touched.handled += len(more)
        return super().__iadd__(more)

    def __bytes__(self) -> bytes:
        Touched.handled += len(self)
        return bytes(memoryview(self))

    def __add__(self, more: Any) -> Any:
        Touched.handled += len(self) + len(more)
        return super().__add__(more)

    def find(self, what: Any, start: Any = 0, end: Any = None) -> int:
        Touched.handled += len(self) - start
        return super().find(what, start, len(self) if end is None else end)


class Looking:
    """A regular expression that counts the bytes it is shown."""

    def __init__(self, pattern: Any) -> None:
        self._pattern = pattern

    def search(self, data: Any, start: int = 0) -> Any:
        Touched.handled += len(data) - start
        return self._pattern.search(data, start)

    def fullmatch(self, data: Any, start: int = 0) -> Any:
        Touched.handled += len(data) - start
        return self._pattern.fullmatch(data, start)


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "bytearray", Touched, raising=False)
    for name in ("_BARE_LINE_FEED", "_FIELD_LINES", "_FIELD_LINE", "_SIZE_BEGUN", "_SIZE_LINE"):
        monkeypatch.setattr(http1, name, Looking(getattr(http1, name)))


def work(action: Callable[[], Any]) -> int:
    """Return the lines of Python, and the bytes handled in C, that an action took."""
    Touched.handled = 0
    return count_steps(action) + Touched.handled


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def read_head(data: bytes, size: int) -> None:
    reader = HeadReader("POST")
    assert [found for piece in in_pieces(data, size) if (found := reader.feed(piece)) is not None]


def read_chunks(data: bytes, size: int) -> None:
    body = Chunked()
    for piece in in_pieces(data, size):
        body.feed(piece)
    assert body.ended
    assert body.problem is None


HEADS: dict[str, Callable[[int], bytes]] = {
    "one long value": lambda n: OK + b"a: " + b"b" * 8 * n + b"\r\n\r\n",
    "many lines": lambda n: OK + b"".join(b"a%d: b\r\n" % number for number in range(n // 10)) + b"\r\n",
    "one name many times": lambda n: OK + b"a: b\r\n" * (n // 10) + b"\r\n",
    "blanks": lambda n: OK + b"a:" + b" " * 8 * n + b"\r\n\r\n",
    "a long reason": lambda n: b"HTTP/1.1 200 " + b"b " * 4 * n + b"\r\n\r\n",
    "interim responses": lambda n: b"HTTP/1.1 103 Hints\r\na: %b\r\n\r\n" % (b"b" * n) * 8 + OK + b"\r\n",
}
BODIES: dict[str, Callable[[int], bytes]] = {
    "many trailers": lambda n: b"0\r\n" + b"a: b\r\n" * n + b"\r\n",
    "one long trailer": lambda n: b"0\r\na: " + b"b" * 8 * n + b"\r\n\r\n",
    "a trailer of blanks": lambda n: b"0\r\na:" + b" " * 8 * n + b"\r\n\r\n",
    "chunks of one byte": lambda n: b"1\r\na\r\n" * n + b"0\r\n\r\n",
    "one long extension": lambda n: b"1;" + b"a" * n + b"\r\nb\r\n0\r\n\r\n",
    "long extensions": lambda n: (b"1;" + b"a" * 1000 + b"\r\nb\r\n") * (n // 100) + b"0\r\n\r\n",
    "blanks behind a size": lambda n: b"1" + b" " * n + b"\r\nb\r\n0\r\n\r\n",
    "one large chunk": lambda n: b"%x\r\n" % (8 * n) + b"a" * 8 * n + b"\r\n0\r\n\r\n",
}
N = 1000


@pytest.mark.parametrize("size", [1, 2, 7, 1_000_000])
@pytest.mark.parametrize("name", HEADS)
def test_a_head_of_twice_the_length_is_twice_the_work(name: str, size: int) -> None:
    once, twice = (work(lambda n=n: read_head(HEADS[name](n), size)) for n in (N, 2 * N))  # type: ignore[misc]
    assert twice <= MOST_FOR_TWICE * once


@pytest.mark.parametrize("size", [1, 2, 7, 1_000_000])
@pytest.mark.parametrize("name", BODIES)
def test_a_body_of_twice_the_length_is_twice_the_work(name: str, size: int) -> None:
    once, twice = (work(lambda n=n: read_chunks(BODIES[name](n), size)) for n in (N, 2 * N))  # type: ignore[misc]
    assert twice <= MOST_FOR_TWICE * once


@pytest.mark.parametrize("size", [1, 1_000_000])
@pytest.mark.parametrize("name", [*HEADS, *BODIES])
def test_no_byte_is_handled_more_than_a_few_times(name: str, size: int) -> None:
    """A ratio alone would pass what is slow from the start."""
    made, read = (HEADS[name], read_head) if name in HEADS else (BODIES[name], read_chunks)
    data = made(N)
    Touched.handled = 0
    read(data, size)
    assert Touched.handled <= 12 * len(data)


def test_a_line_that_is_wrong_at_its_end_is_not_tried_in_every_other_way() -> None:
    """A search of all ways to split 60,000 blanks would take minutes, where one look takes none."""
    blanks = b"a:" + b" \t" * 30_000 + b"\x01\r\n"
    with pytest.raises(TransportFailure, match="not valid HTTP"):
        HeadReader("POST").feed(OK + blanks + b"\r\n")
    body = Chunked()
    body.feed(b"0\r\n" + blanks + b"\r\n")
    assert body.problem is not None
