"""What the admin page's questions cost over a million calls, on SQLite.

    python -m benchmarks.records                       what `make bench-records` runs
    python -m benchmarks.records --calls 5000000       over more of them
    python -m benchmarks.records --keep /tmp/records   and with the database kept, for the next time

The calls are written as the gateway writes them, so that their sums are too. Then the admin port is asked for all that
the page asks for, seven times, and each statement is timed where SQLAlchemy gives it to the driver, its rows read
included. The figures are medians; the first answer is that of a database that was just opened.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import event

import chatport
from chatport.testing import Emulator
from chatport_gateway import Gateway
from chatport_gateway.admin.app import Admin
from chatport_gateway.admin.settings import AdminSettings
from chatport_gateway.team.clock import now_us
from chatport_gateway.team.rows import CallRow
from chatport_gateway.team.store import Store
from chatport_gateway.team.usage import Usage
from chatport_gateway.team.values import Limits

BOUND_MS = 100.0
DAYS, KEYS, PROJECTS, ROUNDS = 90, 200, 20, 7
DAY_US = 86_400_000_000
TOKEN = "-".join(["bench"] * 8)
ALIASES = {
    "chat-fast": ["deepseek:deepseek-flash", "qwen:qwen3.7-plus"],
    "chat-good": ["openai:gpt-6-sol", "anthropic:claude-opus-4-8"],
    "think": ["anthropic:claude-opus-4-8"],
    "code": ["openai:gpt-6-sol", "deepseek:deepseek-flash"],
    "cheap": ["qwen:qwen3.7-plus", "local:auto"],
    "embed": ["openai:text-embedding-4"],
}
ERRORS = {
    "failed": ["OverloadedError", "RateLimitError", "ServerError", "StreamInterruptedError", "DeadlineError"],
    "refused": ["LimitReachedError", "BudgetExceededError", "PermissionDeniedError", "ModelNotFoundError"],
}
QUESTIONS = [
    "overview", "live", "targets",
    *[f"usage?by={by}" for by in ("model", "key", "project", "vendor", "target", "outcome")],
    "usage?by=key&since={since}", "usage?by=model&since={since}", "usage?by=model&key_id={key}",
    "errors", "errors?since={since}", "calls?most=10", "calls?most=200", "calls?outcome=failed", "calls?outcome=lost",
    "calls?outcome=ok", "calls?key_id={key}", "calls?key_id={rare}", "calls?project_id={project}",
    "calls?before={middle}", "calls?outcome=failed&before={middle}", "calls?key_id={key}&before={middle}",
    "keys", "keys?project_id={project}", "projects", "limits", "limits/gateway", "audit",
]  # fmt: skip


def calls(number: int, keys: list[tuple[str, str]], chance: random.Random) -> Iterator[CallRow]:
    """Return calls of the last days: few keys ask often and many seldom, and more by day than at the weekend."""
    now = now_us()
    weights = [1 / (place + 1) for place in range(len(keys))]
    names = list(ALIASES)
    for place in range(number):
        at_us = now - int((number - place) / number * DAYS * DAY_US)
        key, project = chance.choices(keys, weights)[0]
        model = chance.choices(names, [8, 4, 2, 4, 3, 3])[0]
        target: str | None = chance.choices(ALIASES[model], [9, 1][: len(ALIASES[model])])[0]
        outcome: Any = chance.choices(["ok", "failed", "refused", "left", "lost"], [950, 20, 20, 9, 1])[0]
        is_sent = outcome != "refused"
        error = chance.choice(ERRORS[outcome]) if outcome in ERRORS else None
        inputs, outputs = int(chance.lognormvariate(7, 1)), int(chance.lognormvariate(5.5, 1))
        yield CallRow(
            f"c{place:x}", at_us, f"req_{place:x}", key, project, "chat", model, target if is_sent else None, True,
            200 if outcome == "ok" else 502, outcome, error, "stop", False, [[target, "ok", 200, 0.8, 0.0]],
            inputs if is_sent else None, outputs if is_sent else None, None, None, None,
            inputs * 1500 + outputs * 9000 if is_sent else None, False, 900_000, None, None, None, 0.0001, 0.3,
            chance.lognormvariate(0.5, 0.8), None,
        )  # fmt: skip


async def fill(database: Path, number: int) -> None:
    """Write a database with so many calls."""
    chance = random.Random(7)
    async with await Store.open(str(database)) as store:
        projects = [await store.create_project(f"project {place}", actor="bench") for place in range(PROJECTS)]
        keys = []
        for place in range(KEYS):
            project = projects[place % PROJECTS].id
            limits = Limits.of(usd_day=50, usd_month=500, requests_per_minute=600)
            made = await store.create_key(f"key {place}", actor="bench", project_id=project, limits=limits)
            keys.append((made.key.id, project))
        usage, batch, written = Usage(store), [], 0
        for row in calls(number, keys, chance):
            batch.append(row)
            if len(batch) == 5000:
                written += len(batch)
                await usage.write(batch, "bench", written)
                batch = []
                if written % 100_000 == 0:
                    print(f"\r  {written:,} calls written", end="", file=sys.stderr, flush=True)
        await usage.write(batch, "bench", written + len(batch))
    print(file=sys.stderr)


class Watch:
    """Times each statement, from the driver being asked to its last row being read."""

    def __init__(self, engine: Any) -> None:
        self.taken: list[float] = []
        event.listen(engine.sync_engine, "before_cursor_execute", self._begin)
        event.listen(engine.sync_engine, "after_cursor_execute", self._end)

    def _begin(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        self._begun = time.perf_counter()

    def _end(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        self.taken.append((time.perf_counter() - self._begun) * 1000)


async def ask(folder: Path) -> int:
    """Ask all of it, and print what it takes; return how many statements took too long."""
    with sqlite3.connect(folder / "team.db") as connection:
        names = {
            "key": "SELECT key_id FROM usage_days GROUP BY key_id ORDER BY sum(calls) DESC LIMIT 1",
            "rare": "SELECT key_id FROM usage_days GROUP BY key_id ORDER BY sum(calls) LIMIT 1",
            "project": "SELECT project_id FROM usage_days GROUP BY project_id ORDER BY sum(calls) DESC LIMIT 1",
            "since": "SELECT min(day) FROM usage_days",
            "middle": "SELECT at_us || '.' || id FROM usage ORDER BY at_us LIMIT 1 "
            "OFFSET (SELECT count(*) / 2 FROM usage)",
        }
        given = {name: connection.execute(statement).fetchone()[0] for name, statement in names.items()}
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("usage", "usage_days")
        ]
    size = (folder / "team.db").stat().st_size
    print(f"{counts[0]:,} calls, {counts[1]:,} sums of days, {size / 2**20:,.0f} MiB\n")
    emulator = Emulator("compatible")
    config = emulator.config(aliases={"main": ["compatible:emulated-model"]}, team={"folder": str(folder)})
    async with chatport.AsyncClient(config, transport=emulator) as client:
        gateway = Gateway(client=client)
        await gateway.open()
        assert gateway.team is not None
        watch = Watch(gateway.team.store.engine)
        admin = Admin(gateway, AdminSettings(sha256(TOKEN.encode()).digest()))
        admin.log = type("Quiet", (), {"info": lambda *a, **k: None, "exception": lambda *a, **k: None})()
        headers = {"authorization": f"Bearer {TOKEN}"}
        try:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(admin), base_url="http://127.0.0.1", headers=headers
            ) as http:
                return await _table(http, watch, given)
        finally:
            await gateway.aclose()


async def _table(http: httpx.AsyncClient, watch: Watch, given: dict[str, str]) -> int:
    slow = 0
    print("| question | statements | slowest statement, ms | at its worst, ms | whole answer, ms | the first |")
    print("|---|---|---|---|---|---|")
    for question in QUESTIONS:
        path = f"/api/v1/{question.format(**given)}"
        whole, slowest = [], []
        for _ in range(ROUNDS):
            watch.taken.clear()
            begun = time.perf_counter()
            answer = await http.get(path)
            whole.append((time.perf_counter() - begun) * 1000)
            assert answer.status_code == 200, answer.text
            slowest.append(max(watch.taken, default=0.0))
        usual = statistics.median(slowest)
        slow += usual >= BOUND_MS
        print(
            f"| {question} | {len(watch.taken)} | {usual:.1f} | {max(slowest):.1f} | {statistics.median(whole):.1f} "
            f"| {whole[0]:.1f} |"
        )
    print(f"\n{slow} of {len(QUESTIONS)} questions have a statement of {BOUND_MS:.0f} ms or more.")
    return slow


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="a folder for the database; one that is there is used as it is")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        folder = given.keep or Path(passing)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "team.db").exists():
            begun = time.perf_counter()
            asyncio.run(fill(folder / "team.db", given.calls))
            print(f"Written in {time.perf_counter() - begun:.0f} s.")
        sys.exit(1 if asyncio.run(ask(folder)) else 0)


if __name__ == "__main__":
    main()
