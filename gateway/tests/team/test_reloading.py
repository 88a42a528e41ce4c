"""Another configuration for a gateway of a team: limits of all calls change at once, the store stays where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import chatport

from .conftest import MODEL, World


async def change(world: World, **tables: Any) -> tuple[str, ...]:
    """Give the gateway another configuration."""
    prices = {MODEL: {"prices": [{"match": "*", "input": 10.0, "output": 100.0}]}}
    config = world.emulator.config(aliases={"main": [MODEL]}, models=prices, **tables)
    client = chatport.AsyncClient(config, transport=world.emulator)
    return await world.gateway.reload(client=client)


@pytest.mark.anyio
async def test_limits_of_all_calls_change_at_once(world: Callable[..., Any]) -> None:
    here = await world(team={"requests_per_minute": 100})
    key = await here.key(usd_total=1.0)
    assert (await here.ask(key)).status_code == 200
    folder = str(here.folder)
    assert await change(here, team={"folder": folder, "usd_total": 0.000001}, records={"content": "hash"}) == ()
    refused = await here.ask(key)
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert await change(here, team={"folder": folder, "usd_total": 5.0}, records={"content": "hash"}) == ()
    assert (await here.ask(key)).status_code == 200
    rows = await here.rows()
    assert [row["outcome"] for row in rows] == ["ok", "refused", "ok"]
    account = here.team.accounts.get("gateway")
    assert account.money["usd_total"].spent == sum(row["usd_nano"] or 0 for row in rows)
    assert here.team.records.settings.content == "hash"


@pytest.mark.anyio
async def test_where_its_store_is_stays_and_it_is_not_opened(world: Callable[..., Any]) -> None:
    here = await world()
    key = await here.key()
    kept = await change(here, team={"folder": "elsewhere", "database": "postgresql://x/y", "redis": "redis://x"})
    assert kept == ("[team] folder", "[team] database", "[team] redis")
    assert await change(here) == ("[team]",)
    assert (await here.ask("none")).status_code == 401
    assert (await here.ask(key)).status_code == 200


@pytest.mark.anyio
async def test_while_the_store_is_away_nothing_changes(world: Callable[..., Any]) -> None:
    here = await world()
    key = await here.key()
    assert (await here.ask(key)).status_code == 200
    before = here.gateway.setup
    here.sql("ALTER TABLE limits RENAME TO away")
    try:
        with pytest.raises(chatport.ChatportError, match="cannot be changed now"):
            await change(here, team={"folder": str(here.folder), "concurrency": 3})
    finally:
        here.sql("ALTER TABLE away RENAME TO limits")
    assert here.gateway.setup is before
    assert (await here.ask(key)).status_code == 200
