"""Values, names and lists of a schema as a sentence on a violation shows them: in few characters, whatever they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from reprlib import Repr
from typing import Any

__all__ = ["MOST_NAMED", "listed_values", "member", "shown"]

MOST_NAMED = 8


class _Short(Repr):
    """`repr` in few characters; Python refuses to write an integer of thousands of digits at all."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 80
        self.maxlevel, self.maxlist, self.maxtuple, self.maxdict = 2, 4, 4, 4

    def repr_dict(self, mapping: Mapping[Any, Any], level: int) -> str:
        """Return the first members as they stand: the inherited one sorts them all."""
        if level <= 0:
            return "{...}"
        first = islice(mapping.items(), self.maxdict)
        members = [f"{self.repr1(name, level - 1)}: {self.repr1(value, level - 1)}" for name, value in first]
        return f"{{{', '.join(members)}{', ...' if len(mapping) > self.maxdict else ''}}}"

    def repr_instance(self, value: Any, level: int) -> str:
        return self.repr_dict(value, level) if isinstance(value, Mapping) else super().repr_instance(value, level)

    def repr_int(self, number: int, level: int) -> str:
        return repr(number) if number.bit_length() < 1_000 else f"an integer of {number.bit_length()} bits"


_SHORT = _Short()


def shown(value: Any) -> str:
    """Return a value in at most 60 characters."""
    text = repr(value[:60]) if isinstance(value, str) else _SHORT.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed_values(values: Sequence[Any]) -> str:
    """Return the first few values, and how many more there are."""
    more = f" and {len(values) - MOST_NAMED} more" if len(values) > MOST_NAMED else ""
    return ", ".join(map(shown, values[:MOST_NAMED])) + more


def member(name: Any, longest: int = 60) -> str:
    """Return a text as it is, such as a name as a step of a path; one that nobody could read is cut and escaped."""
    text = str(name)
    return text if len(text) <= longest and text.isprintable() else shown(text)[1:].rstrip("'\"")
