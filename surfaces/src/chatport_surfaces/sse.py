"""Event streams, as they are written."""

from __future__ import annotations

from typing import Any

from chatport.helpers import jsoncodec

__all__ = ["DONE", "chunk", "event", "raw_event"]

DONE = b"data: [DONE]\n\n"


def chunk(value: Any) -> bytes:
    """Return an event without a name."""
    return b"data: " + jsoncodec.encode(value) + b"\n\n"


def event(name: str, value: Any) -> bytes:
    """Return an event with a name."""
    return raw_event(name, jsoncodec.encode(value))


def raw_event(name: str, data: bytes) -> bytes:
    """Return an event of a vendor's own data, which may have several lines; the usual name `message` is not written."""
    head = b"" if name == "message" else f"event: {name}\n".encode()
    return head + b"".join(b"data: " + line + b"\n" for line in data.split(b"\n")) + b"\n"
