"""How large a batch gets: each bound is met exactly, of the caller's and the vendor's the smaller one holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import chatport
from chatport.testing import EmulatedRequest
from chatport_bulk import BatchSettings, Job, RowLog
from chatport_bulk.batches.log import Batch, BatchLog

from .batch_world import BatchWorld


@pytest.fixture
def world(tmp_path: Path) -> BatchWorld:
    """A vendor whose batches have no code for too many tokens: nothing is counted unless a bound is set."""
    return BatchWorld(tmp_path, "groq")


def batches(world: BatchWorld) -> list[Batch]:
    log = RowLog(world.out / "run.sqlite", read_only=True)
    found = BatchLog(log, read_only=True).all()
    log.close()
    return found


def sizes(world: BatchWorld) -> list[int]:
    return [len(job.requests) for job in world.vendor.jobs.values()]


def ruled(world: BatchWorld, **rule: Any) -> None:
    world.config["models"] = {world.model: {"rules": {"batch": rule}}}


def tokens_of_a_row(world: BatchWorld) -> int:
    with chatport.Client(world.config, transport=world.emulator) as client:
        return client.estimate_tokens("say: word 0.", model=world.model)


def most_at_once(world: BatchWorld) -> list[int]:
    """Return how many batches are open at each request, as they come."""
    seen: list[int] = []

    def look(number: int, request: EmulatedRequest) -> None:
        seen.append(sum(job.is_open for job in world.vendor.jobs.values()))

    world.emulator.misbehave(look)
    return seen


# --- tokens


@pytest.mark.parametrize(
    ("of_caller", "of_vendor", "wanted"),
    [
        (0, None, [2, 2, 1]),
        (None, 0, [2, 2, 1]),
        (0, 1000, [2, 2, 1]),
        (1000, 0, [2, 2, 1]),
        (-1, None, [1, 1, 1, 1, 1]),
        (None, -1, [1, 1, 1, 1, 1]),
        (None, None, [5]),
    ],
)
def test_as_many_tokens_wait_as_may_and_not_one_more(
    world: BatchWorld, of_caller: int | None, of_vendor: int | None, wanted: list[int]
) -> None:
    """The bounds are so many tokens more than two rows have."""
    world.write(5)
    two = 2 * tokens_of_a_row(world)
    if of_vendor is not None:
        ruled(world, most_enqueued_tokens=two + of_vendor)
    seen = most_at_once(world)
    most = None if of_caller is None else two + of_caller
    report = world.run(batch=BatchSettings(most_enqueued_tokens=most))
    assert (report.standing.answered, sizes(world), len(world.online)) == (5, wanted, 0)
    assert max(seen) == 1


def test_batches_wait_beside_each_other_as_far_as_their_tokens_let_them(world: BatchWorld) -> None:
    world.write(5)
    seen = most_at_once(world)
    each = tokens_of_a_row(world)
    world.run(batch=BatchSettings(most_enqueued_tokens=3 * each, most_rows=1))
    assert sizes(world) == [1] * 5
    assert max(seen) == 3


def test_a_row_of_more_tokens_than_the_vendor_lets_wait_is_asked_online_and_one_of_as_many_is_not(
    world: BatchWorld,
) -> None:
    world.write(2)
    each = tokens_of_a_row(world)
    ruled(world, most_enqueued_tokens=each)
    assert world.run().standing.answered == 2
    assert (sizes(world), len(world.online)) == ([1, 1], 0)
    ruled(world, most_enqueued_tokens=each - 1)
    world.out = world.folder / "other"
    assert world.run().standing.answered == 2
    assert (sizes(world), len(world.online)) == ([1, 1], 2)


def test_a_row_of_more_tokens_than_the_caller_lets_wait_goes_alone(world: BatchWorld) -> None:
    """The caller's bound is about many, and one row is to be asked all the same."""
    world.write(3)
    seen = most_at_once(world)
    report = world.run(batch=BatchSettings(most_enqueued_tokens=1))
    assert (report.standing.answered, sizes(world), len(world.online)) == (3, [1, 1, 1], 0)
    assert max(seen) == 1


# --- what is noted of it


def test_tokens_and_money_of_a_batch_are_counted_only_where_a_bound_is_on_them(world: BatchWorld) -> None:
    world.write(3)
    job = Job(world.model, "say: {text}", key="id", options={"max_tokens": 100})
    each = tokens_of_a_row(world)
    usd = 3 * (each * 0.075 + 100 * 0.3) / 1e6 / 2

    def noted(name: str, **how: Any) -> tuple[int, Any]:
        world.out = world.folder / name
        assert world.run(job, **how).standing.answered == 3
        (batch,) = batches(world)
        return batch.tokens, batch.usd

    assert noted("no bound") == (0, 0)
    assert noted("tokens", batch=BatchSettings(most_enqueued_tokens=1000)) == (3 * each, pytest.approx(usd))
    assert noted("money", max_usd=1) == (3 * each, pytest.approx(usd))
    ruled(world, too_many=["x"])
    assert noted("a code for too many") == (3 * each, pytest.approx(usd))


