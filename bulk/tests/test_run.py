"""A run: every row asked once, whatever the vendor does, whenever it is run again."""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest

from chatport import AsyncClient, Message
from chatport.testing import Emulator, Fault, faults
from chatport.testing.emulator import EmulatedRequest
from chatport_bulk import (
    Asking,
    ChangedRunError,
    Job,
    Row,
    RowLog,
    Run,
    RunStoppedError,
    Settings,
    Step,
    StorageError,
    run,
)
from chatport_bulk.answers import Answer
from chatport_bulk.lanes import lanes_of

from .conftest import MODEL, ONE_AT_A_TIME, QUICK, World, write_jsonl


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_every_row_gets_its_answer_and_a_second_run_asks_nothing(world: World, backend: str, kind: Any) -> None:
    world.backend = backend
    world.write(120)
    job = Job(MODEL, "say: {text}", key="id", format=kind)
    report = world.run(job)
    assert report.is_complete
    assert report.standing.answered == 120
    assert report.standing.failed == 0
    assert set(world.asked.values()) == {1}
    assert len(world.asked) == 120
    if kind == "parquet":
        from pyarrow import parquet

        rows = parquet.read_table(world.out / "answers").to_pylist()
    else:
        rows = world.answers()
    assert {row["key"]: row["answer"] for row in rows} == {f"id-{n}": f"word {n}" for n in range(120)}
    assert len(rows) == 120
    assert rows[0]["input_tokens"] > 0
    assert rows[0]["attempts"] == 1
    assert rows[0]["target"] == MODEL
    again = world.run(job)
    assert again.is_complete
    assert again.tally.skipped == 120
    assert len(world.emulator.requests) == 120


