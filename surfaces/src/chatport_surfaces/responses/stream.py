"""The stream of an answer that came in another protocol: our events, told as this one's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from chatport import ChatportError, Event, Finished

from ..failures import told
from ..surface import Asked, SurfaceContext
from .errors import error_body, failure
from .numbered import Numbered
from .output import Output, Told
from .resource import ended

__all__ = ["TranslatedStream"]


class TranslatedStream:
    """Writes created, in_progress, the items, and one ending; `keep` gets the response that it ends with."""

    def __init__(
        self, asked: Asked, context: SurfaceContext, begun: dict[str, Any], keep: Callable[[dict[str, Any]], None]
    ) -> None:
        self._context, self._begun, self._keep = context, begun, keep
        self._output = Output(asked, context)
        self._numbered = Numbered()

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the bytes for events."""
        return self._numbered.write(self._told(events))

    def fail(self, error: ChatportError) -> bytes:
        """Return the two events that tell of a failure (RS-X20, RS-X21)."""
        known = told(error)
        response = {**self._begun, "status": "failed", "error": failure(known), "output": self._output.items}
        events: list[Told] = [("error", {"error": error_body(known)}), ("response.failed", {"response": response})]
        return self._numbered.write([*self._beginning(), *events])

    def _beginning(self) -> Iterator[Told]:
        if self._numbered.next == 0:
            yield "response.created", {"response": self._begun}
            yield "response.in_progress", {"response": self._begun}

    def _told(self, events: Sequence[Event]) -> Iterator[Told]:
        yield from self._beginning()
        for event in events:
            if isinstance(event, Finished):
                yield from self._output.end(event.reply)
                response = ended(self._begun, self._output.items, event.reply, self._context.unix_seconds())
                self._keep(response)
                yield f"response.{response['status']}", {"response": response}
            else:
                yield from self._output.take(event)
