"""Two gateways on one PostgreSQL and one Valkey or Redis: limits are shared, and stay so when a server is restarted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from tests.databases import PostgreSQL, RedisServer, running_postgresql, running_redis

from chatport.testing import Emulator
from chatport_gateway.team.store import Store
from chatport_gateway.team.usage import Usage
from chatport_gateway.team.values import Limits, NewKey

from .processes import Process, config_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SAID = "say: " + "word " * 20
BODY = {"model": "main", "max_tokens": 25, "messages": [{"role": "user", "content": SAID}]}


class Pair:
    """Two gateways, and what they share."""

    def __init__(self, processes: list[Process], database: PostgreSQL, redis: RedisServer, emulator: Emulator) -> None:
        self.processes, self.database, self.redis, self.emulator = processes, database, redis, emulator

    async def key(self, **limits: Any) -> NewKey:
        """Make a key with limits."""
        async with await Store.open(self.database.url) as store:
            return await store.create_key("k", actor="test", limits=Limits.of(**limits))

    async def ask(self, key: NewKey, number: int) -> list[httpx.Response]:
        """Ask so often at once, half of it each."""
        headers = {"authorization": f"Bearer {key.secret}"}
        async with httpx.AsyncClient(headers=headers, timeout=60, limits=httpx.Limits(max_connections=None)) as client:
            urls = [f"{self.processes[n % 2].url}/v1/chat/completions" for n in range(number)]
            return list(await asyncio.gather(*[client.post(url, json=BODY) for url in urls]))

    async def spent(self, key: NewKey) -> int:
        """Return what the database has of a key, once all of it is there."""
        last = -1
        async with await Store.open(self.database.url) as store:
            while True:
                await asyncio.sleep(0.6)
                found = await Usage(store).standings([f"key:{key.key.id}"], ["total"])
                now = sum(one.usd_nano for one in found.values())
                if now == last:
                    return now
                last = now


@asynccontextmanager
async def pair(tmp_path: Path, **team: Any) -> AsyncIterator[Pair]:
    """Run two gateways until the block is left."""
    with running_postgresql() as database, running_redis() as redis, Emulator("compatible") as emulator:
        processes = []
        for name in ("one", "two"):
            config = config_of(emulator, tmp_path / name, database=database.url, redis=redis.url, **team)
            processes.append(Process(config, tmp_path, name))
        await asyncio.gather(*[asyncio.to_thread(process.start) for process in processes])
        try:
            yield Pair(processes, database, redis, emulator)
        finally:
            for process in processes:
                process.kill()


def passed(answers: list[httpx.Response]) -> int:
    """Return how many were answered. The others were refused in the right way."""
    assert {answer.status_code for answer in answers} <= {200, 429}, [answer.text for answer in answers][:3]
    return sum(answer.status_code == 200 for answer in answers)


async def test_two_processes_do_not_overspend(tmp_path: Path) -> None:
    """200 calls at once on a budget for 20, on 20 requests, on the tokens of 20 calls, and on 5 at a time."""
    async with pair(tmp_path) as both:
        free = await both.key()
        assert passed(await both.ask(free, 2)) == 2
        cost = await both.spent(free) // 2
        poor = await both.key(usd_total=20 * cost / 1e9)
        assert 0 < passed(await both.ask(poor, 200)) <= 20
        assert await both.spent(poor) <= 20 * cost
        while number := passed(await both.ask(poor, 2)):
            assert number <= 2
        assert 15 * cost <= await both.spent(poor) <= 20 * cost  # what was set aside and not used came back
        slow = await both.key(requests_per_minute=20)
        assert 15 <= passed(await both.ask(slow, 200)) <= 22  # one is free again every three seconds
        short = await both.key(tokens_per_minute=600)
        assert 5 <= passed(await both.ask(short, 200)) <= 30  # 40 tokens each and more
        narrow = await both.key(concurrency=5)
        before = len(both.emulator.requests)
        assert 5 <= passed(await both.ask(narrow, 60)) < 60
        assert len(both.emulator.requests) > before
        with anyio.fail_after(10):  # the places are free again, once what the other process leased is back
            while passed(await both.ask(narrow, 2)) < 2:
                pass


@pytest.mark.parametrize("on_store_down", ["refuse", "local"])
async def test_a_store_that_is_restarted_under_load(tmp_path: Path, on_store_down: str) -> None:
    """Calls go on, or are refused, as the settings say; after it all is as it was, and nothing is counted twice."""
    async with pair(tmp_path, on_store_down=on_store_down) as both:
        key = await both.key(usd_total=100.0, requests_per_minute=100_000)
        statuses: dict[str, list[int]] = {"before": [], "redis down": [], "database down": [], "after": []}
        phase, is_over = "before", False

        async def work(number: int) -> None:
            headers = {"authorization": f"Bearer {key.secret}"}
            async with httpx.AsyncClient(headers=headers, timeout=60) as client:
                while not is_over:
                    began = phase
                    answer = await client.post(f"{both.processes[number % 2].url}/v1/chat/completions", json=BODY)
                    if began == phase:
                        statuses[phase].append(answer.status_code)
                    await asyncio.sleep(0.01)

        workers = [asyncio.create_task(work(number)) for number in range(4)]
        await asyncio.sleep(1)
        phase, statuses[""] = "", []
        both.redis.kill()
        await asyncio.sleep(3)  # until what is leased is used up or over
        phase = "redis down"
        await asyncio.sleep(1)
        phase = ""
        both.redis.start()
        await asyncio.sleep(2)
        both.database.stop()
        phase = "database down"
        await asyncio.sleep(1)
        phase = ""
        both.database.start()
        await asyncio.sleep(2)
        phase = "after"
        await asyncio.sleep(1)
        is_over = True
        await asyncio.gather(*workers)
        assert set(statuses["before"]) == {200}
        assert set(statuses["redis down"]) == ({503} if on_store_down == "refuse" else {200})
        assert set(statuses["database down"]) == {200}  # what is known of the key holds, records wait in the journal
        assert set(statuses["after"]) == {200}
        spent = await both.spent(key)
        async with await Store.open(both.database.url) as store:
            rows = await Usage(store).calls(key_id=key.key.id, most=1_000_000)
        assert len({row["id"] for row in rows}) == len(rows)
        assert spent == sum(row["usd_nano"] or 0 for row in rows)
        assert sum(row["outcome"] == "ok" for row in rows) == sum(map(len, [both.emulator.requests]))
