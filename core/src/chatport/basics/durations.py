"""Durations as vendors and programs in Go write them: `6m0s`."""

from __future__ import annotations

import re

__all__ = ["go_duration_seconds"]

_LONGEST_SECONDS = 1e9
_DURATION = re.compile(r"(\d++(?:\.\d++)?+)(ms|us|µs|ns|h|m|s)")
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def go_duration_seconds(text: str, *, longest: float | None = None) -> float | None:
    """Return the seconds of a duration such as `6m0s`, `8.64s` or `12ms`, None if the text is none or beyond sense.

    With `longest` nothing is beyond sense: what is more is that many.
    """
    seconds, at = 0.0, 0
    while at < len(text) <= 40:
        piece = _DURATION.match(text, at)  # here, and not somewhere in the rest: a search would try each digit of many
        if piece is None:
            return None
        seconds += float(piece[1]) * _UNIT_SECONDS[piece[2]]
        at = piece.end()
    if at and longest is not None:
        return min(seconds, longest)
    return seconds if at and seconds < _LONGEST_SECONDS else None
