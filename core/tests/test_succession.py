"""One client in the place of another: what holds on, and what begins anew."""

from __future__ import annotations

from typing import Any

import pytest

import chatport
from chatport.testing import Emulator, faults

PROVIDER = "compatible"
TARGET = "compatible:emulated-model"
BREAKER = {"failures": 2, "open_seconds": 100, "longest_open_seconds": 100}


def client_of(emulator: Emulator, **tables: Any) -> chatport.Client:
    config = {**emulator.config(), "retry": {"attempts": 1}, **tables}
    return chatport.Client(config, transport=emulator)


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_target_that_is_down_stays_down_unless_its_table_has_changed(*, is_changed: bool) -> None:
    down = faults.status(500)
    emulator = Emulator(PROVIDER, faults=lambda number, asked: down if asked.json()["model"] == "down" else None)
    tables = {"breaker": BREAKER, "aliases": {"main": ["compatible:down", TARGET]}}
    one = client_of(emulator, **tables)
    for _ in range(2):
        assert one.chat("say: hi", model="main").model == "emulated-model"
    if is_changed:
        provider = {**emulator.config()["providers"][PROVIDER], "timeouts": {"total": 7}}
        tables = {**tables, "providers": {PROVIDER: provider}}
    two = client_of(emulator, **tables)
    two.go_on_from(one)
    before = len(emulator.requests)
    assert two.chat("say: hi", model="main").model == "emulated-model"
    assert len(emulator.requests) - before == 1 + is_changed


def test_the_limits_of_pacing_are_one_account_for_both() -> None:
    emulator = Emulator(PROVIDER)
    tables = {"pacing": {"concurrency": 1}, "timeouts": {"queue": 0.05}}
    one, two = client_of(emulator, **tables), client_of(emulator, **tables)
    assert one.chat("say: hi", model=TARGET).text == "hi"
    two.go_on_from(one)
    with one.stream("say: a b c d", model=TARGET) as stream:
        next(iter(stream))
        with pytest.raises(chatport.ChatportError, match="queue"):
            two.chat("say: hi", model=TARGET)
    assert two.chat("say: hi", model=TARGET).text == "hi"


def test_money_that_is_spent_stays_spent_under_the_new_cap() -> None:
    emulator = Emulator(PROVIDER)
    one, two = client_of(emulator, budget={"tokens": 500}), client_of(emulator, budget={"tokens": 20})
    assert one.chat("say: one two three four", model=TARGET, max_tokens=10).text
    two.go_on_from(one)
    with pytest.raises(chatport.BudgetExceededError) as caught:
        two.chat("say: one two three four", model=TARGET, max_tokens=10)
    assert caught.value.cap == 20
    assert two.totals.calls == 1


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nobody:m", "nobody"),
        ("no target", "provider:model"),
        ("openai:gpt-6-sol", "OPENAI_API_KEY"),
        ("compatible:m", None),
    ],
)
def test_a_target_is_checked_and_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, target: str, words: str | None
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    emulator = Emulator(PROVIDER)
    client = client_of(emulator)
    if words is None:
        client.check(target)
    else:
        with pytest.raises(chatport.ConfigurationError, match=words):
            client.check(target)
    assert not emulator.requests


def test_what_is_slow_to_find_out_is_not_found_out() -> None:
    """A key that a command gives, a server that is looked for."""
    command = {"command": ["false"]}
    client = chatport.Client(
        {"providers": {"x": {"kind": "compatible", "base_url": "https://x.example", "api_key": command}}}
    )
    client.check("x:m")


def test_a_budget_is_resized() -> None:
    budget = chatport.Budget(usd=1.0)
    held = budget.reserve(usd=0.6, tokens=5)
    budget.resize(usd=0.5, tokens=10)
    assert budget.remaining_usd == 0
    with pytest.raises(chatport.BudgetExceededError):
        budget.reserve(usd=0.1, tokens=1)
    budget.settle(held, usd=0.1, tokens=5)
    assert (budget.remaining_usd, budget.remaining_tokens) == (0.4, 5)
    budget.resize()
    assert budget.remaining_usd is None
