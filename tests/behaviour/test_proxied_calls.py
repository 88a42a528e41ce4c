"""Calls in an environment that names a proxy: what it sees, what it never sees, and what it is told."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

import chatport

from .adapter import BACKENDS, Runner, open_runner
from .raw_server import Connection, RawServer, head
from .test_sockets_transport import TlsServer, certificates, trusted

__all__ = ["certificates", "trusted"]  # fixtures

KEY = "sk-a-key-for-the-vendor-only"
PASSWORD = "p4ssw0rd-of-the-proxy"
REPLY = json.dumps({"choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}]}).encode()
GIVEN: dict[str, tuple[Any, Any]] = {
    "httpx": (lambda: httpx.AsyncClient(verify=False), lambda: httpx.Client(verify=False)),
    "httpx2": (lambda: httpx2.AsyncClient(verify=False), lambda: httpx2.Client(verify=False)),
}
WAYS: dict[str, tuple[Any, Any]] = {"ours": (None, None), "ours over httpx": (lambda: "httpx", lambda: "httpx")}


def good(connection: Connection) -> None:
    while connection.request():
        connection.send(head(content_type="application/json", content_length=len(REPLY)) + REPLY)


def tunnel_to(port: int) -> Callable[[Connection], None]:
    """Return what a proxy does: take a CONNECT for whatever host, and lead it to a port of this machine."""

    def script(connection: Connection) -> None:
        if not connection.request():
            return
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as there:
            back = threading.Thread(target=pass_on, args=(there.recv, connection.send))
            back.start()
            pass_on(connection._sock.recv, there.sendall)
            with contextlib.suppress(OSError):
                there.shutdown(socket.SHUT_RDWR)
            back.join()

    return script


def pass_on(receive: Callable[[int], bytes], send: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError):
        while data := receive(65536):
            send(data)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return an environment without proxies, to name some in."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@contextlib.contextmanager
def opened(backend: str, base_url: str, ways: tuple[Any, Any]) -> Iterator[Runner]:
    config = {
        "providers": {"x": {"kind": "compatible", "base_url": base_url, "api_key": KEY}},
        "model": "x:m",
        "retry": {"attempts": 1},
    }
    with open_runner(backend, config, asynchronous=ways[0], synchronous=ways[1]) as runner:
        yield runner


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "box.localhost"])
@pytest.mark.parametrize("good_proxy", [True, False])
def test_no_proxy_sees_a_call_to_this_machine(
    backend: str, way: str, environment: pytest.MonkeyPatch, host: str, good_proxy: bool
) -> None:
    with RawServer(good) as proxy, RawServer(good) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            environment.setenv(name, f"http://127.0.0.1:{proxy.port}" if good_proxy else ":bad")
        with opened(backend, server.base_url.replace("127.0.0.1", host), WAYS[way]) as runner:
            assert runner.chat("hello").text == "hello"
        assert (proxy.connections, server.connections) == (0, 1)


@pytest.mark.parametrize("of", GIVEN)
def test_a_client_that_was_passed_in_shows_no_key_to_its_proxy(
    backend: str, of: str, environment: pytest.MonkeyPatch
) -> None:
    """httpx asks a proxy for this machine too. Its client is the user's, so that is refused, and not undone."""
    with RawServer(good) as proxy, RawServer(good) as server:
        environment.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        with (
            opened(backend, server.base_url, GIVEN[of]) as runner,
            pytest.raises(chatport.ConfigurationError, match="in the clear to a proxy"),
        ):
            runner.chat("hello")
        environment.setenv("NO_PROXY", "127.0.0.1")
        with opened(backend, server.base_url, GIVEN[of]) as runner:
            assert runner.chat("hello").text == "hello"
        assert (proxy.connections, server.connections) == (0, 1)


