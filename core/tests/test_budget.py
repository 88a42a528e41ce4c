"""Budgets: what fits, what is spent in the end, and which code a scope holds for."""

from __future__ import annotations

import asyncio
import contextvars
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
import trio
from hypothesis import given, strategies as st

from chatport.errors import BudgetExceededError, ConfigurationError
from chatport.facts import PeakHours, Price, PriceTier, estimate_cost
from chatport.limits.budget import Budget, Ledger, active_budgets, in_usd
from chatport.types import Cost

# --- reserve, settle, cancel


def test_an_estimate_is_set_aside_and_then_replaced() -> None:
    """While an attempt runs its estimate is reserved; afterwards what it really used is spent."""
    budget = Budget(usd=1.0, tokens=1000)
    reservation = budget.reserve(usd=0.4, tokens=300)
    assert (budget.reserved_usd, budget.reserved_tokens) == (0.4, 300)
    assert (budget.remaining_usd, budget.remaining_tokens) == (0.6, 700)
    budget.settle(reservation, usd=0.1, tokens=50)
    assert (budget.reserved_usd, budget.reserved_tokens) == (0.0, 0)
    assert (budget.spent_usd, budget.spent_tokens) == (0.1, 50)
    assert (budget.remaining_usd, budget.remaining_tokens) == (0.9, 950)
    assert not budget.has_unknown


def test_settling_and_cancelling_happen_once() -> None:
    """Whatever comes after the first of them changes nothing: an attempt is not charged twice."""
    budget = Budget(usd=1.0)
    settled, cancelled = budget.reserve(usd=0.2, tokens=10), budget.reserve(usd=0.3, tokens=10)
    for _ in range(2):
        budget.settle(settled, usd=0.1, tokens=5)
        budget.cancel(settled)
        budget.cancel(cancelled)
        budget.settle(cancelled, usd=0.3, tokens=10)
    assert (budget.spent_usd, budget.reserved_usd, budget.spent_tokens) == (0.1, 0.0, 5)


def test_a_reservation_of_another_budget_is_refused() -> None:
    """A mix-up of nested budgets is told, and changes neither."""
    outer, inner = Budget(usd=1.0), Budget(usd=1.0)
    reservation = outer.reserve(usd=0.2, tokens=10)
    with pytest.raises(ValueError, match="another budget"):
        inner.settle(reservation, usd=0.1, tokens=1)
    with pytest.raises(ValueError, match="another budget"):
        inner.cancel(reservation)
    assert (outer.reserved_usd, inner.spent_usd) == (0.2, 0.0)


@pytest.mark.parametrize(("caps", "unit"), [({"usd": 0.5}, "usd"), ({"tokens": 100}, "tokens")])
def test_what_does_not_fit_is_refused(caps: dict[str, Any], unit: str) -> None:
    """The error says how much there is and what was asked; the budget is as before; a smaller call still fits."""
    budget = Budget(**caps, name="search")
    budget.settle(budget.reserve(usd=0.1, tokens=20), usd=0.1, tokens=20)
    budget.reserve(usd=0.2, tokens=40)
    with pytest.raises(BudgetExceededError) as caught:
        budget.reserve(usd=0.3, tokens=60)
    error = caught.value
    assert error.unit == unit
    assert (error.cap, error.remaining, error.estimate) == ((0.5, 0.2, 0.3) if unit == "usd" else (100, 40, 60))
    assert "'search'" in str(error)
    assert not error.retryable
    assert (budget.reserved_usd, budget.reserved_tokens) == (0.2, 40)
    budget.reserve(usd=0.2, tokens=40)
    assert pickle.loads(pickle.dumps(error)).remaining == error.remaining


def test_a_cap_can_be_used_up_exactly() -> None:
    """Three times 0.1 fit into 0.3, and a thousand calls leave no rest behind."""
    budget = Budget(usd=0.3)
    for _ in range(3):
        budget.reserve(usd=0.1, tokens=1)
    assert budget.remaining_usd == 0.0
    many = Budget(usd=10.0)
    for _ in range(1000):
        many.settle(many.reserve(usd=0.007, tokens=1), usd=0.01, tokens=1)
    assert many.spent_usd == 10.0
    assert many.reserved_usd == 0.0


