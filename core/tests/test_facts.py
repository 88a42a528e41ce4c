"""Facts about models: which entry counts where, and what a call costs."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatport.errors import PluginError
from chatport.facts import (
    Facts,
    ModelFacts,
    PeakHours,
    Price,
    PriceTier,
    RetiredModel,
    cost_of,
    load_facts,
)
from chatport.facts.file import _loaded
from chatport.types import Cost, Usage

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)  # a Wednesday


def facts(*models: dict[str, Any], **more: Any) -> Facts:
    return msgspec.convert({"provider": "p", "date": "2026-01-01", "models": list(models), **more}, Facts)


def entry(match: str, hosts: tuple[str, ...] = (), **known: Any) -> dict[str, Any]:
    return {"match": match, "facts": known, "hosts": hosts, "source": match}


def cost(price: Price, *counts: int | None, at: datetime = NOON, thinking: bool = False) -> float | None:
    names = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens")
    known: dict[str, Any] = dict(zip(names, counts, strict=False))
    usage = Usage(**known)
    found = cost_of(usage, [price], at=at, thinking=thinking)
    return None if found is None else found.amount


# --- which entry counts


def test_an_unknown_model_is_unknown() -> None:
    """Without a matching entry everything is unknown, which is None or empty, never a guess."""
    assert facts(entry("a*", context_tokens=5)).describe("b") == ModelFacts()


@pytest.mark.parametrize("order", [1, -1])
def test_the_more_specific_pattern_wins(order: int) -> None:
    """The longest pattern has the last word, in whatever order the file has them; what it leaves out stays."""
    entries = [
        entry("*", context_tokens=1, max_output_tokens=1, reasoning=False),
        entry("m-*", context_tokens=2, max_output_tokens=2),
        entry("m-1", context_tokens=3),
        entry("m-1*", context_tokens=4),
    ]
    found = facts(*entries[::order])
    assert found.describe("m-1").context_tokens == 3
    assert found.describe("m-1").max_output_tokens == 2
    assert found.describe("m-1").reasoning is False
    assert found.describe("m-1").source == "m-1"
    assert found.describe("m-1x").context_tokens == 4
    assert found.describe("m-2").context_tokens == 2
    assert found.describe("z").context_tokens == 1


def test_patterns_are_globs() -> None:
    """`?` is one character, `*` any number, and case counts."""
    found = facts(entry("v?-chat", context_tokens=1))
    assert found.describe("v4-chat").context_tokens == 1
    assert found.describe("v44-chat").context_tokens is None
    assert found.describe("V4-chat").context_tokens is None


def test_quirks_are_merged() -> None:
    """Quirks of several entries are laid over one another, key by key."""
    found = facts(entry("*", quirks={"a": 1, "b": 1}), entry("m", quirks={"b": 2}))
    assert found.describe("m").quirks == {"a": 1, "b": 2}


def test_a_host_overrules_a_pattern() -> None:
    """An entry for a host counts only there, and there more than any pattern."""
    found = facts(entry("m-1", context_tokens=1), entry("*", ("eu.example",), context_tokens=2))
    assert found.describe("m-1", "https://eu.example/v1").context_tokens == 2
    assert found.describe("m-1", "https://us.example/v1").context_tokens == 1
    assert found.describe("m-1").context_tokens == 1


def test_a_retired_model_is_found_by_its_name() -> None:
    """A retirement is for one id, not for what looks like it."""
    found = facts(retired=[{"id": "old", "since": "2026-01-01", "successor": "new"}])
    assert found.describe("old").retired == RetiredModel("old", "2026-01-01", "new")
    assert found.describe("old-2").retired is None


# --- what it costs


def test_input_and_output() -> None:
    """Rates are per million tokens, and the cost says its currency and where the rate comes from."""
    price = Price("m", 2.0, 10.0, "CNY", source="AC-9")
    assert cost_of(Usage(1_000_000, 500_000), [price], at=NOON) == Cost(7.0, "CNY", "list price, AC-9")
    assert str(Cost(7.0, "CNY")) == "¥7.000000"
    assert str(Cost(0.5)) == "$0.500000"
    assert str(Cost(0.5, "CHF")) == "CHF 0.500000"
    assert cost_of(Usage(0, 0), [price], at=NOON) == Cost(0.0, "CNY", "list price, AC-9")


@pytest.mark.parametrize("usage", [Usage(), Usage(5, None), Usage(None, 5)])
def test_unknown_counts_cost_nothing_known(usage: Usage) -> None:
    """Without both counts the cost is unknown."""
    assert cost_of(usage, [Price("m", 1.0, 1.0)], at=NOON) is None


def test_without_a_price_the_cost_is_unknown() -> None:
    """No price, or none that holds today, is no cost."""
    assert cost_of(Usage(1, 1), [], at=NOON) is None
    assert cost(Price("m", 1.0, 1.0, since="2027-01-01"), 1, 1) is None
    assert cost(Price("m", 1.0, 1.0, until="2026-06-10"), 1, 1) is None


def test_cached_and_written_tokens_have_their_rates() -> None:
    """Cached and cache-written tokens are part of the input, at their own rates; without one the cost is unknown."""
    price = Price("m", 10.0, 0.0, cached_input=1.0, cache_write=20.0)
    assert cost(price, 1_000_000, 0, 400_000, 100_000) == pytest.approx(5.0 + 0.4 + 2.0)
    assert cost(price, 1_000_000, 0) == pytest.approx(10.0)
    assert cost(Price("m", 10.0, 0.0), 1_000_000, 0, 0, 0) == pytest.approx(10.0)
    assert cost(Price("m", 10.0, 0.0), 1_000_000, 0, 400_000, 0) is None
    assert cost(Price("m", 10.0, 0.0), 1_000_000, 0, None, 100_000) is None
    assert cost(price, 100, 0, 200, 0) == pytest.approx(200 / 1e6)


@pytest.mark.parametrize(
    ("kinds", "rates", "amount"),
    [
        ({"ephemeral_1h_input_tokens": 40, "ephemeral_5m_input_tokens": 60}, (2.0, 4.0), 60 * 2.0 + 40 * 4.0),
        ({"ephemeral_1h_input_tokens": 100}, (None, 4.0), 400.0),
        ({"ephemeral_1h_input_tokens": 999}, (2.0, 4.0), 400.0),
        ({"ephemeral_1h_input_tokens": 1}, (2.0, None), None),
        ({"ephemeral_1h_input_tokens": 99}, (None, 4.0), None),
        ({"ephemeral_1h_input_tokens": 0}, (2.0, None), 200.0),
        ({"ephemeral_1h_input_tokens": True}, (2.0, None), 200.0),
        ({"ephemeral_1h_input_tokens": -5}, (2.0, None), 200.0),
        ("no object", (2.0, None), 200.0),
        (None, (2.0, None), 200.0),
    ],
)
def test_what_is_kept_for_an_hour_has_its_rate(kinds: Any, rates: tuple[Any, Any], amount: float | None) -> None:
    """Tokens written for an hour are part of the written ones; without their rate the cost is unknown."""
    usage = Usage(100, 0, 0, 100, raw={"cache_creation": kinds})
    price = Price("m", 1.0, 1.0, cache_write=rates[0], cache_write_1h=rates[1])
    found = cost_of(usage, [price], at=NOON)
    assert (found and found.amount) == (amount and pytest.approx(amount / 1e6))


def test_a_rate_of_zero_is_a_rate() -> None:
    """Free cached input is free, not unknown."""
    assert cost(Price("m", 10.0, 0.0, cached_input=0.0), 1_000_000, 0, 1_000_000) == 0.0


def test_thinking_has_its_rate() -> None:
    """While the model reasons its own output rate holds, where it has one."""
    price = Price("m", 0.0, 1.0, thinking_output=4.0)
    assert cost(price, 0, 1_000_000) == 1.0
    assert cost(price, 0, 1_000_000, thinking=True) == 4.0
    assert cost(Price("m", 0.0, 1.0), 0, 1_000_000, thinking=True) == 1.0


def test_what_is_charged_beside_tokens_is_in_the_cost() -> None:
    """Units by their number in the vendor's usage, and all of it at the rate of the tier that the usage names."""
    price = Price("m", 1.0, 1.0, units={"seconds": 0.5}, factors={"tier": {"fast": 2}})

    def of(**told: Any) -> float:
        found = cost_of(Usage(1_000_000, 0, raw=told), [price], at=NOON)
        assert found is not None
        return found.amount

    assert of() == of(seconds=0, tier="plain") == of(seconds="4", tier=["fast"]) == of(seconds=True) == 1.0
    assert of(seconds=-3) == of(seconds=float("inf")) == 1.0
    assert of(seconds=4) == 3.0
    assert of(tier="fast") == 2.0
    assert of(seconds=4, tier="fast") == 6.0


