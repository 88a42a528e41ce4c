"""What a plan says before anything is paid: in figures, and in words."""

from __future__ import annotations

from typing import Any

import attrs
import pyarrow as pa
import pytest
from pyarrow import orc

from chatport_bulk import Answer, Job, RowLog, plan
from chatport_bulk.comparing import Side
from chatport_bulk.planning import in_words
from chatport_bulk.rowlog import Standing

from .conftest import MODEL, World

PRICE = {"match": "*", "input": 2.0, "output": 10.0}


def priced(world: World, *prices: dict[str, Any], **model: Any) -> None:
    world.config["models"] = {MODEL: {"prices": list(prices), **model}}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"), (89.4, "89 s"), (90, "2 min"), (150, "2 min"), (5399, "90 min"), (5400, "1.5 h"),
        (172_799, "48.0 h"), (172_800, "2.0 days"), (400_000, "4.6 days"),
    ],
)  # fmt: skip
def test_a_time_is_told_as_people_say_it(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_plan_in_words(world: World) -> None:
    world.write(1200)
    priced(world, PRICE)
    world.config["pacing"] = {"requests_per_minute": 600}
    job = Job(MODEL, "say: {text}", options={"max_tokens": 100})
    found = plan(world.rows, job, config=world.config)
    each = found.input_tokens
    assert found.amount is not None
    assert found.amount == pytest.approx(1200 * (each * 2 + 100 * 10) / 1e6)
    assert found.lines() == [
        f"model: {MODEL}",
        "rows: 1,200",
        f"tokens for a row: {each:,.0f} in, 100 out (the cap), from 100 rows",
        f"tokens: about {1200 * (each + 100):,.0f}",
        f"cost: about {found.amount:,.4f} USD, at list price",
        "time: about 2 min (600 requests a minute)",
    ]
    nothing_known = plan(world.rows, world.job, config=world.emulator.config())
    assert nothing_known.lines()[2].endswith("1,024 out (assumed; --max-tokens sets a cap), from 100 rows")
    assert nothing_known.lines()[4:] == [
        'cost: not known; state the model\'s prices in [models."PROVIDER:MODEL"]',
        "time: not known; no limit is configured, and nothing was measured here yet",
    ]
    some = attrs.evolve(found, batch_factor=0.5, is_exact=False, done=200, unreadable=2, problem="It is empty.")
    assert some.lines()[1] == "rows: about 1,200, 200 done, 1,000 left"
    assert some.lines()[5] == f"in batches: about {found.amount / 2:,.4f} USD (--lane batch)"
    assert some.lines()[-1] == "warning: 2 of 100 rows cannot be asked: It is empty."
    assert attrs.evolve(some, batch_factor=1.0).lines()[5].startswith("time: ")


def test_a_row_that_cannot_be_read_is_counted_with_its_problem(world: World) -> None:
    world.rows.write_text('{"text": "a"}\n\n{"text": "b"}\n', "utf-8")
    found = plan(world.rows, world.job, config=world.config)
    assert (found.sampled, found.unreadable, found.problem) == (3, 1, "The line is empty.")
    assert found.input_tokens > 0


def test_of_an_input_that_does_not_say_how_long_it_is_only_a_row_is_planned(world: World) -> None:
    world.rows = world.folder / "rows.orc"
    orc.write_table(pa.table({"text": ["a", "b"]}), world.rows)
    priced(world, {**PRICE, "currency": "CNY"})
    world.config["pacing"] = {"requests_per_minute": 600}
    found = plan(world.rows, world.job, config=world.config)
    assert (found.rows, found.left, found.is_exact) == (None, None, False)
    assert (found.amount, found.currency, found.seconds, found.limit) == (None, "USD", None, "")
    lines = found.lines()
    assert lines[1] == "rows: not known before they are read"
    assert not any(line.startswith("tokens: ") for line in lines)


def _begun(world: World, costs: list[float | None], currency: str = "USD") -> None:
    world.out.mkdir()
    log = RowLog(world.out / "run.sqlite")
    answers = [
        Answer(
            n,
            answer="a",
            input_tokens=50,
            output_tokens=30,
            cost=cost,
            currency=None if cost is None else currency,
            seconds=3.0,
        )
        for n, cost in enumerate(costs, 1)
    ]
    log.step(begun=[answer.key for answer in answers])
    log.step(ended=[(answer, b"d") for answer in answers])
    log.close()


def test_what_was_measured_takes_the_place_of_estimates(world: World) -> None:
    world.write(14)
    priced(world, PRICE)
    world.config["pacing"] = {"requests_per_minute": 60, "concurrency": 5}
    _begun(world, [0.5, 1.5, None, None], "CNY")
    found = plan(world.rows, world.job, world.out, config=world.config)
    assert (found.input_tokens, found.output_tokens, found.basis) == (50, 30, "measured")
    assert (found.done, found.left) == (4, 10)
    assert found.amount == pytest.approx(10.0), "1 for each of those whose cost is known"
    assert found.currency == "CNY"
    assert (found.seconds, found.limit) == (10.0, "60 requests a minute")
    world.config["pacing"]["requests_per_minute"] = 600
    found = plan(world.rows, world.job, world.out, config=world.config)
    assert (found.seconds, found.limit) == (6.0, "5 calls at once, 3.0 s each")
    assert plan(world.rows, world.job, world.folder / "none", config=world.config).done == 0


def test_tokens_a_minute_are_the_limit_where_they_take_longest(world: World) -> None:
    world.write(100)
    world.config["pacing"] = {"requests_per_minute": 6000, "tokens_per_minute": 1000}
    found = plan(world.rows, Job(MODEL, "say: {text}", options={"max_tokens": 50}), config=world.config)
    assert found.limit == "1000 tokens a minute"
    assert found.seconds == pytest.approx(100 * (found.input_tokens + 50) / 1000 * 60)
    world.config["providers"]["compatible"]["pacing"] = {"requests_per_minute": 100}
    found = plan(world.rows, world.job, config=world.config)
    assert (found.seconds, found.limit) == (60.0, "100 requests a minute"), "a provider's own limits stand"


def test_the_price_is_that_of_today_and_of_the_size_of_the_question(world: World) -> None:
    world.write(1)
    job = Job(MODEL, "say: {text} " + "long " * 300, options={"max_tokens": 10})
    tiers = [{"above_input_tokens": 100, "input": 4.0, "output": 20.0}]
    past = {"match": "*", "input": 100.0, "output": 100.0, "since": "2020-01-01", "until": "2021-01-01"}
    future = {**past, "since": "2999-01-01", "until": "3000-01-01"}
    now = {**PRICE, "since": "2021-01-01", "tiers": tiers}
    priced(world, past, now, future)
    found = plan(world.rows, job, config=world.config)
    assert found.input_tokens > 100
    assert found.amount == pytest.approx((found.input_tokens * 4 + 10 * 20) / 1e6)
    priced(world, past, future)
    assert plan(world.rows, job, config=world.config).amount is None
    priced(world, {**PRICE, "thinking_output": 50.0})
    found = plan(world.rows, job, config=world.config)
    assert found.amount == pytest.approx((found.input_tokens * 2 + 10 * 50) / 1e6)


@pytest.mark.parametrize(
    ("totals", "costs", "each"),
    [
        ({}, {"USD": 2.0}, {"USD": 200.0}),
        ({"without_cost": 2}, {"USD": 2.0}, {"USD": 250.0}),
        ({"same": 5}, {"USD": 2.0, "CNY": 1.0}, {"USD": 400.0, "CNY": 200.0}),
        ({"without_cost": 4, "same": 5}, {"USD": 2.0}, {"USD": 2000.0}),
        ({"without_cost": 5, "same": 5}, {"USD": 2.0}, {}),
    ],
)
def test_what_a_thousand_answers_cost_is_of_those_that_were_paid_and_whose_price_is_known(
    totals: dict[str, float], costs: dict[str, float], each: dict[str, float]
) -> None:
    standing = Standing(10, 0, 0, 0, 0, 0, totals, costs, {})
    assert Side("a", "m", standing, 0.0, 0.0).cost_per_1000 == each
