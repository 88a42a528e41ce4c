"""A streamed reply, without an event loop.

Made of `streamed.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..errors import MisuseError
from ..events import Event, Finished
from ..types import Reply
from .sync import LEFT

if TYPE_CHECKING:
    from .sync import _Driver

__all__ = ["ReplyStream"]

_READ_BY_TWO = "This stream is being read already. One task or thread at a time reads a stream; make a call for each."


class ReplyStream:
    """A streamed reply: `with client.stream(...) as stream: for event in stream: ...`.

    `reply` is the whole answer once the stream is complete. Leaving the block earlier stops the vendor.
    """

    def __init__(self, driver: _Driver) -> None:
        self._driver = driver
        self._events: Iterator[Event] = iter(())  # what one read has brought
        self._open: bool | None = None  # False: the block was left
        self._done = False
        self._reply: Reply | None = None
        self._turn = [True]  # empty while a thread reads: `pop` is atomic, and a fifth of a lock's cost

    def __enter__(self) -> Self:
        if self._open is not None:
            raise MisuseError("This stream has been entered before. A stream is one call: make another one.")
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._open, self._events = False, iter(())
            self._driver.abandon()
        finally:
            self._driver.abandon()  # an interrupt (Ctrl-C) may have come before the first line of the other one

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        while (event := next(self._events, None)) is None:
            if self._done:
                raise StopIteration
            if self._open is False:
                raise MisuseError(LEFT)
            try:
                turn = self._turn.pop()
            except IndexError:
                raise MisuseError(_READ_BY_TWO) from None
            try:
                if self._done:  # by another thread, just now
                    raise StopIteration
                events = self._driver.advance()
                self._take(events)
            except BaseException:
                self._done = True
                self._driver.abandon()
                raise
            finally:
                self._turn.append(turn)
        return event

    def read(self) -> Sequence[Event]:
        """Return the events that one read has brought, in place of one at a time; none at the end of the stream."""
        try:
            first = self.__next__()
        except StopIteration:
            return ()
        events = [first, *self._events]
        self._events = iter(())
        return events

    def _take(self, events: list[Event] | None) -> None:
        if events is None:
            self._done = True
            return
        self._events = iter(events)
        last = events[-1]
        if type(last) is Finished:
            self._reply = last.reply

    @property
    def reply(self) -> Reply:
        """The whole reply. Raises MisuseError before the stream is complete."""
        if self._reply is None:
            raise MisuseError("The reply is complete only when the stream has been read to its end.")
        return self._reply

    @property
    def partial(self) -> Reply:
        """What has come so far, at any time: after `break`, after the block was left early, and after an error too.

        Its `usage` is what the vendor has told until then, which is often nothing before the end. Its `finish_reason`
        is `error` as long as the answer has not ended, and a tool call that was being written is not `complete`. Once
        the stream is complete it is the reply.
        """
        return self._driver.partial() if self._reply is None else self._reply

    @property
    def partial_parsed(self) -> Any:
        """What the structure of `output=` has so far, as plain Python values; None as long as nothing is said.

        A text in it is as far as it has come. It is not held against the schema: `reply.parsed()` is, at the end. It is
        read anew each time, so ask for it as often as you show it, not at every event of a long answer.
        """
        from ..schemas.partial import value_so_far

        part = self.partial
        return value_so_far(part.text, "" if part.output is None else part.output.inside)

    def __del__(self) -> None:
        """Let the vendor stop when a stream is iterated without a block and then dropped."""
        if hasattr(self, "_driver"):  # Ctrl-C may have come before it was made
            self._driver.abandon()
