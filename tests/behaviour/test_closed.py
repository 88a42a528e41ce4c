"""A closed client says so, and opens no connection any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest

import chatport
from chatport.errors import MisuseError
from chatport.testing import Emulator

from .raw_server import Connection, RawServer, chunked, head

PIECE = b'data: {"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": null}]}\n\n'
FINISH = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


def vendor(connection: Connection) -> None:
    while connection.request():
        connection.send(head(transfer_encoding="chunked") + chunked(PIECE, FINISH))


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(vendor) as opened:
        yield opened


def config(server: RawServer, way: str | None) -> dict[str, Any]:
    table = {"kind": "compatible", "base_url": server.base_url}
    return {"providers": {"x": table}, "model": "x:m", "transport": way}


USES: dict[str, Callable[[Any], Any]] = {
    "chat": lambda client: client.chat("hello"),
    "stream": lambda client: client.stream("hello"),
    "models": lambda client: client.models("x"),
    "embed": lambda client: client.embed("text", model="x:m"),
}
WAYS = ("sockets", "httpx", "a client of httpx")


@pytest.mark.parametrize("used_before", [True, False])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("use", USES)
def test_a_synchronous_client_that_is_closed(use: str, way: str, used_before: bool, server: RawServer) -> None:
    given = httpx.Client(verify=False) if way == "a client of httpx" else None
    client = chatport.Client(config(server, None if given else way), transport=given)
    if used_before:
        client.chat("hello")
    client.close()
    sent, connections = len(server.requests), server.connections
    with pytest.raises(MisuseError, match="This Client is closed"):
        USES[use](client)
    with pytest.raises(MisuseError, match="This Client is closed"):
        client.__enter__()
    assert (len(server.requests), server.connections) == (sent, connections)
    if given is not None:
        assert not given.is_closed
        given.close()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("use", USES)
def test_an_asynchronous_client_that_is_closed(use: str, way: str, backend: str, server: RawServer) -> None:
    async def run() -> None:
        given = httpx.AsyncClient(verify=False) if way == "a client of httpx" else None
        client = chatport.AsyncClient(config(server, None if given else way), transport=given)
        await client.chat("hello")
        await client.aclose()
        sent, connections = len(server.requests), server.connections
        with pytest.raises(MisuseError, match="This AsyncClient is closed"):
            await USES[use](client)  # a stream says so where it is made
        with pytest.raises(MisuseError, match="This AsyncClient is closed"):
            await client.__aenter__()
        assert (len(server.requests), server.connections) == (sent, connections)
        if given is not None:
            await given.aclose()

    anyio.run(run, backend=backend)


@pytest.mark.parametrize("way", ["sockets", "httpx"])
def test_a_synchronous_stream_that_was_made_before_and_is_read_after(way: str, server: RawServer) -> None:
    client = chatport.Client(config(server, way))
    unread, entered = client.stream("unread"), client.stream("entered").__enter__()
    client.close()
    for stream in (unread, entered):
        with pytest.raises(MisuseError, match="is closed"):
            next(stream)
    assert not server.requests


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("way", ["sockets", "httpx"])
def test_an_asynchronous_stream_that_was_made_before_and_is_read_after(
    way: str, backend: str, server: RawServer
) -> None:
    async def run() -> None:
        client = chatport.AsyncClient({**config(server, way), "hedge": {"after_seconds": 5}})
        async with client.stream("entered") as stream:
            await client.aclose()
            with pytest.raises(MisuseError, match="is closed"):
                await anext(stream)
        assert not server.requests

    anyio.run(run, backend=backend)


def test_a_stream_that_is_being_read_goes_on_to_its_end(server: RawServer) -> None:
    client = chatport.Client(config(server, "sockets"))
    with client.stream("hello") as stream:
        next(stream)
        client.close()
        assert [type(event).__name__ for event in stream][-1] == "Finished"
    assert stream.reply.text == "word "
    assert server.connections == 1


def test_explain_and_facts_send_nothing_and_go_on(server: RawServer) -> None:
    client = chatport.Client(config(server, "sockets"))
    client.close()
    client.close()
    assert client.explain("hello").body["messages"]
    assert client.facts("x:m") is not None


def test_an_emulator_that_was_given_is_not_asked_by_a_closed_client() -> None:
    emulator = Emulator("compatible")
    client = chatport.Client({"model": "compatible:m"}, transport=emulator)
    client.close()
    with pytest.raises(MisuseError, match="is closed"):
        client.chat("hello")
