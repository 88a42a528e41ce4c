"""What somebody gives, held against the annotations of what it is given to: a mistake is told where it is made.

Only the outermost type is looked at, and the items of a tuple: what stands deeper is checked by whoever reads it. A
value whose annotation says nothing that can be checked passes.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from .display import one_line
from .words import near_miss

__all__ = ["check_fields", "expect", "kind_of"]

_LONGEST = 60


def expect(value: Any, kinds: type | tuple[type, ...], what: str, error: type[Exception]) -> None:
    """Raise `error` if a value is none of the kinds: "`what`, not a list."."""
    if not isinstance(value, kinds):
        raise error(f"{what}, not {kind_of(value)}.")


def kind_of(value: Any) -> str:
    """Return what a value is, for a message; never what it holds, which may be a key."""
    return "None" if value is None else f"a value of the type {type(value).__name__}"


def check_fields(value: Any, error: type[Exception]) -> None:
    """Raise `error` for the first field of an attrs value that is not what its annotation says."""
    for name, is_fine, words, choices in _checks(type(value)):  # type: ignore[arg-type]  # every class has a hash
        given = getattr(value, name)
        if not is_fine(given):
            where = f"{type(value).__name__}({name}=…)"
            if choices and isinstance(given, str):
                raise error(f"{where} is {words}, not {one_line(repr(given), _LONGEST)}.{near_miss(given, choices)}")
            raise error(f"{where} is {words}, not {kind_of(given)}.")


_Check = tuple[str, Callable[[Any], bool], str, tuple[str, ...]]


@cache
def _checks(cls: type) -> tuple[_Check, ...]:
    hints = get_type_hints(cls)
    return tuple(_check(field.name, hints.get(field.name, Any)) for field in attrs.fields(cls) if field.init)


def _check(name: str, hint: Any) -> _Check:
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    tests = [_test(option) for option in options]
    if any(test is None for test in tests):
        return name, lambda value: True, "", ()
    known = [test for test in tests if test is not None]
    words = " or ".join(dict.fromkeys(words for _, words in known))
    choices = tuple(str(word) for option in options if get_origin(option) is Literal for word in get_args(option))
    checks = [check for check, _ in known]
    return name, checks[0] if len(checks) == 1 else lambda value: any(check(value) for check in checks), words, choices


_PLAIN: Mapping[Any, tuple[Callable[[Any], bool], str]] = {
    str: (lambda value: isinstance(value, str), "a text"),
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    float: (lambda value: isinstance(value, int | float) and not isinstance(value, bool), "a number"),
    bytes: (lambda value: isinstance(value, bytes), "bytes"),
    types.NoneType: (lambda value: value is None, "None"),
}


def _test(hint: Any) -> tuple[Callable[[Any], bool], str] | None:
    """Return how a value is held against one annotation, and what that is called; None where it is not."""
    if hint is Any:
        return None
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin is Literal:
        return lambda value: value in inner, "one of " + ", ".join(map(str, inner))
    if origin is tuple:
        item = _test(inner[0]) if inner and inner[-1] is Ellipsis else None
        fits = item[0] if item else None
        what = f"a tuple, each of it {item[1]}" if item else "a tuple"
        return lambda v: isinstance(v, tuple | list) and (fits is None or all(map(fits, v))), what
    if origin in (Mapping, dict):
        parts = [_test(part) for part in inner]
        if len(parts) < 2 or None in parts:
            return lambda value: isinstance(value, Mapping), "a dict"
        (is_key, _), (is_value, what) = (part for part in parts if part is not None)
        return (
            lambda v: isinstance(v, Mapping) and all(is_key(name) and is_value(item) for name, item in v.items()),
            f"a dict by names, each of it {what}",
        )
    if origin is Callable:
        return callable, "a function"
    if isinstance(origin, type) and not inner and origin is not object and not getattr(origin, "_is_protocol", False):
        return lambda value: isinstance(value, origin), f"a {origin.__name__}"
    return None
