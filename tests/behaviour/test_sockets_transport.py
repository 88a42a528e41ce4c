"""The transports over sockets of our own, beneath the client: connections, timers, cancellation, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import certifi
import pytest

from chatport.basics.bounded import Bounded
from chatport.basics.secret import Secret
from chatport.engine.commands import Head, HttpRequest, TimerExpired, TransportFailure
from chatport.transport import tls
from chatport.transport.httpx_async import HttpxAsyncTransport
from chatport.transport.httpx_sync import HttpxTransport
from chatport.transport.names import NEXT_ADDRESS_SECONDS
from chatport.transport.sockets import open_async_transport, open_transport
from chatport.transport.sockets_async import SocketsAsyncTransport
from chatport.transport.sockets_sync import SocketsExchange, SocketsTransport

from .raw_server import Connection, RawServer, chunked, head
from .test_raw_server import deaf_port, no_descriptors

BACKENDS = ("asyncio", "trio", "sync")
PLAIN = head(content_length=5) + b"hello"
STREAM = head(transfer_encoding="chunked")

Talk = Callable[[Any], Awaitable[None]]


class SyncExchange:
    """A synchronous exchange with an asynchronous face, so that one test serves all. It blocks the loop."""

    def __init__(self, exchange: SocketsExchange) -> None:
        self.head = exchange.head
        self._exchange = exchange

    async def read(self, seconds: float | None) -> bytes:
        return self._exchange.read(seconds)

    async def aclose(self) -> None:
        self._exchange.close()


class SyncTransport:
    """The synchronous transport with an asynchronous face."""

    def __init__(self) -> None:
        self._transport = SocketsTransport()

    async def send(self, *args: Any) -> SyncExchange:
        return SyncExchange(self._transport.send(*args))

    async def aclose(self) -> None:
        self._transport.close()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(backend: str) -> Callable[[Talk], None]:
    """Run a talk with an open transport on a backend, and close the transport."""

    async def opened(talk: Talk) -> None:
        transport = SyncTransport() if backend == "sync" else SocketsAsyncTransport()
        try:
            await talk(transport)
        finally:
            await transport.aclose()

    return lambda talk: anyio.run(opened, talk, backend="asyncio" if backend == "sync" else backend)


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    with contextlib.ExitStack() as stack:
        yield lambda *scripts: stack.enter_context(RawServer(*scripts))


Run = Callable[[Talk], None]
Serve = Callable[..., RawServer]


def request(url: str, content: bytes = b"{}") -> HttpRequest:
    return HttpRequest("POST", url, [("accept", "*/*")], content, ("authorization", "Bearer ", Secret("sk-key")))


async def whole(transport: Any, url: str, content: bytes = b"{}", seconds: float | None = 10) -> tuple[Head, bytes]:
    exchange = await transport.send(request(url, content), seconds, seconds)
    try:
        body = b""
        while data := await exchange.read(seconds):
            body += data
        return exchange.head, body
    finally:
        await exchange.aclose()


def answering(*answers: bytes) -> Callable[[Connection], None]:
    """Return a script that answers the requests of its connection in turn, and then waits for its end."""

    def script(connection: Connection) -> None:
        for answer in answers:
            if not connection.request():
                return
            connection.send(answer)
        connection.until_left()

    return script


# --- connections


def test_one_connection_serves_one_request_after_the_other(run: Run, serve: Serve) -> None:
    streamed = STREAM + chunked(b"he", b"llo")
    server = serve(answering(PLAIN, streamed, head(500, content_length=5) + b"wrong", head(204), PLAIN))

    async def talk(transport: Any) -> None:
        answers = [await whole(transport, server.base_url) for _ in range(5)]
        assert [body for _, body in answers] == [b"hello", b"hello", b"wrong", b"", b"hello"]
        assert [answer.status for answer, _ in answers] == [200, 200, 500, 204, 200]

    run(talk)
    assert server.connections == 1
    assert all(each.count(b"sk-key") == 1 for each in server.requests)


@pytest.mark.parametrize(
    "answer",
    [
        head(content_length=5, connection="close") + b"hello",
        head(content_length=5, keep_alive="timeout=1") + b"hello",
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        PLAIN + b"stray",
        STREAM + chunked(b"hello") + b"HTTP/1.1 200 OK\r\n",
    ],
    ids=["close", "kept for no time", "HTTP/1.0", "stray bytes", "a response nobody asked for"],
)
def test_a_connection_in_doubt_is_closed_at_once(run: Run, serve: Serve, answer: bytes) -> None:
    left = threading.Semaphore(0)

    def script(connection: Connection) -> None:
        answering(answer)(connection)
        left.release()

    server = serve(script)

    async def talk(transport: Any) -> None:
        for _ in range(2):
            assert (await whole(transport, server.base_url))[1] == b"hello"
            await anyio.lowlevel.checkpoint()  # the loop closes it when it comes round
            assert left.acquire(timeout=5)

    run(talk)
    assert server.connections == 2


def test_stray_bytes_that_come_later_are_no_answer_to_the_next_request(run: Run, serve: Serve) -> None:
    sent = threading.Event()

    def smuggling(connection: Connection) -> None:
        connection.request()
        connection.send(PLAIN)
        time.sleep(0.05)
        connection.send(head(content_length=6) + b"poison")
        sent.set()
        connection.until_left()

    server = serve(smuggling, answering(PLAIN))

    async def talk(transport: Any) -> None:
        assert (await whole(transport, server.base_url))[1] == b"hello"
        assert sent.wait(5)
        assert (await whole(transport, server.base_url))[1] == b"hello"

    run(talk)
    assert server.connections == 2


@pytest.mark.parametrize("end", [lambda connection: None, Connection.reset], ids=["close", "reset"])
def test_a_request_that_meets_a_closing_connection_is_not_sent_twice(run: Run, serve: Serve, end: Any) -> None:
    """It may have been read, and cost money: the engine decides, and counts, what is tried again."""

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(PLAIN)
        connection.request()
        end(connection)

    server = serve(script, answering(PLAIN))

    async def talk(transport: Any) -> None:
        await whole(transport, server.base_url)
        with pytest.raises(TransportFailure) as caught:
            await whole(transport, server.base_url)
        assert (caught.value.stage, caught.value.kind) == ("head", "stale_connection")
        assert caught.value.__context__ is None
        await whole(transport, server.base_url)

    run(talk)
    assert (server.connections, len(server.requests)) == (2, 3)


def test_an_end_on_a_fresh_connection_is_no_stale_connection(run: Run, serve: Serve) -> None:
    server = serve(lambda connection: connection.request() and None)

    async def talk(transport: Any) -> None:
        with pytest.raises(TransportFailure, match="without sending a response") as caught:
            await whole(transport, server.base_url)
        assert (caught.value.stage, caught.value.kind) == ("head", "RemoteProtocolError")

    run(talk)


def test_closing_the_transport_closes_every_connection(run: Run, serve: Serve) -> None:
    server = serve(answering(PLAIN))

    async def talk(transport: Any) -> None:
        exchanges = [await transport.send(request(server.base_url), 10, 10) for _ in range(3)]
        await exchanges[0].read(10)
        await exchanges[0].read(10)
        await exchanges[0].aclose()
        await transport.aclose()
        for exchange in exchanges:
            await exchange.aclose()
            await exchange.aclose()
        with anyio.fail_after(5):
            while server.open_connections:  # noqa: ASYNC110  # the server has no event for it
                await anyio.sleep(0.01)

    run(talk)


def test_an_exchange_closed_before_its_end_has_no_end(run: Run, serve: Serve) -> None:
    server = serve(answering(head(content_length=10) + b"hello"))

    async def talk(transport: Any) -> None:
        exchange = await transport.send(request(server.base_url), 10, 10)
        assert await exchange.read(10) == b"hello"
        await exchange.aclose()
        with pytest.raises(TransportFailure, match="closed") as caught:
            await exchange.read(10)
        assert caught.value.stage == "body"

    run(talk)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_transport_that_was_closed_keeps_no_connection_on_another_loop(backend: str, serve: Serve) -> None:
    """A call that began before goes on."""
    server = serve(answering(PLAIN, PLAIN))
    transport = SocketsAsyncTransport()

    async def twice() -> None:
        for _ in range(2):
            assert (await whole(transport, server.base_url))[1] == b"hello"

    anyio.run(twice, backend=backend)
    assert server.connections == 1
    anyio.run(transport.aclose, backend=backend)
    anyio.run(twice, backend=backend)
    assert server.connections == 3


def test_a_transport_serves_one_event_loop_after_the_other(serve: Serve) -> None:
    server = serve(answering(PLAIN, PLAIN))
    transport = SocketsAsyncTransport()

    async def talk() -> None:
        assert (await whole(transport, server.base_url))[1] == b"hello"
        await transport.aclose()

    for backend in ("asyncio", "trio", "asyncio"):
        anyio.run(talk, backend=backend)
    assert server.connections == 3


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_two_hundred_requests_at_once(backend: str, run: Run, serve: Serve) -> None:
    server = serve(answering(*[PLAIN] * 400))

    async def one(transport: Any) -> None:
        assert (await whole(transport, server.base_url))[1] == b"hello"

    async def talk(transport: Any) -> None:
        for _ in range(2):
            async with anyio.create_task_group() as group:
                for _ in range(200):
                    group.start_soon(one, transport)

    run(talk)
    assert len(server.requests) == 400
    assert server.connections <= 300, "a hundred are kept"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_many_read_at_once_is_not_mixed_up(backend: str, run: Run, serve: Serve) -> None:
    """They are read into one buffer."""
    letters = "abcdefghij"

    def script(connection: Connection) -> None:
        letter = connection.request()[-1:]
        connection.send(STREAM + chunked(*[letter * 1000] * 300))
        connection.until_left()

    server = serve(script)

    async def one(transport: Any, letter: str) -> None:
        assert (await whole(transport, server.base_url, letter.encode()))[1].decode() == letter * 300_000

    async def talk(transport: Any) -> None:
        async with anyio.create_task_group() as group:
            for letter in letters:
                group.start_soon(one, transport, letter)

    run(talk)


# --- writing


@pytest.mark.parametrize("stays", [False, True])
def test_an_answer_may_come_before_the_request_is_written(run: Run, serve: Serve, stays: bool) -> None:
    """A server that refuses a large request answers at once; some close then, and some let the rest come."""

    def script(connection: Connection) -> None:
        connection._sock.recv(1000)
        connection.send(head(413, content_length=5) + b"large")
        time.sleep(0.1)  # so that the answer is there before the reset
        while stays and connection._sock.recv(1_000_000):
            pass

    server = serve(script)

    async def talk(transport: Any) -> None:
        answer, body = await whole(transport, server.base_url, b"x" * 20_000_000)
        assert (answer.status, body) == (413, b"large")

    run(talk)


def test_a_large_request_and_a_large_answer_come_through(run: Run, serve: Serve) -> None:
    content = bytes(range(256)) * 20_000
    received: list[bytes] = []

    def script(connection: Connection) -> None:
        received.append(connection.request())
        connection.send(STREAM + chunked(*(content[at : at + 9_999] for at in range(0, len(content), 9_999))))
        connection.until_left()

    server = serve(script)

    async def talk(transport: Any) -> None:
        assert (await whole(transport, server.base_url, content))[1] == content

    run(talk)
    assert received[0].partition(b"\r\n\r\n")[2] == content


def test_a_server_cannot_fill_the_memory_of_a_slow_reader(run: Run, serve: Serve) -> None:
    sent_bytes = 0
    blocked = threading.Event()

    def script(connection: Connection) -> None:
        nonlocal sent_bytes
        connection.request()
        connection.send(STREAM)
        connection._sock.settimeout(0.5)
        try:
            while sent_bytes < 100_000_000:
                connection.send(chunked(b"x" * 100_000, last=False))
                sent_bytes += 100_000
        except TimeoutError:
            blocked.set()

    server = serve(script)

    async def talk(transport: Any) -> None:
        exchange = await transport.send(request(server.base_url), 10, 10)
        assert await exchange.read(10)
        with anyio.fail_after(20):
            while not blocked.is_set():  # noqa: ASYNC110  # it is set by a thread
                await anyio.sleep(0.01)
        assert await exchange.read(10)
        await exchange.aclose()

    run(talk)
    assert sent_bytes < 20_000_000, "what the kernel's buffers hold, and little more"


# --- time


def test_bytes_without_content_do_not_move_a_timer(run: Run, serve: Serve) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.send(STREAM + chunked(b"hello", last=False) + b"5;")
        for _ in range(500):
            connection.send(b"x")
            time.sleep(0.01)

    server = serve(script)

    async def talk(transport: Any) -> None:
        exchange = await transport.send(request(server.base_url), 10, 10)
        assert await exchange.read(10) == b"hello"
        began = time.monotonic()
        with pytest.raises(TimerExpired) as caught:
            await exchange.read(0.2)
        assert caught.value.stage == "io"
        assert 0.19 < time.monotonic() - began < 2
        await exchange.aclose()

    run(talk)


def test_a_timer_may_be_shorter_or_longer_than_the_one_before(run: Run, serve: Serve) -> None:
    go_on = threading.Event()

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(STREAM + chunked(b"hello", last=False))
        go_on.wait(5)
        time.sleep(0.3)
        connection.send(chunked(b"world", last=False))
        connection.until_left()

    server = serve(script)

    async def talk(transport: Any) -> None:
        exchange = await transport.send(request(server.base_url), 10, 0.2 if go_on.is_set() else 10)
        assert await exchange.read(0.1) == b"hello"
        go_on.set()
        assert await exchange.read(30) == b"world"
        began = time.monotonic()
        with pytest.raises(TimerExpired):
            await exchange.read(0.1)
        assert time.monotonic() - began < 2
        await exchange.aclose()

    run(talk)


def test_no_timer_at_all_waits(run: Run, serve: Serve) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        time.sleep(0.1)
        connection.send(STREAM)
        time.sleep(0.1)
        connection.send(chunked(b"hello"))
        connection.until_left()

    server = serve(script)

    async def talk(transport: Any) -> None:
        assert (await whole(transport, server.base_url, seconds=None))[1] == b"hello"

    run(talk)


# --- places


def test_an_address_of_ipv6(run: Run) -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    heard: list[bytes] = []

    def accept() -> None:
        with listener, listener.accept()[0] as sock:
            heard.append(sock.recv(65536))
            sock.sendall(PLAIN)
            sock.recv(1)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    port = listener.getsockname()[1]

    async def talk(transport: Any) -> None:
        assert (await whole(transport, f"http://[::1]:{port}/v1"))[1] == b"hello"

    run(talk)
    thread.join(5)
    assert b"\r\nhost: [::1]:%d\r\n" % port in heard[0]


def test_a_name_with_several_addresses_is_tried_until_one_answers(run: Run, serve: Serve) -> None:
    """`localhost` is ::1 as well, where nobody listens."""
    server = serve(answering(PLAIN))

    async def talk(transport: Any) -> None:
        assert (await whole(transport, f"http://localhost:{server.port}/v1"))[1] == b"hello"

    run(talk)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse when the queue is full")
def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    run: Run, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(answering(PLAIN))
    with deaf_port() as deaf:
        places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (deaf, server.port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: places)

        async def talk(transport: Any) -> None:
            exchange = await transport.send(request("http://two.example/v1"), 1.0, 10)
            assert await exchange.read(10) == b"hello"
            await exchange.aclose()

        run(talk)


Places = Callable[..., None]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Places:
    """Let a look-up find these addresses."""

    def find(*addresses: tuple[str, int]) -> None:
        places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: places)

    return find


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_an_address_that_refuses_leaves_it_to_the_next_at_once(run: Run, serve: Serve, found: Places) -> None:
    server = serve(answering(PLAIN))
    found(("127.0.0.1", closed_port()), ("127.0.0.1", server.port))

    async def talk(transport: Any) -> None:
        began = time.monotonic()
        assert (await whole(transport, "http://two.example/v1"))[1] == b"hello"
        assert time.monotonic() - began < NEXT_ADDRESS_SECONDS

    run(talk)
    assert server.connections == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other words")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_where_no_address_answers_the_first_ones_error_is_told(backend: str, run: Run, found: Places) -> None:
    refuses, unreachable = ("127.0.0.1", closed_port()), ("255.255.255.255", 80)

    async def talk(transport: Any) -> None:
        for first, other, words in (
            (refuses, unreachable, r"\[Errno 111\]"),
            (unreachable, refuses, r"\[Errno 101\] Network is unreachable"),
        ):
            found(first, other)
            with pytest.raises(TransportFailure, match=f"^No connection to two.example:80: {words}") as caught:
                await whole(transport, "http://two.example/v1")
            assert (caught.value.stage, caught.value.kind) == ("connect", "connect")

    run(talk)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse when the queue is full")
def test_where_every_address_is_silent_the_timer_ends_it_and_leaves_no_socket(run: Run, found: Places) -> None:
    with deaf_port() as one, deaf_port() as two:
        found(("127.0.0.1", one), ("127.0.0.1", two))

        async def talk(transport: Any) -> None:
            with pytest.raises(TimerExpired) as caught:
                await transport.send(request("http://two.example/v1"), NEXT_ADDRESS_SECONDS + 0.1, 10)
            assert caught.value.stage == "connect"

        run(talk)
        gc.collect()  # a socket that was left open would be told, and is an error


def test_a_name_without_an_address_is_told(run: Run, found: Places) -> None:
    found()

    async def talk(transport: Any) -> None:
        with pytest.raises(TransportFailure) as caught:
            await whole(transport, "http://empty.example/v1")
        assert str(caught.value) == "No connection to empty.example:80: the name has no address"
        assert (caught.value.stage, caught.value.kind) == ("connect", "connect")

    run(talk)


def test_a_look_up_that_fails_for_want_of_descriptors_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells only that it has failed; so it is tried whether there are any."""

    def fails(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fails)

    async def talk(transport: Any) -> None:
        for problem, kind in ((0, "connect"), (errno.ENOENT, "connect"), (errno.EMFILE, "no_descriptors")):
            opener = partial(fails_with, problem) if problem else os.open
            with monkeypatch.context() as patch, pytest.raises(TransportFailure) as caught:  # noqa: PT012
                patch.setattr(os, "open", opener)
                await whole(transport, "http://some.example/v1")
            assert (caught.value.stage, caught.value.kind) == ("connect", kind)

    run(talk)


