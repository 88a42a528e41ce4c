"""Events as they are written: one after the other, each with its number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..sse import event

__all__ = ["Numbered"]


class Numbered:
    """Writes events. `next` is the number of the next one (from 0)."""

    def __init__(self, first: int = 0) -> None:
        self.next = first

    def write(self, events: Iterable[tuple[str, Mapping[str, Any]]]) -> bytes:
        """Return the bytes of events, which have a name and members."""
        written = []
        for name, members in events:
            written.append(event(name, {"type": name, "sequence_number": self.next, **members}))
            self.next += 1
        return b"".join(written)
