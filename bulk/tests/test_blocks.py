"""Blocks of rows that an engine hands out: twice at the same time, to a stage nobody closes, full of bad rows."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from chatport import ConfigurationError
from chatport.testing import Emulator
from chatport_bulk import Job, RunStoppedError, Settings, Stage, StorageError, standing_of_blocks
from chatport_bulk.command import command

from .conftest import MODEL, QUICK

JOB = Job(MODEL, "say: {text}", key="id", keep=["text"])


def rows(number: int, text: str = "word {n}", start: int = 0) -> pa.Table:
    names = range(start, start + number)
    return pa.table({"id": [f"id-{n}" for n in names], "text": [text.format(n=n) for n in names]})


def stage(emulator: Emulator, folder: Path | None, job: Job = JOB, **options: object) -> Stage:
    return Stage(job, folder, config=emulator.config(**QUICK), client={"transport": emulator}, **options)  # type: ignore[arg-type]  # of a test


def test_two_workers_with_the_same_block_ask_it_once(tmp_path: Path) -> None:
    """An engine begins a slow block a second time, or a driver that was started anew meets the workers of the first."""
    released = threading.Event()

    def slow(number: int, request: object) -> None:
        released.wait(10)

    emulator = Emulator("compatible", faults=slow)
    with stage(emulator, tmp_path) as one, stage(emulator, tmp_path) as other, ThreadPoolExecutor(2) as pool:
        both = [pool.submit(each, rows(20)) for each in (one, other)]
        while not emulator.requests:
            time.sleep(0.01)
        released.set()
        found = [each.result() for each in both]
    assert found[0].column("answer").to_pylist() == found[1].column("answer").to_pylist()
    assert len(emulator.requests) == 20
    assert one.lost + other.lost == 0
    assert not list((tmp_path / "blocks").glob("*/*.lock"))


def test_one_bad_block_ends_no_run_in_which_rows_were_answered(tmp_path: Path) -> None:
    emulator = Emulator("compatible")
    bad = rows(30, "error: 400", start=100)
    job = Job(MODEL, "{text}", key="id")
    with stage(emulator, tmp_path, job) as asking, pytest.raises(RunStoppedError, match="rows failed in the same way"):
        asking(bad)
    with stage(emulator, tmp_path, job) as asking:
        asking(rows(5))
    with stage(emulator, tmp_path, job) as another_worker:
        kinds = another_worker(bad).column("kind").to_pylist()
    assert kinds == ["BadRequestError"] * 30
    standing = standing_of_blocks(tmp_path)
    assert (standing.answered, standing.failed, dict(standing.failures)) == (5, 30, {"BadRequestError": 30})


def test_status_says_what_the_blocks_stand_at(tmp_path: Path) -> None:
    with stage(Emulator("compatible"), tmp_path) as asking:
        asking(rows(5))
        asking(rows(7, start=5))
    found = CliRunner().invoke(command, ["status", str(tmp_path)])
    assert (found.exit_code, "answered: 12\n" in found.output) == (0, True), found.output


def test_a_cap_is_for_all_blocks_of_a_stage(tmp_path: Path) -> None:
    emulator = Emulator("compatible")
    prices = {MODEL: {"prices": [{"match": "*", "input": 1.0, "output": 1000.0}]}}
    job = Job(MODEL, "say: {text}", key="id", options={"max_tokens": 10})
    config = emulator.config(**QUICK, models=prices)
    asking = Stage(
        job, tmp_path, config=config, settings=Settings(max_usd=0.05), client={"transport": emulator}
    )  # about 0.0025 USD a row
    with asking:
        asking(rows(10))
        with pytest.raises(RunStoppedError, match="max_usd"):
            asking(rows(20, start=10))
        before = standing_of_blocks(tmp_path)
        with pytest.raises(RunStoppedError, match="max_usd"):
            asking(rows(10, start=30))
    assert standing_of_blocks(tmp_path).answered == before.answered > 10
    assert 0.03 < before.costs["USD"] <= 0.05


def test_record_batches_go_through_as_spark_hands_them_over(tmp_path: Path) -> None:
    """`mapInArrow` calls a function with an iterator of record batches, and wants record batches."""
    emulator = Emulator("compatible")
    asking = stage(emulator, tmp_path)

    def answered(batches):  # type: ignore[no-untyped-def]  # as in the manual
        yield from asking.over(batches)

    batches = list(answered(iter(rows(50).to_batches(max_chunksize=20))))  # type: ignore[no-untyped-call]
    assert [type(batch) for batch in batches] == [pa.RecordBatch] * 3
    assert pa.Table.from_batches(batches).column("answer").to_pylist() == rows(50).column("text").to_pylist()
    assert asking._opened is None


def test_a_batch_of_no_rows_is_one_of_no_answers(tmp_path: Path) -> None:
    with stage(Emulator("compatible"), tmp_path) as asking:
        assert asking(rows(0)).num_rows == 0
    assert not (tmp_path / "blocks").exists()


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    emulator = Emulator("compatible")
    (tmp_path / "file").write_text("in the way", "utf-8")
    with stage(emulator, tmp_path / "file") as asking, pytest.raises(StorageError, match="every worker can write"):
        asking(rows(3))
    assert not emulator.requests


def test_rows_that_are_cut_anew_are_not_paid_again(tmp_path: Path) -> None:
    """On more machines, an engine makes other blocks of the same rows."""
    emulator = Emulator("compatible")
    with stage(emulator, tmp_path) as asking:
        for block in rows(60).to_batches(max_chunksize=20):
            asking(block)
    again = stage(emulator, tmp_path)
    assert again.recall() == again.recall() == 60
    with again as asking:
        found = [asking(block) for block in rows(70).to_batches(max_chunksize=35)]
    answers = pa.concat_tables(found)
    assert answers.column("answer").to_pylist() == rows(70).column("text").to_pylist()
    assert answers.column("key").to_pylist() == rows(70).column("id").to_pylist()
    assert len(emulator.requests) == 70
    assert standing_of_blocks(tmp_path).answered == 70
    with stage(emulator, tmp_path, Job(MODEL, "say: {text}!", key="id")) as another_job:
        assert another_job.recall() == 0
        another_job(rows(5))
    assert len(emulator.requests) == 75


def test_rows_without_a_key_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    emulator = Emulator("compatible")
    job = Job(MODEL, "say: {text}")
    with stage(emulator, tmp_path, job) as asking:
        asking(rows(10))
    (removed,) = (tmp_path / "blocks").glob("*/*.sqlite")
    again = stage(emulator, tmp_path, job)
    again.recall()
    with again as asking:
        moved = asking(rows(6, start=4))
        assert moved.column("key").to_pylist() == ["1", "2", "3", "4", "5", "6"]
        assert moved.column("answer").to_pylist() == rows(6, start=4).column("text").to_pylist()
        assert len(emulator.requests) == 10
        removed.unlink()
        assert None not in asking(rows(3, start=2)).column("answer").to_pylist()
    assert len(emulator.requests) == 13


_NOT_CLOSED = """
import sys
import pyarrow as pa
from chatport.testing import Emulator
from chatport_bulk import Job, Stage
emulator = Emulator("compatible")
job = Job("compatible:emulated-model", "say: {text}")
stage = Stage(job, sys.argv[1], config=emulator.config(), client={"transport": emulator})
print(stage(pa.table({"text": ["a"]})).column("answer")[0])
"""


def test_a_program_ends_that_has_not_closed_its_stage(tmp_path: Path) -> None:
    """As an engine's workers do: a loop that goes on in a thread would keep them for ever."""
    done = subprocess.run(
        [sys.executable, "-c", _NOT_CLOSED, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\n", "")


@pytest.mark.parametrize("engine", ["ray", "dask", "daft"])
def test_an_engine_that_is_not_installed_is_said(engine: str) -> None:
    if find_spec(engine) is not None:
        pytest.skip(f"{engine} is installed")
    module = __import__(f"chatport_bulk.{engine}", fromlist=["ask"])
    with pytest.raises(ConfigurationError, match=rf"pip install 'chatport-bulk\[{engine}\]'"):
        module.ask(None, JOB, None)
