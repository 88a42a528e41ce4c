"""Limits of a key, a project and all calls: what passes, what does not, and what a client is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from chatport.testing import Emulator, faults
from chatport_gateway.team.values import GATEWAY, Limits

from ..asking import PROTOCOLS, Protocol

Open = Callable[..., Any]


async def test_two_hundred_at_once_do_not_overspend(world: Open) -> None:
    """Of 200 calls at once on a budget for 20 no more pass than there is money for."""
    one = await world()
    probe = await one.key("probe")
    assert (await one.ask(probe)).status_code == 200
    [row] = await one.rows()
    cost = row["usd_nano"]
    assert 0 < cost <= row["reserved_nano"]
    key = await one.key("busy", usd_total=20 * cost / 1e9)
    answers = await asyncio.gather(*[one.ask(key) for _ in range(200)])
    passed = sum(answer.status_code == 200 for answer in answers)
    assert {answer.status_code for answer in answers} == {200, 429}
    assert 20 * cost // row["reserved_nano"] <= passed <= 20
    spent = sum(row["usd_nano"] or 0 for row in await one.rows() if row["key_id"] == key.key.id)
    assert spent <= 20 * cost
    while (await one.ask(key)).status_code == 200:  # what was set aside and not used is there again
        passed += 1
    assert passed <= 20


@pytest.mark.parametrize("holder", ["key", "project", GATEWAY])
@pytest.mark.parametrize(
    ("limits", "at_once", "code"),
    [
        ({"requests_per_minute": 3}, 3, "rate_limit_exceeded"),
        ({"tokens_per_minute": 100}, None, "rate_limit_exceeded"),
        ({"concurrency": 2}, 2, "rate_limit_exceeded"),
        ({"usd_day": 0.005}, None, "insufficient_quota"),
        ({"usd_month": 0.005}, None, "insufficient_quota"),
    ],
)
async def test_each_limit_holds_for_each_holder(
    world: Open, holder: str, limits: dict[str, Any], at_once: int | None, code: str
) -> None:
    """Of ten calls at once some pass, and the others are told why."""
    one = await world(Emulator("compatible"))
    project = await one.team.store.create_project("web", actor="test")
    key = await one.key("ci", project_id=project.id)
    name = {"key": f"key:{key.key.id}", "project": f"project:{project.id}"}.get(holder, holder)
    await one.team.store.set_limits(name, Limits.of(**limits), actor="test")
    await one.team.directory.refresh()
    answers = await asyncio.gather(*[one.ask(key) for _ in range(10)])
    passed = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(passed) + len(refused) == 10
    assert refused
    assert len(passed) == at_once or (at_once is None and 0 < len(passed) < 10)
    for answer in refused:
        assert answer.json()["error"]["code"] == code
        is_rate = code == "rate_limit_exceeded"
        assert answer.headers["x-should-retry"] == ("true" if is_rate else "false")
        assert ("retry-after" in answer.headers) == is_rate
    assert len(one.emulator.requests) == len(passed)  # nothing else was sent


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_is_in_the_words_of_each_protocol(world: Open, protocol: Protocol, stream: bool) -> None:
    """A client reads it as the one of its vendor."""
    one = await world()
    key = await one.key("poor", usd_total=0.0)
    for secret, status in ((key, 429), ("wrong", 401)):
        async with one.client(secret) as client:
            answer = await client.post(protocol.path, json=protocol.body("say: hi", stream=stream))
        assert protocol.seen(answer, stream=stream).status == status


async def test_what_a_slot_held_is_free_after_the_call(world: Open) -> None:
    """Also where the call failed, or its client has left."""
    one = await world(
        Emulator("compatible", faults=[faults.status(500), faults.cut(after_events=1)]), retry={"attempts": 1}
    )
    key = await one.key("single", concurrency=1)
    assert (await one.ask(key)).status_code == 502
    assert (await one.ask(key, stream=True)).status_code in (200, 502)
    for _ in range(3):
        assert (await one.ask(key)).status_code == 200
    account = one.team.accounts.get(f"key:{key.key.id}")
    assert account is not None
    assert account.slots.held == 0


async def test_what_may_be_asked_for_and_who_may_answer(world: Open) -> None:
    """Names are globs; a list of models shows no others. A provider that is not allowed is not asked."""
    one = await world()
    key = await one.key("narrow", models=["ma*"])
    assert (await one.ask(key)).status_code == 200
    refused = await one.ask(key, model="other")
    assert refused.status_code == 403
    async with one.client(key) as client:
        assert [entry["id"] for entry in (await client.get("/v1/models")).json()["data"]] == ["main"]
    elsewhere = await one.key("elsewhere", providers=["acme"])
    assert (await one.ask(elsewhere)).status_code == 403
    assert len(one.emulator.requests) == 1


async def test_a_key_ends_when_it_is_told_to(world: Open) -> None:
    """Expired, revoked, rotated, of a closed project: a 401, within the time that a change takes to be seen."""
    one = await world()
    store, soon = one.team.store, datetime.now(UTC) + timedelta(seconds=0.3)
    project = await store.create_project("gone", actor="test")
    expiring = await one.key("expiring", expires=soon)
    revoked, rotated = await one.key("revoked"), await one.key("rotated")
    closed = await one.key("closed", project_id=project.id)
    keys = [expiring, revoked, rotated, closed]
    assert [(await one.ask(key)).status_code for key in keys] == [200] * 4
    await store.revoke_key(revoked.key.id, actor="test")
    renewed = await store.rotate_key(rotated.key.id, actor="test", old_until=soon)
    await store.close_project(project.id, actor="test")
    assert (await one.ask(renewed)).status_code == 200
    for _ in range(100):
        await asyncio.sleep(0.05)
        statuses = [(await one.ask(key)).status_code for key in keys]
        if statuses == [401] * 4:
            break
    assert statuses == [401] * 4
    assert (await one.ask(renewed)).status_code == 200


async def test_an_unknown_price_is_refused_where_money_is_limited(world: Open) -> None:
    """Or let pass, where the settings say so."""
    one = await world(models={})
    assert (await one.ask(await one.key("free"))).status_code == 200
    refused = await one.ask(await one.key("limited", usd_day=1.0))
    assert refused.status_code == 429
    assert "not known" in refused.json()["error"]["message"]
    two = await world(models={}, folder="two", team={"unknown_cost": "allow"})
    assert (await two.ask(await two.key("limited", usd_day=1.0))).status_code == 200


async def test_a_store_of_keys_that_is_away_is_said_and_holds_for_a_while(world: Open) -> None:
    """A key that is known goes on; one that is not cannot be looked up: a 503, no 401, without the driver's words."""
    one = await world()
    known, new = await one.key("known"), await one.key("new")
    assert (await one.ask(known)).status_code == 200
    one.sql("ALTER TABLE keys RENAME TO away")
    with capture_logs() as logs:
        one.team.directory._log = structlog.get_logger()
        refused = await one.ask(new)
        assert (refused.status_code, refused.headers["x-should-retry"]) == (503, "true")
        assert refused.json()["error"]["message"].startswith("The gateway cannot look up keys now.")
        assert "no such table" not in refused.text
    [told] = [line for line in logs if line["event"] == "store_down"]
    assert (told["log_level"], told["error"].partition(":")[0]) == ("error", "OperationalError")
    assert len(told["error"]) <= 300
    assert (await one.ask(known)).status_code == 200
    one.sql("ALTER TABLE away RENAME TO keys")
    assert (await one.ask(new)).status_code == 200


