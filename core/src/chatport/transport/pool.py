"""Idle connections, kept for the next request to their origin."""

from __future__ import annotations

import math
import select
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from ..basics.forks import new_lock, tell_child
from .address import Origin

__all__ = ["Connection", "Origin", "Pool", "is_readable", "is_writable"]

MOST_IDLE = 100


class Connection(Protocol):
    """What a pool keeps. No method blocks or awaits, so no cancellation can come between."""

    def is_usable(self) -> bool:
        """Whether nothing has come since it became idle: neither bytes nor the end."""

    def close(self) -> None:
        """Close it at once. Safe to call twice."""

    def forked(self, *, is_idle: bool = False) -> None:
        """Leave the socket to the parent, in a child: nothing is read, written or ended here. `is_idle`: unused now."""


C = TypeVar("C", bound=Connection)


class Pool(Generic[C]):
    """The newest idle connection of an origin is the next to be used (its server has not forgotten it yet).

    One that is too old is closed when its turn comes or another one is given back; no timer runs for it. Every
    operation takes constant time, however many connections there are. How many are in use is not limited: pacing is
    decided above, and a full pool would only hide a wait. Safe to use from several threads.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, most_idle: int = MOST_IDLE) -> None:
        self._now = now
        self._most_idle = most_idle
        self._idle: dict[Origin, dict[C, float]] = {}
        self._oldest: OrderedDict[C, tuple[Origin, float]] = OrderedDict()
        self._is_closed = False
        self._lock = new_lock()
        tell_child(self)

    def forked(self) -> None:
        """Leave all connections to the parent."""
        idle = list(self._oldest)
        self._oldest.clear()
        self._idle.clear()
        for connection in idle:
            connection.forked(is_idle=True)

    def __len__(self) -> int:
        return len(self._oldest)

    def take(self, origin: Origin) -> C | None:
        """Return an idle connection that still stands, None if there is none. It is the caller's from now on."""
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                if not idle:
                    return None
                connection = next(reversed(idle))
                until = idle[connection]
                self._forget(connection, origin)
            if until > self._now() and connection.is_usable():
                return connection
            connection.close()

    def give(self, origin: Origin, connection: C, idle_seconds: float) -> None:
        """Keep a connection for at most so long. Closes what is too old or one too many."""
        now = self._now()
        with self._lock:
            if self._is_closed or idle_seconds <= 0:
                dropped = [connection]
            else:
                until, idle = now + idle_seconds, self._idle.get(origin)
                if idle is None:  # no call on these lines, as in `_forget`
                    idle = self._idle[origin] = {}
                idle[connection] = until
                self._oldest[connection] = (origin, until)
                dropped = self._surplus(now)
        for each in dropped:
            each.close()

    def _surplus(self, now: float) -> list[C]:
        dropped = []
        while self._oldest:
            connection, (origin, until) = next(iter(self._oldest.items()))
            if until > now and len(self._oldest) <= self._most_idle:
                break
            self._forget(connection, origin)
            dropped.append(connection)
        return dropped

    def _forget(self, connection: C, origin: Origin) -> None:
        # No call on these lines: an interrupt (Ctrl-C) comes between calls, and must not leave it in one of the two.
        idle = self._idle[origin]
        del self._oldest[connection], idle[connection]
        if not idle:
            del self._idle[origin]

    def close(self) -> None:
        """Close all that are idle, and those that come back later when they do."""
        with self._lock:
            self._is_closed = True
            idle = list(self._oldest)
            self._oldest.clear()
            self._idle.clear()
        for connection in idle:
            connection.close()


def is_writable(fileno: int) -> bool:
    """Whether a socket would take more: all that was written is on its way."""
    if sys.platform != "win32" and hasattr(select, "poll"):
        poll = select.poll()
        poll.register(fileno, select.POLLOUT)
        return bool(poll.poll(0))
    return any(select.select([], [fileno], [], 0.0))


def is_readable(fileno: int, seconds: float | None = 0.0, *, or_writable: bool = False) -> bool:
    """Whether a socket has something to say: bytes, its end, or an error; waits for that so long (None: for ever)."""
    if sys.platform != "win32" and hasattr(select, "poll"):
        poll = select.poll()
        poll.register(fileno, select.POLLIN | select.POLLPRI | (select.POLLOUT if or_writable else 0))
        return bool(poll.poll(None if seconds is None else math.ceil(seconds * 1000)))
    return any(select.select([fileno], [fileno] if or_writable else [], [], seconds))
