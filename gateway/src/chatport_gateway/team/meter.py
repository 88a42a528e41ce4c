"""One call, measured: what it may use is taken before each attempt, and settled after; in the end it is a row.

It stands between the engine, which asks it as a ledger, and the surfaces, which ask it as a guard. Nothing here waits:
where limits are shared and no permits are leased, the engine waits for the answer (`Pending`).
"""

from __future__ import annotations

import itertools
import math
import secrets
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from chatport import (
    BudgetExceededError,
    ChatportError,
    Ledger,
    Pending,
    PermissionDeniedError,
    Reservation,
)
from chatport.sharing import Ask, Demand, Leases
from chatport_surfaces import Asked, AsyncGuard, Record

from .accounts import Account, Kind, Part
from .clock import now_us
from .directory import Member
from .records import Records
from .refusals import LimitReachedError, StoreDownError
from .rows import Begun, clean
from .settings import TeamSettings
from .values import NANO, nano_of

__all__ = ["Meter"]

_Parts: TypeAlias = list[tuple[Part, int]]
_Amounts: TypeAlias = tuple[int, int, int, int]
"""How much of each unit: requests, slots, tokens, nanodollars."""

_NONE = (0, 0, 0, 0)
_OF_CALL = (1, 1, 0, 0)
_OVER = (1, 0, 0, 0)
"""What is used of that when the call is over: its place is free again, the request was one."""
_ANSWER_SECONDS = 5.0
_PREFIX, _numbers = secrets.token_hex(8), itertools.count()
_FIELDS: Mapping[Kind, str] = {
    "requests": "requests_per_minute",
    "tokens": "tokens_per_minute",
    "concurrency": "concurrency",
    "usd_day": "usd_day_nano",
    "usd_month": "usd_month_nano",
    "usd_total": "usd_total_nano",
}
_WORDS: Mapping[Kind, str] = {
    "requests": "{limit} requests a minute",
    "tokens": "{limit} tokens a minute",
    "concurrency": "{limit} calls at once",
    "usd_day": "{limit} USD a day (UTC)",
    "usd_month": "{limit} USD a month (UTC)",
    "usd_total": "{limit} USD in all",
}


