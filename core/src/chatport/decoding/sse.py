"""Server-sent events from bytes, by the WHATWG rules, in any cut.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation. The parser works on
bytes: an event's data stay as they came, for the JSON decoder. What it may return: a list of complete events, or
MalformedReplyError when an event grows over its limit. It holds back only an unfinished event.
"""

from __future__ import annotations

import re
from functools import lru_cache
from io import BytesIO

import msgspec

from ..errors import MalformedReplyError

__all__ = ["EventStreamParser", "ServerSentEvent"]

_BOM = b"\xef\xbb\xbf"
_ALL_PLAIN = re.compile(rb"(?:data: .*+\n\n)++")
_NAMED = re.compile(rb"event: ([a-z_.]{1,64})\ndata: (.*)\n\n")
_ALL_NAMED = re.compile(rb"(?:event: [a-z_.]{1,64}+\ndata: .*+\n\n)++")
"""A text that is made of one of the two forms of nearly every vendor, and of nothing else.

Only such a text is taken apart by its form: a search would begin anew at every `data: ` inside a line of another one.
"""
_COMMENTS = re.compile(rb"^:.*\n", re.MULTILINE)
_RETRY_DIGITS = 9  # more would be years; thousands of digits are an error of `int`


class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """One event: its data, its name ("message" if the stream gave none) and the last event id."""

    data: bytes
    event: str = "message"
    id: str = ""


