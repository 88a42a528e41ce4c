"""Dated data on models: limits, abilities, prices, retirements. A plugin keeps it in a JSON file beside its code.

The file is one object: `provider`, `date`, `models` (patterns, most specific wins), `prices`, `retired`. Every entry
names its `source`, which is a fact number of the vendor's quirk table or a public page with a date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta, timezone
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any

import attrs
import msgspec

from .errors import PluginError
from .types import Cost, Usage

__all__ = [
    "Facts",
    "ModelEntry",
    "ModelFacts",
    "PeakHours",
    "Price",
    "PriceTier",
    "RetiredModel",
    "charged",
    "cost_of",
    "load_facts",
]


@attrs.frozen
class PriceTier:
    """Rates that hold for the whole request once its input is larger than `above_input_tokens`."""

    above_input_tokens: int
    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    thinking_output: float | None = None


@attrs.frozen
class PeakHours:
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


@attrs.frozen
class Price:
    """Rates per million tokens for the models that match, from `since` until `until` (dates, the latter excluded).

    `cached_input` and `cache_write` None mean: not known, so a reply that used the cache has no known cost.
    `thinking_output` is the output rate while the model reasons, where it differs. `hosts` limits the entry to
    base URLs that contain one of them.
    """

    match: str
    input: float
    output: float
    currency: str = "USD"
    cached_input: float | None = None
    cache_write: float | None = None
    thinking_output: float | None = None
    tiers: tuple[PriceTier, ...] = ()
    peak: PeakHours | None = None
    hosts: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    source: str = ""


@attrs.frozen
class RetiredModel:
    """A model id switched off on `since` (a date), its successor, and the options that keep the old behaviour."""

    id: str
    since: str
    successor: str
    options: Mapping[str, Any] = attrs.field(factory=dict)
    source: str = ""


@attrs.frozen
class ModelFacts:
    """What is known of one model on one host. None, or an empty tuple, means: not known.

    `input` lists the kinds of content it takes (text, image, audio, file). `output_formats` lists the structured
    outputs it supports (`json_schema`, `json_object`). `efforts` lists the reasoning efforts it accepts,
    `default_effort` what holds when none is sent (`none`: it does not reason unless asked). `quirks` are
    flags for the vendor's own hooks.
    """

    context_tokens: int | None = None
    max_output_tokens: int | None = None
    input: tuple[str, ...] = ()
    tools: bool | None = None
    parallel_tools: bool | None = None
    forced_tool_choice: bool | None = None
    output_formats: tuple[str, ...] | None = None
    reasoning: bool | None = None
    efforts: tuple[str, ...] = ()
    default_effort: str | None = None
    max_tools: int | None = None
    quirks: Mapping[str, Any] = attrs.field(factory=dict)
    prices: tuple[Price, ...] = ()
    retired: RetiredModel | None = None
    source: str = ""


@attrs.frozen
class ModelEntry:
    """One entry of a facts file. Several can match a model: the more specific ones are laid over the others."""

    match: str
    facts: Mapping[str, Any]
    hosts: tuple[str, ...] = ()
    source: str = ""


@attrs.frozen
class Facts:
    """A facts file, decoded."""

    provider: str
    date: str
    models: tuple[ModelEntry, ...] = ()
    prices: tuple[Price, ...] = ()
    retired: tuple[RetiredModel, ...] = ()
    hosts: Mapping[str, Any] = attrs.field(factory=dict)

    def describe(self, model: str, base_url: str = "") -> ModelFacts:
        """Return the facts of a model on a host. Patterns are globs; the longest match has the last word."""
        merged: dict[str, Any] = {}
        entries = [entry for entry in self.models if _applies(entry.match, entry.hosts, model, base_url)]
        for entry in sorted(entries, key=lambda entry: (bool(entry.hosts), _weight(entry.match))):
            quirks = {**merged.get("quirks", {}), **entry.facts.get("quirks", {})}
            merged |= {**entry.facts, "quirks": quirks, "source": entry.source}
        prices = [price for price in self.prices if _applies(price.match, price.hosts, model, base_url)]
        heaviest = max((_weight(price.match) for price in prices), default=0)
        facts = msgspec.convert(merged, ModelFacts)
        return attrs.evolve(
            facts,
            prices=tuple(price for price in prices if _weight(price.match) == heaviest),
            retired=next((entry for entry in self.retired if entry.id == model), None),
        )


def _applies(pattern: str, hosts: Sequence[str], model: str, base_url: str) -> bool:
    return fnmatchcase(model, pattern) and (not hosts or any(host in base_url for host in hosts))


def _weight(pattern: str) -> int:
    """How specific a pattern is: its literal characters, and a little more when it has no wildcard."""
    literal = sum(character not in "*?" for character in pattern)
    return 2 * literal + ("*" not in pattern and "?" not in pattern)


@cache
def load_facts(package: str, filename: str = "facts.json") -> Facts:
    """Return the facts file of an installed plugin package. Raises PluginError if it is missing or malformed."""
    try:
        data = resources.files(package).joinpath(filename).read_bytes()
        facts = msgspec.json.decode(data, type=Facts)
        for entry in facts.models:
            unknown = set(entry.facts) - {field.name for field in attrs.fields(ModelFacts)}
            if unknown:
                raise ValueError(f"unknown facts {sorted(unknown)} in the entry {entry.match!r}")
            msgspec.convert(entry.facts, ModelFacts)
        return facts
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise PluginError(f"The facts file {filename} of {package} cannot be used: {error}.") from error


def cost_of(
    usage: Usage, prices: Sequence[Price], *, at: datetime | None = None, thinking: bool = False
) -> Cost | None:
    """Return what these tokens cost at list price, None when usage or price is unknown: a cost is never guessed.

    `at` is the time of the call (now if None); it picks among prices with validity dates and peak hours.
    """
    moment = at or datetime.now(UTC)
    price = _price_at(prices, moment)
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    rates = _rates(price, usage.input_tokens)
    cached = usage.cached_input_tokens or 0
    written = usage.cache_write_tokens or 0
    output_rate = rates.thinking_output if thinking and rates.thinking_output is not None else rates.output
    if (cached and rates.cached_input is None) or (written and rates.cache_write is None):
        return None
    amount = (
        max(usage.input_tokens - cached - written, 0) * rates.input
        + cached * (rates.cached_input or 0.0)
        + written * (rates.cache_write or 0.0)
        + usage.output_tokens * output_rate
    )
    factor = price.peak.factor if price.peak is not None and price.peak.covers(moment) else 1.0
    return Cost(amount * factor / 1_000_000, price.currency, f"list price, {price.source or price.match}")


def charged(usage: Usage, field: str | None) -> Cost | None:
    """Return what the vendor says it charged, in USD, None where it does not say."""
    amount = usage.raw.get(field) if field is not None else None
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        return None
    return Cost(float(amount), "USD", "charged, as the vendor reports it")


def _price_at(prices: Sequence[Price], moment: datetime) -> Price | None:
    day = moment.date().isoformat()
    valid = [p for p in prices if (p.since or "") <= day and (p.until is None or day < p.until)]
    return max(valid, key=lambda price: (bool(price.hosts), price.since or ""), default=None)


def _rates(price: Price, input_tokens: int) -> Price | PriceTier:
    reached = [tier for tier in price.tiers if input_tokens > tier.above_input_tokens]
    return max(reached, key=lambda tier: tier.above_input_tokens, default=price)
