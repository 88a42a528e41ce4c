"""What the tests of a team share: a gateway with a store of its own, before a vendor whose prices are known."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import chatport
from chatport.testing import Emulator
from chatport_gateway import Gateway
from chatport_gateway.team.team import Team
from chatport_gateway.team.values import Limits, NewKey

MODEL = "compatible:emulated-model"


@pytest.fixture
def anyio_backend() -> str:
    """The gateway runs on uvicorn, and so on asyncio."""
    return "asyncio"


class World:
    """A gateway for a team, asked without a port."""

    def __init__(self, gateway: Gateway, emulator: Emulator, folder: Path) -> None:
        self.gateway, self.emulator, self.folder = gateway, emulator, folder

    @property
    def team(self) -> Team:
        """What the gateway has opened."""
        assert self.gateway.team is not None
        return self.gateway.team

    async def key(self, name: str = "test", **options: Any) -> NewKey:
        """Make a key; options that are limits are its limits."""
        limits = {name: options.pop(name) for name in list(options) if name in Limits().told()}
        return await self.team.store.create_key(name, actor="test", limits=Limits.of(**limits), **options)

    def client(self, key: NewKey | str) -> httpx.AsyncClient:
        """Return a client with a key."""
        secret = key if isinstance(key, str) else key.secret
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.gateway),
            base_url="http://gateway.example",
            headers={"authorization": f"Bearer {secret}"},
        )

    async def ask(self, key: NewKey | str, text: str = "say: hi", **options: Any) -> httpx.Response:
        """Ask once, in chat completions."""
        body = {"model": "main", "messages": [{"role": "user", "content": text}], "max_tokens": 20, **options}
        async with self.client(key) as client:
            return await client.post("/v1/chat/completions", json=body)

    async def rows(self) -> list[dict[str, Any]]:
        """Return what is in the database, the oldest first."""
        await self.team.records.flush()
        return [dict(row) for row in reversed(await self.team.records.usage.calls())]

    def sql(self, statement: str) -> list[Any]:
        """Look into the database as others would."""
        with sqlite3.connect(self.folder / "team.db") as connection:
            return connection.execute(statement).fetchall()


@asynccontextmanager
async def opened(
    folder: Path, emulator: Emulator | None = None, *, is_on_port: bool = False, **tables: Any
) -> AsyncIterator[World]:
    """Open a gateway in a folder, until the block is left."""
    emulator = emulator or Emulator("compatible")
    prices = [{"match": "*", "input": 10.0, "output": 100.0}]
    team = {"folder": str(folder), "stale_seconds": 0.05, **tables.pop("team", {})}
    tables.setdefault("models", {MODEL: {"prices": prices}})
    config = emulator.config(aliases={"main": [MODEL], "other": [MODEL]}, team=team, **tables)
    async with chatport.AsyncClient(config, transport=None if is_on_port else emulator) as client:
        gateway = Gateway(client=client)
        await gateway.open()
        try:
            yield World(gateway, emulator, folder)
        finally:
            await gateway.aclose()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Return a function that opens a gateway until the end of the test."""
    async with AsyncExitStack() as stack:

        async def open_one(emulator: Emulator | None = None, *, folder: str = "team", **tables: Any) -> World:
            return await stack.enter_async_context(opened(tmp_path / folder, emulator, **tables))

        yield open_one
