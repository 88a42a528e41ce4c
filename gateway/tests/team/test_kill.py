"""`kill -9` at random moments under load: nothing is lost that was acknowledged, and no budget is wrong by more than
the calls in flight. Three times here, fifty with CHATPORT_KILLS=50 (`make test-kills`)."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import httpx
import pytest

from chatport.testing import Emulator
from chatport_gateway.team.store import Store
from chatport_gateway.team.usage import Usage
from chatport_gateway.team.values import Limits

from .processes import Process, config_of

KILLS = int(os.environ.get("CHATPORT_KILLS", "3"))
WORKERS = 8


@pytest.mark.slow
@pytest.mark.timeout(60 + 30 * KILLS)
async def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    chance = random.Random(11)
    team = tmp_path / "team"
    team.mkdir()
    database = str(team / "team.db")
    async with await Store.open(database) as store:
        key = await store.create_key("k", actor="test", limits=Limits.of(usd_total=1000.0, concurrency=WORKERS))
    acknowledged: dict[str, int] = {}
    asked = 0

    async def work(url: str, number: int) -> None:
        nonlocal asked
        headers = {"authorization": f"Bearer {key.secret}"}
        body = {"model": "main", "max_tokens": 30, "messages": [{"role": "user", "content": "say: hello there"}]}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
            while True:
                asked += 1
                is_stream = number % 2 == 0
                answer = await client.post("/v1/chat/completions", json={**body, "stream": is_stream})
                assert answer.status_code == 200, answer.text  # concurrency: no slot is stuck from before
                assert not is_stream or answer.text.endswith("data: [DONE]\n\n")
                acknowledged[answer.headers["x-request-id"]] = 1

    with Emulator("compatible") as emulator:
        process = Process(config_of(emulator, team), tmp_path)
        for _ in range(KILLS):
            await asyncio.to_thread(process.start)
            workers = [asyncio.create_task(work(process.url, number)) for number in range(WORKERS)]
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            process.kill()
            results = await asyncio.gather(*workers, return_exceptions=True)
            for result in results:
                assert isinstance(result, httpx.HTTPError), result
        await asyncio.to_thread(process.start)
        await asyncio.to_thread(process.stop)
    async with await Store.open(database) as store:
        usage = Usage(store)
        rows = [dict(row) for row in await usage.calls(most=1_000_000)]
        standings = await usage.standings(["gateway", f"key:{key.key.id}"], ["total"])
    done = {row["request_id"] for row in rows if row["outcome"] == "ok"}
    assert acknowledged.keys() <= done
    assert len(rows) == len({row["id"] for row in rows})
    assert len(rows) <= asked
    assert len(done) - len(acknowledged) <= WORKERS * KILLS  # answered, and the client has not heard it
    spent = sum(row["usd_nano"] or 0 for row in rows)
    for standing in standings.values():
        assert (standing.usd_nano, standing.calls) == (spent, len(rows))
    in_flight = [row for row in rows if row["outcome"] == "lost"]
    assert len(in_flight) <= WORKERS * KILLS
    assert not list((team / "journal").iterdir())
