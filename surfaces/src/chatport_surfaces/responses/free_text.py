"""Tools that take a free text, told to other vendors as functions with one argument, and back again (RS-I7).

The text is read out of the JSON of the arguments while it is being written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chatport import Tool
from chatport.helpers import jsoncodec

__all__ = ["FreeText", "as_arguments", "as_function", "as_text"]

_KEY = "input"
_OPENING = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_MOST_BLANKS = 256
"""Characters in which the text must have begun, else it is told as a whole at the end."""
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|u[0-9a-fA-F]{4}|[^u])")


def as_function(tool: Mapping[str, Any], name: str, description: str, extra: Mapping[str, Any]) -> Tool:
    """Return a function that takes the text, and says of it in words what its grammar says."""
    form = tool.get("format")
    grammar = form if isinstance(form, Mapping) and form.get("type") == "grammar" else {}
    if grammar.get("definition"):
        words = f"The input fits this {grammar.get('syntax', '')} grammar:\n{grammar['definition']}"
        description = f"{description}\n\n{words}".strip()
    text = {"type": "string", "description": "The input of the tool, as plain text."}
    schema = {"type": "object", "properties": {_KEY: text}, "required": [_KEY], "additionalProperties": False}
    return Tool(name, description, schema, extra=extra)


def as_arguments(text: str) -> str:
    """Return the arguments of such a call for a text."""
    return jsoncodec.encode_anything({_KEY: text}).decode()


def as_text(arguments: str) -> str:
    """Return the text of such a call's arguments; what is no such object is the text itself."""
    if not jsoncodec.is_object(arguments):
        return arguments
    value = jsoncodec.decode_text(arguments)
    return value[_KEY] if value.keys() == {_KEY} and isinstance(value[_KEY], str) else arguments


class FreeText:
    """Gives the text piece by piece. What is not written as expected is left for `rest`."""

    def __init__(self) -> None:
        self._held = ""
        self._told: list[str] = []
        self._state = "before"

    def take(self, piece: str) -> str:
        """Take a piece of the arguments; return what is new of the text."""
        self._held += piece
        if self._state == "before":
            opening = _OPENING.match(self._held)
            if opening is None:
                self._state = "over" if len(self._held) > _MOST_BLANKS else "before"
                return ""
            self._held, self._state = self._held[opening.end() :], "inside"
        if self._state == "over":
            self._held = ""
            return ""
        new = self._unescaped()
        self._told.append(new)
        return new

    def rest(self, arguments: str) -> str:
        """Return what of the whole text was not told yet, given all of the arguments."""
        told, text = "".join(self._told), as_text(arguments)
        return text[len(told) :] if text.startswith(told) else ""

    def _unescaped(self) -> str:
        """Take what can be understood of what is held: up to the end of the text, or the beginning of an escape."""
        found: list[str] = []
        at = 0
        while at < len(self._held):
            end = _end_of_plain(self._held, at)
            found.append(self._held[at:end])
            at = end
            if at == len(self._held):
                break
            if self._held[at] == '"':
                self._state, at = "over", len(self._held)
                break
            escape = _ESCAPE.match(self._held, at)
            if escape is None or _is_half(escape[0]):
                if len(self._held) - at >= 12:  # no escape is as long: whatever it is, the end will tell
                    self._state, at = "over", len(self._held)
                break
            found.append(jsoncodec.decode_text(f'"{escape[0]}"'))
            at = escape.end()
        self._held = self._held[at:]
        return "".join(found)


def _is_half(escape: str) -> bool:
    """Whether it is half of a pair, whose other half may be yet to come."""
    return len(escape) == 6 and escape[2] in "dD" and escape[3] in "89abABcdefCDEF"


def _end_of_plain(text: str, start: int) -> int:
    ends = [place for place in (text.find("\\", start), text.find('"', start)) if place >= 0]
    return min(ends, default=len(text))
