"""Dated data on models: limits, abilities, prices, retirements. A plugin keeps it in a JSON file beside its code.

The file is one object: `provider`, `date`, `models` (patterns, most specific wins), `prices`, `retired`, `hosts`. Every
entry names its `source`, which is a fact number of the vendor's quirk table or a public page with a date.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta, timezone
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import attrs
import msgspec

from .. import jsoncodec
from ..basics.frozen import freeze_fields
from ..basics.hosts import is_named
from ..errors import BadRequestError, ConfigurationError, PluginError
from ..types import Cost, Usage
from .rules import (
    AddressRule,
    ErrorRule,
    LimitsRule,
    Rules,
    check_errors,
    check_limits,
    check_rules,
    refuse_unknown,
)

__all__ = [
    "Facts",
    "HostFacts",
    "ModelEntry",
    "ModelFacts",
    "PeakHours",
    "Price",
    "PriceTier",
    "RetiredModel",
    "charged",
    "cost_of",
    "estimate_cost",
    "is_region",
    "load_facts",
]

_HOST_PATTERN = re.compile(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+")


@attrs.frozen
class PriceTier:
    """Rates that hold for the whole request once its input is larger than `above_input_tokens`."""

    above_input_tokens: int
    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
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

    `cached_input` and `cache_write` None mean: not known, so a reply that used the cache has no known cost. The same
    holds for `cache_write_1h`, the rate of what is kept for an hour where the vendor has such a cache.
    `thinking_output` is the output rate while the model reasons, where it differs. `hosts` limits the entry to
    base URLs that contain one of them.
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

    def __attrs_post_init__(self) -> None:
        freeze_fields(self, "options", error=BadRequestError)


@attrs.frozen
class ModelFacts:
    """What is known of one model on one host. None, or an empty tuple, means: not known.

    `input` lists the kinds of content it takes (text, image, audio, file). `output_formats` lists the structured
    outputs it supports (`json_schema`, `json_object`). `efforts` lists the reasoning efforts it accepts,
    `default_effort` what holds when none is sent (`none`: it does not reason unless asked). `prefill`: whether
    it goes on from the beginning of an answer, where its vendor has a way to ask for that. `rules` say what the vendor
    does differently with this model, and the standard dialect acts on them. `quirks` are flags for the vendor's own
    hooks.
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
    prefill: bool | None = None
    max_tools: int | None = None
    rules: Rules | None = None
    quirks: Mapping[str, Any] = attrs.field(factory=dict)
    prices: tuple[Price, ...] = ()
    retired: RetiredModel | None = None
    source: str = ""

    def __attrs_post_init__(self) -> None:
        freeze_fields(self, "quirks", error=BadRequestError)


@attrs.frozen
class ModelEntry:
    """One entry of a facts file. Several can match a model: the more specific ones are laid over the others."""

    match: str
    facts: Mapping[str, Any]
    hosts: tuple[str, ...] = ()
    source: str = ""

    def __attrs_post_init__(self) -> None:
        freeze_fields(self, "facts", error=BadRequestError)


@attrs.frozen
class HostFacts:
    """What becomes of the data that are sent to a host. An empty tuple, or None, means: not known.

    `regions` are the places where requests may be processed: ISO 3166 codes of countries ("US"), "EU", "local" (this
    machine or network), or "global" (the vendor says: anywhere). `trains`: whether the vendor trains models on what
    comes through the API unless the customer does something about it. `retention_days`: how long it keeps requests at
    most by default. `date` is when `source` was read, or its own date.
    """

    regions: tuple[str, ...] = ()
    trains: bool | None = None
    retention_days: int | None = None
    source: str = ""
    date: str = ""


