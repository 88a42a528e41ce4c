"""What one process holds of shared limits: permits leased ahead, calls that wait, and what to tell the server.

Pure: `next_batch` gives what is to be sent, `answered` or `failed` is told what came of it. Safe between threads, since
calls take and give back in theirs while the answers come in another.

Invariants: what is `free` or `held` here is counted at the server until its lease ends. What is not known to have
reached the server is told again, under the same number, so that it is counted once.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal
from weakref import WeakValueDictionary

import attrs

from ..basics.forks import new_lock
from .limits import Limit, Rate, Stock

__all__ = ["Ask", "Batch", "Demand", "Leases", "Share"]

LEASE_SECONDS = 15.0
PERIOD_SECONDS = 0.25
_RENEWED_AFTER_SECONDS = 1.0
"""So soon it is noticed, too, that the server has forgotten what is held."""
_RATE_LEASE_SECONDS = 2.0
_MOST_SHARES = 200
_MOST_CALLS = 200

Demand = tuple["Share", int]
"""So much of a limit."""


class Share(Limit):
    """What this process has of one limit. `alone` is the same limit as it would be without the others.

    It is forgotten when nobody has it any more, which should be when it `is_idle`. `kept_ms` is how long the server
    remembers a stock of which it hears nothing.
    """

    __slots__ = (
        "__weakref__", "_leases", "added", "alone", "free", "free_until", "held", "is_low", "kept_ms", "name", "recent",
        "seed", "told_at", "used",
    )  # fmt: skip

    def __init__(self, leases: Leases, name: str, alone: Rate | Stock, *, kept_ms: int) -> None:
        self._leases = leases
        self.name = name
        self.alone = alone
        self.kept_ms = kept_ms
        self.free = 0
        self.free_until = -math.inf
        self.held = 0
        self.added = 0
        self.used = 0  # since the last tick
        self.recent = 0  # in the period before: by which leases are measured
        self.is_low = False
        self.seed = alone.spent if isinstance(alone, Stock) else 0
        self.told_at = -math.inf

    @property
    def is_rate(self) -> bool:
        """Whether it is a rate, of which nothing is held."""
        return isinstance(self.alone, Rate)

    def lacks(self, amount: int, now: float) -> float:
        return 0.0 if amount <= self.free and now < self.free_until else math.inf if amount else 0.0

    def take(self, amount: int, now: float) -> None:
        """Take so much of what is free."""
        self.free -= amount
        self.count(amount, now)
        if self.free < self.recent // 4 and not self.is_low:
            self.is_low = True
            self._leases.notify()

    def take_alone(self, amount: int, now: float) -> None:
        """Take so much although the server has not been asked; it is told later."""
        if self.is_rate:
            self.added += amount
        self.count(amount, now)

    def count(self, amount: int, now: float) -> None:
        """Note that so much was taken."""
        self.used += amount
        if not self.is_rate:
            self.held += amount
        self.alone.take(amount, now)

    def settle(self, taken: int, used: int, now: float) -> None:
        if self.is_rate:
            self.added += used - taken
        else:
            self.held -= taken
            self.added += used
        self.alone.settle(taken, used, now)

    def give_back(self, amount: int, now: float) -> None:
        """Take back what was granted to somebody who is gone."""
        self.free += amount
        if not self.is_rate:
            self.held -= amount
        self.alone.settle(amount, 0, now)

    def is_due(self, now: float) -> bool:
        """Whether the server is to be told something at a tick."""
        is_old = now - self.told_at >= _RENEWED_AFTER_SECONDS
        return bool(self.added or self.free or self.used or (self.held and is_old))

    @property
    def is_idle(self) -> bool:
        """Whether nothing is lost if it is forgotten."""
        return not (self.added or self.free or self.held)


class Ask:
    """A call that waits until the server has said whether it fits."""

    __slots__ = ("_wake", "demands", "outcome", "short", "wait_seconds")

    def __init__(self, demands: Sequence[Demand]) -> None:
        self.demands = demands
        self.outcome: Literal["waits", "granted", "refused", "down", "withdrawn"] = "waits"
        self.short: Share | None = None
        """The limit that it does not fit into."""
        self.wait_seconds = math.inf
        self._wake: Callable[[], None] | None = None


@attrs.define(eq=False)
class Batch:
    """What is sent in one run of the script."""

    number: int
    shares: list[Share]
    added: list[int]
    holds: list[int]
    extras: list[int]
    asks: list[Ask]

    def keys(self, prefix: str, process: str) -> list[str]:
        """Return the script's keys."""
        return [f"{prefix}n:{process}", *[f"{prefix}{share.name}" for share in self.shares]]

    def arguments(self, process: str) -> list[str]:
        """Return its arguments."""
        told: list[Any] = [process, self.number, round(LEASE_SECONDS * 1000), len(self.asks)]
        for share, added, hold, extra in zip(self.shares, self.added, self.holds, self.extras, strict=True):
            alone = share.alone
            if isinstance(alone, Rate):
                told += ["r", f"{alone.seconds_each * 1e6:.6f}", alone.burst, added, 0, extra, 0]
            else:
                told += ["s", alone.cap, share.kept_ms, added, hold, extra, share.seed]
        places = {id(share): place for place, share in enumerate(self.shares, 1)}
        for ask in self.asks:
            told.append(len(ask.demands))
            for share, amount in ask.demands:
                told += [places[id(share)], amount]
        return [str(part) for part in told]


