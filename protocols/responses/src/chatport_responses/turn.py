"""The output items of one answer: what they say as events, and what must go back with the next request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from chatport import (
    CitationReported,
    Context,
    Event,
    FinishReported,
    LogprobsReported,
    OpaqueReported,
    ReasoningDelta,
    ServerStep,
    ToolCallDelta,
)
from chatport.helpers import CallCount, ChoiceState, over_limit, sources

from . import OPAQUE_KEY
from .made import made_by

__all__ = ["CALLS", "Item", "Turn"]


CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""The items that are calls of the caller's tools, and where each has what it calls them with."""
_PLAIN_KEYS = frozenset(("id", "type", "status", "role", "content", "call_id", "name", "arguments"))
"""Keys of items that say no more than a message of ours does."""
_OF_THE_ANSWER = frozenset(("message", "reasoning", *CALLS, "None"))
"""Items that are told in words of ours; any other is a step of the server's own."""
_LENGTH = ("max_output_tokens", "max_tokens")
_BREAK = "\n\n"
"""What stands between two parts of the reasoning, which are paragraphs."""


class Item:
    """One output item so far. `told` counts the characters of each of its texts that were given as events.

    `starts` are the places in the answer's text where its parts begin, `steps` the states of a server's step that were
    told, and `has_logprobs` is whether the probabilities of its text were. `is_closed`: its end has come, and all of it
    was told.
    """

    __slots__ = ("data", "has_logprobs", "is_closed", "starts", "steps", "told", "type")

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.type = str(data.get("type"))
        self.told: dict[tuple[str, int], int] = {}
        self.starts: dict[int, int] = {}
        self.steps: set[str] = set()
        self.has_logprobs = self.is_closed = False


