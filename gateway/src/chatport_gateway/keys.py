"""Who may ask: the key that a client sends, held against hashes in a time that tells nothing."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from chatport import ConfigurationError

__all__ = ["KeyRing", "hash_of", "read_hash"]

_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_SHORTEST = 16


def hash_of(key: str) -> str:
    """Return the hash of a key as the configuration takes it."""
    return f"sha256:{sha256(key.encode()).hexdigest()}"


def read_hash(text: str, where: str, *, is_key: bool = False) -> bytes:
    """Return the digest that a text stands for, or of a key itself. Raises ConfigurationError, without the text."""
    if is_key:
        if len(text) < _SHORTEST:
            raise ConfigurationError(f"The key of the gateway has at least {_SHORTEST} characters.")
        return sha256(text.encode()).digest()
    match = _HASH.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"{where}: a hash is `sha256:` and 64 hex digits in lower case.")
    return bytes.fromhex(match[1])


class KeyRing:
    """The keys that are taken, as digests; an empty one takes every request."""

    def __init__(self, digests: Iterable[bytes]) -> None:
        self._digests = tuple(digests)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def __repr__(self) -> str:
        return f"<chatport_gateway.KeyRing of {len(self._digests)}>"

    def which(self, headers: Mapping[str, str]) -> bytes | None:
        """Return the digest of the key that a request brings, as a bearer or in `x-api-key`; None: it is none of ours.

        All are compared every time.
        """
        if not self._digests:
            return None
        bearer = headers.get("authorization", "")
        sent = headers.get("x-api-key") or (bearer[7:].strip() if bearer[:7].lower() == "bearer " else "")
        digest = sha256(sent.encode("utf-8", "surrogateescape")).digest()
        matches = [known for known in self._digests if hmac.compare_digest(digest, known)]
        return matches[0] if matches else None
