"""A run of tools in progress, on asyncio and trio alike.

`running_sync.py` is made of this file by `.ci/sync_client.py`: edit this one.
"""

from __future__ import annotations

import inspect
import math
from collections import deque
from collections.abc import Generator, Iterator

# sync only: from functools import partial
# sync only: from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

# async only: begin
import anyio

from ..basics.bell import is_cancelled

# async only: end
from ..basics.blocking import Room
from ..errors import ChatportError, MisuseError

# sync only: from ..inputs.arguments import drop, is_async, is_to_be_awaited
from ..runs.approval import Approval, read_approval
from ..runs.events import RunEvent, RunFinished
from ..runs.loop import Ask, Await, Begin, Command, Decide, RunLoop, Tell
from ..runs.plan import RunPlan
from ..runs.work import ToolWork
from ..types import Reply, ToolCall
from ..types.runs import Run

# async only: begin
from .groups import leave_group

# async only: end

if TYPE_CHECKING:
    # async only: begin
    from .hedging import AsyncDriver

    # async only: end
    from .series import AsyncSeries
    # sync only: from .sync import _Driver

__all__ = ["AsyncRunStream"]

_LEFT = "This run was left before its end. Go on with client.run(stream.run, ...)."
_READ_BY_TWO = "This run is being read already. One task or thread at a time reads a run."
_TOOLS = Room("tools", stuck_after_seconds=math.inf)
"""The threads of tools that are to run in threads. What a tool does there is its own affair: none counts as stuck."""


