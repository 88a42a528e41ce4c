"""When the events of an attempt are handed over: none before there is content, since they may be for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from .. import events as ev
from ..decoding.collector import Collector
from ..errors import ChatportError, MalformedReplyError

__all__ = ["Delivery"]


_EARLY = (ev.UsageReported, ev.CitationAdded, ev.ChunkSeen)
_MOST_HELD_BYTES = 1024 * 1024
"""Of chunks before the first content, which say little: an answer's beginning, and what it is asked to repeat."""


class Delivery:
    """What of an attempt the caller gets, read by read. `takes_events`: whether there is a caller who takes any.

    `is_begun` turns true with the first content event that is handed over; from then on nothing may be tried again.
    """

    def __init__(self, collector: Collector, *, takes_events: bool) -> None:
        self.is_begun = False
        self._collector = collector
        self._takes_events = takes_events
        self._held: Sequence[ev.Event] = ()

    def ready(self, batch: list[ev.Event], problem: ChatportError | None) -> list[ev.Event]:
        """Return what of one read is to be handed over now. What comes before the first content is held until then."""
        if not (batch and self._takes_events):
            return []
        if self.is_begun:
            return batch
        if problem is not None:  # it may be tried again, so nothing is shown of it
            return []
        batch, self._held = _last_count([*self._held, *batch]), ()
        self.is_begun = self._collector.has_content
        if self.is_begun:
            return batch
        self._held = batch
        if sum(len(event.raw) for event in batch if type(event) is ev.ChunkSeen) > _MOST_HELD_BYTES:
            raise MalformedReplyError(f"The stream has brought more than {_MOST_HELD_BYTES} bytes, and no content.")
        return []

    def rest(self, batch: list[ev.Event]) -> list[ev.Event]:
        """Return all that is left at the end, whether or not there was any content."""
        if not self._takes_events:
            return []
        held, self._held = self._held, ()
        return [*held, *batch]


def _last_count(events: list[ev.Event]) -> list[ev.Event]:
    """Return the events without the token counts before the first content, but for the last, which replaces the others.

    Beside them only sources come that early, whose number is bounded; counts a server may send without end.
    """
    content = next((at for at, event in enumerate(events) if type(event) not in _EARLY), len(events))
    early = events[:content]
    counts = [event for event in early if type(event) is ev.UsageReported]
    if len(counts) > 1:
        early = [*counts[-1:], *(event for event in early if type(event) is not ev.UsageReported)]
    return [*early, *events[content:]]