def test_an_overrun_is_shown_and_ends_it() -> None:
    """A call may cost more than its estimate; that is counted, and nothing fits afterwards."""
    budget = Budget(usd=0.5)
    budget.settle(budget.reserve(usd=0.4, tokens=1), usd=0.7, tokens=1)
    assert (budget.spent_usd, budget.remaining_usd) == (0.7, 0.0)
    with pytest.raises(BudgetExceededError):
        budget.reserve(usd=0.000001, tokens=1)


def test_without_a_cap_it_only_counts() -> None:
    """A budget without caps refuses nothing, a cost that is not known neither."""
    budget = Budget()
    budget.settle(budget.reserve(usd=1e6, tokens=10**12), usd=1e6, tokens=10**12)
    budget.settle(budget.reserve(usd=None, tokens=5), usd=0.5, tokens=5)
    assert (budget.remaining_usd, budget.remaining_tokens) == (None, None)
    assert (budget.spent_usd, budget.spent_tokens, budget.unknown_calls) == (1e6 + 0.5, 10**12 + 5, 0)


# --- what is not known


def test_an_unknown_cost_is_refused() -> None:
    """Under a cap in USD a call without a known price is refused, and the text says what to do about it."""
    budget = Budget(usd=1.0)
    with pytest.raises(BudgetExceededError, match="cost is not known") as caught:
        budget.reserve(usd=None, tokens=10)
    assert caught.value.estimate is None
    assert budget.reserved_tokens == 0


def test_an_unknown_cost_may_be_allowed() -> None:
    """Where it is allowed it is counted as unknown; once the cap is used up it is refused too."""
    budget = Budget(usd=1.0, unknown_cost="allow")
    reservation = budget.reserve(usd=None, tokens=10)
    assert reservation.usd is None
    assert budget.reserved_usd == 0.0
    budget.settle(reservation, usd=None, tokens=10)
    assert (budget.spent_usd, budget.spent_tokens, budget.unknown_calls, budget.has_unknown) == (0.0, 10, 1, True)
    budget.settle(budget.reserve(usd=None, tokens=10), usd=1.0, tokens=10)  # the vendor said what it charged
    assert (budget.spent_usd, budget.unknown_calls) == (1.0, 1)
    with pytest.raises(BudgetExceededError) as caught:
        budget.reserve(usd=None, tokens=10)
    assert caught.value.estimate is None


@pytest.mark.parametrize(
    ("usd", "tokens", "spent"),
    [
        (None, None, (0.4, 300)),
        (None, 50, (0.4, 50)),
        (0.1, None, (0.1, 300)),
        (-0.1, -5, (0.4, 300)),
        (float("nan"), 50, (0.4, 50)),
        (float("inf"), 50, (0.4, 50)),
    ],
)
def test_where_the_real_use_is_unknown_the_estimate_stays(
    usd: float | None, tokens: int | None, spent: tuple[float, int]
) -> None:
    """Nothing is given back for a call that did not say what it used, or said what cannot be."""
    budget = Budget(usd=1.0, tokens=1000)
    budget.settle(budget.reserve(usd=0.4, tokens=300), usd=usd, tokens=tokens)
    assert (budget.spent_usd, budget.spent_tokens) == spent
    assert (budget.reserved_usd, budget.reserved_tokens) == (0.0, 0)
    assert budget.unknown_calls == 1


@pytest.mark.parametrize(
    "caps",
    [
        {"usd": -1},
        {"usd": float("nan")},
        {"usd": "1"},
        {"usd": True},
        {"tokens": -1},
        {"tokens": 1.5},
        {"tokens": False},
        {"unknown_cost": "ask"},
    ],
)
def test_a_cap_that_cannot_be_meant_is_refused(caps: dict[str, Any]) -> None:
    """A wrong cap is told where it is made, not at the first call."""
    with pytest.raises(ConfigurationError):
        Budget(**caps)


def test_what_it_shows() -> None:
    """Its repr says the name and the caps."""
    assert repr(Budget(usd=0.5, tokens=10, name="search")) == "<chatport.Budget search of 0.5 USD and 10 tokens>"
    assert repr(Budget()) == "<chatport.Budget of any size>"


# --- many at once

