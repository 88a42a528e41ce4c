"""The search among servers that mean no good: that drip, never end, or answer what cannot be read."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from click.testing import CliRunner

import chatport
from chatport import ConfigurationError
from chatport.cli import group
from chatport_local import detect
from chatport_local.detect import base_url_of, discover_for, find_all, identify

JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@contextmanager
def server(play: Callable[[socket.socket], None]) -> Iterator[int]:
    """Play the same for each connection, after its request; what the other side does to it does not matter."""
    over = threading.Event()

    def serve(sock: socket.socket) -> None:
        with suppress(OSError), sock:
            if sock.recv(65536):
                play(sock)

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while not over.is_set():
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def dripping(start: bytes, drop: bytes = b"x") -> Callable[[socket.socket], None]:
    def play(sock: socket.socket) -> None:
        sock.sendall(start)
        while True:
            sock.sendall(drop)
            time.sleep(0.01)

    return play


def flooding(start: bytes, flood: bytes = b" ") -> Callable[[socket.socket], None]:
    def play(sock: socket.socket) -> None:
        sock.sendall(start)
        while True:
            sock.sendall(flood * (65536 // len(flood)))

    return play


def saying(body: bytes) -> Callable[[socket.socket], None]:
    def play(sock: socket.socket) -> None:
        sock.sendall(JSON + b"content-length: %d\r\n\r\n" % len(body) + body)

    return play


@pytest.mark.parametrize(
    "play",
    [
        dripping(b""),
        dripping(b"HTTP/1.1 200 OK\r\nx: "),
        dripping(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        dripping(JSON + b"content-length: 1000000\r\n\r\n"),
        dripping(JSON + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        lambda sock: time.sleep(5),
    ],
    ids=["status", "header", "headers", "body", "chunks", "continue", "nothing"],
)
def test_a_server_that_drips_is_left_when_its_time_is_over(play: Callable[[socket.socket], None]) -> None:
    """Each piece comes in time, and all of them never do."""
    with server(play) as port:
        began = time.monotonic()
        assert identify("127.0.0.1", port, timeout_seconds=0.1) is None
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "play",
    [
        flooding(JSON + b"\r\n"),
        flooding(JSON + b"transfer-encoding: chunked\r\n\r\n-5\r\n"),
        flooding(JSON + b"transfer-encoding: chunked\r\n\r\nfffffffffffffff\r\n"),
        flooding(JSON + b"content-length: 99999999999999\r\n\r\n"),
        flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["until the end", "negative chunk", "endless chunk", "endless body", "continue"],
)
def test_a_server_that_floods_is_read_up_to_a_limit(
    play: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "_MOST_BYTES", 256 * 1024)
    taken = []

    class Counting(detect._Socket):
        def recv_into(self, *given: Any) -> int:
            count = super().recv_into(*given)
            taken.append(count)
            return count

    monkeypatch.setattr(detect, "_Socket", Counting)
    with server(play) as port:
        assert identify("127.0.0.1", port, timeout_seconds=0.5) is None
    assert 0 < sum(taken) <= len(detect.SIGNS) * 2 * 256 * 1024


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"data": ' * 50_000,
        b'{"info": {"title": "FastAPI"}, "paths": 5}',
        b'{"info": {"title": "FastAPI"}, "paths": [["a"], {}]}',
        b'{"info": {"title": ["FastAPI"]}, "paths": null}',
        b'{"data": [5, null, [], {"id": []}], "models": 7}',
        b'{"data": {"id": 5}}',
        b"1" * 10_000,
        b"\xff\xfe\x00",
        b"NaN",
        b"",
    ],
)
def test_what_cannot_be_read_is_no_server_and_no_error(body: bytes) -> None:
    with server(saying(body)) as port:
        found = identify("127.0.0.1", port)
        assert found is None or found.models == ()


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": [{"id": ["x"], "state": "loaded", "compatibility_type": "gguf", "type": "embeddings"}]}',
        b'{"data": [{"id": {"a": 1}, "status": "loaded", "owned_by": "vllm"}, {"id": "good", "owned_by": "vllm"}]}',
    ],
)
def test_a_model_without_a_name_is_left_out(body: bytes) -> None:
    with server(saying(body)) as port:
        found = identify("127.0.0.1", port)
    assert found is not None
    assert set(found.models) <= {"good"}


def test_the_whole_search_ends_and_has_found_what_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the look-up of a name hangs, and where reading an answer fails in a way nobody has thought of."""
    over, real = threading.Event(), detect.identify

    def asked(host: str, port: int, seconds: float) -> Any:
        if host == "a.stuck":
            over.wait(30)
        if host == "broken.example":
            raise ZeroDivisionError
        return real(host, port, seconds)

    monkeypatch.setattr(detect, "identify", asked)
    with server(saying(b'{"data": [{"id": "m"}]}')) as port:
        began = time.monotonic()
        found = find_all([f"a.stuck:{port}", f"broken.example:{port}", f"127.0.0.1:{port}"], 0.1)
        assert time.monotonic() - began < 10
    over.set()
    assert [server.models for server in found] == [("m",)]


