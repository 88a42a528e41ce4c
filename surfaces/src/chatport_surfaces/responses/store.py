"""What is kept of answers, where the owner of a surface wants that: so much of them, in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from chatport.helpers import jsoncodec

__all__ = ["MemoryStore", "Stored"]


@attrs.frozen
class Stored:
    """A response as its client got it, and the conversation that it answers, as items, from its beginning."""

    response: Mapping[str, Any]
    input: Sequence[Mapping[str, Any]]

    @property
    def conversation(self) -> list[Mapping[str, Any]]:
        """All items, with those of the answer."""
        return [*self.input, *self.response.get("output", ())]


class MemoryStore:
    """Keeps the newest answers, at most so many and of so many bytes as JSON. It may be used by several threads."""

    def __init__(self, *, most: int = 1000, most_bytes: int = 64 * 1024 * 1024) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._lock = threading.Lock()
        self._held: dict[str, tuple[Stored, int]] = {}
        self._bytes = 0
        self._homes: dict[str, str] = {}  # an item's id: the response that has it

    def __len__(self) -> int:
        return len(self._held)

    def resize(self, *, most: int, most_bytes: int) -> None:
        """Set other bounds, and let go of the oldest answers that are beyond them."""
        with self._lock:
            self._most, self._most_bytes = most, most_bytes
            self._make_room()

    def put(self, stored: Stored) -> None:
        """Keep an answer under its id, and let go of the oldest ones for it."""
        key, weight = stored.response["id"], len(jsoncodec.encode([stored.response, stored.input]))
        with self._lock:
            self._drop(key)
            if weight > self._most_bytes:
                return
            self._held[key] = (stored, weight)
            self._bytes += weight
            self._homes.update({item["id"]: key for item in stored.response["output"] if item.get("id")})
            self._make_room()

    def _make_room(self) -> None:
        while len(self._held) > self._most or self._bytes > self._most_bytes:
            self._drop(next(iter(self._held)))

    def get(self, response_id: str) -> Stored | None:
        """Return what is kept under an id, None if nothing is."""
        known = self._held.get(response_id)
        return None if known is None else known[0]

    def item(self, item_id: str) -> Mapping[str, Any] | None:
        """Return an item of an answer that is kept."""
        stored = self.get(self._homes.get(item_id, ""))
        items = () if stored is None else stored.response["output"]
        return next((item for item in items if item.get("id") == item_id), None)

    def delete(self, response_id: str) -> bool:
        """Let go of an answer; return whether there was one."""
        with self._lock:
            return self._drop(response_id)

    def _drop(self, key: str) -> bool:
        stored, weight = self._held.pop(key, (None, 0))
        self._bytes -= weight
        for item in () if stored is None else stored.response["output"]:
            if self._homes.get(item.get("id")) == key:
                del self._homes[item["id"]]
        return stored is not None