class Turn:
    """What must be remembered of one answer. Items are known by their place in the output.

    Their ids are not what they are known by: one server gives each event new ones (RS-V5), and another gives two items
    the same (RS-V1).

    `running` is the text that is being written: item, kind and part. `fresh` are the characters of it that its item
    does not count yet: so nearly every event of an answer costs no look into a table.
    """

    __slots__ = ("_limits", "_reported", "_thought", "_written", "choice", "fresh", "items", "running")

    def __init__(self, context: Context) -> None:
        self._limits = limits = context.limits
        self.items: dict[int, Item] = {}
        self.choice = ChoiceState(0, CallCount(limits.tool_calls), limits.parts)
        self.running: tuple[int, str, int] | None = None
        self.fresh = 0
        self._thought: tuple[int, str, int] | None = None  # the last part of the reasoning
        self._reported = 0  # items that were reported as they are, from the first on
        self._written = 0  # characters of the answer's text, but for the fresh ones

    # --- pieces

    def begin(self, place: int, data: Mapping[str, Any], events: list[Event]) -> Item:
        """Take the start of an item, which may hold all of it already. Pieces of it may have come before."""
        item = self.items.get(place)
        if item is None:
            if len(self.items) >= self._limits.parts:
                raise over_limit("The answer", self._limits.parts, "output items", "parts")
            item = self.items[place] = Item({})
        if not item.data and data:
            item.data, item.type = data, str(data.get("type"))
            if item.type in CALLS:
                function = {"name": data.get("name"), "arguments": ""}
                fragment = {"index": place, "id": data.get("call_id") or data.get("id"), "function": function}
                fragment |= {"namespace": data["namespace"]} if data.get("namespace") else {}  # RS-F5
                self.choice.delta_events({"tool_calls": [fragment]}, events)
        return item

    def text(self, place: int, part: int, text: str, events: list[Event], *, kind: str = "content") -> None:
        """Take a piece of a message: its text, or the refusal that stands in its place."""
        self._count(place, kind, part, text)
        if kind == "content":
            self.items[place].starts.setdefault(part, self._written)
        self.choice.delta_events({kind: text}, events)

    def reasoning(self, place: int, kind: str, part: int, text: str, events: list[Event]) -> None:
        """Take a piece of the reasoning. Parts are paragraphs: a blank line stands between them."""
        self._count(place, kind, part, text)
        if text and self._thought not in (None, (place, kind, part)):
            events.append(ReasoningDelta(_BREAK))
        self._thought = (place, kind, part) if text else self._thought
        self.choice.delta_events({"reasoning": text}, events)

    def arguments(self, place: int, text: str, events: list[Event]) -> None:
        """Take a piece of what a tool is called with."""
        self._count(place, "arguments", 0, text)
        self.choice.delta_events({"tool_calls": [{"index": place, "function": {"arguments": text}}]}, events)

    def more_arguments(self, place: int, text: str) -> ToolCallDelta | None:
        """Take a piece for the newest call, on the shortest way; None where it is not its."""
        piece = self.choice.more_arguments(place, text)
        if piece is not None:
            if self.running == (place, "arguments", 0):
                self.fresh += len(text)
            else:
                self._count(place, "arguments", 0, text)
        return piece

    def step(self, place: int, kind: str, status: str, events: list[Event]) -> None:
        """Tell how far a step of the server's own is: each state once, however often it is repeated."""
        item = self.items.get(place)
        if item is not None and status not in item.steps and not item.is_closed and item.type not in _OF_THE_ANSWER:
            item.steps.add(status)
            events.append(ServerStep(kind, _text(item.data.get("id")), status))

    def cite(self, place: int, part: int, notes: Sequence[Any], events: list[Event]) -> None:
        """Take sources of a part, whose places count from its beginning. One told again is no further source."""
        self._settle()
        item = self.items.get(place)
        start = self._written if item is None else item.starts.get(part, self._written)
        events.extend(_moved(found, start) for found in sources({"annotations": notes}))

    def logprobs(self, place: int, entries: Sequence[Any], events: list[Event]) -> None:
        """Take the probabilities of a piece of the text, in the form that chat has (RS-T5)."""
        if place in self.items:
            self.items[place].has_logprobs = True
        events.append(LogprobsReported({"content": entries}))

    def _count(self, place: int, kind: str, part: int, text: str) -> None:
        self._settle()
        if place not in self.items:  # the server did not tell of its beginning
            self.items[place] = Item({})
        self.running, self.fresh = (place, kind, part), len(text)

    def _settle(self) -> None:
        """Let the item know what was written of it since."""
        if self.running is not None:
            place, kind, part = self.running
            told = self.items[place].told
            told[kind, part] = told.get((kind, part), 0) + self.fresh
            self._written += self.fresh if kind == "content" and self.items[place].type != "reasoning" else 0
        self.running = None

    # --- wholes

    def close(self, place: int, data: Mapping[str, Any], events: list[Event]) -> None:
        """Take an item as it is at its end: what of its texts has not come in pieces is told now (RS-E24)."""
        item = self.begin(place, data, events)
        self._settle()
        item.data = data
        kind = str(data.get("type"))
        if kind == "message":
            self._message(place, item, events)
        elif kind == "reasoning":
            self._thoughts(place, item, events)
        elif kind in CALLS:
            text = _text(data.get(CALLS[kind]))
            rest = text[item.told.get(("arguments", 0), 0) :]
            if rest:
                self.arguments(place, rest, events)
        elif not item.is_closed:
            events.append(ServerStep(kind, _text(data.get("id")), str(data.get("status") or "completed"), data))
            events.extend(made_by(data))
        item.is_closed = True
        if _is_special(data):
            self._keep(events)

    def _message(self, place: int, item: Item, events: list[Event]) -> None:
        for number, part in enumerate(_parts(item.data.get("content"))):
            kind = "refusal" if part.get("type") == "refusal" else "content"
            text = _text(part.get("refusal" if kind == "refusal" else "text"))
            rest = text[item.told.get((kind, number), 0) :]
            if rest:
                self.text(place, number, rest, events, kind=kind)
            if part.get("annotations"):
                self.cite(place, number, _list(part["annotations"]), events)
            if part.get("logprobs") and not (item.has_logprobs or item.is_closed):
                events.append(LogprobsReported({"content": _list(part["logprobs"])}))
            if not text and not item.is_closed:
                events.extend(made_by(part))

    def _thoughts(self, place: int, item: Item, events: list[Event]) -> None:
        for kind in ("summary", "content"):
            for number, part in enumerate(_parts(item.data.get(kind))):
                rest = _text(part.get("text"))[item.told.get((kind, number), 0) :]
                if rest:
                    self.reasoning(place, kind, number, rest, events)

    def finish(self, response: Mapping[str, Any], events: list[Event]) -> None:
        """Take the whole answer at its end: items that nothing has told of yet, and why it ended (RS-P5)."""
        thoughts = response.get("reasoning")
        if isinstance(thoughts, str) and thoughts and self._thought is None:  # one server has them here (RS-V16)
            self.choice.delta_events({"reasoning": thoughts}, events)
        for place, data in enumerate(_list(response.get("output"))):
            if place not in self.items or not self.items[place].is_closed:
                self.close(place, data, events)
        for place, item in self.items.items():
            if item.data and not item.is_closed:  # whole from its beginning on, and no word of its end
                self.close(place, item.data, events)
        events.extend(self.choice.flush())
        self._keep_rest(events)
        reason, raw = _ending(response)
        if raw is not None:
            events.append(FinishReported(reason, raw))

    def _keep(self, events: list[Event]) -> None:
        """Report the items that have ended, before what follows them is told: some protocols have thoughts in front."""
        start = self._reported
        while self._reported in self.items and self.items[self._reported].is_closed:
            self._reported += 1
        ended = [self.items[place].data for place in range(start, self._reported)]
        if ended:
            events.append(OpaqueReported(OPAQUE_KEY, [_kept(item) for item in ended if item]))

    def _keep_rest(self, events: list[Event]) -> None:
        """Report the items that are left, if any of the answer's holds more than text and calls do."""
        places = [place for place in sorted(self.items) if place >= self._reported and self.items[place].data]
        rest = [self.items[place].data for place in places]
        if rest and (self._reported or any(map(_is_special, rest))):
            events.append(OpaqueReported(OPAQUE_KEY, [_kept(item) for item in rest]))


