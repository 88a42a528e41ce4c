"""Standard `describe_model`, `parse_models` and `read_rate_limits`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..call import Context
from ..facts.models import ModelFacts
from ..hooks import hookimpl
from ..types import ModelInfo, RateLimits

__all__ = ["describe_model", "go_duration_seconds", "header_count", "parse_models", "read_rate_limits"]


@hookimpl
def describe_model(model: str, context: Context) -> ModelFacts:
    facts = context.provider.facts
    return ModelFacts() if facts is None else facts.describe(model, context.base_url)


@hookimpl
def parse_models(data: Any, context: Context) -> Sequence[ModelInfo]:
    entries = data.get("data", data.get("models")) if isinstance(data, Mapping) else data
    if not isinstance(entries, list):
        return ()
    return [_model(entry) for entry in entries if isinstance(entry, Mapping) and entry.get("id")]


def _model(entry: Mapping[str, Any]) -> ModelInfo:
    created, owner = entry.get("created"), entry.get("owned_by", entry.get("organization"))
    window = next((entry[key] for key in ("max_model_len", "context_length", "context_window") if entry.get(key)), None)
    return ModelInfo(
        str(entry["id"]),
        created if isinstance(created, int) else None,
        owner if isinstance(owner, str) else None,
        window if isinstance(window, int) else None,
        raw=entry,
    )


@hookimpl
def read_rate_limits(headers: Mapping[str, str], context: Context) -> RateLimits | None:
    """OpenAI's header names, in integers and Go-style durations (OA-H2)."""
    if not any(name.startswith("x-ratelimit-") for name in headers):
        return None

    def count(name: str) -> int | None:
        return header_count(headers.get(f"x-ratelimit-{name}", ""))

    def seconds(name: str) -> float | None:
        return go_duration_seconds(headers.get(f"x-ratelimit-{name}", ""))

    return RateLimits(
        requests_limit=count("limit-requests"),
        requests_remaining=count("remaining-requests"),
        requests_reset_seconds=seconds("reset-requests"),
        tokens_limit=count("limit-tokens"),
        tokens_remaining=count("remaining-tokens"),
        tokens_reset_seconds=seconds("reset-tokens"),
    )


def header_count(text: str) -> int | None:
    """Return the number of a header that counts something, None if the text is none: `²` and `٣` are digits too."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


_LONGEST_SECONDS = 1e9
_DURATION = re.compile(r"(\d++(?:\.\d++)?+)(ms|us|µs|ns|h|m|s)")
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def go_duration_seconds(text: str) -> float | None:
    """Return the seconds of a duration such as `6m0s`, `8.64s` or `12ms`, None if the text is none or beyond sense."""
    seconds, at = 0.0, 0
    while at < len(text) <= 40:
        piece = _DURATION.match(text, at)  # here, and not somewhere in the rest: a search would try each digit of many
        if piece is None:
            return None
        seconds += float(piece[1]) * _UNIT_SECONDS[piece[2]]
        at = piece.end()
    return seconds if at and seconds < _LONGEST_SECONDS else None
