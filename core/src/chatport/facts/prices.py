"""List prices, dated, and what a number of tokens costs by them; a cost is never guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any

import attrs

from ..basics.frozen import freeze_fields
from ..basics.values import Value
from ..errors import BadRequestError
from ..types import Cost, Usage

__all__ = ["PeakHours", "Price", "PriceTier", "charged", "cost_of", "estimate_cost", "price_at", "rates_for"]


@attrs.frozen(eq=False, repr=False)
class PriceTier(Value):
    """Rates that hold for the whole request once its input is larger than `above_input_tokens`."""

    above_input_tokens: int
    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    thinking_output: float | None = None


@attrs.frozen(eq=False, repr=False)
class PeakHours(Value):
    """Hours in which rates are multiplied by `factor`: local `spans` ("09:00-12:00") on `weekdays` (0 is Monday)."""

    factor: float
    utc_offset_hours: float
    spans: tuple[str, ...]
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)

    def covers(self, at: datetime) -> bool:
        """Whether the moment lies in these hours. Public holidays are not known."""
        local = at.astimezone(timezone(timedelta(hours=self.utc_offset_hours)))
        return local.weekday() in self.weekdays and any(_within(span, local.time()) for span in self.spans)


def _within(span: str, moment: time) -> bool:
    start, end = (time.fromisoformat(text) for text in span.split("-"))
    return start <= moment < end if start < end else moment >= start or moment < end  # or over midnight


@attrs.frozen(eq=False, repr=False)
class Price(Value):
    """Rates per million tokens for the models that match, from `since` until `until` (dates, the latter excluded).

    `cached_input` and `cache_write` None mean: not known, so a reply that used the cache has no known cost. The same
    holds for `cache_write_1h`, the rate of what is kept for an hour where the vendor has such a cache.
    `thinking_output` is the output rate while the model reasons, where it differs. `hosts` limits the entry to
    base URLs that contain one of them. `units` are charged beside the tokens: what one costs, by the name of their
    number in the vendor's usage. `factors` multiply all of it: by a name in that usage, and the word that it says.
    """

    match: str
    input: float
    output: float
    currency: str = "USD"
    cached_input: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    thinking_output: float | None = None
    tiers: tuple[PriceTier, ...] = ()
    peak: PeakHours | None = None
    hosts: tuple[str, ...] = ()
    units: Mapping[str, float] = attrs.field(factory=dict)
    factors: Mapping[str, Mapping[str, float]] = attrs.field(factory=dict)
    since: str | None = None
    until: str | None = None
    source: str = ""

    def __attrs_post_init__(self) -> None:
        freeze_fields(self, "units", "factors", error=BadRequestError)


def cost_of(
    usage: Usage, prices: Sequence[Price], *, at: datetime | None = None, thinking: bool = False
) -> Cost | None:
    """Return what these tokens cost at list price, None when usage or price is unknown: a cost is never guessed.

    `at` is the time of the call (now if None); it picks among prices with validity dates and peak hours.
    """
    if not prices:
        return None
    moment = at or datetime.now(UTC)
    price = price_at(prices, moment)
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    rates = rates_for(price, usage.input_tokens)
    cached = usage.cached_input_tokens or 0
    written = usage.cache_write_tokens or 0
    output_rate = rates.thinking_output if thinking and rates.thinking_output is not None else rates.output
    for_an_hour = min(_written_for_an_hour(usage), written)
    if (
        (cached and rates.cached_input is None)
        or (written > for_an_hour and rates.cache_write is None)
        or (for_an_hour and rates.cache_write_1h is None)
    ):
        return None
    amount = (
        max(usage.input_tokens - cached - written, 0) * rates.input
        + cached * (rates.cached_input or 0.0)
        + (written - for_an_hour) * (rates.cache_write or 0.0)
        + for_an_hour * (rates.cache_write_1h or 0.0)
        + usage.output_tokens * output_rate
    )
    return _cost(_with_units(amount, usage.raw, price), price, moment, "list price")


def _with_units(amount: float, told: Mapping[str, Any], price: Price) -> float:
    """Return the amount with what is charged beside the tokens, at the rate of the tier that the vendor names."""
    if not price.units and not price.factors:
        return amount
    for name, rate in price.units.items():
        count = told.get(name)
        if isinstance(count, int | float) and not isinstance(count, bool) and 0 < count < float("inf"):
            amount += count * rate * 1_000_000
    for name, words in price.factors.items():
        amount *= words.get(str(told.get(name)), 1)
    return amount


def _written_for_an_hour(usage: Usage) -> int:
    """Return how many of the tokens written to a cache went into the one that lasts an hour, which costs more."""
    kinds = usage.raw.get("cache_creation")
    count = kinds.get("ephemeral_1h_input_tokens") if isinstance(kinds, Mapping) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 0


def estimate_cost(
    prices: Sequence[Price], input_tokens: int, output_tokens: int, at: datetime | None = None
) -> Cost | None:
    """Return what a call of this size costs at most at list price; None when no price is known.

    No part of the input is taken to come from a cache, and the output is charged as reasoning where that costs more.
    What only the vendor's usage tells, `units` and `factors`, is not in it.
    """
    moment = at or datetime.now(UTC)
    price = price_at(prices, moment)
    if price is None:
        return None
    rates = rates_for(price, input_tokens)
    amount = input_tokens * rates.input + output_tokens * max(rates.output, rates.thinking_output or 0.0)
    return _cost(amount, price, moment, "estimate at list price")


def _cost(amount: float, price: Price, moment: datetime, basis: str) -> Cost:
    """Return the cost of an amount, which is tokens times rates per million, with what the hour adds to it."""
    factor = price.peak.factor if price.peak is not None and price.peak.covers(moment) else 1.0
    return Cost(amount * factor / 1_000_000, price.currency, f"{basis}, {price.source or price.match}")


def charged(amount: Any, factor: float = 1) -> Cost | None:
    """Return what the vendor says it charged, in USD, None where that is no amount. A unit of it is `factor` USD."""
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount * factor < 1e12:
        return None
    return Cost(float(amount * factor), "USD", "charged, as the vendor reports it")


def price_at(prices: Sequence[Price], moment: datetime) -> Price | None:
    """Return the price that holds at a moment, None where none does: the latest, and one of a host before others."""
    if len(prices) == 1 and prices[0].since is None and prices[0].until is None:
        return prices[0]
    day = moment.date().isoformat()
    valid = [p for p in prices if (p.since or "") <= day and (p.until is None or day < p.until)]
    return max(valid, key=lambda price: (bool(price.hosts), price.since or ""), default=None)


def rates_for(price: Price, input_tokens: int) -> Price | PriceTier:
    """Return the rates of a price for a request with so much input: its own, or those of the tier that it reaches."""
    if not price.tiers:
        return price
    reached = [tier for tier in price.tiers if input_tokens > tier.above_input_tokens]
    return max(reached, key=lambda tier: tier.above_input_tokens, default=price)
