"""How a run by batches gets on: over rounds, over sessions, within what the vendor takes, and what is told of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from chatport.testing import BatchPlay, EmulatedRequest, EmulatedResponse, Refusal
from chatport_bulk import BatchSettings, Job, Report, RowLog
from chatport_bulk.batches.log import Batch, BatchLog

from .batch_world import BatchWorld

FOR_EVER = 10**9


@pytest.fixture
def world(tmp_path: Path) -> BatchWorld:
    return BatchWorld(tmp_path)


def batches(world: BatchWorld) -> list[Batch]:
    log = RowLog(world.out / "run.sqlite", read_only=True)
    found = BatchLog(log, read_only=True).all()
    log.close()
    return found


def noted(world: BatchWorld) -> tuple[str | None, str | None]:
    log = RowLog(world.out / "run.sqlite", read_only=True)
    found = (log.meta("batch_round"), log.meta("batch_began"))
    log.close()
    return found


def sizes(world: BatchWorld) -> list[int]:
    return [len(job.requests) for job in world.vendor.jobs.values()]


def stopped(world: BatchWorld, when: Callable[[EmulatedRequest], object], **options: Any) -> Report:
    """Run until a request comes for which `when` holds, and stop then."""
    made = world.make(**options)
    world.emulator.misbehave(lambda number, request: made.stop() if when(request) else None)
    report = anyio.run(made.run)
    world.emulator.misbehave(())
    assert report.ending.how == "stopped"
    return report


def refusing_when(world: BatchWorld, when: Callable[[int], bool], status: int = 429) -> list[int]:
    """Let the vendor refuse to begin batches, by how many tries there were before; return how many rows were tried."""
    usual = world.vendor.create_batch
    tried: list[int] = []

    def create(request: EmulatedRequest) -> EmulatedResponse:
        asked = request.json()
        lines = asked.get("requests") or world.vendor.files[asked["input_file_id"]].splitlines()
        tried.append(len(lines))
        if when(len(tried) - 1):
            raise Refusal(status, {"error": {"message": "No.", "type": "x"}})
        return usual(request)

    world.vendor.create_batch = create  # type: ignore[method-assign]  # the vendor's gateway, not our code
    return tried


# --- rounds


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_a_row_goes_into_as_many_batches_as_there_are_rounds_before_it_goes_online(
    world: BatchWorld, rounds: int
) -> None:
    world.write(16)
    world.vendor.plays = [BatchPlay(missing=0.5)] * 5
    report = world.run(batch=BatchSettings(rounds=rounds))
    assert (report.ending.how, report.standing.answered) == ("done", 16)
    assert sizes(world) == [16, 8, 4][:rounds]
    assert len(world.online) == [8, 4, 2][rounds - 1]
    assert noted(world) == ("0", "")


def test_the_next_session_goes_on_in_the_round_in_which_the_last_one_stopped(world: BatchWorld) -> None:
    world.write(16)
    world.vendor.plays = [BatchPlay(missing=0.5), BatchPlay(looks=FOR_EVER, missing=0.5)]
    stopped(world, lambda request: any(job.looks > 3 for job in world.vendor.jobs.values()))
    assert noted(world)[0] == "1"
    (_, second) = world.vendor.jobs.values()
    world.vendor.end_batch(second, "completed")
    assert world.run().standing.answered == 16
    assert (sizes(world), len(world.online)) == ([16, 8], 4)
    assert noted(world) == ("0", "")


def test_a_run_that_is_done_begins_with_its_first_round_again(world: BatchWorld) -> None:
    world.write(4)
    world.run()
    world.write(8)
    world.vendor.plays = [BatchPlay(), BatchPlay(missing=0.5), BatchPlay(missing=0.5)]
    assert world.run().standing.answered == 8
    assert (sizes(world), len(world.online)) == ([4, 4, 2], 1)


# --- the deadline


def test_the_deadline_is_that_of_the_first_batch_of_whichever_session(world: BatchWorld) -> None:
    world.write(4)
    world.vendor.plays = [BatchPlay(looks=FOR_EVER, done=0.5)]
    world.clock.advance(50)
    settings = BatchSettings(deadline_seconds=3600)
    stopped(world, lambda request: world.vendor.jobs, batch=settings)
    began = world.clock.now().timestamp()
    assert noted(world)[1] == str(began)
    world.clock.advance(3599)
    stopped(world, lambda request: request.path.endswith("/cancel") or "/batches/" in request.path, batch=settings)
    assert [job.state for job in world.vendor.jobs.values()] == ["in_progress"]
    world.clock.advance(1)
    world.write(7)
    report = world.run(batch=settings)
    assert (report.ending.how, report.standing.answered) == ("done", 7)
    assert [job.state for job in world.vendor.jobs.values()] == ["cancelled"]
    assert len(world.online) == 5, "what came later goes into no batch either"
    assert noted(world) == ("0", "")


def test_without_a_deadline_a_batch_is_waited_for_as_long_as_it_takes(world: BatchWorld) -> None:
    world.write(2)
    world.vendor.plays = [BatchPlay(looks=30)]
    day = 86_400.0
    report = world.run(batch=BatchSettings(poll_seconds=day, longest_poll_seconds=day))
    assert (report.standing.answered, world.clock.elapsed_seconds) == (2, 29 * day)
    assert not world.online


# --- what is told


def test_what_waits_at_the_vendor_is_told_as_long_as_it_does(world: BatchWorld) -> None:
    world.write(5)
    world.vendor.plays = [BatchPlay(looks=2), BatchPlay(looks=4)]
    made = world.make(batch=BatchSettings(most_rows=3))
    told: list[str] = []
    world.emulator.misbehave(lambda number, request: told.append(made.tally.batches))
    report = anyio.run(made.run)
    assert report.standing.answered == 5
    assert list(dict.fromkeys(told)) == [
        "", "1 batches with 3 rows at the vendor", "2 batches with 5 rows at the vendor",
        "1 batches with 2 rows at the vendor",
    ]  # fmt: skip
    assert made.tally.batches == ""


def test_rows_that_were_passed_over_are_counted_once_and_not_those_that_wait_at_the_vendor(world: BatchWorld) -> None:
    """Those that wait are ended in this session: a row that counted as passed over too would be there twice."""
    world.write(3)
    world.run()
    world.write(10)
    world.vendor.plays = [BatchPlay(), BatchPlay(looks=FOR_EVER)]
    stopped(world, lambda request: len(world.vendor.jobs) == 2)
    world.vendor.end_batch(list(world.vendor.jobs.values())[1], "expired")
    made = world.make()
    counted: list[tuple[int, int]] = []

    def note(number: int, request: EmulatedRequest) -> None:
        counted.append((made.tally.skipped, made.tally.ended))

    world.emulator.misbehave(note)
    report = anyio.run(made.run)
    assert (report.standing.answered, report.tally.answered) == (10, 7)
    assert all(skipped <= 3 for skipped, _ in counted), counted
    assert counted[-1][0] <= 3


@pytest.mark.parametrize(("name", "status"), [("upload", 500), ("create_batch", 429)])
def test_a_stop_while_nothing_could_be_begun_yet_tells_of_no_batch(world: BatchWorld, name: str, status: int) -> None:
    world.write(3)
    made = world.make()
    calls: list[str] = []

    def refuse(request: EmulatedRequest) -> EmulatedResponse:
        calls.append(request.path)
        made.stop()
        raise Refusal(status, {"error": {"message": "No.", "type": "x"}})

    setattr(world.vendor, name, refuse)  # the vendor's gateway, not our code
    report = anyio.run(made.run)
    assert (report.ending.how, report.ending.reason) == ("stopped", "It was stopped.")
    assert report.standing.under_way == 0
    assert not list((world.out / "batches").iterdir())
    delattr(world.vendor, name)
    assert world.run().standing.answered == 3
    assert sizes(world) == [3]


def test_a_stop_between_two_batches_leaves_the_rows_of_the_second_to_the_next_session(world: BatchWorld) -> None:
    world.write(5)
    report = stopped(world, lambda request: world.vendor.jobs_path in request.path, batch=BatchSettings(most_rows=2))
    assert report.ending.reason == (
        "It was stopped. 1 batches with 2 rows stay at the vendor and go on there: the same command reads them, and "
        "`chatport bulk cancel` stops them."
    )
    assert (sizes(world), report.standing.under_way) == ([2], 2)
    assert [place.name for place in (world.out / "batches").iterdir()] == []
    assert world.run().standing.answered == 5
    assert sizes(world) == [2, 3]


def test_of_batches_that_are_cancelled_only_those_are_told(world: BatchWorld) -> None:
    """A batch that was read before is none of them, and its answers are not theirs."""
    world.write(4)
    world.run()
    world.write(18)
    world.vendor.plays = [BatchPlay(), *[BatchPlay(looks=FOR_EVER)] * 3]
    settings = BatchSettings(most_rows=5)
    stopped(world, lambda request: len(world.vendor.jobs) == 4, batch=settings)
    _, first, second, _ = world.vendor.jobs.values()
    world.vendor.end_batch(first, "completed")
    world.vendor.end_batch(second, "completed")
    for job in world.vendor.jobs.values():
        job.play = BatchPlay(done=0.25)
    report = world.run(batch=BatchSettings(cancels=True))
    assert (report.ending.how, report.ending.reason) == (
        "stopped",
        "3 batches were cancelled. 11 of their rows were answered until then, and are kept; the same run asks the "
        "others again.",
    )
    assert (report.standing.answered, report.standing.under_way) == (15, 0)


# --- money


def test_a_cap_that_pays_no_row_says_what_is_left_and_what_a_row_may_cost(world: BatchWorld) -> None:
    world.write(2)
    job = Job(world.model, "say: {text}", key="id", options={"max_tokens": 100})
    report = world.run(job, max_usd=0.000012)
    assert (report.ending.how, report.ending.reason) == (
        "money",
        "--max-usd is reached: 0.000012 USD are left, and a row may cost 0.000031 USD in a batch. Raise it, and run "
        "the same command again.",
    )


# --- what the vendor takes


def test_a_batch_that_is_refused_while_none_waits_is_halved(world: BatchWorld) -> None:
    world.write(8)
    tried = refusing_when(world, lambda before: before == 0)
    assert world.run().standing.answered == 8
    assert tried == [8, 4, 4]


def test_a_batch_that_is_refused_while_others_wait_is_made_a_tenth_smaller(world: BatchWorld) -> None:
    """What waits was taken: with it, the vendor takes nine of ten of what it has just refused, maybe."""
    world.write(12)
    tried = refusing_when(world, lambda before: before == 1)
    report = world.run(batch=BatchSettings(most_rows=4))
    assert (report.ending.how, report.standing.answered, len(world.online)) == ("done", 12, 0)
    assert tried == [4, 4, 4, 3, 1]


def test_a_batch_of_one_row_that_is_refused_while_others_wait_is_sent_again(world: BatchWorld) -> None:
    world.write(3)
    tried = refusing_when(world, lambda before: before == 1)
    report = world.run(batch=BatchSettings(most_rows=1))
    assert (report.ending.how, report.standing.answered, len(world.online)) == ("done", 3, 0)
    assert tried == [1] * 4


def test_a_batch_that_is_taken_for_too_much_later_is_made_smaller_too(world: BatchWorld) -> None:
    """Some say so only when they have looked into the file."""
    world.write(8)
    world.vendor.plays = [BatchPlay(ending="failed", problem=("token_limit_exceeded", "Too much."))]
    report = world.run()
    assert (report.ending.how, report.standing.answered, len(world.online)) == ("done", 8, 0)
    assert sizes(world) == [8, 4, 4]


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503])
def test_after_an_answer_that_does_not_say_whether_it_was_begun_a_batch_is_looked_for(
    world: BatchWorld, status: int
) -> None:
    world.write(3)
    usual = world.vendor.create_batch
    calls: list[str] = []

    def begin_and_fail(request: EmulatedRequest) -> EmulatedResponse:
        calls.append(request.path)
        usual(request)
        raise Refusal(status, {"error": {"message": "Who knows?", "type": "x"}})

    world.vendor.create_batch = begin_and_fail  # type: ignore[method-assign]  # the vendor's gateway, not our code
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 3)
    assert (len(calls), sizes(world)) == (1, [3])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 499])
def test_after_an_answer_that_says_that_nothing_was_begun_nothing_is_looked_for(world: BatchWorld, status: int) -> None:
    world.write(3)
    refusing_when(world, lambda before: True, status)
    report = world.run()
    assert report.ending.how == "failed"
    assert report.ending.reason.startswith("A batch could not be made or read. ")
    assert "?limit" not in "".join(request.path for request in world.emulator.requests)
    assert [batch.state for batch in batches(world)] == ["given up"]


# --- one question of many rows


def test_a_question_that_was_answered_before_is_not_asked_in_a_batch(world: BatchWorld) -> None:
    job = Job(world.model, "say: {text}", key="id", dedupe=True)
    world.write(2)
    world.run(job)
    with world.rows.open("a", encoding="utf-8") as file:
        file.write('{"id": "again", "text": "word 1."}\n{"id": "new", "text": "word 7."}\n')
    report = world.run(job)
    assert (report.ending.how, report.standing.answered, len(world.online)) == ("done", 4, 0)
    assert sizes(world) == [2, 1]
    answers = world.answers()
    again = answers["again"]
    assert (again["answer"], again["same_as"], again["cost"]) == ("word 1.", "id 1", 0)
    assert (again["attempts"], again["seconds"]) == (0, 0)
    with world.rows.open("a", encoding="utf-8") as file:
        file.write('{"id": "once more", "text": "word 1."}\n')
    world.run(job)
    assert world.answers()["once more"]["same_as"] == "id 1", "of the row that was asked"


def test_a_question_that_waits_at_the_vendor_is_not_asked_in_another_batch(world: BatchWorld) -> None:
    job = Job(world.model, "say: {text}", key="id", dedupe=True)
    world.write(2)
    world.vendor.plays = [BatchPlay(looks=3)]
    stopped(world, lambda request: world.vendor.jobs, job=job)
    with world.rows.open("a", encoding="utf-8") as file:
        file.write('{"id": "again", "text": "word 1."}\n')
    report = world.run(job)
    assert (report.ending.how, report.standing.answered, len(world.online)) == ("done", 3, 0)
    assert sizes(world) == [2]
    assert world.answers()["again"]["same_as"] == "id 1"


# --- failures of the same kind


def test_rows_that_fail_in_the_same_way_after_one_was_answered_fail_each_for_itself(world: BatchWorld) -> None:
    """Also where that was in a session before."""
    world.write(1)
    world.run()
    with world.rows.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": f"bad {n}", "text": "x\nerror: 400"}) + "\n" for n in range(30))
    report = world.run()
    assert (report.ending.how, report.standing.answered, report.standing.failed) == ("done", 1, 30)


@pytest.mark.parametrize(("rows", "how"), [(19, "done"), (20, "failed")])
def test_as_many_rows_as_are_enough_for_one_lane_are_enough_for_a_batch(world: BatchWorld, rows: int, how: str) -> None:
    world.write(rows, text="x\nerror: 400")
    report = world.run()
    assert (report.ending.how, report.standing.failed) == (how, rows if how == "done" else 0)


def test_rows_that_fail_in_different_ways_fail_each_for_itself(world: BatchWorld) -> None:
    world.write(30, text="x\nerror: 400")
    with world.rows.open("a", encoding="utf-8") as file:
        file.write('{"id": "other", "text": "x\\nerror: 422"}\n')
    report = world.run()
    assert (report.ending.how, report.standing.failed) == ("done", 31)
