"""What a process keeps for as long as it serves is not looked through again and again."""

from __future__ import annotations

import gc

__all__ = ["settle"]


def settle() -> None:
    """Let the garbage collector pass by all that is there now: modules, tables, configured vendors.

    With a team they are a hundred thousand objects, and a full collection, every few hundred requests, took a sixth
    of all time. What they held before and hold no more is collected first, also what was passed by until now.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.collect()  # of nothing: how much there was the last time decides when a full one is due
