"""The end of an answer in the protocol's words: why it ended, and what it has used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatport import Reply, Usage

__all__ = ["UNTOLD_USAGE", "ending", "wire_usage"]

UNTOLD_USAGE: Mapping[str, Any] = dict.fromkeys(
    ("cache_creation", "inference_geo", "output_tokens_details", "server_tool_use", "service_tier")
)
"""What the published shape of counts has, and need not be known (AN-U1)."""

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
    """Return the counts. Here the input is less what the cache took part in (AN-U2).

    Clients need all of the names, and counts where the vendor has told none (litellm#24176).
    """
    cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    thinking = usage.reasoning_tokens
    return {
        **UNTOLD_USAGE,
        "input_tokens": max((usage.input_tokens or 0) - cached - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output_tokens or 0,
        "output_tokens_details": None if thinking is None else {"thinking_tokens": thinking},  # AN-K1
    }
