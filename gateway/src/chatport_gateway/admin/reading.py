"""What the admin port shows of the records: usage, errors, calls, and what was done by whom."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ..team.values import NANO
from . import given, told
from .office import Office, at, period, sums
from .routes import BadRequest, Given, Route

__all__ = ["ROUTES"]

_MOST_ERRORS = 100
_CURSOR = re.compile(r"(\d{1,19})\.([0-9A-Za-z]{1,32})", re.ASCII)
_SUMMED = ("calls", "failed_calls", "input_tokens", "output_tokens", "usd_nano", "unknown_cost_calls", "seconds")


async def show_usage(office: Office, asked: Given) -> told.Usage:
    """Show what calls have used, in all, by day and by group: those that cost most, and the rest as one."""
    query: given.UsageQuery = asked.query
    since, until = period(query)
    of = {"key_id": query.key_id, "project_id": query.project_id}
    days = await office.figures.by_day(since, until, **of)
    groups = await office.figures.by_group(query.by, since, until, most=query.most, **of)
    names = [row["group"] for row in groups]
    by_day: dict[str, list[told.Day]] = defaultdict(list)
    for row in await office.figures.by_group_and_day(query.by, names, since, until, **of) if names else ():
        by_day[row["group"]].append(told.Day(day=row["day"], **sums(row)))
    known = await office.figures.names(names) if query.by in ("key", "project") else {}
    total = _added(days)
    return told.Usage(
        since=since,
        until=until,
        by=query.by,
        total=told.Sums(**sums(total)),
        days=[told.Day(day=row["day"], **sums(row)) for row in days],
        groups=[
            told.Group(
                id=row["group"], name=known.get(row["group"]) or row["group"], days=by_day[row["group"]], **sums(row)
            )
            for row in groups
        ],
        rest=told.Sums(**sums(_less(total, _added(groups)))),
    )


def _added(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: sum(row[name] or 0 for row in rows) for name in _SUMMED}


def _less(total: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: max(total[name] - part[name], 0) for name in _SUMMED}


async def list_errors(office: Office, asked: Given) -> told.Errors:
    """List errors by kind and target, the most frequent first."""
    since, until = period(asked.query)
    rows = await office.figures.errors(since, until, most=_MOST_ERRORS)
    return told.Errors(
        since=since,
        until=until,
        errors=[
            told.ErrorKind(error=row["error"], outcome=row["outcome"], target=row["target"], calls=int(row["calls"]))
            for row in rows
        ],
    )


async def list_calls(office: Office, asked: Given) -> told.Calls:
    """List calls that are over, the newest first: all, or those of a key, a project or an outcome."""
    query: given.CallsQuery = asked.query
    if sum(value is not None for value in (query.key_id, query.project_id, query.outcome)) > 1:
        raise BadRequest("Calls are of a key, of a project, or of an outcome: give one of them.")
    rows = await office.team.records.usage.calls(
        key_id=query.key_id,
        project_id=query.project_id,
        outcome=query.outcome,
        before=_before(query.before),
        most=query.most + 1,
    )
    page = rows[: query.most]
    names = await office.figures.names(row["key_id"] or "" for row in page)
    return told.Calls(
        calls=[_call(row, names) for row in page],
        next=f"{page[-1]['at_us']}.{page[-1]['id']}" if len(rows) > query.most else None,
    )


def _before(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    match = _CURSOR.fullmatch(cursor)
    if match is None or int(match[1]) >= 2**63:
        raise BadRequest("`before` is the `next` of the page before.")
    return int(match[1]), match[2]


def _call(row: Mapping[str, Any], names: Mapping[str, str]) -> told.Call:
    return told.Call(
        at=at(row["at_us"]),
        key=names.get(row["key_id"] or ""),
        attempts=len(row["attempts"] or ()),
        usd=None if row["usd_nano"] is None else row["usd_nano"] / NANO,
        **{name: row[name] for name in _AS_THEY_ARE},
    )


_AS_THEY_ARE = (
    "id", "request_id", "key_id", "project_id", "surface", "model", "target", "stream", "status", "outcome", "error",
    "finish_reason", "is_partial", "input_tokens", "output_tokens", "is_estimate", "first_seconds", "seconds",
)  # fmt: skip


async def list_audit(office: Office, asked: Given) -> told.Audit:
    """List what was done, and by whom, the newest first."""
    query: given.AuditQuery = asked.query
    rows = await office.figures.audit(query.before, query.most + 1)
    page = rows[: query.most]
    return told.Audit(
        entries=[
            told.AuditEntry(
                at=at(row["at_us"]),
                **{name: row[name] for name in ("id", "actor", "action", "subject")},
                details=row["details"],
            )
            for row in page
        ],
        next=page[-1]["id"] if len(rows) > query.most else None,
    )


ROUTES = (
    Route("GET", "/api/v1/usage", show_usage, told.Usage, query=given.UsageQuery),
    Route("GET", "/api/v1/errors", list_errors, told.Errors, query=given.PeriodQuery),
    Route("GET", "/api/v1/calls", list_calls, told.Calls, query=given.CallsQuery),
    Route("GET", "/api/v1/audit", list_audit, told.Audit, query=given.AuditQuery),
)
