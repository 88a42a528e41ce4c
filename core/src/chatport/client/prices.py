"""What a mix of tokens costs on every model whose price is known: by the providers' facts, and nothing is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from ..basics.log import warn
from ..basics.typed import expect
from ..basics.values import Value
from ..basics.words import near_miss
from ..errors import BadRequestError, ChatportError, ConfigurationError, PolicyError
from ..facts.models import HostFacts, ModelFacts
from ..facts.prices import Price, PriceTier, cost_of, price_at, rates_for
from ..inputs.values import positive, texts
from ..limits.budget import in_usd
from ..limits.policy import Policy, check_policy, host_facts, stricter
from ..setup.tables import read_regions
from ..setup.targets import split_target
from ..setup.vendor import Vendor
from ..setup.vendors import Vendors
from ..types import Cost, Usage

__all__ = ["NEEDS", "ModelPrice", "Wanted", "price_list", "read_wanted"]

NEEDS: Mapping[str, Callable[[ModelFacts], bool | None]] = {
    "tools": lambda facts: facts.tools,
    "parallel_tools": lambda facts: facts.parallel_tools,
    "forced_tool_choice": lambda facts: facts.forced_tool_choice,
    "images": lambda facts: _takes("image", facts),
    "audio": lambda facts: _takes("audio", facts),
    "video": lambda facts: _takes("video", facts),
    "files": lambda facts: _takes("file", facts),
    "json": lambda facts: None if facts.output_formats is None else bool(facts.output_formats),
    "schema": lambda facts: None if facts.output_formats is None else "json_schema" in facts.output_formats,
    "reasoning": lambda facts: facts.reasoning,
    "prefill": lambda facts: facts.prefill,
}
"""What a model may be asked to be able to do, and whether it can; None: that is not known."""
_MOST_TOKENS = 1_000_000_000_000
_LETTERS = re.compile(r"\[(\w+)\]")


@attrs.frozen(eq=False, repr=False)
class ModelPrice(Value):
    """What a mix of tokens costs on one model, at list price.

    `cost` is in the currency that all are compared in, `listed` in the vendor's own; None where it is not known, and
    `notes` say why. The three rates are those that hold for this much input, per million tokens in the vendor's
    currency. `is_at_most`: the rate of cached input is not known, so that all input is counted as new. `source` is
    where the price comes from, `date` when the provider's facts were last looked at, empty for a price of your own.
    """

    target: str
    cost: Cost | None
    listed: Cost | None
    input_per_million: float | None
    cached_input_per_million: float | None
    output_per_million: float | None
    facts: ModelFacts = attrs.field(repr=False)
    host: HostFacts = attrs.field(repr=False)
    source: str = ""
    date: str = ""
    is_at_most: bool = False
    notes: tuple[str, ...] = ()

    @property
    def abilities(self) -> tuple[str, ...]:
        """What the model is known to be able to do, in the words of `needs`."""
        return tuple(name for name, has in NEEDS.items() if has(self.facts))


@attrs.frozen(eq=False, repr=False)
class Wanted(Value):
    """What is asked of a list of prices, read and checked. `providers` None: all there are."""

    usage: Usage
    currency: str
    rates: Mapping[str, float]
    providers: tuple[str, ...] | None
    needs: tuple[str, ...]
    policy: Policy

    @property
    def tokens(self) -> int:
        """How many tokens there must be room for."""
        return (self.usage.input_tokens or 0) + (self.usage.output_tokens or 0)


def read_wanted(
    policy: Policy,
    known_rates: Mapping[str, float],
    *,
    input_tokens: int,
    output_tokens: int,
    cached: Any,
    currency: str,
    rates: Mapping[str, float] | None,
    providers: Sequence[str] | None,
    needs: Sequence[str],
    allow_regions: Sequence[str] | None,
    forbid_training: bool,
) -> Wanted:
    """Read the arguments of `client.prices`. Raises BadRequestError or ConfigurationError, with what is wrong."""
    asked, written = _count(input_tokens, "input_tokens"), _count(output_tokens, "output_tokens")
    if isinstance(cached, bool) or not isinstance(cached, int | float) or not 0 <= cached <= 1:
        raise BadRequestError(f"cached is the share of the input that comes from a cache, from 0 to 1, not {cached!r}.")
    expect(currency, str, "currency is a code such as USD", BadRequestError)
    stated = {**known_rates, **{name: positive(rate, f"rates.{name}") for name, rate in (rates or {}).items()}}
    if currency != "USD" and currency not in stated:
        raise ConfigurationError(
            f"There is no rate for {currency}. Write what one {currency} is in USD: [budget] rates = "
            f"{{ {currency} = … }}, or rates={{{currency!r}: …}}."
        )
    names = None if providers is None else texts(providers, "providers")
    for need in texts(needs, "needs"):
        if need not in NEEDS:
            raise BadRequestError(
                f"No model is known by {need!r}.{near_miss(need, NEEDS, parts=True)} needs are: {', '.join(NEEDS)}."
            )
    asked_policy = Policy(
        allow_regions=None if allow_regions is None else read_regions(allow_regions, "allow_regions"),
        forbid_training=bool(forbid_training),
    )
    usage = Usage(asked, written, round(asked * cached))
    return Wanted(usage, currency, stated, names, tuple(needs), stricter(policy, asked_policy))


def _count(tokens: Any, name: str) -> int:
    if isinstance(tokens, bool) or not isinstance(tokens, int) or not 0 <= tokens <= _MOST_TOKENS:
        raise BadRequestError(f"{name} is a number of tokens, 0 or more, not {tokens!r}.")
    return tokens


def price_list(vendors: Vendors, wanted: Wanted, moment: datetime) -> tuple[ModelPrice, ...]:
    """Return the prices that hold at a moment, the cheapest first, those that cannot be compared last.

    A provider that cannot be used is left out with a warning, unless it was asked for by its name.
    """
    rows: list[ModelPrice] = []
    for name in wanted.providers or sorted(vendors.names()):
        try:
            vendor = vendors.outline(name)
            rows += _rows(vendors, vendor, wanted, moment)
        except ChatportError as error:
            if wanted.providers is not None:
                raise
            warn(f"The prices of {name} are left out: {error.message}")
    return tuple(sorted(rows, key=_order))


def _order(row: ModelPrice) -> tuple[bool, float, str]:
    return row.cost is None, row.cost.amount if row.cost is not None else 0.0, row.target


def _rows(vendors: Vendors, vendor: Vendor, wanted: Wanted, moment: datetime) -> Iterator[ModelPrice]:
    provider = vendor.provider
    stated = vendor.config.stated_facts(provider.name)
    for model in _models(vendors, vendor):
        facts = vendors.facts(vendor, model)
        if not facts.prices or not _fits(facts, wanted, moment):
            continue
        try:
            check_policy(wanted.policy, provider, vendor.base_url, model, stated)
        except PolicyError:
            continue
        host = host_facts(provider, vendor.base_url, stated)
        is_own = bool((vendors.config.models.get(f"{provider.name}:{model}") or {}).get("prices"))
        date = "" if provider.facts is None or is_own else provider.facts.date
        yield _priced(f"{provider.name}:{model}", facts, host, date, wanted, moment)


def _models(vendors: Vendors, vendor: Vendor) -> Iterable[str]:
    """Return the models whose prices are looked for: those that the facts price, and those that the user names."""
    provider, config = vendor.provider, vendors.config
    found: dict[str, None] = {}
    for price in provider.facts.prices if provider.facts is not None else ():
        if price.output or not price.input:  # what writes nothing is no chat model: it turns texts into vectors
            found |= dict.fromkeys(_names(price.match))
    named = [*config.models, *(target for alias in config.aliases.values() for target in alias.targets)]
    for target in named:
        name, model = split_target(target)
        if name == provider.name and model != "auto":
            found.setdefault(model)
    return found


def _names(pattern: str) -> list[str]:
    """Return the models that a price's pattern means: `x[67]-y*` is x6-y and x7-y. An open one stays as it is."""
    letters = _LETTERS.search(pattern)
    if letters is not None:
        before, after = pattern[: letters.start()], pattern[letters.end() :]
        return [name for letter in letters[1] for name in _names(f"{before}{letter}{after}")]
    name = pattern.strip("*")
    is_whole = bool(name) and name[-1].isalnum() and not set(name) & set("*?[")
    return [name if is_whole else pattern]