STEP = st.tuples(
    st.sampled_from(["reserve", "settle", "cancel"]),
    st.integers(0, 500),
    st.integers(0, 500),
    st.none() | st.integers(0, 700),
)


@given(st.lists(STEP, max_size=40), st.integers(0, 1500), st.integers(0, 1500), st.sampled_from(["refuse", "allow"]))
def test_at_every_grant_all_is_within_the_cap(
    steps: list[tuple[str, int, int, int | None]], cents: int, cap: int, unknown: Literal["refuse", "allow"]
) -> None:
    """Whatever the order: when something is granted, spent and reserved together do not exceed the caps."""
    budget = Budget(usd=cents / 100, tokens=cap, unknown_cost=unknown)
    held = []
    for kind, cost, tokens, real in steps:
        if kind == "reserve":
            before = (budget.spent_usd + budget.reserved_usd, budget.spent_tokens + budget.reserved_tokens)
            try:
                held.append(budget.reserve(usd=cost / 100, tokens=tokens))
            except BudgetExceededError:
                assert before[0] + cost / 100 > cents / 100 - 1e-9 or before[1] + tokens > cap
            else:
                assert budget.spent_usd + budget.reserved_usd <= cents / 100 + 1e-9
                assert budget.spent_tokens + budget.reserved_tokens <= cap
        elif held:
            reservation = held.pop()
            if kind == "settle":
                budget.settle(reservation, usd=None if real is None else real / 100, tokens=real)
            else:
                budget.cancel(reservation)
    for reservation in held:
        budget.cancel(reservation)
    assert (budget.reserved_usd, budget.reserved_tokens) == (0.0, 0)


def test_threads_together_stay_within_the_cap() -> None:
    """Of 400 calls from eight threads exactly those go through that the cap has room for."""
    budget = Budget(usd=1.0, tokens=10**6)
    start = threading.Barrier(8)

    def calls() -> int:
        start.wait()
        granted = 0
        for _ in range(50):
            try:
                reservation = budget.reserve(usd=0.01, tokens=7)
            except BudgetExceededError:
                continue
            granted += 1
            budget.settle(reservation, usd=0.01, tokens=7)
        return granted

    with ThreadPoolExecutor(8) as pool:
        granted = sum(pool.map(lambda _: calls(), range(8)))
    assert granted == 100
    assert (budget.spent_usd, budget.spent_tokens, budget.reserved_usd) == (1.0, 700, 0.0)


# --- scopes


def test_nested_scopes_all_count() -> None:
    """Inside both, both are active, the outer first; outside, none is."""
    outer, inner = Budget(usd=1.0), Budget(tokens=10)
    assert active_budgets() == ()
    with outer as entered:
        assert entered is outer
        with inner:
            assert active_budgets() == (outer, inner)
        assert active_budgets() == (outer,)
    assert active_budgets() == ()


def test_a_scope_ends_with_an_error_too() -> None:
    """An exception leaves the scope, and goes on."""
    with pytest.raises(KeyError), Budget(usd=1.0):
        raise KeyError
    assert active_budgets() == ()


def test_a_budget_entered_twice_counts_once() -> None:
    """A scope within itself charges nothing twice, and the inner end is not the outer one's."""
    budget = Budget(usd=1.0)
    with budget:
        with budget:
            assert active_budgets() == (budget,)
        assert active_budgets() == (budget,)
    assert active_budgets() == ()


def test_scopes_may_end_in_another_order() -> None:
    """Scopes held by generators do: each takes out itself."""
    first, second = Budget(), Budget()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert active_budgets() == (second,)
    second.__exit__(None, None, None)
    assert active_budgets() == ()


def test_asyncio_tasks_inherit_the_scope() -> None:
    """A task belongs to the scope it was started in, even after its end; a task's own scope is nobody else's."""
    outer, own = Budget(), Budget()

    async def child(go_on: asyncio.Event) -> list[tuple[Ledger, ...]]:
        await go_on.wait()
        with own:
            await asyncio.sleep(0)
            return [active_budgets()]

    async def parent() -> None:
        go_on = asyncio.Event()
        with outer:
            task = asyncio.create_task(child(go_on))
            await asyncio.sleep(0)
            assert active_budgets() == (outer,)
        assert active_budgets() == ()
        go_on.set()
        assert await task == [(outer, own)]
        assert active_budgets() == ()

    asyncio.run(parent())
    assert active_budgets() == ()


