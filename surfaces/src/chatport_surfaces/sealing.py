"""What a vendor wants back, closed into text that a client carries and cannot change.

A client of a protocol without sessions sends the whole conversation with each request, and gives back opaque fields as
they came (`signature`, `encrypted_content`). What lies in them here is tagged with the provider that wants it, and
authenticated: nobody can make one, or turn one provider's into another's. It is not encrypted: it holds what the vendor
itself has sent to be given back.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import zlib
from collections.abc import Mapping
from hashlib import sha256
from secrets import token_bytes
from typing import Any

import attrs

from chatport.helpers import jsoncodec

__all__ = ["Seal", "Sealed"]

_MARK = "cp1."
_TAG_BYTES = 16
_MOST_BYTES = 32 * 1024 * 1024
"""Of what a sealed text unpacks to: only our own ones are unpacked at all."""
_OF_THIS_PROCESS = token_bytes(32)


@attrs.frozen
class Sealed:
    """What a sealed text holds, of the answer of one provider (`origin`).

    `opaque` is the slot of a message, `calls` are keys of its calls by the calls' ids. `text` is instead a vendor's own
    opaque text, which goes back in the place where it stood.
    """

    origin: str
    opaque: Mapping[str, Any] = attrs.field(factory=dict)
    calls: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    text: str | None = None


class Seal:
    """Closes and opens such texts with a secret of at least 16 bytes; if none is given, with one of this process.

    Processes that are to open each other's, or those of before a restart, need the same secret. Raises ValueError for
    one that is too short.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        if secret is not None and len(secret) < _TAG_BYTES:
            raise ValueError(f"The secret of a seal has at least {_TAG_BYTES} bytes.")
        self._secret = _OF_THIS_PROCESS if secret is None else secret

    def __repr__(self) -> str:
        return "<chatport_surfaces.Seal>"

    def __reduce__(self) -> Any:
        raise TypeError("A Seal holds a secret, and does not pickle: make another one of the same secret.")

    def close(self, sealed: Sealed) -> str:
        """Return the text. Raises ValueError for a slot that JSON cannot hold."""
        value = {"o": sealed.origin}
        held: dict[str, Any] = {"m": sealed.opaque, "c": sealed.calls, "t": sealed.text}
        packed = zlib.compress(jsoncodec.encode({**value, **{key: part for key, part in held.items() if part}}), 1)
        return _MARK + base64.urlsafe_b64encode(self._tag(packed) + packed).decode().rstrip("=")

    def open(self, text: Any) -> Sealed | None:
        """Return what a text holds, None if it is none of ours: changed, of another secret, or a vendor's."""
        if not isinstance(text, str) or not text.startswith(_MARK):
            return None
        try:
            raw = base64.urlsafe_b64decode(text[len(_MARK) :] + "=" * (-(len(text) - len(_MARK)) % 4))
        except (binascii.Error, ValueError):
            return None
        tag, packed = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(packed)):
            return None
        value = jsoncodec.decode(zlib.decompressobj().decompress(packed, _MOST_BYTES))
        return Sealed(value["o"], value.get("m", {}), value.get("c", {}), value.get("t"))

    @staticmethod
    def is_sealed(text: Any) -> bool:
        """Whether a text looks like one of ours, opened or not: no vendor is to get it as its own."""
        return isinstance(text, str) and text.startswith(_MARK)

    def _tag(self, packed: bytes) -> bytes:
        return hmac.new(self._secret, packed, sha256).digest()[:_TAG_BYTES]
