"""A client that leaves, at whatever point, stops the vendor at once, and nothing is left of it."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import time
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import structlog

import chatport
from chatport_gateway import Gateway, GatewaySettings, make_server
from chatport_gateway.leaving import ClientLeft, while_there

from .asking import PROTOCOLS, Protocol

CALLS = 1000
AT_ONCE = 8
SECONDS = 0.1
POINTS = {"in the request": 1, "at once": 1, "while it waits": 4, "in the answer": 4}
"""Where a client leaves, and how often: the vendor hears nothing of the first two, for the most part."""


class Vendor:
    """Speaks for ever where a stream is asked for, else begins an answer; it notes when each of its clients is gone."""

    def __init__(self) -> None:
        self.began: dict[int, float] = {}
        self.ended: dict[int, float] = {}
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = -1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                asked = json.loads(await reader.readexactly(length))
                number = int(asked["messages"][-1]["content"])
                self.began[number] = time.monotonic()
                await self._speak(reader, writer, is_stream=bool(asked.get("stream")))
        except (asyncio.IncompleteReadError, ConnectionError):
            if number >= 0:  # else it was gone before it had asked
                self.ended[number] = time.monotonic()
        finally:
            self.connections -= 1
            writer.close()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_stream: bool) -> None:
        """Go on until the client is gone. Raises IncompleteReadError then."""
        gone = asyncio.ensure_future(reader.readexactly(1))
        if is_stream:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        elif len(self.began) % 2:  # the others wait for a head
            writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{"a": [')
        while not gone.done():
            if is_stream and not writer.is_closing():
                delta = {"index": 0, "delta": {"role": "assistant", "content": "word "}, "finish_reason": None}
                data = b"data: " + json.dumps({"choices": [delta]}).encode() + b"\n\n"
                writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await asyncio.wait({gone}, timeout=0.002)
        gone.result()


class Leaver:
    """A client that asks and leaves, at a point of its own."""

    def __init__(self, port: int, number: int, chance: random.Random) -> None:
        self.port, self.number = port, number
        self.protocol: Protocol = chance.choice(PROTOCOLS)
        self.stream = chance.random() < 0.6
        self.point = chance.choices(list(POINTS), list(POINTS.values()))[0]
        self.pause_seconds = chance.uniform(0, 0.02)
        self.events = chance.randrange(1, 12)
        self.is_abrupt = chance.random() < 0.5
        self.left = 0.0

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        body = json.dumps(self.protocol.body(str(self.number), stream=self.stream)).encode()
        head = f"POST {self.protocol.path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        request = head + body
        cut = random.Random(self.number).randrange(len(request)) if self.point == "in the request" else None
        writer.write(request[:cut])
        await writer.drain()
        if self.point == "while it waits":
            await asyncio.sleep(self.pause_seconds)
        elif self.point == "in the answer":
            await self._hear(reader)
        self.left = time.monotonic()
        if self.is_abrupt:
            writer.transport.abort()
        else:
            writer.close()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        """Take some events; of a plain answer, whose beginning alone has come to the gateway, there are none."""
        if not self.stream:
            await asyncio.sleep(self.pause_seconds)
            return
        for _ in range(self.events):
            await reader.readuntil(b"\n\n")


class Stolen:
    """When the machine gave this process no time, and how much of it: other programs run here too."""

    def __init__(self) -> None:
        self._gaps: list[tuple[float, float]] = []

    async def watch(self) -> None:
        """Look all the time: what passes between two looks, is not slept and is not worked."""
        while True:
            wall, cpu = time.monotonic(), time.process_time()
            await asyncio.sleep(0.001)
            now = time.monotonic()
            gap = (now - wall) - (time.process_time() - cpu) - 0.001
            if gap > 0.005:
                self._gaps.append((now, gap))

    def between(self, start: float, end: float) -> float:
        return sum(gap for at, gap in self._gaps if at - gap < end and start < at)


class Grown:
    """How many tasks, connections and objects there are, as soon as it is quiet."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    async def now(self) -> tuple[int, int, int]:
        await asyncio.sleep(2 * SECONDS)
        gc.unfreeze()  # all there are; see conftest.py
        gc.collect()
        return len(asyncio.all_tasks()), self._vendor.connections, len(gc.get_objects())


