"""Which of a vendor's protocols a call takes: the user's word, the model's facts, what the call needs."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import attrs
import pytest

from chatport import Client, ConfigurationError, Dialect, Explanation, Protocol, Provider, UnsupportedFeatureError
from chatport.call import Call
from chatport.facts.models import ModelFacts
from chatport.facts.rules import NEEDS, ProtocolRule, Rules
from chatport.plugins import installed
from chatport.plugins.installed import InstalledPlugin
from chatport.setup.protocols import choose
from chatport.types import Message, OutputSpec

LOOK = {"name": "look", "parameters": {"type": "object", "properties": {}}}


def other(provider: Provider) -> Provider:
    return attrs.evolve(provider, dialect=Dialect(chat_path="/other", max_tokens_field="most"))


PROVIDER = Provider("acme", "Acme", "https://acme.example/v1", protocols=(Protocol("other", other),))
TOOL: Any = object()


def chosen(call: Call, rule: ProtocolRule | None, setting: str = "auto", **facts: Any) -> str:
    rules = None if rule is None else Rules(protocol=rule)
    return choose(call, ModelFacts(rules=rules, **facts), PROVIDER, setting).protocol


def call(**fields: Any) -> Call:
    return Call((Message.user("hi"),), **fields)


@pytest.mark.parametrize(
    ("need", "fields", "facts"),
    [
        ("tools", {"extra": {"tools": [LOOK]}}, {}),
        ("reasoning", {"reasoning": "low"}, {}),
        ("reasoning", {}, {"default_effort": "high"}),
        ("reasoning", {"extra": {"reasoning_effort": "low"}}, {}),
        ("reasoning_beside_tools", {"extra": {"tools": [LOOK]}, "reasoning": "low"}, {}),
        ("json_schema", {"output": OutputSpec("o", {"type": "object"})}, {}),
        ("server_state", {"extra": {"previous_response_id": "r"}}, {}),
    ],
)
def test_a_call_takes_the_protocol_that_its_need_asks_for(need: str, fields: Any, facts: Any) -> None:
    rule = ProtocolRule(needs={need: "other"}, fact="AC-1")
    assert chosen(call(**fields), rule, **facts) == "other"
    assert chosen(call(), rule) == "chat"
    assert "AC-1" in choose(call(**fields), ModelFacts(rules=Rules(protocol=rule), **facts), PROVIDER, "auto").reason


def test_reasoning_that_is_off_needs_nothing() -> None:
    rule = ProtocolRule(needs={"reasoning": "other"})
    assert chosen(call(reasoning="none"), rule, default_effort="high") == "chat"
    assert chosen(call(reasoning="high"), rule, reasoning=False) == "chat"


def test_the_setting_goes_before_the_facts_and_the_facts_before_the_usual() -> None:
    assert chosen(call(), ProtocolRule(usual="other")) == "other"
    assert chosen(call(), ProtocolRule(usual="other"), "chat") == "chat"
    assert chosen(call(), ProtocolRule(only="other")) == "other"
    assert chosen(call(), None, "other") == "other"
    assert chosen(call(reasoning="low"), ProtocolRule(usual="other", needs={"reasoning": "chat"})) == "chat"


def test_a_protocol_that_is_not_installed_is_no_choice_but_an_error_where_there_is_no_other() -> None:
    assert chosen(call(), ProtocolRule(usual="semaphore")) == "chat"
    with pytest.raises(UnsupportedFeatureError, match="only in the protocol 'semaphore', which is not installed"):
        chosen(call(), ProtocolRule(only="semaphore"))


def test_every_need_has_a_meaning() -> None:
    for need in NEEDS:
        assert chosen(call(), ProtocolRule(needs={need: "other"})) in ("chat", "other")


def test_explain_says_which_protocol_and_why() -> None:
    table = {"acme": {"api_key": "k", "protocol": "other"}}
    with Client({"providers": table}, providers=(PROVIDER,)) as client:
        shown = client.explain("hi", model="acme:m", max_tokens=5)
    assert (shown.protocol, shown.protocol_reason) == ("other", "the setting `protocol` says so")
    assert shown.url == "https://acme.example/v1/other"
    assert shown.body["most"] == 5
    assert "In the protocol other: the setting `protocol` says so." in str(shown)


def test_an_unknown_protocol_is_refused_with_those_that_there_are() -> None:
    table = {"acme": {"api_key": "k", "protocol": "smoke"}}
    with (
        Client({"providers": table}, providers=(PROVIDER,)) as client,
        pytest.raises(
            ConfigurationError, match=r"\[providers.acme\]: protocol is one of auto, chat, other.* not 'smoke'"
        ),
    ):
        client.explain("hi", model="acme:m")


def test_an_installed_protocol_that_is_none_is_told_with_who_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("protocols_of_this_test")
    module.semaphore, module.smoke = Protocol("semaphore", other), 5
    monkeypatch.setitem(sys.modules, module.__name__, module)
    plugins = [
        InstalledPlugin(name, f"{module.__name__}:{name}", "acme-protocols", "1") for name in ("semaphore", "smoke")
    ]
    monkeypatch.setattr(installed, "_scan", lambda group: tuple(plugins) if group == installed.PROTOCOLS_GROUP else ())

    def explain(protocol: str) -> Explanation:
        table = {"acme": {"api_key": "k", "protocol": protocol}}
        with Client({"providers": table}, providers=(PROVIDER,)) as client:
            return client.explain("hi", model="acme:m")

    assert explain("semaphore").url == "https://acme.example/v1/other"
    with pytest.raises(ConfigurationError) as caught:
        explain("smoke")
    assert "The protocol 'smoke' of acme-protocols is no chatport.Protocol." in str(caught.value)


def test_facts_of_a_protocol_hold_only_in_it() -> None:
    tables = {
        "providers": {"acme": {"api_key": "k"}, "acme2": {"kind": "acme", "api_key": "k", "protocol": "other"}},
        "models": {
            name: {"protocols": {"other": {"max_output_tokens": 7}}, "max_output_tokens": 90}
            for name in ("acme:m", "acme2:m")
        },
    }
    with Client(tables, providers=(PROVIDER,)) as client:
        assert client.explain("hi", model="acme:m", max_tokens=50).body["max_tokens"] == 50
        assert client.explain("hi", model="acme2:m", max_tokens=50).body["most"] == 7
