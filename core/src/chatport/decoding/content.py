"""What is asked and answered, as it is told to logs, observers and spans where a client's `[log] content` says so.

The form is that of OpenTelemetry's conventions for generative AI: messages with `role` and `parts`. All texts of one
event share a number of bytes. The newest messages get their room first; a text that does not fit is cut, and says so
at its end; how many messages were left out before them stands beside them. Bytes of pictures and sounds are counted,
never told, and addresses go without their query, which may be a signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, assert_never
from urllib.parse import urlsplit

from .. import jsoncodec
from ..basics.frozen import freeze
from ..basics.secret import Revealed
from ..call import Call
from ..types import (
    Alternative,
    AudioPart,
    FilePart,
    ImagePart,
    Media,
    Message,
    Part,
    Reply,
    TextPart,
    ToolCall,
    VendorPart,
    VideoPart,
)
from .redaction import hide_keys

__all__ = ["Room", "told"]

_OVERHEAD_BYTES = 32
"""What a message or a part takes without its text, so that empty ones have an end too."""
_LONGEST_NAME = 256
_ESCAPED = 16
"""A key whose characters are all escapes, and these escaped again, is as many times as long as itself."""
_LEVELS = 10
"""More than there are around the arguments of a call, of those that a value may have."""
_FINISH = {"tool_calls": "tool_call"}
"""Finish reasons that have another name in the conventions."""


def told(what: Call | Reply, most_bytes: int, keys: Revealed) -> Mapping[str, Any]:
    """Return the fields of an event for what is asked, or answered: frozen, of JSON's values, with no key in them."""
    hidden = (keys,) if isinstance(keys, str) else tuple(sorted(set(keys), key=len, reverse=True))
    room = Room(most_bytes, hidden)  # a long key may begin with a short one
    if isinstance(what, Reply):
        answers = [_answer(what, room), *(_answer(choice, room) for choice in what.alternatives)]
        return {"output_messages": freeze(answers)}
    messages: list[dict[str, Any]] = []
    for message in reversed(what.messages):
        if not room.left:
            break
        messages.insert(0, _message(message, room))
    left_out = len(what.messages) - len(messages)
    return {"input_messages": freeze(messages), **({"left_out_messages": left_out} if left_out else {})}


class Room:
    """How many bytes of text there is room for yet. `text` takes of it."""

    def __init__(self, most_bytes: int, keys: tuple[str, ...]) -> None:
        self.left = most_bytes
        self._keys = keys
        self._margin = _ESCAPED * max(map(len, keys), default=0)

    def take(self) -> None:
        """Take what a message or a part needs beside its text."""
        self.left = max(self.left - _OVERHEAD_BYTES, 0)

    def text(self, text: str) -> str:
        """Return a text without keys in it, cut where there is no more room, with a mark that says so."""
        seen = text[: self.left + self._margin]  # a key at the place of the cut is seen whole, and then hidden
        hidden = hide_keys(seen, self._keys)
        encoded = hidden.encode("utf-8", "backslashreplace")
        if len(encoded) <= self.left and len(seen) == len(text):
            self.left -= len(encoded)
            return encoded.decode()
        kept, self.left = encoded[: self.left].decode("utf-8", "ignore"), 0
        return f"{kept}… [cut: the whole text has {len(text):,} characters]"

    def name(self, text: str | None) -> str | None:
        """Return an id or a name, which a vendor chose, without keys."""
        if text is None:
            return None
        hidden = hide_keys(text[: _LONGEST_NAME + self._margin], self._keys)[:_LONGEST_NAME]
        return hidden.encode("utf-8", "backslashreplace").decode()


def _message(message: Message, room: Room) -> dict[str, Any]:
    room.take()
    if message.role == "tool":
        parts = [_result(message, room)]
    else:
        parts = _said(message.reasoning, [_part(part, room) for part in message.content], message, room)
    named = {} if message.name is None else {"name": room.name(message.name)}
    return {"role": message.role, "parts": parts, **named}


def _answer(choice: Reply | Alternative, room: Room) -> dict[str, Any]:
    room.take()
    texts = [{"type": "text", "content": room.text(choice.text)}] if choice.text else []
    parts = _said(choice.reasoning, texts, choice, room)
    parts += [_media(media, room) for media in choice.media]
    reason = choice.finish_reason
    return {"role": "assistant", "parts": parts, "finish_reason": _FINISH.get(reason, reason)}


def _said(
    reasoning: str | None, content: list[dict[str, Any]], of: Message | Reply | Alternative, room: Room
) -> list[dict[str, Any]]:
    """Return the parts of an answer: what it says has its room before what it thought."""
    calls = [_call(call, room) for call in of.tool_calls]
    refusals = [{"type": "refusal", "content": room.text(of.refusal)}] if of.refusal else []
    thoughts = [{"type": "reasoning", "content": room.text(reasoning)}] if reasoning else []
    return [*thoughts, *content, *refusals, *calls]


def _call(call: ToolCall, room: Room) -> dict[str, Any]:
    room.take()
    arguments: Any = room.text(call.arguments or "")
    with suppress(ValueError):  # no JSON, or cut, or nested too deeply: then it stays a text
        arguments = freeze(jsoncodec.decode_text(arguments), _level=_LEVELS)
    return {"type": "tool_call", "id": room.name(call.id), "name": room.name(call.name), "arguments": arguments}


def _result(message: Message, room: Room) -> dict[str, Any]:
    plain = all(isinstance(part, TextPart) for part in message.content)
    response = room.text(message.text) if plain else [_part(part, room) for part in message.content]
    return {"type": "tool_call_response", "id": room.name(message.tool_call_id), "response": response}


def _part(part: Part, room: Room) -> dict[str, Any]:
    room.take()
    match part:
        case TextPart(text=text):
            return {"type": "text", "content": room.text(text)}
        case ImagePart(url=url):
            return _placed("image", url, None, room)
        case VideoPart(url=url):
            return _placed("video", url, None, room)
        case AudioPart(data=data, format=kind):
            return _placed("audio", data, f"audio/{kind}" if kind else None, room)
        case FilePart(file_id=str(name)):
            return {"type": "file", "modality": "document", "file_id": room.name(name)}
        case FilePart(data=data):
            return _placed("document", data or "", None, room)
        case VendorPart(value=value):
            content = room.text(jsoncodec.encode_anything(value).decode())
            return {"type": room.name(part.kind) or "vendor", "content": content}
        case _:
            assert_never(part)


def _media(media: Media, room: Room) -> dict[str, Any]:
    room.take()
    modality = "document" if media.kind == "file" else media.kind
    return _placed(modality, media.url if media.data is None else media.data, media.media_type, room)


def _placed(modality: str, place: str | None, media_type: str | None, room: Room) -> dict[str, Any]:
    """Return where something is, or that it was there itself, and how large it was."""
    place = place or ""
    if "://" in place[:32] and not place.startswith("data:"):
        parts = urlsplit(place)
        host = parts.netloc.rpartition("@")[2]  # a password may stand before it
        hidden = "?…" if parts.query else ""
        found: dict[str, Any] = {"type": "uri", "uri": room.text(f"{parts.scheme}://{host}{parts.path}{hidden}")}
    else:
        head, _, data = place.rpartition(",")
        media_type = head.removeprefix("data:").partition(";")[0][:_LONGEST_NAME] or media_type
        found = {"type": "blob", "content": "", "left_out_bytes": len(data) * 3 // 4}
    return {**found, "modality": modality, **({} if media_type is None else {"mime_type": media_type})}
