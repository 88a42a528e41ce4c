"""Structured log events, for programs that have configured structlog.

Without configuration structlog prints to stdout, which a library must not do. A program that has configured it has
imported it, so it is looked up among the loaded modules and never imported from here.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["emit"]

_LEVELS = {"attempt_failed": "warning", "call_failed": "error", "call_finished": "info"}


def emit(event: str, **fields: Any) -> None:
    """Log an event of a call's life. Fields hold names, counts and times; never prompts, replies or keys."""
    structlog = sys.modules.get("structlog")
    if structlog is not None and structlog.is_configured():
        getattr(structlog.get_logger("chatport"), _LEVELS.get(event, "debug"))(event, **fields)
