"""The transport for trio: sockets, and HTTP/1.1 by `http1`, with nothing in between but trio's own waiting."""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import trio

from ..engine.commands import HttpRequest, TimerExpired, TransportFailure
from .address import Address, address_of
from .exchange import BaseExchange, buffers, earlier_timer, has_pending, head_failure
from .failures import broken, no_connection, no_descriptors
from .http1 import HeadReader, Response, request_bytes
from .pool import Pool, is_readable
from .tls import client_context, context_if_made
from .trio_watch import Watch

__all__ = ["TrioTransport"]

T = TypeVar("T")
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class _Connection:
    """A socket that does not block. One task at a time uses it."""

    __slots__ = (
        "_is_expired", "_is_tls", "_socket", "_watch", "deadline", "is_all_written", "is_over", "is_waiting",
        "watched_until",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, watch: Watch) -> None:
        self._socket = sock
        self._watch = watch
        self._is_expired = False
        self.is_waiting = False
        self.deadline = self.watched_until = math.inf
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self.is_all_written = True
        self.is_over = False

    async def write(self, data: memoryview, deadline: float) -> tuple[memoryview, Exception | None]:
        """Write until all is written, or something has come while the server would not take more.

        Returns what is left, and what prevented the rest: the end of the time (TimerExpired), or of the connection.
        """
        self.is_all_written = False
        with trio.CancelScope(deadline=deadline):
            await trio.lowlevel.checkpoint_if_cancelled()
            while data:
                try:
                    data = data[self._socket.send(data) :]
                except _NOT_NOW:
                    await _until_ready(self._socket)
                    if is_readable(self._socket.fileno()):
                        return data, None
                except OSError as error:
                    return data, broken(error, "send")
            self.is_all_written = True
            return data, None
        return data, TimerExpired("io")

    def arrived(self) -> bytes | None:
        """Return what has come by now, b"" at the end, None if that is nothing, or not to be had."""
        try:
            data = self._read()
        except OSError:
            return None
        self.is_over = not data
        return data

    async def receive(self, deadline: float, stage: Literal["head", "body"]) -> bytes:
        """Return at least one byte, or b"" at the end. Raises TransportFailure, TimerExpired."""
        self._is_expired = False
        self._watch.begin(self, deadline)
        try:
            data = await self._receive()
            self.is_over = not data
            return data
        except (OSError, trio.ClosedResourceError) as error:
            problem = TimerExpired("io") if self._is_expired else broken(error, stage)
        finally:
            self.is_waiting = False
        self.is_over = True
        raise problem

    async def _receive(self) -> bytes:
        try:
            if self._is_tls:
                return await _when_ready(self._socket, self._read_in_time, trio.lowlevel.wait_readable)
            return await self._receive_plain()
        except trio.ClosedResourceError:
            # trio that was suspended may say that the time is over before it has looked at its sockets.
            data = self.arrived() if self._is_expired else None
            if data is None:
                raise
            return data

    def expire(self) -> None:
        """End the wait for bytes. The socket stays open: trio only says that it is about to be closed."""
        self._is_expired = True
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)

    async def _receive_plain(self) -> bytes:
        """Wait first: a stream is mostly waited for, and the wait is the checkpoint that is due in any case."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            with contextlib.suppress(BlockingIOError):  # it was announced, and is gone
                return self._read_in_time()

    def _read_in_time(self) -> bytes:
        """Read what is there. Raises ClosedResourceError if that is nothing, and nobody watches the time any more."""
        try:
            return self._read()
        except _NOT_NOW:
            if self._is_expired:
                raise trio.ClosedResourceError from None
            raise

    def _read(self) -> bytes:
        """Read what is there, and take it out of the common buffer before any other task runs."""
        view = buffers.view
        return bytes(view[: self._socket.recv_into(view)])

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


async def _until_ready(sock: socket.socket) -> None:
    """Wait until a socket takes more, or has something to say."""

    async def wait(until: Callable[[socket.socket], Awaitable[None]]) -> None:
        with contextlib.suppress(OSError, trio.ClosedResourceError):  # the next use of the socket will say so
            await until(sock)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, trio.lowlevel.wait_readable)
        nursery.start_soon(wait, trio.lowlevel.wait_writable)


async def _when_ready(sock: socket.socket, do: Callable[[], T], wait: Callable[[socket.socket], Awaitable[None]]) -> T:
    """Do something with a socket as soon as that can be done without blocking. A checkpoint in any case.

    `wait` is for plain sockets; TLS says itself whether it has to read or to write next.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    has_waited = False
    while True:
        try:
            done = do()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            problem = error
        else:
            if not has_waited:
                await trio.lowlevel.cancel_shielded_checkpoint()
            return done
        has_waited = True
        if isinstance(problem, ssl.SSLWantReadError):
            await trio.lowlevel.wait_readable(sock)
        elif isinstance(problem, ssl.SSLWantWriteError):
            await trio.lowlevel.wait_writable(sock)
        else:
            await wait(sock)


