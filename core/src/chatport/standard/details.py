"""What goes back with an earlier answer although nobody here reads it: its opaque fields, and reasoning in details."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

__all__ = ["Pieces", "merged", "opaque_fields"]

_TEXTS = ("text", "summary", "data")


def opaque_fields(opaque: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return those of the values kept of an answer that go back with it, under the names they came by."""
    return {
        name: merged(opaque[name]) if name == "reasoning_details" else opaque[name] for name in names if name in opaque
    }


def merged(details: Sequence[Any]) -> list[Any]:
    """Join the pieces of streamed items, by type and index, in order; whole items stay as they are.

    An item that has its signature is complete, and one with another id is another item. A piece without an
    index belongs to none. An encrypted item that is repeated is sent once.
    """
    items: list[Any] = []
    open_items: dict[tuple[Any, Any], dict[str, Any]] = {}
    for piece in details:
        if not isinstance(piece, Mapping):
            items.append(piece)
            continue
        key = (str(piece.get("type")), _place(piece.get("index")))
        held = open_items.get(key)
        if held is None or key[1] is None or held.get("signature") or not _same(held, piece, "id"):
            held = open_items[key] = dict(piece)
            items.append(held)
        elif not piece.get("data") or not _is_all(held.get("data"), piece["data"]):
            _join(held, piece)
    for item in items:
        _join_texts(item)
    return items


def _place(index: Any) -> str | None:
    """Return what pieces of one item share; an index may be anything."""
    return None if index is None else str(index)


def _same(held: Mapping[str, Any], piece: Mapping[str, Any], name: str) -> bool:
    return held.get(name) is None or piece.get(name) is None or held[name] == piece[name]


class Pieces(list[str]):
    """A text that is joined once all of it is there: to add to a text takes as long as it is, each time."""

    length = 0

    @classmethod
    def of(cls, text: str | Pieces) -> Pieces:
        """Return a text as the first piece of a longer one."""
        if isinstance(text, Pieces):
            return text
        pieces = cls()
        pieces.append(text)
        return pieces

    def append(self, piece: str) -> None:
        self.length += len(piece)
        super().append(piece)

    def is_all(self, text: str) -> bool:
        """Whether a text says again all that is held."""
        return self.length == len(text) and "".join(self) == text


def _is_all(held: Any, data: Any) -> bool:
    """Whether a text says again all that is held."""
    return isinstance(data, str) and held.is_all(data) if isinstance(held, Pieces) else bool(held == data)


def _join(held: dict[str, Any], piece: Mapping[str, Any]) -> None:
    for name, value in piece.items():
        own = held.get(name)
        if name in _TEXTS and isinstance(own, str | Pieces):
            pieces = held[name] = Pieces.of(own)
            pieces.append(value if isinstance(value, str) else "")
        elif value is not None:
            held[name] = value


def _join_texts(item: Any) -> None:
    for name in _TEXTS if isinstance(item, dict) else ():
        if isinstance(item.get(name), Pieces):
            item[name] = "".join(item[name])
