"""A second try beside a slow first one, before anything was handed over: whoever has content first goes on.

Only the asynchronous client hedges. Both tries share one trace, so `reply.attempts` tells of both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import attrs

from ..engine.trace import CallTrace
from ..errors import ChatportError
from ..events import AttemptFailed, Event
from ..types import Reply

__all__ = ["AsyncDriver", "HedgedDriver"]


class AsyncDriver(Protocol):
    """What runs a call: gives its events until the reply is complete."""

    reply: Reply | None

    async def advance(self) -> list[Event] | None:
        """Return the next events, None when the reply is complete."""

    async def abandon(self) -> None:
        """Stop wherever the call is."""

    def partial(self) -> Reply:
        """Return what has been received so far."""

    def be_quiet(self, quiet: bool = True) -> None:
        """Say nothing of the end: it is not the end of the call, which goes on elsewhere."""


_Finish: TypeAlias = tuple[AsyncDriver, "list[Event] | None"]


class HedgedDriver:
    """Runs `first`; if it has no content after so many seconds, `second` is begun, unless that gives None.

    The one that has content, or the whole reply, before the other is kept. The other is stopped. An error of one is not
    the end while the other is still under way.
    """

    def __init__(
        self,
        first: AsyncDriver,
        second: Callable[[], AsyncDriver | None],
        after_seconds: float,
        trace: Callable[[], CallTrace],
    ) -> None:
        self._trace = trace
        self._second = second
        self._after_seconds = after_seconds
        self._winner: AsyncDriver | None = None
        self._runners = [first]
        self.reply: Reply | None = None

    async def advance(self) -> list[Event] | None:
        """Return the next events, None when the reply is complete."""
        if self._winner is not None:
            events = await self._winner.advance()
        else:
            events = await self._race()
        if events is None and self._winner is not None and self._winner.reply is not None:
            self.reply = attrs.evolve(self._winner.reply, attempts=self._trace().attempts)
        return events

    def partial(self) -> Reply:
        """Return what the one that goes on has received so far; of two that have nothing yet, the first."""
        return self._runners[0].partial()

    async def abandon(self) -> None:
        """Stop wherever the call is. One call has one end: only the last one that is stopped tells of it."""
        self._runners[-1].be_quiet(False)
        for driver in self._runners:
            await driver.abandon()

    def be_quiet(self, quiet: bool = True) -> None:
        """Pass it on."""
        for driver in self._runners:
            driver.be_quiet(quiet)

    async def _race(self) -> list[Event] | None:
        import anyio  # only calls that may get a second try need it

        finish: list[_Finish] = []
        errors: list[ChatportError] = []
        settled = anyio.Event()

        async def run(driver: AsyncDriver) -> None:
            try:
                events = await _content(driver)
            except ChatportError as error:
                errors.append(error)
            else:
                finish.append((driver, events))
            if finish or len(errors) == len(runners):
                settled.set()

        runners = self._runners
        async with anyio.create_task_group() as group:
            group.start_soon(run, runners[0])
            with anyio.move_on_after(self._after_seconds):
                await settled.wait()
            other = None if settled.is_set() else self._second()
            if other is not None:
                runners.append(other)
                self.be_quiet()
                group.start_soon(run, other)
            await settled.wait()
            group.cancel_scope.cancel()
        if not finish:
            if len(runners) > 1:
                self._trace().failed(errors[0])
            raise errors[0]
        winner, events = finish[0]
        for driver in runners:
            if driver is not winner:
                await driver.abandon()
        self._winner, self._runners = winner, [winner]
        winner.be_quiet(False)
        return events


async def _content(driver: AsyncDriver) -> list[Event] | None:
    """Return the first events with more in them than failed attempts, those before them included."""
    held: list[Event] = []
    while True:
        events = await driver.advance()
        if events is None:
            return held or None
        held += events
        if not all(isinstance(event, AttemptFailed) for event in events):
            return held
