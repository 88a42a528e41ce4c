"""A thousand cancelled streams leave nothing behind: no socket, no task, no thread."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from typing import Any

import anyio
import httpx
import httpx2
import pytest
import trio

import chatport

from .raw_server import Connection, RawServer, chunked, head

STREAMS = 1000
AT_ONCE = 50
PIECE = b'data: {"id": "r", "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": null}]}\n\n'
FINISH = b'data: {"id": "r", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files as Linux shows them")


def endless(connection: Connection) -> None:
    """Send three pieces and then nothing more until the client leaves; a request that says `end` gets its end."""
    while request := connection.request():
        if b'"end"' in request:
            connection.send(head(transfer_encoding="chunked") + chunked(PIECE, FINISH))
            continue
        connection.send(head(transfer_encoding="chunked") + chunked(PIECE, PIECE, PIECE, last=False))
        connection.until_left()
        return


def silent(connection: Connection) -> None:
    """Say nothing at all."""
    connection.request()
    connection.until_left()


def config(server: RawServer) -> dict[str, Any]:
    return {"providers": {"raw": {"kind": "compatible", "base_url": server.base_url}}, "model": "raw:m"}


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


class Watch:
    """Counts files and threads before and after, once the server has seen all its clients leave."""

    def __init__(self, server: RawServer) -> None:
        self._server = server
        self._idle = server.open_connections
        self._files = open_files()
        self._threads = set(threading.enumerate())

    def nothing_is_left(self) -> None:
        deadline = time.monotonic() + 5
        while self._server.open_connections > self._idle and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self._server.open_connections <= self._idle, "connections were not closed"
        assert open_files() <= self._files + 2
        new = set(threading.enumerate()) - self._threads
        assert not [thread for thread in new if thread not in self._server.threads]


async def cancelled_streams(client: chatport.AsyncClient, total: int, at_once: int) -> None:
    """Cancel so many streams: some before the head has come, some between events, some while they wait."""
    limiter = anyio.CapacityLimiter(at_once)

    async def one(number: int) -> None:
        kind = number % 4
        async with limiter:
            with anyio.move_on_after(0.0005 * (number % 7) if kind == 0 else 10) as scope:
                async with client.stream("hello") as stream:
                    seen = 0
                    async for _ in stream:
                        seen += 1
                        if kind == 1 and seen == 1:
                            scope.cancel()
                        if kind == 2 and seen == 2:
                            break
                        if kind == 3 and seen == 3:
                            scope.deadline = anyio.current_time() + 0.001

    async with anyio.create_task_group() as group:
        for number in range(total):
            group.start_soon(one, number)


def tasks() -> int:
    """Count the tasks of this loop."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return trio.lowlevel.current_statistics().tasks_living


async def tasks_end(before: int) -> None:
    """Wait until no more tasks are left than before: the loop itself closes dropped generators in some of its own."""
    gc.collect()
    with anyio.move_on_after(5):
        while tasks() > before:  # noqa: ASYNC110  # there is no event for it
            await anyio.sleep(0.01)
    assert tasks() <= before


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_thousand_cancelled_streams_leave_nothing(backend: str) -> None:
    async def run(server: RawServer) -> None:
        async with chatport.AsyncClient(config(server)) as client:
            await client.chat("end")
            watch, before = Watch(server), tasks()
            await cancelled_streams(client, STREAMS, AT_ONCE)
            await tasks_end(before)
            watch.nothing_is_left()
            assert (await client.chat("end")).text == "word "
        await tasks_end(before)

    files = open_files()
    with RawServer(endless) as server:
        anyio.run(run, server, backend=backend)
    gc.collect()
    assert open_files() <= files + 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_calls_cancelled_before_any_byte_leave_nothing(backend: str) -> None:
    async def run(server: RawServer) -> None:
        async with chatport.AsyncClient(config(server)) as client:
            await client.chat("end")
            watch, before = Watch(server), tasks()
            async with anyio.create_task_group() as group:
                for _ in range(100):
                    group.start_soon(client.chat, "hello")
                await anyio.sleep(0.1)
                group.cancel_scope.cancel()
            await tasks_end(before)
            watch.nothing_is_left()

    with RawServer(endless, silent) as server:
        anyio.run(run, server, backend=backend)


@pytest.mark.parametrize("family", [httpx, httpx2])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelled_streams_give_their_place_in_a_small_pool_back(backend: str, family: Any) -> None:
    async def run(server: RawServer) -> None:
        given = family.AsyncClient(verify=False, limits=family.Limits(max_connections=2))
        async with given, chatport.AsyncClient(config(server), transport=given) as client:
            await cancelled_streams(client, 100, 2)
            assert (await client.chat("end", timeout=5)).text == "word "

    with RawServer(endless) as server:
        anyio.run(run, server, backend=backend)


class Interrupted(BaseException):
    """Stands for Ctrl-C."""


def test_a_thousand_streams_left_without_a_loop_leave_nothing() -> None:
    files = open_files()
    with RawServer(endless) as server, chatport.Client(config(server)) as client:
        client.chat("end")
        watch = Watch(server)
        for number in range(STREAMS):
            kind = number % 4
            if kind == 0:
                next(client.stream("hello"))  # and dropped
                continue
            try:
                with client.stream("hello") as stream:
                    for _ in stream:
                        if kind == 1:
                            break
                        if kind == 2:
                            raise LookupError
                        raise Interrupted
            except (LookupError, Interrupted):
                pass
        watch.nothing_is_left()
        assert client.chat("end").text == "word "
    gc.collect()
    assert open_files() <= files + 1


def test_streams_left_by_many_threads_leave_nothing() -> None:
    def leave(client: chatport.Client) -> None:
        for _ in range(25):
            with client.stream("hello") as stream:
                next(stream)

    with RawServer(endless) as server, chatport.Client(config(server)) as client:
        client.chat("end")
        watch = Watch(server)
        threads = [threading.Thread(target=leave, args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        watch.nothing_is_left()
        assert client.chat("end").text == "word "


@pytest.mark.parametrize("family", [httpx, httpx2])
def test_streams_left_without_a_loop_give_their_place_in_a_small_pool_back(family: Any) -> None:
    with (
        RawServer(endless) as server,
        family.Client(verify=False, limits=family.Limits(max_connections=2)) as given,
        chatport.Client(config(server), transport=given) as client,
    ):
        for _ in range(100):
            with client.stream("hello") as stream:
                next(stream)
        for _ in range(20):
            next(client.stream("hello"))
        assert client.chat("end", timeout=5).text == "word "
