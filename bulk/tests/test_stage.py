"""The stage: a batch in, a batch out, the same rows in the same order, and nothing paid again for a block run twice."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from chatport import ConfigurationError
from chatport.testing import Emulator, faults
from chatport_bulk import Job, RunStoppedError, Settings, Stage, output_schema

from .conftest import MODEL, QUICK

TABLE = pa.table({"id": [f"id-{n}" for n in range(40)], "text": [f"word {n}" for n in range(40)]})
JOB = Job(MODEL, "say: {text}", key="id", keep=["text"])


def stage(emulator: Emulator, folder: Path | None, job: Job = JOB, **options: object) -> Stage:
    return Stage(job, folder, config=emulator.config(**QUICK), client={"transport": emulator}, **options)  # type: ignore[arg-type]  # of a test


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
