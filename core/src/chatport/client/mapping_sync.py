"""A map in progress: many calls at the same time, without an event loop.

Made of `mapping.py`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

from ..basics.blocking import Room
from ..errors import MisuseError
from ..inputs.arguments import drop
from ..many.kept import KeptAnswers
from ..many.loop import MapLoop
from ..many.plan import MapPlan, read_items
from ..types import T_co
from ..types.maps import MapProgress, MapResult
from .crew_sync import Crew

if TYPE_CHECKING:
    from .series_sync import Series

__all__ = ["MapStream"]

_LEFT = "This map was left before its end. Make another one; with resume= it goes on where this one was."
_READ_BY_TWO = "This map is being read already. One task or thread at a time reads a map."
_END = object()
_FILES = Room("resume files", stuck_after_seconds=math.inf)


class MapStream(Generic[T_co]):
    """The results of a map: `with client.map(...) as results: for result in results: ...`.

    Calls are made only as far as results are read; see `window`. `progress` is how far it is, at any time. Leaving the
    block earlier stops what is under way.
    """

    def __init__(self, client: Series, plan: MapPlan, items: Any) -> None:
        self._client = client
        self._plan = plan
        self._total = read_items(items)
        self._items = items
        if not isinstance(items, Iterable):
            raise MisuseError("items is asynchronous: use an AsyncClient, or what is iterated plainly.")
        self._source: Iterator[Any] | None = None
        self._kept: KeptAnswers | None = None
        self._loop: MapLoop | None = None
        self._crew: Crew
        self._told = 0
        self._turn = [True]  # empty while somebody reads: `pop` is atomic
        self._is_open: bool | None = None  # False: the block was left, or the map has ended
        self._is_done = False

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __del__(self) -> None:
        """Stop the calls where a map is iterated without a block and then dropped."""
        if getattr(self, "_is_open", None):  # Ctrl-C may have come before it was set
            self._close()

    def _start(self) -> None:
        if self._is_open is not None:
            raise MisuseError("This map has been entered before. Make another one.")
        self._is_open = False
        path = self._plan.resume
        if path is not None:
            self._kept = KeptAnswers(path, self._plan.made_with)
        self._loop = MapLoop(self._plan, self._kept, self._total, self._client._shared.clock.monotonic)
        self._crew = Crew(self._client, self._loop, self._plan)
        self._source = iter(self._items)
        self._is_open = True

    def _close(self) -> None:
        """Let go of what is open."""
        self._is_open = False
        if self._loop is not None:
            self._crew.stop()
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> MapResult[T_co]:
        if self._is_done:
            raise StopIteration
        if self._is_open is False:
            raise MisuseError(_LEFT)
        try:
            turn = self._turn.pop()
        except IndexError:
            raise MisuseError(_READ_BY_TWO) from None
        try:
            if self._is_open is None:
                self._start()
            result = self._advance()
        except BaseException:
            self._is_open = False
            self._close()
            raise
        finally:
            self._turn.append(turn)
        if result is None:
            self._is_done = True
            self._close()
            raise StopIteration
        return result

    @property
    def progress(self) -> MapProgress:
        """How far it is, at any time: after `break`, after the block was left early, and after an error too."""
        return MapProgress(total=self._total) if self._loop is None else self._loop.progress()

    def _advance(self) -> MapResult | None:
        """Return the next result; None at the end."""
        loop, crew = self._loop, self._crew
        assert loop is not None
        while True:
            crew.look()
            self._read_one(loop)
            crew.begin()
            self._tell(loop)
            result = loop.pop()
            if result is not None:
                return result
            if loop.is_over:
                loop.check()
                return None
            if self._source is None or not loop.has_room:
                crew.wait()

    def _read_one(self, loop: MapLoop) -> None:
        """Read the next item if there is room for it."""
        assert self._source is not None
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
        work = loop.read(item)
        if inspect.isawaitable(work.shaped):
            drop(work.shaped)
            raise MisuseError("messages is asynchronous: use an AsyncClient, or a plain function.")

    def _tell(self, loop: MapLoop) -> None:
        """Tell `progress` how far it is, if anything has ended since."""
        if self._plan.progress is None or loop.ended_count == self._told:
            return
        self._told = loop.ended_count
        said = self._plan.progress(loop.progress())
        if inspect.isawaitable(said):
            drop(said)
            raise MisuseError("progress is asynchronous: use an AsyncClient, or a plain function.")
