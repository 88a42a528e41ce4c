"""What a failing vendor costs at most, and what is no sign that it fails: the retry budget over many calls at once."""

from __future__ import annotations

from typing import Any

import pytest

import chatport
from chatport.testing import Fault, faults

from .world import World, always, frozen_clock, on_backends

DOWN = faults.status(503)
TEN = {"attempts": 10}
LATE = faults.stall("before_head", seconds=3)


def every(nth: int, fault: Fault = DOWN, otherwise: Fault | None = None) -> Any:
    return lambda number, request: fault if number % nth == 0 else otherwise


@on_backends
@pytest.mark.parametrize("hint", [1, 0.25, 30], ids=["a second", "less", "long"])
def test_workers_that_are_asked_to_wait_are_all_answered_whatever_the_budget(backend: str, hint: float) -> None:
    w = World(backend, {"one": [faults.rate_limited(hint)] * 8}, retry={**TEN, "budget_share": 0, "budget_least": 0})
    outcomes = w.ask_in_turns(8, 6)
    assert len(outcomes) == 48
    assert all(outcome.reply.text for outcome in outcomes)
    assert w.requests == 48 + 8


@on_backends
@pytest.mark.parametrize("otherwise", [None, LATE], ids=["at once", "answers after the refusals"])
def test_none_of_fifty_calls_at_once_is_lost_where_every_third_answer_is_an_error(
    backend: str, otherwise: Fault | None
) -> None:
    w = World(backend, {"one": every(3, otherwise=otherwise)}, retry=TEN)
    outcomes = w.ask_many(50)
    assert [outcome.reply.text for outcome in outcomes] == ["alpha beta gamma delta epsilon"] * 50
    assert 65 < w.requests < 90


@on_backends
def test_a_vendor_that_was_well_for_long_costs_no_more_once_it_is_dead(backend: str) -> None:
    w = World(backend, {"one": every(5)}, retry=TEN, clock=frozen_clock())
    w.ask_many(200)
    w.emulators["one"].misbehave(always(DOWN))
    before = w.requests
    w.ask_many(200)
    assert 200 < w.requests - before <= 200 + 0.2 * 400, "of all calls of the last minute a fifth"


@on_backends
@pytest.mark.parametrize("calls", [1, 2, 10, 100])
@pytest.mark.parametrize("fault", [DOWN, faults.status(503, headers={"retry-after": "1"}), faults.refuse_connection()],
                         ids=["503", "503 that asks to wait", "refused"])  # fmt: skip
def test_a_dead_vendor_costs_a_fifth_more_or_three(backend: str, calls: int, fault: Fault) -> None:
    w = World(backend, {"one": always(fault)}, retry=TEN, clock=frozen_clock())
    w.ask_many(calls)
    free = 4 if "retry-after" in fault.name else 0  # such waits are free until the fifth failure opens the breaker
    assert w.requests <= calls + max(3, calls // 5) + free


@on_backends
def test_the_answers_of_one_model_pay_for_no_other_of_its_vendor(backend: str) -> None:
    w = World(backend, {"one": lambda number, request: DOWN if b'"dead"' in request.content else None})
    w.emulators["one"].vendor.models = ()
    for _ in range(50):
        w.ask(model="one:m")
        w.ask(model="one:dead")
    assert 50 < len(w.seen("one")) - 50 <= 60


@on_backends
def test_a_vendor_that_is_down_is_one_vendor_however_many_models_are_asked_for(backend: str) -> None:
    w = World(backend, {"one": always(DOWN)}, clock=frozen_clock())
    for number in range(100):
        w.ask(model=f"one:m{number}")
    assert 100 < w.requests <= 120


@on_backends
def test_the_budget_is_the_users(backend: str) -> None:
    w = World(backend, {"one": always(DOWN)}, retry={"budget_share": 2, "budget_least": 0}, clock=frozen_clock())
    w.ask_many(20)
    assert w.requests == 60, "all the attempts there are"
    w = World(backend, {"one": always(DOWN)}, retry={"budget_share": 0.5, "budget_least": 0}, clock=frozen_clock())
    w.ask_many(20)
    assert w.requests == 30
    w = World(backend, {"one": always(DOWN)}, retry={"budget_share": 0, "budget_least": 1}, clock=frozen_clock())
    w.ask_many(20)
    assert w.requests == 21


@on_backends
def test_an_error_that_the_budget_has_caused_says_so_and_no_other(backend: str) -> None:
    w = World(backend, {"one": always(DOWN)}, clock=frozen_clock())
    errors = [w.ask().error for _ in range(3)]
    assert "[retry]" not in str(errors[0])
    assert [len(error.attempts) for error in errors] == [3, 2, 1]
    for error in errors[1:]:
        assert isinstance(error, chatport.OverloadedError)
        assert "not tried again" in str(error)
        assert "[retry] budget_share, budget_least" in str(error)
    alone = World(backend, {"one": always(faults.status(400))}).ask().error
    assert "not tried again" not in str(alone)


@on_backends
def test_with_another_target_nobody_waits_for_room(backend: str) -> None:
    w = World(backend, {"one": always(DOWN), "two": ()}, retry={**TEN, "budget_least": 0}, breaker={"failures": 1000})
    outcomes = [w.ask() for _ in range(4)]
    assert [outcome.reply.provider for outcome in outcomes] == ["two"] * 4
    assert sum(outcome.seconds for outcome in outcomes) == 0


@on_backends
@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"budget_share": -0.1}, "budget_share is a share of the calls, 0 or more"),
        ({"budget_share": "20 %"}, "budget_share is a share of the calls, 0 or more"),
        ({"budget_share": float("inf")}, "budget_share is a share of the calls, 0 or more"),
        ({"budget_least": 1.5}, "budget_least is a whole number, 0 or more"),
        ({"budget_least": -1}, "budget_least is a whole number, 0 or more"),
        ({"budget_least": True}, "budget_least is a whole number, 0 or more"),
    ],
)
def test_a_budget_that_cannot_be_meant_is_refused(backend: str, table: dict[str, Any], words: str) -> None:
    with pytest.raises(chatport.ConfigurationError, match=words):
        World(backend, {"one": ()}, retry=table)
