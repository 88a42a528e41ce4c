"""The body of a response: undo its compression, prove that it came whole, and tell whether it is an event stream.

Who reads it bounds its size.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import MalformedReplyError, TransportError

__all__ = [
    "ACCEPT_ENCODING",
    "LARGEST_PIECE",
    "BodyDecoder",
    "body_decoder",
    "is_undecided",
    "less_blanks",
    "looks_like_events",
]

ACCEPT_ENCODING = "gzip"
"""What we ask for; anything else in a reply is refused, since it was not offered."""

LARGEST_PIECE = 64 * 1024
"""What compressed bytes mean comes in pieces of this many bytes at most, as others come from a socket."""
_MOST_AT_ONCE = 4 * 1024
"""Compressed bytes given to zlib at once. It copies those it has not used, for each piece and each gzip member."""
_BOMB_BYTES = 8 * 1024 * 1024
_BOMB_RATIO = 500
"""Recorded streams, whose chunks all repeat one envelope, shrink to a two-hundredth at most; a bomb to a thousandth."""


def body_decoder(encoding: str) -> BodyDecoder:
    """Return what undoes an encoding. Raises MalformedReplyError for one that was not asked for."""
    return BodyDecoder(encoding) if encoding else _AS_IT_IS


class BodyDecoder:
    """Turn the bytes as sent into the bytes as meant."""

    def __init__(self, encoding: str) -> None:
        name = encoding.strip().lower()
        self._name = name
        self.is_compressed = name not in ("", "identity")
        self._taken = self._given = 0
        if name in ("", "identity"):
            self._inflate = None
        elif name in ("gzip", "x-gzip"):
            self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        elif name == "deflate":
            self._inflate = zlib.decompressobj()
        else:
            raise MalformedReplyError(
                f"The reply is compressed as {name!r}, which was not asked for ({ACCEPT_ENCODING})."
            )

    def feed(self, data: bytes) -> Iterable[bytes]:
        """Give what these bytes mean, in pieces of bounded size: a few bytes may mean gigabytes.

        Raises MalformedReplyError for broken compression.
        """
        return (data,) if self._inflate is None else self._all_inflated(data)

    def _all_inflated(self, data: bytes) -> Iterator[bytes]:
        self._taken += len(data)
        for start in range(0, len(data), _MOST_AT_ONCE):
            yield from self._inflated(self._inflate, data[start : start + _MOST_AT_ONCE])

    def _inflated(self, inflate: Any, data: bytes) -> Iterator[bytes]:
        while data:
            if inflate.eof:  # gzip may come in several members (RFC 1952, 2.2)
                inflate = self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
            try:
                piece = inflate.decompress(data, LARGEST_PIECE)
            except zlib.error as error:
                raise MalformedReplyError(f"The reply's {self._name} compression is broken: {error}.") from error
            self._given += len(piece)
            if self._given > _BOMB_BYTES and self._given > _BOMB_RATIO * self._taken:
                raise MalformedReplyError(
                    f"The reply's {self._name} compression makes more than {_BOMB_RATIO} bytes out of one, "
                    f"{self._given} so far: no answer does."
                )
            if piece:
                yield piece
            data = inflate.unused_data if inflate.eof else inflate.unconsumed_tail

    def close(self) -> None:
        """Say that the body has ended. Raises TransportError if its compressed stream has not."""
        if self._inflate is not None and not self._inflate.eof:
            raise TransportError(f"The reply ended inside its {self._name} stream: it was cut.")


_AS_IT_IS = BodyDecoder("")
"""For all bodies that are not compressed: it remembers nothing."""


# --- whether it is an event stream

_FIELDS = (b"data:", b"event:", b":", b"id:", b"retry:")
_LONGEST_FIELD = max(map(len, _FIELDS))
_BOM = b"\xef\xbb\xbf"
_BLANKS = b" \r\n\t"


def is_undecided(first: bytes) -> bool:
    """Whether more bytes may still turn out to be an event stream: the cut of a read must not decide what it is."""
    if first[:1] == b"{":
        return False
    if len(first) < len(_BOM) and _BOM.startswith(first):
        return True
    start = first.removeprefix(_BOM).lstrip(_BLANKS)
    return len(start) < _LONGEST_FIELD and any(len(start) < len(field) and field.startswith(start) for field in _FIELDS)


def less_blanks(first: bytes) -> bytes:
    """Return the beginning of a body without the blanks that it goes on with, but for the last: they may be endless."""
    mark = _BOM if first.startswith(_BOM) else b""
    rest = first[len(mark) :]
    return first if rest.strip(_BLANKS) else mark + rest[-1:]


def looks_like_events(content_type: str, first: bytes, *, asked: bool) -> bool:
    """Whether the body is an event stream: its first bytes decide where they can, then its type, then the request."""
    start = first.removeprefix(_BOM).lstrip(_BLANKS)
    if start[:1] in (b"{", b"[", b"<"):
        return False
    if start.startswith(_FIELDS):
        return True
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "text/event-stream" or (asked and media_type in ("", "text/plain", "application/octet-stream"))
