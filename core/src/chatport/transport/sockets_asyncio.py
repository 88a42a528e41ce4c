"""The transport for asyncio (uvloop too): sockets, and HTTP/1.1 by `http1`, with nothing in between.

A read costs one future. There is one buffer for an event loop, into which all its sockets are read, and one timer for
a connection, which is moved only when it is due too late.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from typing import Any, Literal, cast

from ..basics.bell import is_trio
from ..basics.forks import keep_for_ever, leave_to_parent, tell_child
from ..engine.commands import HttpRequest, TimerExpired, TransportFailure
from .address import Address, address_of
from .exchange import BUFFER_BYTES, BaseExchange, earlier_timer, head_failure
from .failures import broken, no_connection
from .http1 import HeadReader, Response, request_bytes
from .names import NEXT_ADDRESS_SECONDS, SocketAddress, is_numeric, look_up
from .pool import Pool, is_readable, is_writable

__all__ = ["AsyncioTransport"]

_MOST_UNREAD_BYTES = 256 * 1024
_TIMER_SLACK_SECONDS = 0.001
_MOST_LOOKS = 16
"""How often a timer that is due lets the loop read first; over TLS, what is read need not be for us."""


class _Loop:
    """What belongs to one event loop. It ends with it."""

    def __init__(self) -> None:
        self.pool: Pool[_Connection] = Pool()
        self.connections: set[_Connection] = set()
        # One for a loop and not for a thread: a loop may be run by one thread first and by another one later.
        self.view = memoryview(bytearray(BUFFER_BYTES))
        self.end: AsyncGenerator[None, None] | None = None

    async def until_the_end(self, forget: Callable[[], None]) -> AsyncGenerator[None, None]:
        """Close everything when the loop ends: it finishes its generators first, and tells in no other way."""
        try:
            yield
        finally:
            forget()
            self.pool.close()
            for connection in list(self.connections):
                connection.close()
            await asyncio.sleep(0)  # sockets are closed when the loop comes round


class _Connection(asyncio.BufferedProtocol):
    """A socket. One task at a time reads from it."""

    __slots__ = (
        "__weakref__", "_arrived", "_below", "_deadline", "_error", "_fileno", "_is_paused", "_loop", "_owner",
        "_timer", "_transport", "_unread_bytes", "_view", "_waiter", "is_over",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: _Loop) -> None:
        self._loop = loop
        self._owner = owner
        self._view = owner.view
        self._arrived: list[bytes] = []
        self._unread_bytes = 0
        self._is_paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._error: BaseException | None = None
        self._fileno = -1
        self._transport: Any = None
        self._below: Any = None
        self.is_over = False
        tell_child(self)

    def forked(self, *, is_idle: bool = False) -> None:
        """Leave the socket to the parent. The number of one that is closed may be another file's by now."""
        self.is_over = True
        if self in self._owner.connections:
            leave_to_parent(self._fileno)

    # --- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        sock = transport.get_extra_info("socket")
        self._fileno = sock.fileno()
        self._below = _below(transport)
        self._owner.connections.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view  # shared: what is read is taken out before anything else is read on this loop

    def buffer_updated(self, nbytes: int) -> None:
        self._arrived.append(bytes(self._view[:nbytes]))
        self._unread_bytes += nbytes
        if self._waiter is not None:
            self._wake()
        elif self._unread_bytes > _MOST_UNREAD_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.connections.discard(self)
        self._end(exc)

    def _end(self, error: BaseException | None) -> None:
        self.is_over = True
        self._error = self._error or error
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():  # done: whoever read was cancelled
            waiter.set_result(None)

    def _tick(self, looks: int = _MOST_LOOKS) -> None:
        """Look whether the reader's time is over. Where it was moved in the meantime, the timer follows it now.

        A loop that was suspended may come here before it has looked at its sockets: what has arrived is read first.
        """
        self._timer = None
        waiter = self._waiter
        if waiter is None or waiter.done() or self._deadline == math.inf:
            return
        if self._deadline - self._loop.time() >= _TIMER_SLACK_SECONDS:
            self._timer = self._loop.call_at(self._deadline, self._tick)
        elif looks and is_readable(self._fileno):
            self._timer = self._loop.call_later(0.0, self._tick, looks - 1)
        else:
            waiter.set_exception(TimerExpired("io"))

    # --- called by the exchange

    def write(self, data: bytes) -> None:
        """Write, or take into the transport's buffer what the socket does not take."""
        self._transport.write(data)

    def deadline(self, seconds: float) -> float:
        """Return when so many seconds from now are over, by the loop's clock."""
        return self._loop.time() + seconds

    @property
    def must_wait(self) -> bool:
        """Whether there is nothing to take yet."""
        return not (self._arrived or self.is_over)

    def arrival(self, deadline: float | None) -> asyncio.Future[None]:
        """Return what to await before something can be taken. It raises TimerExpired."""
        self._waiter = waiter = self._loop.create_future()
        self._set_timer(deadline)
        return waiter

    def take(self, stage: Literal["head", "body"]) -> bytes:
        """Return all that has arrived, at least one byte, or b"" at the end. Raises TransportFailure."""
        arrived = self._arrived
        if not arrived:
            return self._nothing_more(stage)
        data = arrived[0] if len(arrived) == 1 else b"".join(arrived)
        arrived.clear()
        self._unread_bytes = 0
        if self._is_paused:
            self._is_paused = False
            if not self.is_over:
                self._transport.resume_reading()
        return data

    def _nothing_more(self, stage: Literal["head", "body"]) -> bytes:
        if self._error is not None:
            raise broken(self._error, stage)
        return b""

    def _set_timer(self, deadline: float | None) -> None:
        if deadline is None:
            self._deadline = math.inf
            return
        self._deadline = deadline
        timer = self._timer
        if timer is None or deadline < timer.when() - _TIMER_SLACK_SECONDS:
            if timer is not None:
                timer.cancel()
            self._timer = self._loop.call_at(deadline, self._tick)

    def is_quiet(self) -> bool:
        """Whether all is written, all that came was read, and the connection stands."""
        if self.is_over or self._arrived or self._transport.get_write_buffer_size():
            return False
        below = self._below
        return below is None or (is_writable(self._fileno) if below is _UNKNOWN else not below.get_write_buffer_size())

    def is_usable(self) -> bool:
        """Whether nothing has come since it became idle; asks the socket, for the loop may not have come round yet."""
        return not (self.is_over or self._arrived or is_readable(self._fileno))

    def close(self) -> None:
        """Close the socket when the loop comes round, without waiting for anyone. Safe to call twice."""
        self._end(None)
        if self._transport is not None:
            self._transport.abort()