class Leases:
    """All shares of a process. `notify` is called when there is something to be sent at once."""

    def __init__(self, now: Callable[[], float], notify: Callable[[], None] = lambda: None) -> None:
        self.lock = new_lock()
        self.is_down = False
        self.notify = notify
        self.now = now
        self._shares: WeakValueDictionary[str, Share] = WeakValueDictionary()
        self._asks: deque[Ask] = deque()
        self._number = 0
        self._again: Batch | None = None

    def share(self, name: str, alone: Rate | Stock, *, kept_ms: int = 86_400_000) -> Share:
        """Return what this process has of a limit; the same one for the same name."""
        with self.lock:
            found = self._shares.get(name)
            if found is None:
                found = self._shares[name] = Share(self, name, alone, kept_ms=kept_ms)
            return found

    @property
    def has_asks(self) -> bool:
        """Whether a call waits that the server has not been told of."""
        return bool(self._asks)

    # --- calls

    def take(self, demands: Sequence[Demand]) -> bool:
        """Take what a call needs from what is leased; return whether there was enough of everything."""
        now = self.now()
        with self.lock:
            for share, amount in demands:
                if share.lacks(amount, now):
                    return False
            for share, amount in demands:
                share.take(amount, now)
        return True

    def take_alone(self, demands: Sequence[Demand]) -> tuple[Share, float] | None:
        """Take it as if there were no other process; return the limit it does not fit into, and the wait, if any."""
        now = self.now()
        with self.lock:
            for share, amount in demands:
                wait = share.alone.lacks(amount, now)
                if wait:
                    return share, wait
            for share, amount in demands:
                share.take_alone(amount, now)
        return None

    def settle(self, settled: Iterable[tuple[Share, int, int]]) -> None:
        """Put what was used in the place of what was taken, of each limit."""
        now = self.now()
        with self.lock:
            for share, taken, used in settled:
                share.settle(taken, used, now)

    def ask(self, demands: Sequence[Demand], wake: Callable[[], None] | None = None) -> Ask:
        """Have the server asked for what a call needs. `wake` is called in the server's thread once it has answered."""
        ask = Ask(demands)
        ask._wake = wake
        with self.lock:
            if self.is_down:
                ask.outcome = "down"
                return ask
            self._asks.append(ask)
        self.notify()
        return ask

    def on_wake(self, ask: Ask, wake: Callable[[], None]) -> None:
        """Call `wake` once the server has answered; at once if it has."""
        with self.lock:
            is_answered = ask.outcome != "waits"
            if not is_answered:
                ask._wake = wake
        if is_answered:
            wake()

    def withdraw(self, ask: Ask) -> None:
        """Wait no more. What is granted all the same is free for others."""
        with self.lock:
            if ask.outcome == "granted":
                for share, amount in ask.demands:
                    share.give_back(amount, self.now())
            ask.outcome, ask._wake = "withdrawn", None

    # --- what is sent

    def next_batch(self, *, is_tick: bool = False, is_end: bool = False) -> Batch | None:
        """Return what is to be sent now, None for nothing.

        `is_tick`: a period is over, and what was used and is spare is told too. `is_end`: all that is free goes back.
        """
        with self.lock:
            if self._again is not None:  # it may have come: neither more nor less than the same
                self._again.holds = [0 if one.is_rate else one.held + one.free for one in self._again.shares]
                return self._again
            now = self.now()
            asks = self._take_asks()
            shares = {id(share): share for ask in asks for share, _ in ask.demands}
            for share in list(self._shares.values()):
                if share.free and now >= share.free_until:
                    share.free = 0  # its lease is over; of a rate it is lost, which errs on the safe side
                if len(shares) < _MOST_SHARES and (share.is_low or ((is_tick or is_end) and share.is_due(now))):
                    shares[id(share)] = share
            if not shares:
                return None
            self._number += 1
            batch = Batch(self._number, list(shares.values()), [], [], [], asks)
            for share in batch.shares:
                self._tell(share, batch, is_tick=is_tick, is_end=is_end)
            self._again = batch
            return batch

    def _take_asks(self) -> list[Ask]:
        asks: list[Ask] = []
        shares: set[int] = set()
        while self._asks and len(asks) < _MOST_CALLS and len(shares) < _MOST_SHARES:
            ask = self._asks.popleft()
            if ask.outcome == "waits":
                asks.append(ask)
                shares.update(id(share) for share, _ in ask.demands)
        return asks

    def _tell(self, share: Share, batch: Batch, *, is_tick: bool, is_end: bool) -> None:
        if is_tick:
            share.recent, share.used = share.used, 0
        is_resting = is_end or not (share.recent or share.used)
        if is_resting and share.free:
            if share.is_rate:
                share.added -= share.free
            share.free = 0
        batch.added.append(share.added)
        batch.holds.append(0 if share.is_rate else share.held + share.free)
        batch.extras.append(0 if is_resting else max(2 * max(share.recent, share.used) - share.free, 0))
        share.added, share.is_low = 0, False

    def answered(self, batch: Batch, answer: Sequence[Any]) -> None:
        """Take over what the server has said."""
        now, wakes = self.now(), []
        with self.lock:
            self._again, self.is_down = None, False
            for place, ask in enumerate(batch.asks):
                short, wait_us = int(answer[2 * place]), int(answer[2 * place + 1])
                if not short:
                    for share, amount in ask.demands:
                        share.count(amount, now)
                    if ask.outcome == "withdrawn":
                        for share, amount in ask.demands:
                            share.give_back(amount, now)
                    else:
                        ask.outcome = "granted"
                elif ask.outcome != "withdrawn":
                    ask.outcome, ask.short = "refused", batch.shares[short - 1]
                    ask.wait_seconds = math.inf if wait_us < 0 else wait_us / 1e6
                wakes.append(ask._wake)
                ask._wake = None
            rest = answer[2 * len(batch.asks) :]
            for place, share in enumerate(batch.shares):
                share.free += int(rest[2 * place])
                share.told_at = now
                share.free_until = now + (_RATE_LEASE_SECONDS if share.is_rate else LEASE_SECONDS - 1)
                if isinstance(share.alone, Stock):
                    share.seed = max(share.seed, int(rest[2 * place + 1]))
                    share.alone.spent = max(int(rest[2 * place + 1]) + share.added, share.alone.spent)
        _call(wakes)

    def connected(self) -> None:
        """Note that the server is there, and may have forgotten everything: it is told anew what is held."""
        with self.lock:
            self.is_down = False
            for share in list(self._shares.values()):
                share.told_at = -math.inf

    def failed(self) -> None:
        """Note that the server cannot be asked: whoever waits for it is told so."""
        with self.lock:
            batch, self.is_down = self._again, True
            asks = [*(() if batch is None else batch.asks), *self._asks]
            self._asks.clear()
            wakes = []
            for ask in asks:
                if ask.outcome == "waits":
                    ask.outcome = "down"
                wakes.append(ask._wake)
                ask._wake = None
            if batch is not None:
                batch.asks = []
                batch.extras = [0] * len(batch.shares)
        _call(wakes)


def _call(wakes: Iterable[Callable[[], None] | None]) -> None:
    for wake in wakes:
        if wake is not None:
            wake()
