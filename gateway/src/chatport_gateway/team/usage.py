"""What calls have used: written in batches, each once, with what it adds to the sums of its day and to what is spent.

A journal's position is moved in the transaction that writes its rows: what was written before a crash is not written
again after it. Nothing here is asked while a call is served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, delete, func, literal, select, tuple_

from . import schema
from .rows import CallRow
from .store import Store
from .values import Holder, Standing
from .writing import DAY_SUMS, write_calls

__all__ = ["Usage"]

_DAY_KEYS = tuple(column.name for column in schema.usage_days.primary_key.columns)


class Usage:
    """The records of a store."""

    def __init__(self, store: Store) -> None:
        self.engine = store.engine
        self._store = store

    # --- writing

    async def write(self, rows: Sequence[CallRow], journal: str, position: int) -> None:
        """Write rows, and that a journal is written as far as a position; all or nothing."""
        await self._store.write(write_calls, rows, journal, position)

    async def position(self, journal: str) -> int:
        """Return how far a journal is written."""
        wanted = select(schema.journals.c.position).where(schema.journals.c.name == journal)
        async with self.engine.connect() as connection:
            return int((await connection.execute(wanted)).scalar() or 0)

    async def forget(self, journal: str) -> None:
        """Forget a journal that is gone."""
        async with self.engine.begin() as connection:
            await connection.execute(delete(schema.journals).where(schema.journals.c.name == journal))

    # --- reading

    async def standings(
        self, holders: Iterable[Holder], windows: Iterable[str]
    ) -> Mapping[tuple[Holder, str], Standing]:
        """Return what holders have spent in windows, of those that have spent anything."""
        table = schema.spent
        wanted = select(table).where(table.c.holder.in_(list(holders)), table.c.window.in_(list(windows)))
        async with self.engine.connect() as connection:
            found = [Standing(**row) for row in (await connection.execute(wanted)).mappings()]
        return {(one.holder, one.window): one for one in found}

    async def calls(
        self,
        *,
        key_id: str | None = None,
        project_id: str | None = None,
        outcome: str | None = None,
        since_us: int = 0,
        before: tuple[int, str] | None = None,
        most: int = 100,
    ) -> Sequence[Mapping[str, Any]]:
        """Return calls, the newest first; `before` is (at_us, id) of the last one of the page before."""
        table = schema.usage
        wanted = select(table).where(table.c.at_us >= since_us).order_by(table.c.at_us.desc(), table.c.id.desc())
        for column, value in ((table.c.key_id, key_id), (table.c.project_id, project_id), (table.c.outcome, outcome)):
            if value is not None:
                wanted = wanted.where(column == value)
        if outcome is not None and outcome != "ok":
            wanted = wanted.where(table.c.outcome != schema.OK)  # so that the index of these is taken
        if before is not None:
            at_us, id = before
            wanted = wanted.where(tuple_(table.c.at_us, table.c.id) < tuple_(literal(at_us, BigInteger), literal(id)))
            wanted = wanted.where(table.c.at_us <= at_us)  # which an index of a key or an outcome can begin at
        async with self.engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(wanted.limit(most))).mappings()]

    async def days(
        self,
        *,
        since: str,
        until: str = "9999-12-31",
        by: Sequence[str] = ("day",),
        key_id: str | None = None,
        project_id: str | None = None,
    ) -> Sequence[Mapping[str, Any]]:
        """Return sums from one day to another ("2026-11-30", both included), by any of `day`, `key_id`, `project_id`,
        `model`, `target` and `outcome`. Raises ValueError for another column."""
        table = schema.usage_days
        if not set(by) <= set(_DAY_KEYS):
            raise ValueError(f"Sums are by {', '.join(_DAY_KEYS)}.")
        columns = [table.c[name] for name in by]
        sums = [func.sum(table.c[name]).label(name) for name in DAY_SUMS]
        wanted = select(*columns, *sums).where(table.c.day >= since, table.c.day <= until)
        for column, value in ((table.c.key_id, key_id), (table.c.project_id, project_id)):
            if value is not None:
                wanted = wanted.where(column == value)
        async with self.engine.connect() as connection:
            rows = await connection.execute(wanted.group_by(*columns).order_by(*columns))
            return [{**row, **{name: _number(row[name]) for name in DAY_SUMS}} for row in rows.mappings()]


def _number(value: Any) -> int | float:
    """Return a sum as a number of Python: PostgreSQL gives decimals for sums of large integers."""
    return value if isinstance(value, float) else int(value or 0)