@attrs.frozen
class Facts:
    """A facts file, decoded. `hosts` maps a host name, or "*.example.com" for subdomains, to what is known of it.

    `quirks` say which facts a word in a model's `quirks` stands for: `{"thinking": {"switch": {…}}}`, where a number or
    a boolean is written as its JSON ("true"). They are laid under what is said beside that word, in an entry of the
    file as in a user's correction.
    """

    provider: str
    date: str
    models: tuple[ModelEntry, ...] = ()
    prices: tuple[Price, ...] = ()
    retired: tuple[RetiredModel, ...] = ()
    hosts: Mapping[str, HostFacts] = attrs.field(factory=dict)
    errors: tuple[ErrorRule, ...] = ()
    addresses: tuple[AddressRule, ...] = ()
    limits: LimitsRule | None = None
    quirks: Mapping[str, Mapping[str, Mapping[str, Any]]] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        freeze_fields(self, "hosts", "quirks", error=BadRequestError)

    def describe(self, model: str, base_url: str = "") -> ModelFacts:
        """Return the facts of a model on a host. Patterns are globs; the longest match has the last word."""
        merged: dict[str, Any] = {}
        entries = [entry for entry in self.models if _applies(entry.match, entry.hosts, model, base_url)]
        for entry in sorted(entries, key=lambda entry: (bool(entry.hosts), _weight(entry.match))):
            merged = {**_laid_over(merged, self._spelled_out(entry.facts)), "source": entry.source}
        prices = [price for price in self.prices if _applies(price.match, price.hosts, model, base_url)]
        heaviest = max((_weight(price.match) for price in prices), default=0)
        facts = msgspec.convert(merged, ModelFacts)
        return attrs.evolve(
            facts,
            prices=tuple(price for price in prices if _weight(price.match) == heaviest),
            retired=next((entry for entry in self.retired if entry.id == model), None),
        )

    def correct(self, facts: ModelFacts, corrections: Mapping[str, Any]) -> ModelFacts:
        """Return the facts with a user's corrections laid over them. Raises msgspec.ValidationError."""
        return msgspec.convert(_laid_over(msgspec.to_builtins(facts), self._spelled_out(corrections)), ModelFacts)

    def _spelled_out(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return facts laid over those that the words in their quirks stand for."""
        for name, word in (known.get("quirks") or {}).items():
            meant = self.quirks.get(name, {}).get(word if isinstance(word, str) else jsoncodec.encode_text(word))
            known = known if meant is None else _laid_over(meant, known)
        return known

    def address(self, settings: Mapping[str, Any]) -> str | None:
        """Return the base URL that the provider's settings mean, None where they name no place.

        Raises ConfigurationError for a setting's value that no address has, with those that there are.
        """
        for rule in self.addresses:
            own = str(settings.get(rule.setting or "") or "").rstrip("/")
            if own:
                return own if urlsplit(own).path else own + urlsplit(rule.base_url).path
        names = list(dict.fromkeys(name for rule in self.addresses for name in rule.when))
        given = {name: str(settings[name]).lower() for name in names if settings.get(name) is not None}
        if not given:
            return None
        for name, value in given.items():
            known = list(dict.fromkeys(rule.when[name] for rule in self.addresses if name in rule.when))
            if value not in known:
                among = f"{name} is one of {', '.join(known)}" if known[1:] else f"the only {name} is {known[0]!r}"
                raise ConfigurationError(f"{self.provider}: {among}, not {settings[name]!r}.")
        for rule in self.addresses:
            if not rule.setting and all(rule.when.get(name) == value for name, value in given.items()):
                return rule.base_url
        said = ", ".join(f"{name} = {value!r}" for name, value in given.items())
        raise ConfigurationError(f"{self.provider}: there is no address for {said} together.")

    def host(self, base_url: str) -> HostFacts | None:
        """Return what is known of the host of a base URL; None for a host that the file does not name."""
        name = urlsplit(base_url).hostname or ""
        named = [pattern for pattern in self.hosts if is_named(pattern, name)]
        return self.hosts[max(named, key=lambda pattern: (pattern == name, len(pattern)))] if named else None


_LEVELS = {"rules": 2, "quirks": 1}
"""How deep these tables are laid over one another: a model may change a single word of its reasoning rule."""


def _laid_over(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of two entries as one, the second having the last word."""
    shared = [name for name in _LEVELS if name in old and name in new]
    return {**old, **new} | {name: _both(old[name], new[name], _LEVELS[name]) for name in shared}


def _both(old: Any, new: Any, levels: int) -> Any:
    """Return two tables as one; what both hold is laid over one another in turn, as deep as `levels` says."""
    if not levels or not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    return {**old, **new} | {name: _both(old[name], new[name], levels - 1) for name in old.keys() & new.keys()}


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
        refuse_unknown(msgspec.json.decode(data), Facts, "")
        for entry in facts.models:
            refuse_unknown(entry.facts, ModelFacts, entry.match)
            check_rules(msgspec.convert(entry.facts, ModelFacts).rules, entry.match)
        for name, words in facts.quirks.items():
            for word, known in words.items():
                refuse_unknown(known, ModelFacts, f"quirks {name} {word}")
                check_rules(msgspec.convert(known, ModelFacts).rules, f"quirks {name} {word}")
        check_errors(facts.errors)
        check_limits(facts.limits)
        _check_hosts(facts.hosts)
        return facts
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise PluginError(f"The facts file {filename} of {package} cannot be used: {error}.") from error


def _check_hosts(hosts: Mapping[str, HostFacts]) -> None:
    """Raise ValueError for facts that could be taken for another host's, or that nobody can check."""
    for pattern, known in hosts.items():
        if not _HOST_PATTERN.fullmatch(pattern):
            raise ValueError(f"the host {pattern!r} is neither a host name nor like *.example.com")
        wrong = [region for region in known.regions if not is_region(region)]
        if wrong:
            raise ValueError(f"{wrong[0]!r}, a region of {pattern}, is no code like US or EU")
        if not known.source or not known.date:
            raise ValueError(f"the facts of the host {pattern} need a source and a date")


def is_region(code: str) -> bool:
    """Whether a text is a region as `HostFacts` and `[policy]` write it. That the country exists is not checked."""
    return code in ("local", "global") or (len(code) == 2 and code.isascii() and code.isalpha() and code.isupper())


def cost_of(
    usage: Usage, prices: Sequence[Price], *, at: datetime | None = None, thinking: bool = False
) -> Cost | None:
    """Return what these tokens cost at list price, None when usage or price is unknown: a cost is never guessed.

    `at` is the time of the call (now if None); it picks among prices with validity dates and peak hours.
    """
    if not prices:
        return None
    moment = at or datetime.now(UTC)
    price = _price_at(prices, moment)
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    rates = _rates(price, usage.input_tokens)
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
    return _cost(amount, price, moment, "list price")


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
    """
    moment = at or datetime.now(UTC)
    price = _price_at(prices, moment)
    if price is None:
        return None
    rates = _rates(price, input_tokens)
    amount = input_tokens * rates.input + output_tokens * max(rates.output, rates.thinking_output or 0.0)
    return _cost(amount, price, moment, "estimate at list price")


def _cost(amount: float, price: Price, moment: datetime, basis: str) -> Cost:
    """Return the cost of an amount, which is tokens times rates per million, with what the hour adds to it."""
    factor = price.peak.factor if price.peak is not None and price.peak.covers(moment) else 1.0
    return Cost(amount * factor / 1_000_000, price.currency, f"{basis}, {price.source or price.match}")


def charged(usage: Usage, field: str | None) -> Cost | None:
    """Return what the vendor says it charged, in USD, None where it does not say."""
    amount = usage.raw.get(field) if field is not None else None
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < 1e12:
        return None
    return Cost(float(amount), "USD", "charged, as the vendor reports it")


def _price_at(prices: Sequence[Price], moment: datetime) -> Price | None:
    day = moment.date().isoformat()
    valid = [p for p in prices if (p.since or "") <= day and (p.until is None or day < p.until)]
    return max(valid, key=lambda price: (bool(price.hosts), price.since or ""), default=None)


def _rates(price: Price, input_tokens: int) -> Price | PriceTier:
    reached = [tier for tier in price.tiers if input_tokens > tier.above_input_tokens]
    return max(reached, key=lambda tier: tier.above_input_tokens, default=price)
