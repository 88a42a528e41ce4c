"""Limits that a gateway keeps in a Valkey or Redis, seen by its clients: what passes, and what it says when not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
import structlog
from tests.databases import RedisServer, running_redis

from chatport.sharing import Share
from chatport.testing import Emulator, faults

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Run one for all tests of this file."""
    with running_redis() as server:
        yield server


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"requests_per_minute": 2}, "may use 2 requests a minute. The next one fits in "),
        ({"tokens_per_minute": 50}, "may use 50 tokens a minute. The next one fits in "),
        ({"usd_day": 0.0024}, "may use 0.0024 USD a day (UTC), and this call may cost more than what is left: 0.00"),
        ({"usd_month": 0.0024}, "may use 0.0024 USD a month (UTC), and this call"),
        ({"usd_total": 0.0024}, "may use 0.0024 USD in all, and this call"),
    ],
)
async def test_a_limit_in_the_store_holds(world: Open, redis: RedisServer, limits: dict[str, Any], words: str) -> None:
    """It lets pass what fits, is settled by what was used, and says what is short; nothing is sent then."""
    one = await world(team={"redis": redis.url})
    key = await one.key("ci", **limits)
    answers = [await one.ask(key) for _ in range(5)]
    passed = [answer.status_code for answer in answers if answer.status_code == 200]
    assert [answer.status_code for answer in answers] == [*passed, *[429] * (5 - len(passed))]
    assert 2 <= len(passed) < 5
    message = answers[-1].json()["error"]["message"]
    assert message.startswith(f"The key {key.key.shown}… {words}")
    assert "Nothing was sent." in message
    assert len(one.emulator.requests) == len(passed)
    rows = await one.rows()
    assert [row["outcome"] for row in rows] == ["ok"] * len(passed) + ["refused"] * (5 - len(passed))
    account = one.team.accounts.get(f"key:{key.key.id}")
    for share in account.money.values():
        assert share.alone.spent == sum(row["usd_nano"] or 0 for row in rows)
        assert share.held == 0


async def test_a_place_in_the_store_is_free_after_the_call(world: Open, redis: RedisServer) -> None:
    """Of ten at once one has it; who comes later has it again, also after one that failed."""
    one = await world(
        Emulator("compatible", faults=[faults.status(500)]), retry={"attempts": 1}, team={"redis": redis.url}
    )
    key = await one.key("ci", concurrency=1)
    assert (await one.ask(key)).status_code == 502
    assert (await one.ask(key)).status_code == 200
    answers = await asyncio.gather(*[one.ask(key) for _ in range(10)])
    assert sum(answer.status_code == 200 for answer in answers) >= 1
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert "may use 1 calls at once, and so many are under way." in refused.json()["error"]["message"]
    assert refused.headers["retry-after"] == "1"
    account = one.team.accounts.get(f"key:{key.key.id}")
    assert account.slots.held == 0
    assert (await one.ask(key)).status_code == 200


async def test_a_call_without_limits_asks_no_store(world: Open, redis: RedisServer) -> None:
    one = await world(team={"redis": redis.url})
    key = await one.key("free")
    assert [(await one.ask(key)).status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("on_store_down", ["refuse", "local"])
async def test_without_the_store(world: Open, on_store_down: str) -> None:
    """Refused, and nothing is sent; or by the limits as this process knows them."""
    with running_redis() as server:
        one = await world(team={"redis": server.url, "on_store_down": on_store_down})
        key = await one.key("ci", requests_per_minute=3)
        assert (await one.ask(key)).status_code == 200
        server.kill()
        answers = [await one.ask(key) for _ in range(4)]
        if on_store_down == "refuse":
            assert {answer.status_code for answer in answers} == {503}
            said = "The store in which the gateway's processes share limits cannot be asked. Nothing was sent."
            assert answers[-1].json()["error"]["message"].startswith(said)
            assert len(one.emulator.requests) == 1
        else:
            assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
            assert "may use 3 requests a minute" in answers[-1].json()["error"]["message"]


async def test_a_client_that_leaves_while_the_store_is_asked_holds_nothing(world: Open, redis: RedisServer) -> None:
    """At whatever moment it leaves."""
    one = await world(team={"redis": redis.url})
    key = await one.key("ci", concurrency=2, usd_total=5.0)
    assert (await one.ask(key)).status_code == 200
    for steps in range(0, 60, 4):
        asked = asyncio.create_task(one.ask(key))
        for _ in range(steps):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    leases = one.team.shared.leases
    with anyio.fail_after(20):
        while leases.has_asks or leases._again is not None:  # noqa: ASYNC110  # it is another thread's
            await asyncio.sleep(0.01)
    account = one.team.accounts.get(f"key:{key.key.id}")
    assert (account.slots.held, account.money["usd_total"].held) == (0, 0)
    assert account.slots.alone.held == 0
    assert (await one.ask(key)).status_code == 200


async def test_the_store_is_told_what_the_database_knows(world: Open, redis: RedisServer) -> None:
    """Of each window what was spent in it: another process may have said it there alone, and been killed."""
    one = await world(team={"redis": redis.url})
    project = await one.team.store.create_project("web", actor="test")
    key = await one.key("ci", project_id=project.id, usd_day=5.0, usd_month=6.0, usd_total=7.0, concurrency=3)
    assert [(await one.ask(key)).status_code for _ in range(2)] == [200] * 2
    spent = sum(row["usd_nano"] for row in await one.rows())
    money = one.team.accounts.get(f"key:{key.key.id}").money
    shares = [share for share in money.values() if isinstance(share, Share)]
    assert len(shares) == 3
    for share in shares:
        share.seed = 0
    await one.team.compare()
    assert [share.seed for share in shares] == [spent] * 3
    shares[0].seed = spent + 1
    await one.team.compare()
    assert shares[0].seed == spent + 1  # never less than what the store has said


async def test_it_is_said_at_the_start_that_the_store_is_not_there(
    world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatport.sharing.server.LeaseServer.wait_for_store.__defaults__", (0.05,))
    with structlog.testing.capture_logs() as logs:
        one = await world(team={"redis": "redis://127.0.0.1:9/0", "on_store_down": "local", "concurrency": 1})
        key = await one.key("ci")
        assert (await one.ask(key)).status_code == 200
    [told] = [line for line in logs if line["event"] == "limits_store_down"]
    assert (told["log_level"], told["on_store_down"]) == ("error", "local")
    assert "secret" not in repr(one.team.shared)
