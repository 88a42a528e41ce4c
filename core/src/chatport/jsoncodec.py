"""JSON through one module: bytes in and out, strict first and tolerant where real vendors need it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from .basics.forks import new_lock

__all__ = [
    "NEVER_DEEP_BYTES",
    "Nesting",
    "TooDeepError",
    "TooManyValuesError",
    "check_depth",
    "check_numbers",
    "check_values",
    "convert",
    "count_values",
    "decode",
    "decode_text",
    "encode",
    "encode_anything",
    "encode_text",
    "is_object",
    "make_known",
    "may_be_deep",
    "pretty",
    "whole",
    "without_halves",
]

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_MARKS = re.compile(r'\\.?|["\[\]{}]', re.DOTALL)
_DEEPEST = 200  # levels; what walks a value by recursion has room for these, wherever it is called
NEVER_DEEP_BYTES = 2 * _DEEPEST
"""A text of no more bytes has no room for so many levels: a hot loop looks at this before it asks `may_be_deep`."""
_MOST_VALUES = 2_000_000  # where nobody has set another bound
_MOST_MENDED_BYTES = 8 * 1024 * 1024  # several copies are made; half an emoji is a matter of chunks, which are smaller

_making_known = new_lock()


class TooDeepError(ValueError):
    """The text may be JSON, and is nested more deeply than anything that is read here."""


class TooManyValuesError(ValueError):
    """The text may be JSON, and would become more objects than are wanted: each takes many times its text's memory."""


def make_known(kind: Any) -> None:
    """Let msgspec find out what a type is, in one thread at a time.

    It hangs what it finds on the class while it is not yet complete (0.22), and another thread that meets the class
    then crashes the process. Once it is complete any thread may use it.
    """
    with _making_known, suppress(Exception):  # who converts is told what is wrong with it
        msgspec.json.Decoder(kind)


def convert(value: Any, kind: Any, dec_hook: Callable[[type, Any], Any] | None = None) -> Any:
    """Return builtin values as a type, as `msgspec.convert` does, for any number of threads."""
    make_known(kind)
    return msgspec.convert(value, kind, dec_hook=dec_hook)


def count_values(data: bytes) -> int:
    """Return how many values and keys a JSON text has at most. Marks inside its strings count too."""
    return sum(map(data.count, (b",", b"[", b"{", b":")))


def check_values(data: bytes, most: float) -> None:
    """Raise TooManyValuesError if a JSON text may hold more values. Each takes a byte, so a short one is not looked at.

    Counted before it is decoded, since an empty list of three bytes becomes an object of seventy.
    """
    if len(data) > most and count_values(data) > most:
        raise TooManyValuesError(f"JSON has more than {most} values")


def check_numbers(data: bytes, most_numbers: float, most_others: float) -> None:
    """Like `check_values`, for a text that is made of numbers, which take less: lists, texts and keys count apart."""
    if len(data) <= most_others:
        return
    if data.count(b",") > most_numbers:
        raise TooManyValuesError(f"JSON has more than {most_numbers} numbers")
    if sum(map(data.count, (b"[", b"{", b":"))) + data.count(b'"') // 2 > most_others:
        raise TooManyValuesError(f"JSON has more than {most_others} values beside its numbers")


def decode(data: bytes, most_values: float = _MOST_VALUES) -> Any:
    """Return the Python values of a JSON text.

    Raises ValueError if it is not JSON, TooDeepError and TooManyValuesError if it may be and is too much to hold.

    msgspec is strict where some servers are not: it refuses half of a surrogate pair (an emoji split over two
    chunks as escapes) and broken UTF-8. Those two fall back to the standard library, which keeps the halves.
    """
    if len(data) > most_values:
        check_values(data, most_values)
    try:
        value = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        value = _decode_tolerantly(data, error)
    except RecursionError:
        raise _too_deep() from None
    if len(data) > NEVER_DEEP_BYTES and may_be_deep(data):
        check_depth(value)
    return value


