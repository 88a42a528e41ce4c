"""A driver of Ray Data, to be killed: rows of a file through the stage, and what came out in another file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(told: dict[str, Any]) -> None:
    import pyarrow.parquet as pq
    import ray

    from chatport_bulk import Job, Settings
    from chatport_bulk.ray import ask

    ray.init(address=told["address"], log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    table = pq.read_table(told["rows"])
    size = told["block"]
    dataset = ray.data.from_arrow([table.slice(at, size) for at in range(0, table.num_rows, size)])
    answers = ask(
        dataset,
        Job(told["model"], "say: {text}", key="id", keep=["text"]),
        told["folder"],
        workers=told["workers"],
        cpus=told.get("cpus", 0.1),
        config=told["config"],
        settings=Settings(concurrency=told["concurrency"], first_concurrency=told["concurrency"]),
    )
    rows = [row for batch in answers.iter_batches(batch_format="pyarrow", batch_size=None) for row in batch.to_pylist()]
    partial = Path(f"{told['out']}.tmp")
    partial.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    partial.replace(told["out"])
    ray.shutdown()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
