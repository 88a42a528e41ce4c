"""The bounds of the numbers in a configuration, met exactly: what is still taken, and what is no more."""

from typing import Any

import pytest

from chatport import ConfigurationError
from chatport.setup.config import load_config


def _read(table: str, key: str, value: Any) -> Any:
    config = load_config({table: {key: value}}, environment={})
    return getattr(getattr(config, table), key)


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("retry", "attempts", 1),
        ("retry", "attempts", 100),
        ("retry", "budget_least", 0),
        ("retry", "budget_share", 0),
        ("retry", "budget_share", 999_999_999),
        ("breaker", "failure_rate", 1),
        ("hedge", "share", 0.05),
        ("budget", "tokens", 1),
        ("limits", "body_bytes", 1),
    ],
)
def test_a_number_at_its_bound_is_taken(table: str, key: str, value: Any) -> None:
    assert _read(table, key, value) == value


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("retry", "attempts", 0),
        ("retry", "attempts", 101),
        ("retry", "attempts", True),
        ("retry", "budget_least", -1),
        ("retry", "budget_least", False),
        ("retry", "budget_share", -0.01),
        ("retry", "budget_share", 1e9),
        ("retry", "budget_share", True),
        ("breaker", "failure_rate", 1.01),
        ("hedge", "share", 0.0501),
        ("budget", "tokens", 0),
        ("budget", "tokens", True),
        ("limits", "body_bytes", 0),
        ("limits", "body_bytes", True),
    ],
)
def test_a_number_past_its_bound_is_refused_with_its_key(table: str, key: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"\[{table}\] {key} is "):
        _read(table, key, value)


def test_a_password_in_the_address_of_a_store_is_refused_and_a_user_is_taken() -> None:
    with pytest.raises(ConfigurationError, match="a password does not stand in the file"):
        load_config({"pacing": {"store": "redis://user:secret@127.0.0.1:6379/0"}}, environment={})
    config = load_config({"pacing": {"store": "redis://user@127.0.0.1:6379/0"}}, environment={})
    assert config.pacing_store is not None
    assert config.pacing_store.url == "redis://user@127.0.0.1:6379/0"


@pytest.mark.parametrize(("told", "refuses"), [({}, False), ("local", False), ("refuse", True)])
def test_what_happens_when_the_store_is_down_is_one_of_two_words(told: Any, refuses: bool) -> None:
    down = {"on_store_down": told} if told else {}
    config = load_config({"pacing": {"store_env": "STORE", **down}}, environment={})
    assert config.pacing_store is not None
    assert config.pacing_store.refuses is refuses


def test_pacing_without_limits_learns_unless_it_is_told_not_to() -> None:
    assert load_config({"pacing": {}}, environment={}).pacing is not None
    assert load_config({"pacing": {"learn": True}}, environment={}).pacing is not None
    assert load_config({"pacing": {"learn": False}}, environment={}).pacing is None


def test_an_empty_hedge_table_and_log_table_are_the_defaults() -> None:
    config = load_config({"hedge": {}, "log": {"content_bytes": 1}}, environment={})
    assert config.hedge.share == load_config(environment={}).hedge.share
    assert config.log.content is False
    assert config.log.content_bytes == 1
