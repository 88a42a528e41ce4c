"""The stream of a vendor of this very protocol: its own bytes, but for what only it may get back, and for its end.

The end is written when the answer is proved to be whole, and a failure in our words: after it nothing may come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chatport import ChatportError, ChunkSeen, Event, Finished
from chatport.helpers import jsoncodec

from ..failures import told
from ..sse import event as written, raw_event
from ..surface import SurfaceContext
from .errors import error_body, failure
from .numbered import Numbered
from .resource import ended, filled
from .sealed import sealed_item, sealed_response

__all__ = ["NativeStream"]

_BEGUN = ("response.created", "response.in_progress", "response.queued")
_ENDED = ("response.completed", "response.incomplete", "response.done")
_FAILED = ("error", "response.failed")
_ITEMS = ("response.output_item.added", "response.output_item.done")


class NativeStream:
    """Passes chunks on; `keep` gets the response that it ends with."""

    def __init__(self, context: SurfaceContext, begun: dict[str, Any], keep: Callable[[dict[str, Any]], None]) -> None:
        self._context, self._keep = context, keep
        self._own = self._response = begun
        self._items: dict[int, Any] = {}
        self._last: bytes = b""
        self._ending: tuple[Mapping[str, Any], str] | None = None

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the bytes for events."""
        return b"".join(self._written(events))

    def fail(self, error: ChatportError) -> bytes:
        """Return the two events that tell of a failure, numbered after those that were passed on (RS-X20, RS-X21)."""
        known = told(error)
        response = {**self._response, "status": "failed", "error": failure(known), "output": self._output()}
        return Numbered(self._next_number()).write(
            [("error", {"error": error_body(known)}), ("response.failed", {"response": response})]
        )

    def _written(self, events: Sequence[Event]) -> Iterable[bytes]:
        for event in events:
            if isinstance(event, ChunkSeen):
                yield self._chunk(event)
            elif isinstance(event, Finished):
                yield self._end(event)

    def _chunk(self, chunk: ChunkSeen) -> bytes:
        name, data = chunk.event, None
        if name == "message":  # one vendor has no names of events (RS-V7)
            data = _decoded(chunk.raw)
            name = str(data.get("type") or "") if isinstance(data, Mapping) else ""
        if not name or name in _FAILED:
            return b""
        if name in _ENDED or name in _BEGUN or name in _ITEMS:
            data = _decoded(chunk.raw) if data is None else data
            return self._changed(name, data, chunk.provider) if isinstance(data, Mapping) else b""
        self._last = chunk.raw
        return raw_event(name, chunk.raw)

    def _changed(self, name: str, data: Any, provider: str) -> bytes:
        """Return an event that holds items or the response, with what is only for its vendor sealed."""
        if name in _ENDED:
            self._ending = (data, provider)
            return b""
        if name in _BEGUN:
            response = filled(sealed_response(data.get("response") or {}, provider, self._context.seal), self._own)
            self._response = response
            data = {**data, "response": response}
        else:
            data = {**data, "item": sealed_item(data.get("item"), provider, self._context.seal)}
            if name == "response.output_item.done":
                self._items[data.get("output_index", len(self._items))] = data["item"]
        self._last = jsoncodec.encode(data)
        return raw_event(name, self._last)

    def _end(self, event: Finished) -> bytes:
        now = self._context.unix_seconds()
        if self._ending is None:  # the vendor's answer is whole all the same, as its plugin says
            response = ended(self._response, self._output(), event.reply, now)
            data: Mapping[str, Any] = {"sequence_number": self._next_number()}
        else:
            data, provider = self._ending
            response = filled(sealed_response(data.get("response") or {}, provider, self._context.seal), self._response)
            response["output"] = response["output"] or self._output()  # one vendor leaves it empty (RS-V4)
        status = response["status"] if response["status"] in ("completed", "incomplete") else "completed"
        self._keep(response)
        return written(f"response.{status}", {**data, "type": f"response.{status}", "response": response})

    def _output(self) -> list[Any]:
        return [self._items[place] for place in sorted(self._items)]

    def _next_number(self) -> int:
        data = _decoded(self._last)
        number = data.get("sequence_number") if isinstance(data, Mapping) else None
        return number + 1 if isinstance(number, int) else 0


def _decoded(raw: bytes) -> Any:
    try:
        return jsoncodec.decode(raw)
    except ValueError:  # the end mark of one vendor, or a blank
        return None