@pytest.mark.parametrize("on_store_down", ["refuse", "local"])
async def test_a_log_that_cannot_be_read_is_read_again(
    world: Open, monkeypatch: pytest.MonkeyPatch, on_store_down: str
) -> None:
    """What is known holds for a minute then, and longer where the settings say so."""
    one = await world(team={"on_store_down": on_store_down, "stale_seconds": 600})
    key = await one.key("ci")
    assert (await one.ask(key)).status_code == 200
    directory = one.team.directory
    one.sql("ALTER TABLE audit RENAME TO away")
    with capture_logs() as logs:
        directory._log = structlog.get_logger()
        assert await directory._follow() == 600
    [told] = [line for line in logs if line["event"] == "store_down"]
    assert (told["log_level"], told["error"].partition(":")[0]) == ("warning", "OperationalError")
    headers = {"x-api-key": key.secret}
    now = time.monotonic()
    for later, is_known in ((659.9, True), (661.0, on_store_down == "local")):
        monkeypatch.setattr(directory, "_fresh_at", now - later)
        assert (directory.known(headers) is not None) is is_known
    one.sql("ALTER TABLE away RENAME TO audit")
    assert await directory._follow() == 600
    assert (await one.ask(key)).status_code == 200
    assert directory.known(headers) is not None


async def test_so_many_keys_are_known_at_once(world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many the first is looked up again, and of those that do not exist the first is forgotten."""
    monkeypatch.setattr("chatport_gateway.team.directory._MOST", 2)
    one = await world()
    keys = [await one.key(name) for name in "abc"]
    assert [(await one.ask(key)).status_code for key in keys] == [200] * 3
    known = [one.team.directory.known({"x-api-key": key.secret}) is not None for key in keys]
    assert known == [False, True, True]
    wrong = [f"{keys[0].secret[:-3]}{letter * 3}" for letter in "xyz"]
    assert [(await one.ask(secret)).status_code for secret in wrong] == [401] * 3
    assert len(one.team.directory._unknown) == 2


async def test_embeddings_are_limited_too(world: Open) -> None:
    """They cost money; nothing goes round the limits."""
    one = await world()
    key = await one.key("vectors", usd_total=0.0)
    async with one.client(key) as client:
        answer: httpx.Response = await client.post("/v1/embeddings", json={"model": "main", "input": "some words"})
    assert answer.status_code == 429


async def test_a_day_ends_at_midnight_utc(world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The day's money is new then, and the month's goes on."""
    one = await world()
    key = await one.key("daily", usd_day=0.003, usd_month=0.006)

    def passed(answers: list[httpx.Response]) -> int:
        return sum(answer.status_code == 200 for answer in answers)

    noon = int(datetime(2090, 1, 10, 12, tzinfo=UTC).timestamp() * 1e6)
    total = 0
    for day in range(8):
        now = noon + day * 86_400_000_000
        monkeypatch.setattr("chatport_gateway.team.meter.now_us", lambda now=now: now)
        today = passed([await one.ask(key) for _ in range(10)])
        total += today
        assert today < 10
        assert today > 0 or day > 3
    assert today == 0  # the month is over its money
    assert total > 10


async def test_limits_may_change_while_calls_are_under_way(world: Open) -> None:
    """What is spent counts against a limit that is set later."""
    one = await world()
    key = await one.key("grows")
    assert [(await one.ask(key)).status_code for _ in range(3)] == [200] * 3
    await one.team.store.set_limits(f"key:{key.key.id}", Limits.of(usd_total=0.001), actor="test")
    await one.team.directory.refresh()
    assert (await one.ask(key)).status_code == 429
    await one.team.store.set_limits(f"key:{key.key.id}", Limits.of(usd_total=1.0), actor="test")
    await one.team.directory.refresh()
    assert (await one.ask(key)).status_code == 200
