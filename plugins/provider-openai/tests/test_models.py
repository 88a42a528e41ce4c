"""Facts: unknown versions, retirements on their day, and prices that are known or left out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

import pytest

from chatport.facts import cost_of
from chatport.types import Usage
from chatport_openai import provider
from chatport_openai.models import heir_of, undated

PATTERNS = [entry.match for entry in provider.facts.models]


@pytest.mark.parametrize(
    ("model", "heir"),
    [
        ("gpt-6.3-sol", "gpt-6.2-sol"),
        ("gpt-6.3-astra", "gpt-6.2-astra"),
        ("gpt-6.2-terra", "gpt-6.1-terra"),
        ("gpt-6.2-luna", "gpt-6-luna"),
        ("gpt-6.2-luna-2027-01-05", "gpt-6-luna"),
        ("gpt-7-luna", "gpt-6-luna"),
        ("gpt-6-mini", "gpt-6-sol"),
        ("gpt-7", "gpt-6.2-sol"),
        ("gpt-10.1-sol", "gpt-6.2-sol"),
        ("gpt-5.7", "gpt-5.5"),
        ("gpt-5.7-mini", "gpt-5.5"),
        ("gpt-5.7-sol", "gpt-5.6-sol"),
        ("gpt-5.10", "gpt-5.5"),
    ],
)
def test_an_unknown_version_follows_the_newest_known_of_its_line(model, heir):
    assert heir_of(model, PATTERNS) == heir


@pytest.mark.parametrize(
    "model",
    [
        *("gpt-5", "gpt-5-mini", "gpt-5-2025-08-07", "gpt-5.1-codex-max", "gpt-5.3-codex", "gpt-5.6-luna"),
        *("gpt-6-sol", "gpt-6-sol-2026-09-22", "gpt-6.2-sol", "gpt-4", "gpt-4o", "gpt-4o-mini", "gpt-3.5-turbo-16k"),
        *("gpt-oss-120b", "gpt-image-1", "gpt-3", "o5", "ft:gpt-7:acme::x", "somebody-elses-model"),
    ],
)
def test_a_known_version_or_another_grammar_speaks_for_itself(model):
    assert heir_of(model, PATTERNS) is None


def test_the_rules_are_inherited_and_nothing_else(facts):
    heir, model = facts("gpt-6-luna"), facts("gpt-7-luna")
    assert (model.efforts, model.default_effort, model.reasoning) == (heir.efforts, "medium", True)
    assert model.quirks == {**heir.quirks, "inherited_from": "gpt-6-luna"}
    assert model.context_tokens is None
    assert model.max_output_tokens is None
    assert model.prices == ()
    assert "OA-K5" in model.source


def test_dotted_versions_never_fall_through(facts):
    """A pattern for gpt-5 that stops at a dot once hid gpt-5.6."""
    for model in ("gpt-5", "gpt-5.1", "gpt-5.6-sol", "gpt-5.9", "gpt-5.11-terra", "gpt-6", "gpt-12.3-sol"):
        assert facts(model).reasoning is True, model
        assert facts(model).quirks["instructions"] == "developer", model


def test_the_o_series_is_read_by_its_letter(facts):
    assert facts("o7-mini").efforts == ("low", "medium", "high")
    assert facts("omni-moderation-latest").reasoning is None


def test_a_snapshot_has_the_rules_and_the_price_of_its_model(facts):
    assert undated("gpt-5.4-2026-03-05") == "gpt-5.4"
    assert facts("gpt-5.4-2026-03-05").prices == facts("gpt-5.4").prices
    assert facts("gpt-5.4-2026-03-05").efforts == facts("gpt-5.4").efforts
    assert facts("gpt-4o-2024-05-13").prices != facts("gpt-4o").prices


def test_the_cap_on_tools_holds_for_every_model(facts):
    assert {facts(model).max_tools for model in ("gpt-4o", "gpt-7-luna", "unheard-of")} == {128}


# --- retirements


@pytest.mark.parametrize(
    ("model", "successor", "effort"),
    [
        ("gpt-3.5-turbo", "gpt-6-luna", "none"),
        ("gpt-4", "gpt-6-sol", "none"),
        ("gpt-4-turbo", "gpt-6-sol", "none"),
        ("gpt-4o-2024-05-13", "gpt-6-sol", "none"),
        ("gpt-4.1-nano", "gpt-6-luna", "none"),
        ("o1", "gpt-6-sol", None),
        ("o1-pro", "gpt-6-sol", "high"),
        ("o3-mini", "gpt-6.1-terra", None),
        ("o4-mini", "gpt-6.1-terra", None),
    ],
)
def test_a_retired_model_is_followed(shape, model, successor, effort):
    wire = shape(model=model, today="2026-10-23")
    assert wire.body["model"] == successor
    assert wire.body.get("reasoning_effort") == effort
    assert [(note.kind, note.fact[:5]) for note in wire.adjustments] == [("redirected", "OA-U4")]
    assert shape(model=model, today="2026-10-22").body["model"] == model


NEXT = {
    "2026-12-11": ["gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5-pro", "o3", "o3-pro"],
    "2027-01-14": ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4o-2024-08-06"],
    "2027-04-01": ["gpt-5.1", "gpt-5.4-nano", "gpt-5.3-codex"],
}


@pytest.mark.parametrize(("day", "model"), [(day, model) for day, models in NEXT.items() for model in models])
def test_an_announced_end_holds_from_its_day_on(shape, day, model):
    assert shape(model=model, today="2026-11-22").body["model"] == model
    wire = shape(model=model, today=day)
    assert wire.body["model"].startswith("gpt-6")
    assert wire.adjustments[0].fact == "OA-U5; the choice of successor is ours"


def test_a_successor_is_never_retired_itself():
    names = {entry.id for entry in provider.facts.retired}
    assert not names & {entry.successor for entry in provider.facts.retired}


def test_a_successor_keeps_what_the_retired_model_could_do(shape):
    """Sampling and tools went through on gpt-4-turbo without a loss, and so they do on what answers for it."""
    tool = {"name": "look", "parameters": {"type": "object", "properties": {}}}
    wire = shape(model="gpt-4-turbo", temperature=0.2, tools=[tool])
    assert wire.body["temperature"] == 0.2
    assert [note.kind for note in wire.adjustments] == ["redirected"]


# --- prices


class TestPrices:
    NOON: ClassVar = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def cost(self, facts, model, inputs, output, *, at=NOON, **more):
        cost = cost_of(Usage(inputs, output, **more), facts(model).prices, at=at)
        return None if cost is None else round(cost.amount, 9)

    def test_plain_cached_and_written(self, facts):
        assert self.cost(facts, "gpt-6-luna", 1000, 100) == 0.00015
        assert self.cost(facts, "gpt-6-luna", 1000, 100, cached_input_tokens=1000) == 0.00006
        assert self.cost(facts, "gpt-6-luna", 1000, 100, cache_write_tokens=1000) == 0.000175

    @pytest.mark.parametrize("model", ["gpt-5.4", "gpt-5.6-terra", "gpt-6-astra", "gpt-6-sol", "gpt-6.2-astra"])
    def test_long_input_costs_double_and_its_output_half_more(self, facts, model):
        """OA-U6, OA-P13."""
        (price,) = [price for price in facts(model).prices if price.until is None]
        at, above = 272_000, 272_001
        assert self.cost(facts, model, at, 1000) == round((at * price.input + 1000 * price.output) / 1e6, 9)
        dear = (above * price.input * 2 + 1000 * price.output * 1.5) / 1e6
        assert self.cost(facts, model, above, 1000) == round(dear, 9)
        (tier,) = price.tiers
        assert tier.cached_input == (None if price.cached_input is None else round(price.cached_input * 2, 6))
        assert tier.cache_write == (None if price.cache_write is None else round(price.cache_write * 2, 6))

    def test_short_models_have_no_tier(self, facts):
        assert self.cost(facts, "gpt-5.2", 300_000, 0) == 0.525

    def test_prices_change_on_their_day(self, facts):
        july, august = datetime(2026, 7, 29, tzinfo=UTC), datetime(2026, 8, 10, tzinfo=UTC)
        assert self.cost(facts, "gpt-5.6-terra", 1000, 0, at=july) is None
        assert self.cost(facts, "gpt-5.6-terra", 1000, 0, at=august) == 0.002
        assert self.cost(facts, "gpt-5.6-sol", 1000, 0, at=august) == 0.005
        assert self.cost(facts, "gpt-5.6-sol", 1000, 0) == 0.004
        assert self.cost(facts, "gpt-5.6-sol", 1000, 0, at=datetime(2026, 8, 25, tzinfo=UTC)) is None

    def test_an_unknown_price_is_not_guessed(self, facts):
        for model in ("gpt-7-luna", "gpt-5.5-pro", "gpt-4o-audio-preview", "gpt-5.3"):
            assert self.cost(facts, model, 1000, 100) is None, model

    def test_embeddings(self, facts):
        assert self.cost(facts, "text-embedding-3-small", 1_000_000, 0) == 0.02
        assert self.cost(facts, "text-embedding-3-large", 1_000_000, 0) == 0.13

    def test_every_price_and_rule_has_a_source(self):
        held = (*provider.facts.models, *provider.facts.prices, *provider.facts.retired)
        assert [entry for entry in held if not entry.source] == []

    def test_a_cached_rate_that_is_not_known_is_not_guessed(self, facts):
        prices = facts("gpt-6-sol").prices
        assert cost_of(Usage(1000, 10, cached_input_tokens=900), prices, at=self.NOON) is None
        assert cost_of(Usage(1000, 10, cached_input_tokens=0), prices, at=self.NOON) is not None
