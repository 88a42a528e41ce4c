"""Chatport over rows: a file of them in, an answer for each, every row paid once.

    from chatport_bulk import Job, run

    report = run("reviews.jsonl", Job("chat-fast", "Praise or blame? {text}"), "answers/")

The names below are the public ones. They are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answers import Answer as Answer
    from .asking import Asking as Asking, Ending as Ending, Settings as Settings, Step as Step
    from .batches.settings import BatchSettings as BatchSettings
    from .blocks import standing_of_blocks as standing_of_blocks
    from .comparing import Comparison as Comparison, compare as compare
    from .errors import (
        ChangedRunError as ChangedRunError,
        RunStoppedError as RunStoppedError,
        StorageError as StorageError,
    )
    from .job import Job as Job
    from .planning import Plan as Plan, plan as plan
    from .rowlog import RowLog as RowLog, Standing as Standing
    from .rows import Row as Row
    from .running import Report as Report, Run as Run, run as run
    from .sources import Source as Source, open_source as open_source
    from .stage import Stage as Stage, output_schema as output_schema
    from .tally import Tally as Tally

_HOMES = {
    "answers": ("Answer",),
    "asking": ("Asking", "Ending", "Settings", "Step"),
    "batches.settings": ("BatchSettings",),
    "blocks": ("standing_of_blocks",),
    "comparing": ("Comparison", "compare"),
    "errors": ("ChangedRunError", "RunStoppedError", "StorageError"),
    "job": ("Job",),
    "planning": ("Plan", "plan"),
    "rowlog": ("RowLog", "Standing"),
    "rows": ("Row",),
    "running": ("Report", "Run", "run"),
    "sources": ("Source", "open_source"),
    "stage": ("Stage", "output_schema"),
    "tally": ("Tally",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [*sorted(_HOME)]  # pyright: ignore[reportUnsupportedDunderAll]  # the names are pinned by a test


def __getattr__(name: str) -> Any:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'chatport_bulk' has no attribute {name!r}")
    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value  # a function may have its module's name
    return value


def __dir__() -> list[str]:
    return list(__all__)