def _kept(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an item as it can go back to any server, whether it has stored the answer or not.

    Ids of messages and calls may be left out, and with them whatever order they would ask for (RS-O2, RS-O5). A thought
    that is sealed is bound to its id: without one it is fine (RS-O9, RS-S3). Unsealed, the id is all there is.
    """
    kind = item.get("type")
    if kind == "reasoning":
        bare = {key: value for key, value in item.items() if key != "status" and value is not None}
        if bare.get("content") == []:  # refused by one server, and nothing to the others (RS-V13)
            del bare["content"]
        if item.get("encrypted_content") or bare.get("content"):
            bare.pop("id", None)
        return {**bare, "summary": bare.get("summary", [])}  # which is required (RS-O7)
    if kind == "message":
        content = item.get("content")
        parts = content if isinstance(content, str) else [_but(part, "logprobs") for part in _list(content)]
        return {**_but(item, "id", "status"), "content": parts}
    return _but(item, "id", "status") if kind in CALLS else item


def _but(value: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key not in keys}


def _is_special(item: Mapping[str, Any]) -> bool:
    if item.get("type") not in ("message", "function_call") or not item.keys() <= _PLAIN_KEYS:
        return True
    return any(part.get("annotations") for part in _list(item.get("content")))


def _ending(response: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return our finish reason and the server's word; calls make `tool_calls` of an ordinary end."""
    status = response.get("status")
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, Mapping) else None
    if status == "incomplete" or (status is None and reason):
        word = str(reason or status)
        known = {"content_filter": "content_filter", **dict.fromkeys(_LENGTH, "length")}
        return known.get(word, "other"), word
    if status in ("completed", "complete", None):
        return "stop", "completed"
    return "other", str(status)  # queued, in_progress: it goes on at the server; cancelled


def _moved(found: CitationReported, start: int) -> CitationReported:
    """Return a source with the place in the whole text, of which its part is a piece."""
    span = found.citation.span
    if not start or span is None:
        return found
    return CitationReported(attrs.evolve(found.citation, span=(span[0] + start, span[1] + start)), found.choice)


def _parts(value: Any) -> Sequence[Mapping[str, Any]]:
    """Return the parts of a content; a text in their place is one part."""
    return [{"text": value}] if isinstance(value, str) else _list(value)


def _list(value: Any) -> Sequence[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
