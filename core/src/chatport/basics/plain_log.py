"""Events as records of the standard library's `logging`, under the logger `chatport`.

The message is one line that every handler can show: the event's name, and its fields as `name=value`. The fields as
they are stand in the record's attribute `chatport`, for handlers that write JSON. structlog is not set up for this.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from .display import clean_json

__all__ = ["log", "logger"]

logger = logging.getLogger("chatport")


def log(level: int, event: str, fields: Mapping[str, Any]) -> None:
    """Log an event with fields that are known."""
    line = " ".join([event, *(f"{name}={_text(value)}" for name, value in fields.items())])
    logger.log(level, "%s", line, extra={"chatport": {"event": event, **fields}})


def _text(value: Any) -> str:
    """Return a value as it stands in a line: a word as it is, anything that has blanks or quotes in it as JSON."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) and value and not set(value) & set(' "=\\'):
        return value
    return clean_json(json.dumps(value, ensure_ascii=False))
