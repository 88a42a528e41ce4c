"""What the admin port reads: sums by day and group, errors by kind, the newest changes; all of it in pages.

Sums come from the roll-ups of days, never from the calls, of which only the newest are read, along an index. A test
asks the database how it would do each of these, and `make bench-records` measures them over a million calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Select, case, func, select

from . import schema
from .store import Store
from .values import Limits, Project

__all__ = ["By", "Figures"]

By: TypeAlias = Literal["key", "project", "model", "target", "vendor", "outcome"]

_DAYS = schema.usage_days
_ERRORS = schema.error_days
_FAILED = ("failed", "lost")
Row: TypeAlias = Mapping[str, Any]


class Figures:
    """Reads for people, of a store."""

    def __init__(self, store: Store) -> None:
        self.engine = store.engine

    # --- what was used

    async def by_day(self, since: str, until: str, *, key_id: str | None, project_id: str | None) -> Sequence[Row]:
        """Return the sums of each day."""
        wanted = _within(select(_DAYS.c.day, *_sums()), since, until, key_id, project_id)
        return await self._rows(wanted.group_by(_DAYS.c.day).order_by(_DAYS.c.day))

    async def by_group(
        self, by: By, since: str, until: str, *, key_id: str | None, project_id: str | None, most: int
    ) -> Sequence[Row]:
        """Return the sums of the groups that cost most, as `group`."""
        group = self._group(by)
        sums = _sums()
        wanted = _within(select(group, *sums), since, until, key_id, project_id).group_by(group)
        of_name = {column.name: column for column in sums}
        return await self._rows(wanted.order_by(of_name["usd_nano"].desc(), of_name["calls"].desc(), group).limit(most))

    async def by_group_and_day(
        self, by: By, groups: Sequence[str], since: str, until: str, *, key_id: str | None, project_id: str | None
    ) -> Sequence[Row]:
        """Return the sums of each day of some groups."""
        group = self._group(by)
        wanted = _within(select(group, _DAYS.c.day, *_sums()), since, until, key_id, project_id)
        wanted = wanted.where(group.element.in_(groups))
        return await self._rows(wanted.group_by(group, _DAYS.c.day).order_by(_DAYS.c.day))

    async def errors(self, since: str, until: str, *, most: int) -> Sequence[Row]:
        """Return how many calls ended in each kind of error: `error`, `outcome`, `target`, `calls`."""
        kinds = (_ERRORS.c.error, _ERRORS.c.outcome, _ERRORS.c.target)
        calls = func.sum(_ERRORS.c.calls).label("calls")
        wanted = select(*kinds, calls).where(_ERRORS.c.day >= since, _ERRORS.c.day <= until).group_by(*kinds)
        return await self._rows(wanted.order_by(calls.desc(), *kinds).limit(most))

    # --- who and what

    async def names(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the names of keys and projects, by id."""
        wanted = sorted({id for id in ids if id})
        found: dict[str, str] = {}
        if wanted:
            for table in (schema.keys, schema.projects):
                rows = await self._rows(select(table.c.id, table.c.name).where(table.c.id.in_(wanted)))
                found |= {row["id"]: row["name"] for row in rows}
        return found

    async def limited(self, after: str, most: int) -> Mapping[str, Limits]:
        """Return the limits of holders that have some, by holder."""
        table = schema.limits
        wanted = select(table).where(table.c.holder > after).order_by(table.c.holder).limit(most)
        rows = [dict(row) for row in await self._rows(wanted)]
        return {row.pop("holder"): Limits(**row) for row in rows}

    async def projects(self, after: str, most: int) -> Sequence[Project]:
        """Return projects by name, those after one."""
        table = schema.projects
        wanted = select(table).where(table.c.name > after).order_by(table.c.name).limit(most)
        return [Project(**row) for row in await self._rows(wanted)]

    async def audit(self, before: int | None, most: int) -> Sequence[Row]:
        """Return changes, the newest first."""
        wanted = select(schema.audit).order_by(schema.audit.c.id.desc()).limit(most)
        return await self._rows(wanted if before is None else wanted.where(schema.audit.c.id < before))

    # ---

    def _group(self, by: By) -> Any:
        column: ColumnElement[Any]
        match by:
            case "key" | "project":
                column = _DAYS.c[f"{by}_id"]
            case "vendor":
                column = _provider(self.engine.dialect.name)
            case _:
                column = _DAYS.c[by]
        return column.label("group")

    async def _rows(self, wanted: Select[Any]) -> Sequence[Row]:
        async with self.engine.connect() as connection:
            return list((await connection.execute(wanted)).mappings())


def _provider(dialect: str) -> ColumnElement[Any]:
    """Return what stands before the colon of a target."""
    if dialect == "postgresql":
        return func.split_part(_DAYS.c.target, ":", 1)
    return func.substr(_DAYS.c.target, 1, func.instr(_DAYS.c.target, ":") - 1)


def _sums() -> list[Any]:
    names = ("calls", "input_tokens", "output_tokens", "usd_nano", "unknown_cost_calls", "seconds")
    failed = func.sum(case((_DAYS.c.outcome.in_(_FAILED), _DAYS.c.calls), else_=0)).label("failed_calls")
    return [*[func.sum(_DAYS.c[name]).label(name) for name in names], failed]


def _within(wanted: Select[Any], since: str, until: str, key_id: str | None, project_id: str | None) -> Select[Any]:
    wanted = wanted.where(_DAYS.c.day >= since, _DAYS.c.day <= until)
    if key_id is not None:
        wanted = wanted.where(_DAYS.c.key_id == key_id)
    return wanted if project_id is None else wanted.where(_DAYS.c.project_id == project_id)
