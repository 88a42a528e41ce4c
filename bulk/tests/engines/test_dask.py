"""Dask with the stage in its workers: partitions in, partitions out, and nothing paid again that was answered."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .trial import Trial

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]


def _start(told: dict[str, Any]) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).with_name("dask_driver.py")), json.dumps(told)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _workers(driver: subprocess.Popen[str]) -> list[int]:
    """Return the worker processes, each the child of a nanny's thread in the driver's process."""
    import psutil

    try:
        children = psutil.Process(driver.pid).children(recursive=True)
        return [child.pid for child in children if any("spawn_main" in part for part in child.cmdline())]
    except psutil.Error:
        return []


def test_partitions_are_answered_once_whoever_is_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Trial(tmp_path, 1500, seed=3) as trial:
        found = trial.kill_again_and_again(_start, _workers, 4)
        with capsys.disabled():
            print(f"\n  {found}", flush=True)


def test_a_second_run_asks_nothing(tmp_path: Path) -> None:
    with Trial(tmp_path, 500) as trial:
        for _ in range(2):
            trial.run(_start)
        assert trial.check()["paid_twice"] == 0
