"""Daft with the stage in its workers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .trial import Trial

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]

_PROGRAM = """
import json, os, sys
import daft
from chatport_bulk import Job
from chatport_bulk.daft import ask

told = json.loads(sys.argv[1])
job = Job(told["model"], "say: {text}", key="id", keep=["text"])
frame = daft.read_parquet(told["rows"])
answers = ask(frame, job, told["folder"], rows_per_block=told["block"], config=told["config"])
with open(told["out"] + ".tmp", "w") as file:
    file.writelines(json.dumps(row, default=str) + chr(10) for row in answers.to_pylist())
os.replace(told["out"] + ".tmp", told["out"])
"""


def _start(told: dict[str, Any]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _PROGRAM, json.dumps(told)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_killed_query_goes_on_where_it_was(tmp_path: Path) -> None:
    with Trial(tmp_path, 1500, seed=4) as trial:
        found = trial.kill_again_and_again(_start, lambda _: [], 2)
        assert found["paid_twice"] <= found["shown_as_lost"]


def test_a_second_query_asks_nothing(tmp_path: Path) -> None:
    with Trial(tmp_path, 500) as trial:
        for _ in range(2):
            trial.run(_start)
        assert trial.check()["paid_twice"] == 0
