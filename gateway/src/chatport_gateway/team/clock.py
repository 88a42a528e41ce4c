"""Times as the store has them: microseconds of UTC since 1970, and the windows that budgets are counted in."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

__all__ = ["TOTAL", "day_of", "month_of", "months_from", "now_us", "us_of"]

TOTAL = "total"
"""The window that never ends."""


def now_us() -> int:
    """Return the time now."""
    return time.time_ns() // 1000


def us_of(when: datetime) -> int:
    """Return a time as the store has it. One without a zone is taken to be UTC."""
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def day_of(at_us: int) -> str:
    """Return the day of a time in UTC, "2026-11-30"."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%d")


def month_of(at_us: int) -> str:
    """Return its month, "2026-11"."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m")


def months_from(at_us: int, number: int) -> list[tuple[int, int, int, int]]:
    """Return so many months from that of a time on: year, month, and where each begins and ends."""
    first = datetime.fromtimestamp(at_us / 1_000_000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = []
    for _ in range(number):
        after = (first + timedelta(days=32)).replace(day=1)
        found.append((first.year, first.month, us_of(first), us_of(after)))
        first = after
    return found
