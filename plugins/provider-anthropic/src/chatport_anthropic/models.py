"""`parse_models` for Anthropic: times are RFC 3339 here (AN-E2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chatport import ModelInfo, hookimpl

__all__ = ["parse_models", "read_time"]


@hookimpl
def parse_models(data: Any) -> Sequence[ModelInfo] | None:
    """Return the models with their windows; the live abilities are in each one's `raw`."""
    entries = data.get("data") if isinstance(data, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        return None
    return [_model(entry) for entry in entries if entry.get("id")]


def _model(entry: Mapping[str, Any]) -> ModelInfo:
    created, window = read_time(entry.get("created_at")), entry.get("max_input_tokens")
    seconds = None if created is None else int(created.timestamp())
    return ModelInfo(str(entry["id"]), seconds, "anthropic", window if isinstance(window, int) else None, raw=entry)


def read_time(text: Any) -> datetime | None:
    """Return the moment that a text names, None if it names none, or has no time zone."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