def test_a_tier_holds_strictly_above_its_bound() -> None:
    """A tier's rates hold for the whole request as soon as its input is larger than the bound, not at it."""
    tiers = (PriceTier(400_000, 4.0, 40.0), PriceTier(200_000, 2.0, 20.0, cached_input=0.2))
    price = Price("m", 1.0, 10.0, tiers=tiers)
    assert cost(price, 200_000, 0) == pytest.approx(0.2)
    assert cost(price, 200_001, 0) == pytest.approx(0.400002)
    assert cost(price, 200_001, 1_000_000) == pytest.approx(20.400002)
    assert cost(price, 300_000, 0, 100_000) == pytest.approx(0.4 + 0.02)
    assert cost(price, 400_001, 0) == pytest.approx(1.600004)


def test_prices_have_dates() -> None:
    """The price that holds on the day of the call counts: from `since`, until before `until`, the latest first."""
    prices = [
        Price("m", 1.0, 0.0, until="2026-03-01"),
        Price("m", 2.0, 0.0, since="2026-03-01"),
        Price("m", 3.0, 0.0, since="2026-06-01", until="2026-07-01"),
    ]

    def on(day: str) -> float:
        found = cost_of(Usage(1_000_000, 0), prices, at=datetime.fromisoformat(f"{day}T12:00:00+00:00"))
        assert found is not None
        return found.amount

    assert [
        on(day) for day in ("2026-02-28", "2026-03-01", "2026-05-31", "2026-06-01", "2026-06-30", "2026-07-01")
    ] == [1.0, 2.0, 2.0, 3.0, 3.0, 2.0]


