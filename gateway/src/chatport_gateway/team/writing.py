"""Calls on their way into the database: each once, with what it adds to the sums of its day and to what is spent.

All of it is one transaction, of few and long statements: after each one a driver waits for the interpreter again, which
calls are being served with meanwhile. SQLAlchemy makes them of the tables, once; made anew for each batch they take
most of its time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from chatport.helpers import jsoncodec

from . import schema
from .clock import TOTAL, day_of, month_of, now_us
from .rows import CallRow
from .values import holders_of

__all__ = ["DAY_SUMS", "write_calls"]

_DAY_US = 86_400_000_000
_AT_ONCE = (25, 5, 1)
"""How many rows a statement of SQLite has: as many as there are, of these. It takes 999 values, and a row has 32."""

_Sums = dict[tuple[str, ...], list[float]]
DAY_SUMS = ("calls", "input_tokens", "output_tokens", "usd_nano", "unknown_cost_calls", "seconds")
_SPENT_SUMS = ("usd_nano", "tokens", "calls")


def write_calls(connection: Connection, rows: Sequence[CallRow], journal: str, position: int) -> None:
    """Write calls, and that a journal is written as far as a position."""
    if rows:
        _insert(connection, _CALLS, [_values(row) for row in rows])
        contents = [_content(row) for row in rows if row.request is not None or row.reply is not None]
        _insert(connection, _CONTENTS, contents)
        days = _days(rows)
        _add(connection, _DAYS, days)
        _add(connection, _KINDS_OF_DAYS, _kinds(days))
        _add(connection, _ERRORS, _errors(rows))
        _add(connection, _SPENT, _spent(rows))
    _insert(connection, _JOURNALS, [(journal, position, now_us())])


# --- statements


class _Statement:
    """An insert into a table, its columns in order. To what is there already it `adds`, or `puts` in its place."""

    def __init__(self, table: Table, columns: Sequence[str], *, adds: Sequence[str] = (), puts: Sequence[str] = ()):
        self._table, self._columns = table, columns
        self._adds, self._puts = adds, puts
        self._made: dict[tuple[str, int], str] = {}

    def text(self, dialect: Dialect, rows: int) -> str:
        """Return it for so many rows, as the driver takes it: with the values of `columns`, row after row."""
        found = self._made.get((dialect.name, rows))
        if found is None:
            found = self._made[dialect.name, rows] = self._compiled(dialect, rows)
        return found

    def _compiled(self, dialect: Dialect, rows: int) -> str:
        kind = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
        names = [[f"{name}_{row}" for name in self._columns] for row in range(rows)]
        named: list[dict[str, Any]] = [dict(zip(self._columns, map(bindparam, its), strict=True)) for its in names]
        made: Any = kind(self._table).values(named[0] if rows == 1 else named)
        if self._adds or self._puts:
            changed = {name: self._table.c[name] + made.excluded[name] for name in self._adds}
            changed |= {name: made.excluded[name] for name in self._puts}
            made = made.on_conflict_do_update(index_elements=[*self._table.primary_key], set_=changed)
        compiled = made.compile(dialect=dialect)
        assert list(compiled.positiontup or ()) == list(chain.from_iterable(names))
        return str(compiled)


def _summing(table: Table, *sums: str) -> _Statement:
    return _Statement(table, (*table.primary_key.columns.keys(), *sums), adds=sums)


_COLUMNS = tuple(column.name for column in schema.usage.columns)
_CALLS = _Statement(schema.usage, _COLUMNS)
_CONTENTS = _Statement(schema.contents, ("at_us", "id", "request", "reply"))
_JOURNALS = _Statement(schema.journals, ("name", "position", "at_us"), puts=("position", "at_us"))
_DAYS = _summing(schema.usage_days, *DAY_SUMS)
_KINDS_OF_DAYS = _summing(schema.usage_sums, "calls", "failed_calls", *DAY_SUMS[1:])
_ERRORS = _summing(schema.error_days, "calls")
_SPENT = _summing(schema.spent, *_SPENT_SUMS)


def _insert(connection: Connection, statement: _Statement, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows: many by one statement, or as many as there are by one that the driver repeats (PostgreSQL's)."""
    sizes = _AT_ONCE if connection.dialect.name == "sqlite" else (1,)
    begin = 0
    for size in sizes:
        end = begin + (len(rows) - begin) // size * size
        if end > begin:
            many = [tuple(chain.from_iterable(rows[at : at + size])) for at in range(begin, end, size)]
            connection.exec_driver_sql(statement.text(connection.dialect, size), many)
        begin = end


def _add(connection: Connection, statement: _Statement, added: Mapping[tuple[str, ...], Sequence[float]]) -> None:
    """Add to sums that may be there. In the order of their keys: so no two processes wait for each other in a ring."""
    _insert(connection, statement, [(*key, *added[key]) for key in sorted(added)])


# --- rows

_fields = attrgetter(*_COLUMNS)
_ATTEMPTS = _COLUMNS.index("attempts")


def _values(row: CallRow) -> tuple[Any, ...]:
    values = _fields(row)
    if row.attempts is None:
        return values
    attempts = jsoncodec.encode(row.attempts).decode()
    return (*values[:_ATTEMPTS], attempts, *values[_ATTEMPTS + 1 :])


def _content(row: CallRow) -> tuple[Any, ...]:
    return row.at_us, row.id, row.request or "", row.reply or ""


# --- sums


class _Calendar(dict[int, tuple[str, str]]):
    """The day and the month of each day since 1970: few are needed, and each is made once."""

    def __missing__(self, number: int) -> tuple[str, str]:
        at_us = number * _DAY_US
        self[number] = found = (day_of(at_us), month_of(at_us))
        return found


def _days(rows: Iterable[CallRow]) -> _Sums:
    sums: _Sums = {}
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


def _kinds(days: Mapping[tuple[str, ...], Sequence[float]]) -> _Sums:
    """Return the sums of days by one thing at a time, with those of calls that failed."""
    sums: _Sums = {}
    for key, (calls, *more) in days.items():
        its = [calls, calls if key[5] in ("failed", "lost") else 0, *more]
        for kind, place in _KINDS:
            name = (kind, key[0], "" if place is None else key[place])
            before = sums.get(name)
            sums[name] = its if before is None else [a + b for a, b in zip(before, its, strict=True)]
    return sums


def _errors(rows: Iterable[CallRow]) -> _Sums:
    sums: _Sums = {}
    calendar = _Calendar()
    for row in rows:
        if row.error is not None:
            key = (calendar[row.at_us // _DAY_US][0], row.error, row.outcome, _names(row)[1])
            sums.setdefault(key, [0])[0] += 1
    return sums


def _spent(rows: Iterable[CallRow]) -> _Sums:
    by_key: dict[tuple[int, str | None, str | None], list[int]] = {}
    for row in rows:
        whose = (row.at_us // _DAY_US, row.key_id, row.project_id)
        added = by_key.get(whose)
        if added is None:
            added = by_key[whose] = [0, 0, 0]
        added[0] += row.usd_nano or 0
        added[1] += (row.input_tokens or 0) + (row.output_tokens or 0)
        added[2] += 1
    sums: _Sums = {}
    calendar = _Calendar()
    for (number, key_id, project_id), added in by_key.items():
        for holder in holders_of(key_id, project_id):
            for window in (*calendar[number], TOTAL):
                total = sums.setdefault((holder, window), [0, 0, 0])
                for place, amount in enumerate(added):
                    total[place] += amount
    return sums
