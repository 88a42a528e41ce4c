"""What an emulator puts on the wire, step by step: bytes, pauses and breaks, in process and on a port alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, TypeAlias

import attrs

from .emulator import EmulatedRequest, EmulatedResponse, VendorEmulator

__all__ = ["FOR_EVER", "Break", "Pause", "Performance", "Scene", "Step", "events_of"]

FOR_EVER = float("inf")


@attrs.frozen
class Pause:
    """Nothing comes for so many seconds."""

    seconds: float


@attrs.frozen
class Break:
    """The connection ends here, and not as HTTP says: refused, reset, or closed in the middle of a message."""

    how: Literal["refused", "reset", "closed"]


Step: TypeAlias = bytes | Pause | Break


@attrs.frozen
class Performance:
    """One response as it goes over the wire. `body` is taken once, and made while it is taken: it may be endless.

    `before` comes ahead of the head; bytes there stand in the head's own place. `content_length_bytes` is what the
    head announces; with None the body is sent in chunks.
    """

    status: int
    headers: Mapping[str, str]
    body: Iterable[Step]
    before: Iterable[Step] = ()
    content_length_bytes: int | None = None

    @classmethod
    def of(cls, response: EmulatedResponse) -> Performance:
        """Return a response as it is: one piece with its length, several in chunks."""
        length = len(response.pieces[0]) if len(response.pieces) == 1 else None
        return cls(response.status, response.headers, response.pieces, content_length_bytes=length)


@attrs.frozen(slots=False)
class Scene:
    """What a fault may look at: the request, the answer the vendor would give, its emulator, and the time of day."""

    request: EmulatedRequest
    response: EmulatedResponse
    vendor: VendorEmulator
    now: datetime

    @property
    def streams(self) -> bool:
        """Whether the answer is an event stream."""
        return any(
            name.lower() == "content-type" and value.startswith("text/event-stream")
            for name, value in self.response.headers.items()
        )

    @cached_property
    def events(self) -> list[bytes]:
        """The events of the answer, each with its blank line; a plain reply is one."""
        return events_of(self.response.body)

    def error(self, status: int) -> EmulatedResponse:
        """Return the vendor's own error of a status."""
        refusal = self.vendor.error_for(status)
        response = self.vendor.reply(refusal.status, refusal.body, refusal.headers)
        return attrs.evolve(response, status=status)  # not every vendor has every status

    def error_body(self, status: int) -> Any:
        """Return the vendor's own error of a status as a JSON value, also where it would answer with a page."""
        body = self.vendor.error_for(status).body
        if isinstance(body, str) and body.startswith("<"):
            return self.vendor.error_body(status, f"An emulated error with status {status}.")
        return body

    def with_body(
        self, body: Iterable[Step], content_type: str | None = None, *, content_length_bytes: int | None = None
    ) -> Performance:
        """Return the vendor's answer with another body, in chunks if no length is given."""
        headers = {name.lower(): value for name, value in self.response.headers.items()}
        if content_type is not None:
            headers["content-type"] = content_type
        return Performance(self.response.status, headers, body, content_length_bytes=content_length_bytes)

    def as_data(self, data: Iterable[bytes]) -> Iterator[bytes]:
        """Give these bytes as the data of an event if the answer is a stream, else as they are."""
        yield from (b"data: ",) if self.streams else ()
        yield from data
        yield from (b"\n\n",) if self.streams else ()


def events_of(body: bytes) -> list[bytes]:
    """Cut a body behind each blank line."""
    return re.findall(rb".+?(?:\r?\n\r?\n|\Z)", body, re.DOTALL)
