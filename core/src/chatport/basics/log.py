"""Structured log events, for programs that have configured structlog, or the logging of the standard library.

Without configuration structlog prints to stdout, which a library must not do, and `logging` prints warnings. So both
are looked up among the loaded modules, and used where the program has set them up: structlog first, and never both.
"""

from __future__ import annotations

import sys
import warnings
from functools import cache
from typing import Any

from .bounded import MOST_WARNINGS
from .display import one_line

__all__ = ["emit", "is_read", "short", "warn"]

_LEVELS = {"attempt_failed": "warning", "call_failed": "error", "call_finished": "info", "call_cancelled": "info"}
_NUMBERS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""The levels of `logging`, which is not imported for them."""
_LONGEST_TEXT = 256
_LONGEST_WARNING = 2000


def is_read(event: str = "call_finished") -> bool:
    """Whether the program has configured a log that takes such an event, so that somebody reads it."""
    structlog = sys.modules.get("structlog")
    if structlog is not None and structlog.is_configured():
        return True
    if "logging" not in sys.modules:
        return False
    logger = _plain_logger()
    # The level first, since it is what most programs say no by. Without a handler Python would print it.
    return bool(logger.isEnabledFor(_NUMBERS[_LEVELS.get(event, "debug")]) and logger.hasHandlers())


@cache  # asked for each call, where `getLogger` takes a lock
def _plain_logger() -> Any:
    # Loaded before there is anything to say, which may be that no file can be opened. Only who has `logging` needs it.
    from .plain_log import logger

    return logger


def emit(event: str, **fields: Any) -> None:
    """Log an event of a call's life. Fields hold names, counts and times, and never keys.

    What is not known (None) is left out, and a long text is cut; lists are content that was asked for, which is cut
    already. A log that fails is a RuntimeWarning, not the call's error.
    """
    if not is_read(event):
        return
    known = {name: _shown(value) for name, value in fields.items() if value is not None}
    level = _LEVELS.get(event, "debug")
    structlog = sys.modules.get("structlog")
    is_structured = structlog is not None and structlog.is_configured()
    try:
        if structlog is not None and is_structured:
            getattr(structlog.get_logger("chatport"), level)(event, **known)
        else:
            from .plain_log import log

            log(_NUMBERS[level], event, known)
    except Exception as error:
        warn(f"{'structlog' if is_structured else 'logging'} could not log {event!r}: {error!r}")


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
