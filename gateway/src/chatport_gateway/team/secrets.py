"""Keys as texts: `cpk_`, then an id that people see, then what nobody can guess. Only the SHA-256 is kept.

A plain hash is enough where 256 bits are random: there is nothing to try. And it is looked up, not compared: what time
a look-up takes tells of hashes at most, from which no key follows.
"""

from __future__ import annotations

import secrets
from hashlib import sha256

__all__ = ["digest_of", "has_shape", "new_id", "new_secret", "shown_of"]

_MARK = "cpk_"
_LENGTH = len(_MARK) + 10 + 1 + 43


def new_id() -> str:
    """Return an id that nobody else has."""
    return secrets.token_hex(8)


def new_secret() -> str:
    """Return a new key."""
    return f"{_MARK}{secrets.token_hex(5)}_{secrets.token_urlsafe(32)}"


def has_shape(secret: str) -> bool:
    """Whether a text may be one of our keys: what is not needs no look-up."""
    return len(secret) == _LENGTH and secret.startswith(_MARK) and secret.isascii()


def digest_of(secret: str) -> bytes:
    """Return the hash that is kept of a key."""
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()


def shown_of(secret: str) -> str:
    """Return as much of a key as people may see."""
    return secret[: len(_MARK) + 10]
