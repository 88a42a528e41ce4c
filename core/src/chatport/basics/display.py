"""Texts that others wrote, made fit for a terminal: nothing in them moves its cursor, writes its clipboard or hides.

What directs a terminal becomes its own escape, as Python writes it, one character at a time: nothing has to be
remembered between two pieces of a stream, and a sequence that is cut in two is as harmless as a whole one.
"""

from __future__ import annotations

import re

__all__ = ["clean", "clean_json", "one_line"]

# C0 but for newline and tab, DEL, C1 (one of its characters begins a sequence all by itself), halves of surrogate
# pairs, and the marks that turn the direction of text (CVE-2021-42574). Joiners and plain direction marks are part of
# emoji and of ordinary text, and stay.
_DIRECTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of characters that do something in place of being shown."""


def clean(text: str) -> str:
    """Return a text for a terminal; newlines and tabs stay.

    A carriage return is left out: before a newline it says nothing, anywhere else it would write over the line.
    """
    return text if text.isprintable() else _DIRECTING.sub(_escaped, text.replace("\r", ""))


def clean_json(text: str) -> str:
    """Return a JSON text for a terminal: the same value, with escapes for what `clean` would change in its texts."""
    return text if text.isprintable() else _DIRECTING.sub(_json_escaped, text)


def one_line(text: str, most: int | None = None) -> str:
    """Return a name or a message as one line of `most` characters, with an escape for all that is not to be seen."""
    text = _cut(text, most)  # first, so that a long one costs nothing
    if text.isprintable():
        return text
    from unicodedata import category  # few texts need it

    return _cut("".join(_escape(c) if category(c) in _CATEGORIES else c for c in text), most)


def _cut(text: str, most: int | None) -> str:
    return text if most is None or len(text) <= most else text[: most - 1] + "…"


def _escape(character: str) -> str:
    return ascii(character)[1:-1]


def _escaped(found: re.Match[str]) -> str:
    return _escape(found[0])


def _json_escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
