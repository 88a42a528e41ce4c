"""The content blocks of one answer: what they say as events, and what must go back with the next request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chatport import (
    Citation,
    CitationReported,
    Context,
    Event,
    FinishReported,
    MalformedReplyError,
    OpaqueReported,
    Usage,
)
from chatport.helpers import CallCount, ChoiceState, finish_reason, join_small, jsoncodec, over_limit

from .usage import read_usage, unbilled_above

__all__ = ["OPAQUE_KEY", "Turn"]

OPAQUE_KEY = "turn"
"""Under this key of a message's opaque slot lies `{"model", "content"}`: the answer's blocks as they came."""

_CALL_KEYS = ("type", "id", "name", "input")
_TEXT_BLOCK_KEYS = ("type", "text")
_TEXT_KEYS = {"text": "text", "thinking": "thinking"}
_MOST_COUNTS = 100
"""Names in the usage of an answer, all of which are copied whenever it tells new counts."""


class Turn:
    """What must be remembered of one answer: its blocks, in order, and the counts and the stop reason so far.

    `choice` turns pieces into events as for every other dialect: calls are counted from 0 whatever their block's
    index, and half an emoji waits for its other half.
    """

    __slots__ = ("_above", "_length", "_limits", "blocks", "choice", "details", "id", "model", "stop", "usage")

    def __init__(self, message: Mapping[str, Any], context: Context) -> None:
        self.id, self.model = (_text_or_none(message.get(name)) for name in ("id", "model"))
        self.usage: dict[str, Any] = {}
        self._above = Usage()
        self._limits = limits = context.limits
        self._length = 0  # of the text in the blocks that are closed
        self.stop: Any = None
        self.details: Any = None
        self.blocks: dict[Any, _Block] = {}
        self.choice = ChoiceState(0, CallCount(limits.tool_calls), limits.parts)

    def count(self, counts: Mapping[str, Any]) -> Usage:
        """Take new counts, and return all so far: later ones are totals, which replace and are never added (AN-P2)."""
        self.usage |= {name: value for name, value in counts.items() if value is not None}
        if len(self.usage) > _MOST_COUNTS:
            raise MalformedReplyError(f"The usage of the answer has more than {_MOST_COUNTS} names.")
        if counts.get("iterations") is not None:
            self._above = unbilled_above(counts["iterations"])
        return read_usage({**self.usage}, self._above)

    def compact(self) -> None:
        """Hold what is kept of the blocks in few pieces."""
        self.choice.compact()
        for block in self.blocks.values():
            join_small(block.pieces)
            join_small(block.compaction)

    def begin(self, index: Any, data: Any, events: list[Event]) -> None:
        """Take the start of a block. What it holds already counts as its first piece (AN-S3, AN-S4)."""
        if len(self.blocks) >= self._limits.parts and index not in self.blocks:
            raise over_limit("The answer", self._limits.parts, "content blocks", "parts")
        block = self.blocks[index] = _Block(data)
        text = block.data.get(_TEXT_KEYS.get(block.type, ""))
        if isinstance(text, str) and text:
            block.pieces.append(text)
            self.choice.delta_events({"content" if block.type == "text" else "reasoning": text}, events)
        elif block.type == "tool_use":
            function = {"name": block.data.get("name"), "arguments": ""}
            own = {name: value for name, value in block.data.items() if name not in _CALL_KEYS}
            fragment = {**own, "index": index, "id": block.data.get("id"), "function": function}
            self.choice.delta_events({"tool_calls": [fragment]}, events)
            block.call = self.choice.calls.last_used

    def extend(self, index: Any, delta: Mapping[str, Any], events: list[Event]) -> None:
        """Take a piece of a block; unknown kinds are skipped (AN-S5)."""
        block = self.blocks.get(index)
        if block is None:
            raise MalformedReplyError(f"A piece of the content block {index!r} came before its start.")
        match delta.get("type"):
            case "text_delta":
                text = _text(delta.get("text"))
                block.pieces.append(text)
                self.choice.delta_events({"content": text}, events)
            case "input_json_delta":
                self._arguments(index, block, _text(delta.get("partial_json")), events)
            case "thinking_delta":
                text = _text(delta.get("thinking"))
                block.pieces.append(text)
                self.choice.delta_events({"reasoning": text}, events)
            case "signature_delta":  # AN-S8
                block.data["signature"] = delta.get("signature")
            case "citations_delta":
                given = block.data.get("citations")
                block.data["citations"] = own = given if isinstance(given, list) else []
                if len(own) >= self._limits.parts:
                    raise over_limit("A content block", self._limits.parts, "citations", "parts")
                own.append(delta["citation"])
            case "compaction_delta":
                block.compaction.append(_text(delta.get("content")))

    def _arguments(self, index: Any, block: _Block, text: str, events: list[Event]) -> None:
        """Take a piece of a call's arguments; the first one is usually empty (AN-S6)."""
        block.pieces.append(text)
        if text and block.type == "tool_use":
            self.choice.delta_events({"tool_calls": [{"index": index, "function": {"arguments": text}}]}, events)

    def close(self, index: Any, events: list[Event]) -> None:
        """Take the end of a block: a call that came whole in its start gets its arguments now, a text its sources."""
        block = self.blocks.get(index)
        if block is not None and block.type == "text" and not block.is_closed:
            self._cite(block, events)
        elif block is not None and block.type == "tool_use" and block.data.get("input") and not any(block.pieces):
            self._arguments(index, block, jsoncodec.whole(_text(block.data["input"])), events)

    def _cite(self, block: _Block, events: list[Event]) -> None:
        """Tell the sources of a text: each is for all of the block, whose end is known only now (AN-S5)."""
        block.is_closed = True
        text = jsoncodec.whole("".join(block.pieces))
        block.pieces[:] = [text]
        span, self._length = (self._length, self._length + len(text)), self._length + len(text)
        given = block.data.get("citations")
        for item in given if isinstance(given, list) else ():
            if isinstance(item, Mapping):
                events.append(CitationReported(_citation(item, span)))

    def finish(self, context: Context, events: list[Event]) -> None:
        """Tell the end of the answer. Of blocks that were never closed all but the sources was told (AN-S7)."""
        for block in self.blocks.values():
            if block.type == "text" and not block.is_closed:
                self._cite(block, events)
        explanation = self.details.get("explanation") if isinstance(self.details, Mapping) else None
        if self.stop == "refusal" and explanation:  # AN-S14
            self.choice.delta_events({"refusal": explanation}, events)
        events.extend(self.choice.flush())
        content = self._content()
        if content:
            events.append(OpaqueReported(OPAQUE_KEY, {"model": self.model, "content": content}))
        if self.stop is not None:
            events.append(FinishReported(finish_reason(self.stop, context), str(self.stop)))

    def _content(self) -> list[dict[str, Any]]:
        """Return the blocks as they came, if they hold more than text and calls do (AN-T16, AN-S19).

        Thinking that was cut before its signature must not go back (AN-T17). Where a call's input is no object, nothing
        is kept: the call goes back as core mends it.
        """
        if all(block.is_plain for block in self.blocks.values()):
            return []
        try:
            whole = [block.whole(self._limits.values) for block in self.blocks.values()]
            jsoncodec.check_depth({OPAQUE_KEY: {"content": whole}})  # as it will stand in the message
        except jsoncodec.TooManyValuesError:
            raise over_limit("The input of a call", self._limits.values, "JSON values", "values") from None
        except (ValueError, RecursionError):  # cut in the middle of a call, or nested without end
            return []
        return [block for block in whole if block["type"] != "thinking" or _is_text(block.get("signature"))]


