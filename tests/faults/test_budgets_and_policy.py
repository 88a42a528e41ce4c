"""What a call may cost, and where it may go, is settled before a byte of it leaves."""

from __future__ import annotations

from typing import Any

import pytest

import chatport
from chatport.testing import faults

from .world import World, always, on_backends, plain_and_streamed

PRICES = [{"match": "*", "input": 1.0, "output": 10.0}]  # USD for a million tokens
MODELS = {"one:m": {"prices": PRICES}, "two:m": {"prices": PRICES}}
MAX_TOKENS = 100
DEAREST_USD = MAX_TOKENS * 10 / 1e6  # a little less than the estimate of a call, which counts its input too


def world(backend: str, one: Any = (), two: Any = None, **tables: Any) -> World:
    bad = {"one": one} if two is None else {"one": one, "two": two}
    return World(backend, bad, **{"models": MODELS, **tables})


@on_backends
@plain_and_streamed
def test_a_call_that_does_not_fit_is_refused_before_anything_is_sent(backend: str, stream: bool) -> None:
    w = world(backend, (), ())
    with w.client.budget(usd=DEAREST_USD) as budget:
        outcome = w.ask(stream=stream, max_tokens=MAX_TOKENS)
    assert isinstance(outcome.error, chatport.BudgetExceededError)
    assert (w.requests, outcome.attempts) == (0, ())
    assert (budget.spent_usd, budget.reserved_usd) == (0, 0)
    assert w.ask(stream=stream, max_tokens=MAX_TOKENS).reply.text, "outside of it there is no cap"


@on_backends
@plain_and_streamed
def test_usage_takes_the_place_of_the_estimate(backend: str, stream: bool) -> None:
    w = world(backend)
    with w.client.budget(usd=1.0, tokens=10_000) as budget:
        reply = w.ask(stream=stream, max_tokens=MAX_TOKENS).reply
    assert reply.cost is not None
    assert reply.usage.input_tokens is not None
    assert reply.usage.output_tokens is not None
    assert budget.spent_usd == pytest.approx(float(reply.cost.amount))
    assert budget.spent_tokens == reply.usage.input_tokens + reply.usage.output_tokens
    assert (budget.reserved_usd, budget.reserved_tokens, budget.unknown_calls) == (0, 0, 0)


@on_backends
@pytest.mark.parametrize("cap", ["usd", "tokens"])
def test_calls_at_the_same_time_cannot_together_exceed_it(backend: str, cap: str) -> None:
    w = world(backend)
    caps: dict[str, Any] = {"usd": DEAREST_USD * 5.5} if cap == "usd" else {"tokens": 700}
    with w.client.budget(**caps) as budget:
        outcomes = w.ask_many(40, threads=8, max_tokens=MAX_TOKENS)
        errors = [outcome.raised for outcome in outcomes if outcome.raised is not None]
    assert all(isinstance(error, chatport.BudgetExceededError) for error in errors)
    assert w.requests == 40 - len(errors)
    assert w.requests >= 1
    assert backend == "sync" or w.requests == 5, "each holds its estimate while it is under way"
    assert budget.spent_usd <= DEAREST_USD * 5.5
    assert (budget.reserved_usd, budget.reserved_tokens) == (0, 0)


@on_backends
@plain_and_streamed
def test_failed_attempts_cost_nothing(backend: str, stream: bool) -> None:
    w = world(backend, [faults.status(503), faults.reset_before_head()])
    with w.client.budget(usd=DEAREST_USD * 1.1) as budget:
        reply = w.ask(stream=stream, max_tokens=MAX_TOKENS).reply
    assert len(reply.attempts) == 3
    assert reply.cost is not None
    assert budget.spent_usd == pytest.approx(float(reply.cost.amount))


@on_backends
def test_a_cut_answer_is_not_free_and_its_cost_is_said_to_be_unknown(backend: str) -> None:
    w = world(backend, [faults.cut(after_events=3)])
    with w.client.budget(usd=1.0) as budget:
        assert isinstance(w.ask(max_tokens=MAX_TOKENS).error, chatport.StreamInterruptedError)
    assert budget.spent_usd > DEAREST_USD, "the estimate stands"
    assert budget.has_unknown
    assert budget.reserved_usd == 0


