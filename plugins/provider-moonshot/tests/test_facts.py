"""Addresses, keys, retired names, prices."""

from __future__ import annotations

import pytest

from chatport import Client, ConfigurationError, Message, UnsupportedFeatureError, Usage
from chatport.call import Call
from chatport.facts import cost_of
from chatport.setup.config import load_config
from chatport.setup.routes import Routes
from chatport.setup.vendors import Vendors
from chatport_moonshot import provider

AI, CN = "https://api.moonshot.ai/v1", "https://api.moonshot.cn/v1"
USAGE = Usage(input_tokens=1_000_000, output_tokens=1_000_000, cached_input_tokens=500_000)


def vendors(environment=None, **table):
    config = load_config({"providers": {"moonshot": table}}, environment={"CHATPORT_CONFIG": ""})
    return Vendors(config, environment=environment or {})


@pytest.mark.parametrize(
    ("table", "environment", "address"),
    [
        ({}, {}, AI),
        ({"region": "international"}, {}, AI),
        ({"region": "china"}, {}, CN),
        ({}, {"MOONSHOT_REGION": "china"}, CN),
        ({}, {"MOONSHOT_API_BASE": CN}, CN),
        ({"base_url": "http://127.0.0.1:1/v1", "api_key": "k"}, {}, "http://127.0.0.1:1/v1"),
    ],
)
def test_addresses(table, environment, address):
    """MS-B1, MS-B3, MS-D1"""
    assert vendors(environment, **table).provider("moonshot").base_url == address


@pytest.mark.parametrize("name", ["MOONSHOT_API_KEY", "MOONSHOTAI_API_KEY", "KIMI_API_KEY"])
def test_keys(name):
    """MS-B2, MS-B3: a bearer key; both platforms are the vendor's own hosts."""
    opened = vendors({name: "sk-1"}, base_url=CN).provider("moonshot")
    assert opened.key is not None
    assert provider.auth.prefix == "Bearer "


def test_unknown_regions_and_embeddings():
    """MS-N3"""
    with pytest.raises(ConfigurationError, match="international, china"):
        vendors(region="mars").provider("moonshot")
    with pytest.raises(UnsupportedFeatureError):
        Client(config={"providers": {"moonshot": {"api_key": "k"}}}).embed("text", model="moonshot:kimi-k3")


RETIRED = [
    ("moonshot-v1-128k", "2026-11-22", "kimi-k2.6", {"type": "disabled"}),
    ("moonshot-v1-8k-vision-preview", "2026-11-22", "kimi-k2.6", {"type": "disabled"}),
    ("kimi-latest", "2026-11-22", "kimi-k2.6", {"type": "disabled"}),
    ("kimi-k2-0905-preview", "2026-11-22", "kimi-k2.6", {"type": "disabled"}),
    ("kimi-k2-thinking-turbo", "2026-11-22", "kimi-k2.6", None),
    ("kimi-k2.5", "2026-11-22", "kimi-k2.6", None),
    ("kimi-k2.5", "2027-01-02", "kimi-k3.1-pro", None),
    ("kimi-k2.7-code-highspeed", "2027-01-02", "kimi-k3.1-pro-highspeed", None),
    ("kimi-k2.6", "2026-12-31", "kimi-k2.6", None),
]


@pytest.mark.parametrize(("old", "today", "successor", "thinking"), RETIRED)
def test_retired_names_are_followed(old, today, successor, thinking):
    """MS-0.1, MS-0.2: old names that did not think still do not, as long as there is a model that can."""
    call = Call((Message.user("hi"),))
    route = Routes(vendors(api_key="k")).route(call, f"moonshot:{old}", timeouts={}, options={}, today=today)
    assert (route.wire.body["model"], route.wire.body.get("thinking")) == (successor, thinking)
    assert [note.kind for note in route.wire.adjustments].count("redirected") >= (old != successor)
    assert route.timeouts.total == 1800


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("kimi-k3", 16.65), ("kimi-k3.1-pro", 11.1), ("kimi-k3.1-pro-highspeed", 22.1), ("kimi-k2.7-code", 4.57),
        ("kimi-k2.7-code-highspeed", 9.14), ("kimi-k2.6", 4.555), ("kimi-k9", None),
    ],
)  # fmt: skip
def test_prices(model, cost):
    """MS-U2: on the international platform; those in China are not known."""
    opened = vendors(api_key="k")
    found = cost_of(USAGE, opened.facts(opened.provider("moonshot"), model).prices)
    assert (found and round(found.amount, 6)) == cost
    china = vendors(region="china")
    assert china.facts(china.provider("moonshot"), model).prices == ()


def test_every_entry_has_its_source():
    assert all(entry.source for entry in (*provider.facts.models, *provider.facts.prices, *provider.facts.retired))
    described = provider.facts.describe("kimi-k2.7-code")
    assert (described.context_tokens, described.quirks["fixed"]["top_p"]) == (262_144, 0.95)
