"""A value that must not be seen: it has no readable repr, no pickle, and no equality with a plain string."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeAlias, final

__all__ = ["Revealed", "Secret"]

Revealed: TypeAlias = str | tuple[str, ...]
"""The texts of one key or of several, to be hidden in what is told; "" for none."""


@final
class Secret:
    """Hold an API key. `reveal()` is the only way to its text; everything else shows `***`."""

    __slots__ = ("__reveal",)
    __reveal: Callable[[], str]

    def __init__(self, value: str) -> None:
        # A closure keeps the text out of vars(), slots readers and debuggers that print locals one level deep.
        self.__reveal = lambda: value

    def reveal(self) -> str:
        """Return the text itself. Call it where the header is written, and nowhere else."""
        return self.__reveal()

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self.__reveal())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        import hmac  # it loads OpenSSL: not for an import that is to cost little

        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash(("chatport.Secret", self.reveal()))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: pass a reference such as {'env': 'ACME_API_KEY'} instead")
