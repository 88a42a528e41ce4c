"""A program with a Dask cluster of two worker processes, to be killed: rows of a file through the stage."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(told: dict[str, Any]) -> None:
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    from chatport_bulk import Job, Settings
    from chatport_bulk.dask import ask

    settings = Settings(concurrency=told["concurrency"], first_concurrency=told["concurrency"])
    with (
        LocalCluster(
            n_workers=told["workers"], threads_per_worker=2, dashboard_address=None, host="127.0.0.1",
            local_directory=told["temp"],
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        print(*(worker.pid for worker in cluster.workers.values()), flush=True)
        frame = dd.read_parquet(told["rows"], split_row_groups=True, aggregate_files=False)
        job = Job(told["model"], "say: {text}", key="id", keep=["text"])
        answers = ask(frame, job, told["folder"], config=told["config"], settings=settings)
        rows = client.compute(answers).result().to_dict("records")
    partial = Path(f"{told['out']}.tmp")
    partial.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows), "utf-8")
    partial.replace(told["out"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