@pytest.mark.parametrize(
    ("options", "facts", "tokens"),
    [
        ({"max_tokens": 77}, {}, 77),
        ({}, {}, 1024),
        ({}, {"max_output_tokens": 500}, 500),
        ({}, {"max_output_tokens": 5000}, 1024),
    ],
)
def test_of_an_answer_as_much_is_reserved_as_it_may_have(
    world: BatchWorld, options: dict[str, Any], facts: dict[str, Any], tokens: int
) -> None:
    world.write(1)
    world.config["models"] = {world.model: facts}
    world.run(Job(world.model, "say: {text}", key="id", options=options), max_usd=1)
    (batch,) = batches(world)
    assert batch.usd == pytest.approx((tokens_of_a_row(world) * 0.075 + tokens * 0.3) / 1e6 / 2)


def test_money_of_another_currency_is_reserved_at_its_rate(world: BatchWorld) -> None:
    world.write(1)
    price = {"match": "*", "input": 100, "output": 200, "currency": "CNY"}
    world.config["models"] = {world.model: {"prices": [price]}}
    world.config["budget"] = {"rates": {"CNY": 0.125}}
    world.run(Job(world.model, "say: {text}", key="id", options={"max_tokens": 10}), max_usd=1)
    (batch,) = batches(world)
    assert batch.usd == pytest.approx((tokens_of_a_row(world) * 100 + 10 * 200) / 1e6 / 2 * 0.125)


def test_a_cap_with_prices_in_a_currency_of_no_known_rate_is_refused(world: BatchWorld) -> None:
    world.write(1)
    world.config["models"] = {world.model: {"prices": [{"match": "*", "input": 1, "output": 1, "currency": "CNY"}]}}
    with pytest.raises(chatport.ConfigurationError, match=f"There is a cap, and no price of {world.model} is known"):
        world.run(max_usd=1)
    assert not world.emulator.requests


# --- money


@pytest.mark.parametrize(("more", "wanted"), [(1e-9, [2, 1, 1, 1]), (-1e-9, [1, 1, 1, 1, 1])])
def test_no_more_money_is_reserved_than_is_left_and_all_of_it_is(
    world: BatchWorld, more: float, wanted: list[int]
) -> None:
    """The cap is for two rows, and so much more; what was answered has been paid from it."""
    world.write(5)
    job = Job(world.model, "say: {text}", key="id", options={"max_tokens": 100})
    each = (tokens_of_a_row(world) * 0.075 + 100 * 0.3) / 1e6 / 2
    seen = most_at_once(world)
    assert world.run(job, max_usd=2 * each + more).standing.answered == 5
    assert sizes(world) == wanted
    assert max(seen) == 1


# --- rows and bytes


@pytest.mark.parametrize(
    ("of_caller", "of_vendor", "wanted"),
    [(2, 50_000, [2, 2, 1]), (50_000, 2, [2, 2, 1]), (3, 2, [2, 2, 1]), (5, 5, [5])],
)
def test_a_batch_has_as_many_rows_as_it_may(
    world: BatchWorld, of_caller: int, of_vendor: int, wanted: list[int]
) -> None:
    world.write(5)
    ruled(world, most_rows=of_vendor)
    report = world.run(batch=BatchSettings(most_rows=of_caller))
    assert (report.standing.answered, sizes(world), len(world.online)) == (5, wanted, 0)


@pytest.mark.parametrize("is_of_vendor", [False, True])
@pytest.mark.parametrize(
    ("rows", "more", "wanted"), [(2, 0, [2, 2, 1]), (2, -1, [1] * 5), (1, 0, [1] * 5), (1, -1, [])]
)
def test_a_batch_has_as_many_bytes_as_it_may(
    world: BatchWorld, rows: int, more: int, wanted: list[int], is_of_vendor: bool
) -> None:
    """A row that has more than any batch is asked online."""
    world.write(5)
    world.run()
    (content,) = [
        data for key, data in world.vendor.files.items() if world.vendor.file_names[key].startswith("chatport")
    ]
    (size,) = {len(line) for line in content.splitlines(keepends=True)}
    world.vendor.jobs.clear()
    world.out = world.folder / "other"
    most = rows * size + more
    if is_of_vendor:
        ruled(world, most_bytes=most)
    report = world.run(batch=BatchSettings() if is_of_vendor else BatchSettings(most_bytes=most))
    assert (report.standing.answered, sizes(world)) == (5, wanted)
    assert len(world.online) == 5 - sum(wanted)
