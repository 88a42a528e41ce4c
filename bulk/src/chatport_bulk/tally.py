"""What a session has done so far, counted while it goes on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from .answers import Answer

__all__ = ["Tally"]


class Tally:
    """Counts since it was made. `total` rows are known to be in the input, None as long as that is
    not known. `active` calls are under way, of `limit` that may be."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.began = clock()
        self.answered = 0
        self.failed = 0
        self.skipped = 0
        self.total: int | None = None
        self.refusals = 0
        self.active = 0
        self.limit = 0
        self.tokens = 0
        self.costs: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.problems: dict[str, str] = {}
        self.batches = ""
        """What is open at a vendor, in words."""

    def count(self, answer: Answer) -> None:
        """Count a row that ended."""
        if answer.kind is not None:
            self.failed += 1
            self.kinds[answer.kind] += 1
        else:
            self.answered += 1
        if answer.same_as is not None:
            return
        self.tokens += (answer.input_tokens or 0) + (answer.output_tokens or 0)
        if answer.cost is not None:
            self.costs[answer.currency or "USD"] += answer.cost  # type: ignore[assignment]  # a Counter of sums

    def forget(self, failed: int) -> None:
        """Take failures back that are to be asked again."""
        self.failed -= failed
        self.kinds.clear()

    @property
    def ended(self) -> int:
        """The rows that this session has brought to an end."""
        return self.answered + self.failed

    @property
    def seconds(self) -> float:
        """How long it goes on."""
        return max(self._clock() - self.began, 1e-9)

    def rows_per_second(self) -> float:
        """Return how fast it went, over the whole session."""
        return self.ended / self.seconds

    def seconds_left(self) -> float | None:
        """Return how long the rest will take at this pace; None where that cannot be said."""
        if self.total is None or not self.ended:
            return None
        return max(self.total - self.skipped - self.ended, 0) / self.rows_per_second()
