"""What must hold whatever bytes come as an HTTP response. One function for hypothesis, the fuzzer and the corpus."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import h11

from chatport.engine.commands import TransportFailure
from chatport.transport.http1 import MOST_HEADERS, HeadReader, Response

from ..steps import count_steps

__all__ = ["check_response"]

_STEPS_A_BYTE = 60


def check_response(data: bytes) -> None:
    """Hold the reading of a connection's bytes against every property. Raises AssertionError."""
    whole = _read([data])
    for pieces in _cuts(data):
        assert _read(pieces) == whole, f"other pieces: {len(pieces)}"
    assert count_steps(lambda: _read([data])) <= _STEPS_A_BYTE * (len(data) + 100)
    status, headers, body, problem = whole
    if status is None:
        return
    assert 200 <= status <= 999
    assert len(headers) <= MOST_HEADERS
    for name, value in headers.items():
        assert re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9a-z]+", name), name
        assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value), "a header that could become two"
    if problem is None and not re.search(rb"\r\n[0-9a-fA-F]+[ \t]+;", data):  # a blank that h11 does not know there
        other = _by_h11(data)
        assert other is None or other == (status, body), "h11 reads another answer"


def _read(pieces: Sequence[bytes]) -> tuple[int | None, Any, bytes, str | None]:
    """Return status, headers, body, and what was wrong; the status is None where there is no head."""
    reader, response, body = HeadReader("POST"), None, b""
    try:
        for piece in filter(None, pieces):
            if response is None:
                found = reader.feed(piece)
                if found is None:
                    continue
                response, piece = found
            if piece and response.body.problem is None:
                body += response.body.feed(piece)
        if response is None:
            reader.feed(b"")
    except TransportFailure as failure:
        return None, {}, b"", failure.stage
    assert isinstance(response, Response)
    if not response.body.ended and response.body.problem is None:
        response.body.end()
    problem = response.body.problem
    return response.head.status, response.head.headers, body, None if problem is None else problem.stage


def _by_h11(data: bytes) -> tuple[int, bytes] | None:
    """Return status and body as h11 reads them, None where it refuses."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=200_000)
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    connection.receive_data(b"")
    status, body = 0, b""
    try:
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return None
    except h11.RemoteProtocolError:
        return None
    return status, body


def _cuts(data: bytes) -> Iterator[list[bytes]]:
    """Yield the bytes in other pieces: one by one, and cut at places that depend on nothing but them."""
    if len(data) <= 2000:
        yield [data[at : at + 1] for at in range(len(data))]
    digest = hashlib.sha256(data).digest()
    for seed in range(2):
        at = int.from_bytes(digest[seed * 8 : seed * 8 + 8], "big") % (len(data) + 1)
        yield [data[:at], data[at:]]
