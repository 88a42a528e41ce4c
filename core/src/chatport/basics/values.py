"""What frozen attrs classes have in common, written once.

attrs compiles these three for each class anew. A process that is started for one answer builds some seventy classes
first, and these were half of what that took. So a value is `@attrs.frozen(eq=False, repr=False)` and a `Value`.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = ["Value"]


class Value:
    """Equal to one of its own class with equal fields, with the hash of them; shown as attrs shows it.

    The `eq`, `hash` and `repr` of an `attrs.field` count as they do for attrs.
    """

    __slots__ = ()
    __attrs_attrs__: ClassVar[Any]

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, f.name) == getattr(other, f.name) for f in self.__attrs_attrs__ if f.eq)

    def __hash__(self) -> int:
        fields = [f for f in self.__attrs_attrs__ if (f.eq if f.hash is None else f.hash)]
        return hash((self.__class__, *(getattr(self, f.name) for f in fields)))

    def __repr__(self) -> str:
        shown = [(f.name, repr if f.repr is True else f.repr) for f in self.__attrs_attrs__ if f.repr]
        inside = ", ".join(f"{name}={show(getattr(self, name))}" for name, show in shown)
        return f"{self.__class__.__qualname__.rpartition('>.')[2]}({inside})"
