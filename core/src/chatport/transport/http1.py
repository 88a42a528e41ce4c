"""HTTP/1.1 without I/O, for one response at a time: what asyncio, trio and threads share (RFC 9110, RFC 9112).

Strict, because what is read here decides where an answer ends. A message whose length could be read in two ways is
refused (but for a length beside chunks, which overrule it), as are bare line feeds, folded lines and control
characters. The head is read by code of our own: h11 takes
58 µs for the head of a usual response, this 15 µs, where a whole plain call may cost 270 µs. The tests hold the two
against each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

import msgspec

from ..engine.commands import Head, HttpRequest, TransportFailure
from .address import Address, address_of

__all__ = ["Body", "HeadReader", "Response", "request_bytes"]

MOST_HEAD_BYTES = 64 * 1024
MOST_HEADERS = 256
_MOST_INTERIM = 16
"""How many 1xx responses may come before the real one; each is small, and none should come unasked."""
_MOST_LINE_BYTES = 4096
"""How long the line with a chunk's size may be, with its extensions."""
_SHORT_LINE_BYTES = 32
"""Up to what length it is looked at with every byte that comes."""
_IDLE_SECONDS = 30.0
_CR, _LF = b"\r\n"

_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")
# Possessive, each part of it: a long line that is wrong at its end must not be tried in every other way.
_FIELD_LINE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*+)\r\n")
_FIELD_LINES = re.compile(f"(?:{_FIELD_LINE.pattern})*+")
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(r"[0-9]{1,18}")
_KEPT_FOR = re.compile(r"(?:^|[,\s])timeout\s*=\s*([0-9]{1,9})(?:$|[,\s])", re.IGNORECASE)
_UNWRITABLE = re.compile(r"[^\t\x20-\x7e]")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OURS = frozenset(("content-length", "transfer-encoding", "connection"))


# --- writing