class Meter(Ledger, AsyncGuard, Record):
    """What a request of a member uses up. It is the request's record, too."""

    __slots__ = (
        "_ask", "_begun", "_held", "_is_over", "_leases", "_of_call", "_records", "_settings", "at_us", "began",
        "first_at", "granted_at", "id", "is_estimate", "is_unknown", "last_target", "member", "request_id",
        "reserved_nano", "tokens", "usd_nano",
    )  # fmt: skip

    def __init__(
        self, member: Member, request_id: str, settings: TeamSettings, records: Records, leases: Leases | None
    ) -> None:
        Record.__init__(self)
        self.id = f"{_PREFIX}{next(_numbers):x}"
        self.at_us = now_us()
        self.began = time.monotonic()
        self.member = member
        self.request_id = request_id
        self.first_at: float | None = None
        self.granted_at: float | None = None
        self.last_target: str | None = None
        self.usd_nano = 0
        self.tokens = 0
        self.reserved_nano: int | None = None
        self.is_estimate = self.is_unknown = False
        self._settings, self._records, self._leases = settings, records, leases
        self._held: dict[Reservation, tuple[_Parts, _Amounts]] = {}
        self._of_call: _Parts = []
        self._ask: tuple[Ask, _Parts, _Parts, _Amounts] | None = None
        self._begun = self._is_over = False

    @property
    def is_let_pass(self) -> bool:
        """Whether something may have been sent to a vendor."""
        return self._begun

    # --- as a guard

    async def admit(self, asked: Asked) -> None:
        """Raise PermissionDeniedError for a name that this key may not ask for."""
        if asked.kind in ("chat", "embed", "tokens") and not self.member.may_ask_for(asked.model):
            raise PermissionDeniedError(
                f"The key {self.member.key.shown}… may not ask for {clean(asked.model, 100)!r}. GET /v1/models lists "
                "what it may."
            )

    def shows(self, name: str) -> bool:
        return self.member.may_ask_for(name)

    # --- as a ledger

    def grant(self, reservation: Reservation) -> Pending | None:
        if self._ask is None:
            self._check(reservation)
            of_call, of_attempt, amounts = self._wanted(reservation)
        else:
            _, of_call, of_attempt, amounts = self._ask
        if self._leases is None:
            self._take((*of_call, *of_attempt), amounts)
        else:
            ask = self._take_shared((*of_call, *of_attempt), amounts, self._leases)
            if ask is not None:
                self._ask = ask, of_call, of_attempt, amounts
                return Pending(partial(self._leases.on_wake, ask), _ANSWER_SECONDS)
        self._held[reservation] = of_attempt, amounts
        if not self._begun:
            self._of_call = of_call
            self._begin(reservation)
        return None

    def _check(self, reservation: Reservation) -> None:
        self.last_target = reservation.target
        if self.member.key.providers is not None:
            self._check_provider(reservation.target.partition(":")[0])
        if self._records.is_full:
            raise _no_records()

    def _check_provider(self, provider: str) -> None:
        if not self.member.may_be_answered_by(provider):
            raise PermissionDeniedError(f"The key {self.member.key.shown}… may not use {provider}. Nothing was sent.")

    def settle(
        self, reservation: Reservation, *, usd: float | None, tokens: int | None, is_guess: bool = False
    ) -> None:
        held = self._held.pop(reservation, None)
        if held is None:
            return
        is_money = usd is not None and math.isfinite(usd) and usd >= 0
        nano = nano_of(usd if is_money else reservation.usd or 0.0)  # type: ignore[arg-type]  # not None there
        count = reservation.tokens if tokens is None or tokens < 0 else tokens
        self.usd_nano += nano
        self.tokens += count
        self.is_estimate = self.is_estimate or is_guess or not is_money
        self.is_unknown = self.is_unknown or (not is_money and reservation.usd is None)
        self._settle(*held, (0, 0, count, nano))

    def cancel(self, reservation: Reservation) -> None:
        if self._ask is not None and self._leases is not None:
            self._leases.withdraw(self._ask[0])
            self._ask = None
        held = self._held.pop(reservation, None)
        if held is not None:
            self._settle(*held, _NONE)

    def end(self) -> bool:
        """Give back what the call held as long as it lasted; return whether that was done before."""
        if self._is_over:
            return True
        self._is_over = True
        for reservation in list(self._held):  # there are none, unless something went wrong
            self.settle(reservation, usd=None, tokens=None)
        self._settle(self._of_call, _OF_CALL, _OVER)
        return False

    # --- what is taken

    def _wanted(self, reservation: Reservation) -> tuple[_Parts, _Parts, _Amounts]:
        """Return what is wanted of for the call, what for the attempt, and how much of each unit."""
        of_call: _Parts = []
        of_attempt: _Parts = []
        usd = reservation.usd
        for account in self.member.accounts:
            account.roll(self.at_us)
            if not self._begun:
                of_call += account.of_calls
            of_attempt += account.of_attempts
            if usd is None and account.money and self._settings.unknown_cost == "refuse":
                raise self._unknown_cost(reservation)
        return of_call, of_attempt, (1, 1, reservation.tokens, 0 if usd is None else nano_of(usd))

    def _take(self, parts: Sequence[tuple[Part, int]], amounts: _Amounts) -> None:
        now = time.monotonic()
        for part, unit in parts:
            wait = part.lacks(amounts[unit], now)
            if wait:
                raise self._refusal(part, wait)
        for part, unit in parts:
            part.take(amounts[unit], now)

    def _take_shared(self, parts: Sequence[tuple[Part, int]], amounts: _Amounts, leases: Leases) -> Ask | None:
        """Take it of what is shared; return the question that has to be answered first, None when it is taken."""
        demands: list[Demand] = [(part, amounts[unit]) for part, unit in parts]  # type: ignore[misc]  # all are shares
        if self._ask is None:
            if not demands or leases.take(demands):
                return None
            ask = leases.ask(demands)
        else:
            ask, self._ask = self._ask[0], None
            if ask.outcome == "waits":  # for too long
                leases.withdraw(ask)
                ask.outcome = "down"
        match ask.outcome:
            case "waits":
                return ask
            case "granted":
                return None
            case "refused":
                assert ask.short is not None
                raise self._refusal(ask.short, ask.wait_seconds)
            case _:
                self._take_alone(demands, leases)
                return None

    def _take_alone(self, demands: list[Demand], leases: Leases) -> None:
        if self._settings.on_store_down == "refuse":
            raise StoreDownError(
                "The store in which the gateway's processes share limits cannot be asked. Nothing was sent."
            )
        short = leases.take_alone(demands)
        if short is not None:
            raise self._refusal(*short)

    def _settle(self, parts: _Parts, taken: _Amounts, used: _Amounts) -> None:
        if self._leases is not None:
            shares = [(part, taken[unit], used[unit]) for part, unit in parts]
            self._leases.settle(shares)  # type: ignore[arg-type]  # all are shares
            return
        now = time.monotonic()
        for part, unit in parts:
            part.settle(taken[unit], used[unit], now)

    def _begin(self, reservation: Reservation) -> None:
        self._begun = True
        self.granted_at = time.monotonic()
        self.reserved_nano = None if reservation.usd is None else nano_of(reservation.usd)
        key, asked, surface = self.member.key, self.asked, self.surface
        model = "" if asked is None else clean(asked.model, 256) or ""
        try:
            self._records.begin(
                Begun(
                    self.id,
                    self.at_us,
                    self.request_id,
                    key.id,
                    key.project_id,
                    "" if surface is None else surface.name,
                    model,
                    asked is not None and asked.stream,
                    self.reserved_nano,
                )
            )
        except OSError:
            self.cancel(reservation)
            raise _no_records() from None

    # --- what is said

    def _refusal(self, part: Any, wait: float) -> ChatportError:
        account, kind = self._find(part)
        limit = getattr(account.limits, _FIELDS[kind])
        shown = f"{limit / NANO:g}" if kind.startswith("usd") else str(limit)
        may = f"{self._title(account)} may use {_WORDS[kind].format(limit=shown)}"
        if kind.startswith("usd"):
            stock = getattr(part, "alone", part)
            return BudgetExceededError(
                f"{may}, and this call may cost more than what is left: {stock.spent / NANO:.6f} USD are spent and "
                f"{stock.held / NANO:.6f} reserved by calls under way. Nothing was sent.",
                unit="usd",
                cap=limit / NANO,
                remaining=stock.left() / NANO,
            )
        if kind == "concurrency":
            return LimitReachedError(
                f"{may}, and so many are under way. Nothing was sent.", code="concurrency", retry_after_seconds=1.0
            )
        seconds = wait if math.isfinite(wait) else 60.0
        return LimitReachedError(
            f"{may}. The next one fits in {seconds:.1f} s. Nothing was sent.",
            code=f"{kind}_per_minute",
            retry_after_seconds=math.ceil(seconds),
        )

    def _find(self, part: Any) -> tuple[Account, Kind]:
        for account in self.member.accounts:
            kind = account.name_of(part)
            if kind is not None:
                return account, kind
        return self.member.accounts[0], "usd_total"  # one that was changed this moment

    def _title(self, account: Account) -> str:
        if account.holder.startswith("key:"):
            return f"The key {self.member.key.shown}…"
        if account.holder.startswith("project:") and self.member.project is not None:
            return f"The project {self.member.project.name!r}"
        return "All calls of this gateway together"

    def _unknown_cost(self, reservation: Reservation) -> BudgetExceededError:
        return BudgetExceededError(
            f"A budget in USD holds for this key, and it is not known what this call costs: {reservation.why} Nothing "
            'was sent. Or let such calls pass: [team] unknown_cost = "allow".'
        )


def _no_records() -> StoreDownError:
    return StoreDownError("The gateway cannot write records now, so no call is let pass.")
