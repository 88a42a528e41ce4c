"""A run of tools in progress, without an event loop.

Made of `running.py`.
"""

from __future__ import annotations

import inspect
import math
from collections import deque
from collections.abc import Generator, Iterator
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from ..basics.blocking import Room
from ..errors import ChatportError, MisuseError
from ..inputs.arguments import drop, is_async, is_to_be_awaited
from ..runs.approval import Approval, read_approval
from ..runs.events import RunEvent, RunFinished
from ..runs.loop import Ask, Await, Begin, Command, Decide, RunLoop, Tell
from ..runs.plan import RunPlan
from ..runs.work import ToolWork
from ..types import Reply, ToolCall
from ..types.runs import Run

if TYPE_CHECKING:
    from .series_sync import Series
    from .sync import _Driver

__all__ = ["RunStream"]

_LEFT = "This run was left before its end. Go on with client.run(stream.run, ...)."
_READ_BY_TWO = "This run is being read already. One task or thread at a time reads a run."
_TOOLS = Room("tools", stuck_after_seconds=math.inf)
"""The threads of tools that are to run in threads. What a tool does there is its own affair: none counts as stuck."""


class RunStream:
    """A run as it goes on: `with client.run_stream(...) as stream: for event in stream: ...`.

    It gives the events of every answer, `ToolStarted` and `ToolEnded`, and last `RunFinished`. `run` is what there is
    at any time. Leaving the block earlier stops vendor and tools; a tool in a thread goes on there, and nobody waits.
    """

    def __init__(self, client: Series, loop: RunLoop, plan: RunPlan) -> None:
        self._client = client
        self._loop = loop
        self._plan = plan
        self._commands: Generator[Command, Any, Run] = loop.run()
        self._call: _Driver | None = None
        self._is_streamed = True
        self._events: Iterator[RunEvent] = iter(())
        self._run: Run | None = None
        self._turn = [True]  # empty while somebody reads: `pop` is atomic
        self._is_open: bool | None = None  # False: the block was left, or the run has ended
        self._waiting: deque[ToolWork] = deque()
        self._ended: SimpleQueue[ToolWork] = SimpleQueue()
        for tool in plan.tools:
            if tool.function is not None and is_async(tool.function):
                raise is_to_be_awaited(ToolCall("", tool.name, ""))

    def __enter__(self) -> Self:
        if self._is_open is not None:
            raise MisuseError("This run has been entered before. Go on with client.run_stream(stream.run, ...).")
        self._is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._is_open, self._events = False, iter(())
        self._stop()
        return None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RunEvent:
        while (event := next(self._events, None)) is None:
            if self._run is not None:
                raise StopIteration
            if self._is_open is False:
                raise MisuseError(_LEFT)
            try:
                turn = self._turn.pop()
            except IndexError:
                raise MisuseError(_READ_BY_TWO) from None
            try:
                self._events = iter(self._advance())
            except BaseException:
                self._is_open = False
                self._stop()
                raise
            finally:
                self._turn.append(turn)
        return event

    def without_events(self) -> Run:
        """Run it to its end, and return the run. Nothing of it is streamed, so a call that was cut may begin again."""
        self._is_streamed = False
        for _ in self:
            pass
        return self.run

    @property
    def run(self) -> Run:
        """What there is, at any time: after `break`, after the block was left early, and after an error too.

        Give it to `client.run` to go on. An answer that was cut is not in it, and is asked for again.
        """
        return self._loop.so_far() if self._run is None else self._run

    # --- what the machine wants done

    def _advance(self) -> list[RunEvent]:
        """Run until there are events; none at the end."""
        answer: Any = None
        thrown: ChatportError | None = None
        while True:
            if self._call is not None:
                try:
                    come = self._call.advance()
                except ChatportError as error:
                    thrown = error
                else:
                    if come is not None:
                        return list(come)
                    answer = cast(Reply, self._call.reply)
                self._hang_up()
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
                    answer = self._decision(call)
                case Begin(work=work):
                    self._begin(work)
                case Await(seconds=seconds):
                    answer = self._next_ended(seconds)
                case Tell(events=events):
                    if isinstance(events[-1], RunFinished):
                        self._run = events[-1].run  # who reads no further has been told
                    return list(events)

    def _asked(self, command: Ask) -> _Driver:
        options = self._client._step_options(command.plan, is_first=command.is_first, seconds=command.seconds)
        return self._client._driver(list(command.messages), self._is_streamed, options)

    def _decision(self, call: ToolCall) -> Approval:
        assert self._plan.approve is not None
        said = self._plan.approve(call)
        if inspect.isawaitable(said):
            drop(said)
            raise MisuseError("approve is asynchronous: use an AsyncClient, or a plain function.")
        return read_approval(said)

    def _begin(self, work: ToolWork) -> None:
        if not self._plan.threads:
            self._waiting.append(work)
            return
        try:
            _TOOLS.job(object(), partial(self._do_beside, work))
        except OSError as error:  # there is no thread for it
            work.error = error
            self._ended.put(work)

    def _do(self, work: ToolWork) -> None:
        try:
            value = work.start()
            if inspect.isawaitable(value):
                drop(value)
                raise is_to_be_awaited(work.call)
            work.end(value)
        except Exception as error:
            work.error = error

    def _do_beside(self, work: ToolWork) -> None:
        try:
            self._do(work)
        except BaseException as error:  # it is to end the program, and here it would end a thread
            work.ending = error
        self._ended.put(work)

    def _next_ended(self, seconds: float | None) -> ToolWork | None:
        if self._waiting and seconds != 0:
            work = self._waiting.popleft()
            work.began = self._client._shared.clock.monotonic()  # it has waited for those before it
            self._do(work)
            return work
        try:
            ended = None if self._waiting else self._ended.get(timeout=seconds)
        except Empty:
            return None
        if ended is not None and ended.ending is not None:
            raise ended.ending
        return ended

    def _hang_up(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.abandon()

    def _stop(self) -> None:
        try:
            self._commands.close()
        finally:
            self._hang_up()