_UNKNOWN = object()


def _below(transport: Any) -> Any:
    """Return the transport below TLS, None without TLS, `_UNKNOWN` for a loop that does not show it (uvloop).

    asyncio's TLS does not count what it has encrypted and the socket has not taken yet.
    """
    if transport.get_extra_info("sslcontext") is None:
        return None
    return getattr(getattr(transport, "_ssl_protocol", None), "_transport", None) or _UNKNOWN


async def _connect(
    loop: _Loop, address: Address, connect_seconds: float | None, head_seconds: float | None
) -> _Connection:
    """Return a new connection. Raises TimerExpired for the one of both timers that is due first."""
    seconds, stage = earlier_timer(connect_seconds, head_seconds)
    problem: Exception
    try:
        async with asyncio.timeout(seconds) as limit:
            return await _open(loop, address)
    except (OSError, UnicodeError) as error:  # TimeoutError, which the kernel raises too, is an OSError
        problem = TimerExpired(stage) if limit.expired() else no_connection(error, address.host, address.port)
    raise problem


async def _open(owner: _Loop, address: Address) -> _Connection:
    loop = asyncio.get_running_loop()
    context: ssl.SSLContext | None = None
    if address.is_secure:
        from .tls import context_if_made, made_context  # certificates, and threads that read them

        context = context_if_made() or await made_context().finished()
    where: dict[str, Any] = {"host": address.host, "port": address.port}
    if not is_numeric(address.host):
        where = {"sock": await _first_to_answer(loop, await look_up(address).finished())}
    if context is not None:
        where |= {"ssl": context, "server_hostname": address.host}
    _, connection = await loop.create_connection(lambda: _Connection(loop, owner), **where)
    return connection


