"""What holds for a whole map: what a caller gives by name, read once, before anything is sent."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from ..basics.values import Value
from ..call import Call
from ..errors import BadRequestError
from ..types.maps import MapProgress
from .kept import made_with

__all__ = ["MapPlan", "read_items", "read_plan"]

_WINDOWS = 4
"""How many times `concurrency` may be under way or wait to be handed over, where nobody says how many."""


@attrs.frozen(eq=False, repr=False)
class MapPlan(Value):
    """What holds for a map. `options` are those of its calls, `made_with` what a resume file must agree with.

    `window`: the most items that were read and not handed over.
    """

    messages: Callable[[Any], Any] | None
    key: Callable[[Any], Any] | None
    concurrency: int
    window: int
    is_ordered: bool
    raises: bool
    retry_invalid: int
    max_usd: float | None
    max_seconds: float | None
    resume: Path | None
    progress: Callable[[MapProgress], Any] | None
    options: Mapping[str, Any]
    call: Call
    made_with: Mapping[str, Any]


def read_plan(
    *,
    messages: Any,
    key: Any,
    concurrency: Any,
    window: Any,
    ordered: Any,
    on_error: Literal["keep", "raise"],
    retry_invalid: int,
    max_usd: Any,
    max_seconds: Any,
    resume: Any,
    progress: Any,
    options: Mapping[str, Any],
    call: Call,
    targets: Iterable[str],
) -> MapPlan:
    """Return what holds for a map. Raises BadRequestError for what cannot be meant."""
    for name, given in (("messages", messages), ("key", key), ("progress", progress)):
        if given is not None and not callable(given):
            raise BadRequestError(f"{name} is a function of one argument, not {given!r}.")
    if not _is_count(concurrency):
        raise BadRequestError(f"concurrency is a whole number of at least 1, not {concurrency!r}.")
    if window is not None and not (_is_count(window) and window >= concurrency):
        raise BadRequestError(f"window is a whole number of at least concurrency ({concurrency}), not {window!r}.")
    if not isinstance(ordered, bool):
        raise BadRequestError(f"ordered is True or False, not {ordered!r}.")
    if on_error not in ("keep", "raise"):
        raise BadRequestError(f'on_error is "keep" or "raise", not {on_error!r}.')
    for name, given in (("max_usd", max_usd), ("max_seconds", max_seconds)):
        if given is not None and not _is_amount(given):
            raise BadRequestError(f"{name} is a number above 0, not {given!r}.")
    if resume is not None and not isinstance(resume, str | os.PathLike):
        raise BadRequestError(f"resume is the path of a file, not {resume!r}.")
    return MapPlan(
        messages,
        key,
        concurrency,
        concurrency * _WINDOWS if window is None else window,
        ordered,
        on_error == "raise",
        retry_invalid,
        max_usd,
        max_seconds,
        None if resume is None else Path(resume),
        progress,
        options,
        call,
        {} if resume is None else made_with(call, targets, is_keyed=key is not None),
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_amount(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 < value < math.inf


def read_items(items: Any) -> int | None:
    """Return how many items there are, None where that is not known. Raises BadRequestError for no items at all."""
    if isinstance(items, str | bytes | Mapping):
        raise BadRequestError(
            f"items is one of the type {type(items).__name__}. Give a list, or anything else that is iterated item by "
            "item; of a dict its items()."
        )
    if not isinstance(items, Iterable | AsyncIterable):
        raise BadRequestError(f"items is iterated, and a value of the type {type(items).__name__} cannot be.")
    try:
        return len(items)  # type: ignore[arg-type]  # not all have one
    except TypeError:
        return None
