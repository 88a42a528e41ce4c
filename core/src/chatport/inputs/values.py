"""Single values of a configuration or an option: each returned as what it means, or refused with its place named."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from ..basics.words import near_miss
from ..errors import ConfigurationError
from ..limits.timeouts import Timeouts

__all__ = ["flag", "known", "one_of", "positive", "read_timeouts", "seconds_of", "table_of", "text", "texts", "whole"]


def known(table: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    """Raise ConfigurationError for the first key of a table that it does not have, with the near miss."""
    for key in table:
        if key not in keys:
            raise ConfigurationError(
                f"{where}: unknown key {reprlib.repr(key)}.{near_miss(key, keys, parts=True)} "
                f"Known: {', '.join(sorted(keys))}."
            )


def table_of(data: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """Return a table inside a table, an empty one where there is none. Raises ConfigurationError for anything else."""
    value = data.get(key, {})
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where}: {key} must be a table, not {type(value).__name__}.")
    return value


def text(value: Any, where: str) -> str | None:
    """Return a text that is not empty, or None. Raises ConfigurationError for anything else."""
    if value is None or (isinstance(value, str) and value):
        return value
    raise ConfigurationError(f"{where} must be a text that is not empty, not {reprlib.repr(value)}.")


def read_timeouts(table: Mapping[str, Any], where: str) -> Mapping[str, float]:
    """Return timers by name, in seconds, 0 for off. Raises ConfigurationError."""
    known(table, [field.name for field in attrs.fields(Timeouts)], where)
    return {name: seconds_of(value, f"{where} {name}") for name, value in table.items()}


def seconds_of(value: Any, where: str) -> float:
    """Return a number of seconds, 0 for off. Raises ConfigurationError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ConfigurationError(f"{where} is a number of seconds, 0 for off, not {reprlib.repr(value)}.")
    return float(value)


def positive(value: Any, where: str) -> float:
    """Return a number above 0. Raises ConfigurationError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ConfigurationError(f"{where} is a number above 0, not {reprlib.repr(value)}.")
    return float(value)


def whole(value: Any, where: str) -> int:
    """Return a whole number above 0. Raises ConfigurationError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{where} is a whole number above 0, not {reprlib.repr(value)}.")
    return value


def flag(value: Any, where: str) -> bool | None:
    """Return true, false, or None where it is left out. Raises ConfigurationError."""
    if value is None or isinstance(value, bool):
        return value
    raise ConfigurationError(f"{where} is true or false, not {reprlib.repr(value)}.")


def one_of(value: Any, choices: tuple[str, str], where: str) -> Any:
    """Return a word that is one of two. Raises ConfigurationError."""
    if value not in choices:
        raise ConfigurationError(f'{where} is "{choices[0]}" or "{choices[1]}", not {reprlib.repr(value)}.')
    return value


def texts(value: Any, where: str) -> tuple[str, ...]:
    """Return a list of texts as a tuple. Raises ConfigurationError where one is empty, or none."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
        raise ConfigurationError(f"{where} is a list of texts, none of them empty, not {reprlib.repr(value)}.")
    return tuple(value)
