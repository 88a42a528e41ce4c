"""A map as a machine without I/O but its resume file: the driver makes the calls, and says what became of them.

Each item is `read`, queued, begun (`next_work`), `ended`, and handed over (`pop`). At no time are more than `window`
items between the first and the last, so memory is bounded however many there are, and a slow reader holds the calls up.

What ends a map early (`stop`) lets calls under way come to their end, hands their answers over, and is raised after
them (`check`). What was queued then is left for another time.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs

from ..basics.forks import new_lock
from ..engine.shared import Tally
from ..errors import (
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
    ChatportError,
    ConfigurationError,
    DeadlineError,
    MalformedReplyError,
    MapLimitError,
    ModelNotFoundError,
    PolicyError,
    QuotaExceededError,
)
from ..inputs.messages import read_messages
from ..types import Message, Reply
from ..types.maps import MapProgress, MapResult
from .kept import KeptAnswers, asked_of
from .plan import MapPlan

__all__ = ["MapLoop", "MapWork"]

_OF_ALL = (AuthenticationError, ConfigurationError, ModelNotFoundError, PolicyError, QuotaExceededError)
"""What is no error of one item: every other one would meet it, too."""
_ROUNDING_SECONDS = 0.001
"""What is left when the timer of a call that was cut to the map's time has fired."""
_UNCOUNTED = 1000
"""So many answers are added up at once."""


@attrs.define(eq=False)
class MapWork:
    """An item that was read. `shaped` is what its function gave, to be awaited if need be; `messages` what is asked."""

    index: int
    item: Any
    key: str | None = None
    shaped: Any = None
    messages: tuple[Message, ...] = ()
    asked: str = ""

    def result(self, reply: Reply | None, error: Exception | None = None, *, is_kept: bool = False) -> MapResult:
        """Return what became of it."""
        return MapResult(self.index, self.item, self.key, reply, error, is_kept)


class CancelledItemError(Exception):
    """What was to give or to shape an item has ended by a cancellation of its own."""


