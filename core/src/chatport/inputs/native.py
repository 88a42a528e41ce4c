"""A call that came in one protocol, made fit for the vendor it goes to: its own words go where they are understood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import attrs

from ..call import Call, Native, Tool
from ..provider import Provider
from ..types import (
    Adjustment,
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Part,
    TextPart,
    ToolCall,
    VendorPart,
    VideoPart,
)

__all__ = ["fitted"]

T = TypeVar("T", Message, Tool, ToolCall, TextPart, ImagePart, AudioPart, VideoPart, FilePart)


def fitted(call: Call, native: Native, provider: Provider) -> Call:
    """Return the call as a provider is to get it: with the protocol's own words, or without them and warnings instead.

    What an earlier answer of another provider has in its own shape goes back to that one only.
    """
    if native.is_of(provider):
        own = tuple([_own(message, provider) for message in call.messages])
        return attrs.evolve(call, messages=own, extra=native.fields)
    stripper = _Stripper(native)
    lost = [field for field in native.fields if field not in native.told]
    for field in lost:
        stripper.note(field)
    for tool in call.server_tools:
        stripper.note(f"tools.{tool.get('type', 'tool')}")
    choice = call.tool_choice
    if choice is not None and choice.mode == "vendor":
        stripper.note("tool_choice")
        choice = None
    messages = [(message, stripper.message(message)) for message in call.messages]
    return attrs.evolve(
        call,
        messages=_joined([left for message, left in messages if not _is_emptied(message, left, provider)]),
        tools=tuple([stripper.tool(tool) for tool in call.tools]),
        server_tools=(),
        tool_choice=choice,
        adjustments=(*call.adjustments, *stripper.notes),
    )


def _own(message: Message, provider: Provider) -> Message:
    """Return a message without what another provider has put into it in its own shape."""
    if message.origin in (None, provider.name):
        return message
    content = tuple([part for part in message.content if not isinstance(part, VendorPart)])
    return message if content == message.content else attrs.evolve(message, content=content)


def _is_emptied(message: Message, left: Message, provider: Provider) -> bool:
    """Whether nothing is left of a turn that this provider could get: none takes an empty one."""
    if left.role == "tool" or left.content or left.tool_calls or left.refusal:
        return False
    if left.role != "assistant":
        return bool(message.content)
    is_own = left.origin == provider.name
    return not (is_own and left.opaque) and not (left.reasoning and (is_own or left.origin is None))


def _joined(messages: list[Message]) -> tuple[Message, ...]:
    """Return the messages with an answer that goes on behind its calls as one, since results follow calls elsewhere."""
    joined: list[Message] = []
    for message in messages:
        last = joined[-1] if joined else None
        if last is not None and last.tool_calls and message.role == last.role and message.origin == last.origin:
            joined[-1] = _one_answer(last, message)
        else:
            joined.append(message)
    return tuple(joined)


def _one_answer(first: Message, second: Message) -> Message:
    return attrs.evolve(
        first,
        content=first.content + second.content,
        tool_calls=first.tool_calls + second.tool_calls,
        refusal=first.refusal or second.refusal,
        reasoning=(first.reasoning or "") + (second.reasoning or "") or None,
        opaque={**first.opaque, **second.opaque},
    )


class _Stripper:
    """Takes the words of a protocol out of a call, and remembers which there were, each once."""

    def __init__(self, native: Native) -> None:
        self._reason = f"of the protocol {native.protocol}, in which this vendor is not spoken to"
        self._notes: dict[Adjustment, None] = {}

    @property
    def notes(self) -> Iterator[Adjustment]:
        """What was taken out."""
        return iter(self._notes)

    def note(self, field: str) -> None:
        """Remember that something is left out."""
        self._notes[Adjustment("dropped", field, self._reason)] = None

    def message(self, message: Message) -> Message:
        """Return a message without parts, and keys, of its own."""
        content = tuple([part for part in map(self._part, message.content) if part is not None])
        calls = tuple([self._bare(call, "messages.tool_calls") for call in message.tool_calls])
        return self._bare(attrs.evolve(message, content=content, tool_calls=calls), "messages")

    def tool(self, tool: Tool) -> Tool:
        """Return a tool without keys of its own."""
        return self._bare(tool, "tools")

    def _part(self, part: Part) -> Part | None:
        if isinstance(part, VendorPart):
            self.note(f"messages.content.{part.kind or 'part'}")
            return None
        bare: Part = self._bare(part, "messages.content")  # type: ignore[type-var]  # each kind of part has the keys
        return bare

    def _bare(self, value: T, where: str) -> T:
        """Return a value without the keys that nobody here reads."""
        if not value.extra:
            return value
        for key in value.extra:
            self.note(f"{where}.{key}")
        return attrs.evolve(value, extra={})