def _takes(kind: str, facts: ModelFacts) -> bool | None:
    return kind in facts.input if facts.input else None


def _fits(facts: ModelFacts, wanted: Wanted, moment: datetime) -> bool:
    """Whether a model is there, and nothing speaks against what is needed of it. What is not known does not."""
    if facts.retired is not None and facts.retired.since <= moment.date().isoformat():
        return False
    has_room = facts.context_tokens is None or wanted.tokens <= facts.context_tokens
    return has_room and all(NEEDS[need](facts) is not False for need in wanted.needs)


def _priced(target: str, facts: ModelFacts, host: HostFacts, date: str, wanted: Wanted, moment: datetime) -> ModelPrice:
    usage = wanted.usage
    price = price_at(facts.prices, moment)
    if price is None:
        ended = max((price.until or "" for price in facts.prices), default="")
        note = f"its price ended on {ended}" if ended else "its price begins later"
        return ModelPrice(target, None, None, None, None, None, facts, host, date=date, notes=(note,))
    thinking = facts.reasoning is True and facts.default_effort not in (None, "none")
    listed = cost_of(usage, facts.prices, at=moment, thinking=thinking)
    is_at_most = listed is None
    if is_at_most:
        listed = cost_of(Usage(usage.input_tokens, usage.output_tokens), facts.prices, at=moment, thinking=thinking)
    cost = _converted(listed, wanted)
    rates = rates_for(price, usage.input_tokens or 0)
    notes = [*_why_not(is_at_most, listed, cost), *_notes(price, rates, moment)]
    unknown = [need for need in wanted.needs if NEEDS[need](facts) is None]
    notes += [f"not known: {', '.join(unknown)}"] if unknown else []
    notes += ["for every model of such a name"] if set(target) & set("*?[") else []
    return ModelPrice(
        target,
        cost,
        listed,
        rates.input,
        rates.cached_input,
        rates.output,
        facts,
        host,
        price.source,
        date,
        is_at_most,
        tuple(notes),
    )


