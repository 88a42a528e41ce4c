"""Rows by a vendor's batches: how they go, how they end, and what is done with what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chatport import ConfigurationError
from chatport.testing.batches import BatchPlay
from chatport_bulk import BatchSettings, Job, Settings
from chatport_bulk.rowlog import RowLog

from .batch_world import MODELS, BatchWorld


@pytest.fixture(params=["asyncio", "trio"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> BatchWorld:
    return BatchWorld(tmp_path, "openai", request.param)


@pytest.mark.parametrize("provider", list(MODELS))
def test_all_rows_come_back_under_their_own_keys_and_none_is_asked_online(provider: str, tmp_path: Path) -> None:
    world = BatchWorld(tmp_path, provider)
    world.write(25)
    world.batch = BatchSettings(most_rows=10)
    report = world.run()
    assert report.ending.how == "done"
    answers = world.answers()
    assert {key: one["answer"] for key, one in answers.items()} == {f"id {n}": f"word {n}." for n in range(25)}
    assert set(world.worked_on.values()) == {1}
    assert len(world.worked_on) == 25
    assert len(world.vendor.jobs) == 3
    assert not world.online
    assert all(one["input_tokens"] and one["output_tokens"] and one["attempts"] == 1 for one in answers.values())


def test_a_row_costs_half_of_what_it_costs_online(world: BatchWorld) -> None:
    world.write(3)
    world.run()
    in_batch = world.answers()
    world.out = world.folder / "online"
    world.run(lane="online")
    online = world.answers()
    for key, one in in_batch.items():
        assert one["cost"] == pytest.approx(online[key]["cost"] / 2)
        assert (one["input_tokens"], one["target"]) == (online[key]["input_tokens"], online[key]["target"])


def test_a_request_in_a_batch_is_the_one_that_is_sent_online(world: BatchWorld) -> None:
    world.write(1)
    job = Job(world.model, "say: {text}", system="Be brief.", options={"max_tokens": 50, "temperature": 0.5, "seed": 7})
    world.run(job)
    world.out = world.folder / "online"
    world.run(job, lane="online")
    assert [body for job in world.vendor.jobs.values() for _, body in job.requests] == [
        request.json() for request in world.online
    ]


@pytest.mark.parametrize("ending", ["expired", "cancelled"])
def test_what_a_batch_has_done_until_it_ended_is_kept_and_the_rest_goes_into_another(
    world: BatchWorld, ending: str
) -> None:
    world.write(40)
    world.vendor.plays = (BatchPlay(ending=ending, done=0.5),)
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 40)
    assert len(world.answers()) == 40
    assert [len(job.requests) for job in world.vendor.jobs.values()] == [40, 20]
    assert set(world.worked_on.values()) == {1}, "no row was paid twice"
    assert not world.online


def test_results_in_any_order_and_twice_are_each_taken_once(world: BatchWorld) -> None:
    world.write(30)
    world.vendor.plays = (BatchPlay(duplicates=30),)
    report = world.run()
    assert report.standing.answered == 30
    assert report.standing.totals["attempts"] == 30
    assert {one["answer"] for one in world.answers().values()} == {f"word {n}." for n in range(30)}


def test_rows_whose_results_are_missing_go_online_after_the_last_round(world: BatchWorld) -> None:
    world.write(20)
    world.vendor.plays = (BatchPlay(missing=0.5), BatchPlay(missing=0.5))
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 20)
    assert [len(job.requests) for job in world.vendor.jobs.values()] == [20, 10]
    assert len(world.online) == 5


def test_after_the_deadline_open_batches_are_cancelled_read_and_the_rest_is_asked_online(world: BatchWorld) -> None:
    world.write(20)
    world.vendor.plays = (BatchPlay(looks=10**9, done=0.25),)
    world.batch = BatchSettings(deadline_seconds=3600)
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 20)
    assert [job.state for job in world.vendor.jobs.values()] == ["cancelled"]
    assert len(world.worked_on) == 5
    assert len(world.online) == 15
    assert 3600 <= world.clock.elapsed_seconds < 3600 + 2 * 300 + 60


def test_a_bad_row_fails_with_the_vendors_words_and_passing_failures_are_asked_again(world: BatchWorld) -> None:
    world.write(4)
    with world.rows.open("a", encoding="utf-8") as file:
        file.write('{"id": "bad", "text": "x\\nerror: 400"}\n{"id": "busy", "text": "y\\nerror: 500"}\n')
    report = world.run(settings=Settings(rounds=1))
    assert report.standing.answered == 4
    assert set(world.failed()) == {"bad", "busy"}
    assert world.failed()["bad"]["kind"] == "ContextLengthError"
    assert world.failed()["busy"]["kind"] == "ServerError"
    assert [len(job.requests) for job in world.vendor.jobs.values()] == [6, 1]


def test_a_vendor_without_batches_is_an_error_that_names_those_with_them_and_nothing_is_made(
    world: BatchWorld,
) -> None:
    world.write(1)
    config: dict[str, Any] = {"providers": {"deepseek": {"api_key": "k"}}}
    with pytest.raises(ConfigurationError, match=r"deepseek:deepseek-flash takes no batches.*anthropic.*openai"):
        world.make(Job("deepseek:deepseek-flash", "{text}"), config=config)
    assert not world.out.exists()
    assert not world.emulator.requests


def test_the_log_knows_the_batches_and_none_is_left_open(world: BatchWorld) -> None:
    world.write(5)
    world.run()
    log = RowLog(world.out / "run.sqlite", read_only=True)
    assert log.standing().under_way == 0
    log.close()
    assert not list((world.out / "batches").iterdir())
