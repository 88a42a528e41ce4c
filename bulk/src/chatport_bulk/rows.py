"""A row of the input, and what names it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec

__all__ = ["Key", "Row", "digest_of", "number_of", "position"]

Key: TypeAlias = int | str
"""Names a row for ever: the value of its key column as text, or the place of the row (see `position`)."""

_PLACES = 40
_encode = msgspec.json.Encoder(enc_hook=str, order="sorted").encode


class Row(msgspec.Struct, frozen=True):
    """One row: `content` by column. `problem` is what was wrong with it where it could not be read."""

    key: Key
    content: Mapping[str, Any]
    problem: str = ""


def position(file: int, number: int) -> int:
    """Return the key of a row by its place: the number of its file, and its own, 1 for the first."""
    return file << _PLACES | number


def number_of(key: int) -> tuple[int, int]:
    """Return the number of the file and of the row in it."""
    return key >> _PLACES, key & (1 << _PLACES) - 1


def digest_of(value: Any) -> bytes:
    """Return 12 bytes that tell this value from another one."""
    return blake2b(_encode(value), digest_size=12).digest()
