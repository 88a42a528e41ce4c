"""Policy: which calls may be sent where, on what facts, and how the configuration says so."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

from chatport.errors import ConfigurationError, PluginError, PolicyError
from chatport.facts import Facts, HostFacts, load_facts
from chatport.limits.policy import Policy, check_policy, host_facts
from chatport.provider import Provider
from chatport.setup.config import Config, load_config
from chatport.setup.tables import BudgetConfig

URL = "https://api.acme.example/v1"
FACTS = HostFacts(("US", "DE"), False, 30, "https://acme.example/privacy", "2026-05-01")
ACME = Provider(
    "acme",
    "Acme",
    URL,
    facts=Facts(
        "acme",
        "2026-01-01",
        hosts={
            "api.acme.example": FACTS,
            "*.acme.example": HostFacts(("US",), True, source="s", date="d"),
            "eu.acme.example": HostFacts(("EU",), False, source="s", date="d"),
            "lab.acme.example": HostFacts(("US",), False, source="s", date="d", trains_on=("lab-*",)),
            "anywhere.acme.example": HostFacts(("global",), source="s", date="d"),
        },
    ),
)


def refused(policy: Policy, url: str = URL, model: str = "m", provider: Provider = ACME, **more: Any) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        check_policy(policy, provider, url, model, **more)
    assert "nothing was sent" in str(caught.value)
    return caught.value


# --- providers and models


def test_without_a_policy_all_is_allowed() -> None:
    """The defaults forbid nothing, whatever is known of the host."""
    check_policy(Policy(), ACME, "https://nobody-knows.example", "m")


def test_providers_by_name() -> None:
    """The name is the one in targets: another account of an allowed vendor is not allowed with it."""
    policy = Policy(allow_providers=("acme", "local"))
    check_policy(policy, ACME, URL, "m")
    error = refused(policy, provider=attrs.evolve(ACME, name="work"))
    assert (error.rule, error.provider, error.model) == ("allow_providers", "work", "m")
    assert '["acme", "local"]' in str(error)
    assert refused(Policy(allow_providers=())).rule == "allow_providers"


@pytest.mark.parametrize(
    ("pattern", "model", "is_denied"),
    [
        ("acme:m", "m", True),
        ("acme:m", "m2", False),
        ("acme:m*", "m2", True),
        ("*:m", "m", True),
        ("*preview*", "x-PREVIEW-1", True),
        ("ACME:M", "m", True),
        ("other:m", "m", False),
    ],
)
def test_models_by_pattern(pattern: str, model: str, is_denied: bool) -> None:
    """A pattern is a glob over "provider:model"; case does not count, since vendors do not agree on it."""
    policy = Policy(deny_models=("nobody:*", pattern))
    if is_denied:
        error = refused(policy, model=model)
        assert error.rule == "deny_models"
        assert repr(pattern) in str(error)
    else:
        check_policy(policy, ACME, URL, model)


def test_a_denied_model_is_denied_under_another_name_too() -> None:
    """A second account of the vendor does not get around the rule."""
    work = attrs.evolve(ACME, name="work")
    assert refused(Policy(deny_models=("acme:m",)), provider=work).rule == "deny_models"
    assert refused(Policy(deny_models=("work:m",)), provider=work).rule == "deny_models"
    check_policy(Policy(deny_models=("work:m",)), ACME, URL, "m")


# --- regions


@pytest.mark.parametrize(
    ("allowed", "host", "is_allowed"),
    [
        (("US", "DE"), "api", True),
        (("US", "EU"), "api", True),  # Germany is in the EU
        (("US",), "api", False),  # it may be either
        (("EU",), "api", False),
        (("EU",), "eu", True),
        (("DE",), "eu", False),  # anywhere in the EU is not in Germany
        ((), "eu", False),
        (("US", "EU"), "anywhere", False),
        (("global",), "anywhere", True),
        (("US",), "other", True),  # by the pattern of the subdomains
    ],
)
def test_every_region_of_a_host_must_be_allowed(allowed: tuple[str, ...], host: str, is_allowed: bool) -> None:
    """Where a request may be processed in one of several places, all of them must be allowed."""
    policy = Policy(allow_regions=allowed)
    url = f"https://{host}.acme.example/v1"
    if is_allowed:
        check_policy(policy, ACME, url, "m")
    else:
        assert refused(policy, url).rule == "allow_regions"


def test_a_refusal_names_rule_fact_source_and_way_out() -> None:
    """The reader need not look anything up."""
    text = str(refused(Policy(allow_regions=("EU",))))
    for part in ('allow_regions = ["EU"]', "api.acme.example", "US, DE", FACTS.source, FACTS.date, 'add ["US"]'):
        assert part in text


@pytest.mark.parametrize("unknown", ["deny", "allow"])
@pytest.mark.parametrize(
    "url",
    [
        "https://api.acme.example.evil.example",
        "https://notacme.example",
        "https://acme.example",
        "https://10.0.0.1",
        "https://api.acme.example@evil.example",
    ],
)
def test_a_vendors_facts_hold_for_its_own_hosts_only(url: str, unknown: Literal["deny", "allow"]) -> None:
    """Nothing is known of another host, and what is not known is denied unless the policy says otherwise."""
    assert host_facts(ACME, url) == HostFacts()
    for policy in (
        Policy(allow_regions=("US", "EU"), unknown=unknown),
        Policy(forbid_training=True, unknown=unknown),
    ):
        if unknown == "deny":
            assert "not known" in str(refused(policy, url))
        else:
            check_policy(policy, ACME, url, "m")


def test_the_most_specific_name_of_a_host_counts() -> None:
    """A full name comes before a pattern, and the longer pattern before the shorter, in whatever order they stand."""
    patterns = ("*.b.example", "a.b.example", "*.x.b.example", "*.example")
    hosts = {pattern: HostFacts(source=pattern) for pattern in patterns}
    for known in (hosts, dict(reversed(hosts.items()))):
        facts = Facts("p", "d", hosts=known)
        for host, pattern in {"a.b.example": "a.b.example", "c.x.b.example": "*.x.b.example"}.items():
            assert facts.host(f"https://{host}/v1") == hosts[pattern]


def test_allowing_the_unknown_allows_nothing_that_is_known() -> None:
    """The switch is for missing facts only."""
    assert refused(Policy(allow_regions=("FR",), unknown="allow")).rule == "allow_regions"
    assert refused(Policy(forbid_training=True, unknown="allow"), "https://x.acme.example").rule == "forbid_training"


@pytest.mark.parametrize(
    "host", ["localhost", "a.localhost", "127.0.0.1", "127.8.9.1", "[::1]", "box.local", "LOCALHOST:8000"]
)
def test_this_machine_is_known_by_its_address(host: str) -> None:
    """A server here, or on the local link, is in the region "local" and trains on nothing."""
    url = f"http://{host}/v1"
    plain = Provider("box", "Box", url)
    check_policy(Policy(allow_regions=("local",), forbid_training=True), plain, url, "m")
    assert refused(Policy(allow_regions=("EU",)), url, provider=plain).rule == "allow_regions"


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.2", "local", "local.example", "127.0.0.1.example", "0.0.0.0"])
def test_other_addresses_are_not_this_machine(host: str) -> None:
    """A private address may be anywhere in a company: its user can say where."""
    assert host_facts(ACME, f"http://{host}/v1") == HostFacts()


# --- training


def test_training() -> None:
    """A vendor that trains is refused, one that does not is not, one that does not say is unknown."""
    policy = Policy(forbid_training=True)
    check_policy(policy, ACME, URL, "m")
    error = refused(policy, "https://x.acme.example")
    assert error.rule == "forbid_training"
    assert "(s, d)" in str(error)
    assert "not known" in str(refused(policy, "https://anywhere.acme.example"))


def test_models_on_which_a_vendor_trains_in_any_case() -> None:
    """They are refused by their names; a contract that says otherwise is stated, and counts."""
    policy, url = Policy(forbid_training=True), "https://lab.acme.example/v1"
    check_policy(policy, ACME, url, "large")
    check_policy(policy, ACME, url, "lab-large", HostFacts(trains=False, source="here"))
    assert refused(policy, url, "lab-large").rule == "forbid_training"
    assert refused(policy, url, "lab-large", stated=HostFacts(("US",), source="here")).rule == "forbid_training"


# --- what the user states


def test_stated_facts_come_first() -> None:
    """They hold against the vendor's and the address's: a gateway on this machine may send requests on."""
    stated = HostFacts(("CN",), True, source="[providers.acme] of the configuration")
    for url in (URL, "http://127.0.0.1:4000", "https://unknown.example"):
        assert stated.source in str(refused(Policy(allow_regions=("US", "EU", "local")), url, stated=stated))
        assert refused(Policy(forbid_training=True), url, stated=stated).rule == "forbid_training"


def test_what_is_not_stated_stays_as_it_is_known() -> None:
    """Stating the one fact does not unsay the other."""
    found = host_facts(ACME, URL, HostFacts(trains=True, source="here"))
    assert (found.regions, found.trains, found.retention_days) == (("US", "DE"), True, 30)
    assert found.source == f"here; {FACTS.source}"
    found = host_facts(ACME, URL, HostFacts(("FR",), source="here"))
    assert (found.regions, found.trains) == (("FR",), False)


def test_facts_stated_in_the_configuration() -> None:
    """`regions` and `trains` stand beside the base_url they are facts of."""
    table = {"kind": "compatible", "base_url": "https://llm.acme.example", "regions": ["EU", "CH"], "trains": False}
    config = load_config({"providers": {"x": table, "y": {}}}, environment={})
    stated = config.providers["x"].stated_facts("x")
    assert stated == HostFacts(("EU", "CH"), False, source="[providers.x] of the configuration")
    assert config.providers["y"].stated_facts("y") is None
    check_policy(Policy(allow_regions=("EU", "CH"), forbid_training=True), ACME, "https://h.example", "m", stated)


def test_a_new_base_url_does_not_inherit_facts(tmp_path: Path) -> None:
    """What was stated of the address in the file is not true of the one in the argument."""
    path = tmp_path / "chatport.toml"
    path.write_text('[providers.x]\nbase_url = "https://a.example"\nregions = ["EU"]\ntrains = false\n')
    environment = {"CHATPORT_CONFIG": str(path)}
    kept = load_config({"providers": {"x": {"base_url": "https://a.example"}}}, environment=environment)
    assert kept.providers["x"].regions == ("EU",)
    moved = load_config({"providers": {"x": {"base_url": "https://b.example"}}}, environment=environment)
    assert moved.providers["x"].stated_facts("x") is None


@pytest.mark.parametrize("fact", [{"regions": ["EU"]}, {"trains": False}])
def test_a_fact_without_its_address_is_refused(fact: dict[str, Any], tmp_path: Path) -> None:
    """The address might come from elsewhere, the environment for one, and change without the fact."""
    environment = {"LLM_PROVIDER": "x", "LLM_BASE_URL": "https://a.example"}
    with pytest.raises(ConfigurationError, match=rf"\[providers.x\] {next(iter(fact))} .* base_url"):
        load_config({"providers": {"x": fact}}, environment=environment)


# --- the tables


def test_the_policy_table() -> None:
    """Every key is read; without the table nothing is forbidden."""
    table = {
        "allow_regions": ["EU", "local"],
        "forbid_training": True,
        "allow_providers": ["acme"],
        "deny_models": ["*:x-*", "*-preview"],
        "unknown": "allow",
    }
    policy = load_config({"policy": table}, environment={}).policy
    assert policy == Policy(("EU", "local"), True, ("acme",), ("*:x-*", "*-preview"), "allow")
    assert {field.name for field in attrs.fields(Policy)} == set(table)
    assert Config().policy == Policy()
    assert load_config({"policy": {"allow_regions": []}}, environment={}).policy.allow_regions == ()


def test_the_budget_table() -> None:
    """Every key is read."""
    table = {"usd": 5, "tokens": 1000, "unknown_cost": "allow", "rates": {"CNY": 0.14}}
    assert load_config({"budget": table}, environment={}).budget == BudgetConfig(5.0, 1000, "allow", {"CNY": 0.14})
    assert {field.name for field in attrs.fields(BudgetConfig)} == set(table)
    assert Config().budget == BudgetConfig()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"policy": {"allow_region": ["EU"]}}, "unknown key 'allow_region'. Did you mean 'allow_regions'"),
        ({"policy": {"allow_regions": "EU"}}, "[policy] allow_regions is a list"),
        ({"policy": {"allow_regions": ["eu"]}}, "[policy] allow_regions: 'eu' is no region"),
        ({"policy": {"forbid_training": "yes"}}, "[policy] forbid_training is true or false"),
        ({"policy": {"allow_providers": [""]}}, "[policy] allow_providers is a list"),
        ({"policy": {"deny_models": ["gpt-4"]}}, '\'gpt-4\' matches no "provider:model"; write "*:gpt-4"'),
        ({"policy": {"unknown": "ask"}}, '[policy] unknown is "deny" or "allow"'),
        ({"policy": ["EU"]}, "policy must be a table"),
        ({"budget": {"usd": 0}}, "[budget] usd is a number above 0"),
        ({"budget": {"usd": "1"}}, "[budget] usd is a number above 0"),
        ({"budget": {"tokens": 1.5}}, "[budget] tokens is a whole number above 0"),
        ({"budget": {"tokens": True}}, "[budget] tokens is a whole number above 0"),
        ({"budget": {"unknown_cost": "ask"}}, '[budget] unknown_cost is "refuse" or "allow"'),
        ({"budget": {"rates": {"CNY": "0.14"}}}, "[budget] rates.CNY is a number above 0"),
        ({"budget": {"rates": {"USD": 1}}}, "USD needs none"),
        ({"budget": {"rates": 0.14}}, "rates must be a table"),
        ({"budget": {"euro": 1}}, "unknown key 'euro'"),
        ({"providers": {"x": {"base_url": URL, "regions": ["Germany"]}}}, "[providers.x] regions: 'Germany'"),
        ({"providers": {"x": {"base_url": URL, "trains": "no"}}}, "[providers.x] trains is true or false"),
    ],
)
def test_a_wrong_value_is_told_with_its_key(config: Any, words: str) -> None:
    """The text names table and key, and what would be right."""
    with pytest.raises(ConfigurationError) as caught:
        load_config(config, environment={})
    assert words in str(caught.value)


# --- facts files


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ({"*": {"source": "s", "date": "d"}}, "neither a host name"),
        ({"*.com*": {"source": "s", "date": "d"}}, "neither a host name"),
        ({"https://a.example": {"source": "s", "date": "d"}}, "neither a host name"),
        ({"a.example": {"regions": ["Germany"], "source": "s", "date": "d"}}, "'Germany'"),
        ({"a.example": {"trains": True, "date": "d"}}, "need a source and a date"),
        ({"a.example": {"trains": True, "source": "s"}}, "need a source and a date"),
        ({"a.example": {"trains": "no", "source": "s", "date": "d"}}, "Expected `bool | null`"),
    ],
)
def test_host_facts_that_nobody_can_rely_on_break_the_file(
    hosts: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pattern that could match a stranger's host, an unknown code, or a fact without source and date."""
    package = f"facts_of_{tmp_path.name}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / "facts.json").write_text(json.dumps({"provider": "p", "date": "d", "hosts": hosts}))
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with pytest.raises(PluginError) as caught:
            load_facts(package)
        assert words in str(caught.value)
    finally:
        sys.modules.pop(package, None)
