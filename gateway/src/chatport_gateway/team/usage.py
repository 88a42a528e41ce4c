"""What calls have used: written in batches, each once, with what it adds to the sums of its day and to what is spent.

A journal's position is moved in the transaction that writes its rows: what was written before a crash is not written
again after it. Nothing here is asked while a call is served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import BigInteger, Table, bindparam, delete, func, insert, literal, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from chatport.helpers import jsoncodec

from . import schema
from .clock import TOTAL, day_of, month_of, now_us
from .rows import CallRow
from .store import Store
from .values import GATEWAY, Holder, Standing, holder_of

__all__ = ["Usage"]

_DAY_US = 86_400_000_000
_AT_ONCE = 25
_DAY_KEYS = tuple(column.name for column in schema.usage_days.primary_key.columns)
_KIND_KEYS = tuple(column.name for column in schema.usage_sums.primary_key.columns)
_ERROR_KEYS = tuple(column.name for column in schema.error_days.primary_key.columns)
_DAY_SUMS = ("calls", "input_tokens", "output_tokens", "usd_nano", "unknown_cost_calls", "seconds")
_SPENT_SUMS = ("usd_nano", "tokens", "calls")


class Usage:
    """The records of a store."""

    def __init__(self, store: Store) -> None:
        self.engine = store.engine

    # --- writing

    async def write(self, rows: Sequence[CallRow], journal: str, position: int) -> None:
        """Write rows, and that a journal is written as far as a position; all or nothing."""
        async with self.engine.begin() as connection:
            if rows:
                await _insert(connection, rows)
                contents = [_content(row) for row in rows if row.request is not None or row.reply is not None]
                if contents:
                    await connection.execute(insert(schema.contents), contents)
                days = _days(rows)
                await _add(connection, schema.usage_days, _DAY_KEYS, _DAY_SUMS, days)
                await _add(connection, schema.usage_sums, _KIND_KEYS, (*_DAY_SUMS, "failed_calls"), _kinds(days))
                errors = _errors(rows)
                if errors:
                    await _add(connection, schema.error_days, _ERROR_KEYS, ("calls",), errors)
                await _add(connection, schema.spent, ("holder", "window"), _SPENT_SUMS, _spent(rows))
            await self._move(connection, journal, position)

    async def _move(self, connection: AsyncConnection, journal: str, position: int) -> None:
        values = {"name": journal, "position": position, "at_us": now_us()}
        written = _insert_for(connection)(schema.journals)
        moved = {name: written.excluded[name] for name in ("position", "at_us")}
        await connection.execute(written.on_conflict_do_update(index_elements=["name"], set_=moved), values)

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
        sums = [func.sum(table.c[name]).label(name) for name in _DAY_SUMS]
        wanted = select(*columns, *sums).where(table.c.day >= since, table.c.day <= until)
        for column, value in ((table.c.key_id, key_id), (table.c.project_id, project_id)):
            if value is not None:
                wanted = wanted.where(column == value)
        async with self.engine.connect() as connection:
            rows = await connection.execute(wanted.group_by(*columns).order_by(*columns))
            return [{**row, **{name: _number(row[name]) for name in _DAY_SUMS}} for row in rows.mappings()]


def _number(value: Any) -> int | float:
    """Return a sum as a number of Python: PostgreSQL gives decimals for sums of large integers."""
    return value if isinstance(value, float) else int(value or 0)


_compiled: dict[tuple[str, int], tuple[str, tuple[str, ...]]] = {}


async def _insert(connection: AsyncConnection, rows: Sequence[CallRow]) -> None:
    """Insert rows. In SQLite many by one statement: after each the driver's thread has to wait for the interpreter."""
    at_once = _AT_ONCE if connection.dialect.name == "sqlite" else 1
    whole = len(rows) - len(rows) % at_once
    for number, some in ((at_once, rows[:whole]), (1, rows[whole:])):
        if some:
            statement, names = _usage_insert(connection.dialect, number)
            values = [_values(row, names) for row in some]
            many = [tuple(chain.from_iterable(values[at : at + number])) for at in range(0, len(values), number)]
            await connection.exec_driver_sql(statement, many)


def _usage_insert(dialect: Any, number: int) -> tuple[str, tuple[str, ...]]:
    """Return the statement for so many rows as the driver takes it, and the columns of each in order.

    SQLAlchemy makes it of the table, once: made anew with its values for each batch it takes twice the time, and this
    is the one statement whose time counts.
    """
    found = _compiled.get((dialect.name, number))
    if found is None:
        one = insert(schema.usage).compile(dialect=dialect)
        names = tuple(one.positiontup or ())
        rows: list[dict[str, Any]] = [{name: bindparam(f"{name}_{row}") for name in names} for row in range(number)]
        made = one if number == 1 else insert(schema.usage).values(rows).compile(dialect=dialect)
        order = tuple(made.positiontup or ())
        assert number == 1 or order == tuple([f"{name}_{row}" for row in range(number) for name in names])
        found = _compiled[dialect.name, number] = (str(made), names)
    return found


