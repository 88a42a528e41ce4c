"""What each holder may still use, in memory: of all processes together where a lease server is given, else of this one.

A day's and a month's money have a stock of their own for each day and month (UTC). A call that began before midnight is
settled with the day that it began in, as its record is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeAlias
from weakref import WeakValueDictionary

import attrs

from chatport.sharing import Leases, Rate, Share, Stock

from .clock import TOTAL, day_of, month_of
from .values import GATEWAY, Holder, Limits, Standing

__all__ = ["Account", "Accounts", "Kind", "Part"]

Kind: TypeAlias = Literal["requests", "tokens", "concurrency", "usd_day", "usd_month", "usd_total"]
Part: TypeAlias = Rate | Stock | Share

_REQUEST, _SLOT, _TOKENS, _MONEY = range(4)

_DAY_US = 86_400_000_000
_HOUR_MS = 3_600_000
_KEPT_MS: Mapping[str, int] = {
    "usd_day": 72 * _HOUR_MS,
    "usd_month": 40 * 24 * _HOUR_MS,
    "usd_total": 400 * 24 * _HOUR_MS,
}
_MOST = 20_000


class Account:
    """The limits of one holder. `requests`, `tokens`, `slots` and `money` are those it has, with what they are of."""

    __slots__ = (
        "__weakref__", "_leases", "_named", "_retired", "_rolls_us", "holder", "limits", "money", "of_attempts",
        "of_calls", "requests", "slots", "tokens",
    )  # fmt: skip

    def __init__(self, holder: Holder, leases: Leases | None) -> None:
        self.holder = holder
        self.limits = Limits()
        self.requests: Rate | Share | None = None
        self.tokens: Rate | Share | None = None
        self.slots: Stock | Share | None = None
        self.money: dict[Kind, Stock | Share] = {}
        self.of_calls: tuple[tuple[Part, int], ...] = ()
        """What a call takes once, each with its unit: 0 for requests, 1 for places, 2 for tokens, 3 for nanodollars."""
        self.of_attempts: tuple[tuple[Part, int], ...] = ()
        """What each of its attempts takes."""
        self._leases = leases
        self._retired: list[Share] = []
        self._rolls_us = 0
        self._named: dict[Kind, str] = {}

    def apply(self, limits: Limits, standings: Mapping[tuple[Holder, str], Standing], now_us: int) -> None:
        """Take over limits that may have changed. What is held stays held; what is spent is read for what is new."""
        self.roll(now_us)
        self.requests = self._rate("requests", self.requests, limits.requests_per_minute)
        self.tokens = self._rate("tokens", self.tokens, limits.tokens_per_minute)
        self.slots = self._stock("concurrency", "now", self.slots, limits.concurrency, 0, _HOUR_MS)
        for kind, window in _windows(now_us):
            spent = standings.get((self.holder, window))
            made = self._stock(
                kind, window, self.money.get(kind), getattr(limits, f"{kind}_nano"), spent.usd_nano if spent else 0,
                _KEPT_MS[kind],
            )  # fmt: skip
            if made is None:
                self.money.pop(kind, None)
            else:
                self.money[kind] = made
        self.limits = limits
        self._list()

    def missing(self, limits: Limits) -> bool:
        """Whether some money is limited now of which it is not known what is spent."""
        return any(getattr(limits, f"{kind}_nano") is not None and kind not in self.money for kind, _ in _windows(0))

    def roll(self, now_us: int) -> None:
        """Begin the day and the month anew, if they are over."""
        if now_us < self._rolls_us:
            return
        self._rolls_us = now_us - now_us % _DAY_US + _DAY_US
        for kind, window in _windows(now_us):
            old = self.money.get(kind)
            if self._named.get(kind) != window and old is not None:
                if isinstance(old, Share):  # what is settled with it is still to be told
                    self._retired = [*(share for share in self._retired if not share.is_idle), old]
                made = self._stock(kind, window, None, getattr(self.limits, f"{kind}_nano"), 0, _KEPT_MS[kind])
                assert made is not None
                self.money[kind] = made
            self._named[kind] = window
        self._list()

    def _list(self) -> None:
        calls = ((self.requests, _REQUEST), (self.slots, _SLOT))
        attempts = ((self.tokens, _TOKENS), *[(part, _MONEY) for part in self.money.values()])
        self.of_calls = tuple([(part, unit) for part, unit in calls if part is not None])
        self.of_attempts = tuple([(part, unit) for part, unit in attempts if part is not None])

    def name_of(self, part: Part) -> Kind | None:
        """Return which limit a part is."""
        named: list[tuple[Kind, Part | None]] = [
            ("requests", self.requests), ("tokens", self.tokens), ("concurrency", self.slots), *self.money.items()
        ]  # fmt: skip
        return next((kind for kind, one in named if one is part), None)

    @property
    def is_idle(self) -> bool:
        """Whether forgetting it loses nothing but a rate's last minute."""
        parts: Iterator[Part | None] = iter((self.slots, *self.money.values(), *self._retired))
        return all(part is None or _is_idle(part) for part in parts)

    def _rate(self, kind: str, now: Rate | Share | None, per_minute: int | None) -> Rate | Share | None:
        if per_minute is None:
            return None
        if now is None:
            made = Rate(per_minute)
            return made if self._leases is None else self._leases.share(f"{self.holder}:{kind}", made)
        alone = now.alone if isinstance(now, Share) else now
        assert isinstance(alone, Rate)
        alone.resize(per_minute)
        return now

    def _stock(
        self, kind: str, window: str, now: Stock | Share | None, cap: int | None, spent: int, kept_ms: int
    ) -> Stock | Share | None:
        if cap is None:
            return None
        if now is None:
            made = Stock(cap, spent)
            if self._leases is None:
                return made
            return self._leases.share(f"{self.holder}:{kind}:{window}", made, kept_ms=kept_ms)
        alone = now.alone if isinstance(now, Share) else now
        assert isinstance(alone, Stock)
        alone.cap = cap
        return now


def _is_idle(part: Part) -> bool:
    if isinstance(part, Share):
        return part.is_idle
    return not (isinstance(part, Stock) and part.held)


def _windows(now_us: int) -> Sequence[tuple[Kind, str]]:
    return ("usd_day", day_of(now_us)), ("usd_month", month_of(now_us)), ("usd_total", TOTAL)


@attrs.define(eq=False)
class Accounts:
    """The accounts of this process, by holder. `leases` is what shares them with other processes."""

    leases: Leases | None = None
    _found: OrderedDict[Holder, Account] = attrs.field(factory=OrderedDict)
    _alive: WeakValueDictionary[Holder, Account] = attrs.field(factory=WeakValueDictionary)
    """Those that somebody uses: no holder has two."""

    def get(self, holder: Holder) -> Account | None:
        """Return an account that is there."""
        return self._found.get(holder)

    def open(self, holder: Holder) -> Account:
        """Return an account, made if it is not there. Of too many those are forgotten that were opened first."""
        found = self._found.get(holder)
        if found is None:
            found = self._alive.get(holder) or Account(holder, self.leases)
            self._found[holder] = self._alive[holder] = found
            self._forget()
        return found

    def all(self) -> Sequence[Account]:
        """Return every account."""
        return list(self._found.values())

    def _forget(self) -> None:
        looked_at = 0
        while len(self._found) > _MOST and looked_at < 10:
            holder, account = self._found.popitem(last=False)
            looked_at += 1
            if holder == GATEWAY or not account.is_idle:
                self._found[holder] = account  # at the other end: its turn comes again
