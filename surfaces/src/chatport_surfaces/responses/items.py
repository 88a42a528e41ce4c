"""The input of a request, item by item, as a conversation of ours (RS-I1 to RS-I10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatport import BadRequestError, Message, VendorPart

from ..sealing import Seal
from .parts import bad, objects, read_parts, text_of
from .store import MemoryStore
from .turns import ITEMS, Turn, bare

__all__ = ["as_items", "read_items", "with_referred"]

_ROLES = ("user", "system", "developer")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_FROM_CLIENT = ("additional_tools", "mcp_approval_response", "compaction_trigger")
"""Items that are no answer's, besides all that end in `_output`."""
_OF_SERVER = ("tool_search_output", "program_output")


def as_items(given: Any) -> list[Mapping[str, Any]]:
    """Return the items of an input, which may be a text. Raises BadRequestError for anything else."""
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    return list(objects(given, "input"))


def with_referred(items: Sequence[Mapping[str, Any]], store: MemoryStore | None) -> list[Mapping[str, Any]]:
    """Return the items with those that are only named (RS-S5). Raises BadRequestError for one that nobody has kept."""
    return [_referred(item, store) if _is_reference(item) else item for item in items]


def _is_reference(item: Mapping[str, Any]) -> bool:
    return item.get("type") == "item_reference" or (item.get("type") is None and "role" not in item and "id" in item)


def _referred(item: Mapping[str, Any], store: MemoryStore | None) -> Mapping[str, Any]:
    known = None if store is None else store.item(str(item.get("id")))
    if known is not None:
        return known
    why = "Nothing is kept here" if store is None else "It is kept no more"
    raise BadRequestError(
        f"Item with id {item.get('id')!r} not found. {why}: send the item itself. (Clients that name items have a "
        "setting for that, such as `store: false`.)",
        code="item_not_found",
    )


def read_items(items: Sequence[Mapping[str, Any]], seal: Seal) -> list[Message]:
    """Return the conversation. Raises BadRequestError, with its place, for an item that cannot be meant."""
    reader = _Reader(seal)
    for number, item in enumerate(items):
        reader.take(item, f"input[{number}]")
    reader.close()
    return reader.messages


class _Reader:
    def __init__(self, seal: Seal) -> None:
        self.messages: list[Message] = []
        self._seal = seal
        self._turn: Turn | None = None

    def close(self) -> None:
        """End the answer that is being read."""
        if self._turn is not None:
            self.messages.append(self._turn.message())
        self._turn = None

    def take(self, item: Mapping[str, Any], where: str) -> None:
        kind = item.get("type", "message")
        if not isinstance(kind, str):
            bad(f"{where}.type", "must be a text")
        if _is_of_answer(item, kind):
            if self._turn is not None and not self._turn.takes(item):
                self.close()
            self._turn = self._turn or Turn(self._seal)
            self._turn.take(item, where)
            return
        self.close()
        self.messages.append(_message(item, kind, where))


def _is_of_answer(item: Mapping[str, Any], kind: str) -> bool:
    if kind == "message":
        return item.get("role") == "assistant"
    return kind in _OF_SERVER or not (kind.endswith("_output") or kind in _FROM_CLIENT)


def _message(item: Mapping[str, Any], kind: str, where: str) -> Message:
    kept = {ITEMS: [bare({"type": kind, **item})]}
    if kind in _OUTPUTS:
        parts = read_parts(item.get("output"), f"{where}.output")
        return Message("tool", parts, tool_call_id=text_of(item, "call_id", where), opaque=kept)
    if kind != "message":
        return Message("user", (VendorPart(bare(item)),), opaque=kept)
    role = item.get("role")
    if role not in _ROLES:
        bad(f"{where}.role", f"must be one of user, assistant, system and developer, not {role!r}")
    return Message(role, read_parts(item.get("content"), f"{where}.content"), opaque=kept)