class MapLoop:
    """One map. Safe to use from any thread: some read, and others call."""

    # Invariants: an item that was read is queued, running, in `_results`, handed over, or was given up after a stop.

    def __init__(
        self, plan: MapPlan, kept: KeptAnswers | None, total: int | None, monotonic: Callable[[], float]
    ) -> None:
        self._plan = plan
        self._kept = kept
        self._total = total
        self._now = monotonic
        self._began = monotonic()
        self._ends_at = None if plan.max_seconds is None else self._began + plan.max_seconds
        self._lock = new_lock()
        self._queue: deque[MapWork] = deque()
        self._running = 0
        self._results: dict[int, MapResult] = {}
        self._read = self._given = 0
        self._next = 0
        """The index that is handed over next, where they are in order."""
        self._is_read_out = self._waits_for_budget = False
        self._failure: Exception | None = None
        self._source_failure: Exception | None = None
        self._tally = Tally()
        self._done = self._failed = self._from_file = 0

    # --- items

    @property
    def has_room(self) -> bool:
        """Whether another item may be read."""
        held = self._read - self._given
        is_on = not self._is_read_out and self._failure is None
        return is_on and held < self._plan.window and len(self._queue) < self._plan.concurrency

    def read(self, item: Any) -> MapWork:
        """Take the next item. It is queued, or has its result already: from the file, or an error of its shape."""
        work = MapWork(self._read, item)
        self._read += 1
        plan = self._plan
        try:
            if plan.key is not None:
                work.key = _key(plan.key(item))
            work.shaped = item if plan.messages is None else plan.messages(item)
        except Exception as error:  # the caller's own functions, and one item more or less
            self._finish(work.result(None, error))
            return work
        if inspect.isawaitable(work.shaped) or self.shape(work):
            self._queue.append(work)
        return work

    def shape(self, work: MapWork) -> bool:
        """Read what is asked for an item; False where it has its result already."""
        try:
            work.messages = read_messages(work.shaped)
            work.shaped = None
            kept = None
            if self._kept is not None:
                work.asked = asked_of(work.messages)
                kept = self._kept.find(work.index, work.key, work.asked)
        except ConfigurationError as error:  # of the file
            self.stop(error)
            return False
        except Exception as error:
            self._finish(work.result(None, error))
            return False
        if kept is None:
            return True
        reply = attrs.evolve(kept, output=self._plan.call.output)
        self._finish(work.result(reply, is_kept=True))
        return False

    def end_of_items(self, failure: Exception | None = None) -> None:
        """Take it that there is no further item, or that reading them has failed: those that were read are answered."""
        self._source_failure = failure
        self._is_read_out = True

    # --- calls

    def next_work(self) -> MapWork | None:
        """Return an item whose call is to be made now; None where none is."""
        if self._queue:
            self.look_at_time()
        with self._lock:
            is_held = self._waits_for_budget or self._failure is not None
            if is_held or not self._queue or self._running >= self._plan.concurrency:
                return None
            self._running += 1
            return self._queue.popleft()

    def put_back(self, work: MapWork) -> None:
        """Take it that the call of an item was not made."""
        with self._lock:
            self._running -= 1
            self._queue.appendleft(work)

    def seconds_left(self) -> float | None:
        """Return how long the map may take yet, None for no limit."""
        if self._ends_at is None:
            return None
        left = self._ends_at - self._now()
        return left if left > _ROUNDING_SECONDS else 0.0

    def look_at_time(self) -> None:
        """Stop if the time is over. To be asked where something is left to be done."""
        if self._failure is None and self.seconds_left() == 0:
            self.stop(self._out_of_time())

    def count(self, reply: Reply) -> None:
        """Count what an answer has used and cost, also one that is asked for again."""
        answers = self._tally.answers
        answers.append((reply.usage, reply.cost))
        if len(answers) > _UNCOUNTED:
            self._tally.fold()

    def is_settled(self, work: MapWork) -> None:
        """Take it that an item that was begun has its result already."""
        with self._lock:
            self._running -= 1

    def ended(self, work: MapWork, reply: Reply | None, error: Exception | None) -> None:
        """Take what became of a call that was begun."""
        if reply is not None:
            error = self._misfit(reply)
            if error is None:
                self._keep(work, reply)
        if error is None or not self._is_of_all(work, error):
            if error is not None and self._plan.raises:
                self._stop_at(work, error)
            else:
                self._finish(work.result(reply, error))
        with self._lock:
            self._running -= 1
            waits = self._waits_for_budget and isinstance(error, BudgetExceededError)
            self._waits_for_budget = waits and self._running > 0

    def _misfit(self, reply: Reply) -> MalformedReplyError | None:
        """Return what is wrong with an answer that is to have a structure, and calls no tool in its place."""
        if self._plan.call.output is None or reply.tool_calls:
            return None
        try:
            reply.parsed()
        except MalformedReplyError as error:
            return error
        return None

    def _keep(self, work: MapWork, reply: Reply) -> None:
        if self._kept is None:
            return
        try:
            self._kept.keep(work.index, work.key, work.asked, reply)
        except ChatportError as error:  # what it says is handed over all the same
            self.stop(error)

    def _is_of_all(self, work: MapWork, error: Exception) -> bool:
        """Whether an error is none of this item, which is left for later; what is to follow from it is done."""
        if isinstance(error, BudgetExceededError):
            self._wait_for_budget(work, error)
            return True
        if isinstance(error, DeadlineError) and self.seconds_left() == 0:
            self.stop(self._out_of_time())
            return True
        if isinstance(error, _OF_ALL):
            self._stop_at(work, error)
            return True
        return False

    def _wait_for_budget(self, work: MapWork, error: BudgetExceededError) -> None:
        """Try again when a call has ended that may have reserved more than it took. Where none is under way: stop."""
        with self._lock:
            is_last = self._running == 1
            if not is_last:
                self._queue.appendleft(work)
                self._waits_for_budget = True
        if is_last:
            limit = self._limit(f"No budget is left for another item. {error.message}", error.unit, error)
            if error.estimate is None:
                limit.advice = ""  # what is to be done about a cost that is not known was said
            self.stop(limit)

    # --- results

    def _finish(self, result: MapResult) -> None:
        with self._lock:
            self._results[result.index] = result
            self._done += result.error is None
            self._failed += result.error is not None
            self._from_file += result.is_kept

    def pop(self) -> MapResult | None:
        """Return the result that is handed over next, None where it is not there yet."""
        with self._lock:
            if not self._results:
                return None
            index = self._next if self._plan.is_ordered else next(iter(self._results))
            if index not in self._results:
                if self._running or self._failure is None:
                    return None
                index = min(self._results)  # those between were given up
            self._given += 1
            self._next = index + 1
            return self._results.pop(index)

    @property
    def is_over(self) -> bool:
        """Whether nothing comes any more."""
        with self._lock:
            is_out = self._failure is not None or (self._is_read_out and not self._queue)
            return is_out and not self._running and not self._results

    @property
    def is_running(self) -> bool:
        """Whether a call is under way."""
        return self._running > 0

    @property
    def ended_count(self) -> int:
        """How many items have their result."""
        return self._done + self._failed

    def progress(self) -> MapProgress:
        """Return how far it is."""
        return MapProgress(
            self._done,
            self._failed,
            self._running,
            self._from_file,
            self._total,
            self._now() - self._began,
            self._tally.totals(),
        )

    # --- the end

    def cancelled(self, what: str) -> CancelledItemError:
        """Return the error for what has cancelled itself."""
        return CancelledItemError(f"{what} cancelled before the end, and not by this map.")

    def stop(self, failure: Exception) -> None:
        """Begin nothing any more. The first failure is the one that is raised."""
        with self._lock:
            if self._failure is None:
                self._failure = failure

    def check(self) -> None:
        """Raise what has ended the map early, if anything has."""
        failure = self._failure or self._source_failure
        if failure is not None:
            raise failure

    def _stop_at(self, work: MapWork, error: Exception) -> None:
        if self._failure is None:
            key = "" if work.key is None else f", of the key {work.key!r}"
            error.add_note(f"This was item {work.index} of a map{key}.")
        self.stop(error)

    def _out_of_time(self) -> MapLimitError:
        return self._limit(f"The map has taken longer than {self._plan.max_seconds:g} s (max_seconds).", "seconds")

    def _limit(self, problem: str, limit: Any, cause: Exception | None = None) -> MapLimitError:
        of = "" if self._total is None else f" of {self._total}"
        error = MapLimitError(f"{problem} {self._done + self._failed}{of} items have a result.", limit=limit)
        error.__cause__ = cause
        return error


def _key(given: Any) -> str:
    if isinstance(given, str | int) and not isinstance(given, bool):
        return str(given)
    raise BadRequestError(f"key gives a text or a whole number for each item, not {given!r}.")
