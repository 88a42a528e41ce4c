"""`reasoning_details`: from the pieces of a stream to what may be sent back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["author_of", "merged", "suited"]

_FAMILIES = {"anthropic": "anthropic", "gemini": "google", "openai": "openai", "xai": "x-ai", "meta": "meta-llama"}
"""A word of a format's name, and whose models give it (OR-R3)."""
_TEXTS = ("text", "summary", "data")
_SIGNED = ("anthropic", "google")


def author_of(model: str) -> str:
    """Return the vendor's name in a model id, such as `google/gemini-3.5-flash` or `~anthropic/…-latest` (OR-E8)."""
    return model.lstrip("~").partition("/")[0]


def merged(details: Sequence[Any]) -> list[Any]:
    """Join the pieces of streamed items, by type and index (OR-S8), in order; whole items stay as they are (OR-R2).

    An item that has its signature is complete, and one with another id is another item. A piece without an
    index belongs to none. An encrypted item that is repeated is sent once (OR-R5).
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


class _Pieces(list[str]):
    """A text that is joined once all of it is there: to add to a text takes as long as it is, each time."""

    length = 0

    def append(self, piece: str) -> None:
        self.length += len(piece)
        super().append(piece)


def _is_all(held: Any, data: Any) -> bool:
    """Whether a text says again all that is held."""
    if isinstance(held, _Pieces):
        return isinstance(data, str) and held.length == len(data) and "".join(held) == data
    return bool(held == data)


def _join(held: dict[str, Any], piece: Mapping[str, Any]) -> None:
    for name, value in piece.items():
        own = held.get(name)
        if name in _TEXTS and isinstance(own, str | _Pieces):
            if not isinstance(own, _Pieces):
                text, own = own, _Pieces()
                own.append(text)
                held[name] = own
            own.append(value if isinstance(value, str) else "")
        elif value is not None:
            held[name] = value


def _join_texts(item: Any) -> None:
    for name in _TEXTS if isinstance(item, dict) else ():
        if isinstance(item.get(name), _Pieces):
            item[name] = "".join(item[name])


def suited(details: Sequence[Any], model: str) -> tuple[list[Any], set[tuple[str, str]]]:
    """Return the items that this model takes, and for those left out the facts and reasons.

    Anthropic and Gemini refuse thoughts without a signature (OR-R4), and everybody another one's (OR-R6).
    """
    author, good, lost = author_of(model), [], set()
    for item in details:
        maker = _maker(item) or author
        if maker != author and author in _FAMILIES.values():
            lost.add(("OR-R6", f"reasoning of another vendor's model, which {author} does not take"))
        elif maker in _SIGNED and _is_unsigned(item):
            lost.add(("OR-R4", "reasoning without its signature, which would be refused"))
        else:
            good.append(item)
    return good, lost


def _is_unsigned(item: Any) -> bool:
    return isinstance(item, Mapping) and item.get("type") == "reasoning.text" and not item.get("signature")


def _maker(item: Any) -> str | None:
    """Return whose item it is; None where the format does not say."""
    name = str(item.get("format") or "") if isinstance(item, Mapping) else ""
    return next((maker for word, maker in _FAMILIES.items() if word in name), None)
