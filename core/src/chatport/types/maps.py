"""What a map over items gives: a result for each item, and how far it is."""

from __future__ import annotations

from typing import Any, Generic

import attrs

from ..basics.typed import check_fields
from ..basics.values import Value
from ..errors import BadRequestError, MisuseError
from . import Reply, T_co
from .totals import Totals

__all__ = ["MapProgress", "MapResult"]


@attrs.frozen(eq=False, repr=False)
class MapResult(Value, Generic[T_co]):
    """What became of one item: `reply`, or `error`. `index` counts the items from 0, `key` is what `key=` gave for it.

    Where an answer is not the structure that was asked for, both are there. `is_kept`: the answer was read from the
    resume file, and nothing was sent.
    """

    index: int
    item: Any
    key: str | None = None
    reply: Reply[T_co] | None = None
    error: Exception | None = attrs.field(default=None, eq=False)
    is_kept: bool = False

    def __attrs_post_init__(self) -> None:
        check_fields(self, BadRequestError)

    @property
    def text(self) -> str:
        """The text of the answer, empty where there is none."""
        return "" if self.reply is None else self.reply.text

    def parsed(self) -> T_co:
        """Return the answer as the type given in `output=`. Raises the error of this item, if it has one."""
        if self.error is not None:
            raise self.error
        if self.reply is None:
            raise MisuseError("This MapResult has neither a reply nor an error: no map has made it.")
        return self.reply.parsed()


@attrs.frozen(eq=False, repr=False)
class MapProgress(Value):
    """How far a map is: items that are `done` (`kept` of them from the resume file), `failed`, or `running` now.

    `total` is how many items there are, None where they have no length. `spent` is what the calls of this map have used
    and cost, what is kept not counted again; `seconds` how long it has run.
    """

    done: int = 0
    failed: int = 0
    running: int = 0
    kept: int = 0
    total: int | None = None
    seconds: float = 0.0
    spent: Totals = attrs.field(factory=Totals)

    def __attrs_post_init__(self) -> None:
        check_fields(self, BadRequestError)

    @property
    def left(self) -> int | None:
        """How many items have no result yet, those that run included. None where `total` is not known."""
        return None if self.total is None else max(self.total - self.done - self.failed, 0)

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total:,}"
        kept = f" ({self.kept:,} kept)" if self.kept else ""
        spent = f": {self.spent}" if self.spent.calls else ""
        return f"{self.done:,}{of} done{kept}, {self.failed:,} failed, {self.running} running{spent}"