def test_rows_are_answered_once_by_a_vendor_that_fails_every_third_time(world: World) -> None:
    world.write(150)
    paid: list[str] = []

    def every_third(number: int, request: EmulatedRequest) -> Fault | None:
        kinds = (faults.status(500), faults.status(429), faults.reset_before_head(), faults.html_page())
        if number % 3 == 0:
            return kinds[number // 3 % len(kinds)]
        paid.append(request.json()["messages"][-1]["content"])
        return None

    world.misbehave(every_third)
    world.config = world.emulator.config(retry={**QUICK["retry"], "budget_share": 1.0})
    report = world.run(settings=Settings(rounds=10))
    assert (report.standing.answered, report.standing.failed) == (150, 0)
    assert len(paid) == len(set(paid)) == 150
    assert report.tally.refusals > 0


def test_a_bad_row_is_a_failure_with_its_reason_and_ends_nothing(world: World) -> None:
    lines: list[dict[str, object]] = [{"text": "fine"}, {"text": "error: 400"}, {"other": 1}, {"text": "fine too"}]
    write_jsonl(world.rows, lines)
    with world.rows.open("a", encoding="utf-8") as file:
        file.write("{broken\n\n[1]\n")
    job = Job(MODEL, "{text}")
    world.misbehave(())
    report = world.run(job)
    assert report.is_complete
    assert (report.standing.answered, report.standing.failed) == (2, 5)
    kinds = {row["key"]: row["kind"] for row in world.failed()}
    assert kinds == {
        "2": "BadRequestError",
        "3": "ConfigurationError",
        "5": "UnreadableRow",
        "6": "UnreadableRow",
        "7": "UnreadableRow",
    }
    assert "the row has: other" in world.failed()[1]["error"]


def test_failed_rows_are_asked_again_only_when_told_to(world: World) -> None:
    world.write(4)
    world.misbehave([None, faults.status(400), None, None])
    first = world.run(settings=ONE_AT_A_TIME)
    assert (first.standing.answered, first.standing.failed) == (3, 1)
    assert world.run().standing.failed == 1
    assert len(world.emulator.requests) == 4
    last = world.run(retry_failed=True)
    assert (last.standing.answered, last.standing.failed, last.standing.failures) == (4, 0, {})
    assert len(world.emulator.requests) == 5
    assert not (world.out / "failed.jsonl").exists()
    assert sorted(row["key"] for row in world.answers()) == ["1", "2", "3", "4"]


def test_a_changed_prompt_model_or_option_is_refused_with_what_changed(world: World) -> None:
    world.write(3)
    world.run()
    with pytest.raises(ChangedRunError, match=r"prompt: was 'say: \{text\}', is 'say: no \{text\}'") as caught:
        world.run(Job(MODEL, "say: no {text}"))
    assert len(caught.value.changes) == 1
    with pytest.raises(ChangedRunError, match="option max_tokens: was 'not set', is '5'"):
        world.run(Job(MODEL, "say: {text}", options={"max_tokens": 5}))
    with pytest.raises(ChangedRunError, match="model"):
        world.run(Job("compatible:another-model", "say: {text}"))
    assert len(world.emulator.requests) == 3


def test_a_changed_function_of_the_prompt_is_noticed(world: World) -> None:
    world.write(2)
    world.run(Job(MODEL, lambda row: f"say: {row['text']}"))
    with pytest.raises(ChangedRunError, match="prompt"):
        world.run(Job(MODEL, lambda row: [Message.user(f"say: {row['text']} and more")]))


def test_an_input_that_has_grown_is_asked_for_what_is_new(world: World) -> None:
    world.write(5)
    world.run()
    with world.rows.open("a", encoding="utf-8") as file:
        file.write('{"id": "new", "text": "new"}\n')
    report = world.run()
    assert report.standing.answered == 6
    assert len(world.emulator.requests) == 6
    world.write(6, start=1)
    with pytest.raises(ChangedRunError, match="may grow at its end"):
        world.run()


def test_rows_with_keys_may_come_in_any_order_and_a_changed_one_is_found(world: World) -> None:
    job = Job(MODEL, "say: {text}", key="id")
    world.write(6)
    world.run(job)
    rows = [{"id": f"id-{n}", "text": f"word {n}"} for n in (5, 9, 3, 0)]
    write_jsonl(world.rows, rows)
    assert world.run(job).standing.answered == 7
    assert world.asked["say: word 9"] == 1
    assert len(world.emulator.requests) == 7
    write_jsonl(world.rows, [{"id": "id-3", "text": "another word"}])
    with pytest.raises(ChangedRunError, match="The row id-3 is not what it was"):
        world.run(job)
    assert world.run(job, changed="keep").is_complete
    assert len(world.emulator.requests) == 7


def test_two_equal_rows_of_one_key_are_asked_once_and_a_row_without_key_fails(world: World) -> None:
    write_jsonl(world.rows, [{"id": 1, "text": "a"}, {"id": 1, "text": "a"}, {"id": None, "text": "b"}])
    report = world.run(Job(MODEL, "say: {text}", key="id"))
    assert (report.standing.answered, report.standing.failed) == (1, 1)
    assert "nothing in its key column" in world.failed()[0]["error"]


def test_rows_that_ask_the_same_are_asked_once_and_all_get_the_answer(world: World) -> None:
    write_jsonl(world.rows, [{"id": n, "text": f"word {n % 7}"} for n in range(60)])
    job = Job(MODEL, "say: {text}", key="id", keep=["id"], dedupe=True)
    world.misbehave([faults.status(400)])  # the first asks in vain: another one of the same question asks again
    report = world.run(job)
    assert report.standing.answered == 59
    assert report.standing.failed == 1
    assert len(world.emulator.requests) == 8
    answers = {row["key"]: row for row in world.answers()}
    assert all(row["answer"] == f"word {int(key) % 7}" and row["id"] == int(key) for key, row in answers.items())
    assert sum("same_as" in row for row in answers.values()) == 52
    assert report.standing.totals["same"] == 52
    assert report.standing.totals["attempts"] == 8
    write_jsonl(world.rows, [{"id": n, "text": f"word {n % 7}"} for n in range(100)])
    assert world.run(job).standing.answered == 99
    assert len(world.emulator.requests) == 8


def test_the_same_failure_of_the_first_rows_stops_the_run_and_they_are_asked_again(world: World) -> None:
    world.write(300)
    world.misbehave(lambda number, request: faults.status(400))
    report = world.run()
    assert report.ending.how == "failed"
    assert "rows failed in the same way, and none was answered. BadRequestError" in report.ending.reason
    assert 20 <= len(world.emulator.requests) < 60
    assert (report.standing.failed, report.standing.failures) == (0, {})
    world.misbehave(())
    assert world.run().standing.answered == 300


def test_one_answer_among_the_first_rows_and_no_row_of_failures_ends_the_run(world: World) -> None:
    world.write(100)
    world.misbehave(lambda number, request: faults.status(400) if number > 1 else None)
    report = world.run(settings=ONE_AT_A_TIME)
    assert report.ending.how == "done"
    assert (report.standing.answered, report.standing.failed) == (1, 99)


def test_a_refused_key_stops_the_run_at_once_and_costs_no_row(world: World) -> None:
    world.write(200)
    world.emulator.vendor.api_key = "right"
    report = world.run()
    assert report.ending.how == "failed"
    assert "AuthenticationError" in report.ending.reason
    assert len(world.emulator.requests) <= 8
    assert report.standing.failed == 0
    world.emulator.vendor.api_key = None
    assert world.run().standing.answered == 200


def test_a_vendor_that_refuses_everything_ends_the_run_when_patience_is_over(world: World) -> None:
    world.write(20)
    world.misbehave(lambda number, request: faults.status(429, headers={"retry-after-ms": "1"}))
    report = world.run(settings=Settings(patience_seconds=0.2))
    assert report.ending.how == "failed"
    assert "nothing was answered, and the vendor refuses" in report.ending.reason
    assert (report.standing.answered, report.standing.failed) == (0, 0)


PRICES = {"models": {MODEL: {"prices": [{"match": "*", "input": 1.0, "output": 1000.0}]}}}


def test_a_cap_of_money_holds_over_all_sessions(world: World) -> None:
    world.write(100)
    job = Job(MODEL, "say: {text}", options={"max_tokens": 10})
    world.config = world.emulator.config(**QUICK, **PRICES)
    first = world.run(job, max_usd=0.05)
    assert first.ending.how == "money"
    assert "--max-usd" in first.ending.reason
    spent = first.standing.costs["USD"]
    assert 0.03 < spent <= 0.05
    assert first.standing.failed == 0
    second = world.run(job, max_usd=0.1)
    assert second.ending.how == "money"
    assert 0.08 < second.standing.costs["USD"] <= 0.1
    with pytest.raises(RunStoppedError, match="is spent"):
        world.run(job, max_usd=0.05)
    assert world.run(job, max_usd=10).standing.answered == 100


def test_a_cap_without_a_known_price_stops_before_anything_is_paid(world: World) -> None:
    world.write(10)
    report = world.run(max_usd=1.0)
    assert report.ending.how == "money"
    assert "no price of compatible:emulated-model is known" in report.ending.reason
    assert not world.emulator.requests


def test_a_limit_asks_so_many_rows_and_the_next_run_the_others(world: World) -> None:
    world.write(30)
    assert world.run(limit=7).standing.answered == 7
    assert world.run(limit=7).standing.answered == 14
    assert world.run().standing.answered == 30
    assert set(world.asked.values()) == {1}


def test_answers_with_a_structure_are_columns_and_one_that_does_not_fit_is_a_failure(world: World) -> None:
    from pyarrow import parquet

    schema = {
        "type": "object",
        "properties": {"mood": {"type": "string"}, "stars": {"type": "integer"}, "why": {"type": "array"}},
        "required": ["mood", "stars"],
    }
    said = ['{"mood": "glad", "stars": 5, "why": ["x"]}', '{"mood": "sad", "stars": 1}', "nonsense"]
    write_jsonl(world.rows, [{"text": text} for text in said])
    report = world.run(Job(MODEL, "say: {text}", output=schema, retry_invalid=0, format="parquet"))
    assert (report.standing.answered, report.standing.failed) == (2, 1)
    rows = sorted(parquet.read_table(world.out / "answers").to_pylist(), key=lambda row: str(row["key"]))
    assert [(row["parsed_mood"], row["parsed_stars"], row["parsed_why"]) for row in rows] == [
        ("glad", 5, '["x"]'),
        ("sad", 1, None),
    ]
    (failed,) = world.failed()
    assert failed["kind"] == "MalformedReplyError"
    assert failed["answer"] == "nonsense"
    assert failed["input_tokens"] > 0
    world.out = world.folder / "again"  # asked again, the emulated model fits
    report = world.run(Job(MODEL, "say: {text}", output=schema, retry_invalid=1, format="parquet"))
    assert (report.standing.answered, report.standing.totals["attempts"]) == (3, 4)


def test_images_go_by_path_and_one_that_is_missing_fails_its_row(world: World, tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(16))
    rows = [{"text": "see", "picture": str(tmp_path / "dot.png")}, {"text": "see", "picture": "gone.png"}]
    write_jsonl(world.rows, rows)
    report = world.run(Job(MODEL, "say: {text}", system="Look.", images=["picture"]))
    assert (report.standing.answered, report.standing.failed) == (1, 1)
    system, asked = world.emulator.requests[0].json()["messages"]
    assert system["content"] == "Look."
    assert asked["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert "'gone.png' cannot be read" in world.failed()[0]["error"]


def test_rows_with_messages_of_their_own_need_no_prompt(world: World) -> None:
    write_jsonl(world.rows, [{"messages": [{"role": "user", "content": "say: own"}]}, {"prompt": "say: mine"}])
    world.run(Job(MODEL))
    assert {row["answer"] for row in world.answers()} == {"own", "mine"}


def test_all_targets_of_an_alias_work_at_once_and_one_that_is_closed_leaves_its_rows_to_the_other(
    world: World,
) -> None:
    world.write(80)
    table = world.config["providers"]["compatible"]
    world.emulator.vendor.models = ("m-1", "m-2")
    world.config = {
        **QUICK,
        "providers": {"one": table, "two": table},
        "aliases": {"both": {"targets": ["one:m-1", "two:m-2"], "max_tokens": 50}},
    }
    world.run(Job("both", "say: {text}", spread=True))
    models = [request.json()["model"] for request in world.emulator.requests]
    assert set(models) == {"m-1", "m-2"}
    assert len(models) == 80
    assert world.emulator.requests[0].json()["max_tokens"] == 50
    world.out = world.folder / "other"
    world.emulator.requests.clear()
    world.emulator.vendor.models = ("m-2",)
    report = world.run(Job("both", "say: {text}", spread=True))
    assert report.standing.answered == 80
    assert report.standing.failed == 0
    assert "ModelNotFoundError at one:m-1" in report.tally.problems


def test_two_runs_in_one_folder_are_refused(world: World) -> None:
    world.write(2)
    made = world.make()
    with pytest.raises(StorageError, match="Another run is at work"):
        world.make()
    made.close()
    assert world.run().is_complete


async def test_stopping_lets_calls_under_way_end_and_keeps_them(world: World, anyio_backend_name: str) -> None:
    world.write(400)
    made = world.make()

    def stop_at_50(number: int, request: EmulatedRequest) -> None:
        if number == 50:
            made.stop()

    world.misbehave(stop_at_50)
    report = await made.run()
    assert report.ending.how == "stopped"
    assert report.standing.under_way == 0
    assert 50 <= report.standing.answered == len(world.emulator.requests) < 400
    world.misbehave(())
    last = await world.make().run()
    assert last.lost == 0
    assert last.standing.answered == 400
    assert set(world.asked.values()) == {1}


async def test_leaving_at_once_keeps_what_has_ended_and_counts_what_was_under_way(world: World) -> None:
    world.write(400)
    with anyio.CancelScope() as scope:

        def leave_at_50(number: int, request: EmulatedRequest) -> None:
            if number == 50:
                scope.cancel()

        world.misbehave(leave_at_50)
        await world.make().run()
    world.misbehave(())
    report = await world.make().run()
    assert report.standing.answered == 400
    twice = len(world.emulator.requests) - 400
    assert 0 < report.lost <= 64
    assert twice <= report.lost == report.standing.lost


def test_memory_of_what_waits_is_bounded(world: World) -> None:
    """However long the input, no more rows are read ahead than a few batches."""
    world.write(20_000)
    made = world.make(settings=Settings(concurrency=2))
    read: list[int] = []
    ask = made.to_ask

    def counted() -> Any:
        for batch in ask():
            read.append(len(batch))
            yield batch

    made.to_ask = counted  # type: ignore[method-assign]  # only counts what passes

    def stop_soon(number: int, request: EmulatedRequest) -> None:
        if number == 20:
            made.stop()

    world.misbehave(stop_soon)
    report = anyio.run(made.run)
    assert report.standing.answered >= 20
    assert sum(read) <= 1500


def test_prompts_keys_and_failures_stay_out_of_errors_of_the_folder(world: World) -> None:
    world.write(2)
    world.config = {
        **QUICK,
        "providers": {"compatible": {**world.config["providers"]["compatible"], "api_key": "s3cr"}},
    }
    world.run()
    assert all(b"s3cr" not in path.read_bytes() for path in world.out.rglob("*") if path.is_file())


def test_a_log_of_a_newer_version_is_not_touched(world: World) -> None:
    world.write(1)
    world.run()
    log = RowLog(world.out / "run.sqlite")
    log.set_meta(version="99")
    log.close()
    with pytest.raises(StorageError, match="another version"):
        world.run()


def test_an_emulator_of_a_vendor_takes_a_run_as_it_is(tmp_path: Path) -> None:
    emulator = Emulator("deepseek")
    rows = write_jsonl(tmp_path / "r.jsonl", [{"text": f"w{n}"} for n in range(20)])
    job = Job("deepseek:deepseek-flash", "say: {text}")
    report = run(rows, job, tmp_path / "o", config=emulator.config(), client={"transport": emulator})
    assert report.standing.answered == 20
    assert report.standing.costs["CNY"] > 0


def test_rows_whose_function_fails_are_not_taken_for_the_same(world: World) -> None:
    def ask(row: Any) -> str:
        if row["text"] == "bad":
            raise ValueError("a bad row")
        return f"say: {row['text']}"

    write_jsonl(world.rows, [{"text": text} for text in ("bad", "good", "bad", "good")])
    report = world.run(Job(MODEL, ask, dedupe=True))
    assert (report.standing.answered, report.standing.failures) == (2, {"ValueError": 2})
    assert [row["error"] for row in world.failed()] == ["a bad row"] * 2
    assert len(world.emulator.requests) == 1


def test_a_failure_is_not_remembered_for_rows_that_ask_the_same_later(world: World) -> None:
    job = Job(MODEL, "say: {text}", dedupe=True)
    write_jsonl(world.rows, [{"text": "a"}])
    world.misbehave([faults.status(400)])
    assert world.run(job).standing.failed == 1
    write_jsonl(world.rows, [{"text": "a"}, {"text": "a"}])
    report = world.run(job)
    assert (report.standing.answered, report.standing.failed, len(world.emulator.requests)) == (1, 1, 2)
    assert "same_as" not in world.answers()[0]


def test_an_answer_that_comes_while_it_is_looked_up_is_not_asked_for_again(world: World) -> None:
    """The log is read before the answer is in it, and says so when the answer is there."""
    looked, written = threading.Event(), threading.Event()
    write_jsonl(world.rows, [{"text": "a"}] * 1_200)
    made = world.make(Job(MODEL, "say: {text}", dedupe=True))
    look_up, write, looks = made.log.memo, made.write, itertools.count(1)

    def memo(digests: Sequence[bytes]) -> dict[bytes, Answer]:
        found = look_up(digests)
        if next(looks) == 2:
            looked.set()
            assert written.wait(10)
        return found

    def commit(step: Any) -> None:
        if step.memo:
            assert looked.wait(10)
        write(step)
        if step.memo:
            written.set()

    made.log.memo, made.write = memo, commit  # type: ignore[method-assign]
    report = anyio.run(made.run)
    assert (report.standing.answered, len(world.emulator.requests)) == (1_200, 1)
    assert written.is_set()


def test_a_row_that_one_target_has_refused_is_asked_of_the_other(world: World) -> None:
    world.write(3)
    table = world.config["providers"]["compatible"]
    world.emulator.vendor.models = ("m-1", "m-2")
    world.config = {
        "retry": {"attempts": 1},
        "providers": {"one": table, "two": table},
        "aliases": {"both": {"targets": ["one:m-1", "two:m-2"]}},
    }
    refusal = faults.status(429, headers={"retry-after-ms": "1"})
    world.misbehave(lambda number, request: refusal if request.json()["model"] == "m-1" else None)
    settings = Settings(concurrency=1, first_concurrency=1, patience_seconds=5)
    report = world.run(Job("both", "say: {text}", spread=True), settings=settings)
    assert (report.standing.answered, report.tally.refusals) == (3, 3)
    models = [request.json()["model"] for request in world.emulator.requests]
    assert (models.count("m-1"), models.count("m-2")) == (3, 3)


def test_nothing_new_is_begun_while_twice_as_many_rows_as_calls_wait_for_a_failing_vendor(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.random", lambda: 0.05)  # of two seconds
    world.write(9)
    world.config = world.emulator.config(retry={"attempts": 1})
    world.misbehave([faults.status(500)] * 3)
    assert world.run(settings=ONE_AT_A_TIME).standing.answered == 9
    asked = [request.json()["messages"][-1]["content"] for request in world.emulator.requests]
    assert asked[:3] == ["say: word 0", "say: word 1", "say: word 2"]
    assert asked[3] in asked[:3]


async def test_what_has_ended_is_written_down_where_asking_is_cancelled(world: World, anyio_backend_name: str) -> None:
    """One row ends at once, since its prompt cannot be made; the other is under way."""
    steps: list[Step] = []
    scope = anyio.CancelScope()
    rows = iter([[Row(1, {}), Row(2, {"text": "a"})], None])

    def commit(step: Step) -> None:
        steps.append(step)
        if step.begun:
            anyio.from_thread.run_sync(scope.cancel)

    async with AsyncClient(world.config, transport=world.emulator) as client:
        asking = Asking(
            client,
            world.job,
            lanes_of(client, MODEL, spread=False, most=2, first=2),
            Settings(concurrency=2),
            batches=rows.__next__,
            commit=commit,
        )
        with scope:
            await asking.run()
    assert scope.cancelled_caught
    first, last = steps
    assert (first.begun, first.ended) == ([1, 2], [])
    assert (last.begun, [answer.key for answer, _ in last.ended], last.back) == ([], [1], [])
    assert not world.emulator.requests


def test_answers_are_written_as_files_while_a_run_goes_on(world: World) -> None:
    """Rows that ask the same cost next to nothing, so that a part is full before the last one is asked."""
    write_jsonl(world.rows, [*({"text": "same"} for _ in range(10_100)), {"text": "last"}])
    seen: list[int] = []

    def look(number: int, request: EmulatedRequest) -> None:
        if request.json()["messages"][-1]["content"] == "say: last":
            seen.extend(len(part.read_text("utf-8").splitlines()) for part in (world.out / "answers").glob("*.jsonl"))

    world.misbehave(look)
    assert world.run(Job(MODEL, "say: {text}", dedupe=True)).standing.parts == 2
    assert seen == [10_000]
    assert len(world.answers()) == 10_101


def test_a_folder_of_answers_that_breaks_in_a_run_ends_it_and_loses_none(world: World) -> None:
    others = [f"other {n}" for n in range(150)]
    write_jsonl(world.rows, [{"text": text} for text in [*["same"] * 10_000, *others]])
    answers = world.out / "answers"

    def break_it(number: int, request: EmulatedRequest) -> None:
        if answers.is_dir():
            shutil.rmtree(answers)
            answers.write_text("in the way", "utf-8")

    world.misbehave(break_it)
    job = Job(MODEL, "say: {text}", dedupe=True)
    with pytest.raises(StorageError) as caught:
        world.run(job)
    assert caught.value.message == (
        f"{answers / 'part-000001.jsonl'} cannot be written: Not a directory. Nothing is lost: its rows are in the "
        "log. Make room, and run the same command again."
    )
    assert len(world.emulator.requests) < 150, "it stops at the first part that cannot be written"
    answers.unlink()
    world.misbehave(())
    assert world.run(job).standing.answered == len(world.answers()) == 10_150
    assert {world.asked[f"say: {text}"] for text in others} == {1}


def test_a_run_can_be_watched_from_its_beginning(world: World) -> None:
    world.write(3)
    made: list[Run] = []
    report = run(world.rows, world.job, world.out, watch=made.append, **world.options({}))
    assert [one.tally for one in made] == [report.tally]
    assert report.tally.answered == 3
