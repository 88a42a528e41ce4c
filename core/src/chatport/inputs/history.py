"""Earlier answers made fit to be sent again, to any vendor: what a model once wrote must not stick a conversation.

A model's calls come with cut arguments, a list in place of an object, half an emoji, an id that another call has, a
name of blanks. A vendor may refuse each of these in what it is sent, its own words included. Each is mended here,
before any hook sees it, with a warning; nothing else of a message is touched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from typing import Any

import attrs

from .. import jsoncodec
from ..errors import BadRequestError
from ..standard.tools import wire_name
from ..types import Adjustment, Message, ToolCall

__all__ = ["mended"]

_LONGEST_ID = 128
_NAMELESS = "unnamed"
_INSIDE = "arguments"
"""The only key of the object around arguments that are none: the model sees there what it wrote."""


def mended(messages: tuple[Message, ...], own_names: Collection[str]) -> tuple[tuple[Message, ...], list[Adjustment]]:
    """Return the conversation with calls that can be sent, and a warning for each thing that was changed.

    Names of the caller's own tools stay as they are: the provider's hooks know what they are sent as.
    """
    if not [message for message in messages if message.tool_calls]:
        return messages, []
    mender = _Mender(own_names)
    return tuple([mender.take(messages, number) for number in range(len(messages))]), mender.notes


class _Mender:
    """Takes one message after another. A result belongs to the first call of its id that has none yet."""

    def __init__(self, own_names: Collection[str]) -> None:
        self.notes: list[Adjustment] = []
        self._own_names = own_names
        self._sent_ids: set[str] = set()
        self._last_numbers: dict[str, int] = {}  # of repeated ids, so that each is found at once
        self._open: dict[str, deque[str]] = {}  # for each id as it came: the ids it is sent as, that wait for results

    def take(self, messages: tuple[Message, ...], number: int) -> Message:
        message = messages[number]
        if message.role == "tool":
            return self._result(message)
        if not message.tool_calls:
            return message
        self._open, self._sent_ids, self._last_numbers = {}, set(), {}  # an id says which call of this answer
        answered, place = set(_answered(messages, number)), f"messages[{number}].tool_calls"
        kept = [(at, call) for at, call in enumerate(message.tool_calls) if call.complete or call.id in answered]
        if len(kept) < len(message.tool_calls):
            self._note("invalid", place, "a call that was cut, and has no result, is left out")
        calls = tuple([self._call(call, f"{place}[{at}]") for at, call in kept])
        return message if calls == message.tool_calls else attrs.evolve(message, tool_calls=calls)

    def _call(self, call: ToolCall, place: str) -> ToolCall:
        sent_id, name, arguments = self._id(call, place), self._name(call, place), self._arguments(call, place)
        self._open.setdefault(call.id, deque()).append(sent_id)
        return ToolCall(sent_id, name, arguments, call.complete, call.extra)

    def _id(self, call: ToolCall, place: str) -> str:
        """Return an id that is printable, of bounded length, and no other call's."""
        own = jsoncodec.whole(str(call.id))
        fit = own if own.isprintable() and " " not in own and len(own) <= _LONGEST_ID else wire_name(own)
        sent = self._unused(fit or "call")
        if sent != call.id:
            self._note("renamed", f"{place}.id", f"sent as {sent!r}: an id is printable, and of one call only")
        return sent

    def _unused(self, fit: str) -> str:
        sent, number = fit, self._last_numbers.get(fit, 1)
        while sent in self._sent_ids:
            number += 1
            sent = f"{fit}_{number}"
        self._last_numbers[fit] = number
        self._sent_ids.add(sent)
        return sent

    def _name(self, call: ToolCall, place: str) -> str:
        if call.name in self._own_names:
            return call.name
        name = wire_name(jsoncodec.whole(str(call.name))) or _NAMELESS
        if name != call.name:
            self._note(
                "renamed", f"{place}.name", f"sent as {name!r}: a name takes letters, digits, _ and -, at most 64"
            )
        return name

    def _arguments(self, call: ToolCall, place: str) -> str:
        try:
            text, problem = _object_text(call.arguments)
        except (TypeError, RecursionError) as error:  # a caller's own call, with a value that JSON does not have
            raise BadRequestError(f"{place}.arguments cannot be written as JSON: {error}.") from error
        if problem:
            self._note("invalid", f"{place}.arguments", problem)
        return text

    def _result(self, message: Message) -> Message:
        waiting = self._open.get(message.tool_call_id or "")
        if not waiting:
            return message  # a second result, or one that comes too late: the vendor will say what it makes of it
        sent = waiting.popleft() if len(waiting) > 1 else waiting[0]
        return message if sent == message.tool_call_id else attrs.evolve(message, tool_call_id=sent)

    def _note(self, kind: Any, field: str, reason: str) -> None:
        self.notes.append(Adjustment(kind, field, reason))


def _answered(messages: tuple[Message, ...], number: int) -> Iterator[str]:
    """Give the ids that the results right after an answer name."""
    for message in messages[number + 1 :]:
        if message.role != "tool":
            return
        yield message.tool_call_id or ""


def _object_text(arguments: Any) -> tuple[str, str]:
    """Return the text of a JSON object for a call's arguments, and what had to be done for it, if anything."""
    if not isinstance(arguments, str):
        return _object_text(jsoncodec.encode_anything(arguments).decode())
    if not arguments.strip():
        return "{}", ""
    if jsoncodec.is_object(arguments):
        return arguments, ""
    try:
        value = jsoncodec.without_halves(jsoncodec.decode_text(arguments))
    except ValueError:
        return _around(
            jsoncodec.whole(arguments)
        ), f"they are no JSON, and are sent as the text {_INSIDE!r} of an object"
    if isinstance(value, dict):
        return jsoncodec.encode_anything(value).decode(), "halves of surrogate pairs in them are replaced"
    if value is None:
        return "{}", "they are null, and are sent as an empty object"
    return _around(value), f"they are no JSON object, and are sent as {_INSIDE!r} of one"


def _around(value: Any) -> str:
    return jsoncodec.encode_anything({_INSIDE: value}).decode()
