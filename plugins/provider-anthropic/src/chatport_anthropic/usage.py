"""Anthropic's token counts in our words: its `input_tokens` leaves out what the cache took part in (AN-U2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import Usage
from chatport.helpers import standard_usage as standard

__all__ = ["read_usage", "unbilled_above"]


def read_usage(data: Mapping[str, Any], above: Usage | None = None) -> Usage:
    """Return the counts; a null or missing one stays unknown (AN-U1). `above`: `unbilled_above`, if it is known."""
    details = data.get("output_tokens_details") or {}
    own = standard.read_usage({**data, "reasoning_tokens": details.get("thinking_tokens")}) or Usage()  # AN-K1
    more = unbilled_above(data.get("iterations")) if above is None else above

    def total(*names: str) -> int | None:
        if getattr(own, names[0]) is None:
            return None
        return sum(getattr(part, name) or 0 for part in (own, more) for name in names)

    return Usage(
        total("input_tokens", "cached_input_tokens", "cache_write_tokens"),
        total("output_tokens"),
        total("cached_input_tokens"),
        total("cache_write_tokens"),
        own.reasoning_tokens,
        raw=data,
    )


def unbilled_above(iterations: Any) -> Usage:
    """Return the sum of the parts of a run that are missing in the counts above them."""
    parts = [standard.read_usage(item) or Usage() for item in iterations or () if _is_unbilled_above(item)]
    return Usage(
        sum(part.input_tokens or 0 for part in parts),
        sum(part.output_tokens or 0 for part in parts),
        sum(part.cached_input_tokens or 0 for part in parts),
        sum(part.cache_write_tokens or 0 for part in parts),
    )


def _is_unbilled_above(item: Any) -> bool:
    """Whether a part of the run, such as a compaction, is missing in the counts above it (AN-U3).

    One that another model did is left out: its tokens have another price.
    """
    return isinstance(item, Mapping) and item.get("type") != "message" and "model" not in item
