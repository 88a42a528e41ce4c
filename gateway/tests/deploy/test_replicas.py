"""Two replicas of `chatport serve` behind the shipped nginx, with a real PostgreSQL and a real Redis."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
from tests.databases import running_postgresql, running_redis

from chatport.testing import Emulator, faults
from chatport_gateway.team.store import Store
from chatport_gateway.team.usage import Usage
from chatport_gateway.team.values import NANO, Limits, NewKey

from ..serving import Serving, replace
from .front import NGINX, free_port, running_nginx

TARGET = "compatible:emulated-model"
WORKERS = 8
CAP = 0.02

pytestmark = [
    pytest.mark.skipif("CHATPORT_DEPLOY" not in os.environ, reason="make test-deploy runs it"),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.timeout(180),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@attrs.frozen
class Site:
    """The two replicas, and what is around them."""

    folder: Path
    emulator: Emulator
    environment: dict[str, str]
    ports: list[int]
    replicas: list[Serving]
    url: str

    @property
    def database(self) -> str:
        return self.environment["DATABASE_URL"]

    def configure(self, number: int, *aliases: str) -> Path:
        """Write the file of a replica."""
        path = self.folder / f"replica-{number}.toml"
        prices = {TARGET: {"prices": [{"match": "*", "input": 10.0, "output": 100.0}]}}
        team = {
            "folder": str(self.folder / f"journal-{number}"),
            "database_env": "DATABASE_URL",
            "redis_env": "REDIS_URL",
        }
        tables = {"aliases": {name: [TARGET] for name in ("main", *aliases)}, "models": prices, "team": team}
        replace(path, {**self.emulator.config(), **tables, "gateway": {"seal_key_env": "SEAL"}})
        return path

    def start(self, number: int, *aliases: str) -> None:
        """Start a replica, or start it again."""
        made = Serving(self.configure(number, *aliases), port=self.ports[number], **self.environment)
        made.wait_until_ready()
        self.replicas[number : number + 1] = [made]

    def stop(self) -> None:
        """Stop both."""
        for replica in self.replicas:
            replica.stop()

    async def key(self, **limits: Any) -> NewKey:
        async with await Store.open(self.database) as store:
            return await store.create_key("k", actor="test", limits=Limits.of(**limits))

    async def rows(self) -> list[dict[str, Any]]:
        async with await Store.open(self.database) as store:
            return [dict(row) for row in await Usage(store).calls(most=1_000_000)]

    def client(self, key: NewKey) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers={"authorization": f"Bearer {key.secret}"}, timeout=30)


@pytest.fixture(params=[None])
def site(request: Any, tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        emulator = stack.enter_context(Emulator("compatible", faults=request.param or ()))
        environment = {
            "DATABASE_URL": stack.enter_context(running_postgresql()).url,
            "REDIS_URL": stack.enter_context(running_redis()).url,
            "SEAL": secrets.token_hex(16),
        }
        ports = [free_port(), free_port()]
        url = stack.enter_context(running_nginx(tmp_path, ports))
        made = Site(tmp_path, emulator, environment, ports, [], url)
        stack.callback(made.stop)
        for number in range(2):
            made.start(number)
        yield made


def body(text: str = "say: one two three", **options: Any) -> dict[str, Any]:
    return {"model": "main", "max_tokens": 30, "messages": [{"role": "user", "content": text}], **options}


class Load:
    """Workers that ask without end. `done` are the ids of answers that came whole, `failed` counts the others."""

    def __init__(self, site: Site, key: NewKey) -> None:
        self.done: list[str] = []
        self.failed: Counter[str] = Counter()
        self._site, self._key = site, key
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._work(stream=number % 2 == 0)) for number in range(WORKERS)]
        return self

    async def __aexit__(self, *_: Any) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def more(self, count: int) -> None:
        """Wait until so many more were answered."""
        wanted, deadline = len(self.done) + count, time.monotonic() + 30
        while len(self.done) < wanted:
            assert time.monotonic() < deadline, self.failed
            await asyncio.sleep(0.02)

    async def reach(self, number: int) -> None:
        """Wait until a replica that was started anew is asked again: nginx leaves it out for `fail_timeout`."""
        deadline = time.monotonic() + 30
        while "path=/v1/chat/completions" not in self._site.replicas[number].log():
            assert time.monotonic() < deadline
            await self.more(5)

    async def _work(self, *, stream: bool) -> None:
        async with self._site.client(self._key) as client:
            while True:
                try:
                    answer = await client.post("/v1/chat/completions", json=body(stream=stream))
                except httpx.HTTPError as error:
                    self.failed[type(error).__name__] += 1
                    continue
                is_whole = not stream or answer.text.endswith("data: [DONE]\n\n")
                if answer.status_code == 200 and is_whole:
                    self.done.append(answer.headers["x-request-id"])
                else:
                    self.failed[str(answer.status_code)] += 1


@pytest.mark.parametrize("site", [lambda number, asked: faults.stall(after_events=2, seconds=1.5)], indirect=True)
async def test_a_stream_comes_as_it_is_sent(site: Site) -> None:
    times = []
    async with site.client(await site.key()) as client:
        begun = time.monotonic()
        async with client.stream("POST", "/v1/chat/completions", json=body(stream=True)) as answer:
            async for _ in answer.aiter_raw():
                times.append(time.monotonic() - begun)
    assert times[0] < 1.0 < 1.4 < times[-1]


async def test_one_is_killed_and_nothing_acknowledged_is_lost(site: Site) -> None:
    async with Load(site, await site.key()) as load:
        await load.more(60)
        site.replicas[0].process.kill()
        site.replicas[0].process.wait()
        failed = sum(load.failed.values())
        await load.more(150)
        assert (
            sum(load.failed.values()) - failed <= 2 * WORKERS
        )  # those that it had, and it is tried again now and then
        await asyncio.to_thread(site.start, 0)
        await load.reach(0)
        await load.more(150)
    for replica in site.replicas:
        await asyncio.to_thread(replica.stop)
    rows = await site.rows()
    ok = {row["request_id"] for row in rows if row["outcome"] == "ok"}
    assert set(load.done) <= ok
    assert len(rows) == len({row["id"] for row in rows})
    assert sum(row["outcome"] == "lost" for row in rows) <= WORKERS


async def test_each_is_stopped_in_turn_and_started_again(site: Site) -> None:
    """As an upgrade is: what is under way ends, and new calls go to the other one, until nginx asks this one again."""
    async with Load(site, await site.key()) as load:
        for number in range(2):
            await load.more(60)
            await asyncio.to_thread(site.replicas[number].stop)
            await load.more(60)
            await asyncio.to_thread(site.start, number, "new")
            await load.reach(number)
        await load.more(60)
    assert sum(load.failed.values()) <= 2, load.failed  # a request on a connection that is just being closed


async def test_both_are_reloaded_under_load_and_no_call_fails(site: Site) -> None:
    async with Load(site, await site.key()) as load:
        for turn in range(6):
            for number, replica in enumerate(site.replicas):
                site.configure(number, f"alias-{turn}")
                await asyncio.to_thread(replica.reload)
            await load.more(20)
    assert not load.failed


async def test_limits_hold_over_both(site: Site) -> None:
    busy, poor = await site.key(requests_per_minute=20), await site.key(usd_total=CAP)
    for key in (busy, poor):
        async with site.client(key) as client:
            answers = await asyncio.gather(*[client.post("/v1/chat/completions", json=body()) for _ in range(80)])
        codes = Counter(answer.status_code for answer in answers)
        assert set(codes) == {200, 429}, codes
    assert min(replica.log().count("path=/v1/chat/completions") for replica in site.replicas) > 20
    for replica in site.replicas:
        await asyncio.to_thread(replica.stop)
    rows = await site.rows()
    passed = {
        key.key.id: [row for row in rows if row["key_id"] == key.key.id and row["outcome"] == "ok"]
        for key in (busy, poor)
    }
    assert 15 <= len(passed[busy.key.id]) <= 21  # by GCRA: one may have come free meanwhile
    assert 0 < sum(row["usd_nano"] for row in passed[poor.key.id]) / NANO <= CAP


async def test_a_dump_is_restored_and_serves(site: Site) -> None:
    dump, restored = site.folder / "chatport.dump", site.database.replace("/postgres", "/restored")
    key = await site.key(usd_total=1.0)
    async with Load(site, key) as load:
        await load.more(50)
        until = len(load.done)
        await asyncio.sleep(1)  # what is written comes after what is answered
        _run("pg_dump", "--format=custom", f"--file={dump}", site.database)
        await load.more(20)
    _run("psql", "-c", "CREATE DATABASE restored", site.database)
    _run("pg_restore", "--clean", "--if-exists", "-d", restored, str(dump))
    async with await Store.open(restored) as store:
        assert (await store.key(key.key.id)).name == "k"
        rows = await Usage(store).calls(most=1_000_000)
        standing = await Usage(store).standings([f"key:{key.key.id}"], ["total"])
    assert set(load.done[:until]) <= {row["request_id"] for row in rows}
    assert [one.usd_nano for one in standing.values()] == [sum(row["usd_nano"] for row in rows)]


def _run(name: str, *arguments: str) -> None:
    program = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))[-1]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
