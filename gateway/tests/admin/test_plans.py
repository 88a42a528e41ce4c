"""How the database would answer what the page asks: along an index, however many calls there are."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import event

from chatport_gateway.admin.app import ROUTES

from .conftest import AdminWorld, path_of, populate

pytestmark = pytest.mark.anyio
Open = Callable[..., Awaitable[AdminWorld]]

_USAGE = re.compile(r"\b(SCAN|SEARCH) usage\b(.*)")
_DAYS = re.compile(r"\b(SCAN|SEARCH) (usage_days|usage_sums|error_days|spent|keys|limits)\b(.*)")


async def test_no_question_of_the_page_reads_all_calls(admin: Open) -> None:
    one = await admin()
    parts = await populate(one)
    engine = one.world.team.store.engine
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        for route in ROUTES.all:
            if route.method == "GET":
                await one.get(path_of(route, **parts))
        for by in ("key", "project", "model", "target", "vendor", "outcome"):
            await one.get("/api/v1/usage", by=by, since="2026-01-01", until="2026-12-31")
        for outcome in ("ok", "failed", "refused", "left", "lost"):
            page = await one.get("/api/v1/calls", outcome=outcome, most=1)
            await one.get("/api/v1/calls", outcome=outcome, before="1.a")
            assert len(page["calls"]) <= 1
        for query in ({"key_id": parts["key_id"]}, {"project_id": parts["project_id"]}, {"before": "1.a"}):
            await one.get("/api/v1/calls", **query)
            await one.get("/api/v1/calls", **query | {"before": "1.a"})
            await one.get("/api/v1/usage", **{name: text for name, text in query.items() if name != "before"})
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)

    seen = {"usage": 0, "others": 0}
    async with engine.connect() as connection:
        for statement, parameters in dict.fromkeys((text, tuple(values)) for text, values in asked):
            found = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plan = [row.detail for row in found]
            _check(statement, plan, seen)
    assert seen["usage"] >= 8
    assert seen["others"] >= 15


def _check(statement: str, plan: list[str], seen: dict[str, int]) -> None:
    for line in plan:
        if match := _USAGE.search(line):
            seen["usage"] += 1
            assert match[1] == "SEARCH", (line, statement)
            assert "INDEX" in match[2]
            assert "USE TEMP B-TREE FOR ORDER BY" not in plan, (plan, statement)  # that would be of all of them
            if "outcome = ?" in statement and "outcome != 'ok'" in statement:
                assert "ix_usage_outcome_at_us (outcome=?" in match[2], (line, statement)
        elif match := _DAYS.search(line):
            seen["others"] += 1
            assert match[1] == "SEARCH", (line, statement)
