"""A whole answer as bytes, to be kept and given again: as a reply, or as the stream that it was or might have been.

A reply is written as `Reply.to_json` writes it, with the vendor's own JSON beside it. Of a stream each event is kept,
and which came together. The bytes are data and nothing else: to read what somebody else wrote runs nothing.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Self, get_type_hints

import attrs
import msgspec

from .. import events as ev, jsoncodec
from ..basics.values import Value
from ..types import Alternative, Citation, Media, Reply, Usage
from ..types.keeping import from_json, read, to_json, written
from .collector import Collector

__all__ = ["KeptAnswer"]

_FORM = 1
_EVENTS: tuple[type[Any], ...] = (
    ev.TextDelta, ev.ReasoningDelta, ev.ToolCallDelta, ev.ToolCallEnded, ev.RefusalDelta, ev.AudioDelta,
    ev.MediaAdded, ev.CitationAdded, ev.ServerStep, ev.UsageReported, ev.ChunkSeen,
)  # fmt: skip
"""What is kept, by its number here: new ones come last."""
_NUMBERS = {cls: number for number, cls in enumerate(_EVENTS)}
_PLAIN = (str, int, bytes, types.NoneType)


@attrs.frozen(eq=False, repr=False)
class KeptAnswer(Value):
    """An answer that came to its end. `reads` are the events of each read of its stream; none for a plain one."""

    reply: Reply
    reads: tuple[tuple[ev.Event, ...], ...] = ()

    def to_bytes(self) -> bytes:
        """Return it as bytes. Attempts are left out. Raises BadRequestError, TypeError for what JSON does not have."""
        reply = attrs.evolve(self.reply, attempts=(), output=None, rate_limits=None)
        raw = None if reply.raw is None else jsoncodec.encode_anything(reply.raw)
        reads = [[_packed(event) for event in events if type(event) in _NUMBERS] for events in self.reads]
        return msgspec.msgpack.encode((_FORM, to_json(reply), raw, reads))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return what `to_bytes` has written. Raises ValueError for anything else, and for another version's."""
        try:
            form, text, raw, reads = msgspec.msgpack.decode(data, type=tuple[int, str, bytes | None, list[list[Any]]])
            if form != _FORM:
                raise ValueError(f"form {form}")
            reply = from_json(Reply, text)
            reply = reply if raw is None else attrs.evolve(reply, raw=jsoncodec.decode(raw))
            return cls(reply, tuple([tuple([_unpacked(event) for event in events]) for events in reads]))
        except Exception as error:  # whatever is wrong with bytes that a disk or a network has changed
            raise ValueError(f"This is no kept answer ({type(error).__name__}).") from None

    def stream(self) -> Iterator[tuple[Sequence[ev.Event], Reply]]:
        """Give the reads of a stream of this answer, each with what has come until then. The last one ends it.

        Of an answer that was none it is made: one read for all that it says.
        """
        collector, reply = Collector(), self.reply
        whole = {name: getattr(reply, name) for name in ("provider", "model", "protocol", "request_id", "warnings")}
        for events in self.reads or (tuple(events_of(reply)),):
            if not events:
                continue
            for event in events:
                collector.add(event)
            so_far = attrs.evolve(
                collector.reply(raw=reply.raw, cost=reply.cost, **whole), id=reply.id, opaque=reply.opaque
            )
            yield events, so_far
        yield (ev.Finished(reply),), reply


def events_of(reply: Reply) -> Iterator[ev.Event]:
    """Give the events that a plain answer might have come as."""
    said: tuple[Reply | Alternative, ...] = (reply, *reply.alternatives)
    for choice, one in enumerate(said):
        if one.reasoning:
            yield ev.ReasoningDelta(one.reasoning, choice)
        if one.text:
            yield ev.TextDelta(one.text, choice)
        if one.refusal:
            yield ev.RefusalDelta(one.refusal, choice)
        for citation in one.citations:
            yield ev.CitationAdded(citation, choice)
        for media in one.media:
            yield ev.MediaAdded(media, choice)
        for index, call in enumerate(one.tool_calls):
            yield ev.ToolCallDelta(index, call.id, call.name, call.arguments, choice)
            yield ev.ToolCallEnded(index, call.id, call.name, call.arguments, choice)


def _packed(event: ev.Event) -> list[Any]:
    values = [getattr(event, name) for name in type(event).__struct_fields__]
    return [_NUMBERS[type(event)], *(value if isinstance(value, _PLAIN) else written(value) for value in values)]


def _unpacked(packed: list[Any]) -> ev.Event:
    number, *values = packed
    cls = _EVENTS[number]
    hints = _hints(cls)
    if len(values) > len(hints):
        raise ValueError(f"{cls.__name__} has no so many fields")
    event: ev.Event = cls(*[read(hint, value, cls.__name__) for hint, value in zip(hints, values, strict=False)])
    return event


@cache
def _hints(cls: type[Any]) -> tuple[Any, ...]:
    known = get_type_hints(cls, localns={kind.__name__: kind for kind in (Citation, Media, Usage)})
    return tuple([known[name] for name in cls.__struct_fields__])
