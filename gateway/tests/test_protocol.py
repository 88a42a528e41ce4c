"""What goes to a client's connection at once, and what of it is waited for."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from uvicorn.server import ServerState

from chatport_gateway.leaving import within
from chatport_gateway.protocol import server_config


class Wire:
    """A transport that notes what is written to it, and passes it on."""

    def __init__(self, transport: Any, writes: list[bytes]) -> None:
        self._transport, self._writes = transport, writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._writes.append(data)
        self._transport.write(data)


def written(app: Any, request: bytes = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n") -> list[bytes]:
    """Return what an application's answer is written in, as the client has got all of it."""
    config = server_config(app, lambda: 10.0, lambda: 10)
    config.load()
    writes: list[bytes] = []

    class Noted(config.http_protocol_class):  # type: ignore[misc,name-defined]
        def connection_made(self, transport: Any) -> None:
            super().connection_made(Wire(transport, writes))

    async def main() -> bytes:
        def make() -> asyncio.Protocol:
            made: asyncio.Protocol = Noted(config=config, server_state=ServerState(), app_state={})
            return made

        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(request)
        got = await reader.read()
        writer.close()
        server.close()
        await server.wait_closed()
        return got

    assert asyncio.run(main()) == b"".join(writes)
    return writes


def answering(*bodies: bytes, pause: bool = False, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Any:
    """Return an application whose answer comes in so many pieces, after a pause if need be."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        if pause:
            await asyncio.sleep(0.05)
        for number, body in enumerate(bodies):
            await send({"type": "http.response.body", "body": body, "more_body": number < len(bodies) - 1})

    return app


def test_a_head_goes_out_with_what_follows_it_at_once() -> None:
    [whole] = written(answering(b"all of it", headers=((b"content-length", b"9"),)))
    assert whole.endswith(b"\r\n\r\nall of it")
    first, second = written(answering(b"one", b"two"))
    assert first.endswith(b"\r\n\r\n3\r\none\r\n")
    assert second == b"3\r\ntwo\r\n0\r\n\r\n"


def test_a_head_waits_for_nothing_that_comes_later() -> None:
    head, body = written(answering(b"one", pause=True))
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b"3\r\none\r\n0\r\n\r\n"


def test_an_answer_without_a_body_is_sent() -> None:
    request = b"HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    [head] = written(answering(b"", headers=((b"content-length", b"9"),)), request)
    assert head.startswith(b"HTTP/1.1 200")
    assert head.endswith(b"\r\n\r\n")


def test_nothing_is_left_of_a_client_that_resets() -> None:
    """uvicorn's timer of idle connections would hold each one for a minute and more: thousands, of a hostile client."""
    app = answering(b"all of it", headers=((b"content-length", b"9"),))
    config = server_config(app, lambda: 10.0, lambda: 10, timeout_keep_alive=75)
    config.load()
    kind: Any = config.http_protocol_class
    made: list[weakref.ref[Any]] = []

    def make() -> Any:
        protocol = kind(config=config, server_state=ServerState(), app_state={})
        made.append(weakref.ref(protocol))
        return protocol

    async def main() -> int:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(make, "127.0.0.1", 0)
        for _ in range(3):
            client = socket.create_connection(server.sockets[0].getsockname())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"all of it" in await loop.run_in_executor(None, client.recv, 1000)
            client.close()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and any(one() for one in made):
            await asyncio.sleep(0.01)
            gc.collect()
        server.close()
        await server.wait_closed()
        return sum(one() is not None for one in made)

    assert asyncio.run(main()) == 0
    assert len(made) == 3


# --- waiting


def coming(seconds: float, ended: list[str]) -> Callable[[], Awaitable[Any]]:
    """Return what gives a message after some time; it notes how it has ended."""

    async def receive() -> Any:
        try:
            if seconds:
                await anyio.sleep(seconds / 2)
                await anyio.sleep(seconds / 2)
        except BaseException as error:
            ended.append(type(error).__name__)
            raise
        ended.append("given")
        return {"type": "http.request"}

    return receive


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("bound", [0.0, 5.0])
@pytest.mark.parametrize("seconds", [0.0, 0.02])
def test_what_comes_is_given(backend: str, bound: float, seconds: float) -> None:
    ended: list[str] = []
    assert anyio.run(within, bound, coming(seconds, ended), backend=backend) == {"type": "http.request"}
    assert ended == ["given"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_does_not_come_is_waited_for_no_longer(backend: str) -> None:
    ended: list[str] = []
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        anyio.run(within, 0.05, coming(20.0, ended), backend=backend)
    assert time.monotonic() - begun < 10
    assert len(ended) == 1
    assert "Cancelled" in ended[0]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_fails_while_it_is_waited_for_fails(backend: str) -> None:
    async def receive() -> Any:
        await anyio.sleep(0.01)
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        anyio.run(within, 5.0, receive, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_whoever_waits_can_be_cancelled(backend: str) -> None:
    ended: list[str] = []

    async def main() -> bool:
        with anyio.move_on_after(0.02) as scope:
            await within(20.0, coming(20.0, ended))
        return scope.cancelled_caught

    assert anyio.run(main, backend=backend)
    assert len(ended) == 1
