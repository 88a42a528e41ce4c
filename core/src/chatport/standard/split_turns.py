"""One answer in several choices: some gateways put the text of a turn into one choice, and its calls into others.

Choices of one index are one answer. Choices of several are where nobody asked for more than one answer, one of them has
the text, and the others have calls and none. Two whole answers stay two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..call import WireRequest

__all__ = ["asked_for_one", "has_only_calls", "last_ends", "whole_turns"]


def asked_for_one(request: WireRequest | None) -> bool:
    """Whether no more than one answer was asked for."""
    return request is None or request.body.get("n") in (None, 1)


def has_only_calls(message: Any) -> bool:
    """Whether a message, or a piece of one, has calls and no text."""
    return isinstance(message, Mapping) and bool(message.get("tool_calls")) and not message.get("content")


def last_ends(choices: Sequence[Any]) -> Sequence[Any]:
    """Return the choices of a chunk; of those with one index, only the last tells the end."""
    last = {_index(choice): position for position, choice in enumerate(choices)}
    if len(last) == len(choices):
        return choices
    return [
        choice if _index(choice) is None or last[_index(choice)] == position else {**choice, "finish_reason": None}
        for position, choice in enumerate(choices)
    ]


def whole_turns(choices: Sequence[Any], request: WireRequest | None) -> Sequence[Any]:
    """Return the choices of a whole reply, with those that are parts of one answer joined."""
    if not all(isinstance(choice, Mapping) and isinstance(choice.get("message"), Mapping) for choice in choices):
        return choices
    if asked_for_one(request) and _is_split(choices):
        return [_joined(choices)]
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for position, choice in enumerate(choices):
        index = _index(choice)
        groups.setdefault(("position", position) if index is None else index, []).append(choice)
    return [group[0] if len(group) == 1 else _joined(group) for group in groups.values()]


def _index(choice: Any) -> int | None:
    index = choice.get("index") if isinstance(choice, Mapping) else None
    return index if isinstance(index, int) else None


def _is_split(choices: Sequence[Mapping[str, Any]]) -> bool:
    others = [choice for choice in choices if not has_only_calls(choice["message"])]
    return len(others) == 1 and len(choices) > 1 and bool(others[0]["message"].get("content"))


def _joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    choice: dict[str, Any] = {}
    message: dict[str, Any] = {}
    for part in parts:
        _lay_over(message, part["message"])
        _lay_over(choice, {name: value for name, value in part.items() if name not in ("message", "index")})
    ends = [part.get("finish_reason") for part in parts]
    end = "tool_calls" if "tool_calls" in ends else next(filter(None, reversed(ends)), None)
    index = next((part["index"] for part in parts if _index(part) is not None), 0)
    return {**choice, "index": index, "message": message, "finish_reason": end}


def _lay_over(held: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add the members of another part: texts and lists behind what is there, of others the first."""
    for name, value in more.items():
        own = held.get(name)
        if name == "role" or value is None or value == own == "":
            held.setdefault(name, value)
        elif isinstance(own, str) and isinstance(value, str):
            held[name] = own + value
        elif isinstance(own, list) and isinstance(value, list):
            held[name] = [*own, *value]
        elif not own:
            held[name] = value
