"""What one exchange is on asyncio, trio and threads alike: all of it but the waiting."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import Generic, Literal, Protocol, TypeVar

from ..engine.commands import TransportFailure
from .failures import broken, stale
from .http1 import HeadReader, Response
from .pool import Connection as PooledConnection, Origin, Pool

__all__ = ["BUFFER_BYTES", "BaseExchange", "Connection", "buffers", "earlier_timer", "has_pending", "head_failure"]

BUFFER_BYTES = 256 * 1024
"""Into how large a buffer sockets are read; what is not written to takes no memory."""


class Connection(PooledConnection, Protocol):
    """A socket that carries one exchange after the other."""

    is_over: bool
    """Whether it has ended or broken."""

    def is_quiet(self) -> bool:
        """Whether all is written, all that came was read, and the connection stands."""


C = TypeVar("C", bound=Connection)


class BaseExchange(Generic[C]):
    """One response being read. What came with its head is given out first."""

    __slots__ = (
        "_body", "_connection", "_first", "_idle_seconds", "_is_trusted", "_keeps_alive", "_origin", "_pool", "head",
    )  # fmt: skip

    def __init__(self, response: Response, first: bytes, connection: C, pool: Pool[C], origin: Origin) -> None:
        self.head = response.head
        self._keeps_alive = response.keeps_alive
        self._idle_seconds = response.idle_seconds
        self._body = response.body
        self._first = self._body.feed(first) if first else b""
        self._connection: C | None = connection
        self._pool = pool
        self._origin = origin
        self._is_trusted = True

    def _standing(self) -> C:
        """Return the connection. Raises TransportFailure if it was given away before the body's end."""
        if self._connection is None:
            raise broken(None, "body")
        return self._connection

    def distrust(self) -> None:
        """Close the connection when the exchange is closed, however well its body ended."""
        self._is_trusted = False

    def _give_back(self) -> None:
        """Keep the connection for another request if its state is beyond doubt, else close it. Safe to call twice."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        body = self._body
        if self._is_trusted and body.ended and self._keeps_alive and not body.extra and connection.is_quiet():
            self._pool.give(self._origin, connection, self._idle_seconds)
        else:
            connection.close()


def head_failure(
    failure: TransportFailure,
    reader: HeadReader,
    connection: Connection,
    *,
    is_reused: bool,
    unsent: TransportFailure | None = None,
) -> TransportFailure:
    """Return what to raise for a head that did not come; `unsent` is what went wrong while the request was written."""
    if not (reader.is_silent and connection.is_over):
        return failure
    return stale(failure) if is_reused else unsent or failure


def earlier_timer(
    connect_seconds: float | None, head_seconds: float | None
) -> tuple[float | None, Literal["connect", "io"]]:
    """Return how long a connection may take to come to stand, and the stage of the timer that says so."""
    if head_seconds is not None and (connect_seconds is None or head_seconds < connect_seconds):
        return head_seconds, "io"
    return connect_seconds, "connect"


class _Buffers(threading.local):
    """One buffer for a thread, made when it first reads: it is emptied before the thread does anything else."""

    def __init__(self) -> None:
        # A memoryview: asyncio's TLS slices what it is given, and a slice of a bytearray would be a copy.
        self.view = memoryview(bytearray(BUFFER_BYTES))


buffers = _Buffers()


def has_pending(sock: socket.socket) -> bool:
    """Whether TLS holds bytes that were decrypted and not read, which nobody could see at the socket."""
    return isinstance(sock, ssl.SSLSocket) and bool(sock.pending())
