"""The stage in Dask: `ask(frame, job, folder)` is the frame of the answers. Needs `chatport-bulk[dask]`.

The tasks of a worker process share one stage, so one client, and one number of calls at once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chatport import ConfigurationError

from .job import Job
from .stage import Stage, output_schema

__all__ = ["ask"]

_KEPT_OPEN = 4


def ask(frame: Any, job: Job, folder: str | Path | None, **stage: Any) -> Any:
    """Return a `dask.dataframe` with a row for each row of `frame`; nothing is asked before it is computed.

    A partition is a block of the log, and keeps its index. `folder` has the logs of the blocks, and is one that all
    workers reach; None: what a crash interrupts is paid again. `stage` are further options of `Stage`. Give a worker
    two threads, so that the last calls of one partition keep no other from beginning.

    Raises ConfigurationError where dask.dataframe is not installed.
    """
    try:
        import dask.dataframe  # noqa: F401
        import pandas
        import pyarrow
    except ImportError as error:
        raise ConfigurationError("Rows go through Dask only with it: pip install 'chatport-bulk[dask]'.") from error
    kept = pyarrow.Schema.from_pandas(frame._meta, preserve_index=False)
    meta = _frame(output_schema(job, kept).empty_table(), pandas)
    meta.index = frame._meta.index
    asking = Stage(job, folder, **stage)
    asking.recall()
    worker = _Worker(asking)
    return frame.map_partitions(worker, meta=meta, enforce_metadata=False)


def _frame(table: Any, pandas: Any) -> Any:
    return table.to_pandas(types_mapper=pandas.ArrowDtype)


class _Worker:
    """Called with a partition. Wherever it has been sent, it finds the stage that its process has opened."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._token = os.urandom(8).hex()

    def __dask_tokenize__(self) -> str:
        return self._token

    def __call__(self, part: Any) -> Any:
        import pandas
        import pyarrow

        with _opened(self._token, self._stage) as stage:
            answers = _frame(stage(pyarrow.Table.from_pandas(part, preserve_index=False)), pandas)
        answers.index = part.index
        return answers


# Invariant: a stage is in `_stages` from its first use in this process on; one that is in use is not closed.
_stages: dict[str, Stage] = {}
_in_use: dict[str, int] = {}
_lock = threading.Lock()


@contextmanager
def _opened(token: str, given: Stage) -> Iterator[Stage]:
    with _lock:
        stage = _stages.pop(token, given)
        _stages[token] = stage  # the last used is the last
        _in_use[token] = _in_use.get(token, 0) + 1
        idle = [name for name in _stages if not _in_use.get(name)][: max(len(_stages) - _KEPT_OPEN, 0)]
        old = [_stages.pop(name) for name in idle]
    for one in old:
        one.close()
    try:
        yield stage
    finally:
        with _lock:
            _in_use[token] -= 1