def _citation(item: Mapping[str, Any], span: tuple[int, int]) -> Citation:
    names = {"url": ("url", "source"), "title": ("title", "document_title"), "text": ("cited_text",)}
    found = {ours: next((name for name in theirs if _is_text(item.get(name))), None) for ours, theirs in names.items()}
    fields = {ours: jsoncodec.whole(item[name]) for ours, name in found.items() if name is not None}
    rest = {name: value for name, value in item.items() if name not in found.values() and value is not None}
    return Citation(**fields, span=span, extra=jsoncodec.without_halves(rest))


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _text(value: Any) -> str:
    """Return a piece of text; another value, where a text is due, as its JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


class _Block:
    __slots__ = ("call", "compaction", "data", "is_closed", "pieces", "type")

    def __init__(self, data: Any) -> None:
        if not isinstance(data, Mapping):
            raise TypeError("a content block is no object")
        self.data = dict(data)
        self.compaction: list[str] = []
        self.type = self.data["type"] = str(self.data.get("type"))
        self.pieces: list[str] = []
        self.is_closed = False
        self.call: Any = None  # what the decoder knows of a tool_use: its id and name, whatever came

    @property
    def is_plain(self) -> bool:
        """Whether text and calls, with their keys, say all that it says."""
        own = (value for name, value in self.data.items() if name not in _TEXT_BLOCK_KEYS)
        return self.type == "tool_use" or (self.type == "text" and not any(own))

    def whole(self, most_values: int) -> dict[str, Any]:
        """Return the block as a plain reply would have it. Raises ValueError if its input was cut, or is too much."""
        text = jsoncodec.whole("".join(self.pieces))
        if self.type in _TEXT_KEYS:
            return {**self.data, _TEXT_KEYS[self.type]: text}
        if self.compaction:
            return {**self.data, "content": (self.data.get("content") or "") + "".join(self.compaction)}
        if self.call is not None:
            own = {"id": self.call.id, "name": self.call.name, "input": _object(text.strip() or "{}", most_values)}
            return {**self.data, **own}
        if not text:
            return self.data
        jsoncodec.check_values(text.encode(), most_values)
        return {**self.data, "input": json.loads(text)}  # which keeps whole numbers of any size


def _object(text: str, most_values: int) -> Mapping[str, Any]:
    jsoncodec.check_values(text.encode(), most_values)
    value = jsoncodec.without_halves(json.loads(text))
    if not isinstance(value, dict):
        raise ValueError("the input of a call is no object")
    return value
