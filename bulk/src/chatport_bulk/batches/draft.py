"""A batch in the making: which rows are in it, and whether one more still fits."""

from __future__ import annotations

from pathlib import Path

import attrs

from .log import BatchRow

__all__ = ["Bounds", "Draft", "Line"]


@attrs.frozen
class Line:
    """A row as it goes into a batch. `tokens` and `usd` are estimates, `body` is the request's, as JSON."""

    row: BatchRow
    endpoint: str
    body: bytes
    tokens: int
    usd: float


@attrs.frozen
class Bounds:
    """The most of one batch; `usd` and `tokens` None: no matter how much."""

    rows: int
    bytes: int
    tokens: float | None = None
    usd: float | None = None


class Draft:
    """The rows of a batch, whose requests are written into a file as they come."""

    def __init__(self, place: Path, bounds: Bounds) -> None:
        self.place = place
        self.bounds = bounds
        self.rows: list[BatchRow] = []
        self.endpoint = ""
        self.bytes = 0
        self.tokens = 0
        self.usd = 0.0
        self._file = place.open("wb")

    def fits(self, line: Line, size: int) -> bool:
        """Whether a request of so many bytes, its line's end not counted, may be added."""
        bounds = self.bounds
        return (
            self.endpoint in ("", line.endpoint)
            and len(self.rows) < bounds.rows
            and self.bytes + size + 1 <= bounds.bytes
            and (bounds.tokens is None or self.tokens + line.tokens <= bounds.tokens)
            and (bounds.usd is None or self.usd + line.usd <= bounds.usd)
        )

    def add(self, line: Line, request: bytes) -> None:
        """Take a row."""
        self._file.write(request)
        self._file.write(b"\n")
        self.endpoint = line.endpoint
        self.rows.append(line.row)
        self.bytes += len(request) + 1
        self.tokens += line.tokens
        self.usd += line.usd

    def close(self, *, keep: bool) -> None:
        """Close the file, and remove it where nobody needs it."""
        self._file.close()
        if not keep:
            self.place.unlink(missing_ok=True)
