"""What Ray Data makes of the stage: the same rows through a stage of this process, and through two actors.

    .venv-engines/bin/python -m benchmarks.engines --rows 20000

The vendor is a process of its own on loopback and answers at once, so this is what the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from . import vendor

__all__ = ["main"]

_RAY = """
import json, os, resource, sys, time
import pyarrow as pa
from chatport_bulk import Job, Stage
told = json.loads(sys.argv[1])
size = told["block"]
blocks = [
    pa.table({"id": [f"id-{n}" for n in range(at, at + size)], "text": ["some words that nobody said"] * size})
    for at in range(0, told["rows"], size)
]
job = Job("fake:m", "{text}", key="id")
if told["workers"]:
    import ray
    from chatport_bulk.ray import ask
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200_000_000)
    ray.data.DataContext.get_current().enable_progress_bars = False
    answers = ask(ray.data.from_arrow(blocks), job, told["folder"], workers=told["workers"], config=told["config"])
    began = time.monotonic()
    first = None
    rows = 0
    for batch in answers.iter_batches(batch_format="pyarrow", batch_size=None):
        if first is None:
            first, of_first = time.monotonic(), batch.num_rows
        rows += batch.num_rows
else:
    with Stage(job, told["folder"], config=told["config"]) as stage:
        began, rows, first = time.monotonic(), 0, None
        for block in blocks:
            rows += stage(block).num_rows
            if first is None:
                first, of_first = time.monotonic(), rows
ended = time.monotonic()
print(json.dumps({"rows": rows, "first": first - began, "rest": (rows - of_first) / (ended - first)}))
"""


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--block", type=int, default=1_000)
    given = parser.parse_args()
    with vendor.running() as address:
        provider = {"kind": "compatible", "base_url": address.url, "api_key": "none"}
        for workers in (0, 1, 2):
            with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as place:
                told: dict[str, Any] = {
                    "rows": given.rows, "block": given.block, "workers": workers, "folder": f"{place}/logs",
                    "config": {"providers": {"fake": provider}},
                }  # fmt: skip
                environment = {**os.environ, "RAY_TMPDIR": place, "RAY_AUTH_MODE": "disabled"}
                began = time.monotonic()
                done = subprocess.run(
                    [sys.executable, "-c", _RAY, json.dumps(told)], env=environment, stdout=subprocess.PIPE, check=True
                )
                found = json.loads(done.stdout.splitlines()[-1])
                name = f"Ray, {workers} actor{'s' * (workers > 1)}" if workers else "a stage of this process"
                print(
                    f"{name}: {found['rest']:,.0f} rows/s after the first block, which came after "
                    f"{found['first']:.1f} s; {time.monotonic() - began:.0f} s in all",
                    flush=True,
                )


if __name__ == "__main__":
    main()
