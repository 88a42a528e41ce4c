"""What is dropped when it is old: records of calls, and their contents. The sums of days stay.

PostgreSQL has a partition for each month, which is dropped whole; the days of it that are old are deleted before.
SQLite has one table, sorted by time, of which the oldest rows are deleted, some at a time.
"""

from __future__ import annotations

from sqlalchemy import DDL, Table, delete, inspect, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from . import schema
from .clock import months_from, now_us
from .migrate import one_by_one
from .store import Store

__all__ = ["drop_old", "make_room"]

_DAY_US = 86_400_000_000
_AT_ONCE = 5000
_FIRST_YEAR = 2020


async def make_room(store: Store) -> None:
    """Make the partitions of this month and the next two, where there are partitions."""
    async with store.engine.begin() as connection:
        if connection.dialect.name != "postgresql":
            return
        await connection.run_sync(one_by_one)
        there = await _partitions(connection)
        for year, month, begin, end in months_from(now_us(), 3):
            name = f"usage_{year:04}_{month:02}"
            if name not in there:  # numbers alone go into the text
                await connection.execute(
                    DDL(  # type: ignore[no-untyped-call]
                        f"CREATE TABLE IF NOT EXISTS usage_{year:04d}_{month:02d} PARTITION OF usage "
                        f"FOR VALUES FROM ({begin:d}) TO ({end:d})"
                    )
                )


async def drop_old(store: Store, *, usage_days: int, content_days: int) -> int:
    """Drop what is older than so many days (0: nothing is dropped); return how many rows were deleted one by one."""
    deleted = 0
    if usage_days:
        before = now_us() - usage_days * _DAY_US
        await _drop_partitions(store, before)
        deleted += await _delete_before(store, schema.usage, before)
    if content_days:
        deleted += await _delete_before(store, schema.contents, now_us() - content_days * _DAY_US)
    return deleted


async def _drop_partitions(store: Store, before_us: int) -> None:
    async with store.engine.begin() as connection:
        if connection.dialect.name != "postgresql":
            return
        await connection.run_sync(one_by_one)
        there = await _partitions(connection)
        start = months_from(0, (_FIRST_YEAR - 1970) * 12 + 1)[-1][2]
        for year, month, _, end in months_from(start, 1200):
            if end > before_us:
                break
            if f"usage_{year:04}_{month:02}" in there:
                await connection.execute(DDL(f"DROP TABLE usage_{year:04d}_{month:02d}"))  # type: ignore[no-untyped-call]


async def _partitions(connection: AsyncConnection) -> set[str]:
    return set(await connection.run_sync(lambda one: inspect(one).get_table_names()))


async def _delete_before(store: Store, table: Table, before_us: int) -> int:
    oldest = select(table.c.at_us, table.c.id).where(table.c.at_us < before_us).order_by(table.c.at_us).limit(_AT_ONCE)
    old = delete(table).where(tuple_(table.c.at_us, table.c.id).in_(oldest))
    total = 0
    while True:
        async with store.engine.begin() as connection:  # one transaction each: nobody waits long
            deleted = (await connection.execute(old)).rowcount
        total += deleted
        if deleted < _AT_ONCE:
            return total
