"""The stage in Daft: `ask(frame, job, folder)` is the frame of the answers. Needs `chatport-bulk[daft]`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chatport import ConfigurationError

from .job import Job
from .stage import Stage, output_schema

__all__ = ["ask"]


def ask(
    frame: Any, job: Job, folder: str | Path | None, *, rows_per_block: int = 1000, workers: int = 1, **stage: Any
) -> Any:
    """Return a `daft.DataFrame` with a row for each row of `frame`; nothing is asked before it is collected.

    `rows_per_block` rows are a block of the log. `folder` has the logs of the blocks, and is one that all nodes reach;
    None: what a crash interrupts is paid again. `workers` stages ask at the same time. `stage` are further options of
    `Stage`.

    Raises ConfigurationError where Daft is not installed.
    """
    try:
        import daft
        import pyarrow
        from daft.functions import to_struct
    except ImportError as error:
        raise ConfigurationError("Rows go through Daft only with it: pip install 'chatport-bulk[daft]'.") from error
    kept = frame.schema().to_pyarrow_schema()
    kind = daft.DataType.from_arrow_type(pyarrow.struct(list(output_schema(job, kept))))

    class Worker:
        def __init__(self, given: Stage) -> None:
            self._stage = given

        @daft.method.batch(return_dtype=kind, unnest=True, batch_size=rows_per_block)  # type: ignore[untyped-decorator]
        def answer(self, rows: Any) -> Any:
            answers = self._stage(pyarrow.Table.from_struct_array(rows.to_arrow()))
            return answers.to_struct_array().combine_chunks()

    asking = Stage(job, folder, **stage)
    asking.recall()
    worker = daft.cls(Worker, max_concurrency=workers)(asking)
    return frame.select(worker.answer(to_struct(*(frame[name] for name in frame.column_names))))