@pytest.mark.parametrize("value", [":bad", "http://one:99999", "socks4://one", "gopher://one", "http://"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_a_bad_proxy_is_our_own_error(
    backend: str, way: str, environment: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    environment.setenv(variable, value)
    with (
        opened(backend, "https://llm.acme.example/v1", WAYS[way]) as runner,
        pytest.raises(chatport.ConfigurationError, match=rf"\${variable} names cannot be used"),
    ):
        runner.chat("hello")


@pytest.mark.parametrize("over", ["http", "https"])
def test_a_proxy_gets_its_own_password_and_nothing_of_the_call(
    backend: str, environment: pytest.MonkeyPatch, trusted: Path, over: str
) -> None:
    """`elsewhere.example` is a name of nobody: only the proxy leads there. What it leads is TLS from end to end."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(TlsServer(trusted / "elsewhere.pem", good))
        tunnel = tunnel_to(server.port)
        proxy = stack.enter_context(
            RawServer(tunnel) if over == "http" else TlsServer(trusted / "here.pem", tunnel_tls(server.port))
        )
        environment.setenv("HTTPS_PROXY", f"{over}://user:{PASSWORD}@127.0.0.1:{proxy.port}")
        with opened(backend, "https://elsewhere.example/v1", WAYS["ours"]) as runner:
            assert [runner.chat("a secret prompt").text for _ in range(2)] == ["hello"] * 2
        assert len(proxy.requests) == 1
        asked = proxy.requests[0]
        assert asked.startswith(b"CONNECT elsewhere.example:443 HTTP/1.1\r\n")
        assert base64.b64encode(f"user:{PASSWORD}".encode()) in asked
        assert KEY.encode() not in asked
        assert not {b"authorization", b"content-length"} & {
            line.partition(b":")[0].lower() for line in asked.split(b"\r\n")
        }
        assert server.requests
        assert all(PASSWORD.encode() not in each and KEY.encode() in each for each in server.requests)
        assert not any(b"proxy-authorization" in each.lower() for each in server.requests)


def tunnel_tls(port: int) -> Callable[[Connection], None]:
    """Return a tunnel whose own side is TLS: its socket must not be read and written by two threads at once."""

    def script(connection: Connection) -> None:
        if not connection.request():
            return
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        sock = connection._sock
        sock.settimeout(0.005)
        with socket.create_connection(("127.0.0.1", port)) as there:
            there.settimeout(0.005)
            while True:
                for one, other in ((sock, there), (there, sock)):
                    try:
                        data = one.recv(65536)
                    except TimeoutError:
                        continue
                    if not data:
                        return
                    other.sendall(data)

    return script


def test_a_proxy_that_echoes_its_password_is_undone(
    backend: str, way: str, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    basic = base64.b64encode(f"user:{PASSWORD}".encode()).decode()

    def refuse(connection: Connection) -> None:
        while connection.request():
            connection.send(f"HTTP/1.1 407 {PASSWORD} {basic}\r\ncontent-length: 0\r\n\r\n".encode())

    with RawServer(refuse) as proxy:
        environment.setenv("HTTPS_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}")
        with (
            opened(backend, "https://llm.acme.example/v1", WAYS[way]) as runner,
            pytest.raises(chatport.TransportError) as caught,
        ):
            runner.chat("hello")
    assert f"Through the proxy http://127.0.0.1:{proxy.port} (named by $HTTPS_PROXY): 407 ***" in str(caught.value)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "_transport_error" in shown or "in run" in shown
    for text in (str(caught.value), repr(caught.value), _of_the_library(shown), caplog.text):
        assert PASSWORD not in text
        assert basic not in text


def _of_the_library(shown: str) -> str:
    """Return the frames of a traceback that are not this test's."""
    frames = shown.split('  File "')
    return "".join(frame for frame in frames if not frame.startswith(__file__))


def test_a_proxy_that_is_not_there_is_named(backend: str, way: str, environment: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        environment.setenv("HTTPS_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{taken.getsockname()[1]}")
        with (
            opened(backend, "https://llm.acme.example/v1", WAYS[way]) as runner,
            pytest.raises(
                chatport.TransportError, match=r"Through the proxy http://127\.0\.0\.1:\d+ \(named by"
            ) as caught,
        ):
            runner.chat("hello")
    assert PASSWORD not in str(caught.value)


def socks_to(port: int) -> Callable[[Connection], None]:
    """Return what a SOCKS 5 server with a password does (RFC 1928, 1929), leading to a port of this machine."""

    def script(connection: Connection) -> None:
        sock = connection._sock
        methods = sock.recv(2)[1]
        assert 2 in sock.recv(methods)
        sock.sendall(b"\x05\x02")
        user = sock.recv(sock.recv(2)[1])
        password = sock.recv(sock.recv(1)[0])
        connection._server.requests.append(user + b":" + password)
        sock.sendall(b"\x01\x00")
        assert sock.recv(4)[3] == 3, "the name is for the proxy to look up"
        connection._server.requests.append(sock.recv(sock.recv(1)[0]))
        sock.recv(2)
        sock.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        with socket.create_connection(("127.0.0.1", port)) as there:
            back = threading.Thread(target=pass_on, args=(there.recv, connection.send))
            back.start()
            pass_on(sock.recv, there.sendall)
            with contextlib.suppress(OSError):
                there.shutdown(socket.SHUT_RDWR)
            back.join()

    return script


@pytest.mark.parametrize("scheme", ["socks", "socks5", "socks5h"])
def test_a_socks_proxy_leads_to_the_vendor_and_its_password_is_in_no_log(
    backend: str, environment: pytest.MonkeyPatch, trusted: Path, scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("socksio")
    caplog.set_level(logging.DEBUG)
    with TlsServer(trusted / "elsewhere.pem", good) as server, RawServer(socks_to(server.port)) as proxy:
        environment.setenv("ALL_PROXY", f"{scheme}://user:{PASSWORD}@127.0.0.1:{proxy.port}")
        with opened(backend, "https://elsewhere.example/v1", WAYS["ours"]) as runner:
            assert runner.chat("hello").text == "hello"
        assert proxy.requests == [f"user:{PASSWORD}".encode(), b"elsewhere.example"]
    assert "auth=***" in caplog.text
    assert PASSWORD not in caplog.text
