"""The stage: a batch in, a batch out, the same rows in the same order, and nothing paid again for a block run twice."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from chatport import ConfigurationError
from chatport.testing import Emulator, faults
from chatport_bulk import Job, RunStoppedError, Settings, Stage, StorageError, output_schema

from .conftest import MODEL, QUICK

TABLE = pa.table({"id": [f"id-{n}" for n in range(40)], "text": [f"word {n}" for n in range(40)]})
JOB = Job(MODEL, "say: {text}", key="id", keep=["text"])


def stage(emulator: Emulator, folder: Path | None, job: Job = JOB, **options: object) -> Stage:
    return Stage(job, folder, config=emulator.config(**QUICK), client={"transport": emulator}, **options)  # type: ignore[arg-type]  # of a test


def test_the_schema_of_what_is_given_has_the_columns_that_are_kept() -> None:
    read = pa.schema([("id", pa.int64()), ("text", pa.string()), ("cost", pa.float32())])
    bare = output_schema(Job(MODEL, "x"))
    assert bare.names[:3] == ["key", "answer", "finish_reason"]
    kept = output_schema(Job(MODEL, "x", keep=["id", "cost", "gone"]), read)
    assert kept.names == ["id", "input_cost", *bare.names]  # the answer's own `cost` keeps its name
    assert (kept.field("id").type, kept.field("input_cost").type) == (pa.int64(), pa.float32())
    assert output_schema(Job(MODEL, "x", keep=["*"]), read).names == ["id", "text", "input_cost", *bare.names]
    assert output_schema(Job(MODEL, "x", keep=["*"])) == bare


def test_a_batch_comes_back_with_its_answers_in_its_order(tmp_path: Path) -> None:
    emulator = Emulator("compatible")
    with stage(emulator, tmp_path) as asking:
        found = asking(TABLE)
        assert found.schema == output_schema(JOB, TABLE.schema)
        assert found.column("key").to_pylist() == TABLE.column("id").to_pylist()
        assert found.column("answer").to_pylist() == TABLE.column("text").to_pylist()
        one = asking(TABLE.to_batches(max_chunksize=7)[0])
        assert one.num_rows == 7


def test_a_block_that_is_run_again_anywhere_asks_nothing(tmp_path: Path) -> None:
    emulator = Emulator("compatible")
    job = pickle.loads(pickle.dumps(JOB))
    for _ in range(2):
        with stage(emulator, tmp_path, job) as asking:
            assert asking(TABLE).column("answer").to_pylist() == TABLE.column("text").to_pylist()
    assert len(emulator.requests) == 40


def test_a_block_that_died_half_way_asks_the_other_half(tmp_path: Path) -> None:
    emulator = Emulator("compatible", faults=lambda n, request: faults.status(401) if n > 15 else None)
    with stage(emulator, tmp_path) as asking, pytest.raises(RunStoppedError, match="AuthenticationError"):
        asking(TABLE)
    before = len(emulator.requests)
    emulator.misbehave(())
    with stage(emulator, tmp_path) as asking:
        assert None not in asking(TABLE).column("answer").to_pylist()
        assert asking.tally.skipped == 15
        assert asking.lost == 0
    assert len(emulator.requests) - before == 25


def test_a_bad_row_is_a_row_with_an_error(tmp_path: Path) -> None:
    emulator = Emulator("compatible")
    table = pa.table({"id": ["a", None, "c"], "text": ["error: 400", "x", "fine"]})
    with stage(emulator, tmp_path, Job(MODEL, "{text}", key="id")) as asking:
        rows = asking(table).to_pylist()
    assert [row["kind"] for row in rows] == ["BadRequestError", "UnreadableRow", None]
    assert [row["answer"] is None for row in rows] == [True, True, False]


def test_several_threads_share_one_stage(tmp_path: Path) -> None:
    emulator = Emulator("compatible")
    with stage(emulator, tmp_path, settings=Settings(concurrency=8)) as asking, ThreadPoolExecutor(4) as pool:
        found = pa.concat_tables(pool.map(asking, TABLE.to_batches(max_chunksize=5)))
    assert found.column("answer").to_pylist() == TABLE.column("text").to_pylist()
    assert len(emulator.requests) == 40


def test_a_stage_is_sent_to_a_worker_before_its_first_call_only() -> None:
    emulator = Emulator("compatible")
    fresh = pickle.loads(pickle.dumps(Stage(JOB, None, config={"providers": {}})))
    assert fresh.job.model == MODEL
    with stage(emulator, None) as asking:
        assert asking(TABLE).num_rows == 40
        with pytest.raises(ConfigurationError, match="before its first call"):
            pickle.dumps(asking)


def test_failed_rows_of_a_block_are_asked_again_only_when_told_to(tmp_path: Path) -> None:
    emulator = Emulator("compatible", faults=[faults.status(400)])
    kinds = []
    for again in (False, False, True):
        with stage(emulator, tmp_path, retry_failed=again, settings=Settings(concurrency=1)) as asking:
            kinds.append([kind for kind in asking(TABLE).column("kind").to_pylist() if kind])
    assert kinds == [["BadRequestError"], ["BadRequestError"], []]
    assert len(emulator.requests) == 41


def test_refusals_are_counted_and_calls_go_slower(tmp_path: Path) -> None:
    refusal = faults.status(429, headers={"retry-after-ms": "1"})
    emulator = Emulator("compatible", faults=[refusal, faults.status(503), None, faults.status(400)])
    with stage(emulator, tmp_path, settings=Settings(concurrency=8)) as asking:
        before = asking(TABLE.slice(0, 0))
        found = asking(TABLE.slice(0, 10))
        assert asking.tally.refusals == 2
        assert asking.tally.limit < 8
    assert before.num_rows == 0
    assert found.column("kind").to_pylist().count(None) == 9


def test_a_stage_that_cannot_open_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    asking = Stage(Job("nobody", "{text}"), tmp_path, config={})
    held = []  # with what they refer to, as who logs them does
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="nobody") as caught:
            asking(TABLE)
        held.append(caught)
    assert set(threading.enumerate()) == before
    assert pickle.loads(pickle.dumps(asking)).job.model == "nobody", "it was not opened"


def test_what_was_answered_is_counted_and_said_where_it_cannot_be_written(tmp_path: Path) -> None:
    emulator = Emulator("compatible")
    assert stage(emulator, None).recall() == 0
    asking = stage(emulator, tmp_path)
    assert asking.recall() == 0, "there are no blocks yet"
    with asking:
        asking(TABLE)
    assert stage(emulator, tmp_path).recall() == 40
    (known,) = (tmp_path / "blocks").glob("*.rows")
    known.unlink()
    known.mkdir()
    with pytest.raises(StorageError) as caught:
        stage(emulator, tmp_path).recall()
    assert caught.value.message.startswith(f"{known}, which says where rows were answered, cannot be written: ")
    assert not list((tmp_path / "blocks").glob("*.tmp"))