def may_be_deep(data: bytes) -> bool:
    """Whether a JSON text has brackets enough to be nested too deeply.

    A decoder of a known shape passes over what it does not know, and how deep it looks there is each Python's own
    affair. So who takes such a shape for the short way asks this first.
    """
    # The brackets are counted only where there is room for so many of them: nearly every chunk is shorter.
    return len(data) > NEVER_DEEP_BYTES and data.count(b"[") + data.count(b"{") > _DEEPEST


def check_depth(value: Any) -> None:
    """Raise TooDeepError if a value is nested too deeply. Level by level: recursion is what must not be needed."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    if level:
        raise _too_deep()


def _too_deep() -> TooDeepError:
    return TooDeepError(f"JSON is nested too deeply, in more than {_DEEPEST} levels")


def _decode_tolerantly(data: bytes, first: Exception) -> Any:
    if len(data) > _MOST_MENDED_BYTES:
        raise ValueError(str(first)) from None
    text = data.decode("utf-8", "replace")
    if "\\u" not in text and "\ufffd" not in text:
        raise ValueError(str(first)) from None
    try:
        return _mended(json.loads(text, parse_constant=_refuse_constant, parse_float=_finite))
    except RecursionError:
        raise _too_deep() from None


def _mended(value: Any) -> Any:
    """Replace halves of surrogate pairs, but at the ends of a text, where the other half may be in another chunk.

    Lists are mended in place: they may be large.
    """
    if isinstance(value, str):
        start = int("\udc00" <= value[:1] <= "\udfff")
        end = len(value) - int("\ud800" <= value[-1:] <= "\udbff")
        return value[:start] + whole(value[start:end]) + value[end:]
    if isinstance(value, list):
        for position, item in enumerate(value):
            value[position] = _mended(item)
        return value
    if isinstance(value, dict):
        return {_mended(name): _mended(item) for name, item in value.items()}
    return value


def whole(text: str) -> str:
    """Return a text without halves of surrogate pairs, which `decode` keeps and no encoding takes."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def without_halves(value: Any) -> Any:
    """Return a JSON value without halves of surrogate pairs in any text of it."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, Mapping):
        return {without_halves(name): without_halves(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_halves(item) for item in value]
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is out of range")
    return number


def is_object(text: str) -> bool:
    """Whether a text is a JSON object to every reader, the strictest included."""
    try:
        data = text.encode()
        return type(_decoder.decode(data)) is dict and type(decode(data)) is dict
    except (ValueError, RecursionError):  # DecodeError of msgspec, UnicodeError and TooDeepError are ValueErrors
        return False


def decode_text(text: str) -> Any:
    """Like `decode`, for text."""
    return decode(text.encode("utf-8", "surrogatepass"))


class Nesting:
    """Watches a JSON text that comes in pieces: `is_open` while it is inside a string or a bracket."""

    __slots__ = ("_depth", "_in_text", "_skips")

    def __init__(self) -> None:
        self._depth = 0
        self._in_text = False
        self._skips = False  # a backslash ended the piece before: the next character means nothing

    def feed(self, piece: str) -> None:
        """Take the next piece."""
        if self._skips:
            self._skips, piece = False, piece[1:]
        for mark in _MARKS.findall(piece):
            if mark[0] == "\\":
                self._skips = self._in_text and len(mark) == 1
            elif mark == '"':
                self._in_text = not self._in_text
            elif not self._in_text:
                self._depth += 1 if mark in "[{" else -1

    @property
    def is_open(self) -> bool:
        return self._in_text or self._depth > 0


def encode(value: Any) -> bytes:
    """Return compact JSON. Raises TypeError for values JSON does not have."""
    return _encoder.encode(value)


def encode_anything(value: Any) -> bytes:
    """Like `encode`, for what `decode` gave: half a surrogate pair, which UTF-8 does not have, becomes an escape."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def encode_text(value: Any) -> str:
    """Like `encode`, as text."""
    return _encoder.encode(value).decode()


def pretty(value: Any) -> str:
    """Return JSON for people, indented."""
    return msgspec.json.format(encode(value), indent=2).decode()