async def _first_to_answer(loop: asyncio.AbstractEventLoop, addresses: list[SocketAddress]) -> socket.socket:
    """Return a socket connected to the first address that answers. Raises the first one's OSError."""
    left = list(addresses)
    trying: set[asyncio.Task[socket.socket]] = set()
    problem: BaseException | None = None
    try:
        while left or trying:
            if left:
                trying.add(loop.create_task(_connected(loop, left.pop(0))))
            seconds = NEXT_ADDRESS_SECONDS if left else None
            done, _ = await asyncio.wait(trying, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                trying.remove(task)
                if (failed := task.exception()) is None:
                    trying |= done - {task}  # the others that are done, if any, are closed like those under way
                    return task.result()
                problem = problem or failed
    finally:
        for task in trying:
            task.cancel()
            task.add_done_callback(_close_if_connected)
    assert problem is not None, "a name has at least one address"
    raise problem


def _close_if_connected(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connected(loop: asyncio.AbstractEventLoop, address: SocketAddress) -> socket.socket:
    family, kind, protocol, _, at = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, at)
    except BaseException:
        sock.close()
        raise
    return sock


async def _read_head(
    connection: _Connection, reader: HeadReader, deadline: float | None, is_reused: bool
) -> tuple[Response, bytes]:
    try:
        while True:
            if connection.must_wait:
                await connection.arrival(deadline)
            found = reader.feed(connection.take("head"))
            if found is not None:
                return found
    except TransportFailure as failure:
        problem = head_failure(failure, reader, connection, is_reused=is_reused)
    raise problem


class AsyncioExchange(BaseExchange[_Connection]):
    """One response being read."""

    __slots__ = ()

    async def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, all that have come by now; b"" at the end."""
        if self._first:
            first, self._first = self._first, b""
            return first
        body, connection = self._body, self._connection
        deadline = None if seconds is None or connection is None else connection.deadline(seconds)
        while not body.ended:
            if body.problem is not None:
                raise body.problem
            connection = self._standing()
            if connection.must_wait:
                await connection.arrival(deadline)
            data = connection.take("body")
            if not data:
                body.end()
            elif data := body.feed(data):
                return data
        return b""

    async def aclose(self) -> None:
        """Give the connection back, or close it. Nothing is awaited, so a cancelled call does it as well."""
        self._give_back()


class AsyncioTransport:
    """Sends requests on asyncio. Connections belong to the event loop that made them; each loop has its own."""

    def __init__(self) -> None:
        self._loops: dict[asyncio.AbstractEventLoop, _Loop] = {}
        self._is_closed = False
        tell_child(self)

    def forked(self) -> None:
        """Begin anew on each loop, also on one that the parent made."""
        keep_for_ever(self._loops)
        self._loops = {}

    async def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> AsyncioExchange:
        """Send a request and return its exchange once the head is there."""
        address = address_of(request.url)
        running = asyncio.get_running_loop()
        loop = self._loops.get(running) or await self._begin(running)
        deadline = None if head_seconds is None else running.time() + head_seconds
        connection = loop.pool.take(address.origin)
        is_reused = connection is not None
        if connection is None:
            connection = await _connect(loop, address, connect_seconds, head_seconds)
        try:
            # Not awaited: the answer may come before all is written, and both end by the same timer.
            connection.write(request_bytes(request, address))
            response, first = await _read_head(connection, HeadReader(request.method), deadline, is_reused)
        except BaseException:
            connection.close()
            raise
        return AsyncioExchange(response, first, connection, loop.pool, address.origin)

    async def _begin(self, running: asyncio.AbstractEventLoop) -> _Loop:
        for other in list(self._loops):  # a loop that was closed without ever finishing its generators
            if other.is_closed():
                self._loops.pop(other, None)
        loop = self._loops[running] = _Loop()
        if self._is_closed:  # a call that began before goes on, and keeps nothing
            loop.pool.close()
        loop.end = loop.until_the_end(lambda: cast(None, self._loops.pop(running, None)))
        await anext(loop.end)
        return loop

    async def aclose(self) -> None:
        """Close idle connections, on any loop, and the others when they are given back. What runs goes on."""
        self._is_closed = True
        running = asyncio.get_running_loop() if not is_trio() else None
        for loop, own in list(self._loops.items()):
            if loop is running:
                own.pool.close()
                await asyncio.sleep(0)  # sockets are closed when the loop comes round
                if own.end is not None and not own.connections:
                    await own.end.aclose()
            else:
                with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                    loop.call_soon_threadsafe(own.pool.close)
