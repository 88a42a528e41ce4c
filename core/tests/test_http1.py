"""HTTP/1.1 without I/O: every cut gives the same response, h11 reads the same, and nothing doubtful is believed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import attrs
import h11
import pytest
from hypothesis import given, settings, strategies as st

from chatport.basics.secret import Secret
from chatport.engine.commands import Head, HttpRequest, TransportFailure
from chatport.transport.address import address_of
from chatport.transport.http1 import MOST_HEAD_BYTES, MOST_HEADERS, HeadReader, Response, request_bytes
from chatport.transport.pool import MOST_IDLE, Pool

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@attrs.frozen
class Got:
    """What came out of a connection's bytes; `reusable` by what HTTP says alone."""

    head: Head
    body: bytes
    reusable: bool
    problem: str | None = None


def pieces(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    places = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(places):
        if start < end:
            yield data[start:end]


def respond(data: bytes, cuts: Sequence[int] = (), method: str = "POST") -> Got:
    """Read a response from a connection that is closed behind these bytes. Raises TransportFailure for a bad head."""
    reader = HeadReader(method)
    response: Response | None = None
    body = b""
    for piece in pieces(data, cuts):
        if response is None:
            found = reader.feed(piece)
            if found is None:
                continue
            response, piece = found
        if piece and response.body.problem is None:
            body += response.body.feed(piece)
    if response is None:
        reader.feed(b"")
        raise AssertionError("an end in the head must be refused")
    rest = response.body
    if not rest.ended and rest.problem is None:
        rest.end()
    assert rest.ended == (rest.problem is None)
    problem = None if rest.problem is None else str(rest.problem)
    return Got(response.head, body, response.keeps_alive and rest.ended and not rest.extra, problem)


GOOD: dict[str, tuple[bytes, bytes, bool]] = {
    "counted": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
    "counted twice alike": (OK + b"Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello", b"hello", True),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", b"", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "chunked": (CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world", True),
    "chunks that look like framing": (CHUNKED + b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", b"\r\n0\r\n\r\n", True),
    "extensions, zeros, blanks": (CHUNKED + b'0005;a=b;c="d"\r\nhello\r\nA  \r\n0123456789\r\n000;x\r\n\r\n',
                                  b"hello0123456789", True),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\nDigest: x\r\nServer-Timing: y\r\n\r\n", b"a", True),
    "until close": (OK + b"Content-Type: text/plain\r\n\r\nhello", b"hello", False),
    "until close, empty": (OK + b"\r\n", b"", False),
    "close": (OK + b"Connection: foo, Close\r\nContent-Length: 1\r\n\r\na", b"a", False),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", b"a", False),
    "old, kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", b"a", False),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", b"", True),
    "after interim responses": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                                + OK + b"Content-Length: 1\r\n\r\na", b"a", True),
    "stray bytes": (OK + b"Content-Length: 1\r\n\r\nabHTTP/1.1 200 OK\r\n", b"a", False),
    "stray bytes after chunks": (CHUNKED + b"1\r\na\r\n0\r\n\r\nx", b"a", False),
    "stray bytes after nothing": (b"HTTP/1.1 204 No Content\r\n\r\nx", b"", False),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_every_cut_of_a_good_response_gives_the_same(name: str) -> None:
    data, body, reusable = GOOD[name]
    whole = respond(data)
    assert (whole.body, whole.reusable, whole.problem) == (body, reusable, None)
    for first in range(len(data) + 1):
        assert respond(data, [first]) == whole
        assert respond(data, [first, first + 1, first + 2]) == whole
    assert respond(data, range(len(data))) == whole


def test_a_head_request_has_no_body_whatever_its_length_says() -> None:
    assert respond(OK + b"Content-Length: 7\r\n\r\n", method="HEAD").reusable
    assert respond(OK + b"Transfer-Encoding: chunked\r\n\r\n", method="HEAD").body == b""


def test_headers_are_lower_case_joined_and_stripped() -> None:
    head = respond(OK + b"X-A: 1\r\nx-a: \t 2 \t\r\nEmpty:\r\nCity: M\xc3\xbcnchen\r\nContent-Length:0\r\n\r\n").head
    assert head == Head(200, {"x-a": "1, 2", "empty": "", "city": "München", "content-length": "0"})
    assert respond(OK + b"City: M\xfcnchen\r\n\r\n").head.headers["city"] == "München"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, 30), ("timeout=5", 4), ("max=3, timeout=10", 9), ("timeout=600", 30), ("timeout=1", 0), ("timeout=x", 30)],
)
def test_how_long_a_connection_may_be_idle(value: str | None, seconds: float) -> None:
    stated = b"" if value is None else f"Keep-Alive: {value}\r\n".encode()
    found = HeadReader("POST").feed(OK + stated + b"Content-Length: 0\r\n\r\n")
    assert found is not None
    assert found[0].idle_seconds == seconds