async def leave(port: int, numbers: range, chance: random.Random) -> list[Leaver]:
    """Let so many clients ask and leave, some at a time."""
    leavers = [Leaver(port, number, chance) for number in numbers]
    waiting = iter(leavers)

    async def work() -> None:
        for leaver in waiting:
            await leaver.run()

    await asyncio.gather(*[work() for _ in range(AT_ONCE)])
    return leavers


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_work_is_done_for_whoever_is_there(backend: str) -> None:
    """It is cancelled when its client leaves, and not before; what it raises comes through, a timeout too."""
    ends: list[str] = []

    def told(*kinds: str) -> Any:
        coming = list(kinds)

        async def receive() -> Any:
            if not coming:
                await anyio.sleep_forever()
            return {"type": coming.pop(0)}

        return receive

    async def last() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ends.append("cancelled")

    async def late() -> None:
        raise TimeoutError("of the work")

    async def short() -> int:
        await anyio.lowlevel.checkpoint()
        return 7

    async def main() -> None:
        with anyio.fail_after(10):
            with pytest.raises(ClientLeft):
                await while_there(told("http.request", "http.disconnect"), last)
            assert ends == ["cancelled"]
            assert await while_there(told("http.request"), short) == 7
            with pytest.raises((TimeoutError, BaseExceptionGroup)) as caught:
                await while_there(told(), late)
        error: BaseException = caught.value
        while isinstance(error, BaseExceptionGroup):
            [error] = error.exceptions
        assert (type(error), str(error)) == (TimeoutError, "of the work")

    anyio.run(main, backend=backend)


@pytest.mark.slow
def test_a_thousand_clients_that_leave() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))

    async def main() -> Any:
        vendor = Vendor()
        behind = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{behind.sockets[0].getsockname()[1]}/v1"
        tables = {
            "providers": {"acme": {"kind": "compatible", "base_url": address, "api_key": "key"}},
            "aliases": {"main": ["acme:m"]},
            "retry": {"attempts": 1},
        }
        async with chatport.AsyncClient(tables) as client:
            server = make_server(Gateway(client=client, settings=GatewaySettings(port=0)))
            serving = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            grown, chance, stolen = Grown(vendor), random.Random(13), Stolen()
            watching = asyncio.create_task(stolen.watch())
            leavers = await leave(port, range(CALLS // 5), chance)
            early = await grown.now()
            leavers += await leave(port, range(CALLS // 5, CALLS), chance)
            late = await grown.now()
            watching.cancel()
            server.should_exit = True
            await serving
        behind.close()
        await behind.wait_closed()
        return vendor, leavers, early, late, stolen

    try:
        vendor, leavers, early, late, stolen = asyncio.run(main())
    finally:
        structlog.reset_defaults()
    assert len(leavers) == CALLS
    assert late[0] == early[0]
    assert late[1] == 0
    assert late[2] < early[2] * 1.02
    assert vendor.began.keys() == vendor.ended.keys()
    times = [
        (max(one.left, vendor.began[one.number]), vendor.ended[one.number])
        for one in leavers
        if one.number in vendor.began
    ]
    took = sorted(end - start - stolen.between(start, end) for start, end in times)
    assert len(took) > CALLS * 0.7
    asked = {(one.protocol.name, one.stream, one.point) for one in leavers if one.number in vendor.began}
    assert {
        (protocol.name, stream, point)
        for protocol in PROTOCOLS
        for stream in (False, True)
        for point in ("while it waits", "in the answer")
    } <= asked
    assert took[-1] < SECONDS
