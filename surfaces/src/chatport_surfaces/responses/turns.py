"""An earlier answer as its client gives it back: items, of which one message is made.

What lies sealed in them is opened: the slot of the vendor that wrote it, or a vendor's own text in its place. Items
that only this protocol has stand among the parts, so that a vendor of another one goes without them, and that is told;
all of them, as they came, lie in the slot where a vendor of this protocol finds its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import Message, Part, TextPart, ToolCall, VendorPart

from ..sealing import Seal, Sealed
from .free_text import as_arguments
from .parts import objects, read_parts, text_of
from .tools import joined_name

__all__ = ["ITEMS", "Turn", "bare"]

ITEMS = "items"
"""Where vendors of this protocol find the items of a message: `chatport_responses.OPAQUE_KEY`."""
_LOST_IDS = ("message", "function_call", "custom_tool_call", "function_call_output", "custom_tool_call_output")
"""Items that may go without an id, and with it without the order that it asks for (RS-O2, RS-O5)."""
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}


def bare(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item as it goes to a vendor of this protocol: without ids that another one may have given."""
    kind = item.get("type", "message")
    given = {key: value for key, value in item.items() if value is not None}
    if kind in _LOST_IDS:
        return {key: value for key, value in given.items() if key not in ("id", "status")}
    if kind == "reasoning":
        if not given.get("content"):  # an empty one is refused by one server, and nothing to the others (RS-V13)
            given.pop("content", None)
        if given.get("encrypted_content") or given.get("content"):  # it is bound to the id, and fine without (RS-O9)
            given.pop("id", None)
        given = {key: value for key, value in given.items() if key != "status"}
        return {**given, "summary": given.get("summary", [])}  # which is required (RS-O7)
    return given


class Turn:
    """The items of one answer, until an item of somebody else's comes, or of another vendor's answer."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._items: list[Mapping[str, Any]] = []
        self._parts: list[Part] = []
        self._calls: list[tuple[str, str, str, bool]] = []
        self._refusals: list[str] = []
        self._thoughts: list[str] = []
        self._phase: Any = None
        self._origin: str | None = None
        self._state: Sealed | None = None

    def takes(self, item: Mapping[str, Any]) -> bool:
        """Whether an item can be of this answer: its end is known where there was a vendor's whole slot."""
        sealed = self._seal.open(item.get("encrypted_content"))
        return self._state is None and (sealed is None or self._origin in (None, sealed.origin))

    def take(self, item: Mapping[str, Any], where: str) -> None:
        """Take an item. Raises BadRequestError for one that cannot be meant."""
        kind = item.get("type", "message")
        if kind == "message":
            self._message(item, where)
        elif kind in _CALLS:
            self._call(item, kind, where)
        else:
            self._special(item, kind, where)

    def _message(self, item: Mapping[str, Any], where: str) -> None:
        content, where = item.get("content"), f"{where}.content"
        if isinstance(content, str):
            content = [{"type": "output_text", "text": content}]
        for number, part in enumerate(objects(content, where)):
            if part.get("type") == "refusal":
                self._refusals.append(text_of(part, "refusal", f"{where}[{number}]"))
            else:
                self._parts.extend(read_parts([part], where))
        self._phase = item.get("phase") or self._phase
        self._items.append(bare({**item, "type": "message", "content": [_output_part(part) for part in content or ()]}))

    def _call(self, item: Mapping[str, Any], kind: str, where: str) -> None:
        text = text_of(item, _CALLS[kind], where)
        name = joined_name(text_of(item, "name", where), item.get("namespace"))
        arguments = as_arguments(text) if kind == "custom_tool_call" else text
        self._calls.append((text_of(item, "call_id", where), name, arguments, item.get("status") != "incomplete"))
        self._items.append(bare(item))

    def _special(self, item: Mapping[str, Any], kind: str, where: str) -> None:
        secret = item.get("encrypted_content")
        sealed = self._seal.open(secret)
        if sealed is not None:
            self._origin = sealed.origin
            if sealed.text is None:
                self._state = sealed
        if kind == "reasoning":
            self._thoughts.append(_thoughts(item, where))
        if sealed is not None:
            item = {**item, "encrypted_content": sealed.text}
        elif self._seal.is_sealed(secret):  # another process's, or changed: no vendor is to get it
            item = {**item, "encrypted_content": None}
        item = bare(item)
        self._items.append(item)
        if kind != "reasoning" or sealed is None or sealed.text is not None:
            self._parts.append(VendorPart(item))

    def message(self) -> Message:
        """Return the answer as a message."""
        state, origin = self._state, self._origin
        parts = tuple(self._parts)
        if state is not None:  # written by us for a vendor of another protocol: what is reasoning is known to be its
            parts = tuple([part for part in parts if not (isinstance(part, VendorPart) and part.kind == "reasoning")])
        extras = {} if state is None else state.calls
        calls = [
            ToolCall(call_id, name, text, is_whole, extras.get(call_id, {}))
            for call_id, name, text, is_whole in self._calls
        ]
        return Message(
            "assistant",
            parts,
            tuple(calls),
            refusal="".join(self._refusals) or None,
            reasoning=("".join(self._thoughts) or None) if state is not None else None,
            origin=origin,
            opaque={ITEMS: self._items} if state is None else state.opaque,
            extra={"phase": self._phase} if self._phase else {},
        )


def _output_part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in part.items() if key != "logprobs" and value is not None}


def _thoughts(item: Mapping[str, Any], where: str) -> str:
    texts = []
    for field in ("summary", "content"):
        parts = objects(item.get(field), f"{where}.{field}")
        texts.append("\n\n".join(part.text for part in read_parts(list(parts), where) if isinstance(part, TextPart)))
    return "\n\n".join(filter(None, texts))
