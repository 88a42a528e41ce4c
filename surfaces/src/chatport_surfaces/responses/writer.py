"""Writes the answer of one call: as its vendor's own, where that speaks this protocol, or translated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatport import AttemptFailed, ChatportError, ChunkSeen, Event, Reply

from ..surface import Answer, Asked, SurfaceContext, Writer
from .native import NativeStream
from .reply import whole_response
from .resource import resource
from .store import MemoryStore, Stored
from .stream import TranslatedStream

__all__ = ["ResponsesWriter"]


class ResponsesWriter(Writer):
    """See the base. Which of the two it is the first events tell."""

    def __init__(self, asked: Asked, context: SurfaceContext, store: MemoryStore | None) -> None:
        self._asked, self._context = asked, context
        self._store = None if asked.body.get("store") is False else store
        is_stored = self._store is not None
        self._begun = resource(asked.body, context.new_id("resp_"), context.unix_seconds(), is_stored=is_stored)
        self._stream: NativeStream | TranslatedStream | None = None

    def write(self, events: Sequence[Event]) -> bytes:
        events = [event for event in events if type(event) is not AttemptFailed]
        if not events:
            return b""
        return self._chosen(is_native=any(type(event) is ChunkSeen for event in events)).write(events)

    def fail(self, error: ChatportError) -> bytes:
        return self._chosen(is_native=False).fail(error)

    def whole(self, reply: Reply) -> Answer:
        response = whole_response(reply, self._asked, self._context, self._begun)
        self._keep(response)
        return Answer.of_json(response)

    def _chosen(self, *, is_native: bool) -> NativeStream | TranslatedStream:
        if self._stream is None:
            if is_native:
                self._stream = NativeStream(self._context, self._begun, self._keep)
            else:
                self._stream = TranslatedStream(self._asked, self._context, self._begun, self._keep)
        return self._stream

    def _keep(self, response: dict[str, Any]) -> None:
        if self._store is not None:
            self._store.put(Stored(response, self._asked.body["input"]))
