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
