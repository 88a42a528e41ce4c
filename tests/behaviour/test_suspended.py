"""A process that was suspended reads what has arrived before it says that the vendor was silent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from chatport.transport.httpx_async import HttpxAsyncTransport
from chatport.transport.httpx_sync import HttpxTransport
from chatport.transport.sockets_async import SocketsAsyncTransport
from chatport.transport.sockets_sync import SocketsTransport

from .raw_server import Connection, RawServer, chunked, head
from .test_sockets_transport import request

SILENCE = 2.0
FIRST = b'data: {"choices": [{"index": 0, "delta": {"content": "hel"}}]}\n\n'
REST = b'data: {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
PROGRAM = """
import sys, anyio, chatport
way, base_url, silence = sys.argv[1], sys.argv[2], float(sys.argv[3])
backend, _, transport = way.partition(" ")
config = {
    "providers": {"x": {"kind": "compatible", "base_url": base_url, "api_key": "k"}}, "model": "x:m",
    "transport": transport, "retry": {"attempts": 1},
    "timeouts": {"silence": silence, "between_events": silence, "first_event": silence, "total": 600},
}
def show(event):
    if isinstance(event, chatport.TextDelta):
        print(event.text, flush=True)
async def stream():
    async with chatport.AsyncClient(config) as client, client.stream("hello") as stream:
        async for event in stream:
            show(event)
try:
    if backend == "sync":
        with chatport.Client(config) as client, client.stream("hello") as stream:
            for event in stream:
                show(event)
    else:
        anyio.run(stream, backend=backend)
    print("whole")
except chatport.ChatportError as error:
    print(repr(error))
"""
WAYS = [f"{backend} {transport}" for backend in ("asyncio", "trio", "sync") for transport in ("sockets", "httpx")]


@pytest.mark.skipif(sys.platform != "linux", reason="what a process does is asked of /proc")
@pytest.mark.slow
def test_what_came_while_the_process_was_stopped_is_read() -> None:
    """All ways at once, since the silence is real: each process has it between its first word and the rest."""
    goes_on = threading.Event()

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(head(transfer_encoding="chunked") + chunked(FIRST, last=False))
        goes_on.wait(60)
        connection.send(chunked(b": still there\n\n", last=False))
        connection.send(chunked(REST))

    with RawServer(script) as server, contextlib.ExitStack() as stack:
        bare = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        started = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, way, server.base_url, str(SILENCE)],
                stdout=subprocess.PIPE,
                text=True,
                env=bare,
            )
            for way in WAYS
        ]
        for process in started:
            stack.callback(process.kill)
            stack.enter_context(process)
        threads = [threading.Thread(target=stop_after_a_word, args=(process,)) for process in started]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        goes_on.set()
        time.sleep(SILENCE + 0.5)
        for process in started:
            process.send_signal(signal.SIGCONT)
        told = {way: process.communicate(timeout=30)[0] for way, process in zip(WAYS, started, strict=True)}
    assert told == dict.fromkeys(WAYS, "lo\nwhole\n")


def stop_after_a_word(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "hel\n"
    while not is_waiting(process.pid):  # it has the turn until then, and its own pauses are not the vendor's silence
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)


def is_waiting(pid: int) -> bool:
    """Whether a process sleeps, twice in a row."""
    states = []
    for _ in range(2):
        states.append(Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0])
        time.sleep(0.02)
    return states == ["S", "S"]


# --- the same without a signal: a loop that does not come round


def late_answer(connection: Connection) -> None:
    connection.request()
    connection.send(head(transfer_encoding="chunked"))
    time.sleep(0.1)
    connection.send(chunked(b"he"))


@pytest.mark.parametrize("make", [SocketsAsyncTransport, HttpxAsyncTransport])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_came_while_the_loop_was_blocked_is_read(backend: str, make: Callable[[], Any]) -> None:
    async def main() -> None:
        transport = make()
        exchange = await transport.send(request(server.base_url), 10, 10)
        read: list[bytes] = []

        async def reader() -> None:
            read.append(await exchange.read(0.2))

        async with anyio.create_task_group() as group:
            group.start_soon(reader)
            await anyio.sleep(0.01)
            time.sleep(0.5)  # noqa: ASYNC251  # that is the point
        assert read == [b"he"]
        await exchange.aclose()
        await transport.aclose()

    with RawServer(late_answer) as server:
        anyio.run(main, backend=backend)


@pytest.mark.parametrize("make", [SocketsTransport, HttpxTransport, SocketsAsyncTransport, HttpxAsyncTransport])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_time_at_all_is_enough_to_read_what_has_arrived(backend: str, make: Callable[[], Any]) -> None:
    """And where nothing has, the time is over."""
    if backend == "trio" and not make.__name__.endswith("AsyncTransport"):
        pytest.skip("no loop runs there")
    arrived = threading.Event()

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(head(transfer_encoding="chunked"))
        connection.send(chunked(b"he", last=False))
        arrived.set()
        connection.until_left()

    async def main() -> None:
        transport = make()
        sent = transport.send(request(server.base_url), 10, 10)
        exchange = await sent if hasattr(sent, "__await__") else sent
        assert await anyio.to_thread.run_sync(arrived.wait, 10)
        assert await waited(exchange.read, 0.0) == b"he"
        with pytest.raises(Exception, match="io") as caught:
            await waited(exchange.read, 0.0)
        assert type(caught.value).__name__ == "TimerExpired"
        await waited(getattr(exchange, "aclose", None) or exchange.close)
        await waited(getattr(transport, "aclose", None) or transport.close)

    with RawServer(script) as server:
        anyio.run(main, backend=backend)


async def waited(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function gives, or what its awaitable gives."""
    value = function(*arguments)
    return await value if hasattr(value, "__await__") else value
