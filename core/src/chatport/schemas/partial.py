"""The value that a JSON text has so far, while it is still being written."""

from __future__ import annotations

import re
from typing import Any

from .. import jsoncodec

__all__ = ["value_so_far"]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}:,]|[^\s\[\]{}:,"]++', re.DOTALL)
_CUT_ESCAPE = re.compile(
    r"(?<!\\)(?:\\\\)*+(\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?|\\(?:u[0-9a-fA-F]{0,3})?)\Z"
)
"""Half an escape at the end, or half of the two that one character takes."""


def value_so_far(text: str, inside: str = "") -> Any:
    """Return what a text that is the beginning of JSON says already; None where that is nothing.

    A text that is cut inside is as far as it has come. A number or a word at the end is left out, since it may go on;
    so is a key without a value. What is no JSON ends there. `inside` is the key of the object around the value, if any.
    """
    start = min((at for at in map(text.find, "[{") if at >= 0), default=-1)
    if start < 0:
        return None
    closed = _closed(text[start:])
    try:
        value = jsoncodec.decode_text(closed)
    except ValueError:
        return None
    return value.get(inside) if inside and isinstance(value, dict) and value.keys() <= {inside} else value


def _closed(text: str) -> str:
    """Return the longest beginning that is whole once its brackets are closed, with them closed."""
    kept, ends = "", ""  # the last place where it could end, and the brackets to be closed there
    stack: list[str] = []
    wants_value = False
    for match in _TOKEN.finditer(text):
        token, is_last = match[0], match.end() == len(text)
        if token in ("{", "["):
            stack.append("}" if token == "{" else "]")
            wants_value = token == "["
        elif token in ("}", "]"):
            if not stack or stack.pop() != token:
                break
            wants_value = False
        elif token == ":":
            wants_value = True
            continue
        elif token == ",":
            wants_value = stack[-1:] == ["]"]
            continue
        elif token[0] == '"':
            if not wants_value:
                continue  # a key, which says nothing before its value has begun
            if len(token) < 2 or not _is_ended(token):
                return text[: match.start()] + _mended(token) + "".join(reversed(stack))
            wants_value = False
        elif is_last and stack:
            break
        kept, ends = text[: match.end()], "".join(reversed(stack))
        if not stack:
            break
    return kept + ends


def _is_ended(token: str) -> bool:
    return token[-1] == '"' and (len(token) - len(token[:-1].rstrip("\\")) - 1) % 2 == 0


def _mended(token: str) -> str:
    """Return a text that is cut, with its end: without half an escape."""
    return _CUT_ESCAPE.sub(lambda found: found[0][: -len(found[1])], token) + '"'
