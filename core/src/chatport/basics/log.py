"""Structured log events, for programs that have configured structlog.

Without configuration structlog prints to stdout, which a library must not do. A program that has configured it has
imported it, so it is looked up among the loaded modules and never imported from here.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from .bounded import MOST_WARNINGS
from .display import one_line

__all__ = ["emit", "is_configured", "short", "warn"]

_LEVELS = {"attempt_failed": "warning", "call_failed": "error", "call_finished": "info", "call_cancelled": "info"}
_LONGEST_TEXT = 256
_LONGEST_WARNING = 2000


def is_configured() -> bool:
    """Whether the program has configured structlog, so that somebody reads the log."""
    structlog = sys.modules.get("structlog")
    return structlog is not None and structlog.is_configured()


def emit(event: str, **fields: Any) -> None:
    """Log an event of a call's life. Fields hold names, counts and times; never prompts, replies or keys.

    What is not known (None) is left out, and a long text is cut. A log that fails is a RuntimeWarning, not the call's
    error.
    """
    if not is_configured():
        return
    structlog = sys.modules["structlog"]
    known = {name: _shown(value) for name, value in fields.items() if value is not None}
    try:
        getattr(structlog.get_logger("chatport"), _LEVELS.get(event, "debug"))(event, **known)
    except Exception as error:
        warn(f"structlog could not log {event!r}: {error!r}")


def warn(text: str) -> None:
    """Warn of something that failed beside a call, which goes on.

    Python remembers for ever each text that it has shown from a place in the code, and what a vendor sends may make
    every text another one. So those of this place are forgotten when they are many.
    """
    shown = globals().get("__warningregistry__")
    if shown is not None and len(shown) > MOST_WARNINGS:
        shown.clear()
    warnings.warn(text[:_LONGEST_WARNING], RuntimeWarning, stacklevel=1)


def _shown(value: Any) -> Any:
    """Return a value for a line of the log, which may be a terminal's."""
    return one_line(value, _LONGEST_TEXT) if isinstance(value, str) else value


def short(value: Any) -> Any:
    """Return a value that fits a log or a span: a vendor chooses the text of ids and of its model's name."""
    return value[: _LONGEST_TEXT - 1] + "…" if isinstance(value, str) and len(value) > _LONGEST_TEXT else value
