"""How long something may take on asyncio and trio, where what it waits for is read by somebody else's code.

anyio's own scopes cancel the moment that their time is over. A process that was suspended finds it over before its loop
has read what has arrived meanwhile, and what is cancelled then is lost. So a timer that comes late itself lets the loop
read first.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any

import anyio

from ..basics.bell import is_trio

if TYPE_CHECKING:
    from .trio_watch import Watch

__all__ = ["within"]

_LATE_SECONDS = 0.05
_READ_SECONDS = 0.1
"""How long a loop has to read what has arrived, and to hand it to whoever waits for it."""


def within(seconds: float | None) -> AbstractContextManager[anyio.CancelScope]:
    """Cancel what runs inside after so many seconds (None: never). 0 is the time to read what has arrived."""
    return _Within(seconds)


class _Within:
    """A class, since one is entered for every piece of a body: a generator would cost as much again."""

    __slots__ = ("_scope", "_seconds", "_stop")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._stop: Callable[[], None] | None = None
        self._scope = anyio.CancelScope()

    def __enter__(self) -> anyio.CancelScope:
        scope = self._scope.__enter__()
        if self._seconds is not None:
            begin = _begin_on_trio if is_trio() else _begin_on_asyncio
            self._stop = begin(scope, self._seconds or _READ_SECONDS)
        return scope

    def __exit__(self, *raised: Any) -> bool | None:
        if self._stop is not None:
            self._stop()
        return self._scope.__exit__(*raised)


def _begin_on_trio(scope: anyio.CancelScope, seconds: float) -> Callable[[], None]:
    wait = _WaitOnTrio(scope, _trio_watch()())
    wait.begin(seconds)
    return wait.end


@cache
def _trio_watch() -> Callable[[], Watch]:
    """Load trio where somebody runs it, and once: an import statement would cost a twentieth of each piece."""
    from .trio_watch import watch_of_this_run

    return watch_of_this_run


class _WaitOnTrio:
    """What trio's watch looks at."""

    def __init__(self, scope: anyio.CancelScope, watch: Watch) -> None:
        self._scope = scope
        self._watch = watch
        self._was_late = False
        self.is_waiting = False
        self.deadline = self.watched_until = math.inf

    def begin(self, seconds: float) -> None:
        self._watch.begin(self, self._watch.now() + seconds)

    def expire(self) -> None:
        if self._was_late or self._watch.now() - self.deadline < _LATE_SECONDS:
            self._scope.cancel()
        else:
            self._was_late = True
            self.begin(_READ_SECONDS)

    def end(self) -> None:
        self.is_waiting = False


def _begin_on_asyncio(scope: anyio.CancelScope, seconds: float) -> Callable[[], None]:
    loop = asyncio.get_running_loop()
    due_at = loop.time() + seconds
    timer: Any = None
    was_late = False

    def expire() -> None:
        nonlocal timer, was_late
        if was_late or loop.time() - due_at < _LATE_SECONDS:
            scope.cancel()
        else:
            was_late = True
            timer = loop.call_later(_READ_SECONDS, expire)

    timer = loop.call_at(due_at, expire)
    return lambda: timer.cancel()