class EventStreamParser:
    """Feed it bytes, get events. `stray` keeps the first line that is no field but looks like JSON.

    Such a line is no event by the rules, yet some servers write an error that way; see `stray`.
    """

    def __init__(self, *, max_event_bytes: int = 8 * 1024 * 1024) -> None:
        self.max_event_bytes = max_event_bytes
        self.last_id = ""
        self.retry_ms: int | None = None
        self.stray: bytes | None = None
        self._rest = bytearray()  # invariant: normalised line ends, begins at an event, holds no complete event
        self._skip_lf = False  # the last byte so far was a CR: an LF right after it belongs to it
        self._at_start = True  # a byte-order mark may still come

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events that these bytes complete."""
        if self._is_one_event(data):
            return [ServerSentEvent(data[6:-2], "message", self.last_id)]
        if data[:7] == b"event: ":
            named = self._one_named_event(data)
            if named is not None:
                return [named]
        if self._at_start:
            data = self._without_bom(data)
        if self._skip_lf or b"\r" in data:
            data = self._normalised(data)
        rest = self._rest
        if rest:
            # Only new bytes, and one old one, can hold the blank line: a long event is not searched again and again.
            search_from = len(rest) - 1
            rest += data
            end = rest.rfind(b"\n\n", search_from)
            if end < 0:
                self._check_size(len(rest))
                return []
            blocks = bytes(rest[: end + 2])
            del rest[: end + 2]
        else:
            end = data.rfind(b"\n\n")
            if end < 0:
                rest += data
                self._check_size(len(rest))
                return []
            blocks = data[: end + 2]
            rest += data[end + 2 :]
        self._check_size(len(rest))
        return self._events(blocks)

    def _is_one_event(self, data: bytes) -> bool:
        """Whether these bytes are one whole event in the form of nearly every vendor, and nothing waits before them."""
        return (
            data.endswith(b"\n\n")
            and data.startswith(b"data: ")
            and data.find(b"\n", 6) == len(data) - 2
            and not (self._rest or self._at_start or self._skip_lf)
            and len(data) <= self.max_event_bytes
            and b"\r" not in data
        )

    def _one_named_event(self, data: bytes) -> ServerSentEvent | None:
        """Return the event that these bytes are, if they are one in the other usual form, and nothing waits before."""
        end = data.find(b"\n", 7)
        if end <= 7 or data[end : end + 7] != b"\ndata: " or data.find(b"\n", end + 7) != len(data) - 2:
            return None
        if self._rest or self._at_start or self._skip_lf or len(data) > self.max_event_bytes or b"\r" in data:
            return None
        return ServerSentEvent(data[end + 7 : -2], _name(data[7:end]), self.last_id) if data[-1:] == b"\n" else None

    def close(self) -> ServerSentEvent | None:
        """Return the event that the body ended in, without its blank line; None if there is none.

        By the rules such an event is not dispatched. The caller may use data that prove themselves whole.
        """
        rest, self._rest, last_id = bytes(self._rest), bytearray(), self.last_id
        event = self._event(rest)
        self.last_id = last_id
        return event

    @property
    def unparsed(self) -> bytes:
        """The bytes of the unfinished event, for an error message."""
        return bytes(self._rest[:2000])

    def _without_bom(self, data: bytes) -> bytes:
        data = bytes(self._rest) + data
        self._rest.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._rest += data
            return b""
        self._at_start = False
        return data[len(_BOM) :] if data.startswith(_BOM) else data

    def _normalised(self, data: bytes) -> bytes:
        if self._skip_lf and data[:1] == b"\n":
            data = data[1:]
            self._skip_lf = False
        if data:
            self._skip_lf = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _check_size(self, size: int) -> None:
        if size > self.max_event_bytes:
            raise MalformedReplyError(
                f"A stream event is larger than {self.max_event_bytes} bytes; "
                "raise limits.event_bytes if the vendor really sends such events."
            )

    def _events(self, text: bytes) -> list[ServerSentEvent]:
        """Return the events of blocks that are all whole, each with its blank line."""
        if len(text) <= self.max_event_bytes:
            usual = self._usual_events(text)
            if usual is not None:
                return usual
            if text[:1] == b":" or b"\n:" in text:  # heartbeats may come by the million, and are nothing to look at
                text = _COMMENTS.sub(b"", text)
        events = []
        for block in text[:-2].split(b"\n\n"):
            if len(block) > self.max_event_bytes:
                self._check_size(len(block))
            event = self._event(block) if block else None
            if event is not None:
                events.append(event)
        return events

    def _usual_events(self, text: bytes) -> list[ServerSentEvent] | None:
        """Return the events of a text that is made of one usual form alone, None for any other."""
        last_id = self.last_id
        if _ALL_PLAIN.fullmatch(text) is not None:
            return [ServerSentEvent(data, "message", last_id) for data in text[6:-2].split(b"\n\ndata: ")]
        if _ALL_NAMED.fullmatch(text) is not None:
            return [ServerSentEvent(data, _name(name), last_id) for name, data in _NAMED.findall(text)]
        return None

    def _event(self, block: bytes) -> ServerSentEvent | None:
        data: bytearray | None = None
        name = b""
        for line in BytesIO(block):  # one by one: an event of a million lines is no million objects at once
            line = line.rstrip(b"\n")
            field, _, _ = line.partition(b":")
            if field == b"data":
                if data is None:
                    data = bytearray(_value(line))
                else:
                    data += b"\n" + _value(line)
            elif field == b"event":
                name = _value(line)
            elif field == b"id":
                value = _value(line)
                if b"\0" not in value:
                    self.last_id = value.decode("utf-8", "replace")
            elif field == b"retry":
                value = _value(line)
                if value.isdigit() and len(value) <= _RETRY_DIGITS:
                    self.retry_ms = int(value)
            elif self.stray is None and line[:1] in (b"{", b"["):
                self.stray = line
        if data is None:
            return None
        return ServerSentEvent(bytes(data), _name(name) or "message", self.last_id)


@lru_cache(maxsize=256)
def _known_name(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _name(name: bytes) -> str:
    """Return the name of an event; a stream has a few of them, again and again."""
    return _known_name(name) if len(name) <= 64 else name.decode("utf-8", "replace")


def _value(line: bytes) -> bytes:
    value = line.partition(b":")[2]
    return value[1:] if value[:1] == b" " else value
