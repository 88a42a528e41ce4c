"""Mappings and lists that cannot be written to, for what hooks are handed and others share.

A provider's value is shared by every client of the process, its settings by the calls of a client, and the dicts in
messages and tools belong to the caller. A hook that writes into one of these would change calls of others, without a
word. So they are frozen, once, where such a value is made, and a write is an error that names the hook.

They are dicts and lists in everything else: equal to plain ones, readable by every library, written as JSON. A copy
(`dict(x)`, `{**x}`, `x.copy()`, `copy.deepcopy(x)`) is plain, and its owner's to change. It is a guard against
mistakes: code that means harm and runs in this process can do anything.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NoReturn

from msgspec import Struct
from msgspec.structs import force_setattr

__all__ = ["NOTHING", "FrozenDict", "FrozenList", "FrozenValueError", "freeze", "freeze_fields"]

_DEEPEST = 200  # levels, as of JSON that is read


class FrozenValueError(TypeError):
    """A write to a value that others share."""


def _refuse(self: object, *args: object, **kwargs: object) -> NoReturn:
    raise FrozenValueError(
        "this value is shared with other calls and clients, and cannot be written to; make a new one: {**old, key: new}"
    )


class FrozenDict(dict[Any, Any]):
    """A dict that cannot be written to. Make one with `freeze`."""

    __slots__ = ()

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __copy__(self) -> dict[Any, Any]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Any, Any]:
        return {key: copy.deepcopy(value, memo) for key, value in self.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


NOTHING = FrozenDict()


class FrozenList(list[Any]):
    """A list that cannot be written to. Make one with `freeze`."""

    __slots__ = ()

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = remove = pop = clear = sort = reverse = _refuse

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return [copy.deepcopy(value, memo) for value in self]

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenList, (list(self),)


def freeze_fields(value: object, *names: str, error: type[Exception] = ValueError) -> None:
    """Freeze fields of a frozen attrs value or struct, for its `__attrs_post_init__` or `__post_init__`.

    Raises `error` as `freeze` does.
    """
    write: Any = force_setattr if isinstance(value, Struct) else object.__setattr__
    for name in names:
        write(value, name, freeze(getattr(value, name), error))


def freeze(value: Any, error: type[Exception] = ValueError, _level: int = 0) -> Any:
    """Return a value in which nothing can be written to: a copy, unless it is frozen already.

    Mappings, lists, tuples and sets are followed; any other value stays as it is. Raises `error` for one that is
    nested in more than 200 levels, or contains itself.
    """
    kind = type(value)
    if kind is FrozenDict or kind is FrozenList or kind is str:
        return value
    if _level > _DEEPEST:
        raise error(f"A value is nested in more than {_DEEPEST} levels, or contains itself.")
    if isinstance(value, Mapping):
        return FrozenDict({name: freeze(inner, error, _level + 1) for name, inner in value.items()})
    if isinstance(value, list):
        return FrozenList([freeze(inner, error, _level + 1) for inner in value])
    if kind is tuple:
        return tuple([freeze(inner, error, _level + 1) for inner in value])
    return frozenset(value) if isinstance(value, set) else value