def test_a_hosts_price_counts_there() -> None:
    """A price for a host counts there and before the general one; elsewhere it does not count."""
    found = facts(
        prices=[
            {"match": "m", "input": 1.0, "output": 0.0},
            {"match": "m", "input": 5.0, "output": 0.0, "hosts": ["eu.example"]},
        ]
    )
    usage = Usage(1_000_000, 0)
    assert cost_of(usage, found.describe("m", "https://eu.example").prices, at=NOON) == Cost(
        5.0, "USD", "list price, m"
    )
    assert cost_of(usage, found.describe("m", "https://us.example").prices, at=NOON) == Cost(
        1.0, "USD", "list price, m"
    )


def test_the_most_specific_price_counts() -> None:
    """Of several patterns only the prices of the most specific one are the model's."""
    found = facts(
        prices=[
            {"match": "*", "input": 1.0, "output": 1.0},
            {"match": "m-*", "input": 2.0, "output": 1.0},
            {"match": "m-1", "input": 3.0, "output": 1.0, "until": "2026-01-01"},
            {"match": "m-1", "input": 4.0, "output": 1.0, "since": "2026-01-01"},
        ]
    )
    assert [price.input for price in found.describe("m-1").prices] == [3.0, 4.0]
    assert [price.input for price in found.describe("m-2").prices] == [2.0]
    assert [price.input for price in found.describe("x").prices] == [1.0]


SHANGHAI = PeakHours(2.0, 8.0, ("09:00-12:00", "14:00-18:00"))


