"""Where answers are kept: the interface, and a process's own memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict

import attrs

__all__ = ["Entry", "MemoryStore", "Store"]


@attrs.frozen
class Entry:
    """What is kept under a key: bytes, and since when, in seconds of UTC since 1970."""

    data: bytes = attrs.field(repr=False)
    at_seconds: float


class Store(ABC):
    """Keeps entries, `most_bytes` of them at most, the newest. Its methods may raise anything: nobody relies on it."""

    async def open(self) -> None:  # noqa: B027  # most have nothing to open
        """Make ready. Raises ConfigurationError for what can never be used."""

    async def close(self) -> None:  # noqa: B027  # most have nothing to close
        """End."""

    @abstractmethod
    async def get(self, key: bytes) -> Entry | None:
        """Return what is kept under a key."""

    @abstractmethod
    async def put(self, key: bytes, entry: Entry, ttl_seconds: float) -> None:
        """Keep an entry in the place of an earlier one. What is older than `ttl_seconds` may go."""


class MemoryStore(Store):
    """In the memory of this process."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()  # oldest first
        self.size = 0

    async def get(self, key: bytes) -> Entry | None:
        return self.held(key)

    async def put(self, key: bytes, entry: Entry, ttl_seconds: float) -> None:
        self.hold(key, entry, ttl_seconds)

    def held(self, key: bytes) -> Entry | None:
        """Return what is kept, at once."""
        return self._entries.get(key)

    def hold(self, key: bytes, entry: Entry, ttl_seconds: float) -> None:
        """Keep an entry, at once."""
        old = self._entries.pop(key, None)
        self.size += len(entry.data) - (0 if old is None else len(old.data))
        self._entries[key] = entry
        expired = entry.at_seconds - ttl_seconds
        while self._entries:
            oldest, held = next(iter(self._entries.items()))
            if self.size <= self._most_bytes and held.at_seconds > expired:
                return
            del self._entries[oldest]
            self.size -= len(held.data)
