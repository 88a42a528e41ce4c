"""One output item while it is being written: a message, a refusal, thoughts or a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..blocks import Block
from ..surface import Asked, SurfaceContext
from .free_text import FreeText
from .tools import Named

__all__ = ["Item", "item_of"]


def item_of(block: Block, index: int, start: int, asked: Asked, context: SurfaceContext) -> Item:
    """Return the item for a block; `start` is the place in the answer's text where it begins."""
    if block.kind == "call":
        return _call(block, index, start, asked, context)
    if block.kind == "reasoning":
        wish = asked.body.get("reasoning")
        is_short = isinstance(wish, Mapping) and bool(wish.get("summary") or wish.get("generate_summary"))
        return (Summary if is_short else Thoughts)(index, start, context.new_id("rs_"))
    return (Refusal if block.kind == "refusal" else Text)(index, start, context.new_id("msg_"))


def _call(block: Block, index: int, start: int, asked: Asked, context: SurfaceContext) -> Item:
    named = asked.names.get(block.name) or Named(block.name)
    space = {"namespace": named.namespace} if named.namespace else {}
    head = {"call_id": block.id, "name": named.name, **space}
    if named.is_free_text:
        return FreeCall(index, start, context.new_id("ctc_"), head)
    return Call(index, start, context.new_id("fc_"), head)


