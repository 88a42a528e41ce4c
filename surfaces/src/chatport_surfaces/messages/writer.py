"""Writes the answer of one call, in whichever of the two ways fits the vendor's protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chatport import ChatportError, ChunkSeen, Event, Reply

from .. import sse
from ..surface import Answer, Asked, SurfaceContext, Writer
from .errors import error_body
from .passed import PassedStream
from .reply import whole_message
from .stream import TranslatedStream

__all__ = ["MessagesWriter"]


class MessagesWriter(Writer):
    """Writes the answer of one call."""

    def __init__(self, asked: Asked, context: SurfaceContext) -> None:
        self._context = context
        self._partial = Reply(model=asked.model)
        self._so_far: Callable[[], Reply] = lambda: self._partial
        self._stream: PassedStream | TranslatedStream | None = None

    def follow(self, so_far: Callable[[], Reply]) -> None:
        """Hear how to look at what has come of the answer so far."""
        self._so_far = so_far

    def begin(self, partial: Reply) -> tuple[tuple[str, str], ...]:
        """Hear who answers; the request's id goes into a header (AN-H1)."""
        self._partial = partial
        return (("request-id", partial.request_id or self._context.new_id("req_")),)

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the bytes for some events. Where there are chunks, they come before what they mean."""
        if self._stream is None:
            is_own = any(type(event) is ChunkSeen for event in events)
            translated = TranslatedStream(self._partial, self._so_far, self._context)
            self._stream = PassedStream(self._context.seal) if is_own else translated
        return self._stream.write(events)

    def fail(self, error: ChatportError) -> bytes:
        """Return the event that ends a stream that broke off. No ending follows it (AN-S10)."""
        return sse.event("error", error_body(error, self._context))

    def whole(self, reply: Reply) -> Answer:
        """Return a whole answer."""
        request_id = reply.request_id or self._context.new_id("req_")
        return Answer.of_json(whole_message(reply, self._context), headers=(("request-id", request_id),))
