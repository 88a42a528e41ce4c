"""Ids of tool calls as a vendor takes them: of its letters and its length, and of one call in the whole conversation.

An id ties a call to its result and means nothing else, so one that is not taken is replaced in both alike. What it
becomes depends on what stands before it, and on nothing behind: in every turn of a conversation it is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from ..call import WireRequest
from ..facts.rules import CallIdRule

__all__ = ["with_call_ids"]

_ANY = CallIdRule()
_FOREIGN = "ids of another vendor, which are not taken here"
_REPEATED = "an id is of one call only, in the whole conversation"


def with_call_ids(wire: WireRequest, rule: CallIdRule | None) -> WireRequest:
    """Return the request with ids that are taken, no two calls having the same."""
    messages: Sequence[Mapping[str, Any]] = wire.body["messages"]
    if not [message for message in messages if "tool_calls" in message]:
        return wire
    ids = _Ids(rule or _ANY)
    sent = [ids.changed(message) for message in messages]
    if not ids.reasons:
        return wire
    wire = wire.set("messages", sent)
    for reason in ids.reasons:
        wire = wire.note("renamed", "messages.tool_call_id", reason, ids.rule.fact if reason is _FOREIGN else "")
    return wire


class _Ids:
    """Takes one message after another. A result belongs to the last call of its id before it."""

    def __init__(self, rule: CallIdRule) -> None:
        self.rule = rule
        self.reasons: dict[str, None] = {}
        self._used: set[str] = set()
        self._last_numbers: dict[str, int] = {}  # of repeated ids, so that each is found at once
        self._sent: dict[str, str] = {}

    def changed(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        calls, result = message.get("tool_calls"), message.get("tool_call_id")
        if calls:
            own = [call.get("id") for call in calls]
            sent = [self._of_call(call_id) for call_id in own]
            if sent == own:
                return message
            return {**message, "tool_calls": [{**call, "id": new} for call, new in zip(calls, sent, strict=True)]}
        if not isinstance(result, str):
            return message
        new = self._sent.get(result) or self._fitting(result)
        return message if new == result else {**message, "tool_call_id": new}

    def _of_call(self, own: Any) -> Any:
        if not isinstance(own, str):
            return own
        sent = self._fitting(own)
        if sent in self._used:
            self.reasons[_REPEATED] = None
            sent = next(made for made in self._others(own) if made not in self._used)
        self._used.add(sent)
        self._sent[own] = sent
        return sent

    def _fitting(self, own: str) -> str:
        if self.rule.takes(own):
            return own
        self.reasons[_FOREIGN] = None
        return self.rule.made_of(own)

    def _others(self, own: str) -> Iterator[str]:
        """Give what may stand for an id that another call has: with a number behind it, where that is taken."""
        for number in count(self._last_numbers.get(own, 1) + 1):
            self._last_numbers[own] = number
            numbered = f"{own}_{number}"
            yield numbered if self.rule.takes(numbered) else self.rule.made_of(numbered)
