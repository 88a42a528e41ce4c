"""What only its vendor reads of an answer: sealed on the way to the client, opened on the way back.

A vendor's own opaque text (`signature`, what is encrypted) is replaced by a sealed one in the place where it stood.
What lies in no block, the slot of a message and keys of its calls, rides in the signature of thinking, or in a block of
encrypted thinking. A text that looks sealed and does not open goes to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..sealing import Seal, Sealed

__all__ = ["Opener", "closed", "is_opaque", "may_hold"]

_NAMES = ("signature", "encrypted_content", "encrypted_index", "encrypted_stdout")
_HINTS = (b"signature", b"encrypted_", b"redacted_thinking")
_REDACTED = "redacted_thinking"
_THE_MODELS = "input"
"""What the model has written, for tools: a key of it is no word of the protocol, whatever its name."""


def is_opaque(block: Mapping[str, Any], name: str) -> bool:
    """Whether a field of a block is one that only its vendor reads."""
    return name in _NAMES or (name == "data" and block.get("type") == _REDACTED)


def may_hold(raw: bytes) -> bool:
    """Whether the JSON of an event may have such a field. Quick: it is asked of each."""
    return any(hint in raw for hint in _HINTS)


def closed(value: Any, seal: Seal, origin: str) -> Any:
    """Return a value of the vendor's with its opaque texts sealed, the same value if it has none."""
    return _mapped(value, lambda text: seal.close(Sealed(origin, text=text)) if text else text)


class LostError(ValueError):
    """A text looks sealed, and is none of ours: changed, of another secret, or of two providers in one answer."""


class Opener:
    """Opens what is sealed in one answer. `origin` is the provider that it is of, None as long as nothing was sealed.

    `opaque` and `calls` are what lay in no block, see `Sealed`.
    """

    def __init__(self, seal: Seal) -> None:
        self.origin: str | None = None
        self.opaque: dict[str, Any] = {}
        self.calls: dict[str, Mapping[str, Any]] = {}
        self._seal = seal

    def text(self, given: str) -> str | None:
        """Return an opaque text as its vendor wrote it; None if what was sealed is our own. Raises LostError."""
        if not Seal.is_sealed(given):
            return given
        sealed = self._seal.open(given)
        if sealed is None or self.origin not in (None, sealed.origin):
            raise LostError(given)
        self.origin = sealed.origin
        self.opaque.update(sealed.opaque)
        self.calls.update(sealed.calls)
        return sealed.text

    def block(self, block: Any) -> Any:
        """Return a block, or a part of one, as its vendor wrote it. Raises LostError."""
        return _mapped(block, lambda given: self.text(given) or "")


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with its opaque texts changed; what has none stays the same value."""
    if isinstance(value, Mapping):
        new = {name: _field(value, name, field, change) for name, field in value.items()}
        return new if any(new[name] is not field for name, field in value.items()) else value
    if isinstance(value, list | tuple):
        items = [_mapped(item, change) for item in value]
        return items if any(item is not old for item, old in zip(items, value, strict=True)) else value
    return value


def _field(block: Mapping[str, Any], name: str, value: Any, change: Callable[[str], str]) -> Any:
    if name == _THE_MODELS:
        return value
    return change(value) if isinstance(value, str) and is_opaque(block, name) else _mapped(value, change)
