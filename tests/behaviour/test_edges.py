"""Edges of the transports: a request that was not written to its end, checkpoints, and clients of other people."""

from __future__ import annotations

import contextlib
import gzip
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
import trio
import trio.testing

from chatport.transport import sockets_asyncio
from chatport.transport.sockets_async import SocketsAsyncTransport

from .adapter import Runner, open_runner
from .raw_server import Connection, RawServer, chunked, head
from .test_sockets_transport import Run, Serve, TlsServer, backend, certificates, request, run, serve, trusted, whole

__all__ = ["backend", "certificates", "run", "serve", "trusted"]  # fixtures

REPLY = json.dumps({"choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}]}).encode()
GIVEN: dict[str, Any] = {"httpx": httpx, "httpx2": httpx2}


# --- a request that was not written to its end


@pytest.mark.parametrize("kind", ["plain", "TLS", "TLS of another loop"])
def test_a_connection_with_half_a_request_on_it_is_not_used_again(
    run: Run, serve: Serve, trusted: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer came early and kept the connection open: what is left of the request must not begin the next one."""

    def early(connection: Connection) -> None:
        connection._sock.recv(1000)
        connection.send(head(413, content_length=5) + b"large")
        connection._server.stopping.wait(20)  # open, and not read from

    def usual(connection: Connection) -> None:
        while connection.request():
            connection.send(head(content_length=5) + b"usual")

    if kind == "TLS of another loop":  # uvloop's shows nothing of what is below
        monkeypatch.setattr(sockets_asyncio, "_below", lambda transport: sockets_asyncio._UNKNOWN)
    with contextlib.ExitStack() as stack:
        scripts = (early, usual)
        secured = None if kind == "plain" else stack.enter_context(TlsServer(trusted / "here.pem", *scripts))
        server = secured or serve(*scripts)

        async def talk(transport: Any) -> None:
            answer, body = await whole(transport, server.base_url, b"x" * 20_000_000)
            assert (answer.status, body) == (413, b"large")
            for _ in range(2):
                assert (await whole(transport, server.base_url))[1] == b"usual"
            server.stopping.set()

        run(talk)
        assert server.connections == 2


# --- checkpoints


def on_trio(talk: Any) -> None:
    async def opened() -> None:
        transport = SocketsAsyncTransport()
        try:
            with trio.fail_after(10):
                await talk(transport)
        finally:
            await transport.aclose()

    trio.run(opened)


def late_pieces(connection: Connection) -> None:
    while connection.request():
        connection.send(head(transfer_encoding="chunked"))
        time.sleep(0.05)
        connection.send(chunked(b"one", last=False))
        time.sleep(0.05)
        connection.send(chunked(b"two"))


@pytest.mark.parametrize("secure", [False, True])
def test_each_read_on_trio_is_a_checkpoint_though_the_bytes_are_there(
    serve: Serve, trusted: Path, secure: bool
) -> None:
    with contextlib.ExitStack() as stack:
        secured = stack.enter_context(TlsServer(trusted / "here.pem", late_pieces)) if secure else None
        server = secured or serve(late_pieces)

        async def talk(transport: Any) -> None:
            for _ in range(2):
                with trio.testing.assert_checkpoints():
                    exchange = await transport.send(request(server.base_url), 5, 5)
                await trio.sleep(0.2)  # all has come
                with trio.testing.assert_checkpoints():
                    assert await exchange.read(5)
                while await exchange.read(5):
                    pass
                await exchange.aclose()

        on_trio(talk)
        assert server.connections == 1


@pytest.mark.parametrize("secure", [False, True])
def test_a_task_of_trio_that_is_cancelled_already_writes_nothing(serve: Serve, trusted: Path, secure: bool) -> None:
    with contextlib.ExitStack() as stack:
        secured = stack.enter_context(TlsServer(trusted / "here.pem", late_pieces)) if secure else None
        server = secured or serve(late_pieces)

        async def talk(transport: Any) -> None:
            await whole(transport, server.base_url)
            with trio.CancelScope() as scope:
                scope.cancel()
                await transport.send(request(server.base_url), 5, 5)
            assert scope.cancelled_caught
            await trio.sleep(0.05)
            assert len(server.requests) == 1
            exchange = await transport.send(request(server.base_url), 5, 5)
            with trio.CancelScope() as scope:
                scope.cancel()
                while await exchange.read(5):
                    pass
            assert scope.cancelled_caught
            await exchange.aclose()

        on_trio(talk)


# --- clients of other people


def config(base_url: str = "http://127.0.0.1:1/v1") -> dict[str, Any]:
    table = {"kind": "compatible", "base_url": base_url, "api_key": "sk-key-of-a-test"}
    return {"providers": {"x": table}, "model": "x:m", "retry": {"attempts": 3}}


@contextlib.contextmanager
def over(backend: str, sync: Any, asynchronous: Any, settings: Any) -> Iterator[Runner]:
    with open_runner(backend, settings, asynchronous=lambda: asynchronous, synchronous=lambda: sync) as runner:
        yield runner


class Foreign(LookupError):
    """An exception that is none of httpx's."""


@pytest.mark.parametrize("family", GIVEN)
@pytest.mark.parametrize("place", ["sending", "reading"])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_exception_of_somebody_elses_code_is_handed_on_as_it_is(
    backend: str, family: str, place: str, streamed: bool
) -> None:
    """It is no trouble of the vendor's: nothing is tried again, and whoever wrote it sees it."""
    httpx_ = GIVEN[family]
    stream, async_stream = httpx_.SyncByteStream, httpx_.AsyncByteStream
    transport, async_transport = httpx_.BaseTransport, httpx_.AsyncBaseTransport
    asked: list[int] = []

    class Body(stream, async_stream):  # type: ignore[misc, valid-type]  # of either family
        def __iter__(self) -> Iterator[bytes]:
            yield b"data: "
            raise Foreign("mine")

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"data: "
            raise Foreign("mine")

        def close(self) -> None: ...

        async def aclose(self) -> None: ...

    class Odd(transport, async_transport):  # type: ignore[misc, valid-type]
        def handle_request(self, request: Any) -> Any:
            asked.append(1)
            if place == "sending":
                raise Foreign("mine")
            return httpx_.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())

        async def handle_async_request(self, request: Any) -> Any:
            return self.handle_request(request)

    sync, asynchronous = httpx_.Client(transport=Odd()), httpx_.AsyncClient(transport=Odd())
    with over(backend, sync, asynchronous, config()) as runner:
        for _ in range(2):
            with pytest.raises(Foreign, match="mine"):
                (runner.stream if streamed else runner.chat)("hello")
        assert len(asked) == 2
    if backend == "sync":
        anyio.run(asynchronous.aclose)
    else:
        sync.close()


@pytest.mark.parametrize("family", GIVEN)
@pytest.mark.parametrize("served", [False, True], ids=["mock", "server"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_gzip_answer_of_a_client_that_was_given(backend: str, family: str, served: bool, streamed: bool) -> None:
    """A real one hands its bytes on compressed; one that was read before we got it is not compressed any more."""
    httpx_ = GIVEN[family]
    chunk = {"choices": [{"index": 0, "delta": {"content": "hello"}, "finish_reason": "stop"}]}
    body = b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(chunk).encode() if streamed else REPLY
    packed, kind = gzip.compress(body), "text/event-stream" if streamed else "application/json"

    def script(connection: Connection) -> None:
        while connection.request():
            connection.send(head(content_type=kind, content_encoding="gzip", content_length=len(packed)) + packed)

    def answer(request: Any) -> Any:
        return httpx_.Response(200, headers={"content-type": kind, "content-encoding": "gzip"}, content=packed)

    options = {"verify": False} if served else {"transport": httpx_.MockTransport(answer)}
    sync, asynchronous = httpx_.Client(**options), httpx_.AsyncClient(**options)
    with RawServer(script) as server, over(backend, sync, asynchronous, config(server.base_url)) as runner:
        for _ in range(2):
            assert (runner.stream if streamed else runner.chat)("hello").text == "hello"
        assert server.connections == served
    if backend == "sync":
        anyio.run(asynchronous.aclose)
    else:
        sync.close()
