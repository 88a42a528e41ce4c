"""What the admin port reads: sums by day and group, errors by kind, the newest changes; all of it in pages.

Sums come from the roll-ups of days, never from the calls, of which only the newest are read, along an index. A test
asks the database how it would do each of these, and `make bench-records` measures them over a million calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Select, Table, case, func, select

from . import schema
from .store import Store
from .values import Limits, Project

__all__ = ["By", "Figures"]

By: TypeAlias = Literal["key", "project", "model", "target", "vendor", "outcome"]

_ERRORS = schema.error_days
_FAILED = ("failed", "lost")
_SUMS = ("calls", "input_tokens", "output_tokens", "usd_nano", "unknown_cost_calls", "seconds")
Row: TypeAlias = Mapping[str, Any]


class Figures:
    """Reads for people, of a store."""

    def __init__(self, store: Store) -> None:
        self.engine = store.engine

    # --- what was used

    async def by_day(self, since: str, until: str, *, key_id: str | None, project_id: str | None) -> Sequence[Row]:
        """Return the sums of each day."""
        table, wanted = self._sums(None, since, until, key_id, project_id)
        return await self._rows(wanted.group_by(table.c.day).order_by(table.c.day))

    async def by_group(
        self, by: By, since: str, until: str, *, key_id: str | None, project_id: str | None, most: int
    ) -> Sequence[Row]:
        """Return the sums of the groups that cost most, as `group`."""
        _, wanted = self._sums(by, since, until, key_id, project_id)
        usd, calls, group = (wanted.selected_columns[name] for name in ("usd_nano", "calls", "group"))
        wanted = wanted.group_by(group).order_by(usd.desc(), calls.desc(), group)
        return await self._rows(wanted.limit(most))

    async def by_group_and_day(
        self, by: By, groups: Sequence[str], since: str, until: str, *, key_id: str | None, project_id: str | None
    ) -> Sequence[Row]:
        """Return the sums of each day of some groups."""
        table, wanted = self._sums(by, since, until, key_id, project_id)
        group: Any = wanted.selected_columns["group"]
        wanted = wanted.add_columns(table.c.day).where(group.element.in_(groups))
        return await self._rows(wanted.group_by(group, table.c.day).order_by(table.c.day))

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

    def _sums(
        self, by: By | None, since: str, until: str, key_id: str | None, project_id: str | None
    ) -> tuple[Table, Select[Any]]:
        """Return the table that has some sums, and the question for them: by a group, or (None) by day."""
        is_narrow = key_id is not None or project_id is not None
        table = schema.usage_days if is_narrow else schema.usage_sums
        group = table.c.day if by is None else self._group(by, table).label("group")
        failed = case((table.c.outcome.in_(_FAILED), table.c.calls), else_=0) if is_narrow else table.c.failed_calls
        sums = [func.sum(table.c[name]).label(name) for name in _SUMS]
        wanted = select(group, *sums, func.sum(failed).label("failed_calls"))
        if not is_narrow:
            wanted = wanted.where(table.c.kind == ("all" if by is None else "target" if by == "vendor" else by))
        for name, id in (("key_id", key_id), ("project_id", project_id)):
            if id is not None:
                wanted = wanted.where(table.c[name] == id)
        return table, wanted.where(table.c.day >= since, table.c.day <= until)

    def _group(self, by: By, table: Table) -> Any:
        if table is schema.usage_sums:
            return _provider(table.c.name, self.engine.dialect.name) if by == "vendor" else table.c.name
        if by == "vendor":
            return _provider(table.c.target, self.engine.dialect.name)
        return table.c[f"{by}_id" if by in ("key", "project") else by]

    async def _rows(self, wanted: Select[Any]) -> Sequence[Row]:
        async with self.engine.connect() as connection:
            return list((await connection.execute(wanted)).mappings())


def _provider(target: ColumnElement[str], dialect: str) -> ColumnElement[Any]:
    """Return what stands before the colon of a target."""
    if dialect == "postgresql":
        return func.split_part(target, ":", 1)
    return func.substr(target, 1, func.instr(target, ":") - 1)