def fails_with(number: int, *arguments: Any) -> None:
    raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_left_to_httpx(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for other in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(other, raising=False)
        monkeypatch.delenv(other.upper(), raising=False)
    assert isinstance(open_async_transport(), SocketsAsyncTransport)
    assert isinstance(open_transport(), SocketsTransport)
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert isinstance(open_async_transport(), HttpxAsyncTransport)
    assert isinstance(open_transport(), HttpxTransport)


# --- TLS


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority of our own, and what it has signed: for this machine, and for another name."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("certificates are made with the openssl command")
    folder = tmp_path_factory.mktemp("certificates")

    def made(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], check=True, capture_output=True, cwd=folder)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    authority = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign")
    made("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "2", *authority)
    for name, hosts in (("here", "IP:127.0.0.1,DNS:localhost"), ("elsewhere", "DNS:elsewhere.example")):
        made("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / f"{name}.ext").write_text(f"subjectAltName={hosts}\nauthorityKeyIdentifier=keyid\n")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
        made("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    return folder


class TlsServer(RawServer):
    """A server of exact bytes, over TLS."""

    def __init__(self, certificate: Path, *scripts: Callable[[Connection], None]) -> None:
        super().__init__(*scripts)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, certificate.with_suffix(".key"))

    @property
    def base_url(self) -> str:
        return f"https://127.0.0.1:{self.port}/v1"

    def _serve(self, sock: socket.socket, script: Callable[[Connection], None]) -> None:
        with contextlib.suppress(OSError):
            sock = self._context.wrap_socket(sock, server_side=True)
            with self._lock:
                self._open.add(sock)
        super()._serve(sock, script)


@pytest.fixture
def trusted(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    return certificates


def test_tls_carries_streams_and_large_answers_and_is_kept(run: Run, trusted: Path) -> None:
    content = bytes(range(256)) * 8_000
    large = STREAM + chunked(*(content[at : at + 30_000] for at in range(0, len(content), 30_000)))
    with TlsServer(trusted / "here.pem", answering(PLAIN, large, large, PLAIN)) as server:

        async def talk(transport: Any) -> None:
            assert (await whole(transport, server.base_url))[1] == b"hello"
            for _ in range(2):
                assert (await whole(transport, server.base_url, content))[1] == content
            assert (await whole(transport, server.base_url.replace("127.0.0.1", "localhost")))[1] == b"hello"

        run(talk)
        assert server.connections == 2, "localhost is another origin"


def test_a_certificate_folder_counts_too(run: Run, trusted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = trusted / "folder"
    folder.mkdir(exist_ok=True)
    named = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", trusted / "ca.pem"], check=True, capture_output=True, text=True
    ).stdout.strip()
    shutil.copy(trusted / "ca.pem", folder / f"{named}.0")
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    with TlsServer(trusted / "here.pem", answering(PLAIN)) as server:

        async def talk(transport: Any) -> None:
            assert (await whole(transport, server.base_url))[1] == b"hello"

        run(talk)


@pytest.mark.parametrize(("certificate", "trusts"), [("here", False), ("elsewhere", True)])
def test_a_certificate_that_proves_nothing_ends_the_call_before_the_key_is_sent(
    run: Run, certificates: Path, monkeypatch: pytest.MonkeyPatch, certificate: str, trusts: bool
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    if trusts:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    with TlsServer(certificates / f"{certificate}.pem", answering(PLAIN)) as server:

        async def talk(transport: Any) -> None:
            with pytest.raises(TransportFailure, match="certificate verify failed") as caught:
                await whole(transport, server.base_url)
            assert (caught.value.stage, caught.value.kind) == ("connect", "tls")
            assert caught.value.__context__ is None

        run(talk)
        assert server.requests == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_certificates_are_read_once_and_not_in_the_loops_thread(
    backend: str, run: Run, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_in: list[threading.Thread] = []
    make = tls._make

    def slow(*places: str | None) -> ssl.SSLContext:
        read_in.append(threading.current_thread())
        time.sleep(0.1)
        return make(*places)

    monkeypatch.setattr(tls, "_make", slow)
    monkeypatch.setattr(tls, "_made", Bounded(8))
    with TlsServer(trusted / "here.pem", answering(PLAIN)) as server:

        async def talk(transport: Any) -> None:
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(whole, transport, server.base_url)
            assert read_in.count(threading.current_thread()) == 0

        run(talk)
    assert len(read_in) == 1


def test_without_a_word_those_of_certifi_count(run: Run, certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(tls, "_made", Bounded(8))
    context = tls.client_context()
    known = ssl.create_default_context(cafile=certifi.where())
    assert context.cert_store_stats() == known.cert_store_stats()
    assert context.cert_store_stats()["x509_ca"] > 50
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert tls.context_if_made() is context
    with TlsServer(certificates / "here.pem", answering(PLAIN)) as server:

        async def talk(transport: Any) -> None:
            with pytest.raises(TransportFailure, match="certificate verify failed"):
                await whole(transport, server.base_url)

        run(talk)


def test_certificates_that_there_is_no_descriptor_for_are_not_at_fault(
    trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_made", Bounded(8))
    with no_descriptors(), pytest.raises(TransportFailure) as caught:
        tls.client_context()
    assert (caught.value.stage, caught.value.kind) == ("connect", "no_descriptors")
    assert tls.context_if_made() is None
    assert tls.client_context().cert_store_stats()["x509_ca"] == 1


def test_certificates_that_are_not_there_are_named(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))

    async def talk(transport: Any) -> None:
        with pytest.raises(TransportFailure, match=r"none\.pem") as caught:
            await whole(transport, "https://127.0.0.1:9/v1")
        assert caught.value.kind == "tls"

    run(talk)


@pytest.mark.parametrize("secure", [False, True])
def test_an_end_in_the_middle_is_told_on_tls_too(run: Run, trusted: Path, serve: Serve, secure: bool) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.send(STREAM + chunked(b"hello", last=False))

    server = serve(script) if not secure else TlsServer(trusted / "here.pem", script)
    with contextlib.nullcontext() if not secure else server:

        async def talk(transport: Any) -> None:
            exchange = await transport.send(request(server.base_url), 10, 10)
            assert await exchange.read(10) == b"hello"
            with pytest.raises(TransportFailure) as caught:
                await exchange.read(10)
            assert caught.value.stage == "body"
            await exchange.aclose()

        run(talk)


def test_a_handshake_that_hangs_ends_by_the_timer_that_is_due_and_leaves_no_socket(run: Run, serve: Serve) -> None:
    left = threading.Semaphore(0)

    def silent(connection: Connection) -> None:
        connection.until_left()
        left.release()

    url = serve(silent).base_url.replace("http:", "https:")

    async def talk(transport: Any) -> None:
        for connect, first, stage in ((0.2, 10, "connect"), (10, 0.2, "io"), (0.2, None, "connect")):
            with pytest.raises(TimerExpired) as caught:
                await transport.send(request(url), connect, first)
            assert caught.value.stage == stage
            await anyio.lowlevel.checkpoint()
            assert left.acquire(timeout=5)

    run(talk)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("secure", [False, True])
def test_a_call_cancelled_at_any_moment_leaves_no_socket(backend: str, run: Run, trusted: Path, secure: bool) -> None:
    """Cancelled at the n-th checkpoint, for every n up to the end of an exchange."""

    def script(connection: Connection) -> None:
        while connection.request():
            connection.send(STREAM + chunked(b"hello", last=False))
            connection.send(chunked(b"world"))

    with TlsServer(trusted / "here.pem", script) if secure else RawServer(script) as server:

        async def cancelling(scope: anyio.CancelScope, checkpoints: int) -> None:
            for _ in range(checkpoints):
                await anyio.lowlevel.checkpoint()
            scope.cancel()

        async def talk(transport: Any) -> None:
            cancelled = 0
            for checkpoints in range(40):
                with anyio.CancelScope() as scope:
                    async with anyio.create_task_group() as group:
                        group.start_soon(cancelling, scope, checkpoints)
                        assert (await whole(transport, server.base_url))[1] == b"helloworld"
                cancelled += scope.cancelled_caught
            assert cancelled
            await transport.aclose()
            with anyio.fail_after(5):
                while server.open_connections:  # noqa: ASYNC110  # the server has no event for it
                    await anyio.sleep(0.01)

        run(talk)


def test_a_connection_lost_while_asyncio_is_not_looking_is_not_used(serve: Serve) -> None:
    """The loop is blocked while the server closes an idle connection: the socket itself is asked before its use."""
    closed = threading.Event()

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(PLAIN)
        connection._sock.shutdown(socket.SHUT_WR)
        closed.set()
        connection.until_left()

    server = serve(script, answering(PLAIN))

    async def talk() -> None:
        transport = SocketsAsyncTransport()
        exchange = await transport.send(request(server.base_url), 10, 10)
        while await exchange.read(10):
            pass
        assert closed.wait(5)
        time.sleep(0.05)  # noqa: ASYNC251  # to block the loop is the point
        await exchange.aclose()
        assert (await whole(transport, server.base_url))[1] == b"hello"
        await transport.aclose()

    asyncio.run(talk())
    assert server.connections == 2