@on_backends
def test_a_call_of_unknown_price_is_refused_unless_that_is_allowed(backend: str) -> None:
    w = world(backend, models={})
    with w.client.budget(usd=1.0):
        assert isinstance(w.ask().error, chatport.BudgetExceededError)
    assert w.requests == 0
    with w.client.budget(usd=1.0, unknown_cost="allow") as budget:
        assert w.ask().reply.cost is None
    assert budget.has_unknown


@on_backends
def test_the_budget_of_the_configuration_holds_for_all_calls(backend: str) -> None:
    w = world(backend, budget={"usd": DEAREST_USD * 1.5})
    outcomes = [w.ask(max_tokens=MAX_TOKENS) for _ in range(30)]
    served = [outcome for outcome in outcomes if outcome.raised is None]
    assert w.requests == len(served)
    assert 1 <= len(served) < 30
    assert isinstance(outcomes[-1].error, chatport.BudgetExceededError)
    assert "[budget]" in str(outcomes[-1].error)


@on_backends
@plain_and_streamed
def test_a_target_that_is_too_dear_or_of_unknown_price_is_passed_over(backend: str, stream: bool) -> None:
    dear = [{"match": "*", "input": 1.0, "output": 1e6}]
    for models in ({"one:m": {"prices": dear}, "two:m": {"prices": PRICES}}, {"two:m": {"prices": PRICES}}):
        w = world(backend, (), (), models=models)
        with w.client.budget(usd=1.0) as budget:
            outcome = w.ask(stream=stream, max_tokens=MAX_TOKENS)
        assert outcome.story == [("two", "ok")], "what was not sent is no attempt"
        assert any("BudgetExceededError" in str(note) for note in outcome.reply.warnings)
        assert not any(isinstance(event, chatport.AttemptFailed) for event in outcome.events)
        assert (w.seen("one"), budget.reserved_usd) == ([], 0)
        assert budget.spent_usd == pytest.approx(outcome.reply.cost.amount if outcome.reply.cost else None)


@on_backends
@plain_and_streamed
def test_with_no_target_left_the_first_refusal_is_told_and_the_others_noted(backend: str, stream: bool) -> None:
    w = world(backend, (), (), models={"one:m": {"prices": PRICES}})
    with w.client.budget(usd=DEAREST_USD):
        error = w.ask(stream=stream, max_tokens=MAX_TOKENS).error
    assert isinstance(error, chatport.BudgetExceededError)
    assert (error.provider, error.estimate is not None) == ("one", True)
    assert any("two:m" in note and "not known" in note for note in error.__notes__)
    assert w.requests == 0


@on_backends
def test_what_was_sent_and_failed_is_told_and_not_that_the_next_target_was_too_dear(backend: str) -> None:
    w = world(backend, always(faults.status(503)), (), models={"one:m": {"prices": PRICES}})
    with w.client.budget(usd=1.0):
        error = w.ask(max_tokens=MAX_TOKENS).error
    assert isinstance(error, chatport.OverloadedError)
    assert w.seen("two") == []
    assert any("BudgetExceededError" in note for note in error.__notes__)


@on_backends
@pytest.mark.parametrize("currency", ["CNY", "EUR"])
def test_a_price_without_a_rate_says_which_price_which_currency_and_what_to_write(backend: str, currency: str) -> None:
    priced = {"one:m": {"prices": [{**PRICES[0], "currency": currency, "source": "its page"}]}}
    w = world(backend, models=priced)
    with w.client.budget(usd=1.0):
        error = w.ask(max_tokens=MAX_TOKENS).error
    assert isinstance(error, chatport.BudgetExceededError)
    assert f"the price of one:m is in {currency} (estimate at list price, its page)" in str(error)
    assert f"[budget] rates = {{ {currency} = … }}" in str(error)
    assert "[models." not in str(error)
    rated = world(backend, models=priced, budget={"rates": {currency: 0.14}})
    with rated.client.budget(usd=1.0) as budget:
        cost = rated.ask(max_tokens=MAX_TOKENS).reply.cost
    assert cost is not None
    assert budget.spent_usd == pytest.approx(cost.amount * 0.14)


@on_backends
def test_a_price_that_is_not_known_says_where_to_write_it(backend: str) -> None:
    w = world(backend, models={})
    with w.client.budget(usd=1.0):
        error = w.ask().error
    assert '[models."one:m"]' in str(error)
    assert "free = true" not in str(error), "that is a public host"
    assert "rates" not in str(error)


# --- what costs nothing


