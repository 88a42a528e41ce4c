"""Prompts with the columns of a row in them: `{column}`, and nothing else. `{{` and `}}` are braces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from chatport import ConfigurationError

__all__ = ["Template"]

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")


class Template:
    """A text with places for columns. Values that are no text are put in as JSON; a missing value (null) as nothing.

    Raises ConfigurationError for a brace without its other one.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._pieces = list(_pieces(text))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it names, each once."""
        return tuple(dict.fromkeys(name for name, is_column in self._pieces if is_column))

    def fill(self, content: Mapping[str, Any]) -> str:
        """Return the text for a row. Raises ConfigurationError for a column that the row does not have."""
        return "".join(_said(name, content) if is_column else name for name, is_column in self._pieces)


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    end = 0
    for found in _PIECE.finditer(text):
        yield text[end : found.start()], False
        end = found.end()
        if found[1] is not None:
            yield found[1].strip(), True
        elif len(found[0]) == 2:
            yield found[0][0], False
        else:
            raise ConfigurationError(
                f"The prompt has a {found[0]!r} at character {found.start() + 1} that belongs to no column. "
                "Write {column} for a column, {{ and }} for braces."
            )
    yield text[end:], False


def _said(name: str, content: Mapping[str, Any]) -> str:
    try:
        value = content[name]
    except KeyError:
        known = ", ".join(map(str, content)) or "none"
        raise ConfigurationError(f"The prompt names the column {name!r}; the row has: {known}.") from None
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
