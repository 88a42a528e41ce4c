"""The transport without an event loop: blocking sockets, and HTTP/1.1 by `http1`, with nothing in between."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from typing import Literal

from ..basics.forks import leave_to_parent, tell_child
from ..engine.commands import HttpRequest, TimerExpired, TransportFailure
from .address import Address, address_of
from .exchange import BaseExchange, buffers, earlier_timer, has_pending, head_failure
from .failures import broken, no_connection
from .http1 import HeadReader, Response, request_bytes
from .names import is_numeric, look_up, numeric_addresses
from .pool import Pool, is_readable

__all__ = ["SocketsTransport"]

_LEAST_SECONDS = 0.001  # 0 would mean: do not block
_LONGEST_SECONDS = 1e6  # a socket takes no more than 24 days, and nobody waits for so long

_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class _Connection:
    """A socket. One thread at a time reads from it."""

    __slots__ = ("__weakref__", "_socket", "is_all_written", "is_over")

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.is_over = False
        self.is_all_written = True
        tell_child(self)

    def forked(self, *, is_idle: bool = False) -> None:
        """Leave the socket to the parent."""
        self.is_over = True
        leave_to_parent(self._socket.fileno())
        if is_idle:
            self._socket.close()

    def write(self, data: memoryview, deadline: float | None) -> tuple[memoryview, Exception | None]:
        """Write until all is written, or something has come while the server would not take more.

        Returns what is left, and what prevented the rest: the end of the time (TimerExpired), or of the connection.
        """
        self.is_all_written = False
        try:
            self._socket.settimeout(0.0)
            while data:
                try:
                    data = data[self._socket.send(data) :]
                except _NOT_NOW:
                    is_ready = _until_ready(self._socket, deadline)
                    if not is_ready or is_readable(self._socket.fileno()):
                        return data, None if is_ready else TimerExpired("io")
        except OSError as error:
            return data, broken(error, "send")
        self.is_all_written = True
        return data, None

    def arrived(self) -> bytes | None:
        """Return what has come by now, b"" at the end, None if that is nothing, or not to be had."""
        view = buffers.view
        try:
            self._socket.settimeout(0.0)
            count = self._socket.recv_into(view)
        except OSError:
            return None
        self.is_over = not count
        return bytes(view[:count])

    def receive(self, deadline: float | None, stage: Literal["head", "body"]) -> bytes:
        """Return at least one byte, or b"" at the end. Raises TransportFailure, TimerExpired."""
        view = buffers.view
        try:
            self._set_timeout(deadline)  # another thread may have closed it meanwhile
            count = self._socket.recv_into(view)
            self.is_over = not count
            return bytes(view[:count])
        except TimeoutError as error:
            problem = TimerExpired("io") if _is_timer(error, deadline) else broken(error, stage)
        except OSError as error:
            problem = broken(error, stage)
        # A process that was suspended may be told that the time is over before anybody has looked at the socket.
        data = self.arrived() if isinstance(problem, TimerExpired) else None
        if data is not None:
            return data
        self.is_over = True
        raise problem

    def _set_timeout(self, deadline: float | None) -> None:
        left = None if deadline is None else min(max(deadline - time.monotonic(), _LEAST_SECONDS), _LONGEST_SECONDS)
        self._socket.settimeout(left)

    def is_quiet(self) -> bool:
        """Whether another request may follow."""
        return self.is_all_written and not self.is_over and not has_pending(self._socket)

    def is_usable(self) -> bool:
        """Whether nothing has come since it became idle."""
        return not (self.is_over or is_readable(self._socket.fileno()))

    def close(self) -> None:
        """Close the socket at once; wakes a thread that reads from it. Safe to call twice."""
        self.is_over = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not TLS's own, which would go on in the clear
        with contextlib.suppress(OSError):
            self._socket.close()


def _is_timer(error: TimeoutError, deadline: float | None) -> bool:
    """Tell our timers from those of the kernel (ETIMEDOUT), which raises the same exception."""
    return error.errno is None or (deadline is not None and time.monotonic() >= deadline)


def _connect(address: Address, connect_seconds: float | None, head_seconds: float | None) -> _Connection:
    """Return a new connection. Raises TimerExpired for the one of both timers that is due first."""
    seconds, stage = earlier_timer(connect_seconds, head_seconds)
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        context = _tls_context(deadline) if address.is_secure else None
        sock = _open(address, deadline)
        return _Connection(sock if context is None else _secured(sock, context, address.host, deadline))
    except TimeoutError as error:
        is_late = _is_timer(error, deadline)
        problem = TimerExpired(stage) if is_late else no_connection(error, address.host, address.port)
    except (OSError, UnicodeError) as error:
        problem = no_connection(error, address.host, address.port)
    raise problem


def _tls_context(deadline: float | None) -> ssl.SSLContext:
    from .tls import context_if_made, made_context  # certificates, and threads that read them

    return context_if_made() or made_context().wait(_left(deadline))


def _open(address: Address, deadline: float | None) -> socket.socket:
    """Try the addresses of a host in their order, each for its share of the time."""
    error: OSError = OSError("the name has no address")
    found = numeric_addresses(address) if is_numeric(address.host) else look_up(address).wait(_left(deadline))
    for number, (family, kind, protocol, _, at) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left(deadline, len(found) - number))
            sock.connect(at)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as failed:
            sock.close()
            error = failed
        except BaseException:
            sock.close()
            raise
    raise error


def _left(deadline: float | None, shares: int = 1) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError  # as a socket says it
    return min(left / shares, _LONGEST_SECONDS)


def _secured(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: float | None) -> socket.socket:
    try:
        sock.settimeout(_left(deadline))
        return context.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


def _until_ready(sock: socket.socket, deadline: float | None) -> bool:
    """Wait until a socket takes more, or has something to say. Returns whether that came in time."""
    seconds = None if deadline is None else min(max(deadline - time.monotonic(), 0.0), _LONGEST_SECONDS)
    return is_readable(sock.fileno(), seconds, or_writable=True)


def _write(
    connection: _Connection, data: memoryview, reader: HeadReader, deadline: float | None
) -> tuple[tuple[Response, bytes] | None, TransportFailure | None]:
    """Write a request; return the response if it comes before all is written, and what prevented the writing.

    Raises TransportFailure (stage head), TimerExpired.
    """
    while data:
        data, problem = connection.write(data, deadline)
        if isinstance(problem, TransportFailure):
            return None, problem
        came = connection.arrived() if data else None
        found = None if came is None else reader.feed(came)
        if found is not None:
            return found, None
        if problem is not None:
            raise problem
    return None, None


def _talk(
    connection: _Connection, data: memoryview, reader: HeadReader, deadline: float | None, is_reused: bool
) -> tuple[Response, bytes]:
    """Write a request and read the head. A server may answer before it has read all: then the answer counts."""
    unsent: TransportFailure | None = None
    try:
        found, unsent = _write(connection, data, reader, deadline)
        while found is None:
            found = reader.feed(connection.receive(deadline, "head"))
        return found
    except TransportFailure as failure:
        problem = head_failure(failure, reader, connection, is_reused=is_reused, unsent=unsent)
    raise problem


class SocketsExchange(BaseExchange[_Connection]):
    """One response being read."""

    __slots__ = ()

    def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, all that have come by now; b"" at the end."""
        if self._first:
            first, self._first = self._first, b""
            return first
        body = self._body
        deadline = None if seconds is None else time.monotonic() + seconds
        while not body.ended:
            if body.problem is not None:
                raise body.problem
            data = self._standing().receive(deadline, "body")
            if not data:
                body.end()
            elif data := body.feed(data):
                return data
        return b""

    def close(self) -> None:
        """Give the connection back, or close it."""
        self._give_back()


class SocketsTransport:
    """Sends requests, from as many threads as one likes."""

    def __init__(self) -> None:
        self._pool: Pool[_Connection] = Pool()

    def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> SocketsExchange:
        """Send a request and return its exchange once the head is there."""
        address = address_of(request.url)
        deadline = None if head_seconds is None else time.monotonic() + head_seconds
        connection = self._pool.take(address.origin)
        is_reused = connection is not None
        if connection is None:
            connection = _connect(address, connect_seconds, head_seconds)
        try:
            written = memoryview(request_bytes(request, address))
            response, first = _talk(connection, written, HeadReader(request.method), deadline, is_reused)
        except BaseException:
            connection.close()
            raise
        return SocketsExchange(response, first, connection, self._pool, address.origin)

    def close(self) -> None:
        """Close all connections that are idle, and the others when they are given back. What runs goes on."""
        self._pool.close()