def _converted(listed: Cost | None, wanted: Wanted) -> Cost | None:
    if listed is None or listed.currency == wanted.currency:
        return listed
    usd = in_usd(listed, wanted.rates)
    if usd is None:
        return None
    rate = 1.0 if wanted.currency == "USD" else wanted.rates[wanted.currency]
    return Cost(usd / rate, wanted.currency, listed.basis)


def _notes(price: Price, rates: Price | PriceTier, moment: datetime) -> Iterator[str]:
    if isinstance(rates, PriceTier):
        yield f"the price of more than {rates.above_input_tokens:,} tokens of input"
    if price.peak is not None:
        now = ", as now" if price.peak.covers(moment) else ""
        yield f"times {price.peak.factor:g} in peak hours{now}"
    if rates.thinking_output is not None:
        yield f"output is {rates.thinking_output:g} a million while it reasons"
    if price.units:
        yield f"charged beside the tokens: {', '.join(price.units)}"
    if price.until is not None:
        yield f"until {price.until}"


def _why_not(is_at_most: bool, listed: Cost | None, cost: Cost | None) -> Iterator[str]:
    if is_at_most and listed is not None:
        yield "at most: the rate of cached input is not known"
    if listed is not None and cost is None:
        yield f"there is no rate for {listed.currency}: state it in [budget] rates"
