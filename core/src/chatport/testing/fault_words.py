"""Faults by their names, as a command line gives them: `status(503)`, `cut(after_events=2, how=reset)`, `drop_done`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..errors import ConfigurationError
from . import faults
from .faults import Fault

__all__ = ["fault_lines", "fault_of"]

_NAMES = tuple(name for name in faults.__all__ if name.islower())
_NONE = "none"
"""A request that is answered as it should be."""


def fault_of(text: str) -> Fault | None:
    """Return the fault that a text names, as it is called in Python; None for `none`: no fault.

    Without arguments the brackets may be left out, and quotes round a word too. Raises ConfigurationError for a name or
    an argument that is not known, with those that are.
    """
    name, arguments = _read(text)
    if name == _NONE and not arguments[0] and not arguments[1]:
        return None
    if name not in _NAMES:
        raise ConfigurationError(f"There is no fault {name!r}. There are: {', '.join((*_NAMES, _NONE))}.")
    make: Callable[..., Fault] = getattr(faults, name)
    given, named = arguments
    try:
        bound = inspect.signature(make).bind(*given, **named)
        _check(make, bound.arguments)
        return make(*given, **named)
    except TypeError as error:
        raise ConfigurationError(f"The fault {text!r} cannot be: {error}. It is {_signature(name)}.") from None


def fault_lines() -> list[str]:
    """Return a line for each fault: how it is called, and what happens."""
    lines = [(_signature(name), (inspect.getdoc(getattr(faults, name)) or "").splitlines()[0]) for name in _NAMES]
    return [f"{call}\n    {words}" for call, words in (*lines, (_NONE, "This request is answered as it should be."))]


def _read(text: str) -> tuple[str, tuple[list[Any], dict[str, Any]]]:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        if isinstance(tree, ast.Name):
            return tree.id, ([], {})
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
            named = {str(keyword.arg): _value(keyword.value) for keyword in tree.keywords}
            return tree.func.id, ([_value(value) for value in tree.args], named)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        pass
    raise ConfigurationError(
        f"{text[:80]!r} is no fault: write its name and what it takes, such as cut(after_events=2)."
    )


def _value(tree: ast.expr) -> Any:
    return tree.id if isinstance(tree, ast.Name) else ast.literal_eval(tree)


def _signature(name: str) -> str:
    shown = [
        parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"
        for parameter in inspect.signature(getattr(faults, name)).parameters.values()
    ]
    return f"{name}({', '.join(shown)})" if shown else name


def _check(make: Callable[..., Fault], arguments: Mapping[str, Any]) -> None:
    """Raise TypeError for a value of a kind that the fault does not take: it would fail only when it is played."""
    hints = get_type_hints(inspect.unwrap(make))
    for name, value in arguments.items():
        if not _fits(value, hints[name]):
            raise TypeError(f"{name} cannot be {value!r}")


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if origin is Mapping:
        return isinstance(value, dict) and all(isinstance(text, str) for item in value.items() for text in item)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return isinstance(value, NoneType if hint is None else hint)