def test_many_addresses_take_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    most = []

    def counted(host: str, port: int, seconds: float) -> None:
        most.append(sum(thread.name == "chatport-detect" for thread in threading.enumerate()))

    monkeypatch.setattr(detect, "identify", counted)
    assert find_all([f"host{number}" for number in range(100)]) == []
    assert len(most) == 500
    assert max(most) <= 32


def test_no_page_is_asked_for_when_the_time_of_a_server_is_over() -> None:
    """It lists nothing that is known, and is silent to all that would tell it apart, of which each has its second."""
    asked: list[bytes] = []
    over = threading.Event()

    def serve(sock: socket.socket) -> None:
        with suppress(OSError), sock:
            asked.append(sock.recv(65536).partition(b" HTTP")[0])
            if asked[-1] == b"GET /v1/models":
                sock.sendall(JSON + b"content-length: 2\r\n\r\n{}")
            else:
                over.wait(10)

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        assert identify("127.0.0.1", listener.getsockname()[1], timeout_seconds=0.05) is None
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
    assert asked[-1] != b"GET /props"
    assert b"GET /props" not in asked
    assert b"GET /v1/models" in asked


@pytest.mark.parametrize("hosts", [5, [5], ["a", None], {"a": "b"}, True])
def test_hosts_that_are_no_hosts_are_refused(hosts: Any) -> None:
    with pytest.raises(ConfigurationError, match="hosts is a text or a list of texts"):
        discover_for({"hosts": hosts})


@pytest.mark.parametrize("host", ["host:99999", "host:port", "http://[::1", "[bad]"])
def test_an_address_that_cannot_be_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="is no host, host:port or address"):
        base_url_of(host, 11434)
    with pytest.raises(ConfigurationError, match="is no host, host:port or address"):
        discover_for({"hosts": host})


@pytest.mark.parametrize("host", ["http://me:KEY@host:x", "http://host:x/?key=KEY", "host:KEY", "http://[::1?KEY"])
def test_a_key_in_such_an_address_is_not_shown(host: str) -> None:
    key = "sk-" + "in-an-address"
    with pytest.raises(ConfigurationError, match="is no host, host:port or address") as caught:
        base_url_of(host.replace("KEY", key), 11434)
    assert key not in str(caught.value)


def test_a_call_and_doctor_end_beside_a_server_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(dripping(JSON + b"content-length: 1000000\r\n\r\n")) as port:
        monkeypatch.setattr(detect, "PORTS", (port,))
        monkeypatch.setattr(detect, "_PATIENCE", 1)  # in all as long as for a piece: a fifth of the wait
        monkeypatch.delenv("OLLAMA_HOST", raising=False)
        began = time.monotonic()
        with chatport.Client({}) as client, pytest.raises(chatport.TransportError, match="no server answers"):
            client.chat("hello", model="local:auto")
        result = CliRunner().invoke(group, ["doctor"])
        assert "none answers on the usual ports" in result.output
        assert time.monotonic() - began < 10


def test_doctor_tells_of_a_search_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "PORTS", ())
    monkeypatch.setenv("OLLAMA_HOST", "host:99999")
    result = CliRunner().invoke(group, ["doctor"])
    assert result.exit_code == 1
    assert "'host:99999' is no host" in result.output