def test_trio_tasks_inherit_the_scope() -> None:
    """In trio as in asyncio, and in the threads that trio starts."""
    outer, own = Budget(), Budget()
    seen: list[tuple[Ledger, ...]] = []

    async def child() -> None:
        with own:
            await trio.lowlevel.checkpoint()
            seen.append(active_budgets())

    async def parent() -> None:
        with outer:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child)
            assert active_budgets() == (outer,)
            seen.append(await trio.to_thread.run_sync(active_budgets))
        seen.append(active_budgets())

    trio.run(parent)
    assert seen == [(outer, own), (outer,), ()]


def test_a_thread_of_ones_own_enters_the_budget_itself() -> None:
    """A plain thread starts outside every scope; the same budget can be entered there at the same time."""
    budget = Budget(usd=1.0)
    seen: list[tuple[Ledger, ...]] = []

    def work() -> None:
        with budget:
            seen.append(active_budgets())

    with budget:
        thread = threading.Thread(target=contextvars.Context().run, args=(work,))
        thread.start()
        thread.join()
        assert seen == [(budget,)]
        assert active_budgets() == (budget,)


# --- other currencies, and the estimate


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system with fork")
def test_a_forked_child_gives_back_what_its_parents_calls_have_reserved() -> None:
    """They go on in the parent, and are settled there."""
    program = (
        "from chatport import Budget; import os\n"
        "budget = Budget(usd=1, tokens=100)\n"
        "budget.settle(budget.reserve(usd=0.25, tokens=10), usd=0.25, tokens=10)\n"
        "held = budget.reserve(usd=0.5, tokens=60)\n"
        "child = os.fork()\n"
        "_ = os.waitpid(child, 0) if child else budget.settle(held, usd=0.5, tokens=60)\n"
        "print(budget.reserved_usd, budget.reserved_tokens, budget.spent_usd, budget.spent_tokens)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["0.0 0 0.25 10", "0.5 60 0.25 10"]


def test_other_currencies_have_a_rate_or_no_value() -> None:
    """An exchange rate comes from the configuration; without one the cost in USD is not known."""
    assert in_usd(Cost(2.0), {}) == 2.0
    assert in_usd(Cost(2.0, "CNY"), {"CNY": 0.14}) == pytest.approx(0.28)
    assert in_usd(Cost(2.0, "CNY"), {"EUR": 1.1}) is None
    assert in_usd(None, {"CNY": 0.14}) is None


NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (Price("*", 1.0, 2.0, source="PR-1"), 1.0 + 1.0),
        (Price("*", 1.0, 2.0, cached_input=0.1, cache_write=1.25), 1.0 + 1.0),
        (Price("*", 1.0, 2.0, thinking_output=8.0), 1.0 + 4.0),
        (Price("*", 1.0, 2.0, thinking_output=1.0), 1.0 + 1.0),
        (Price("*", 1.0, 2.0, tiers=(PriceTier(200_000, 3.0, 4.0),)), 3.0 + 2.0),
        (Price("*", 1.0, 2.0, peak=PeakHours(2.0, 0, ("11:00-13:00",))), 2 * (1.0 + 1.0)),
    ],
)
def test_an_estimate_is_the_dearest_case(price: Price, expected: float) -> None:
    """A million tokens in, half a million out: no cache, output as reasoning if that is dearer, tier and hour."""
    found = estimate_cost([price], 1_000_000, 500_000, NOON)
    assert found is not None
    assert found.amount == pytest.approx(expected)
    assert found.basis.startswith("estimate at list price")


def test_an_estimate_without_a_price_is_none() -> None:
    """No price, or one that is not valid on the day: the cost is not known. The currency is the price's."""
    old = Price("*", 1.0, 2.0, until="2026-01-01")
    assert estimate_cost([], 10, 10, NOON) is None
    assert estimate_cost([old], 10, 10, NOON) is None
    found = estimate_cost([old, Price("*", 1.0, 2.0, "CNY", since="2026-01-01")], 10, 10, NOON)
    assert found is not None
    assert found.currency == "CNY"
