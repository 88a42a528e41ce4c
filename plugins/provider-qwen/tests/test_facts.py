"""The facts file: it agrees with the twin's own book, and prices hold only where they were listed."""

from __future__ import annotations

import pytest

import chatport
from chatport.facts import load_facts
from chatport.testing import Emulator
from chatport_qwen.emulator import _MODELS

FACTS = load_facts("chatport_qwen")
INTL = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
CN = "https://dashscope.aliyuncs.com/compatible-mode/v1"


@pytest.mark.parametrize("name", _MODELS)
def test_both_books_say_the_same(name):
    facts, twin = FACTS.describe(name), _MODELS[name]
    quirks = facts.quirks
    assert quirks["thinking"] == twin.thinking
    if facts.default_effort is not None:
        assert (facts.default_effort != "none") == (twin.thinks or twin.thinking == "always")
    if twin.budget is not None:
        assert quirks["thinking_budget"] == twin.budget
    assert tuple(facts.output_formats or ()) == twin.formats
    assert bool(quirks.get("json_with_thinking")) == twin.json_with_thinking
    assert bool(quirks.get("stream_only")) == twin.only_streams
    assert bool(quirks.get("thinking_needs_stream") and twin.thinking != "never") == twin.thinks_in_streams
    assert (facts.forced_tool_choice is not False) == twin.required
    assert facts.prefill is twin.continues


def test_every_entry_names_its_source():
    assert all(entry.source for entry in FACTS.models)
    assert all(price.source and price.hosts for price in FACTS.prices)


def test_newer_models_follow_the_newest_rules():  # QW-0.3
    for model in ("qwen3.9-plus", "qwen4-max"):
        facts = FACTS.describe(model)
        assert (facts.quirks["thinking"], facts.default_effort) == ("switch", "medium")
        assert "json_schema" in (facts.output_formats or ())


def test_limits_depend_on_the_host():
    assert FACTS.describe("qwen-max", INTL).context_tokens == 32_768
    assert FACTS.describe("qwen-max", CN).context_tokens == 131_072


@pytest.mark.parametrize(
    ("settings", "reasoning", "rates", "currency"),
    [
        ({"region": "singapore"}, None, (0.4, 1.2), "USD"),
        ({"region": "singapore"}, "medium", (0.4, 4.0), "USD"),  # QW-U3
        ({"region": "singapore", "workspace": "ws-1"}, None, (0.4, 1.2), "USD"),
        ({"region": "beijing"}, None, (0.115, 0.287), "USD"),
        ({"region": "beijing", "workspace": "ws-1"}, "medium", (0.115, 1.147), "USD"),
    ],
)
def test_prices_by_host_and_thinking(settings, reasoning, rates, currency):
    emulator = Emulator("qwen")
    config = {"providers": {"qwen": {"api_key": "k", **settings}}}
    with chatport.Client(config=config, transport=emulator) as client:
        reply = client.chat("say: hello there", model="qwen:qwen-plus", reasoning=reasoning)
    usage = reply.usage
    assert reply.cost is not None
    assert reply.cost.currency == currency
    assert reply.cost.amount * 1e6 == pytest.approx(usage.input_tokens * rates[0] + usage.output_tokens * rates[1])


@pytest.mark.parametrize(
    "settings",
    [
        {"region": "virginia"},
        {"region": "frankfurt", "workspace": "ws-1"},
        {"base_url": "https://coding-intl.dashscope.aliyuncs.com/v1"},
        {"base_url": "https://coding.dashscope.aliyuncs.com/v1"},
        {"base_url": "https://token-plan.cn-beijing.maas.aliyuncs.com/compatible-mode/v1"},
        {"base_url": "https://token-plan.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1"},
    ],
)
def test_no_price_is_guessed_elsewhere(settings):  # QW-B3
    emulator = Emulator("qwen")
    config = {"providers": {"qwen": {"api_key": "k", **settings}}}
    with chatport.Client(config=config, transport=emulator) as client:
        assert client.chat("hi", model="qwen:qwen-plus").cost is None


def test_the_flagship_is_priced_in_yuan_at_home():
    (price,) = FACTS.describe("qwen3.8-max", CN).prices
    assert (price.currency, price.input, price.output) == ("CNY", 12.0, 36.0)
    assert FACTS.describe("qwen3.8-max", INTL).prices == ()