def _values(row: CallRow, names: Sequence[str]) -> tuple[Any, ...]:
    attempts = None if row.attempts is None else jsoncodec.encode(row.attempts).decode()
    return tuple([attempts if name == "attempts" else getattr(row, name) for name in names])


def _content(row: CallRow) -> dict[str, Any]:
    return {"at_us": row.at_us, "id": row.id, "request": row.request or "", "reply": row.reply or ""}


class _Calendar(dict[int, tuple[str, str]]):
    """The day and the month of each day since 1970: few are needed, and each is made once."""

    def __missing__(self, number: int) -> tuple[str, str]:
        at_us = number * _DAY_US
        self[number] = found = (day_of(at_us), month_of(at_us))
        return found


def _days(rows: Iterable[CallRow]) -> dict[tuple[str, ...], list[float]]:
    sums: dict[tuple[str, ...], list[float]] = {}
    calendar = _Calendar()
    for row in rows:
        day = calendar[row.at_us // _DAY_US][0]
        key = (day, row.key_id or "", row.project_id or "", *_names(row), row.outcome)
        added = sums.get(key)
        if added is None:
            added = sums[key] = [0, 0, 0, 0, 0, 0.0]
        added[0] += 1
        added[1] += row.input_tokens or 0
        added[2] += row.output_tokens or 0
        added[3] += row.usd_nano or 0
        added[4] += row.usd_nano is None and row.outcome != "refused"
        added[5] += row.seconds
    return sums


def _names(row: CallRow) -> tuple[str, str]:
    """Return model and target as sums have them. All names that are not known are one: a key could make up many."""
    target = row.target or ""
    if row.error == "ModelNotFoundError":
        return "", f"{target.partition(':')[0]}:" if target else ""
    return "" if row.error == "PermissionDeniedError" and not target else row.model, target


_KINDS = (("all", None), ("key", 1), ("project", 2), ("model", 3), ("target", 4), ("outcome", 5))


def _kinds(days: Mapping[tuple[str, ...], Sequence[float]]) -> dict[tuple[str, ...], list[float]]:
    """Return the sums of days by one thing at a time, with those of calls that failed."""
    sums: dict[tuple[str, ...], list[float]] = {}
    for key, its in days.items():
        failed = its[0] if key[5] in ("failed", "lost") else 0
        for kind, place in _KINDS:
            name = (kind, key[0], "" if place is None else key[place])
            added = sums.get(name)
            if added is None:
                sums[name] = [*its, failed]
                continue
            for at, amount in enumerate(its):
                added[at] += amount
            added[-1] += failed
    return sums


def _errors(rows: Iterable[CallRow]) -> dict[tuple[str, ...], list[float]]:
    sums: dict[tuple[str, ...], list[float]] = {}
    calendar = _Calendar()
    for row in rows:
        if row.error is not None:
            key = (calendar[row.at_us // _DAY_US][0], row.error, row.outcome, _names(row)[1])
            sums.setdefault(key, [0])[0] += 1
    return sums


def holders_of(key_id: str | None, project_id: str | None) -> list[Holder]:
    """Return whose limits a call counts against."""
    holders = [GATEWAY]
    if project_id is not None:
        holders.append(holder_of("project", project_id))
    if key_id is not None:
        holders.append(holder_of("key", key_id))
    return holders


def _spent(rows: Iterable[CallRow]) -> dict[tuple[str, ...], list[float]]:
    by_key: dict[tuple[int, str | None, str | None], list[int]] = {}
    for row in rows:
        whose = (row.at_us // _DAY_US, row.key_id, row.project_id)
        added = by_key.get(whose)
        if added is None:
            added = by_key[whose] = [0, 0, 0]
        added[0] += row.usd_nano or 0
        added[1] += (row.input_tokens or 0) + (row.output_tokens or 0)
        added[2] += 1
    sums: dict[tuple[str, ...], list[float]] = {}
    calendar = _Calendar()
    for (number, key_id, project_id), added in by_key.items():
        for holder in holders_of(key_id, project_id):
            for window in (*calendar[number], TOTAL):
                total = sums.setdefault((holder, window), [0, 0, 0])
                for place, amount in enumerate(added):
                    total[place] += amount
    return sums


async def _add(
    connection: AsyncConnection,
    table: Table,
    keys: Sequence[str],
    sums: Sequence[str],
    added: Mapping[tuple[str, ...], Sequence[float]],
) -> None:
    """Add to sums that may be there. In the order of their keys: so no two processes wait for each other in a ring."""
    written = _insert_for(connection)(table).values({name: bindparam(name) for name in (*keys, *sums)})
    more = {name: table.c[name] + written.excluded[name] for name in sums}
    rows = [dict(zip((*keys, *sums), (*key, *added[key]), strict=True)) for key in sorted(added)]
    await connection.execute(written.on_conflict_do_update(index_elements=list(keys), set_=more), rows)


def _insert_for(connection: AsyncConnection) -> Callable[[Table], Any]:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
