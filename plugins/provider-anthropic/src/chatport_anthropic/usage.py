"""Anthropic's token counts in our words: its `input_tokens` leaves out what the cache took part in (AN-U2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import Usage
from chatport.standard import usage as standard

__all__ = ["read_usage"]


def read_usage(data: Mapping[str, Any]) -> Usage:
    """Return the counts; a null or missing one stays unknown (AN-U1)."""
    details = data.get("output_tokens_details") or {}
    own = standard.read_usage({**data, "reasoning_tokens": details.get("thinking_tokens")}) or Usage()  # AN-K1
    more = [standard.read_usage(item) or Usage() for item in data.get("iterations") or () if _is_unbilled_above(item)]

    def total(*names: str) -> int | None:
        if getattr(own, names[0]) is None:
            return None
        return sum(getattr(part, name) or 0 for part in (own, *more) for name in names)

    return Usage(
        total("input_tokens", "cached_input_tokens", "cache_write_tokens"),
        total("output_tokens"),
        total("cached_input_tokens"),
        total("cache_write_tokens"),
        own.reasoning_tokens,
        raw=data,
    )


def _is_unbilled_above(item: Any) -> bool:
    """Whether a part of the run, such as a compaction, is missing in the counts above it (AN-U3).

    One that another model did is left out: its tokens have another price.
    """
    return isinstance(item, Mapping) and item.get("type") != "message" and "model" not in item
