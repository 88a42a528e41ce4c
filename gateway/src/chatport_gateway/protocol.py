"""HTTP on a connection, with bounds that uvicorn does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["server_config"]


class _Joining:
    """A transport that sends the head of an answer with what follows it at once: uvicorn asks for each by itself.

    `write` is another function before a head, with one that waits, and after it: then it is the transport's own.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head = b""
        self.write: Callable[[bytes], None] = self._hold

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def await_head(self) -> None:
        """Hold what is written next, since a new answer begins with it."""
        self._flush()
        self.write = self._hold

    def close(self) -> None:
        self._flush()
        self.write = self._transport.write  # no more of its own: nothing is to hold itself
        self._transport.close()

    def _hold(self, data: bytes) -> None:
        self._head, self.write = data, self._join
        self._loop.call_soon(self._flush)

    def _join(self, data: bytes) -> None:
        head, self._head, self.write = self._head, b"", self._transport.write
        self.write(head + data)

    def _flush(self) -> None:
        if self._head:
            self._join(b"")


class _Protocol(HttpToolsProtocol):
    """Closes a connection whose request has no whole head in time; uvicorn has no bound on that."""

    header_seconds: Callable[[], float]
    most_connections: Callable[[], int]

    def connection_made(self, transport: Any) -> None:
        self.limit_concurrency = type(self).most_connections() or None  # as it is now
        super().connection_made(_Joining(transport, self.loop))  # type: ignore[arg-type]
        self._is_in_head = False
        self._timer: asyncio.TimerHandle | None = None
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_head()
        super().connection_lost(exc)
        self.transport.close()
        self._unset_keepalive_if_required()  # uvicorn lets it run, and hold all this, where the client has reset

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_in_head:  # as a rule a head comes whole
            self._is_in_head = False
            self._await_head()

    def on_message_begin(self) -> None:
        self._is_in_head = True
        super().on_message_begin()

    def on_response_complete(self) -> None:
        self.transport.await_head()  # type: ignore[attr-defined]
        super().on_response_complete()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._have_head()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._have_head()
        seconds = type(self).header_seconds()
        if seconds:
            self._timer = self.loop.call_later(seconds, self.transport.close)

    def _have_head(self) -> None:
        timer = self._timer
        if timer is not None:
            timer.cancel()
            self._timer = None


def server_config(
    app: Any, header_seconds: Callable[[], float], connections: Callable[[], int], **more: Any
) -> uvicorn.Config:
    """Return how an application is served with so many connections, in which a head may take so long; 0: unbounded."""
    bounds = {"header_seconds": staticmethod(header_seconds), "most_connections": staticmethod(connections)}
    return uvicorn.Config(
        app,
        http=type("_BoundedProtocol", (_Protocol,), bounds),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks where a request came from
        **more,
    )
