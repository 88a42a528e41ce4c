"""Standard `describe_model`, `parse_models` and `read_rate_limits`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..basics.durations import go_duration_seconds
from ..call import Context
from ..facts.models import ModelFacts
from ..facts.vendor_rules import LimitsRule
from ..hooks import hookimpl
from ..types import ModelInfo, RateLimits

__all__ = ["describe_model", "header_count", "parse_models", "read_rate_limits"]


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
    """The headers that the vendor's facts name, else OpenAI's, in integers and Go-style durations (OA-H2)."""
    facts = context.provider.facts
    if facts is not None and facts.limits is not None:
        return _by_facts(headers, facts.limits)
    if not [name for name in headers if name.startswith("x-ratelimit-")]:
        return None

    found: dict[str, Any] = {}
    for meaning, name in _HEADERS.items():
        read = go_duration_seconds if meaning.endswith("seconds") else header_count
        found[meaning] = read(headers.get(name, ""))
    return RateLimits(**found)


_HEADERS = {
    "requests_limit": "x-ratelimit-limit-requests",
    "requests_remaining": "x-ratelimit-remaining-requests",
    "requests_reset_seconds": "x-ratelimit-reset-requests",
    "tokens_limit": "x-ratelimit-limit-tokens",
    "tokens_remaining": "x-ratelimit-remaining-tokens",
    "tokens_reset_seconds": "x-ratelimit-reset-tokens",
}


def _by_facts(headers: Mapping[str, str], rule: LimitsRule) -> RateLimits | None:
    """Return what the headers say that the rule names, None where they say nothing."""
    found: dict[str, Any] = {}
    for meaning, standard in _HEADERS.items():
        names = getattr(rule, meaning)
        read = _seconds if meaning.endswith("seconds") else _whole
        values = (read(headers.get(name, "")) for name in ((standard,) if names is None else names))
        found[meaning] = next((value for value in values if value is not None), None)
    return RateLimits(**found) if any(value is not None for value in found.values()) else None


_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{0,9})?")


def _whole(text: str) -> int | None:
    return int(float(text)) if _NUMBER.fullmatch(text) else None


def _seconds(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else go_duration_seconds(text)


def header_count(text: str) -> int | None:
    """Return the number of a header that counts something, None if the text is none: `²` and `٣` are digits too."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
