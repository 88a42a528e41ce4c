"""Addresses, retired names, prices."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chatport import Message, ModelNotFoundError, UnsupportedFeatureError, Usage
from chatport.call import Call
from chatport.facts import cost_of
from chatport.setup.config import load_config
from chatport.setup.routes import Routes
from chatport.setup.vendors import Vendors
from chatport_deepseek import provider

USAGE = Usage(input_tokens=1_000_000, output_tokens=500_000, cached_input_tokens=400_000)
OFF_PEAK = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)  # Monday 12:30 in Beijing


def vendors(**more):
    config = load_config({"providers": {"deepseek": {"api_key": "k"}}, **more}, environment={"CHATPORT_CONFIG": ""})
    return Vendors(config, environment={})


def route(model, today="2026-11-22", options=None, **more):
    options = options or {}
    call = Call((Message.user("hi"),), **options)
    return Routes(vendors(**more)).route(call, f"deepseek:{model}", timeouts={}, options=options, today=today)


def test_provider_addresses():
    opened = Vendors(load_config({}, environment={"CHATPORT_CONFIG": ""}), environment={"DEEPSEEK_API_KEY": "k"})
    assert opened.provider("deepseek").base_url == "https://api.deepseek.com"
    environment = {"DEEPSEEK_API_KEY": "k", "DEEPSEEK_API_BASE": "http://127.0.0.1:1/v1"}
    opened = Vendors(load_config({}, environment={"CHATPORT_CONFIG": ""}), environment=environment)
    assert opened.provider("deepseek").base_url == "http://127.0.0.1:1/v1"
    assert route("deepseek-flash").timeouts.first_event > 600


def test_no_embeddings():
    from chatport import Client

    assert provider.dialect.embeddings_path is None
    with pytest.raises(UnsupportedFeatureError):
        Client(config={"providers": {"deepseek": {"api_key": "k"}}}).embed("text", model="deepseek:deepseek-flash")


@pytest.mark.parametrize(
    ("old", "thinking"), [("deepseek-chat", {"type": "disabled"}), ("deepseek-reasoner", {"type": "enabled"})]
)
def test_retired_names_keep_their_behaviour(old, thinking):
    """DS-0.1, DS-0.5"""
    taken = route(old)
    assert taken.wire.body["model"] == "deepseek-flash"
    assert taken.wire.body["thinking"] == thinking
    assert [(note.kind, note.field, note.fact) for note in taken.wire.adjustments] == [
        ("redirected", "model", "DS-0.5")
    ]


def test_a_wish_beats_the_old_behaviour():
    assert route("deepseek-chat", options={"reasoning": "low"}).wire.body["reasoning_effort"] == "low"


def test_names_hold_until_the_day_they_end():
    assert route("deepseek-chat", today="2026-07-23").wire.body["model"] == "deepseek-chat"


def test_retired_names_can_be_errors():
    with pytest.raises(ModelNotFoundError, match="deepseek-flash"):
        route("deepseek-chat", retired_models="raise")


@pytest.mark.parametrize(
    ("at", "factor"),
    [
        (OFF_PEAK, 1),
        (datetime(2026, 11, 23, 1, 0, tzinfo=UTC), 2),  # Monday 09:00
        (datetime(2026, 11, 23, 9, 59, tzinfo=UTC), 2),  # Monday 17:59
        (datetime(2026, 11, 23, 10, 0, tzinfo=UTC), 1),  # Monday 18:00
        (datetime(2026, 11, 22, 2, 0, tzinfo=UTC), 1),  # Sunday 10:00
    ],
)
@pytest.mark.parametrize(
    ("model", "amount"),
    [
        ("deepseek-flash", 0.6 * 1 + 0.4 * 0.02 + 0.5 * 4),
        ("deepseek-v4-pro", 0.6 * 4.5 + 0.4 * 0.15 + 0.5 * 13.5),
    ],
)
def test_prices_depend_on_the_clock(model, amount, at, factor):
    cost = cost_of(USAGE, provider.facts.describe(model).prices, at=at)
    assert cost.currency == "CNY"
    assert cost.amount == pytest.approx(amount * factor)


@pytest.mark.parametrize("model", ["deepseek-v4-flash", "deepseek-v4-flash-vision-exp"])
def test_old_flash_names_cost_what_flash_costs(model):
    flash = cost_of(USAGE, provider.facts.describe("deepseek-flash").prices, at=OFF_PEAK)
    assert cost_of(USAGE, provider.facts.describe(model).prices, at=OFF_PEAK).amount == flash.amount


@pytest.mark.parametrize(("model", "input_rate"), [("deepseek-v4-flash", 0.14), ("deepseek-v4-pro", 0.435)])
def test_prices_of_july_were_in_dollars(model, input_rate):
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    cost = cost_of(usage, provider.facts.describe(model).prices, at=datetime(2026, 7, 15, tzinfo=UTC))
    assert (cost.amount, cost.currency) == (pytest.approx(input_rate), "USD")


def test_unknown_prices_are_not_guessed():
    assert cost_of(USAGE, provider.facts.describe("deepseek-v9-turbo").prices, at=OFF_PEAK) is None
    august = datetime(2026, 8, 15, tzinfo=UTC)
    assert cost_of(USAGE, provider.facts.describe("deepseek-flash").prices, at=august) is None


def test_an_unknown_model_inherits_the_newest_rules():
    new, known = (provider.facts.describe(name) for name in ("deepseek-v9-turbo", "deepseek-flash"))
    assert (new.efforts, new.quirks, new.output_formats) == (known.efforts, known.quirks, known.output_formats)
    assert new.context_tokens is None
    assert new.input == ()


def test_every_entry_names_its_source():
    facts = provider.facts
    assert all(entry.source for entry in (*facts.models, *facts.prices, *facts.retired))
