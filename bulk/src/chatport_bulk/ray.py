"""The stage in Ray Data: `ask(dataset, job, folder)` is the dataset of the answers. Needs `chatport-bulk[ray]`.

Each actor has a stage. It waits for a vendor nearly all the time, so it asks for a small part of a CPU: actors that
ask for whole ones leave none for the tasks that read and write, and the pipeline stands still.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chatport import ConfigurationError

from .job import Job
from .stage import Stage

__all__ = ["ask"]


def ask(
    dataset: Any,
    job: Job,
    folder: str | Path | None,
    *,
    workers: int = 2,
    cpus: float = 0.1,
    blocks_at_once: int = 2,
    remote: Mapping[str, Any] | None = None,
    **stage: Any,
) -> Any:
    """Return a `ray.data.Dataset` with a row for each row of `dataset`; nothing is asked before it is consumed.

    `folder` has the logs of the blocks, and is one that all nodes reach; None: what a crash interrupts is paid again.
    `workers` actors, each with `cpus` of a CPU and `blocks_at_once`, so that one block's last calls keep no other from
    beginning. `remote` are further options of `Dataset.map_batches`, such as `runtime_env`; `stage` those of `Stage`.

    A block of the dataset is a block of the log. Raises ConfigurationError where Ray Data is not installed.
    """
    try:
        from ray.data import ActorPoolStrategy
    except ImportError as error:
        raise ConfigurationError("Rows go through Ray Data only with it: pip install 'chatport-bulk[ray]'.") from error
    asking = Stage(job, folder, **stage)
    asking.recall()
    return dataset.map_batches(
        _Worker,
        fn_constructor_args=(asking,),
        batch_format="pyarrow",
        batch_size=None,  # whole blocks: batches of a size are put together as blocks happen to arrive
        compute=ActorPoolStrategy(size=workers, max_concurrent_calls_per_actor=blocks_at_once),
        num_cpus=cpus,
        udf_modifying_row_count=False,
        **(remote or {}),
    )


class _Worker:
    """What an actor runs."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __call__(self, batch: Any) -> Any:
        return self._stage(batch)
