"""Programs of an engine that are killed again and again, and what was paid for the rows in the end."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.bulk import Nowhere, Paid

from chatport.testing import Emulator
from chatport_bulk import standing_of_blocks

WORKERS, CONCURRENCY, BLOCK = 2, 16, 125
_DRIVERS = 0.3
"""So many of the killed are drivers."""

Start = Callable[[dict[str, Any]], "subprocess.Popen[str]"]
Pids = Callable[["subprocess.Popen[str]"], list[int]]


class Trial:
    """Rows, an emulator that counts what is paid, and a folder of logs."""

    def __init__(self, place: Path, rows: int, seed: int = 0) -> None:
        place.mkdir(exist_ok=True)
        self.rows = rows
        self.seed = seed
        self.paid = Paid(seed)
        self.emulator = Emulator("deepseek", faults=self.paid)
        self.emulator.vendor.requests = Nowhere()
        self.folder = place / "logs"
        self.out = place / "out.jsonl"
        self._place = place
        table = pa.table({"id": [f"id-{n}" for n in range(rows)], "text": [f"row-{n}- is" for n in range(rows)]})
        pq.write_table(table, place / "rows.parquet", row_group_size=BLOCK)

    def __enter__(self) -> Trial:
        self.emulator.__enter__()
        provider = {"base_url": self.emulator.base_url, "api_key": self.emulator.vendor.api_key or "none"}
        self.told = {
            "rows": str(self._place / "rows.parquet"), "out": str(self.out), "folder": str(self.folder),
            "temp": str(self._place / "temp"), "model": "deepseek:deepseek-flash", "workers": WORKERS,
            "concurrency": CONCURRENCY, "block": BLOCK,
            "config": {
                "providers": {"deepseek": provider}, "retry": {"first_seconds": 0.01, "longest_seconds": 0.05},
            },
        }  # fmt: skip
        return self

    def __exit__(self, *error: Any) -> None:
        self.emulator.__exit__(*error)

    def run(self, start: Start) -> None:
        """Run a program to its end."""
        with start(self.told) as driver:
            try:
                said, _ = driver.communicate(timeout=600)
            finally:
                driver.kill()
        assert driver.returncode == 0, said

    def kill_again_and_again(
        self, start: Start, pids: Pids, kills: int, progress: Callable[[str], None] | None = None
    ) -> dict[str, int]:
        """Kill a worker or the driver at random moments of a run until there were so many; then let it end."""
        chance = random.Random(self.seed)
        killed: Counter[str] = Counter()
        while killed.total() < kills and not self.out.exists():
            with start(self.told) as driver:
                try:
                    while killed.total() < kills and self._goes_on(driver):
                        time.sleep(chance.uniform(0, 1.5))
                        workers = pids(driver)
                        if driver.poll() is not None:
                            break
                        if chance.random() < _DRIVERS or not workers:
                            driver.kill()
                            killed["driver"] += 1
                            break
                        os.kill(chance.choice(workers), signal.SIGKILL)
                        killed["worker"] += 1
                        if progress is not None:
                            progress(f"{dict(killed)}, {len(self.paid.rows)} rows answered")
                    said, _ = driver.communicate(timeout=600)
                finally:
                    driver.kill()
            assert driver.returncode in (0, -signal.SIGKILL), said
        if not self.out.exists():
            self.run(start)
        return {**self.check(killed.total()), "drivers": killed["driver"]}

    def _goes_on(self, driver: subprocess.Popen[str]) -> bool:
        """Wait until something more is asked; return whether it was."""
        before, until = self.paid.seen, time.monotonic() + 120
        while self.paid.seen == before:
            if driver.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def check(self, killed: int = 0) -> dict[str, int]:
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
