"""The end of an answer in the protocol's words: why it ended, and what it has used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import Reply, Usage

__all__ = ["ending", "wire_usage"]

_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_OWN = frozenset(
    ("end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded")
)
"""The protocol's words (AN-S15 to AN-S19): those of a vendor that speaks it stay."""


def ending(reply: Reply) -> dict[str, Any]:
    """Return the stop reason and what belongs to it."""
    raw = reply.raw_finish_reason
    is_own = reply.protocol == "messages" and raw in _OWN
    reason = raw if is_own else _STOPS.get(reply.finish_reason, "end_turn")
    if reply.refusal is not None:
        reason = "refusal"
    known: Mapping[str, Any] = reply.raw if is_own and isinstance(reply.raw, Mapping) else {}
    details = {"type": "refusal", "category": None, "explanation": reply.refusal} if reason == "refusal" else None
    return {
        "stop_reason": reason,
        "stop_sequence": known.get("stop_sequence"),
        "stop_details": known.get("stop_details") or details,
    }


def wire_usage(usage: Usage) -> dict[str, Any]:
    """Return the counts. Here the input is less what the cache took part in (AN-U2); clients need all of them there."""
    cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    counts = {
        "input_tokens": max((usage.input_tokens or 0) - cached - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output_tokens or 0,
    }
    if usage.reasoning_tokens is None:
        return counts
    return {**counts, "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens}}  # AN-K1