@pytest.mark.parametrize("length", ["0", "5", "7", "5, 6", "-1", "x", ""])
@pytest.mark.parametrize("is_first", [True, False])
def test_chunks_overrule_a_length_beside_them_and_the_connection_is_not_used_again(length: str, is_first: bool) -> None:
    """RFC 9112, 6.3: the coding counts, and since somebody may have read the length, nothing after it is believed."""
    lines = [f"Content-Length: {length}\r\n".encode(), b"Transfer-Encoding: chunked\r\n"]
    data = OK + b"".join(lines if is_first else reversed(lines)) + b"\r\n5\r\nhello\r\n2\r\n!!\r\n0\r\n\r\n"
    for cuts in ([], range(len(data)), [len(data) // 2]):
        got = respond(data, [cut for cut in cuts if cut > 0])
        assert (got.body, got.problem) == (b"hello!!", None)
        assert not got.reusable
    nothing = respond(OK + b"".join(lines) + b"\r\n", method="HEAD")
    assert not nothing.reusable
    assert respond(data[:-4]).problem is not None, "the end of the connection is no end of the chunks"


# --- what is refused


BAD_HEADS = {
    "ssh": b"SSH-2.0-OpenSSH\r\n",
    "tls": b"\x15\x03\x01\x00\x02\x02\x46",
    "http/2": b"HTTP/2 200 OK\r\n\r\n",
    "http/1.2": b"HTTP/1.2 200 OK\r\n\r\n",
    "status of letters": b"HTTP/1.1 abc\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status 0": b"HTTP/1.1 099 OK\r\n\r\n",
    "blank line first": b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    "control character in the reason": b"HTTP/1.1 200 O\x00K\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "one bare line feed": OK + b"A: b\nContent-Length: 0\r\n\r\n",
    "bare carriage return": OK + b"A: b\rC: d\r\n\r\n",
    "folded line": OK + b"A: b\r\n c\r\n\r\n",
    "folded first line": OK + b" A: b\r\n\r\n",
    "NUL in a value": OK + b"A: b\x00c\r\n\r\n",
    "blank before the colon": OK + b"Content-Length : 5\r\n\r\nhello",
    "no colon": OK + b"Content-Length\r\n\r\n",
    "no name": OK + b": 5\r\n\r\n",
    "name beyond ASCII": OK + b"\xc3\xa4: 5\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "two lengths in one": OK + b"Content-Length: 5, 6\r\n\r\nhello!",
    "empty length": OK + b"Content-Length:\r\n\r\n",
    "negative length": OK + b"Content-Length: -1\r\n\r\n",
    "signed length": OK + b"Content-Length: +1\r\n\r\na",
    "hexadecimal length": OK + b"Content-Length: 0x1\r\n\r\na",
    "length with a blank": OK + b"Content-Length: 1 1\r\n\r\na",
    "length of other digits": OK + "Content-Length: ٣\r\n\r\nabc".encode(),
    "endless length": OK + b"Content-Length: " + b"9" * 19 + b"\r\n\r\n",
    "length and chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
    "length and another coding": OK + b"Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    "other coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding that is not one": OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "interim responses for ever": b"HTTP/1.1 100 Continue\r\n\r\n" * 40,
    "too long": OK + b"A: " + b"b" * MOST_HEAD_BYTES + b"\r\n\r\n",
    "too long and endless": OK + b"A: " + b"b" * MOST_HEAD_BYTES * 2,
    "too many headers": OK + b"A: b\r\n" * (MOST_HEADERS + 1) + b"\r\n",
    "cut": OK + b"Content-Len",
    "nothing": b"",
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_a_bad_head_is_refused_however_it_is_cut(name: str) -> None:
    data = BAD_HEADS[name]
    step = max(len(data) // 200, 1)
    for cuts in ([], range(0, len(data), step), [len(data) // 2], [len(data) - 1]):
        with pytest.raises(TransportFailure) as caught:
            respond(data, [cut for cut in cuts if cut > 0])
        assert (caught.value.stage, caught.value.kind) == ("head", "RemoteProtocolError")


BAD_BODIES = {
    "short": (OK + b"Content-Length: 9\r\n\r\nhello", b"hello"),
    "no last chunk": (CHUNKED + b"5\r\nhello\r\n", b"hello"),
    "cut last chunk": (CHUNKED + b"5\r\nhello\r\n0\r\n", b"hello"),
    "cut chunk": (CHUNKED + b"a\r\nhello", b"hello"),
    "cut size": (CHUNKED + b"5\r\nhello\r\n5", b"hello"),
    "size of letters": (CHUNKED + b"5\r\nhello\r\nzz\r\nxx\r\n0\r\n\r\n", b"hello"),
    "empty size": (CHUNKED + b"5\r\nhello\r\n\r\n0\r\n\r\n", b"hello"),
    "prefixed size": (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", b""),
    "signed size": (CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n", b""),
    "size with an underscore": (CHUNKED + b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n", b""),
    "blank before the size": (CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n", b""),
    "size too large": (CHUNKED + b"1" + b"0" * 16 + b"\r\nhello", b""),
    "bare line feed": (CHUNKED + b"5\nhello\r\n0\r\n\r\n", b""),
    "bare line feed in an extension": (CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n", b""),
    "endless extension": (CHUNKED + b"5;" + b"a" * 10_000, b""),
    "chunk longer than it says": (CHUNKED + b"3\r\nhello\r\n0\r\n\r\n", b"hel"),
    "chunk shorter than it says": (CHUNKED + b"7\r\nhello\r\n0\r\n\r\n", b"hello\r\n"),
    "line feed for a line end": (CHUNKED + b"5\r\nhello\n0\r\n\r\n", b"hello"),
    "bad trailer": (CHUNKED + b"0\r\nno colon\r\n\r\n", b""),
    "folded trailer": (CHUNKED + b"0\r\na: b\r\n c\r\n\r\n", b""),
    "bare line feed in a trailer": (CHUNKED + b"0\r\na: b\n\r\n\r\n", b""),
    "bare line feed for an end": (CHUNKED + b"0\r\n\n", b""),
    "endless trailers": (CHUNKED + b"0\r\n" + b"a: b\r\n" * 12_000, b""),
    "endless trailer": (CHUNKED + b"0\r\na: " + b"b" * 70_000, b""),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_a_failure_behind_its_good_bytes(name: str) -> None:
    data, good = BAD_BODIES[name]
    step = max(len(data) // 200, 1)
    for cuts in ([], range(0, len(data), step), *([cut] for cut in range(0, len(data), step))):
        got = respond(data, cuts)
        assert got.problem is not None
        assert got.body == good
        assert not got.reusable


def test_a_problem_is_told_at_once_and_not_when_the_connection_ends() -> None:
    for name in (
        "endless extension",
        "endless trailer",
        "endless trailers",
        "size too large",
        "line feed for a line end",
    ):
        found = HeadReader("POST").feed(BAD_BODIES[name][0])
        assert found is not None
        response, rest = found
        response.body.feed(rest)
        assert response.body.problem is not None, name
        assert response.body.problem.stage == "body"


# --- any response at all, beside h11


TOKENS = st.text("abcXYZ09-_.!#", min_size=1, max_size=12)
VALUES = st.text("abc XYZ,;=\"/()'\t~", max_size=30).map(lambda text: text.strip())
FRAMING = ("content-length", "transfer-encoding", "connection", "keep-alive")


@st.composite
def responses(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A valid response, and its body."""
    headers = draw(st.lists(st.tuples(TOKENS, VALUES).filter(lambda pair: pair[0].lower() not in FRAMING), max_size=6))
    parts = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
    body = b"".join(parts)
    framing = draw(st.sampled_from(["counted", "chunked", "closed"]))
    if framing == "counted":
        headers.append(("Content-Length", str(len(body))))
        sent = body
    elif framing == "chunked":
        headers.append(("Transfer-Encoding", draw(st.sampled_from(["chunked", "Chunked"]))))
        extension = draw(st.sampled_from([b"", b";a", b";a=b"]))
        trailers = draw(st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nC: d\r\n"]))
        sent = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts)
        sent += b"0\r\n" + trailers + b"\r\n"
    else:
        sent = body
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n"]))
    head = f"HTTP/1.1 {draw(st.sampled_from([200, 201, 400, 429, 503]))} Reason\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in draw(st.permutations(headers))
    )
    return interim + head.encode() + b"\r\n" + sent, body


def by_h11(data: bytes) -> tuple[int, dict[str, str], bytes]:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    connection.receive_data(b"")
    status, body = 0, b""
    headers: dict[str, str] = {}
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Response):
            status = event.status_code
            for raw_name, raw_value in event.headers:
                name, value = raw_name.decode(), raw_value.decode()
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        elif isinstance(event, h11.Data):
            body += event.data
    return status, headers, body


@given(responses(), st.lists(st.integers(0, 600), max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_response_cut_anywhere_is_what_h11_reads(drawn: tuple[bytes, bytes], cuts: list[int]) -> None:
    data, body = drawn
    got = respond(data, [cut for cut in cuts if cut < len(data)])
    status, headers, read = by_h11(data)
    assert got.problem is None
    assert got.body == body == read
    assert got.head.status == status
    ours = {name: value.lower() if name == "transfer-encoding" else value for name, value in got.head.headers.items()}
    assert ours == headers


@given(responses(), st.integers(0, 600), st.sampled_from([b"\n", b"\r", b"\x00", b" ", b"0", b";", b":", b"\r\n"]))
@settings(max_examples=300, deadline=None)
def test_what_h11_refuses_is_not_believed_either(drawn: tuple[bytes, bytes], place: int, noise: bytes) -> None:
    """Spoil a response anywhere: where ours reads a whole one, h11 reads the same."""
    data, _ = drawn
    spoilt = data[: place % len(data)] + noise + data[place % len(data) :]
    try:
        got = respond(spoilt)
    except TransportFailure:
        return
    if got.problem is None:
        if re.search(rb"\r\n[0-9a-fA-F]+[ \t]+;", spoilt):
            return  # a blank before a chunk's extension, which h11 does not know and RFC 9112, 7.1.1 lets pass
        status, headers, body = by_h11(spoilt)
        assert (got.head.status, got.body) == (status, body)
        assert got.head.headers.keys() == headers.keys()


# --- requests and addresses


def request(**changes: object) -> HttpRequest:
    given = HttpRequest(
        "POST",
        "https://llm.example/v1/chat",
        [("accept", "application/json"), ("X-Other", "a\tb")],
        b'{"a": 1}',
        ("authorization", "Bearer ", Secret("sk-secret")),
    )
    return attrs.evolve(given, **changes)  # type: ignore[arg-type]  # what a test gives fits


def test_a_request_is_written_whole_and_the_key_once() -> None:
    assert request_bytes(request(), address_of("https://llm.example/v1/chat")) == (
        b"POST /v1/chat HTTP/1.1\r\nhost: llm.example\r\naccept: application/json\r\nX-Other: a\tb\r\n"
        b'authorization: Bearer sk-secret\r\ncontent-length: 8\r\n\r\n{"a": 1}'
    )


def test_a_get_has_no_length_and_the_users_own_host_stands() -> None:
    plain = request(method="GET", content=b"", auth=None, headers=[("Host", "other.example")])
    assert request_bytes(plain, address_of("http://a/b?c=d")) == b"GET /b?c=d HTTP/1.1\r\nHost: other.example\r\n\r\n"
    assert b"content-length: 0\r\n" in request_bytes(request(content=b""), address_of("http://a/"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", "b\r\nc: d"),
        ("a", "b\nc: d"),
        ("a", "b\rc"),
        ("a", "b\x00"),
        ("a", "ä"),
        ("a", "b\x85c"),
        ("a: b\r\nc", "d"),
        ("a b", "c"),
        ("", "c"),
        ("a:", "c"),
        ("ä", "c"),
        ("a\n", "c"),
        ("a\nb", "c"),
        ("Transfer-Encoding", "chunked"),
        ("content-length", "3"),
        ("Connection", "upgrade"),
    ],
)
def test_no_header_can_become_two(name: str, value: str) -> None:
    for spoilt in (
        request(headers=[(name, value)]),
        request(auth=(name, "", Secret(value))),
        request(headers=[("fine", "fine"), (name, value)]),
    ):
        with pytest.raises(TransportFailure) as caught:
            request_bytes(spoilt, address_of("http://a/"))
        assert (caught.value.stage, caught.value.kind) == ("connect", "invalid_request")
        assert "sk-secret" not in str(caught.value)


def test_no_method_can_become_a_request() -> None:
    for method in ("", "GET / HTTP/1.1\r\n\r\nGET", "PO ST", "PÖST"):
        with pytest.raises(TransportFailure, match="cannot be sent"):
            request_bytes(request(method=method), address_of("http://a/"))


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "authority"),
    [
        ("http://a.example", "a.example", 80, "/", "a.example"),
        ("https://A.example:443/v1", "a.example", 443, "/v1", "a.example"),
        ("http://a.example:443/v1?b=c", "a.example", 443, "/v1?b=c", "a.example:443"),
        ("http://[::1]:8080/v1", "::1", 8080, "/v1", "[::1]:8080"),
        ("https://bücher.example/straße", "xn--bcher-kva.example", 443, "/stra%C3%9Fe", "xn--bcher-kva.example"),
        ("http://127.0.0.1/models/a:b@c/%20", "127.0.0.1", 80, "/models/a:b@c/%20", "127.0.0.1"),
        ("http://a.example./#part", "a.example.", 80, "/", "a.example."),
    ],
)
def test_addresses(url: str, host: str, port: int, target: str, authority: str) -> None:
    address = address_of(url)
    assert (address.host, address.port, address.target, address.authority) == (host, port, target, authority)
    assert address.origin == (url.partition(":")[0], host, port)
    assert re.fullmatch(r"[!-~]+", address.target + address.authority)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("ftp://a.example", "unsupported_protocol"),
        ("a.example", "unsupported_protocol"),
        ("http://", "invalid_url"),
        ("http://sk-secret@a.example", "invalid_url"),
        ("http://a.example/\r\nx: y", "invalid_url"),
        ("http://a.example/a b", "invalid_url"),
        ("http://a.exam\tple/", "invalid_url"),
        ("http://a.example:99999", "invalid_url"),
        ("http://a.example:0", "invalid_url"),
        ("http://[::1", "invalid_url"),
        ("http://[fe80::1%eth0]/", "invalid_url"),
        ("http://a..example", "invalid_url"),
        ("http://" + "a" * 64 + ".example", "invalid_url"),
        ("http://" + "ß" * 64, "invalid_url"),
    ],
)
def test_addresses_that_lead_nowhere(url: str, kind: str) -> None:
    with pytest.raises(TransportFailure) as caught:
        address_of(url)
    assert (caught.value.stage, caught.value.kind) == ("connect", kind)
    assert "sk-secret" not in str(caught.value)


# --- the pool


class Kept:
    """A connection that stands or does not, and knows nothing of forks."""

    def forked(self, *, is_idle: bool = False) -> None: ...

    def __init__(self) -> None:
        self.stands = True
        self.closed = 0

    def is_usable(self) -> bool:
        return self.stands

    def close(self) -> None:
        self.closed += 1


HERE, THERE = ("http", "here", 80), ("http", "there", 80)


class Idle:
    """A pool on a clock of its own."""

    def __init__(self, most: int = MOST_IDLE) -> None:
        self.time = 0.0
        self.pool: Pool[Kept] = Pool(lambda: self.time, most)

    def give(self, origin: tuple[str, str, int] = HERE, seconds: float = 30) -> Kept:
        kept = Kept()
        self.pool.give(origin, kept, seconds)
        return kept


def test_the_newest_connection_of_an_origin_is_taken_first() -> None:
    idle = Idle()
    first, second, other = idle.give(), idle.give(), idle.give(THERE)
    assert [idle.pool.take(HERE) for _ in range(3)] == [second, first, None]
    assert idle.pool.take(("https", "here", 80)) is None
    assert idle.pool.take(THERE) is other
    assert len(idle.pool) == 0


def test_what_fell_silent_or_is_too_old_is_closed_and_not_taken() -> None:
    idle = Idle()
    old, young, spoken = idle.give(seconds=10), idle.give(), idle.give()
    spoken.stands = False
    idle.time = 10.0
    assert idle.pool.take(HERE) is young
    assert idle.pool.take(HERE) is None
    assert (old.closed, young.closed, spoken.closed) == (1, 0, 1)


def test_old_ones_are_closed_when_another_comes_and_none_is_kept_for_no_time() -> None:
    idle = Idle()
    old, unkept = idle.give(THERE), idle.give(seconds=0)
    assert (old.closed, unkept.closed) == (0, 1)
    idle.time = 30.0
    idle.give()
    assert (old.closed, len(idle.pool)) == (1, 1)


def test_no_more_than_so_many_are_idle_and_the_oldest_goes() -> None:
    idle = Idle(most=3)
    kept = [idle.give(origin) for origin in (THERE, HERE, HERE, THERE, HERE)]
    assert [each.closed for each in kept] == [1, 1, 0, 0, 0]
    assert [idle.pool.take(HERE), idle.pool.take(HERE), idle.pool.take(HERE)] == [kept[4], kept[2], None]


def test_a_closed_pool_closes_what_is_idle_and_what_comes_back() -> None:
    idle = Idle()
    before = idle.give()
    idle.pool.close()
    assert (before.closed, idle.give().closed, len(idle.pool)) == (1, 1, 0)
    assert idle.pool.take(HERE) is None
