"""Caps on what calls may cost, in money or tokens: reserved by estimate before sending, settled by usage after."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal, Self

import attrs

from ..basics.forks import new_lock, tell_child
from ..errors import BudgetExceededError, ConfigurationError
from ..types import Cost

__all__ = ["Budget", "Ledger", "Pending", "Reservation", "active_budgets", "in_usd"]

# Money is counted in whole picodollars: with floats three times 0.1 would not fit into 0.3, and sums would drift.
# One token at the lowest list prices is some thousands of them.
_PICODOLLARS = 1_000_000_000_000

_UNKNOWN_PRICE = 'no price is known. State the model\'s prices in [models."PROVIDER:MODEL"].'

_ENTERED: ContextVar[tuple[Ledger, ...]] = ContextVar("chatport_budgets", default=())


@attrs.frozen(eq=False, repr=False)
class Reservation:
    """What one attempt has been granted from `budget`: its estimates, until they are settled or cancelled.

    `usd` is None where the cost is not known and the budget lets such calls pass; `why` says why it is not known, and
    what to write so that it is. `target` is where the attempt goes.
    """

    budget: Ledger
    usd: float | None
    tokens: int
    why: str = ""
    target: str = ""


@attrs.frozen(eq=False, repr=False)
class Pending:
    """Nothing is granted or refused yet, since somebody else has to be asked: grant again when woken.

    `on_wake` takes the function that wakes, and may call it from any thread; `seconds` is the longest that it can take.
    """

    on_wake: Callable[[Callable[[], None]], None]
    seconds: float | None = None


class Ledger(ABC):
    """What is asked before an attempt is sent, and told what it has cost. `Budget` is one; a service may have its own.

    It holds for the calls that are made inside `with ledger:`, as a budget does. Each reservation that was granted is
    settled or cancelled, once at least: a second time must change nothing.
    """

    def __enter__(self) -> Self:
        _ENTERED.set((*_ENTERED.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Taken out by identity, not reset to what was before: scopes of generators may end in another order.
        found = _ENTERED.get()
        if found and found[-1] is self:
            _ENTERED.set(found[:-1])
            return
        entered = list(found)
        for index in reversed(range(len(entered))):
            if entered[index] is self:
                del entered[index]
                break
        _ENTERED.set(tuple(entered))

    @abstractmethod
    def grant(self, reservation: Reservation) -> Pending | None:
        """Set aside what a reservation asks for, or say that it has to wait for an answer. Does not block.

        Raises a ChatportError to refuse it: with nothing set aside, and nothing is sent.
        """

    @abstractmethod
    def settle(
        self, reservation: Reservation, *, usd: float | None, tokens: int | None, is_guess: bool = False
    ) -> None:
        """Put what an attempt has used in the place of its estimate; None: it is not known.

        `is_guess`: the vendor was left before it had said, and the figures are those of what had come by then.
        """

    @abstractmethod
    def cancel(self, reservation: Reservation) -> None:
        """Give an estimate back: nothing was sent, or nothing is charged for it."""


@attrs.define(eq=False, repr=False)
class _Account:
    """One of the two caps: how much there is (None: no limit), how much is spent, how much is promised."""

    cap: int | None
    spent: int = 0
    reserved: int = 0

    def remaining(self) -> int | None:
        return None if self.cap is None else max(self.cap - self.spent - self.reserved, 0)

    def fits(self, amount: int) -> bool:
        return self.cap is None or self.spent + self.reserved + amount <= self.cap


class Budget(Ledger):
    """A cap on cost in USD, on tokens, or on both, for the calls made inside `with budget:`. Safe between threads.

    Each attempt reserves its estimate before anything is sent, so calls that run at once cannot together exceed the
    cap by more than their estimates are wrong. What it really used takes the place of the estimate. Without a cap it
    only counts. `unknown_cost` says what becomes of a call without a known price under a cap in USD: "refuse" it, or
    "allow" it, which `unknown_calls` then counts; its cost is never guessed.

    Code that is started inside the scope (tasks of asyncio and trio, `anyio.to_thread`) belongs to it. A thread of
    your own does not: enter the same budget in it once more. Nested scopes all count.
    """

    def __init__(
        self,
        *,
        usd: float | None = None,
        tokens: int | None = None,
        unknown_cost: Literal["refuse", "allow"] = "refuse",
        name: str = "",
    ) -> None:
        """Make a budget. Raises ConfigurationError for a cap that cannot be meant."""
        if unknown_cost not in ("refuse", "allow"):
            raise ConfigurationError(f'A budget\'s unknown_cost is "refuse" or "allow", not {unknown_cost!r}.')
        self.name = name
        self.unknown_cost = unknown_cost
        self._money = _Account(None if usd is None else _picodollars(usd))
        self._tokens = _Account(None if tokens is None else _whole(tokens))
        self._unknown_calls = 0
        self._open: dict[Reservation, None] = {}
        self._lock = new_lock()
        tell_child(self)

    def forked(self) -> None:
        """Give back what the parent's calls have reserved: they go on there."""
        self._open.clear()
        self._money.reserved = self._tokens.reserved = 0

    def __repr__(self) -> str:
        caps = [f"{self._money.cap / _PICODOLLARS:g} USD"] if self._money.cap is not None else []
        caps += [f"{self._tokens.cap} tokens"] if self._tokens.cap is not None else []
        return f"<chatport.Budget {' '.join([self.name, 'of', ' and '.join(caps) or 'any size']).strip()}>"

    def resize(
        self,
        *,
        usd: float | None = None,
        tokens: int | None = None,
        unknown_cost: Literal["refuse", "allow"] = "refuse",
    ) -> None:
        """Set other caps, None for none. What is spent and reserved stays. Raises ConfigurationError as making one."""
        fresh = Budget(usd=usd, tokens=tokens, unknown_cost=unknown_cost)
        with self._lock:
            self._money.cap, self._tokens.cap = fresh._money.cap, fresh._tokens.cap
            self.unknown_cost = unknown_cost

    # --- an attempt's three steps

    def reserve(self, *, usd: float | None, tokens: int) -> Reservation:
        """Set aside an attempt's estimate; `usd` None means that its cost is not known.

        Raises BudgetExceededError, with nothing set aside, if it does not fit, or if its cost is unknown and the
        budget does not allow that.
        """
        reservation = Reservation(self, usd, _whole(tokens))
        self.grant(reservation)
        return reservation

    def grant(self, reservation: Reservation) -> Pending | None:
        """Set aside what a reservation that its holder has made asks for; return None. It raises what `reserve` does.

        The holder may cancel it at any time, also before: so an interrupt finds nothing reserved that nobody knows of.
        """
        usd, count, money = reservation.usd, reservation.tokens, _estimate(reservation)
        with self._lock:
            self._check_money(usd, money, reservation.why)
            if not self._tokens.fits(count):
                raise self._exceeded("tokens", self._tokens, count, f"{count} tokens")
            # No call on these lines, so no interrupt comes between them: all or nothing.
            self._open[reservation] = None
            self._money.reserved += money
            self._tokens.reserved += count
        return None

    def _check_money(self, usd: float | None, money: int, why: str) -> None:
        if self._money.cap is None:
            return
        if usd is not None:
            if not self._money.fits(money):
                raise self._exceeded("usd", self._money, money, f"{usd:.6f} USD")
        elif self.unknown_cost == "refuse":
            raise BudgetExceededError(
                f"{self._title()} refuses a call whose cost is not known in USD: {why or _UNKNOWN_PRICE} "
                'Nothing was sent. Or let such calls pass: unknown_cost = "allow".',
                unit="usd",
                cap=self._money.cap / _PICODOLLARS,
                remaining=(self._money.remaining() or 0) / _PICODOLLARS,
            )
        elif not self._money.remaining():
            raise self._exceeded("usd", self._money, None, "a call of unknown cost")

    def _exceeded(
        self, unit: Literal["usd", "tokens"], account: _Account, estimate: int | None, asked: str
    ) -> BudgetExceededError:
        scale = _PICODOLLARS if unit == "usd" else 1
        cap, spent, reserved = ((part or 0) / scale for part in (account.cap, account.spent, account.reserved))
        shown = "{:.6f} USD" if unit == "usd" else "{:.0f} tokens"
        return BudgetExceededError(
            f"{self._title()} has no room for {asked}: of {shown.format(cap)}, {shown.format(spent)} are spent and "
            f"{shown.format(reserved)} reserved by calls under way. Nothing was sent. Raise the cap, or ask for less "
            "(max_tokens, shorter messages, a cheaper model).",
            unit=unit,
            cap=cap,
            remaining=(account.remaining() or 0) / scale,
            estimate=None if estimate is None else estimate / scale,
        )

    def _title(self) -> str:
        return f"The budget {self.name!r}" if self.name else "The budget"

    def settle(
        self, reservation: Reservation, *, usd: float | None, tokens: int | None, is_guess: bool = False
    ) -> None:
        """Put what an attempt really used in the place of its estimate. A second time changes nothing.

        What is None is not known: there the estimate counts as spent, and `unknown_calls` goes up. So it is with
        a figure below 0, which a vendor may report but not mean. A guess counts, and counts as unknown too. Raises
        ValueError for a reservation of another budget.
        """
        money = _picodollars(usd) if usd is not None and math.isfinite(usd) and usd >= 0 else None
        count = tokens if tokens is not None and tokens >= 0 else None
        estimate = _estimate(reservation)
        self._close(
            reservation,
            spent_money=estimate if money is None else money,
            spent_tokens=reservation.tokens if count is None else count,
            unknown=is_guess or money is None or count is None,
        )

    def cancel(self, reservation: Reservation) -> None:
        """Give an estimate back: nothing was sent, or nothing is charged for it. A second time changes nothing.

        Raises ValueError for a reservation of another budget.
        """
        self._close(reservation)

    def _close(
        self, reservation: Reservation, spent_money: int = 0, spent_tokens: int = 0, unknown: bool = False
    ) -> None:
        if reservation.budget is not self:
            raise ValueError("This reservation was made with another budget.")
        estimate, money, tokens = _estimate(reservation), self._money, self._tokens
        with self._lock:
            if reservation not in self._open:
                return
            # No call on these lines, so no interrupt comes between them: all or nothing.
            del self._open[reservation]
            money.reserved -= estimate
            tokens.reserved -= reservation.tokens
            money.spent += spent_money
            tokens.spent += spent_tokens
            self._unknown_calls += unknown

    # --- what it stands at

    @property
    def spent_usd(self) -> float:
        """What settled attempts have cost, in USD. Attempts of unknown cost are in it by their estimate, if any."""
        return self._money.spent / _PICODOLLARS

    @property
    def spent_tokens(self) -> int:
        """What settled attempts have used, in tokens."""
        return self._tokens.spent

    @property
    def reserved_usd(self) -> float:
        """The estimates of the attempts under way, in USD."""
        return self._money.reserved / _PICODOLLARS

    @property
    def reserved_tokens(self) -> int:
        """The estimates of the attempts under way, in tokens."""
        return self._tokens.reserved

    @property
    def remaining_usd(self) -> float | None:
        """What may still be reserved, in USD; None without a cap."""
        remaining = self._money.remaining()
        return None if remaining is None else remaining / _PICODOLLARS

    @property
    def remaining_tokens(self) -> int | None:
        """What may still be reserved, in tokens; None without a cap."""
        return self._tokens.remaining()

    @property
    def unknown_calls(self) -> int:
        """How many settled attempts did not say what they cost or used."""
        return self._unknown_calls

    @property
    def has_unknown(self) -> bool:
        """Whether the sums are not the whole truth, since some attempt did not say what it cost or used."""
        return self._unknown_calls > 0


def active_budgets() -> tuple[Ledger, ...]:
    """Return the budgets, and other ledgers, whose scope this code runs in, outermost first, each once."""
    return tuple(dict.fromkeys(_ENTERED.get()))


def in_usd(cost: Cost | None, rates: Mapping[str, float]) -> float | None:
    """Return a cost in USD; `rates` says how many USD one unit of a currency is. None for a currency without a rate."""
    if cost is None:
        return None
    rate = 1.0 if cost.currency == "USD" else rates.get(cost.currency)
    return None if rate is None else cost.amount * rate


def _estimate(reservation: Reservation) -> int:
    return 0 if reservation.usd is None else _picodollars(reservation.usd)


def _picodollars(usd: Any) -> int:
    if isinstance(usd, bool) or not isinstance(usd, int | float) or not math.isfinite(usd) or usd < 0:
        raise ConfigurationError(f"An amount in USD is a number of at least 0, not {usd!r}.")
    return round(usd * _PICODOLLARS)


def _whole(tokens: Any) -> int:
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0:
        raise ConfigurationError(f"A number of tokens is a whole number of at least 0, not {tokens!r}.")
    return tokens
