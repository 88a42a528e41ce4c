"""Two at one thing: closing beside calls, two readers of one stream, streams entered twice. Never a hang, never raw."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest

import chatport
from chatport.errors import MisuseError

from .raw_server import Connection, RawServer, chunked, head

PIECE = b'data: {"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": null}]}\n\n'
FINISH = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
QUICK = {"silence": 20, "between_events": 20, "total": 25}
BACKENDS = ("asyncio", "trio")


class Vendor:
    """Sends one piece (none if the request says `mute`), and the rest when told to, or at once (`prompt`)."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begun = threading.Event()

    def __call__(self, connection: Connection) -> None:
        while request := connection.request():
            connection.send(head(transfer_encoding="chunked"))
            if b"mute" not in request:
                connection.send(chunked(PIECE, last=False))
            self.begun.set()
            if b"prompt" not in request:
                self.go_on.wait(25)
            connection.send(chunked(PIECE, FINISH))


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.go_on.set()


@pytest.fixture
def server(vendor: Vendor) -> Iterator[RawServer]:
    with RawServer(vendor) as server:
        yield server
        vendor.go_on.set()


def config(server: RawServer) -> dict[str, Any]:
    return {
        "providers": {"raw": {"kind": "compatible", "base_url": server.base_url}},
        "model": "raw:m",
        "retry": {"attempts": 1},
        "timeouts": QUICK,
    }


def on(backend: str, talk: Callable[..., Awaitable[None]], server: RawServer) -> None:
    async def opened() -> None:
        async with chatport.AsyncClient(config(server)) as client:
            with anyio.fail_after(15):
                await talk(client)

    anyio.run(opened, backend=backend)


async def until(holds: Callable[[], Any]) -> None:
    while not holds():  # noqa: ASYNC110  # there is no event for it
        await anyio.sleep(0.005)


# --- close beside calls


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", ["sockets", "httpx"])
def test_a_client_that_is_closed_beside_a_call(backend: str, way: str, vendor: Vendor, server: RawServer) -> None:
    """Over our own sockets the call goes on to its end; an httpx client of ours cuts it, which is our error."""
    replies: list[Any] = []

    async def talk(client: chatport.AsyncClient) -> None:
        async def call() -> None:
            try:
                replies.append((await client.chat("hello")).text)
            except chatport.ChatportError as error:
                replies.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await until(vendor.begun.is_set)
            await client.aclose()
            await client.aclose()
            vendor.go_on.set()
        with pytest.raises(MisuseError, match="is closed"):
            await client.chat("prompt")

    settings = {**config(server), "transport": way}

    async def opened() -> None:
        async with chatport.AsyncClient(settings) as client:
            with anyio.fail_after(15):
                await talk(client)

    anyio.run(opened, backend=backend)
    assert replies == ["word word "] if way == "sockets" else isinstance(replies[0], chatport.ChatportError | str)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_timers_of_a_call_go_on_when_the_client_is_closed_beside_it(backend: str, server: RawServer) -> None:
    async def talk(client: chatport.AsyncClient) -> None:
        async def call() -> None:
            with pytest.raises(chatport.DeadlineError) as caught:
                await client.chat("hello", timeout={"silence": 0.4, "total": 20})
            assert caught.value.timer in ("silence", "total")

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await anyio.sleep(0.1)
            await client.aclose()

    on(backend, talk, server)


