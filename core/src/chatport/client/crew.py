"""Who makes the calls of a map: tasks, on asyncio and trio alike.

`crew_sync.py` is made of this file by `.ci/sync_client.py`: edit this one.
"""

from __future__ import annotations

# async only: begin
import inspect

# async only: end
# sync only: import math
# sync only: import threading
from contextlib import nullcontext

# sync only: from contextlib import suppress
# sync only: from functools import partial
from typing import TYPE_CHECKING, Any

# async only: begin
import anyio

from ..basics.bell import is_cancelled

# async only: end
# sync only: from ..basics.blocking import Room
from ..errors import ChatportError
from ..limits.budget import Budget
from ..many.loop import MapLoop, MapWork
from ..many.plan import MapPlan
from ..types import Reply
from .aio import reply_of

# async only: begin
from .groups import leave_group

# async only: end
from .reasking import as_one, problem_of, with_problem

if TYPE_CHECKING:
    # async only: begin
    from collections.abc import Callable
    from types import TracebackType

    # async only: end
    from .series import AsyncSeries
    # sync only: from .sync import _Driver

__all__ = ["AsyncCrew"]

# sync only: _THREADS = Room("calls of maps", stuck_after_seconds=math.inf)


class AsyncCrew:
    """At most `concurrency` of them, each with one item after the other."""

    def __init__(self, client: AsyncSeries, loop: MapLoop, plan: MapPlan) -> None:
        self._client = client
        self._loop = loop
        self._plan = plan
        usd = plan.max_usd
        self._is_stopped = False
        self._budget = None if usd is None else Budget(usd=usd, name="max_usd")
        # async only: begin
        self._group = anyio.create_task_group()
        self._scopes: set[anyio.CancelScope] = set()
        """Of each task: the group's own would cancel who reads the map, too."""
        self._bell: anyio.Event | None = None
        # async only: end
        # sync only: self._calls: set[_Driver] = set()
        # sync only: self._woken = threading.Event()

    # async only: begin
    async def __aenter__(self) -> None:
        await self._group.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await leave_group(self._group, kind, error, trace)

    def start(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Run a function beside the calls, until it ends or all are stopped."""
        self._group.start_soon(self._scoped, function, *arguments)

    async def _scoped(self, function: Callable[..., Any], *arguments: Any) -> None:
        scope = anyio.CancelScope()
        self._scopes.add(scope)
        try:
            with scope:
                await function(*arguments)
        finally:
            self._scopes.discard(scope)
            self.ring()

    # async only: end

    def begin(self) -> None:
        """Begin as many calls as may be made now."""
        while (work := self._loop.next_work()) is not None:
            # async only: begin
            self.start(self._work, work)
            # async only: end
            # sync only: try:
            # sync only:     _THREADS.job(object(), partial(self._work, work))
            # sync only: except OSError as error:  # there is no thread for it: those that there are will take it
            # sync only:     self._loop.put_back(work)
            # sync only:     if not self._loop.is_running:
            # sync only:         self._loop.stop(error)
            # sync only:     return

    async def _work(self, work: MapWork | None) -> None:
        """Do it, and then whatever is next."""
        while work is not None and not self._is_stopped:
            await self._one(work)
            self.ring()
            work = self._loop.next_work()

    async def _one(self, work: MapWork) -> None:
        reply: Reply | None = None
        failure: Exception | None = None
        try:
            # async only: begin
            if inspect.isawaitable(work.shaped):
                work.shaped = await work.shaped
                if not self._loop.shape(work):
                    self._loop.is_settled(work)
                    return
            # async only: end
            with self._budget or nullcontext():
                reply = await self._asked(work)
        except Exception as error:
            failure = error
        # async only: begin
        except anyio.get_cancelled_exc_class():
            if is_cancelled():
                raise
            failure = self._loop.cancelled("It was")
        # async only: end
        # sync only: except BaseException as error:  # a hook would end this thread, and the map waits for each
        # sync only:     failure = RuntimeError(f"The call has ended with {type(error).__name__}.")
        # sync only:     failure.__cause__ = error
        # sync only: if self._is_stopped:
        # sync only:     return
        self._loop.ended(work, reply, failure)

    async def _asked(self, work: MapWork) -> Reply:
        """Return the answer; asked for again, as often as the plan says, while it is not the structure."""
        messages: Any = list(work.messages)
        replies = [await self._call(messages)]
        while len(replies) <= self._plan.retry_invalid and (problem := problem_of(replies[-1])) is not None:
            messages = with_problem(messages, replies[-1], problem)
            try:
                replies.append(await self._call(messages))
            except ChatportError:
                break  # what there is was paid for, and its error says what is wrong with it
        return as_one(replies)

    async def _call(self, messages: Any) -> Reply:
        options = self._client._within(self._plan.options, self._loop.seconds_left())
        driver = self._client._driver(messages, False, options)
        # sync only: self._calls.add(driver)
        # sync only: try:
        # sync only:     if self._is_stopped:
        # sync only:         driver.abandon()
        # sync only:     reply = reply_of(driver)
        # sync only: finally:
        # sync only:     self._calls.discard(driver)
        # async only: begin
        reply = await reply_of(driver)
        # async only: end
        self._loop.count(reply)
        return reply

    # --- who waits for them

    def ring(self) -> None:
        """Wake who waits: something has changed."""
        # async only: begin
        if self._bell is not None:
            self._bell.set()
        # async only: end
        # sync only: self._woken.set()

    # sync only: def look(self) -> None:
    # sync only:     """Wait only for what changes from now on."""
    # sync only:     self._woken.clear()

    async def wait(self) -> None:
        """Wait until something has changed, or the time is over; after that until what is under way has ended."""
        seconds = self._loop.seconds_left() or None
        # async only: begin
        self._bell = anyio.Event()
        with anyio.move_on_after(seconds):
            await self._bell.wait()
        # async only: end
        # sync only: self._woken.wait(seconds)

    def stop(self) -> None:
        """Stop all. What they would have answered is not heard any more."""
        self._is_stopped = True
        # async only: begin
        for scope in list(self._scopes):
            scope.cancel()
        # async only: end
        # sync only: for call in list(self._calls):
        # sync only:     with suppress(Exception):
        # sync only:         call.abandon()
