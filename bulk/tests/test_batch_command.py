"""Batches on the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chatport.testing import BatchesEmulator, BatchPlay, Emulator
from chatport_bulk.command import command

from .conftest import write_jsonl

ASKED = ("--config", "c.toml", "-m", "openai:gpt-4o-mini", "-p", "say: {text}", "--format", "jsonl", "--key", "id")
BATCH = ("--lane", "batch", "--batch-poll", "0.01", "--batch-rows", "12")


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with Emulator("openai") as emulator:
        table = f'[providers.openai]\nbase_url = "{emulator.base_url}"\napi_key = "emulated"\n'
        (tmp_path / "c.toml").write_text(table, "utf-8")
        write_jsonl(tmp_path / "rows.jsonl", [{"id": n, "text": f"word {n}"} for n in range(30)])
        yield emulator


def vendor_of(emulator: Emulator) -> BatchesEmulator:
    assert isinstance(emulator.vendor, BatchesEmulator)
    return emulator.vendor


def call(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_a_run_by_batches_is_planned_made_and_looked_at(emulator: Emulator) -> None:
    planned = call("plan", "rows.jsonl", *ASKED, "--max-tokens", "20").output
    assert "in batches: about " in planned
    said = call("run", "rows.jsonl", *ASKED, *BATCH, "--delete-files", "-o", "out").stderr
    assert "answered: 30" in said
    assert "batches: 0 open, 3 read, 0 given up" in call("status", "out").output
    standing = json.loads(call("status", "out", "--json").output)
    assert [batch["state"] for batch in standing["batches"]] == ["read"] * 3
    assert not vendor_of(emulator).files
    assert "No batch is open" in call("cancel", "out").stderr


def test_a_vendor_without_batches_is_wrong_use(emulator: Emulator, tmp_path: Path) -> None:
    with (tmp_path / "c.toml").open("a", encoding="utf-8") as file:
        file.write('[providers.deepseek]\napi_key = "k"\n')
    asked = ("--config", "c.toml", "-m", "deepseek:deepseek-flash", "-p", "{text}")
    said = call("run", "rows.jsonl", *asked, "--lane", "batch", "-y", "-o", "out", code=2).stderr
    assert "deepseek:deepseek-flash takes no batches" in said
    assert "openai" in said


def test_a_deadline_that_is_no_time_is_wrong_use(emulator: Emulator) -> None:
    said = call("run", "rows.jsonl", *ASKED, *BATCH, "--batch-deadline", "soon", "-y", "-o", "out", code=2).stderr
    assert "--batch-deadline is a time such as 24h" in said


@pytest.mark.slow
def test_ctrl_c_leaves_batches_at_the_vendor_where_they_can_be_seen_and_cancelled(emulator: Emulator) -> None:
    vendor = vendor_of(emulator)
    vendor.plays = [BatchPlay(looks=10**9, done=0.5) for _ in range(3)]
    script = str(Path(sys.executable).with_name("chatport"))
    arguments = [script, "bulk", "run", "rows.jsonl", *ASKED, *BATCH, "-y", "-o", "out"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        until = time.monotonic() + 60
        while sum(job.looks for job in vendor.jobs.values()) < 5 and time.monotonic() < until:
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "3 batches with 30 rows stay at the vendor" in said
    shown = call("status", "out").output
    assert "batches: 3 open, 0 read" in shown
    assert "batch_00000001: 12 rows" in shown
    assert "the vendor says: in_progress" in shown
    said = call("cancel", "out", "--batch-poll", "0.01").stderr
    assert "3 batches were cancelled. 15 of their rows were answered" in said
    assert "answered: 30" in call("resume", "out", "--batch-poll", "0.01").stderr
    assert len(vendor.worked_on) == 30
