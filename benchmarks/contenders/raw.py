"""The limit: a socket of asyncio, HTTP by hand, JSON into typed structs. It checks nothing, and is no client to use.

What is left out is what makes a client: timers, retries, limits, proof that the answer is whole, errors.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import cast
from urllib.parse import urlsplit

import msgspec

from .contract import KEY, OnText, body

__all__ = ["Raw"]

_VIEW = memoryview(bytearray(1 << 18))  # all connections of a loop read into the same buffer, one after the other


class _Function(msgspec.Struct):
    arguments: str = ""


class _ToolCall(msgspec.Struct):
    function: _Function


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta


class _Chunk(msgspec.Struct):
    choices: list[_Choice]


class _Message(msgspec.Struct):
    content: str


class _PlainChoice(msgspec.Struct):
    message: _Message


class _Plain(msgspec.Struct):
    choices: list[_PlainChoice]


_chunk = msgspec.json.Decoder(_Chunk).decode
_plain = msgspec.json.Decoder(_Plain).decode


def _piece(event: bytes) -> str | None:
    choices = _chunk(event[6:]).choices
    if not choices:
        return None
    delta = choices[0].delta
    if delta.tool_calls:
        return delta.tool_calls[0].function.arguments
    return delta.content or delta.reasoning_content


class _Connection(asyncio.BufferedProtocol):
    def __init__(self) -> None:
        self._received: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _VIEW

    def buffer_updated(self, nbytes: int) -> None:
        self._received.append(bytes(_VIEW[:nbytes]))
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> bytes:
        if not self._received:
            if self._is_over:
                raise ConnectionError("the vendor has closed the connection")
            self._waiter = self._loop.create_future()
            await self._waiter
            return await self.read() if not self._received else self._taken()
        return self._taken()

    def _taken(self) -> bytes:
        received = self._received
        data = received[0] if len(received) == 1 else b"".join(received)
        received.clear()
        return data

    async def read_head(self) -> tuple[bytes, bytes]:
        data = await self.read()
        while b"\r\n\r\n" not in data:
            data += await self.read()
        head, _, rest = data.partition(b"\r\n\r\n")
        return head, rest


class Raw:
    """Sockets and nothing else."""

    backend = "asyncio"

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._host, self._port = place.hostname or "", place.port or 0
        self._ssl = ssl.create_default_context() if place.scheme == "https" else None
        self._idle: list[_Connection] = []
        self._streamed, self._plain = (self._request(place.netloc, streamed) for streamed in (True, False))

    @staticmethod
    def _request(host: str, is_streamed: bool) -> bytes:
        content = json.dumps(body(is_streamed)).encode()
        lines = (
            "POST /v1/chat/completions HTTP/1.1",
            f"host: {host}",
            f"authorization: Bearer {KEY}",
            "content-type: application/json",
            f"content-length: {len(content)}",
        )
        return "\r\n".join((*lines, "", "")).encode() + content

    async def _send(self, request: bytes) -> _Connection:
        if self._idle:
            connection = self._idle.pop()
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._ssl)
        connection.transport.write(request)
        return connection

    async def stream(self, on_text: OnText | None = None) -> int:
        """Cut chunks out of the reads, events out of the chunks, and decode each."""
        connection = await self._send(self._streamed)
        _, data = await connection.read_head()
        rest, count, is_over = b"", 0, False
        while True:
            pieces, position = [rest], 0
            while (line := data.find(b"\r\n", position)) >= 0:
                size = int(data[position:line], 16)
                if len(data) < line + size + 4:
                    break
                pieces.append(data[line + 2 : line + 2 + size])
                position = line + size + 4
                is_over = size == 0
            data = data[position:]
            *events, rest = b"".join(pieces).split(b"\n\n")
            for event in events:
                piece = None if event == b"data: [DONE]" else _piece(event)
                if piece:
                    count += 1
                    if on_text is not None:
                        on_text(piece)
            if is_over:
                self._idle.append(connection)
                return count
            data += await connection.read()

    async def complete(self) -> str:
        """Read until the length that the head tells."""
        connection = await self._send(self._plain)
        head, data = await connection.read_head()
        size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(data) < size:
            data += await connection.read()
        self._idle.append(connection)
        return _plain(data).choices[0].message.content

    async def aclose(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.transport.close()
        await asyncio.sleep(0)
