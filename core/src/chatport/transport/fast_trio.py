"""The transport for trio: its streams, and HTTP/1.1 by `http1`, with nothing in between."""

from __future__ import annotations

import math
import ssl
from typing import Any, Literal

import trio

from ..engine.commands import HttpRequest, TimerExpired, TransportFailure
from .address import Address, address_of
from .exchange import BaseExchange, earlier_timer, head_failure
from .failures import broken, no_connection
from .http1 import HeadReader, Response, request_bytes
from .pool import Pool, is_readable
from .tls import client_context, context_if_made

__all__ = ["TrioTransport"]

_READ_BYTES = 64 * 1024


class _Connection:
    """A socket that does not block. One task at a time uses it."""

    __slots__ = ("_is_tls", "_socket", "is_all_written", "is_over")

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self.is_all_written = True
        self.is_over = False

    async def write(self, data: bytes, deadline: float) -> TransportFailure | None:
        """Write all of it; return what prevented that, if the server would not have it. Raises TimerExpired."""
        rest = memoryview(data)
        with trio.CancelScope(deadline=deadline):
            try:
                while rest:
                    rest = rest[await _when_ready(self._socket, lambda: self._socket.send(rest)) :]
                return None
            except (OSError, trio.ClosedResourceError) as error:
                self.is_all_written = False
                return broken(error, "send")
        raise TimerExpired("io")

    async def receive(self, deadline: float, stage: Literal["head", "body"]) -> bytes:
        """Return at least one byte, or b"" at the end. Raises TransportFailure, TimerExpired."""
        view = buffers.view
        problem: Exception = TimerExpired("io")
        try:
            with trio.CancelScope(deadline=deadline):
                count = await _when_ready(self._socket, lambda: self._socket.recv_into(view))
                self.is_over = not count
                return bytes(view[:count])
        except (OSError, trio.ClosedResourceError) as error:
            problem = broken(error, stage)
        self.is_over = True
        raise problem

    def is_quiet(self) -> bool:
        """Whether another request may follow."""
        return self.is_all_written and not self.is_over and not has_pending(self._socket)

    def is_usable(self) -> bool:
        """Whether nothing has come since it became idle."""
        return not (self.is_over or is_readable(self._socket.fileno()))

    def close(self) -> None:
        """Close the socket at once. Safe to call twice."""
        self.is_over = True
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


async def _when_ready(sock: socket.socket, do: Callable[[], T]) -> T:
    """Do something with a socket as soon as that is possible without blocking. A checkpoint in any case."""
    await trio.lowlevel.checkpoint_if_cancelled()
    has_waited = False
    while True:
        try:
            done = do()
        except (BlockingIOError, ssl.SSLWantReadError):
            has_waited = True
            await trio.lowlevel.wait_readable(sock)
        else:
            if not has_waited:
                await trio.lowlevel.cancel_shielded_checkpoint()
            return done


async def _connect(address: Address, connect_seconds: float | None, head_seconds: float | None) -> _Connection:
    """Return a new connection. Raises TimerExpired for the one of both timers that is due first."""
    seconds, stage = earlier_timer(connect_seconds, head_seconds)
    problem: Exception = TimerExpired(stage)
    try:
        with trio.move_on_after(math.inf if seconds is None else seconds):
            return await _open(address)
    except trio.BrokenResourceError as error:  # of the handshake; its cause says what was wrong
        problem = no_connection(error.__cause__ or error)
    except (OSError, UnicodeError) as error:
        problem = no_connection(_first_of(error))
    raise problem


def _first_of(error: BaseException) -> BaseException:
    """Return what was wrong with the first address, where trio says only that none worked."""
    cause = error.__cause__
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause if isinstance(cause, OSError) else error


async def _open(address: Address) -> _Connection:
    context: ssl.SSLContext | None = None
    if address.is_secure:
        context = context_if_made() or await trio.to_thread.run_sync(client_context, abandon_on_cancel=True)
    stream = await trio.open_tcp_stream(address.host, address.port)
    if context is None:
        return _Connection(stream, stream.socket)
    try:
        # `https_compatible`: many servers close without a TLS goodbye; HTTP has its own proof of an end.
        secured = trio.SSLStream(stream, context, server_hostname=address.host, https_compatible=True)
        await secured.do_handshake()
        return _Connection(secured, stream.socket)
    except BaseException:
        stream.socket.close()
        raise


async def _read_head(
    connection: _Connection,
    reader: HeadReader,
    deadline: float,
    is_reused: bool,
    unsent: TransportFailure | None,
) -> tuple[Response, bytes]:
    """Read the head. A request that could not be written whole may have been answered early: then it counts."""
    try:
        while True:
            found = reader.feed(await connection.receive(deadline, "head"))
            if found is not None:
                return found
    except TransportFailure as failure:
        problem = head_failure(failure, reader, connection, is_reused=is_reused, unsent=unsent)
    raise problem


class TrioExchange(BaseExchange[_Connection]):
    """One response being read."""

    __slots__ = ()

    async def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, all that have come by now; b"" at the end."""
        if self._first:
            first, self._first = self._first, b""
            return first
        body, connection = self._body, self._connection
        if connection is None:
            return b""
        deadline = math.inf if seconds is None else trio.current_time() + seconds
        while not body.ended:
            if body.problem is not None:
                raise body.problem
            data = await connection.receive(deadline, "body")
            if not data:
                body.end()
            elif data := body.feed(data):
                return data
        return b""

    async def aclose(self) -> None:
        """Give the connection back, or close it. Nothing is awaited, so a cancelled call does it as well."""
        self._give_back()


class TrioTransport:
    """Sends requests on trio."""

    def __init__(self) -> None:
        self._pool: Pool[_Connection] = Pool()

    async def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> TrioExchange:
        """Send a request and return its exchange once the head is there."""
        address = address_of(request.url)
        deadline = math.inf if head_seconds is None else trio.current_time() + head_seconds
        connection = self._pool.take(address.origin)
        is_reused = connection is not None
        if connection is None:
            connection = await _connect(address, connect_seconds, head_seconds)
        try:
            unsent = await connection.write(request_bytes(request, address), deadline)
            response, first = await _read_head(connection, HeadReader(request.method), deadline, is_reused, unsent)
        except BaseException:
            connection.close()
            raise
        return TrioExchange(response, first, connection, self._pool, address.origin)

    async def aclose(self) -> None:
        """Close all connections that are idle, and the others when they are given back."""
        pool, self._pool = self._pool, Pool()
        pool.close()
