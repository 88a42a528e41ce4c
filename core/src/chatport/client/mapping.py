"""A map in progress: many calls at the same time, on asyncio and trio alike.

`mapping_sync.py` is made of this file by `.ci/sync_client.py`: edit this one.
"""

from __future__ import annotations

import inspect
import math

# async only: begin
from collections.abc import AsyncIterable, AsyncIterator, Iterator

# async only: end
# sync only: from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

# async only: begin
import anyio

from ..basics.bell import is_cancelled

# async only: end
from ..basics.blocking import Room
from ..errors import MisuseError

# sync only: from ..inputs.arguments import drop
from ..many.kept import KeptAnswers
from ..many.loop import MapLoop
from ..many.plan import MapPlan, read_items
from ..types import T_co
from ..types.maps import MapProgress, MapResult
from .crew import AsyncCrew

if TYPE_CHECKING:
    from .series import AsyncSeries

__all__ = ["AsyncMapStream"]

_LEFT = "This map was left before its end. Make another one; with resume= it goes on where this one was."
_READ_BY_TWO = "This map is being read already. One task or thread at a time reads a map."
_END = object()
_FILES = Room("resume files", stuck_after_seconds=math.inf)


class AsyncMapStream(Generic[T_co]):
    """The results of a map: `async with client.map(...) as results: async for result in results: ...`.

    Calls are made only as far as results are read; see `window`. `progress` is how far it is, at any time. Leaving the
    block earlier stops what is under way.
    """

    def __init__(self, client: AsyncSeries, plan: MapPlan, items: Any) -> None:
        self._client = client
        self._plan = plan
        self._total = read_items(items)
        self._items = items
        # sync only: if not isinstance(items, Iterable):
        # sync only:     raise MisuseError("items is asynchronous: use an AsyncClient, or what is iterated plainly.")
        self._source: Iterator[Any] | None = None
        # async only: begin
        self._room: anyio.Event | None = None
        # async only: end
        self._kept: KeptAnswers | None = None
        self._loop: MapLoop | None = None
        self._crew: AsyncCrew
        self._told = 0
        self._turn = [True]  # empty while somebody reads: `pop` is atomic
        self._is_open: bool | None = None  # False: the block was left, or the map has ended
        self._is_done = False

    # async only: begin
    async def __aenter__(self) -> Self:
        await self._start()
        await self._crew.__aenter__()
        if self._source is None:
            self._crew.start(self._read_all, aiter(self._items))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._is_open = False
        try:
            self._crew.stop()
            return await self._crew.__aexit__(kind, error, trace)
        finally:
            await self._close()

    # async only: end
    # sync only: def __enter__(self) -> Self:
    # sync only:     self._start()
    # sync only:     return self
    # sync only:
    # sync only: def __exit__(
    # sync only:     self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    # sync only: ) -> None:
    # sync only:     self._close()
    # sync only:
    # sync only: def __del__(self) -> None:
    # sync only:     """Stop the calls where a map is iterated without a block and then dropped."""
    # sync only:     if getattr(self, "_is_open", None):  # Ctrl-C may have come before it was set
    # sync only:         self._close()

    async def _start(self) -> None:
        if self._is_open is not None:
            raise MisuseError("This map has been entered before. Make another one.")
        self._is_open = False
        path = self._plan.resume
        if path is not None:
            # async only: begin
            with anyio.CancelScope(shield=True):  # it would be open, and nobody would have it
                opening = _FILES.job(object(), lambda: KeptAnswers(path, self._plan.made_with))
                self._kept = await opening.finished()
            # async only: end
            # sync only: self._kept = KeptAnswers(path, self._plan.made_with)
        self._loop = MapLoop(self._plan, self._kept, self._total, self._client._shared.clock.monotonic)
        self._crew = AsyncCrew(self._client, self._loop, self._plan)
        # async only: begin
        if not isinstance(self._items, AsyncIterable):
            self._source = iter(self._items)
        # async only: end
        # sync only: self._source = iter(self._items)
        self._is_open = True

    async def _close(self) -> None:
        """Let go of what is open."""
        # sync only: self._is_open = False
        # sync only: if self._loop is not None:
        # sync only:     self._crew.stop()
        kept, self._kept = self._kept, None
        if kept is not None:
            # async only: begin
            with anyio.CancelScope(shield=True):
                await _FILES.job(object(), kept.close).finished()
            # async only: end
            # sync only: kept.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MapResult[T_co]:
        if self._is_done:
            raise StopAsyncIteration
        # async only: begin
        if not self._is_open:
            raise MisuseError("A map is read inside its block: `async with client.map(...) as results:`.")
        # async only: end
        # sync only: if self._is_open is False:
        # sync only:     raise MisuseError(_LEFT)
        try:
            turn = self._turn.pop()
        except IndexError:
            raise MisuseError(_READ_BY_TWO) from None
        try:
            # sync only: if self._is_open is None:
            # sync only:     self._start()
            result = await self._advance()
        except BaseException:
            self._is_open = False
            # async only: begin
            self._crew.stop()
            # async only: end
            # sync only: self._close()
            raise
        finally:
            self._turn.append(turn)
        if result is None:
            self._is_done = True
            # sync only: self._close()
            raise StopAsyncIteration
        return result

    @property
    def progress(self) -> MapProgress:
        """How far it is, at any time: after `break`, after the block was left early, and after an error too."""
        return MapProgress(total=self._total) if self._loop is None else self._loop.progress()

    async def _advance(self) -> MapResult | None:
        """Return the next result; None at the end."""
        loop, crew = self._loop, self._crew
        assert loop is not None
        # async only: begin
        has_waited = False
        # async only: end
        while True:
            # sync only: crew.look()
            self._read_one(loop)
            crew.begin()
            await self._tell(loop)
            result = loop.pop()
            if result is not None:
                # async only: begin
                if not has_waited:
                    await anyio.lowlevel.checkpoint()  # a thousand may be kept, and others want to run too
                # async only: end
                return result
            if loop.is_over:
                loop.check()
                return None
            if self._source is None or not loop.has_room:
                await crew.wait()
                # async only: begin
                has_waited = True
                # async only: end

    def _read_one(self, loop: MapLoop) -> None:
        """Read the next item if there is room for it."""
        # async only: begin
        if self._source is None:
            loop.look_at_time()
            if self._room is not None and loop.has_room:
                self._room.set()
            return
        # async only: end
        # sync only: assert self._source is not None
        if not loop.has_room:
            return
        item = _END
        try:
            item = next(self._source, _END)
        except Exception as error:  # what was read before it is answered, and then it is raised
            loop.end_of_items(error)
            return
        if item is _END:
            loop.end_of_items()
            return
        # sync only: work = loop.read(item)
        # sync only: if inspect.isawaitable(work.shaped):
        # sync only:     drop(work.shaped)
        # sync only:     raise MisuseError("messages is asynchronous: use an AsyncClient, or a plain function.")
        # async only: begin
        loop.read(item)
        # async only: end

    # async only: begin
    async def _read_all(self, source: AsyncIterator[Any]) -> None:
        """Read items as long as there is room, beside who reads the results."""
        loop, crew = self._loop, self._crew
        assert loop is not None
        try:
            while True:
                while not loop.has_room:
                    self._room = anyio.Event()
                    await self._room.wait()
                loop.read(await anext(source))
                crew.begin()
                crew.ring()
        except StopAsyncIteration:
            loop.end_of_items()
        except Exception as error:  # what was read before it is answered, and then it is raised
            loop.end_of_items(error)
        except anyio.get_cancelled_exc_class():
            if is_cancelled():
                raise
            loop.end_of_items(loop.cancelled("The items were"))

    # async only: end
    async def _tell(self, loop: MapLoop) -> None:
        """Tell `progress` how far it is, if anything has ended since."""
        if self._plan.progress is None or loop.ended_count == self._told:
            return
        self._told = loop.ended_count
        said = self._plan.progress(loop.progress())
        if inspect.isawaitable(said):
            # async only: begin
            await said
            # async only: end
            # sync only: drop(said)
            # sync only: raise MisuseError("progress is asynchronous: use an AsyncClient, or a plain function.")
