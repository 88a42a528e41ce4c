"""Timers for waits on trio. A cancel scope for each read would cost a third of the read."""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Protocol

import trio

__all__ = ["Watch", "Watched", "watch_of_this_run"]

_SLACK_SECONDS = 0.001


class Watched(Protocol):
    """What waits. `deadline` counts while it `is_waiting`; `watched_until` is the watch's own."""

    is_waiting: bool
    deadline: float
    watched_until: float

    def expire(self) -> None:
        """End the wait: its time is over. Must not raise."""


class Watch:
    """Wakes what has waited too long. One task of trio's own serves all; it ends when there is nothing to watch.

    A deadline that moves away costs nothing: it is looked at when the one before would have been due.
    """

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Watched]] = []
        self._number = count()
        self._sleep: trio.CancelScope | None = None

    now = staticmethod(trio.current_time)
    """The clock of the deadlines: seconds of trio's own."""

    def begin(self, watched: Watched, deadline: float) -> None:
        """Watch a wait that begins now and may last until the deadline (of trio's clock; inf: for ever)."""
        watched.deadline = deadline
        watched.is_waiting = True
        if deadline < watched.watched_until - _SLACK_SECONDS:
            self._add(watched)

    def _add(self, watched: Watched) -> None:
        deadline = watched.watched_until = watched.deadline
        heappush(self._due, (deadline, next(self._number), watched))
        if self._sleep is None:
            self._sleep = trio.CancelScope(deadline=deadline)
            trio.lowlevel.spawn_system_task(self._run)
        elif deadline < self._sleep.deadline:
            self._sleep.deadline = deadline

    async def _run(self) -> None:
        try:
            while self._due:
                self._sleep = trio.CancelScope(deadline=self._due[0][0])
                with self._sleep:
                    await trio.sleep_forever()
                self._look(trio.current_time())
        finally:  # also where the program ends: another may use the same connections
            self._forget_all()
            self._sleep = None

    def _look(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            _, _, watched = heappop(self._due)
            watched.watched_until = math.inf
            if not watched.is_waiting or watched.deadline == math.inf:
                continue
            if watched.deadline <= now:
                watched.expire()
            else:
                self._add(watched)

    def _forget_all(self) -> None:
        for _, _, watched in self._due:
            watched.watched_until = math.inf
        self._due.clear()

    def retire(self) -> None:
        """Let the task end as soon as nothing waits any more."""
        for due in self._due:
            if not due[2].is_waiting:
                due[2].watched_until = math.inf
        self._due = [due for due in self._due if due[2].is_waiting]
        heapify(self._due)
        if not self._due:
            self.stop()

    def stop(self) -> None:
        """Let the task end."""
        self._forget_all()
        if self._sleep is not None:
            self._sleep.deadline = -math.inf


_of_run: trio.lowlevel.RunVar[Watch] = trio.lowlevel.RunVar("chatport_watch")


def watch_of_this_run() -> Watch:
    """Return the watch of the trio run that this is called in. Other runs, in other threads, have their own."""
    try:
        return _of_run.get()
    except LookupError:
        watch = Watch()
        _of_run.set(watch)
        return watch
