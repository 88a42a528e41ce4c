"""Halves of surrogate pairs in what a caller gives: half an emoji cut from a text, a file name that was no UTF-8.

No encoding takes them, so that such a call cannot be sent. They become U+FFFD, with a warning for each place. Nobody
looks for them in a call that can be written: this is done once that has failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from .. import jsoncodec
from ..basics.frozen import freeze
from ..call import Call, Tool
from ..types import Adjustment, OutputSpec

__all__ = ["is_whole", "places_of_halves", "whole_call"]

_MOST_NAMED = 8
_REASON = "half of a surrogate pair cannot be written: sent as U+FFFD"


def is_whole(text: str) -> bool:
    """Whether a text has no half of a surrogate pair."""
    return text.isascii() or jsoncodec.whole(text) == text


def places_of_halves(value: Any) -> list[str]:
    """Return the places of the texts and keys of a dict that have a half, as Python would name them."""
    mender = _Mender()
    mender.fields(value, "")
    return mender.places


def whole_call(call: Call) -> Call:
    """Return a call that can be written, with a warning for each text that was changed; the same one if none was.

    A tool keeps its name, under which the caller knows it: what it is sent as is the matter of the hooks.
    """
    mender = _Mender()
    changed = attrs.evolve(
        call,
        messages=mender.mended(call.messages, "messages"),
        tools=tuple([mender.tool(tool, f"tools.{jsoncodec.whole(tool.name)}") for tool in call.tools]),
        output=None if call.output is None else mender.output(call.output),
        stop=mender.mended(call.stop, "stop"),
        prefix=mender.mended(call.prefix, "prefix"),
        extra=mender.mended(call.extra, "extra"),
    )
    return attrs.evolve(changed, adjustments=(*call.adjustments, *mender.notes())) if mender.places else call


class _Mender:
    """Replaces halves, and remembers where they were."""

    def __init__(self) -> None:
        self.places: list[str] = []

    def notes(self) -> list[Adjustment]:
        """Return a warning for each place; beyond eight one for all others."""
        notes = [Adjustment("invalid", place, _REASON) for place in self.places[: _MOST_NAMED + 1]]
        if (more := len(self.places) - _MOST_NAMED) > 1:
            reason = f"{_REASON}; so in {more} places, the first is this"
            notes[-1] = Adjustment("invalid", self.places[_MOST_NAMED], reason)
        return notes

    def mended(self, value: Any, path: str) -> Any:
        """Return a value with all its texts whole, frozen as it was; types and functions of the caller stay."""
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, Mapping):
            return freeze(self.fields(value, path))
        if isinstance(value, tuple):
            return tuple([self.mended(item, f"{path}[{at}]") for at, item in enumerate(value)])
        if isinstance(value, list):
            return freeze([self.mended(item, f"{path}[{at}]") for at, item in enumerate(value)])
        if attrs.has(type(value)) and not isinstance(value, type):
            return self._value(value, path)
        return value

    def fields(self, value: Mapping[Any, Any], path: str) -> dict[Any, Any]:
        """Return a dict with all its texts and keys whole."""
        changed: dict[Any, Any] = {}
        for key, inner in value.items():
            place = f"{path}.{jsoncodec.whole(str(key))}".lstrip(".")
            changed[self._text(key, place) if isinstance(key, str) else key] = self.mended(inner, place)
        return changed

    def tool(self, tool: Tool, path: str) -> Tool:
        """Return a tool with all but its name whole."""
        description = self._text(tool.description, f"{path}.description")
        changed = {"description": description, "schema": self.mended(tool.schema, f"{path}.parameters")}
        for field in attrs.fields(Tool):
            if field.name not in ("name", "function", *changed):
                changed[field.name] = self.mended(getattr(tool, field.name), f"{path}.{field.name}")
        return attrs.evolve(tool, **changed)

    def output(self, output: OutputSpec) -> OutputSpec:
        """Return a structure with its schema whole."""
        return attrs.evolve(output, schema=self.mended(output.schema, "output"))

    def _text(self, text: str, path: str) -> str:
        if is_whole(text):
            return text
        self.places.append(path)
        return jsoncodec.whole(text)

    def _value(self, value: Any, path: str) -> Any:
        """Return a message, a part or another value of ours."""
        fields = {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
        return attrs.evolve(value, **{name: self.mended(inner, f"{path}.{name}") for name, inner in fields.items()})