@pytest.mark.parametrize(
    ("moment", "is_peak"),
    [
        ("2026-06-10T00:59:59+00:00", False),
        ("2026-06-10T01:00:00+00:00", True),
        ("2026-06-10T03:59:59+00:00", True),
        ("2026-06-10T04:00:00+00:00", False),
        ("2026-06-10T06:30:00+00:00", True),
        ("2026-06-10T08:30:00+02:00", True),
        ("2026-06-12T09:00:00+08:00", True),
        ("2026-06-13T09:00:00+08:00", False),
        ("2026-06-14T17:00:00+00:00", False),
        ("2026-06-15T01:30:00+00:00", True),
    ],
)
def test_peak_hours_are_local(moment: str, is_peak: bool) -> None:
    """Peak hours are told in the vendor's own time zone, weekdays there too, whatever zone the call's time is in."""
    at = datetime.fromisoformat(moment)
    assert SHANGHAI.covers(at) is is_peak
    assert cost(Price("m", 1.0, 0.0, peak=SHANGHAI), 1_000_000, 0, at=at) == (2.0 if is_peak else 1.0)


@pytest.mark.parametrize(
    ("span", "inside", "outside"),
    [
        ("22:00-06:00", ["22:00", "23:59", "00:00", "05:59"], ["06:00", "12:00", "21:59"]),
        ("18:00-00:00", ["18:00", "23:59"], ["00:00", "17:59"]),
    ],
)
def test_peak_hours_may_run_over_midnight(span: str, inside: list[str], outside: list[str]) -> None:
    """A span whose end lies before its beginning runs over midnight."""
    hours = PeakHours(2.0, 0.0, (span,), (0, 1, 2, 3, 4, 5, 6))
    assert all(hours.covers(datetime.fromisoformat(f"2026-06-10T{time}:00+00:00")) for time in inside)
    assert not any(hours.covers(datetime.fromisoformat(f"2026-06-10T{time}:00+00:00")) for time in outside)


def test_the_time_of_the_call_is_now_by_default() -> None:
    """Without a time the price of today counts."""
    assert cost_of(Usage(1_000_000, 0), [Price("m", 1.0, 0.0, until="2020-01-01")]) is None
    assert cost_of(Usage(1_000_000, 0), [Price("m", 1.0, 0.0, since="2020-01-01")]) is not None


# --- the file


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty package that can be imported; returns a function that writes its facts and reads them."""
    name = f"facts_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, name, raising=False)

    def write(data: Any) -> Facts:
        text = data if isinstance(data, str) else json.dumps(data)
        (tmp_path / name / "facts.json").write_text(text)
        _loaded.cache_clear()
        return load_facts(name)

    return write


def test_a_facts_file_is_read(package: Any) -> None:
    """A file of facts is read from its package, once."""
    found = package({"provider": "p", "date": "2026-01-01", "models": [entry("m", context_tokens=5, input=["text"])]})
    assert found.describe("m").context_tokens == 5
    assert found.describe("m").input == ("text",)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{", "cannot be used"),
        ([], "cannot be used"),
        ({}, "provider"),
        ({"provider": "p"}, "date"),
        ({"provider": "p", "date": "d", "models": [entry("m", context_token=5)]}, "unknown facts.*context_token.*'m'"),
        ({"provider": "p", "date": "d", "models": [entry("m", context_tokens="five")]}, "context_tokens"),
        ({"provider": "p", "date": "d", "models": [{"facts": {}}]}, "match"),
        ({"provider": "p", "date": "d", "models": [5]}, "models"),
        ({"provider": "p", "date": "d", "prices": [{"match": "m", "input": "x", "output": 1}]}, "input"),
    ],
)
def test_a_malformed_facts_file_is_a_plugin_error(package: Any, data: Any, words: str) -> None:
    """A facts file that cannot be used says where it is wrong, when it is loaded and not in the middle of a call."""
    with pytest.raises(PluginError, match=words) as caught:
        package(data)
    assert "The facts file facts.json of facts_of_" in str(caught.value)


def test_a_missing_facts_file_is_a_plugin_error() -> None:
    """A package without its file is told."""
    with pytest.raises(PluginError, match=r"The facts file nothing\.json of chatport cannot be used"):
        load_facts("chatport", "nothing.json")