class AsyncRunStream:
    """A run as it goes on: `async with client.run_stream(...) as stream: async for event in stream: ...`.

    It gives the events of every answer, `ToolStarted` and `ToolEnded`, and last `RunFinished`. `run` is what there is
    at any time. Leaving the block earlier stops vendor and tools; a tool in a thread goes on there, and nobody waits.
    """

    def __init__(self, client: AsyncSeries, loop: RunLoop, plan: RunPlan) -> None:
        self._client = client
        self._loop = loop
        self._plan = plan
        self._commands: Generator[Command, Any, Run] = loop.run()
        self._call: AsyncDriver | None = None
        self._is_streamed = True
        self._events: Iterator[RunEvent] = iter(())
        self._run: Run | None = None
        self._turn = [True]  # empty while somebody reads: `pop` is atomic
        self._is_open: bool | None = None  # False: the block was left, or the run has ended
        # async only: begin
        self._group: anyio.abc.TaskGroup
        self._scopes: set[anyio.CancelScope] = set()
        """Of each tool: the group's own would cancel who reads the run, too."""
        self._ended: deque[ToolWork] = deque()
        self._bell: anyio.Event | None = None
        # async only: end
        # sync only: self._waiting: deque[ToolWork] = deque()
        # sync only: self._ended: SimpleQueue[ToolWork] = SimpleQueue()
        # sync only: for tool in plan.tools:
        # sync only:     if tool.function is not None and is_async(tool.function):
        # sync only:         raise is_to_be_awaited(ToolCall("", tool.name, ""))

    async def __aenter__(self) -> Self:
        if self._is_open is not None:
            raise MisuseError("This run has been entered before. Go on with client.run_stream(stream.run, ...).")
        # async only: begin
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        # async only: end
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._is_open, self._events = False, iter(())
        # sync only: self._stop()
        # sync only: return None
        # async only: begin
        try:
            await self._stop()
        finally:
            swallowed = await leave_group(self._group, kind, error, trace)
        return swallowed
        # async only: end

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        while (event := next(self._events, None)) is None:
            if self._run is not None:
                raise StopAsyncIteration
            # async only: begin
            if not self._is_open:
                raise MisuseError("A run is read inside its block: `async with client.run_stream(...) as stream:`.")
            # async only: end
            # sync only: if self._is_open is False:
            # sync only:     raise MisuseError(_LEFT)
            try:
                turn = self._turn.pop()
            except IndexError:
                raise MisuseError(_READ_BY_TWO) from None
            try:
                self._events = iter(await self._advance())
            except BaseException:
                self._is_open = False
                await self._stop()
                raise
            finally:
                self._turn.append(turn)
        return event

    async def without_events(self) -> Run:
        """Run it to its end, and return the run. Nothing of it is streamed, so a call that was cut may begin again."""
        self._is_streamed = False
        async for _ in self:
            pass
        return self.run

    @property
    def run(self) -> Run:
        """What there is, at any time: after `break`, after the block was left early, and after an error too.

        Give it to `client.run` to go on. An answer that was cut is not in it, and is asked for again.
        """
        return self._loop.so_far() if self._run is None else self._run

    # --- what the machine wants done

    async def _advance(self) -> list[RunEvent]:
        """Run until there are events; none at the end."""
        answer: Any = None
        thrown: ChatportError | None = None
        while True:
            if self._call is not None:
                try:
                    come = await self._call.advance()
                except ChatportError as error:
                    thrown = error
                else:
                    if come is not None:
                        return list(come)
                    answer = cast(Reply, self._call.reply)
                await self._hang_up()
            try:
                command = self._commands.send(answer) if thrown is None else self._commands.throw(thrown)
            except StopIteration as stop:
                if stop.value is None:
                    raise MisuseError(_LEFT) from None
                self._run = stop.value
                return []
            answer = thrown = None
            match command:
                case Ask():
                    try:
                        self._call = self._asked(command)
                    except ChatportError as error:
                        thrown = error
                        continue
                case Decide(call=call):
                    answer = await self._decision(call)
                case Begin(work=work):
                    self._begin(work)
                case Await(seconds=seconds):
                    answer = await self._next_ended(seconds)
                case Tell(events=events):
                    if isinstance(events[-1], RunFinished):
                        self._run = events[-1].run  # who reads no further has been told
                    return list(events)

    def _asked(self, command: Ask) -> AsyncDriver:
        options = self._client._step_options(command.plan, is_first=command.is_first, seconds=command.seconds)
        return self._client._driver(list(command.messages), self._is_streamed, options)

    async def _decision(self, call: ToolCall) -> Approval:
        assert self._plan.approve is not None
        said = self._plan.approve(call)
        if inspect.isawaitable(said):
            # async only: begin
            said = await said
            # async only: end
            # sync only: drop(said)
            # sync only: raise MisuseError("approve is asynchronous: use an AsyncClient, or a plain function.")
        return read_approval(said)

    # async only: begin
    def _begin(self, work: ToolWork) -> None:
        self._group.start_soon(self._do, work)

    async def _do(self, work: ToolWork) -> None:
        if self._loop.is_overdue:
            return  # a plain tool before it has held the loop up for so long
        scope = anyio.CancelScope()
        self._scopes.add(scope)
        try:
            with scope:
                is_beside = self._plan.threads and not work.is_async
                value = await _TOOLS.job(object(), work.start).finished() if is_beside else work.start()
                work.end(await value if inspect.isawaitable(value) else value)
        except Exception as error:
            work.error = error
        except anyio.get_cancelled_exc_class():
            if is_cancelled():
                raise
            work.end_early()  # it has cancelled itself, and nobody else
        finally:
            self._scopes.discard(scope)
            if work.is_over:  # else it was stopped, or ends the program, and the run with it
                self._ended.append(work)
                if self._bell is not None:
                    self._bell.set()

    async def _next_ended(self, seconds: float | None) -> ToolWork | None:
        with anyio.move_on_after(seconds):
            while not self._ended:
                self._bell = anyio.Event()
                await self._bell.wait()
        return self._ended.popleft() if self._ended else None

    # async only: end
    # sync only: def _begin(self, work: ToolWork) -> None:
    # sync only:     if not self._plan.threads:
    # sync only:         self._waiting.append(work)
    # sync only:         return
    # sync only:     try:
    # sync only:         _TOOLS.job(object(), partial(self._do_beside, work))
    # sync only:     except OSError as error:  # there is no thread for it
    # sync only:         work.error = error
    # sync only:         self._ended.put(work)
    # sync only:
    # sync only: def _do(self, work: ToolWork) -> None:
    # sync only:     try:
    # sync only:         value = work.start()
    # sync only:         if inspect.isawaitable(value):
    # sync only:             drop(value)
    # sync only:             raise is_to_be_awaited(work.call)
    # sync only:         work.end(value)
    # sync only:     except Exception as error:
    # sync only:         work.error = error
    # sync only:
    # sync only: def _do_beside(self, work: ToolWork) -> None:
    # sync only:     try:
    # sync only:         self._do(work)
    # sync only:     except BaseException as error:  # it is to end the program, and here it would end a thread
    # sync only:         work.ending = error
    # sync only:     self._ended.put(work)
    # sync only:
    # sync only: def _next_ended(self, seconds: float | None) -> ToolWork | None:
    # sync only:     if self._waiting and seconds != 0:
    # sync only:         work = self._waiting.popleft()
    # sync only:         work.began = self._client._shared.clock.monotonic()  # it has waited for those before it
    # sync only:         self._do(work)
    # sync only:         return work
    # sync only:     try:
    # sync only:         ended = None if self._waiting else self._ended.get(timeout=seconds)
    # sync only:     except Empty:
    # sync only:         return None
    # sync only:     if ended is not None and ended.ending is not None:
    # sync only:         raise ended.ending
    # sync only:     return ended

    async def _hang_up(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            await call.abandon()

    async def _stop(self) -> None:
        # async only: begin
        for scope in list(self._scopes):
            scope.cancel()
        # async only: end
        try:
            self._commands.close()
        finally:
            await self._hang_up()
