"""Rows by a vendor's batches: how they go, how they end, and what is done with what is missing."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import anyio
import pytest

from chatport import ConfigurationError
from chatport.testing import BatchPlay, EmulatedRequest, EmulatedResponse, Fault, Refusal, faults
from chatport_bulk import BatchSettings, Job, Settings, run
from chatport_bulk.rowlog import RowLog

from .batch_world import MODELS, QUICK, BatchWorld
from .conftest import write_jsonl


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


def test_what_a_vendor_takes_and_at_which_price_can_be_corrected_in_the_configuration(world: BatchWorld) -> None:
    world.write(6)
    world.run()
    usual = sum(one["cost"] for one in world.answers().values())
    world.config["models"] = {world.model: {"rules": {"batch": {"price_factor": 0.25, "most_rows": 4}}}}
    world.out = world.folder / "other"
    world.run()
    assert sum(one["cost"] for one in world.answers().values()) == pytest.approx(usual / 2)
    assert [len(job.requests) for job in world.vendor.jobs.values()] == [6, 4, 2]


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


# --- limits and money


def test_a_batch_for_which_the_vendor_has_no_room_is_made_smaller_and_sent_again(world: BatchWorld) -> None:
    world.write(60)
    world.vendor.most_enqueued_tokens = 400
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 60)
    assert any(job.state == "failed" for job in world.vendor.jobs.values())
    assert set(world.worked_on.values()) == {1}
    assert not world.online


def test_no_more_tokens_wait_at_the_vendor_than_are_allowed(world: BatchWorld) -> None:
    world.write(60)
    most = 500
    seen: list[int] = []
    world.emulator.misbehave(lambda number, request: seen.append(world.vendor.enqueued_tokens()))
    world.batch = BatchSettings(most_enqueued_tokens=most)
    report = world.run()
    assert report.standing.answered == 60
    assert 0 < max(seen) <= most
    assert len(world.vendor.jobs) > 1


def test_what_is_enqueued_is_reserved_under_the_cap_and_a_spent_cap_ends_the_run(world: BatchWorld) -> None:
    world.write(50)
    job = Job(world.model, "say: {text}", key="id", options={"max_tokens": 100})
    each = (20 * 0.15 + 100 * 0.60) / 1e6 / 2
    report = world.run(job, max_usd=10 * each)
    assert report.ending.how in ("money", "done")
    spent = report.standing.costs["USD"]
    assert spent <= 10 * each
    assert all(len(job.requests) <= 12 for job in world.vendor.jobs.values()), "no batch was larger than its money"
    assert report.standing.under_way == 0


def test_a_cap_that_pays_no_row_sends_nothing(world: BatchWorld) -> None:
    world.write(5)
    report = world.run(max_usd=0.000001)
    assert report.ending.how == "money"
    assert "--max-usd is reached" in report.ending.reason
    assert not world.emulator.requests


def test_a_cap_without_a_known_price_is_refused_before_anything_is_sent(world: BatchWorld) -> None:
    world.write(1)
    with pytest.raises(ConfigurationError, match="no price of openai:gpt-5-unheard-of"):
        world.run(Job("openai:gpt-5-unheard-of", "say: {text}"), max_usd=1)
    assert not world.emulator.requests


# --- what goes wrong


def test_a_batch_that_is_not_valid_ends_the_run_with_the_vendors_words(world: BatchWorld) -> None:
    world.write(5)
    world.vendor.plays = (
        BatchPlay(ending="failed", problem=("invalid_request", "The file is not what it should be.")),
    )
    report = world.run()
    assert report.ending.how == "failed"
    assert "The file is not what it should be." in report.ending.reason
    assert (report.standing.answered, report.standing.under_way) == (0, 0)
    assert world.run().standing.answered == 5, "the same command asks again"


def test_twenty_rows_that_fail_in_the_same_way_end_the_run_and_are_asked_again(world: BatchWorld) -> None:
    world.write(30, text="x\nerror: 400")
    report = world.run()
    assert report.ending.how == "failed"
    assert "The first 30 rows failed in the same way" in report.ending.reason
    assert (report.standing.failed, report.standing.under_way) == (0, 0)
    assert not world.online


@pytest.mark.parametrize("provider", ["openai", "mistral", "together", "anthropic"])
def test_a_batch_whose_beginning_was_not_answered_is_found_again_and_not_begun_twice(
    provider: str, tmp_path: Path
) -> None:
    world = BatchWorld(tmp_path, provider)
    world.write(12)
    lost = world.lose_a_beginning()
    report = world.run()
    assert lost
    assert (report.ending.how, report.standing.answered) == ("done", 12)
    assert len(world.vendor.jobs) == 1
    assert set(world.worked_on.values()) == {1}


def test_somebody_elses_batch_of_the_same_size_is_told_from_ours_by_its_results(tmp_path: Path) -> None:
    world = BatchWorld(tmp_path, "anthropic")
    world.write(3)

    def begin_another() -> None:
        (ours,) = world.vendor.jobs.values()
        theirs = world.vendor.begin_batch(
            "/v1/messages", b"".join(_theirs(n, dict(body)) for n, (_, body) in enumerate(ours.requests)), {}
        )
        theirs.created -= 10

    world.lose_a_beginning(begin_another)
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 3)
    assert {one["answer"] for one in world.answers().values()} == {f"word {n}." for n in range(3)}
    assert len(world.vendor.jobs) == 2, "ours was not begun again"
    assert not world.online


def _theirs(number: int, body: dict[str, Any]) -> bytes:
    body["messages"] = [{"role": "user", "content": "say: something else"}]
    return json.dumps({"custom_id": f"theirs-{number}", "params": body}).encode() + b"\n"


@pytest.mark.parametrize("provider", list(MODELS))
@pytest.mark.parametrize("ending", ["expired", "cancelled"])
def test_of_every_vendor_an_unfinished_batch_is_read_and_a_bad_row_fails(
    provider: str, ending: str, tmp_path: Path
) -> None:
    world = BatchWorld(tmp_path, provider)
    world.write(9)
    with world.rows.open("a", encoding="utf-8") as file:
        file.write('{"id": "bad", "text": "x\\nerror: 400"}\n')
    world.vendor.plays = (BatchPlay(ending=ending, done=0.5),)
    report = world.run()
    assert (report.ending.how, report.standing.answered, report.standing.failed) == ("done", 9, 1)
    assert set(world.failed()) == {"bad"}
    assert world.failed()["bad"]["kind"] in ("BadRequestError", "ContextLengthError", "UnsupportedFeatureError")
    assert [len(job.requests) for job in world.vendor.jobs.values()] == [10, 5]
    assert set(world.worked_on.values()) == {1}
    assert not world.online


def test_a_batch_that_was_never_begun_is_begun_when_it_is_not_among_the_newest(world: BatchWorld) -> None:
    world.write(12)
    created = world.vendor.create_batch
    calls: list[str] = []

    def refuse_first(request: EmulatedRequest) -> EmulatedResponse:
        calls.append(request.path)
        if len(calls) == 1:
            raise Refusal(502, {"error": {"message": "Bad gateway"}})
        return created(request)

    world.vendor.create_batch = refuse_first  # type: ignore[method-assign]  # the vendor's gateway, not our code
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 12)
    assert len(world.vendor.jobs) == 1
    assert len([r for r in world.emulator.requests if r.method == "GET" and "?limit" in r.path]) == 3
    assert len([r for r in world.emulator.requests if r.path.endswith("/files")]) == 1, "its file was there already"


def test_passing_failures_of_each_request_cost_nothing_but_time(world: BatchWorld) -> None:
    world.write(25)
    world.batch = BatchSettings(most_rows=10)
    chance = random.Random(3)
    kinds = (faults.status(500), faults.status(429), faults.status(503), faults.reset_before_head(), faults.html_page())
    world.emulator.misbehave(lambda number, request: chance.choice(kinds) if chance.random() < 0.3 else None)
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 25)
    assert set(world.worked_on.values()) == {1}
    assert not world.online


@pytest.mark.parametrize("how", ["clean", "reset", "closed"])
def test_results_that_are_cut_are_fetched_again_and_no_row_is_paid_twice(world: BatchWorld, how: Any) -> None:
    world.write(30)
    cuts: list[str] = []

    def cut(number: int, request: EmulatedRequest) -> Fault | None:
        if request.path.endswith("/content") and not cuts:
            cuts.append(request.path)
            return faults.cut(at_byte=3000, how=how)
        return None

    world.emulator.misbehave(cut)
    report = world.run()
    assert cuts
    assert report.standing.answered == 30
    assert len(world.vendor.jobs) == 1
    assert set(world.worked_on.values()) == {1}


# --- stopping and going on


def test_a_stop_leaves_batches_at_the_vendor_and_the_same_command_reads_them(world: BatchWorld) -> None:
    world.write(10)
    world.vendor.plays = (BatchPlay(looks=5),)
    made = world.make()

    def stop(number: int, request: EmulatedRequest) -> None:
        if world.vendor.jobs and next(iter(world.vendor.jobs.values())).looks == 2:
            made.stop()

    world.emulator.misbehave(stop)
    report = anyio.run(made.run, backend=world.backend)
    assert report.ending.how == "stopped"
    assert "1 batches with 10 rows stay at the vendor" in report.ending.reason
    assert (report.standing.answered, report.standing.under_way, report.standing.lost) == (0, 10, 0)
    world.emulator.misbehave(())
    report = world.run(lane=None)  # the lane is remembered
    assert (report.ending.how, report.standing.answered, report.lost) == ("done", 10, 0)
    assert len(world.vendor.jobs) == 1


def test_batches_that_are_open_are_read_by_a_run_in_the_online_lane_too(world: BatchWorld) -> None:
    _stopped_with_an_open_batch(world)
    world.write(15)
    report = world.run(lane="online")
    assert (report.ending.how, report.standing.answered) == ("done", 15)
    assert len(world.online) == 5
    assert len(world.worked_on) == 10


def _stopped_with_an_open_batch(world: BatchWorld, looks: int = 3, done: float = 1.0) -> None:
    world.write(10)
    world.vendor.plays = (BatchPlay(looks=looks, done=done),)
    made = world.make()
    world.emulator.misbehave(lambda number, request: made.stop() if world.vendor.jobs else None)
    report = anyio.run(made.run, backend=world.backend)
    world.emulator.misbehave(())
    assert report.standing.under_way == 10


def test_a_batch_that_the_vendor_no_longer_knows_is_told_and_its_rows_are_asked_again(world: BatchWorld) -> None:
    _stopped_with_an_open_batch(world)
    world.clock.advance(31 * 86_400)
    world.vendor.jobs.clear()
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 10)
    assert "Its 10 rows may have been paid" in report.tally.problems["The batch batch_00000001 is gone"]


def test_results_that_the_vendor_has_deleted_are_told_and_their_rows_are_asked_again(world: BatchWorld) -> None:
    world.write(10)

    def forget(number: int, request: EmulatedRequest) -> None:
        if world.vendor.jobs and len(world.vendor.jobs) == 1:
            for output in world.vendor.jobs["batch_00000001"].outputs.values():
                world.vendor.files.pop(output, None)

    world.emulator.misbehave(forget)
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 10)
    assert len(world.vendor.jobs) == 2
    assert any(name.endswith("are gone") for name in report.tally.problems)


def test_cancelling_keeps_what_was_answered_and_leaves_the_rest(world: BatchWorld) -> None:
    _stopped_with_an_open_batch(world, looks=10**9, done=0.5)
    report = world.run(batch=BatchSettings(cancels=True))
    assert report.ending.how == "stopped"
    assert "1 batches were cancelled. 5 of their rows were answered" in report.ending.reason
    assert (report.standing.answered, report.standing.under_way) == (5, 0)
    assert len(world.vendor.jobs) == 1
    assert world.run().standing.answered == 10
    assert set(world.worked_on.values()) == {1}


# --- with the rest of a run


def test_rows_that_ask_the_same_are_in_a_batch_once(world: BatchWorld) -> None:
    rows = [{"id": str(n), "text": f"word {n % 4}."} for n in range(20)]
    write_jsonl(world.rows, rows)
    report = world.run(Job(world.model, "say: {text}", key="id", dedupe=True))
    assert report.standing.answered == 20
    assert [len(job.requests) for job in world.vendor.jobs.values()] == [4]
    assert not world.online
    answers = world.answers()
    assert {key: one["answer"] for key, one in answers.items()} == {str(n): f"word {n % 4}." for n in range(20)}
    assert sum(one.get("same_as") is not None for one in answers.values()) == 16


def test_answers_of_a_structure_are_parsed_and_kept_columns_come_with_them(world: BatchWorld) -> None:
    world.write(6)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    report = world.run(Job(world.model, "{text}", key="id", output=schema, keep=["text"]))
    assert report.standing.answered == 6
    for key, one in world.answers().items():
        assert isinstance(one["parsed"]["n"], int)
        assert one["text"] == f"word {key.removeprefix('id ')}."


def test_an_answer_of_the_wrong_structure_is_asked_for_again_and_counts_as_spent(world: BatchWorld) -> None:
    world.write(2)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    job = Job(world.model, "say: no structure", key="id", output=schema)
    report = world.run(job, batch=BatchSettings(rounds=1), settings=Settings(rounds=1))
    assert report.standing.answered == 2
    assert len(world.vendor.worked_on) == 2
    assert len(world.online) == 4, "asked, and asked again with what is wrong"
    assert report.standing.costs["USD"] > sum(one["cost"] for one in world.answers().values())


def test_a_limit_holds_over_all_rounds(world: BatchWorld) -> None:
    world.write(20)
    world.vendor.plays = (BatchPlay(missing=0.5),)
    report = world.run(limit=8)
    assert report.standing.answered == 8
    assert [len(job.requests) for job in world.vendor.jobs.values()] == [8, 4]
    assert world.run().standing.answered == 20


def test_a_row_that_is_too_large_for_any_batch_is_asked_online(world: BatchWorld) -> None:
    world.write(4)
    with world.rows.open("a", encoding="utf-8") as file:
        file.write('{"id": "large", "text": "' + "long " * 500 + '"}\n')
    world.batch = BatchSettings(most_bytes=1500)
    report = world.run()
    assert report.standing.answered == 5
    assert len(world.online) == 1


def test_files_are_deleted_after_reading_where_that_is_asked_for(world: BatchWorld) -> None:
    world.write(5)
    world.run()
    assert world.vendor.files
    world.out = world.folder / "other"
    before = set(world.vendor.files)
    world.run(batch=BatchSettings(deletes_files=True))
    assert set(world.vendor.files) == before


def test_the_clock_that_was_passed_in_is_the_only_one_that_moves(world: BatchWorld) -> None:
    world.write(3)
    world.vendor.plays = (BatchPlay(looks=50),)
    world.run()
    assert 3600 < world.clock.elapsed_seconds < 50 * 300


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_over_loopback_the_same_bytes_do_the_same(provider: str, tmp_path: Path) -> None:
    world = BatchWorld(tmp_path, provider)
    world.write(40)
    with world.emulator:
        config = world.emulator.config(**QUICK)
        settings = BatchSettings(most_rows=15, poll_seconds=0.01)
        options: dict[str, Any] = {"config": config, "client": {}, "batch": settings}
        report = run(world.rows, world.job, world.out, lane="batch", **options)
    assert (report.ending.how, report.standing.answered) == ("done", 40)
    assert len(world.vendor.jobs) == 3
    assert set(world.worked_on.values()) == {1}
