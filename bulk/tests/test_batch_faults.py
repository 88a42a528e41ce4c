"""What a vendor's side of batches may do that it should not, and what is left of a run by batches then."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from chatport import ConfigurationError
from chatport.testing import BatchPlay, EmulatedRequest, EmulatedResponse, Fault, Refusal, faults
from chatport.testing.batches import EmulatedBatch
from chatport_bulk import BatchSettings, Job, RowLog, Settings
from chatport_bulk.batches.command import batch_settings
from chatport_bulk.batches.log import Batch, BatchLog, BatchRow
from chatport_bulk.batches.reading import is_whole

from .batch_world import BatchWorld
from .conftest import write_jsonl

Answers = Callable[..., EmulatedResponse]


@pytest.fixture
def world(tmp_path: Path) -> BatchWorld:
    return BatchWorld(tmp_path)


def first(world: BatchWorld, name: str, number: int, answer: Answers) -> list[str]:
    """Let the vendor give another answer to the first so many requests of a kind; return which came, as they come."""
    usual: Answers = getattr(world.vendor, name)
    calls: list[str] = []

    def answers(request: EmulatedRequest, *steps: str) -> EmulatedResponse:
        calls.append(request.path)
        return answer(request, *steps) if len(calls) <= number else usual(request, *steps)

    setattr(world.vendor, name, answers)  # the vendor's gateway, not our code
    return calls


def refusing(status: int, code: str = "x", message: str = "No.") -> Answers:
    def answer(request: EmulatedRequest, *steps: str) -> EmulatedResponse:
        raise Refusal(status, {"error": {"message": message, "code": code, "type": "x"}})

    return answer


def told_as(world: BatchWorld, change: Callable[[EmulatedBatch, dict[str, Any]], Mapping[str, Any]]) -> None:
    """Let the vendor tell of its batches in another way."""
    usual = world.vendor.job_view

    def view(job: EmulatedBatch) -> dict[str, Any]:
        told = usual(job)
        return {**told, **change(job, told)}

    world.vendor.job_view = view  # type: ignore[method-assign]  # the vendor's words


def batches(world: BatchWorld) -> list[Batch]:
    log = RowLog(world.out / "run.sqlite", read_only=True)
    found = BatchLog(log, read_only=True).all()
    log.close()
    return found


FOR_EVER = 10**9


# --- the beginning


def test_a_file_without_an_id_is_sent_again_as_long_as_there_is_patience(world: BatchWorld) -> None:
    world.write(3)
    sent = first(world, "upload", FOR_EVER, lambda request: world.vendor.reply(200, {"object": "file", "id": ""}))
    report = world.run(settings=Settings(patience_seconds=100))
    assert report.ending.how == "failed"
    assert report.ending.reason.startswith(
        "A batch could not be made or read. MalformedReplyError: openai has taken a file, and gave it no id."
    )
    assert 100 < world.clock.elapsed_seconds < 140
    assert len(sent) == 6, "at 0, 10, 25, 47.5, 81.25 and 131.875 seconds"
    assert (report.standing.under_way, [batch.state for batch in batches(world)]) == (0, ["given up"])
    assert not list((world.out / "batches").iterdir())
    del world.vendor.upload
    assert world.run().standing.answered == 3


@pytest.mark.parametrize("step", ["create_batch", "look_at"])
def test_a_batch_without_an_id_is_looked_for_and_not_begun_twice(world: BatchWorld, step: str) -> None:
    world.write(3)
    usual: Answers = getattr(world.vendor, step)

    def nameless(request: EmulatedRequest, *steps: str) -> EmulatedResponse:
        told = json.loads(usual(request, *steps).body)
        return world.vendor.reply(200, {**told, "id": None})

    calls = first(world, step, 1, nameless)
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 3)
    assert len(calls) >= 1
    assert len(world.vendor.jobs) == 1


def test_a_batch_that_never_has_an_id_is_said_and_stays_open(world: BatchWorld) -> None:
    world.write(3)
    first(world, "look_at", FOR_EVER, lambda request, key: world.vendor.reply(200, {"status": "completed"}))
    report = world.run(settings=Settings(patience_seconds=5))
    assert report.ending.reason.startswith(
        "A batch could not be made or read. MalformedReplyError: openai tells of a batch without an id."
    )
    assert [batch.state for batch in batches(world)] == ["open"]
    del world.vendor.look_at
    assert world.run().standing.answered == 3
    assert len(world.vendor.jobs) == 1


def test_a_batch_that_is_refused_is_given_up_with_the_vendors_words(world: BatchWorld) -> None:
    world.write(3)
    calls = first(world, "create_batch", 1, refusing(400, message="The window is not offered."))
    report = world.run(batch=BatchSettings(deletes_files=True))
    assert report.ending.how == "failed"
    assert report.ending.reason.startswith("A batch could not be made or read. BadRequestError: ")
    assert "The window is not offered." in report.ending.reason
    assert (len(calls), report.standing.under_way, len(world.vendor.files)) == (1, 0, 0), "its file is deleted"
    assert world.run().standing.answered == 3


@pytest.mark.parametrize("refusal", [refusing(429), refusing(400, code="token_limit_exceeded")])
def test_a_vendor_that_takes_no_more_gets_smaller_batches(world: BatchWorld, refusal: Answers) -> None:
    world.write(8)
    first(world, "create_batch", 1, refusal)
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 8)
    sizes = [len(job.requests) for job in world.vendor.jobs.values()]
    assert sum(sizes) == 8
    assert max(sizes) <= 4, "half of what was refused"
    assert set(world.worked_on.values()) == {1}
    assert not world.online


def test_a_vendor_that_takes_not_even_one_row_ends_the_run(world: BatchWorld) -> None:
    world.write(2)
    first(world, "create_batch", FOR_EVER, refusing(429))
    report = world.run(batch=BatchSettings(most_rows=1))
    assert (report.ending.how, report.ending.reason) == (
        "failed", "The vendor takes no batch of even one row: its limit of waiting tokens is too low."
    )  # fmt: skip
    assert (report.standing.under_way, report.standing.answered) == (0, 0)


def test_rows_after_a_batch_that_was_refused_wait_for_the_next(world: BatchWorld) -> None:
    world.write(7)
    usual = world.vendor.create_batch
    calls: list[int] = []

    def refuse_second(request: EmulatedRequest) -> EmulatedResponse:
        calls.append(len(world.vendor.jobs))
        return refusing(429)(request) if len(calls) == 2 else usual(request)

    world.vendor.create_batch = refuse_second  # type: ignore[method-assign]  # the vendor's gateway
    report = world.run(batch=BatchSettings(most_rows=2))
    assert (report.ending.how, report.standing.answered) == ("done", 7)
    assert set(world.worked_on.values()) == {1}
    assert not world.online


def test_fields_of_a_batch_are_filled_as_the_facts_say(world: BatchWorld) -> None:
    world.write(1)
    fields = {
        "input_file_id": "{file}", "endpoint": "{endpoint}", "completion_window": "{hours}h",
        "more": [7, True, None, "{hours}", "of {model}: {name}", "{other}"],
    }  # fmt: skip
    world.config["models"] = {world.model: {"rules": {"batch": {"jobs": {"fields": fields}}}}}
    assert world.run().standing.answered == 1
    (job,) = world.vendor.jobs.values()
    (batch,) = batches(world)
    assert job.asked["more"] == [7, True, None, 24, f"of gpt-4o-mini: {batch.name}", "{other}"]
    assert (job.asked["input_file_id"], job.asked["completion_window"]) == (job.file, "24h")


# --- while it goes on


def test_what_a_vendor_says_of_a_batch_is_kept_as_it_changes(world: BatchWorld) -> None:
    world.write(3)
    world.vendor.plays = (BatchPlay(looks=5),)
    told_as(world, lambda job, told: {"status": "Validating" if job.looks == 0 else told["status"]})
    made = world.make()
    said: list[str] = []

    def look(number: int, request: EmulatedRequest) -> None:
        if world.vendor.jobs:
            said.extend(batch.said for batch in batches(world))
        if len(said) == 3:
            made.stop()

    world.emulator.misbehave(look)
    anyio.run(made.run)
    assert said == ["", "validating", "in_progress"] or said == ["validating", "in_progress", "in_progress"]


def test_a_batch_that_the_vendor_does_not_know_yet_is_looked_at_again(world: BatchWorld) -> None:
    world.write(3)
    calls = first(world, "look_at", 3, refusing(404))
    report = world.run()
    assert (report.ending.how, report.standing.answered, len(world.vendor.jobs)) == ("done", 3, 1)
    assert len(calls) == 4
    assert not report.tally.problems


@pytest.mark.parametrize(("step", "state"), [("look_at", "open"), ("file_content", "ended")])
def test_a_key_that_is_refused_later_leaves_the_batch_where_it_is(world: BatchWorld, step: str, state: str) -> None:
    world.write(3)
    calls = first(world, step, 1, refusing(403, message="Not yours."))
    report = world.run()
    assert report.ending.how == "failed"
    assert report.ending.reason.startswith("A batch could not be made or read. PermissionDeniedError: ")
    assert "Not yours." in report.ending.reason
    assert (len(calls), report.standing.under_way) == (1, 3), "it is not tried again"
    assert [batch.state for batch in batches(world)] == [state]
    assert not list((world.out / "batches").glob("*.results"))
    assert world.run().standing.answered == 3
    assert len(world.vendor.jobs) == 1


def test_a_stop_while_a_vendor_fails_is_a_stop(world: BatchWorld) -> None:
    world.write(3)
    made = world.make()

    def fail(request: EmulatedRequest, *steps: str) -> EmulatedResponse:
        made.stop()
        return refusing(500)(request)

    first(world, "look_at", FOR_EVER, fail)
    report = anyio.run(made.run)
    assert report.ending.how == "stopped"
    assert report.ending.reason == (
        "It was stopped. 1 batches with 3 rows stay at the vendor and go on there: the same command reads them, and "
        "`chatport bulk cancel` stops them."
    )


@pytest.mark.parametrize("status", [400, 409])
def test_a_batch_that_ends_while_it_is_cancelled_is_read(world: BatchWorld, status: int) -> None:
    world.write(4)
    world.vendor.plays = (BatchPlay(looks=FOR_EVER),)

    def ends(request: EmulatedRequest, key: str) -> EmulatedResponse:
        world.vendor.end_batch(world.vendor.jobs[key], "completed")
        return refusing(status, message="Cannot cancel a batch with status 'completed'.")(request)

    calls = first(world, "cancel_batch", FOR_EVER, ends)
    report = world.run(batch=BatchSettings(deadline_seconds=3600))
    tries = {400: 1, 409: 3}[status]  # a conflict may pass, so that the client tries again
    assert (report.ending.how, report.standing.answered, len(calls)) == ("done", 4, tries)
    assert not world.online


def test_a_cancellation_that_is_refused_for_speed_is_asked_for_again(world: BatchWorld) -> None:
    world.write(4)
    world.vendor.plays = (BatchPlay(looks=FOR_EVER, done=0.5),)
    calls = first(world, "cancel_batch", 3, refusing(429))
    report = world.run(batch=BatchSettings(deadline_seconds=3600))
    assert (report.ending.how, report.standing.answered, len(world.online)) == ("done", 4, 2)
    assert [job.state for job in world.vendor.jobs.values()] == ["cancelled"]
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("problems", "said"),
    [
        ("The file is broken.", "The file is broken."),
        (
            [
                {"code": "a", "message": "One.", "line": 3},
                {"code": "b", "message": "Two.", "line": True},
                "no object",
                {"code": "c", "line": 0},
                {"code": "d", "message": "Four."},
            ],
            "One. (line 3); Two.; {'code': 'c', 'line': 0}",
        ),
    ],
)
def test_a_batch_is_refused_in_the_vendors_words_however_it_has_them(
    world: BatchWorld, problems: Any, said: str
) -> None:
    world.write(3)
    world.vendor.plays = (BatchPlay(ending="failed"),)
    told_as(world, lambda job, told: {"errors": {"data": problems if job.state == "failed" else ""}})
    report = world.run()
    assert (report.ending.how, report.ending.reason) == (
        "failed", f"The vendor has refused the batch batch_00000001: {said}"
    )  # fmt: skip


def test_a_batch_with_results_is_read_whatever_is_wrong_with_it(world: BatchWorld) -> None:
    world.write(3)
    problem = [{"code": "some_failed", "message": "Some requests failed.", "line": None}]
    told_as(world, lambda job, told: {"errors": {"data": problem}})
    report = world.run()
    assert (report.ending.how, report.standing.answered, len(world.vendor.jobs)) == ("done", 3, 1)


# --- its results


def test_what_is_no_result_is_passed_over(world: BatchWorld) -> None:
    world.write(3)
    usual = world.vendor.keep_file

    def keep(content: bytes, name: str) -> str:
        more = b'{broken\n[1]\n\n{"custom_id": 7}\n' if name.endswith("_output.jsonl") else b""
        return usual(more + content, name)

    world.vendor.keep_file = keep  # type: ignore[method-assign]  # the vendor's disk
    report = world.run()
    assert (report.ending.how, report.standing.answered, len(world.vendor.jobs)) == ("done", 3, 1)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("It was refused.", "It was refused."),
        ({"code": "bad", "message": "This was wrong."}, "This was wrong."),
        ({"error": {"message": "Wrapped once."}}, "Wrapped once."),
    ],
)
def test_an_error_is_read_in_every_form_that_vendors_give_it(world: BatchWorld, error: Any, words: str) -> None:
    world.write(2)

    def line(number: int, own: str, status: int, body: Any) -> dict[str, Any]:
        response = {"status_code": 400, "body": None}
        return {"custom_id": own, "response": response, "error": error}

    world.vendor.result_line = line  # type: ignore[method-assign]  # the vendor's words
    report = world.run()
    assert report.standing.failures == {"BadRequestError": 2}
    assert all(words in one["error"] for one in world.failed().values())
    assert all(one["attempts"] == 1 for one in world.failed().values())


def test_a_key_that_is_refused_inside_a_batch_ends_the_run_and_costs_no_row(world: BatchWorld) -> None:
    world.write(3, text="x\nerror: 401")
    report = world.run()
    assert report.ending.how == "failed"
    assert report.ending.reason.startswith("No call can succeed. AuthenticationError: ")
    assert (report.standing.failed, report.standing.under_way) == (0, 0)
    assert not world.online


def test_results_of_many_rows_are_written_down_in_steps(world: BatchWorld) -> None:
    world.write(1100)
    report = world.run()
    assert (report.standing.answered, report.tally.answered, len(world.answers())) == (1100, 1100, 1100)


def test_a_file_that_cannot_be_deleted_is_told_and_nothing_else(world: BatchWorld) -> None:
    world.write(2)
    first(world, "delete_file", FOR_EVER, refusing(403, message="Files stay."))
    report = world.run(batch=BatchSettings(deletes_files=True))
    assert (report.ending.how, report.standing.answered) == ("done", 2)
    assert report.tally.problems == {"A file was not deleted (PermissionDeniedError)": "OpenAI: Files stay."}


# --- rows that go into none


def test_rows_that_cannot_be_asked_fail_before_a_batch_is_made(world: BatchWorld) -> None:
    def ask(row: Any) -> str:
        if row["text"] == "bad":
            raise ValueError("a bad row")
        return f"say: {row['text']}"

    write_jsonl(world.rows, [{"id": "1", "text": "word 1."}, {"id": "2", "text": "bad"}, {"text": "no key"}])
    report = world.run(Job(world.model, ask, key="id", keep=["text"]))
    assert (report.standing.answered, report.standing.failures) == (1, {"ValueError": 1, "UnreadableRow": 1})
    kinds = {one["kind"]: (one["error"], one["text"]) for one in world.failed().values()}
    assert kinds == {
        "ValueError": ("a bad row", "bad"),
        "UnreadableRow": ("The row has nothing in its key column 'id'.", "no key"),
    }
    assert [len(job.requests) for job in world.vendor.jobs.values()] == [1]
    assert (report.tally.answered, report.tally.failed) == (1, 2)


def test_rows_whose_endpoint_no_batch_reaches_are_asked_online(world: BatchWorld) -> None:
    world.write(3)
    world.config["models"] = {world.model: {"rules": {"batch": {"endpoints": {"/elsewhere": "/v1/elsewhere"}}}}}
    report = world.run()
    assert (report.standing.answered, len(world.online), len(world.vendor.jobs)) == (3, 3, 0)


def test_an_input_that_cannot_be_read_to_its_end_leaves_no_draft(world: BatchWorld) -> None:
    world.rows = world.folder / "rows.csv"
    lines = b"".join(b"id %d,word %d.\n" % (n, n) for n in range(1500))
    world.rows.write_bytes(b"id,text\n" + lines + b"\xff,x\n")
    with pytest.raises(ConfigurationError, match="The CSV input cannot be read near its line "):
        world.run(changed="keep")
    assert not list((world.out / "batches").iterdir())
    assert not world.vendor.jobs
    world.rows.write_bytes(b"id,text\n" + lines)
    assert world.run(changed="keep").standing.answered == 1500
    assert set(world.worked_on.values()) == {1}


def test_money_that_lost_calls_may_have_cost_ends_a_run_after_its_batches(world: BatchWorld) -> None:
    world.write(4)
    job = Job(world.model, "say: {text}", key="id", options={"max_tokens": 100})
    made = world.make(job, max_usd=0.1)
    made.log.step(begun=[f"gone {n}" for n in range(10**5)])
    made.close()
    report = world.run(job, max_usd=0.1)
    assert (report.ending.how, report.standing.answered, report.standing.lost) == ("money", 4, 10**5)
    assert report.ending.reason.startswith("--max-usd 0.1 is spent: ")
    assert not world.online


# --- what a session has left


def test_what_a_session_has_left_unfinished_is_cleared_away(world: BatchWorld) -> None:
    world.write(4)
    made = world.make()
    batch = Batch(1, "made", "chatport-1", world.model, "/v1/chat/completions", 2, 10, 0.0)
    log = BatchLog(made.log)
    log.make(batch, [BatchRow("id 0", b"1", None, None), BatchRow("id 1", b"2", None, None)])
    made.close()
    place = world.out / "batches"
    place.mkdir()
    for name in ("draft-1", "chatport-1.jsonl"):
        (place / name).write_text("{}", "utf-8")
    report = world.run()
    assert (report.ending.how, report.standing.answered, report.lost) == ("done", 4, 0)
    assert [len(job.requests) for job in world.vendor.jobs.values()] == [4]
    assert [batch.state for batch in batches(world)] == ["given up", "read"]
    assert not list(place.iterdir())


def _with_a_lost_beginning(world: BatchWorld, *, begun: bool) -> None:
    """End a session with a batch of which nobody knows whether it was begun."""
    world.write(4)

    def lose(number: int, request: EmulatedRequest) -> Fault | None:
        if request.method == "POST" and request.path.endswith(world.vendor.jobs_path):
            return faults.reset_before_head() if begun else faults.status(502)
        return faults.status(500) if request.method == "GET" else None

    world.emulator.misbehave(lose)
    report = world.run(settings=Settings(patience_seconds=5))
    assert report.ending.how == "failed"
    assert [batch.state for batch in batches(world)] == ["creating"]
    world.emulator.misbehave(())


def test_a_batch_that_was_not_begun_and_whose_requests_are_gone_is_given_up(tmp_path: Path) -> None:
    world = BatchWorld(tmp_path, "anthropic")
    _with_a_lost_beginning(world, begun=False)
    world.vendor.jobs.clear()
    world.vendor.worked_on.clear()
    for place in (world.out / "batches").iterdir():
        place.unlink()
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 4)
    assert [batch.state for batch in batches(world)] == ["given up", "read"]
    assert not world.online


def test_a_batch_whose_beginning_was_lost_is_found_to_be_cancelled(world: BatchWorld) -> None:
    world.vendor.plays = (BatchPlay(looks=FOR_EVER, done=0.5),)
    _with_a_lost_beginning(world, begun=True)
    assert len(world.vendor.jobs) == 1
    report = world.run(batch=BatchSettings(cancels=True))
    assert report.ending.reason.startswith("1 batches were cancelled. 2 of their rows were answered")
    assert [job.state for job in world.vendor.jobs.values()] == ["cancelled"]


def test_a_batch_of_the_same_size_whose_time_cannot_be_read_is_not_taken_for_ours(tmp_path: Path) -> None:
    world = BatchWorld(tmp_path, "anthropic")
    world.write(3)

    def begin_another() -> None:
        (ours,) = world.vendor.jobs.values()
        lines = [{"custom_id": f"t-{n}", "params": body} for n, (_, body) in enumerate(ours.requests)]
        world.vendor.begin_batch("/v1/messages", "".join(json.dumps(line) + "\n" for line in lines).encode(), {})

    lost = world.lose_a_beginning(begin_another)
    told_as(world, lambda job, told: {"created_at": "soon"} if len(lost) and job is _last(world) else {})
    report = world.run()
    assert (report.ending.how, report.standing.answered) == ("done", 3)
    assert (len(world.vendor.jobs), len(world.vendor.worked_on)) == (2, 3), "theirs was not even looked at"


def _last(world: BatchWorld) -> EmulatedBatch:
    return list(world.vendor.jobs.values())[-1]


# --- the options


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("90m", 5400), ("1.5h", 5400), ("2d", 172_800), (" 24h ", 86_400), (None, None)]
)
def test_a_deadline_is_a_number_with_its_unit(text: str | None, seconds: float | None) -> None:
    assert batch_settings({"batch_deadline": text}).deadline_seconds == seconds


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1.h", "1w", "1h 5m", "1234567890s"])
def test_a_deadline_that_is_none_is_said(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        batch_settings({"batch_deadline": text})
    assert caught.value.message == f"--batch-deadline is a time such as 24h, 90m or 2d, not {text!r}."


def test_options_that_are_left_out_are_the_usual_ones() -> None:
    assert batch_settings({}) == BatchSettings()
    given = {"batch_poll": 2.0, "batch_rows": 7, "batch_rounds": 3, "delete_files": True}
    assert batch_settings(given, cancels=True) == BatchSettings(
        rounds=3, most_rows=7, poll_seconds=2.0, longest_poll_seconds=60.0, deletes_files=True, cancels=True
    )


def test_a_stop_while_a_lost_beginning_is_looked_for_begins_nothing_again(world: BatchWorld) -> None:
    """A vendor's list may lag behind: whoever cannot wait for it leaves the question to the next session."""
    world.write(3)
    made = world.make()

    def lag(request: EmulatedRequest) -> EmulatedResponse:
        made.stop()
        return world.vendor.reply(200, {"object": "list", "data": [], "has_more": False})

    looks = first(world, "listing", FOR_EVER, lag)
    world.lose_a_beginning()
    report = anyio.run(made.run)
    assert report.ending.how == "stopped"
    assert (len(looks), len(world.vendor.jobs)) == (1, 1)
    assert [batch.state for batch in batches(world)] == ["creating"]


LONGEST = 4 * 1024 * 1024  # of a file's end that is looked at


def lines_of(last: int) -> bytes:
    """Return two whole lines of results; the second is so many bytes long."""
    return b'{"custom_id": "1"}\n{"custom_id": "2", "a": "' + b"a" * (last - 27) + b'"}'


@pytest.mark.parametrize("newline", [b"", b"\n", b"\n\n"])
@pytest.mark.parametrize("last", [40, LONGEST - 2, LONGEST - 1, LONGEST, LONGEST + 1])
def test_a_file_that_ends_with_a_whole_line_is_whole(tmp_path: Path, last: int, newline: bytes) -> None:
    """However long the line is, and whether an end of a line follows it; of a very long one not all is looked at."""
    place = tmp_path / "results.jsonl"
    content = lines_of(last)
    assert len(content.split(b"\n")[1]) == last
    place.write_bytes(content + newline)
    assert is_whole(place)
    place.write_bytes(content[:-1] + newline)
    assert is_whole(place) is (last - 1 + len(newline) >= LONGEST)


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_a_file_without_results_is_whole(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "results.jsonl"
    place.write_bytes(content)
    assert is_whole(place)
