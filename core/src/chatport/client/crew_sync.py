"""Who makes the calls of a map: threads of their own.

Made of `crew.py`.
"""

from __future__ import annotations

import math
import threading
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ..basics.blocking import Room
from ..errors import ChatportError
from ..limits.budget import Budget
from ..many.loop import MapLoop, MapWork
from ..many.plan import MapPlan
from ..types import Reply
from .reasking import as_one, problem_of, with_problem
from .sync import reply_of

if TYPE_CHECKING:
    from .series_sync import Series
    from .sync import _Driver

__all__ = ["Crew"]

_THREADS = Room("calls of maps", stuck_after_seconds=math.inf)


class Crew:
    """At most `concurrency` of them, each with one item after the other."""

    def __init__(self, client: Series, loop: MapLoop, plan: MapPlan) -> None:
        self._client = client
        self._loop = loop
        self._plan = plan
        usd = plan.max_usd
        self._is_stopped = False
        self._budget = None if usd is None else Budget(usd=usd, name="max_usd")
        self._calls: set[_Driver] = set()
        self._woken = threading.Event()

    def begin(self) -> None:
        """Begin as many calls as may be made now."""
        while (work := self._loop.next_work()) is not None:
            try:
                _THREADS.job(object(), partial(self._work, work))
            except OSError as error:  # there is no thread for it: those that there are will take it
                self._loop.put_back(work)
                if not self._loop.is_running:
                    self._loop.stop(error)
                return

    def _work(self, work: MapWork | None) -> None:
        """Do it, and then whatever is next."""
        while work is not None and not self._is_stopped:
            self._one(work)
            self.ring()
            work = self._loop.next_work()

    def _one(self, work: MapWork) -> None:
        reply: Reply | None = None
        failure: Exception | None = None
        try:
            with self._budget or nullcontext():
                reply = self._asked(work)
        except Exception as error:
            failure = error
        except BaseException as error:  # a hook would end this thread, and the map waits for each
            failure = RuntimeError(f"The call has ended with {type(error).__name__}.")
            failure.__cause__ = error
        if self._is_stopped:
            return
        self._loop.ended(work, reply, failure)

    def _asked(self, work: MapWork) -> Reply:
        """Return the answer; asked for again, as often as the plan says, while it is not the structure."""
        messages: Any = list(work.messages)
        replies = [self._call(messages)]
        while len(replies) <= self._plan.retry_invalid and (problem := problem_of(replies[-1])) is not None:
            messages = with_problem(messages, replies[-1], problem)
            try:
                replies.append(self._call(messages))
            except ChatportError:
                break  # what there is was paid for, and its error says what is wrong with it
        return as_one(replies)

    def _call(self, messages: Any) -> Reply:
        options = self._client._within(self._plan.options, self._loop.seconds_left())
        driver = self._client._driver(messages, False, options)
        self._calls.add(driver)
        try:
            if self._is_stopped:
                driver.abandon()
            reply = reply_of(driver)
        finally:
            self._calls.discard(driver)
        self._loop.count(reply)
        return reply

    # --- who waits for them

    def ring(self) -> None:
        """Wake who waits: something has changed."""
        self._woken.set()

    def look(self) -> None:
        """Wait only for what changes from now on."""
        self._woken.clear()

    def wait(self) -> None:
        """Wait until something has changed, or the time is over; after that until what is under way has ended."""
        seconds = self._loop.seconds_left() or None
        self._woken.wait(seconds)

    def stop(self) -> None:
        """Stop all. What they would have answered is not heard any more."""
        self._is_stopped = True
        for call in list(self._calls):
            with suppress(Exception):
                call.abandon()