@pytest.mark.parametrize("closer", BACKENDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_client_may_be_closed_from_another_loop(backend: str, closer: str, vendor: Vendor, server: RawServer) -> None:
    """Idle connections of the other loop are closed there; what runs goes on."""

    async def talk(client: chatport.AsyncClient) -> None:
        replies: list[str] = []

        async def call() -> None:
            replies.append((await client.chat("hello")).text)

        await client.chat("prompt")
        vendor.begun.clear()
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await until(vendor.begun.is_set)
            thread = threading.Thread(target=lambda: anyio.run(client.aclose, backend=closer))
            thread.start()
            thread.join(10)
            assert not thread.is_alive()
            vendor.go_on.set()
        assert replies == ["word word "]
        await until(lambda: not server.open_connections)

    on(backend, talk, server)


def test_a_synchronous_client_that_is_closed_beside_calls_in_threads(vendor: Vendor, server: RawServer) -> None:
    client, texts = chatport.Client(config(server)), list[str]()
    threads = [threading.Thread(target=lambda: texts.append(client.chat("hello").text)) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert vendor.begun.wait(10)
    while len(server.requests) < 4:
        time.sleep(0.001)
    for _ in range(2):
        client.close()
    vendor.go_on.set()
    for thread in threads:
        thread.join(10)
    assert texts == ["word word "] * 4
    with pytest.raises(MisuseError, match="is closed"):
        client.chat("prompt")
    client.close()


def test_a_call_beside_a_close_is_answered_or_told_that_the_client_is_closed(server: RawServer) -> None:
    """Wherever in a call another thread closes the client, over and over: it is never left half open, or hangs."""
    outcomes: list[str] = []

    def call(client: chatport.Client) -> None:
        with pytest.raises(MisuseError, match="is closed"):  # noqa: PT012  # the loop ends by it
            while True:
                outcomes.append(client.chat("prompt").text)
        outcomes.append("closed")

    for round_ in range(20):
        client = chatport.Client(config(server))
        threads = [threading.Thread(target=call, args=(client,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.001 * round_)
        client.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
    assert set(outcomes) == {"word word ", "closed"}
    assert outcomes.count("closed") == 60


# --- two at one stream


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_second_task_that_reads_a_stream_is_told_and_the_first_goes_on(
    backend: str, vendor: Vendor, server: RawServer
) -> None:
    async def talk(client: chatport.AsyncClient) -> None:
        async with client.stream("hello") as stream:
            await anext(stream)
            texts: list[str] = []

            async def read() -> None:
                texts.extend([event.text async for event in stream if isinstance(event, chatport.TextDelta)])

            async with anyio.create_task_group() as group:
                group.start_soon(read)
                await anyio.sleep(0.05)
                for _ in range(3):
                    with pytest.raises(MisuseError, match="is being read already"):
                        await anext(stream)
                vendor.go_on.set()
            assert texts == ["word "]
        assert stream.reply.text == "word word "

    on(backend, talk, server)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stream_that_is_left_while_another_task_reads_it(backend: str, server: RawServer) -> None:
    async def talk(client: chatport.AsyncClient) -> None:
        errors: list[BaseException] = []
        async with anyio.create_task_group() as group, client.stream("hello") as stream:
            await anext(stream)

            async def read() -> None:
                try:
                    await anext(stream)
                except BaseException as error:
                    errors.append(error)

            group.start_soon(read)
            await anyio.sleep(0.05)
        assert [type(error) for error in errors] == [MisuseError]
        assert "left before its end" in str(errors[0])
        with pytest.raises(MisuseError, match="complete only when"):
            _ = stream.reply

    on(backend, talk, server)


def test_a_synchronous_stream_that_two_threads_read(vendor: Vendor, server: RawServer) -> None:
    with chatport.Client(config(server)) as client, client.stream("hello") as stream:
        next(stream)
        texts: list[str] = []
        reader = threading.Thread(
            target=lambda: texts.extend(event.text for event in stream if isinstance(event, chatport.TextDelta))
        )
        reader.start()
        time.sleep(0.1)
        for _ in range(3):
            with pytest.raises(MisuseError, match="is being read already"):
                next(stream)
        vendor.go_on.set()
        reader.join(10)
        assert texts == ["word "]
        assert stream.reply.text == "word word "


def test_a_synchronous_stream_that_is_left_while_a_thread_reads_it_wakes_the_reader(server: RawServer) -> None:
    """At once, and not only when a timer fires: closing a socket alone wakes nobody."""
    errors: list[BaseException] = []
    with chatport.Client(config(server)) as client:
        with client.stream("hello") as stream:
            next(stream)

            def read() -> None:
                try:
                    next(stream)
                except BaseException as error:
                    errors.append(error)

            reader = threading.Thread(target=read)
            reader.start()
            time.sleep(0.1)
        reader.join(5)
        assert not reader.is_alive()
    assert [type(error) for error in errors] == [MisuseError]


def test_many_threads_read_and_leave_one_stream_at_any_moment(server: RawServer) -> None:
    """Threads take turns as often as Python lets them: only our own errors, and each stream ends."""
    raw: list[BaseException] = []

    def read(stream: Any) -> None:
        try:
            for _ in stream:
                pass
        except MisuseError:
            pass
        except BaseException as error:
            raw.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with chatport.Client(config(server)) as client:
            for number in range(100):
                with client.stream("prompt") as stream:
                    threads = [threading.Thread(target=read, args=(stream,)) for _ in range(3)]
                    for thread in threads:
                        thread.start()
                    time.sleep(0.0005 * (number % 5))
                for thread in threads:
                    thread.join(10)
                    assert not thread.is_alive()
    finally:
        sys.setswitchinterval(interval)
    assert raw == []


# --- the block


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stream_is_entered_once(backend: str, server: RawServer) -> None:
    async def talk(client: chatport.AsyncClient) -> None:
        async with client.stream("prompt") as stream:
            with pytest.raises(MisuseError, match="has been entered before"):
                await stream.__aenter__()
            assert len([event async for event in stream]) >= 2
            assert [event async for event in stream] == [], "its end stays its end"
        assert stream.reply.text == "word word "
        with pytest.raises(MisuseError, match="has been entered before"):
            await stream.__aenter__()

    on(backend, talk, server)


def test_a_synchronous_stream_is_entered_once_and_may_be_read_before(server: RawServer) -> None:
    with chatport.Client(config(server)) as client:
        stream = client.stream("prompt")
        first = next(stream)
        with stream:
            rest = list(stream)
            with pytest.raises(MisuseError, match="has been entered before"):
                stream.__enter__()
        assert stream.reply.text == "word word "
        assert [type(event) for event in (first, *rest)][-1] is chatport.Finished
        with pytest.raises(MisuseError, match="has been entered before"):
            stream.__enter__()
        left = client.stream("prompt")
        with left:
            pass
        with pytest.raises(MisuseError, match="left before its end"):
            next(left)


def test_a_misuse_is_an_error_of_ours_and_still_a_runtime_error() -> None:
    """Programs that catch what it was before catch it still."""
    client = chatport.Client({"providers": {"x": {"kind": "compatible", "base_url": "http://127.0.0.1:9"}}})
    for kind in (RuntimeError, chatport.ConfigurationError, chatport.ChatportError):
        with pytest.raises(kind, match="complete only when"):
            _ = client.stream("hello", model="x:m").reply


def test_a_second_try_beside_a_stream_that_is_left_ends_with_it(server: RawServer) -> None:
    async def main() -> None:
        settings = {**config(server), "hedge": {"after_seconds": 0.05}}
        async with chatport.AsyncClient(settings) as client:
            for _ in range(20):  # of which one call may have a second try
                await client.chat("prompt")
            errors: list[BaseException] = []

            async def read(stream: Any) -> None:
                try:
                    async for _ in stream:
                        pass
                except BaseException as error:
                    errors.append(error)

            async with client.stream("mute") as stream:
                task = asyncio.create_task(read(stream))
                await asyncio.sleep(0.3)
            assert sum(b"mute" in request for request in server.requests) == 2
            await asyncio.wait_for(task, 5)
            assert [type(error) for error in errors] == [MisuseError]

    asyncio.run(main())
