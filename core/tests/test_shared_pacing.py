"""A limit that two processes share, in virtual time: about nothing is refused, and nearly all of it is used.

The store is its rules for rates, written down once more; that the script keeps them is held by `tests/test_sharing.py`,
with a real server. `make bench-bulk ARGS=--shared-limits` does the same in real time.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

import pytest

from chatport.limits.pacing import PaceLimits, Ticket
from chatport.sharing.leases import PERIOD_SECONDS, Batch, Leases
from chatport.sharing.limits import Rate
from chatport.sharing.pacing import SharedPacer

LIMIT = 600


class Clock:
    """The time, and what is to be done when."""

    def __init__(self) -> None:
        self.now = 5000.0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def __call__(self) -> float:
        return self.now

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.now + seconds, next(self._order), act))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._agenda[0][0] < end:
            self.now, _, act = heapq.heappop(self._agenda)
            act()


class Store:
    """What script.lua does with rates."""

    def __init__(self) -> None:
        self.rates: dict[str, Rate] = {}

    def answer(self, batch: Batch, now: float) -> list[int]:
        lacked: set[int] = set()
        said: list[int] = []
        for share, added in zip(batch.shares, batch.added, strict=True):
            alone = share.alone
            assert isinstance(alone, Rate)
            rate = self.rates.setdefault(share.name, Rate(alone.per_minute, alone.burst))
            rate.settle(max(-added, 0), max(added, 0), now)
        for ask in batch.asks:
            ((share, amount),) = ask.demands
            wait = self.rates[share.name].lacks(amount, now)
            if wait:
                lacked.add(id(share))
                said += [batch.shares.index(share) + 1, math.ceil(wait * 1e6)]
            else:
                self.rates[share.name].take(amount, now)
                said += [0, 0]
        for share, extra in zip(batch.shares, batch.extras, strict=True):
            rate = self.rates[share.name]
            ahead = 0 if id(share) in lacked else max(min(extra, rate.left(now) // 8), 0)
            rate.take(ahead, now)
            said += [ahead, 0]
        return said


class Process:
    """The leases of one process, told to the store a millisecond after somebody asks, and each quarter second."""

    def __init__(self, clock: Clock, store: Store) -> None:
        self.clock, self.store = clock, store
        self.leases = Leases(clock, self._ask)
        self.pacer = SharedPacer(PaceLimits(requests_per_minute=LIMIT), clock, self.leases, "vendor", refuses=False)
        self._is_asking = False
        clock.after(0.0, self._tick)

    def _ask(self) -> None:
        if not self._is_asking:
            self._is_asking = True
            self.clock.after(0.001, self._exchange)

    def _tick(self) -> None:
        self._exchange(is_tick=True)
        self.clock.after(PERIOD_SECONDS, self._tick)

    def _exchange(self, *, is_tick: bool = False) -> None:
        self._is_asking = False
        batch = self.leases.next_batch(is_tick=is_tick)
        if batch is not None:
            self.leases.answered(batch, self.store.answer(batch, self.clock()))


class Windows:
    """No more than the limit from one full minute to the next, or in any minute."""

    def __init__(self, *, is_sliding: bool, phase: float = 0.0) -> None:
        self.is_sliding, self.phase = is_sliding, phase
        self.taken: deque[float] = deque()

    def takes(self, now: float) -> bool:
        begin = now - 60 if self.is_sliding else now - (now + self.phase) % 60
        while self.taken and self.taken[0] < begin:
            self.taken.popleft()
        if len(self.taken) >= LIMIT:
            return False
        self.taken.append(now)
        return True


class Bucket:
    """Refills all the time, and is full at first."""

    def __init__(self) -> None:
        self.rate = Rate(LIMIT)

    def takes(self, now: float) -> bool:
        if self.rate.lacks(1, now):
            return False
        self.rate.take(1, now)
        return True


class World:
    """Workers in two processes that always have something to ask."""

    def __init__(self, vendor: Windows | Bucket, seed: int) -> None:
        self.clock, self.vendor, self.random = Clock(), vendor, random.Random(seed)
        store = Store()
        self.processes = [Process(self.clock, store) for _ in range(2)]
        self.taken = self.refused = 0

    def run(self, minutes: float, workers: int) -> None:
        for number in range(workers):
            self._resume(self._work(self.processes[number % 2].pacer), None)
        self.clock.run(minutes * 60)

    def _work(self, pacer: SharedPacer) -> Generator[tuple[SharedPacer, Ticket | None, float], None, None]:
        connecting = 0.5  # so a minute's worth and the burst before it may meet in one minute of the vendor's
        while True:
            ticket = pacer.enter(10)
            while seconds := pacer.poll(ticket):
                yield pacer, ticket, seconds
            yield pacer, None, connecting + self.random.uniform(0.02, 0.6)  # travel
            connecting = 0.0
            if self.vendor.takes(self.clock()):
                self.taken += 1
            else:
                self.refused += 1
                pacer.hold(1.0)
            yield pacer, None, self.random.uniform(0.3, 1.5)  # the answer
            pacer.leave(ticket)

    def _resume(self, worker: Generator[Any, None, None], turn: list[bool] | None) -> None:
        """Let a worker go on, unless it has: it is woken, or its time is over, whatever comes first."""
        if turn is not None:
            if not turn:
                return
            turn.clear()
        pacer, ticket, seconds = next(worker)
        next_turn = [True]
        if seconds < math.inf:
            self.clock.after(seconds, lambda: self._resume(worker, next_turn))
        if ticket is not None:
            pacer.on_wake(ticket, lambda: self.clock.after(0.0, lambda: self._resume(worker, next_turn)))


VENDORS: dict[str, Callable[[], Windows | Bucket]] = {
    "full minutes": lambda: Windows(is_sliding=False, phase=17.0),
    "any minute": lambda: Windows(is_sliding=True),
    "bucket": Bucket,
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("vendor", VENDORS)
def test_two_processes_use_a_shared_limit_up_and_are_not_refused(vendor: str, seed: int) -> None:
    world = World(VENDORS[vendor](), seed)
    minutes = 3
    world.run(minutes, workers=200)
    assert world.refused == 0
    assert world.taken >= 0.96 * LIMIT * minutes