async def _connect(
    address: Address, connect_seconds: float | None, head_seconds: float | None, watch: Watch
) -> _Connection:
    """Return a new connection. Raises TimerExpired for the one of both timers that is due first."""
    seconds, stage = earlier_timer(connect_seconds, head_seconds)
    problem: Exception = TimerExpired(stage)
    try:
        with trio.move_on_after(math.inf if seconds is None else seconds):
            return _Connection(await _open(address), watch)
    except (OSError, UnicodeError) as error:
        problem = no_descriptors(error) or no_connection(_first_of(error))
    raise problem


def _first_of(error: BaseException) -> BaseException:
    """Return what was wrong with the first address, where trio says only that none worked."""
    cause = error.__cause__
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause if isinstance(cause, OSError) else error


async def _open(address: Address) -> socket.socket:
    context: ssl.SSLContext | None = None
    if address.is_secure:
        context = context_if_made() or await trio.to_thread.run_sync(client_context, abandon_on_cancel=True)
    stream = await trio.open_tcp_stream(address.host, address.port)  # which has set TCP_NODELAY
    # The bare socket from here on: trio's own layers cost as much again as the read.
    sock = socket.socket(stream.socket.family, stream.socket.type, stream.socket.proto, stream.socket.detach())
    try:
        sock.setblocking(False)
        if context is not None:
            sock = secured = context.wrap_socket(sock, server_hostname=address.host, do_handshake_on_connect=False)
            await _when_ready(secured, secured.do_handshake, trio.lowlevel.wait_readable)
    except BaseException:
        sock.close()
        raise
    return sock


async def _write(
    connection: _Connection, data: memoryview, reader: HeadReader, deadline: float
) -> tuple[tuple[Response, bytes] | None, TransportFailure | None]:
    """Write a request; return the response if it comes before all is written, and what prevented the writing.

    Raises TransportFailure (stage head), TimerExpired.
    """
    while data:
        data, problem = await connection.write(data, deadline)
        if isinstance(problem, TransportFailure):
            return None, problem
        came = connection.arrived() if data else None
        found = None if came is None else reader.feed(came)
        if found is not None:
            return found, None
        if problem is not None:
            raise problem
    return None, None


async def _talk(
    connection: _Connection, data: memoryview, reader: HeadReader, deadline: float, is_reused: bool
) -> tuple[Response, bytes]:
    """Write a request and read the head. A server may answer before it has read all: then the answer counts."""
    unsent: TransportFailure | None = None
    try:
        found, unsent = await _write(connection, data, reader, deadline)
        while found is None:
            found = reader.feed(await connection.receive(deadline, "head"))
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
        body = self._body
        deadline = math.inf if seconds is None else trio.current_time() + seconds
        while not body.ended:
            if body.problem is not None:
                raise body.problem
            data = await self._standing().receive(deadline, "body")
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
        self._watch = Watch()

    async def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> TrioExchange:
        """Send a request and return its exchange once the head is there."""
        address = address_of(request.url)
        deadline = math.inf if head_seconds is None else trio.current_time() + head_seconds
        connection = self._pool.take(address.origin)
        is_reused = connection is not None
        if connection is None:
            connection = await _connect(address, connect_seconds, head_seconds, self._watch)
        try:
            written = memoryview(request_bytes(request, address))
            response, first = await _talk(connection, written, HeadReader(request.method), deadline, is_reused)
        except BaseException:
            connection.close()
            raise
        return TrioExchange(response, first, connection, self._pool, address.origin)

    async def aclose(self) -> None:
        """Close all connections that are idle, and the others when they are given back."""
        pool, self._pool = self._pool, Pool()
        pool.close()
        self._watch.stop()
