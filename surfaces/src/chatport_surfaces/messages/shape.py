"""What is read of a request is what it must be, or the client hears where it is not: paths are as the vendor's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatport import BadRequestError

__all__ = ["objects", "table", "text", "without"]


def text(value: Any, where: str) -> str:
    """Return a text. Raises BadRequestError for anything else."""
    if isinstance(value, str):
        return value
    raise _misfit(value, where, "a valid string")


def table(value: Any, where: str) -> Mapping[str, Any]:
    """Return an object. Raises BadRequestError for anything else."""
    if isinstance(value, Mapping):
        return value
    raise _misfit(value, where, "an object")


def objects(value: Any, where: str) -> Sequence[Mapping[str, Any]]:
    """Return a list of objects. Raises BadRequestError for anything else."""
    if not isinstance(value, list | tuple):
        raise _misfit(value, where, "a valid list")
    return [table(item, f"{where}.{number}") for number, item in enumerate(value)]


def without(value: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return the fields of an object but for these, and those that are null, which say nothing."""
    return {name: field for name, field in value.items() if name not in names and field is not None}


def _misfit(value: Any, where: str, wanted: str) -> BadRequestError:
    return BadRequestError(f"{where}: Field required" if value is None else f"{where}: Input should be {wanted}")