@on_backends
@pytest.mark.parametrize("free", [True, False])
def test_what_its_user_says_is_free_costs_nothing(backend: str, free: bool) -> None:
    w = World(backend, {"one": ()}, providers={"one": {"free": free}})
    with w.client.budget(usd=0) as budget:
        outcome = w.ask()
    if free:
        assert (outcome.reply.cost, budget.spent_usd, budget.has_unknown) == (
            chatport.Cost(0.0, "USD", "list price, nobody bills it"),
            0,
            False,
        )
    else:
        assert isinstance(outcome.error, chatport.BudgetExceededError)


@on_backends
def test_a_price_of_the_users_own_goes_before_that_it_is_free(backend: str) -> None:
    w = world(backend, providers={"one": {"free": True}})
    cost = w.ask().reply.cost
    assert cost is not None
    assert cost.amount > 0


OWN = ("http://127.0.0.1:1/v1", "http://localhost:1/v1", "http://192.168.0.7:8000/v1", "http://[fd00::1]/v1",
       "http://vllm:8000/v1", "http://host.docker.internal:1/v1", "http://box.local/v1")  # fmt: skip
PUBLIC = ("https://llm.example/v1", "https://8.8.8.8/v1", "https://internal.example/v1", "https://localhost.example/v1")


@pytest.mark.parametrize("url", [*OWN, *PUBLIC])
def test_a_server_of_ones_own_is_free_at_an_address_of_ones_own(url: str) -> None:
    provider = chatport.Provider("mine", "Mine", url, is_own_server=True)
    other = chatport.Provider("theirs", "Theirs", url)
    with chatport.Client({"providers": {"mine": {"base_url": url, "free": False}}}, providers=[provider]) as client:
        assert client.facts("mine:m").prices == ()
    with chatport.Client({}, providers=[provider, other]) as client:
        assert bool(client.facts("mine:m").prices) == (url in OWN)
        assert client.facts("theirs:m").prices == (), "a gateway on this machine may pass requests on, and be billed"


def test_that_it_is_free_is_said_of_an_address() -> None:
    with pytest.raises(chatport.ConfigurationError, match="free is a fact of one address"):
        chatport.Client({"providers": {"openai": {"free": True}}})
    with pytest.raises(chatport.ConfigurationError, match="free is true or false"):
        chatport.Client({"providers": {"x": {"base_url": "http://127.0.0.1/v1", "free": "yes"}}})


@on_backends
def test_a_server_at_an_own_address_is_told_how_to_say_that_it_is_free(backend: str) -> None:
    w = World(backend, {"one": ()}, providers={"one": {"base_url": "http://one.internal/v1", "api_key": None}})
    with w.client.budget(usd=1.0):
        error = w.ask().error
    assert "free = true beside the base_url in [providers.one]" in str(error)


# --- policy


@on_backends
@plain_and_streamed
@pytest.mark.parametrize(
    "policy",
    [{"allow_providers": ["two"]}, {"deny_models": ["one:*"]}, {"allow_regions": ["EU"]}, {"forbid_training": True}],
    ids=["providers", "models", "regions", "training"],
)  # fmt: skip
def test_nothing_is_sent_where_the_policy_forbids_it(backend: str, stream: bool, policy: dict[str, Any]) -> None:
    stated = {"two": {"regions": ["EU"], "trains": False}}
    w = World(backend, {"one": (), "two": ()}, providers=stated, policy=policy)
    assert w.ask(stream=stream).reply.provider == "two"
    assert isinstance(w.ask(stream=stream, model="one:m").error, chatport.PolicyError)
    assert w.seen("one") == []
    w.emulators["two"].misbehave(always(faults.status(503)))
    error = w.ask(stream=stream).error
    assert isinstance(error, chatport.OverloadedError)
    assert w.seen("one") == []


@on_backends
def test_what_the_policy_forbids_is_no_way_to_go_on_after_a_cut(backend: str) -> None:
    prefill = {"dialect": {"prefill": {"message": {"partial": True}}}}
    w = World(
        backend,
        {"one": [faults.cut(after_events=3), faults.status(400)], "two": ()},
        providers={"one": prefill, "two": prefill},
        policy={"deny_models": ["two:*"]},
        retry={"continue_after_cut": True},
    )
    error = w.ask().error
    assert isinstance(error, chatport.StreamInterruptedError)
    assert w.seen("two") == []
    assert any("PolicyError" in note for note in error.__notes__)
