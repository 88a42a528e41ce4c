"""What a mix of tokens costs on every model whose price is known: counted, compared, filtered, and never guessed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

import chatport
from chatport import Facts, ModelPrice, Provider
from chatport.client.prices import NEEDS
from chatport.engine.commands import Clock
from chatport.provider import Discovery

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)  # a Wednesday
US = "https://api.acme.example/v1"


def price(match: str, input: float = 1.0, output: float = 4.0, **more: Any) -> dict[str, Any]:
    return {"match": match, "input": input, "output": output, "source": f"the page of {match}", **more}


def model(match: str, **known: Any) -> dict[str, Any]:
    return {"match": match, "facts": known, "source": match}


def facts(*prices: dict[str, Any], **more: Any) -> Facts:
    hosts = {"api.acme.example": {"regions": ["US"], "trains": False, "source": "terms", "date": "2026-01-01"}}
    known = {"provider": "acme", "date": "2026-02-03", "prices": list(prices), "hosts": hosts, **more}
    return msgspec.convert(known, Facts)


def acme(*prices: dict[str, Any], name: str = "acme", **more: Any) -> Provider:
    return Provider(name, "Acme", US, key_env=("ACME_API_KEY",), facts=facts(*prices, **more))


def client(*providers: Provider, moment: datetime = NOON, **config: Any) -> chatport.Client:
    clock = Clock(time.monotonic, lambda: moment, lambda: 0.5)
    return chatport.Client(config, providers=providers, clock=clock)


def prices(*entries: dict[str, Any], models: Any = (), config: Any = None, **asked: Any) -> tuple[ModelPrice, ...]:
    with client(acme(*entries, models=list(models)), **(config or {})) as made:
        return made.prices(**{"providers": ["acme"], **asked})


def targets(rows: tuple[ModelPrice, ...]) -> list[str]:
    return [row.target.removeprefix("acme:") for row in rows]


# --- what it costs


def test_the_cheapest_is_first_by_what_this_mix_costs() -> None:
    """One model is cheap to read with, the other to write with."""
    entries = (price("reader", 1.0, 10.0), price("writer", 2.0, 2.0))
    assert targets(prices(*entries, input_tokens=1_000_000, output_tokens=0)) == ["reader", "writer"]
    rows = prices(*entries, input_tokens=1_000_000, output_tokens=1_000_000)
    assert targets(rows) == ["writer", "reader"]
    assert [row.cost.amount for row in rows if row.cost] == [4.0, 11.0]


def test_the_cached_share_has_its_own_rate() -> None:
    (row,) = prices(price("m", 1.0, 4.0, cached_input=0.1), input_tokens=1_000_000, output_tokens=0, cached=0.75)
    assert row.cost is not None
    assert row.cost.amount == pytest.approx(0.25 * 1.0 + 0.75 * 0.1)
    assert not row.is_at_most


def test_without_a_rate_for_the_cache_it_is_said_to_be_at_most() -> None:
    (row,) = prices(price("m"), input_tokens=1_000_000, output_tokens=0, cached=0.75)
    assert row.cost is not None
    assert (row.cost.amount, row.is_at_most, row.cached_input_per_million) == (1.0, True, None)
    assert row.notes == ("at most: the rate of cached input is not known",)


def test_the_rates_are_those_of_the_tier_that_is_reached() -> None:
    tier = {"above_input_tokens": 1000, "input": 3.0, "output": 9.0}
    (row,) = prices(price("m", tiers=[tier]), input_tokens=2000, output_tokens=0)
    assert (row.input_per_million, row.output_per_million) == (3.0, 9.0)
    assert row.cost is not None
    assert row.cost.amount == pytest.approx(0.006)
    assert row.notes == ("the price of more than 1,000 tokens of input",)


def test_the_price_is_that_of_the_day_and_the_hour() -> None:
    peak = {"factor": 2.0, "utc_offset_hours": 0, "spans": ["11:00-13:00"]}
    entries = (price("m", 1.0, until="2026-06-01"), price("m", 2.0, since="2026-06-01", until="2026-07-01", peak=peak))
    (row,) = prices(*entries, input_tokens=1_000_000, output_tokens=0)
    assert row.cost is not None
    assert row.cost.amount == 4.0
    assert row.notes == ("times 2 in peak hours, as now", "until 2026-07-01")


def test_a_price_that_has_ended_is_no_price() -> None:
    (row,) = prices(price("m", until="2026-06-01"))
    assert (row.cost, row.listed, row.notes) == (None, None, ("its price ended on 2026-06-01",))


def test_where_it_is_from_stands_beside_it() -> None:
    (row,) = prices(price("m"), models=[model("m", context_tokens=128_000, tools=True, input=["text", "image"])])
    assert (row.target, row.source, row.date) == ("acme:m", "the page of m", "2026-02-03")
    assert (row.host.regions, row.host.trains) == (("US",), False)
    assert (row.facts.context_tokens, row.abilities) == (128_000, ("tools", "images"))


# --- one currency


def test_another_currency_is_compared_by_the_configured_rate() -> None:
    entries = (price("usd", 1.0, 0.5), price("cny", 5.0, 0.5, currency="CNY"))
    rows = prices(*entries, config={"budget": {"rates": {"CNY": 0.14}}}, input_tokens=1_000_000, output_tokens=0)
    assert targets(rows) == ["cny", "usd"]
    assert rows[0].cost is not None
    assert rows[0].listed is not None
    assert rows[0].cost.amount == pytest.approx(0.7)
    assert rows[0].cost.currency == "USD"
    assert (rows[0].listed.amount, rows[0].listed.currency) == (5.0, "CNY")
    in_yuan = prices(*entries, rates={"CNY": 0.2}, currency="CNY", input_tokens=1_000_000, output_tokens=0)
    assert [(row.cost.amount, row.cost.currency) for row in in_yuan if row.cost] == [(5.0, "CNY"), (5.0, "CNY")]


def test_without_a_rate_it_is_last_and_says_what_to_state() -> None:
    rows = prices(price("dear", 1000.0), price("cny", 0.1, currency="CNY"))
    assert targets(rows) == ["dear", "cny"]
    assert rows[1].cost is None
    assert rows[1].listed is not None
    assert rows[1].notes == ("there is no rate for CNY: state it in [budget] rates",)


# --- which models


def test_models_are_named_as_calls_name_them() -> None:
    """A pattern is a name where it can be; one for any model stays as it is, and what only reads is no chat model."""
    entries = (price("a-[67]-flash*"), price("*b"), price("labs-*", 0.0, 0.0), price("embedding", 0.1, 0.0))
    rows = prices(*entries)
    assert sorted(targets(rows)) == ["a-6-flash", "a-7-flash", "b", "labs-*"]
    assert rows[0].target == "acme:labs-*"
    assert rows[0].notes == ("for every model of such a name",)


def test_a_retired_model_is_left_out_once_it_is_switched_off() -> None:
    retired = [
        {"id": "old", "since": "2026-06-01", "successor": "m"},
        {"id": "m", "since": "2027-01-01", "successor": ""},
    ]
    with client(acme(price("old"), price("m"), retired=retired)) as made:
        assert targets(made.prices(providers=["acme"])) == ["m"]


def test_your_own_models_and_prices_are_in_it() -> None:
    own = {"acme:mine": {"prices": [{"match": "*", "input": 0.5, "output": 0.5, "source": "our contract"}]}}
    rows = prices(price("m"), config={"models": own, "aliases": {"x": ["acme:no-price", "acme:m"]}})
    assert targets(rows) == ["mine", "m"]
    assert (rows[0].source, rows[0].date) == ("our contract", "")


def test_a_second_account_and_an_endpoint_of_ones_own_are_in_it() -> None:
    config: dict[str, Any] = {
        "providers": {
            "acme-eu": {"kind": "acme", "base_url": "https://eu.acme.example/v1", "regions": ["EU"]},
            "box": {"kind": "compatible", "base_url": "http://127.0.0.1:9/v1", "free": True},
        },
        "aliases": {"local": ["box:llama"]},
    }
    with client(acme(price("m")), **config) as made:
        rows = made.prices(providers=["acme", "acme-eu", "box"])
    assert [(row.target, row.host.regions) for row in rows] == [
        ("box:llama", ("local",)),
        ("acme-eu:m", ("EU",)),
        ("acme:m", ("US",)),
    ]
    assert rows[0].cost is not None
    assert rows[0].cost.amount == 0


# --- filtered


ABLE = [
    model("*", context_tokens=10_000),
    model("sees", tools=True, input=["text", "image"]),
    model("blind", tools=True, input=["text"]),
    model("idle", tools=False, input=["text", "image"]),
]


@pytest.mark.parametrize(
    ("needs", "left"),
    [
        ((), ["blind", "idle", "sees", "unknown"]),
        (("tools",), ["blind", "sees", "unknown"]),
        (("tools", "images"), ["sees", "unknown"]),
    ],
)
def test_what_is_known_to_lack_a_need_is_left_out(needs: tuple[str, ...], left: list[str]) -> None:
    rows = prices(price("sees"), price("blind"), price("idle"), price("unknown"), models=ABLE, needs=needs)
    assert sorted(targets(rows)) == left
    unknown = next(row for row in rows if row.target == "acme:unknown")
    assert unknown.notes == ((f"not known: {', '.join(needs)}",) if needs else ())


@pytest.mark.parametrize("need", NEEDS)
def test_every_need_is_read_from_the_facts(need: str) -> None:
    """Each has a fact that says yes, one that says no, and is unknown without one."""
    yes: dict[str, Any] = {
        "tools": {"tools": True},
        "parallel_tools": {"parallel_tools": True},
        "forced_tool_choice": {"forced_tool_choice": True},
        "images": {"input": ("image",)},
        "audio": {"input": ("audio",)},
        "video": {"input": ("video",)},
        "files": {"input": ("file",)},
        "json": {"output_formats": ("json_object",)},
        "schema": {"output_formats": ("json_schema",)},
        "reasoning": {"reasoning": True},
        "prefill": {"prefill": True},
    }
    (field,) = yes[need]
    no: Any = {"input": ("text",), "output_formats": ()}.get(field, False)
    assert NEEDS[need](chatport.ModelFacts(**yes[need])) is True
    assert NEEDS[need](chatport.ModelFacts(**{field: no})) is False
    assert NEEDS[need](chatport.ModelFacts()) is None


def test_what_has_no_room_for_it_is_left_out() -> None:
    assert targets(prices(price("sees"), models=ABLE, input_tokens=9_000, output_tokens=1_000)) == ["sees"]
    assert targets(prices(price("sees"), models=ABLE, input_tokens=9_000, output_tokens=1_001)) == []


def test_the_policy_holds_and_may_be_made_stricter() -> None:
    config = {"policy": {"allow_regions": ["US", "EU"], "deny_models": ["*:secret*"]}}
    entries = (price("m"), price("secret-1"))
    assert targets(prices(*entries, config=config)) == ["m"]
    assert targets(prices(*entries, config=config, allow_regions=["US"])) == ["m"]
    assert targets(prices(*entries, config=config, allow_regions=["EU"])) == []
    assert targets(prices(*entries, allow_regions=["US"], forbid_training=True)) == ["m", "secret-1"]


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"needs": ["tool"]}, chatport.BadRequestError, "Did you mean 'tools'"),
        ({"input_tokens": -1}, chatport.BadRequestError, "input_tokens is a number of tokens"),
        ({"output_tokens": 1.5}, chatport.BadRequestError, "output_tokens is a number of tokens"),
        ({"cached": 50}, chatport.BadRequestError, "from 0 to 1"),
        ({"cached": float("nan")}, chatport.BadRequestError, "from 0 to 1"),
        ({"currency": "CNY"}, chatport.ConfigurationError, "There is no rate for CNY"),
        ({"rates": {"CNY": 0}}, chatport.ConfigurationError, r"rates\.CNY is a number above 0"),
        ({"providers": ["acmee"]}, chatport.ConfigurationError, "acmee"),
        ({"allow_regions": ["usa"]}, chatport.ConfigurationError, "is no region"),
        ({"needs": "tools"}, chatport.ConfigurationError, "list of texts"),
        ({"needs": ["tools", 5]}, chatport.ConfigurationError, "list of texts, none of them empty"),
    ],
)
def test_what_cannot_be_meant_is_refused(asked: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        prices(price("m"), **asked)


# --- nothing is done for it


def test_no_key_is_read_no_program_run_and_no_server_looked_for(tmp_path: Path) -> None:
    def search(settings: Any) -> list[Discovery]:
        raise AssertionError("nobody asked for a search")

    hidden = Provider("hidden", "Hidden", "", discover=search, facts=facts(price("h")))
    command = {"command": ["touch", str(tmp_path / "ran")]}
    with client(acme(price("m")), hidden, providers={"acme": {"api_key": command}}) as made:
        rows = made.prices(providers=["acme", "hidden"])
    assert sorted(row.target for row in rows) == ["acme:m", "hidden:h"]
    assert not (tmp_path / "ran").exists()


def test_a_provider_that_cannot_be_used_is_left_out_with_a_warning() -> None:
    """Unless it was asked for: then it is the error that a call would be."""
    providers = {"acme": {"flavour": "sweet"}}
    with client(acme(price("m")), providers=providers) as made:
        with pytest.warns(RuntimeWarning, match="The prices of acme are left out: .*unknown key 'flavour'"):
            assert not [row for row in made.prices() if row.target.startswith("acme:")]
        with pytest.raises(chatport.ConfigurationError, match="unknown key 'flavour'"):
            made.prices(providers=["acme"])


def test_the_values_are_frozen_and_can_be_compared() -> None:
    (row,) = prices(price("m"))
    assert (row,) == prices(price("m"))
    with pytest.raises(AttributeError):
        row.target = "x"  # type: ignore[misc]  # that is the point
    assert len(repr(row)) < 500  # without all the facts
