"""The gateway with keys, budgets, limits and records: in one process with SQLite, or with PostgreSQL and Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.databases import running_postgresql, running_redis

from chatport_gateway.team.store import Store
from chatport_gateway.team.values import Limits

__all__ = ["team_tables"]

_MODELS = ("fake", "chunks-50", "chunks-50_delay-20", "chunks-2000_delay-10")
_LIMITS = Limits.of(usd_day=1e5, usd_month=1e6, requests_per_minute=10**7, tokens_per_minute=10**9, concurrency=10**5)
"""So high that none is met: what is measured is that they are kept."""


@contextmanager
def team_tables(folder: Path, *, shared: bool) -> Iterator[tuple[str, str]]:
    """Make a store with a project and a key, each with limits of every kind; give TOML that names it, and the key."""
    with ExitStack() as stack:
        team: dict[str, Any] = {"folder": str(folder), "usd_day": 1e5, "usd_month": 1e6, "requests_per_minute": 10**7}
        database = str(folder / "team.db")
        if shared:
            database = team["database"] = stack.enter_context(running_postgresql()).url
            team["redis"] = stack.enter_context(running_redis()).url
        lines = ["[team]", *[f"{name} = {json.dumps(value)}" for name, value in team.items()]]
        for model in _MODELS:
            lines += [f'[models."bench:{model}"]', "prices = [{ match = '*', input = 0.1, output = 0.4 }]"]
        yield "\n".join(lines) + "\n", asyncio.run(_key(database))


async def _key(database: str) -> str:
    async with await Store.open(database) as store:
        project = await store.create_project("bench", _LIMITS, actor="bench")
        made = await store.create_key("bench", project_id=project.id, actor="bench", limits=_LIMITS)
        return made.secret
