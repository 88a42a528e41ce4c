"""`parse_models` and `read_rate_limits` for Anthropic: times are RFC 3339 here (AN-E2, AN-H2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from chatport import ModelInfo, RateLimits, hookimpl
from chatport.standard.models import header_count

__all__ = ["parse_models", "read_rate_limits"]

_PREFIX = "anthropic-ratelimit-"


@hookimpl
def parse_models(data: Any) -> Sequence[ModelInfo] | None:
    """Return the models with their windows; the live abilities are in each one's `raw`."""
    entries = data.get("data") if isinstance(data, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        return None
    return [_model(entry) for entry in entries if entry.get("id")]


def _model(entry: Mapping[str, Any]) -> ModelInfo:
    created, window = _time(entry.get("created_at")), entry.get("max_input_tokens")
    seconds = None if created is None else int(created.timestamp())
    return ModelInfo(str(entry["id"]), seconds, "anthropic", window if isinstance(window, int) else None, raw=entry)


@hookimpl
def read_rate_limits(headers: Mapping[str, str]) -> RateLimits | None:
    """Return the headroom; a reset is a moment, which counts from the reply's own date."""
    if not any(name.startswith(_PREFIX) for name in headers):
        return None
    tokens = "tokens" if f"{_PREFIX}tokens-limit" in headers else "input-tokens"

    def values(kind: str) -> tuple[int | None, int | None, float | None]:
        limit, left = (header_count(headers.get(f"{_PREFIX}{kind}-{name}", "")) for name in ("limit", "remaining"))
        return limit, left, _seconds_until(headers.get(f"{_PREFIX}{kind}-reset"), headers.get("date"))

    return RateLimits(*values("requests"), *values(tokens))


def _time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _seconds_until(reset: str | None, now: str | None) -> float | None:
    moment = _time(reset)
    try:
        return None if moment is None or now is None else max((moment - parsedate_to_datetime(now)).total_seconds(), 0)
    except (TypeError, ValueError, OverflowError):
        return None