class Item:
    """What all have in common. `data` is the item as it is so far, and at its end as it is told in the whole answer."""

    def __init__(self, index: int, start: int, id: str) -> None:
        self.index, self.start, self.id = index, start, id
        self.is_cut = False
        self.logprobs: list[Mapping[str, Any]] = []
        self.data: dict[str, Any] = {}
        self._pieces: list[str] = []

    @property
    def at(self) -> dict[str, Any]:
        """Where an event belongs."""
        return {"item_id": self.id, "output_index": self.index}

    @property
    def text(self) -> str:
        """All of it so far."""
        return "".join(self._pieces)

    def begin(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give the events with which it begins."""
        yield "response.output_item.added", {"output_index": self.index, "item": dict(self.data)}
        yield from self.opened()

    def piece(self, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give the event of a piece."""
        self._pieces.append(text)
        yield self.delta_name, {**self.at, **self.place, "delta": text}

    def done(self, *, is_whole: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give the events with which it ends."""
        yield from self.closed(is_whole=is_whole)
        yield "response.output_item.done", {"output_index": self.index, "item": self.data}

    delta_name = ""
    place: Mapping[str, Any] = {}

    def opened(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give what follows its beginning."""
        yield from ()

    def closed(self, *, is_whole: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give what comes before its end, and put the whole of it into `data`."""
        yield from ()

    def annotate(self, annotation: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give the event of a source; only a text has any."""
        yield from ()


class Text(Item):
    """A message of one text."""

    delta_name = "response.output_text.delta"
    place: Mapping[str, Any] = {"content_index": 0}

    def __init__(self, index: int, start: int, id: str) -> None:
        super().__init__(index, start, id)
        self._annotations: list[Mapping[str, Any]] = []
        self.data = {"id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": []}

    def part(self) -> dict[str, Any]:
        """Return the part as it is so far."""
        return {"type": "output_text", "text": self.text, "annotations": self._annotations, "logprobs": self.logprobs}

    def opened(self) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "response.content_part.added", {**self.at, **self.place, "part": self.part()}

    def piece(self, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
        self._pieces.append(text)
        yield self.delta_name, {**self.at, **self.place, "delta": text, "logprobs": []}

    def annotate(self, annotation: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        number = len(self._annotations)
        self._annotations.append(annotation)
        name = "response.output_text.annotation.added"
        yield name, {**self.at, **self.place, "annotation_index": number, "annotation": annotation}

    def closed(self, *, is_whole: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        part = self.part()
        yield "response.output_text.done", {**self.at, **self.place, "text": part["text"], "logprobs": self.logprobs}
        yield "response.content_part.done", {**self.at, **self.place, "part": part}
        self.data |= {"status": "incomplete" if self.is_cut else "completed", "content": [part]}


class Refusal(Text):
    """A message in which the model refuses to answer."""

    delta_name = "response.refusal.delta"

    def part(self) -> dict[str, Any]:
        """Return the part as it is so far."""
        return {"type": "refusal", "refusal": self.text}

    def piece(self, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
        self._pieces.append(text)
        yield self.delta_name, {**self.at, **self.place, "delta": text}

    def closed(self, *, is_whole: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        part = self.part()
        yield "response.refusal.done", {**self.at, **self.place, "refusal": part["refusal"]}
        yield "response.content_part.done", {**self.at, **self.place, "part": part}
        self.data |= {"status": "incomplete" if self.is_cut else "completed", "content": [part]}


class Summary(Item):
    """Thoughts where the client has asked for them in short. A reasoning item has no status (RS-P3)."""

    delta_name = "response.reasoning_summary_text.delta"
    place: Mapping[str, Any] = {"summary_index": 0}

    def __init__(self, index: int, start: int, id: str) -> None:
        super().__init__(index, start, id)
        self.data = {"id": id, "type": "reasoning", "summary": []}

    def opened(self) -> Iterator[tuple[str, dict[str, Any]]]:
        part = {"type": "summary_text", "text": ""}
        yield "response.reasoning_summary_part.added", {**self.at, **self.place, "part": part}

    def closed(self, *, is_whole: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        part = {"type": "summary_text", "text": self.text}
        yield "response.reasoning_summary_text.done", {**self.at, **self.place, "text": self.text}
        yield "response.reasoning_summary_part.done", {**self.at, **self.place, "part": part}
        self.data |= {"summary": [part]}


class Thoughts(Item):
    """Thoughts that nobody has asked to see (RS-R9): they are in the item when it is done, and not told piece by piece.

    A client needs them all the same, since the vendor may want them back.
    """

    def __init__(self, index: int, start: int, id: str) -> None:
        super().__init__(index, start, id)
        self.data = {"id": id, "type": "reasoning", "summary": [], "content": []}

    def piece(self, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
        self._pieces.append(text)
        yield from ()

    def closed(self, *, is_whole: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        self.data |= {"content": [{"type": "reasoning_text", "text": self.text}]}
        yield from ()


class Call(Item):
    """A call of a function. One that was cut says so: it must not be made (RS-F8)."""

    delta_name = "response.function_call_arguments.delta"
    _kind, _field = "function_call", "arguments"

    def __init__(self, index: int, start: int, id: str, head: Mapping[str, Any]) -> None:
        super().__init__(index, start, id)
        self.data = {"id": id, "type": self._kind, "status": "in_progress", self._field: "", **head}

    def closed(self, *, is_whole: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        name = self.delta_name.replace(".delta", ".done")
        yield name, {**self.at, "name": self.data["name"], self._field: self.text}
        self.data |= {"status": "completed" if is_whole else "incomplete", self._field: self.text}


class FreeCall(Call):
    """A call of a tool that takes a free text, which its vendor has written as JSON."""

    delta_name = "response.custom_tool_call_input.delta"
    _kind, _field = "custom_tool_call", "input"

    def __init__(self, index: int, start: int, id: str, head: Mapping[str, Any]) -> None:
        super().__init__(index, start, id, head)
        self._reader = FreeText()
        self._arguments: list[str] = []

    def piece(self, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
        self._arguments.append(text)
        new = self._reader.take(text)
        if new:
            yield from super().piece(new)

    def closed(self, *, is_whole: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        rest = self._reader.rest("".join(self._arguments)) if is_whole else ""
        if rest:
            yield from super().piece(rest)
        name = self.delta_name.replace(".delta", ".done")
        yield name, {**self.at, self._field: self.text}
        self.data |= {"status": "completed" if is_whole else "incomplete", self._field: self.text}