def request_bytes(request: HttpRequest, address: Address) -> bytes:
    """Return the whole request as it goes over the wire, the key in its place: write it, and keep it nowhere.

    Raises TransportFailure (stage connect) for a header that would not stay one line.
    """
    method, content = request.method, request.content
    lines = [_request_head(request, address)]
    if request.auth is not None:
        name, prefix, key = request.auth
        lines.append(_field_lines(((name, prefix + key.reveal()),)))
    if request.secret_headers:
        lines.append(_field_lines([(name, secret.reveal()) for name, secret in request.secret_headers]))
    if content or method in ("POST", "PUT", "PATCH"):
        lines.append(f"content-length: {len(content)}\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("ascii") + content


def _request_head(request: HttpRequest, address: Address) -> str:
    """Return what a request begins with, all but the key and the length of its body."""
    method, headers = request.method, request.headers
    if not (method.isascii() and method.isalpha()):
        raise TransportFailure("The method of the request cannot be sent", stage="connect", kind="invalid_request")
    fields = _field_lines(headers)
    target = address_of(request.whole_url()).target if request.secret_query else address.target
    host = "" if any(name.lower() == "host" for name, _ in headers) else f"host: {address.authority}\r\n"
    return f"{method} {target} HTTP/1.1\r\n{host}{fields}"


def _field_lines(headers: Sequence[tuple[str, str]]) -> str:
    names = [name.lower() for name, _ in headers]
    is_good = (
        all(map(_NAME.fullmatch, names))
        and _UNWRITABLE.search("".join([value for _, value in headers])) is None
        and _OURS.isdisjoint(names)
    )
    if not is_good:
        del headers  # a traceback may show locals
        raise TransportFailure("A header of the request cannot be sent", stage="connect", kind="invalid_request")
    return "".join([f"{name}: {value}\r\n" for name, value in headers])


# --- the head


class Response(msgspec.Struct, frozen=True):
    """A response whose head has come. `body` reads the rest.

    `keeps_alive`: the connection may carry another request after the body's end, and stay idle for `idle_seconds`.
    """

    head: Head
    body: Body
    keeps_alive: bool
    idle_seconds: float


class HeadReader:
    """Reads the head of the response to a request of one method."""

    __slots__ = ("_buffer", "_interim", "_method")

    def __init__(self, method: str) -> None:
        self._method = method
        self._buffer = bytearray()
        self._interim = 0

    @property
    def is_silent(self) -> bool:
        """Whether nothing at all has come."""
        return not (self._buffer or self._interim)

    def feed(self, data: bytes) -> tuple[Response, bytes] | None:
        """Return the response and the first bytes of its body, None while the head is incomplete.

        b"" says that the connection has ended. Raises TransportFailure (stage head).
        """
        if not data:
            words = "without sending a response" if self.is_silent else "in the middle of a response's head"
            raise _failure(f"Server disconnected {words}", "head")
        if self._buffer:
            searched = max(len(self._buffer) - 3, 0)
            self._buffer += data
            if self._buffer.find(_HEAD_END, searched) < 0:
                _check_begun(self._buffer, searched)
                return None
            data = bytes(self._buffer)  # once for a head, however small its pieces are
            self._buffer = bytearray()
        else:
            searched = 0
        while True:
            end = data.find(_HEAD_END, searched)
            if end < 0 or end > MOST_HEAD_BYTES:
                self._buffer += data
                _check_begun(self._buffer, 0)
                return None
            response = _response(data[: end + 2], self._method)
            data, searched = data[end + 4 :], 0
            if response is not None:
                return response, data
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                raise _failure(f"The server sent more than {_MOST_INTERIM} interim responses", "head")


def _check_begun(data: bytearray, start: int) -> None:
    """Refuse an incomplete head that can no longer become a good one. What is before `start` was looked at already."""
    if not data.startswith(b"HTTP/1."[: len(data)]):
        raise _failure(f"What came is no HTTP/1.1 response: it begins with {bytes(data[:16])!r}", "head")
    if len(data) > MOST_HEAD_BYTES:
        raise _failure(f"The response's header is longer than {MOST_HEAD_BYTES} bytes", "head")
    if _BARE_LINE_FEED.search(data, start):
        raise _failure("The response's header has a line that does not end in CR LF", "head")


def _response(data: bytes, method: str) -> Response | None:
    """Read a whole head, up to the CR LF of its last line. Returns None for an interim response."""
    text = _text(data)
    line = _STATUS_LINE.match(text)
    if line is None:
        raise _failure(f"What came is no HTTP/1.1 response: it begins with {data[:16]!r}", "head")
    headers = _headers(text, line.end())
    status = int(line[2])
    if 100 <= status < 200:
        if status == 101:
            raise _failure("The server switches protocols, which was not asked for", "head")
        return None
    is_current = line[1] == "1"
    body = _body(status, headers, method, is_current)
    # HTTP/1.0 with keep-alive is not worth its ambiguities.
    says_close = "connection" in headers and "close" in _words(headers, "connection")
    # Two lengths may mean that somebody before us reads another one (RFC 9112, 6.3): what follows is not believed.
    is_double = "transfer-encoding" in headers and "content-length" in headers
    keeps_alive = is_current and not says_close and not is_double and not isinstance(body, UntilClose)
    return Response(Head(status, headers), body, keeps_alive, _idle_seconds(headers))


def _text(data: bytes) -> str:
    """Decode a head. Only ASCII is meant (RFC 9110, 5.5); what servers send beyond it is UTF-8 or Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _headers(text: str, start: int) -> Mapping[str, str]:
    if _FIELD_LINES.fullmatch(text, start) is None:
        raise _failure("The response's header has a line that is not valid HTTP", "head")
    lines = text[start:].split("\r\n")
    if len(lines) - 1 > MOST_HEADERS:
        raise _failure(f"The response has more than {MOST_HEADERS} headers", "head")
    headers: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for line in lines[:-1]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if name in headers:
            repeated.setdefault(name, [headers[name]]).append(value)
        else:
            headers[name] = value
    for name, values in repeated.items():
        headers[name] = ", ".join(values)
    return headers


def _words(headers: Mapping[str, str], name: str) -> list[str]:
    return [word.strip(" \t").lower() for word in headers.get(name, "").split(",")]


def _idle_seconds(headers: Mapping[str, str]) -> float:
    """Return how long the connection may be idle: a second less than the server says, since its answer travelled."""
    if "keep-alive" not in headers:
        return _IDLE_SECONDS
    stated = _KEPT_FOR.search(headers["keep-alive"])
    return _IDLE_SECONDS if stated is None else max(min(_IDLE_SECONDS, float(stated[1]) - 1.0), 0.0)


def _body(status: int, headers: Mapping[str, str], method: str, is_current: bool) -> Body:
    """Return what reads the body (RFC 9112, 6.3). Raises TransportFailure where its length is not beyond doubt."""
    coding, stated = headers.get("transfer-encoding"), headers.get("content-length")
    length = None if stated is None or coding is not None else _length(stated)  # chunks overrule a length (6.3)
    if coding is not None and (not is_current or coding.lower() != "chunked"):
        raise _failure(f"The response's transfer-encoding is {coding[:40]!r}; only chunked was allowed", "head")
    if method == "HEAD" or status in (204, 304):
        return Counted(0)
    if coding is not None:
        return Chunked()
    return UntilClose() if length is None else Counted(length)


def _length(stated: str) -> int:
    lengths = {word.strip(" \t") for word in stated.split(",")}
    only = lengths.pop()
    if lengths or _LENGTH.fullmatch(only) is None:
        raise _failure(f"The response's content-length cannot be read: {stated[:40]!r}", "head")
    return int(only)


def _failure(words: str, stage: Literal["head", "body"]) -> TransportFailure:
    return TransportFailure(words, stage=stage, kind="RemoteProtocolError")


# --- the body


class Body:
    """Takes the framing off. `ended`: the end is proved; `extra`: more came, so the connection is of no further use.

    `problem` is what was wrong behind the bytes that were good, which are given out first.
    """

    __slots__ = ("ended", "extra", "problem")

    def __init__(self) -> None:
        self.ended = False
        self.extra = False
        self.problem: TransportFailure | None = None

    def feed(self, data: bytes) -> bytes:
        """Return the bytes of the body in these bytes of the connection, which must not be b""."""
        raise NotImplementedError

    def end(self) -> None:
        """Say that the connection has ended."""
        self._fail("Server disconnected before the response was complete")

    def _fail(self, words: str) -> None:
        self.problem = _failure(words, "body")


class UntilClose(Body):
    """A body that ends with its connection: nothing proves that it is whole but what it says itself."""

    __slots__ = ()

    def feed(self, data: bytes) -> bytes:
        """Return the bytes as they are."""
        return data

    def end(self) -> None:
        """Take it as whole."""
        self.ended = True


class Counted(Body):
    """A body whose length is known."""

    __slots__ = ("_left_bytes",)

    def __init__(self, length_bytes: int) -> None:
        super().__init__()
        self._left_bytes = length_bytes
        self.ended = not length_bytes

    def feed(self, data: bytes) -> bytes:
        """Return what belongs to the body."""
        size = len(data)
        if size > self._left_bytes:
            data, self.extra = data[: self._left_bytes], True
        self._left_bytes -= min(size, self._left_bytes)
        self.ended = not self._left_bytes
        return data


class Chunked(Body):
    """A body in chunks (RFC 9112, 7.1). Extensions and trailers are read and dropped.

    Invariant: each byte is copied, and looked at, a fixed number of times, in however small pieces it comes.
    """

    __slots__ = ("_check_at", "_in_trailers", "_left_bytes", "_rest", "_trailer_bytes")

    def __init__(self) -> None:
        super().__init__()
        self._left_bytes = -1  # of the data of a chunk; -1 where the line with a size is due
        self._rest = bytearray()  # the beginning of something that cannot be read before its end has come
        self._check_at = 0
        self._in_trailers = False
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """Return the data of all chunks in these bytes, joined; a chunk need not be whole."""
        if self.ended:
            self.extra = True
            return b""
        if self._rest:
            data = self._joined(data)
        if self._in_trailers:
            self._read_trailers(data, 0)
            return b""
        pieces: list[bytes] = []
        at, size, left = 0, len(data), self._left_bytes
        while at < size:
            if left < 0:
                line_end = data.find(b"\r\n", at)
                left = -1 if line_end < 0 else _size_of(data[at:line_end])
                if left < 0:
                    self._keep_line(data[at:])
                    break
                at = line_end + 2
                if not left:
                    self._in_trailers, left = True, -1
                    self._read_trailers(data, at)
                    break
            end = at + left
            if end + 2 > size:  # the data or the line end behind it are not all here
                pieces.append(data[at:end])
                left = max(end - size, 0)
                self._keep_line_end(data[end:])
                break
            if not data.startswith(b"\r\n", end):
                pieces.append(data[at:end])
                self._fail("A chunk of the response is longer than it says")
                break
            pieces.append(data[at:end])
            at, left = end + 2, -1
        self._left_bytes = left
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _joined(self, data: bytes) -> bytes:
        """Return these bytes behind what was kept, b"" while they do not yet end the line that it began."""
        rest = self._rest
        is_ended = b"\r\n" in data or (rest[-1] == _CR and data[0] == _LF)
        if is_ended or self._left_bytes >= 0:  # the latter: the line end behind a chunk, of which there is one byte
            data = bytes(rest) + data
            self._rest = bytearray()
            return data
        if self._in_trailers:
            self._keep_trailer(data)
        else:
            self._keep_line(data)
        return b""

    def _keep_line(self, more: bytes) -> None:
        """Keep more of the line with a size. Its form is looked at whenever it is twice as long as the last time."""
        begun = not self._rest
        self._rest += more
        length = len(self._rest)
        is_good = b"\n" not in more and length <= _MOST_LINE_BYTES
        if is_good and (begun or length < _SHORT_LINE_BYTES or length >= self._check_at):
            self._check_at = 2 * length
            is_good = _may_begin_a_size(self._rest)
        if not is_good:
            self._fail("The response's chunks cannot be read: a size is no hexadecimal number")

    def _keep_line_end(self, begun: bytes) -> None:
        if begun not in (b"", b"\r"):
            self._fail("A chunk of the response is longer than it says")
        self._rest += begun

    def _read_trailers(self, data: bytes, at: int) -> None:
        while True:
            end = data.find(b"\r\n", at)
            if end < 0:
                self._keep_trailer(data[at:])
                return
            if end == at:
                self.ended, self.extra = True, end + 2 < len(data)
                return
            self._trailer_bytes += end + 2 - at
            if self._trailer_bytes > MOST_HEAD_BYTES or not _FIELD_LINE.fullmatch(data[at : end + 2].decode("latin-1")):
                self._fail("The response's trailers cannot be read")
                return
            at = end + 2

    def _keep_trailer(self, more: bytes) -> None:
        """Keep more of a line that has not ended. No line feed in it can be a good one."""
        self._rest += more
        if self._trailer_bytes + len(self._rest) > MOST_HEAD_BYTES or b"\n" in more:
            self._fail("The response's trailers cannot be read")


def _size_of(line: bytes) -> int:
    """Return what the line before a chunk says, -1 if it says no size. A server's chunks have few different sizes."""
    return _known_size(line) if len(line) < 20 else _stated_size(line)


def _stated_size(line: bytes) -> int:
    size = _SIZE_LINE.fullmatch(line)
    return -1 if size is None else int(size[1], 16)


_known_size = lru_cache(maxsize=1024)(_stated_size)


_SIZE_BEGUN = re.compile(rb"[0-9A-Fa-f]{1,16}(?:[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?\r?)?")


def _may_begin_a_size(line: bytearray) -> bool:
    return _SIZE_BEGUN.fullmatch(line) is not None
