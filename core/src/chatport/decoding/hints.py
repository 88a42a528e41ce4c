"""How long a vendor asks us to wait: every form in which vendors say it.

In order: `retry-after-ms`; `retry-after` as seconds, as a duration with units, as a date (the three forms of RFC 9110
and ISO 8601) or as a Unix time; the headers that the vendor's facts name for it; the fields of the error itself
(`error_shapes`); the words of the message; the headers that tell when an exhausted limit is full again.
A header that came twice counts as the longer wait of the two. A number that is no moment of these days is a number of
seconds, however large: a wait over the cap is told, never taken for one that is long over.

Dates are taken against the response's own `date` header where there is one, so that a wrong clock on either side, or
one that is set while we wait, does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from ..basics.durations import go_duration_seconds
from ..types import RateLimits

__all__ = [
    "limit_reset_seconds",
    "reset_seconds",
    "retry_delay_seconds",
    "said_delay_seconds",
    "should_retry_header",
    "wait_in_headers",
]

_UNIX_TIME = 1e9  # a wait of thirty years may be a point in time
_LATE_SECONDS = 86_400.0  # it is, unless it lies further back than clocks are wrong and answers late
_LONGEST = 1e15
_MOST_CHARACTERS = 500


def should_retry_header(headers: Mapping[str, str]) -> bool | None:
    """Return what `x-should-retry` says, None if it says nothing (OA-H6)."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def retry_delay_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the wait that the retry headers ask for, None if they ask for none that can be read. Never negative."""
    milliseconds = _longest(headers.get("retry-after-ms", ""), _number)
    if milliseconds is not None:
        return milliseconds / 1000
    return _wait_seconds(headers.get("retry-after", ""), headers, now)


def wait_in_headers(headers: Mapping[str, str], names: Sequence[str], now: datetime) -> float | None:
    """Return the wait in the first of these headers that tells one, in any form of a `retry-after`."""
    waits = (_wait_seconds(headers.get(name, ""), headers, now) for name in names)
    return next((wait for wait in waits if wait is not None), None)


def _wait_seconds(text: str, headers: Mapping[str, str], now: datetime) -> float | None:
    if not text.strip():
        return None
    reference = _date(headers.get("date", "")) or now
    return _longest(text, lambda form: _seconds_of(form, reference))


def _longest(text: str, read: Callable[[str], float | None]) -> float | None:
    """Return the longest wait in a header, None where there is none: one that came twice is joined by commas.

    A date has a comma of its own, behind the weekday.
    """
    text = text.strip()[:_MOST_CHARACTERS]
    if not text:
        return None
    if "," not in text:
        return read(text)
    pieces = text.split(",")
    pairs = (f"{day},{rest}" for day, rest in pairwise(pieces))
    waits = [wait for wait in map(read, [*pieces, *pairs]) if wait is not None]
    return max(waits, default=None)


def _seconds_of(text: str, reference: datetime) -> float | None:
    """Return what one form means in seconds from the reference."""
    text = text.strip()
    seconds = _number(text)
    if seconds is None:
        seconds = go_duration_seconds(text.replace(" ", "").lower(), longest=_LONGEST)
    if seconds is None:
        date = _date(text)
        return None if date is None else max((date - reference).total_seconds(), 0.0)
    for unit in (1, 1000):
        wait = seconds / unit - reference.timestamp()
        if seconds >= unit * _UNIX_TIME and -_LATE_SECONDS < wait < _UNIX_TIME:
            return max(wait, 0.0)
    return seconds


def reset_seconds(limits: RateLimits | None) -> float | None:
    """Return when the limits that are used up are full again, None where none is known to be used up."""
    if limits is None:
        return None
    pairs = (
        (limits.requests_remaining, limits.requests_reset_seconds),
        (limits.tokens_remaining, limits.tokens_reset_seconds),
    )
    return max((reset for left, reset in pairs if left == 0 and reset is not None), default=None)


_LIMITS = ("x-ratelimit-{}-requests", "x-ratelimit-{}-tokens", "x-ratelimit-{}", "ratelimit-{}")


def limit_reset_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the wait that a refusal's reset headers tell, in any form of a `retry-after`; None if they tell none.

    A limit of which something is left is not the one that was met.
    """
    waits = (
        _wait_seconds(headers.get(name.format("reset"), ""), headers, now)
        for name in _LIMITS
        if headers.get(name.format("remaining"), "0").strip() == "0"
    )
    return max((wait for wait in waits if wait is not None), default=None)


_SAID = re.compile(
    r"\b(?:try again|retry|wait|resets?|available)(?: again)? (?:(?:in|after|for) )?(?:about )?"
    r"((?:\d+(?:\.\d+)?(?:ms|h|m|s)(?![a-z]))+|(\d+(?:\.\d+)?) ?(milliseconds?|seconds?|secs?|minutes?|hours?))",
    re.IGNORECASE,
)
_WORD_SECONDS = {"milli": 1e-3, "sec": 1.0, "minut": 60.0, "hour": 3600.0}


def said_delay_seconds(message: str) -> float | None:
    """Return the wait that an error's text names ("Please try again in 1m30s"), None if it names none."""
    found = _SAID.search(message[:2000])
    if found is None:
        return None
    if found[2] is None:
        return go_duration_seconds(found[1].lower())
    unit = next(seconds for word, seconds in _WORD_SECONDS.items() if found[3].lower().startswith(word))
    return min(float(found[2]) * unit, _LONGEST)


def _number(text: str) -> float | None:
    if text.isascii() and text.strip().isdigit():
        return min(float(text), _LONGEST)  # of any length, as RFC 9110 has it
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < _LONGEST else None  # NaN and infinity are no numbers to wait by


def _date(text: str) -> datetime | None:
    from email.utils import parsedate_to_datetime  # a heavy module, for a rare header

    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = read(text.strip())
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
        return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return None
