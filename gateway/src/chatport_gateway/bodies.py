"""The body of a request, with bounds on its size, packed and unpacked, and on the time it takes to come."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import zstandard

from .leaving import ClientLeft, within

__all__ = ["Refused", "read_body"]

Receive = Callable[[], Awaitable[Any]]


class Refused(Exception):
    """The request is refused with a status, for a reason in words."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


async def read_body(receive: Receive, headers: Mapping[str, str], *, most_bytes: int, seconds: float) -> bytes:
    """Return the body, unpacked. Raises Refused for one that is too large or too slow, ClientLeft if it never ends.

    `seconds` is how long nothing may come.
    """
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > most_bytes:
        raise _too_large(most_bytes)
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        try:
            message = await within(seconds, receive)
        except TimeoutError:
            raise Refused(408, f"Nothing of the body has come for {seconds:g} s.") from None
        if message["type"] != "http.request":
            raise ClientLeft
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > most_bytes:
            raise _too_large(most_bytes)
        more = message.get("more_body", False)
    return unpacked(b"".join(pieces), headers.get("content-encoding", ""), most_bytes)


def unpacked(body: bytes, encoding: str, most_bytes: int) -> bytes:
    """Return a body without its content encoding. Raises Refused for one that is not known, broken or too large."""
    for name in reversed([part.strip().lower() for part in encoding.split(",")]):
        if name in ("", "identity"):
            continue
        try:
            body = _unpack(body, name, most_bytes)
        except (zlib.error, zstandard.ZstdError, EOFError) as error:
            raise Refused(400, f"The body is not valid {name}: {error}.") from None
        if len(body) > most_bytes:
            raise _too_large(most_bytes)
    return body


def _unpack(body: bytes, name: str, most_bytes: int) -> bytes:
    if name in ("gzip", "x-gzip", "deflate"):
        unpacker = zlib.decompressobj(47 if name != "deflate" else 15)
        content = unpacker.decompress(body, most_bytes + 1)
        if len(content) <= most_bytes and not unpacker.eof:
            raise EOFError("it ends too early")
        return content
    if name == "zstd":
        reader = zstandard.ZstdDecompressor(max_window_size=128 * 1024 * 1024).stream_reader(body)
        return reader.read(most_bytes + 1)
    raise Refused(415, f"The content encoding {name!r} is not taken: gzip, deflate and zstd are.")


def _too_large(most_bytes: int) -> Refused:
    return Refused(413, f"The body is larger than {most_bytes} bytes.")
