"""Ray Data with the stage in its actors: killed workers, nodes and drivers pay only what was under way again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.bulk import Nowhere, Paid

from chatport.testing import Emulator
from chatport_bulk import standing_of_blocks

from .conftest import RayCluster

pytestmark = [pytest.mark.engines, pytest.mark.timeout(3600)]

KILLS = int(os.environ.get("CHATPORT_KILLS", "6"))
ROWS = 5000 if KILLS > 10 else 1500
WORKERS, CONCURRENCY = 2, 16
_DRIVERS = 0.3
"""So many of the killed are drivers."""


class _Trial:
    """Rows, an emulator that counts what is paid, and a folder of logs."""

    def __init__(self, place: Path, emulator: Emulator, paid: Paid, rows: int) -> None:
        self.paid = paid
        self.rows = rows
        self.folder = place / "logs"
        self.out = place / "out.jsonl"
        pq.write_table(
            pa.table({"id": [f"id-{n}" for n in range(rows)], "text": [f"row-{n}- is" for n in range(rows)]}),
            place / "rows.parquet",
        )
        provider = {"base_url": emulator.base_url, "api_key": emulator.vendor.api_key or "none"}
        self.told = {
            "rows": str(place / "rows.parquet"), "out": str(self.out), "folder": str(self.folder), "block": 125,
            "model": "deepseek:deepseek-flash", "workers": WORKERS, "concurrency": CONCURRENCY,
            "config": {
                "providers": {"deepseek": provider}, "retry": {"first_seconds": 0.01, "longest_seconds": 0.05},
            },
        }  # fmt: skip

    def check(self, killed: int) -> dict[str, int]:
        """Hold what came out, what was paid and what the logs say against each other."""
        rows = [json.loads(line) for line in self.out.read_text("utf-8").splitlines()]
        written = Counter(row["key"] for row in rows)
        assert len(written) == len(rows) == self.rows
        assert [row for row in rows if row["answer"] != row["text"]] == []
        standing = standing_of_blocks(self.folder)
        assert (standing.answered, standing.failed, standing.under_way) == (self.rows, 0, 0)
        twice = sum(number - 1 for number in self.paid.rows.values())
        assert len(self.paid.rows) == self.rows
        assert twice <= standing.lost <= killed * WORKERS * CONCURRENCY
        return {"rows": self.rows, "killed": killed, "paid_twice": twice, "shown_as_lost": standing.lost}


def _wait(is_so: Callable[[], bool], seconds: float, driver: subprocess.Popen[str]) -> bool:
    until = time.monotonic() + seconds
    while not is_so():
        if driver.poll() is not None or time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def _kill_again_and_again(
    cluster: RayCluster, place: Path, kills: int, rows: int, seed: int, progress: Callable[[str], None] | None = None
) -> dict[str, int]:
    """Kill a worker or the driver at random moments of a run until it ends."""
    chance = random.Random(seed)
    paid = Paid(seed)
    killed = Counter[str]()
    with Emulator("deepseek", faults=paid) as emulator:
        emulator.vendor.requests = Nowhere()
        trial = _Trial(place, emulator, paid, rows)
        while True:
            driver = cluster.driver(trial.told)
            try:
                while killed.total() < kills:
                    before = paid.seen
                    if not _wait(lambda: paid.seen > before, 120, driver):  # noqa: B023  # it is called at once
                        break
                    time.sleep(chance.uniform(0, 1.5))
                    workers = cluster.worker_pids()
                    if chance.random() < _DRIVERS:
                        driver.kill()
                        killed["driver"] += 1
                        break
                    if workers and driver.poll() is None:
                        os.kill(chance.choice(workers), signal.SIGKILL)
                        killed["worker"] += 1
                    if progress is not None:
                        progress(f"{dict(killed)}, {len(paid.rows)} rows answered")
                said, _ = driver.communicate(timeout=600)
            finally:
                driver.kill()
                driver.communicate()
            if driver.returncode != -signal.SIGKILL:
                break
        assert driver.returncode == 0, said
        return {**trial.check(killed.total()), "drivers": killed["driver"]}


def test_killed_workers_and_drivers_lose_no_more_than_what_was_under_way(
    ray_cluster: RayCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed, seed = 0, 0
    while killed < KILLS:
        place = tmp_path / str(seed)
        place.mkdir()
        with capsys.disabled():
            found = _kill_again_and_again(
                ray_cluster, place, KILLS - killed, ROWS, seed, partial(print, "\n", flush=True)
            )
            print(f"\n  {found}", flush=True)
        killed, seed = killed + found["killed"], seed + 1
    assert killed == KILLS
