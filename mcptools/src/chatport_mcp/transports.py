"""The SDK's two ways to a server, with what it does not do: keys by reference, last words, and the end of it told."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import httpx2
from mcp import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from chatport import Secret

from .servers import McpServer

__all__ = ["LastWords", "Status", "streams_of"]

_MOST_BYTES = 4096
_SHORTEST_SECRET = 6
_HTTP_SECONDS = 30.0


class LastWords:
    """The end of what a server has written to stderr, without the secrets that it was given."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self.secrets: list[Secret] = []

    def add(self, piece: bytes) -> None:
        """Keep a piece, and forget what came long before."""
        self._pieces.append(piece)
        while sum(map(len, self._pieces)) - len(self._pieces[0]) > _MOST_BYTES:
            self._pieces.popleft()

    def __str__(self) -> str:
        text = b"".join(self._pieces).decode("utf-8", "replace")
        for secret in self.secrets:
            if len(secret.reveal()) >= _SHORTEST_SECRET:
                text = text.replace(secret.reveal(), "***")
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        return " | ".join(lines[-3:])


class Status:
    """The status of the last HTTP answer, which the SDK does not tell."""

    code: int | None = None


@asynccontextmanager
async def streams_of(
    server: McpServer, words: LastWords, status: Status, on_end: Callable[[], None]
) -> AsyncGenerator[tuple[Any, Any], None]:
    """Give the two streams of a connection to a server. `on_end` is called when nothing more will come."""
    way = _over_http(server, status) if server.url is not None else _over_stdio(server, words)
    async with way as (read, write):
        yield _Watched(read, on_end), write


class _Watched:
    """A stream that tells its end: the SDK ends the calls under way then, and says nothing to who makes none."""

    def __init__(self, inner: Any, on_end: Callable[[], None]) -> None:
        self._inner = inner
        self._on_end = on_end

    @property
    def last_context(self) -> Any:
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> Any:
        try:
            return await self._inner.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._on_end()
            raise

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> _Watched:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


# --- a process


@asynccontextmanager
async def _over_stdio(server: McpServer, words: LastWords) -> AsyncGenerator[tuple[Any, Any], None]:
    env = {name: await source.read() for name, source in server.secrets().items()}
    words.secrets = list(env.values())
    program, *arguments = server.words
    settings = StdioServerParameters(
        command=program,
        args=arguments,
        env={name: value.reveal() for name, value in env.items()},
        cwd=None if server.cwd is None else str(server.cwd),
    )
    async with _stderr(words) as errlog, stdio_client(settings, errlog) as streams:
        errlog.close()  # the process has it
        yield streams


@asynccontextmanager
async def _stderr(words: LastWords) -> AsyncGenerator[Any, None]:
    """Give the file that a server writes its complaints to; their end is kept in `words`.

    Not ours: a terminal would show them between the lines of the program. On Windows no loop waits for a pipe, and they
    are dropped.
    """
    if sys.platform == "win32":
        with open(os.devnull, "w") as nowhere:  # noqa: ASYNC230  # it is no file
            yield nowhere
    else:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        try:
            with os.fdopen(writing, "w") as errlog:
                async with anyio.create_task_group() as group:
                    group.start_soon(_follow, reading, words)
                    try:
                        yield errlog
                    finally:
                        group.cancel_scope.cancel()
        finally:
            with suppress(OSError):  # a last look: nobody was there for what came at the very end
                _take(reading, words)
            os.close(reading)


async def _follow(reading: int, words: LastWords) -> None:
    is_open = True
    while is_open:
        await anyio.wait_readable(reading)
        is_open = _take(reading, words)


def _take(reading: int, words: LastWords) -> bool:
    """Take what has come, and return whether more may come."""
    with suppress(BlockingIOError):
        while piece := os.read(reading, _MOST_BYTES):
            words.add(piece)
        return False
    return True


# --- HTTP


@asynccontextmanager
async def _over_http(server: McpServer, status: Status) -> AsyncGenerator[tuple[Any, Any], None]:
    assert server.url is not None
    auth = _Headers(server, status)
    await auth.read()
    timeout = httpx2.Timeout(_HTTP_SECONDS, read=max(server.call_seconds, _HTTP_SECONDS))
    async with (
        httpx2.AsyncClient(timeout=timeout, auth=auth) as http,
        streamable_http_client(server.url, http_client=http) as streams,
    ):
        yield streams


class _Headers(httpx2.Auth):
    """Puts the headers on each request, and reads secrets again that are refused. The client never holds them."""

    def __init__(self, server: McpServer, status: Status) -> None:
        self._sources = server.secrets()
        self._has_bearer = server.bearer is not None
        self._inner: httpx2.Auth | None = server.auth
        self._status = status
        self._values: dict[str, Secret] = {}

    async def read(self) -> None:
        """Read the secrets. Raises ConfigurationError."""
        self._values = {name: await source.read() for name, source in self._sources.items()}

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        self._put(request)
        response = None
        if self._inner is None:
            response = yield request
        else:
            flow = self._inner.async_auth_flow(request)
            async with _closing(flow):
                with suppress(StopAsyncIteration):
                    asked = await anext(flow)
                    while True:
                        response = yield asked
                        asked = await flow.asend(response)
        if response is not None and response.status_code == 401 and await self._has_changed():
            self._put(request)
            response = yield request
        self._status.code = None if response is None else response.status_code

    def _put(self, request: Any) -> None:
        for name, value in self._values.items():
            is_bearer = self._has_bearer and name == "authorization"
            request.headers[name] = f"Bearer {value.reveal()}" if is_bearer else value.reveal()

    async def _has_changed(self) -> bool:
        if not any(source.may_change for source in self._sources.values()):
            return False
        before = self._values
        await self.read()
        return self._values != before


@asynccontextmanager
async def _closing(flow: AsyncGenerator[Any, Any]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await flow.aclose()
