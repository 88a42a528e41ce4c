"""Anthropic's token counts in our words: its `input_tokens` leaves out what the cache took part in (AN-U2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import Usage

__all__ = ["read_usage"]

_CACHE = ("cache_creation_input_tokens", "cache_read_input_tokens")


def read_usage(data: Mapping[str, Any]) -> Usage:
    """Return the counts; a null or missing one stays unknown (AN-U1)."""
    extra = [item for item in data.get("iterations") or () if _is_unbilled_above(item)]
    asked = _count(data, "input_tokens")
    if asked is not None:
        asked += sum(_count(item, name) or 0 for item in (data, *extra) for name in _CACHE)
        asked += sum(_count(item, "input_tokens") or 0 for item in extra)
    answered = _count(data, "output_tokens")
    if answered is not None:
        answered += sum(_count(item, "output_tokens") or 0 for item in extra)
    written, cached = (_with(data, extra, name) for name in _CACHE)
    thought = _count(data.get("output_tokens_details") or {}, "thinking_tokens")  # AN-K1
    return Usage(asked, answered, cached, written, thought, raw=data)


def _is_unbilled_above(item: Any) -> bool:
    """Whether a part of the run, such as a compaction, is missing in the counts above it (AN-U3).

    One that another model did is left out: its tokens have another price.
    """
    return isinstance(item, Mapping) and item.get("type") != "message" and "model" not in item


def _with(data: Mapping[str, Any], extra: list[Any], name: str) -> int | None:
    own = _count(data, name)
    return None if own is None else own + sum(_count(item, name) or 0 for item in extra)


def _count(data: Mapping[str, Any], name: str) -> int | None:
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15 else None
