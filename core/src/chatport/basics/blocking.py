"""Work that may block for as long as it likes: name look-ups, key files, keyrings, searches.

It is done in threads of our own, and waited for only as long as whoever needs it can wait. The policy:

* Not in the threads that asyncio, anyio and trio keep for the program: they are few, the program has work of its own
  for them, and each look-up that hangs would take one away for good. Python also waits for asyncio's at its end.
* A piece of work is a daemon thread, begun when it is needed and gone when it is done. It keeps no program from ending.
  Nothing can stop a thread: a call that is cancelled or out of time leaves it behind.
* Who wants what is under way already waits for the same thread: a thousand connections to one host are one look-up.
  What has been under way for `stuck_after_seconds` may be stuck, and the next one begins anew beside it.
* At most `most_stuck_on_one` threads may be stuck on one thing, and at most `most_stuck` in a room. Then `StuckError`
  comes at once. So a host that hangs costs a few threads and no other host its place. Each kind of work has a room of
  its own. `most` bounds what a burst of different things may begin at once.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Hashable
from contextvars import copy_context
from typing import Any, Generic, TypeVar, cast

from .bell import new_bell
from .forks import tell_child

__all__ = ["Job", "OverdueError", "Room", "StuckError"]

T = TypeVar("T")


class OverdueError(TimeoutError):
    """The work is not done within the time that the caller has. It goes on."""


class StuckError(OSError):
    """There is no thread for this work: too much of the kind is under way and does not end."""


class Job(Generic[T]):
    """A piece of work in its thread, for any number of tasks and threads that wait for it."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.is_done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._is_told = False
        self._wakes: dict[object, Callable[[], None]] = {}
        self._lock = threading.Lock()

    def wait(self, seconds: float | None) -> T:
        """Return its result; raise what it raised, or OverdueError after so many seconds."""
        woken = threading.Event()
        leave = self._on_done(woken.set)
        try:
            if not woken.wait(None if seconds is None else min(max(seconds, 0.0), threading.TIMEOUT_MAX)):
                raise OverdueError
        finally:
            leave()
        return self.result()

    async def finished(self) -> T:
        """Return its result once it is there; raise what it raised. On asyncio and trio; can be cancelled."""
        bell = new_bell()
        leave = self._on_done(bell.ring)
        try:
            await bell.heard()
        finally:
            leave()
        return self.result()

    def result(self) -> T:
        """Return the result of work that is done; each who waited gets an error of its own."""
        if self._error is None:
            return cast(T, self._value)
        with self._lock:
            error, self._is_told = (_twin(self._error) if self._is_told else self._error), True
        raise error

    def _on_done(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have `wake` called from some thread, at once if it is done; return what takes that back."""
        mark = object()
        with self._lock:
            if not self.is_done:
                self._wakes[mark] = wake
        if self.is_done:
            wake()
        return lambda: cast(None, self._wakes.pop(mark, None))

    def do(self, function: Callable[[], T]) -> None:
        """Do the work, in this thread. Nobody is told yet."""
        try:
            self._value = function()
        except BaseException as error:
            self._error = error

    def tell(self) -> None:
        """Wake all who wait."""
        with self._lock:
            self.is_done = True
            wakes = list(self._wakes.values())
            self._wakes.clear()
        for wake in wakes:
            wake()


def _twin(error: BaseException) -> BaseException:
    """Return a copy of an error, or itself where it cannot be copied: callers write into theirs."""
    try:
        copied = copy.copy(error)
    except Exception:
        return error
    copied.__cause__ = error.__cause__
    return copied


class Room:
    """The threads for one kind of work. `what` names it in the error of a full room. Safe to use from any thread."""

    def __init__(
        self,
        what: str,
        *,
        stuck_after_seconds: float = 5.0,
        most_stuck: int = 64,
        most_stuck_on_one: int = 4,
        most: int = 1000,
    ) -> None:
        self._what = what
        self._stuck_after = stuck_after_seconds
        self._most_stuck = most_stuck
        self._most_stuck_on_one = most_stuck_on_one
        self._most = most
        self.forked()
        tell_child(self)  # the threads are not there any more

    def forked(self) -> None:
        """Forget the threads, of which there is none."""
        self._lock = threading.Lock()
        self._jobs: dict[Hashable, list[Job[Any]]] = {}

    def job(self, name: Hashable, function: Callable[[], T]) -> Job[T]:
        """Return the work of this name that is under way, else begin it. Raises StuckError if there is no room."""
        with self._lock:
            now = time.monotonic()
            same = self._jobs.get(name, [])
            if same and now - same[-1].began < self._stuck_after:
                return same[-1]
            self._check_room(len(same), now)
            job: Job[T] = Job()
            self._jobs.setdefault(name, []).append(job)
        thread = threading.Thread(
            target=copy_context().run, args=(self._work, name, job, function), name="chatport-blocking", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more of them, or the program is about to end
            self._forget(name, job)
            raise StuckError(f"no thread for {self._what}: {error}") from None
        return job

    def run(self, name: Hashable, function: Callable[[], T], seconds: float | None) -> T:
        """Do it, and wait here for at most so many seconds: then OverdueError."""
        return self.job(name, function).wait(seconds)

    def _check_room(self, same: int, now: float) -> None:
        if same >= self._most_stuck_on_one:
            raise StuckError(f"{same} {self._what} of this one are under way and do not end; no further one is begun")
        every = [job for jobs in self._jobs.values() for job in jobs]
        stuck = sum(now - job.began >= self._stuck_after for job in every)
        if stuck >= self._most_stuck or len(every) >= self._most:
            raise StuckError(f"{len(every)} {self._what} are under way and do not end; no further one is begun")

    def _work(self, name: Hashable, job: Job[T], function: Callable[[], T]) -> None:
        job.do(function)
        self._forget(name, job)  # first: who is woken and asks again wants it done again
        job.tell()

    def _forget(self, name: Hashable, job: Job[Any]) -> None:
        with self._lock:
            same = self._jobs[name]
            same.remove(job)
            if not same:
                del self._jobs[name]
