"""The transport for trio: sockets, and HTTP/1.1 by `http1`, with nothing in between but trio's own waiting."""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Literal, TypeVar, cast

import trio

from ..basics.bell import is_trio
from ..basics.forks import keep_for_ever, leave_to_parent, tell_child
from ..engine.commands import HttpRequest, TimerExpired, TransportFailure
from .address import Address, address_of
from .exchange import BaseExchange, buffers, earlier_timer, has_pending, head_failure
from .failures import broken, no_connection
from .http1 import HeadReader, Response, request_bytes
from .names import NEXT_ADDRESS_SECONDS, SocketAddress, is_numeric, look_up, numeric_addresses
from .pool import Pool, is_readable
from .trio_watch import Watch

__all__ = ["TrioTransport"]

T = TypeVar("T")
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class _Connection:
    """A socket that does not block. One task at a time uses it."""

    __slots__ = (
        "__weakref__", "_is_expired", "_is_tls", "_socket", "_watch", "deadline", "is_all_written", "is_over",
        "is_waiting", "watched_until",
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
        tell_child(self)

    def forked(self, *, is_idle: bool = False) -> None:
        """Leave the socket to the parent."""
        self.is_over = True
        leave_to_parent(self._socket.fileno())
        if is_idle:
            self._socket.close()

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
        problem = no_connection(error, address.host, address.port)
    raise problem


async def _open(address: Address) -> socket.socket:
    context: ssl.SSLContext | None = None
    if address.is_secure:
        from .tls import context_if_made, made_context  # certificates, and threads that read them

        context = context_if_made() or await made_context().finished()
    addresses = numeric_addresses(address) if is_numeric(address.host) else await look_up(address).finished()
    stream = await _first_to_answer(addresses)
    # The bare socket from here on: trio's own layers cost as much again as the read.
    sock = socket.socket(stream.family, stream.type, stream.proto, stream.detach())
    try:
        sock.setblocking(False)
        if context is not None:
            sock = secured = context.wrap_socket(sock, server_hostname=address.host, do_handshake_on_connect=False)
            await _when_ready(secured, secured.do_handshake, trio.lowlevel.wait_readable)
    except BaseException:
        sock.close()
        raise
    return sock


async def _first_to_answer(addresses: list[SocketAddress]) -> trio.socket.SocketType:
    """Return a socket connected to the first address that answers. Raises the first one's OSError."""
    if len(addresses) == 1:
        return await _connected(addresses[0])
    answered: list[trio.socket.SocketType] = []
    problems: list[OSError] = []

    async def attempt(address: SocketAddress, failed: trio.Event) -> None:
        try:
            answered.append(await _connected(address))
        except OSError as error:
            problems.append(error)
            failed.set()
        else:
            nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for address in addresses:
                failed = trio.Event()
                nursery.start_soon(attempt, address, failed)
                with trio.move_on_after(NEXT_ADDRESS_SECONDS):
                    await failed.wait()
    except BaseException:
        _close(answered)
        raise
    if not answered:
        raise problems[0]
    _close(answered[1:])
    return answered[0]


def _close(sockets: list[trio.socket.SocketType]) -> None:
    for sock in sockets:
        sock.close()


async def _connected(address: SocketAddress) -> trio.socket.SocketType:
    family, kind, protocol, _, at = address
    sock = trio.socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await sock.connect(at)
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


class _Run:
    """What belongs to one `trio.run`. It ends with it."""

    def __init__(self) -> None:
        self.pool: Pool[_Connection] = Pool()
        self.watch = Watch()
        self.end: AsyncGenerator[None, None] | None = None

    async def until_the_end(self, forget: Callable[[], None]) -> AsyncGenerator[None, None]:
        """Close what is idle when the run ends: trio finishes the generators that were begun in it."""
        try:
            yield
        finally:
            forget()
            self.pool.close()

    def retire(self) -> None:
        """Close what is idle now, and the rest when it is given back. What runs keeps its timers."""
        self.pool.close()
        self.watch.retire()


class TrioTransport:
    """Sends requests on trio. Connections and timers belong to the run that made them; each run has its own."""

    def __init__(self) -> None:
        self._runs: dict[trio.lowlevel.TrioToken, _Run] = {}
        self._is_closed = False
        tell_child(self)

    def forked(self) -> None:
        """Begin anew in each run, also in one that the parent began."""
        keep_for_ever(self._runs)
        self._runs = {}

    async def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> TrioExchange:
        """Send a request and return its exchange once the head is there."""
        address = address_of(request.url)
        deadline = math.inf if head_seconds is None else trio.current_time() + head_seconds
        token = trio.lowlevel.current_trio_token()
        run = self._runs.get(token) or await self._begin(token)
        connection = run.pool.take(address.origin)
        is_reused = connection is not None
        if connection is None:
            connection = await _connect(address, connect_seconds, head_seconds, run.watch)
        try:
            written = memoryview(request_bytes(request, address))
            response, first = await _talk(connection, written, HeadReader(request.method), deadline, is_reused)
        except BaseException:
            connection.close()
            raise
        return TrioExchange(response, first, connection, run.pool, address.origin)

    async def _begin(self, token: trio.lowlevel.TrioToken) -> _Run:
        run = self._runs[token] = _Run()
        if self._is_closed:  # a call that began before goes on, and keeps nothing
            run.pool.close()
        run.end = run.until_the_end(lambda: cast(None, self._runs.pop(token, None)))
        await anext(run.end)
        return run

    async def aclose(self) -> None:
        """Close idle connections, in any run, and the others when they are given back. What runs goes on."""
        self._is_closed = True
        own = trio.lowlevel.current_trio_token() if is_trio() else None
        for token, run in list(self._runs.items()):
            if token is own:
                run.retire()
                if run.end is not None:
                    await run.end.aclose()
            else:
                with contextlib.suppress(trio.RunFinishedError):
                    token.run_sync_soon(run.retire)
