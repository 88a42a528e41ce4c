"""A backup that is made while it serves, and put back as the manual says."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from chatport.sharing import Stock

from .conftest import opened


@pytest.mark.anyio
async def test_what_is_put_back_serves_and_takes_what_the_journals_know_beyond_it(tmp_path: Path) -> None:
    folder, backup = tmp_path / "team", tmp_path / "backup.db"
    async with opened(folder) as world:
        key = await world.key(usd_total=5.0)
        assert (await world.ask(key)).status_code == 200
        assert len(await world.rows()) == 1
        world.sql(f"VACUUM INTO '{backup}'")
        later = await world.key("made since")
        assert (await world.ask(key)).status_code == 200
        left = {path: path.read_bytes() for path in (folder / "journal").iterdir()}
        rows = await world.rows()
    for name in ("team.db-wal", "team.db-shm"):
        (folder / name).unlink(missing_ok=True)
    backup.replace(folder / "team.db")  # another file: what still has the old one open cannot write into it
    with sqlite3.connect(folder / "team.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    for path, data in left.items():  # as a process leaves it that ends at once
        path.write_bytes(data)
    async with opened(folder) as world:
        assert [row["id"] for row in await world.rows()] == [row["id"] for row in rows]
        assert (await world.ask(key)).status_code == 200
        assert (await world.ask(later)).status_code == 401
        account = world.team.accounts.get(f"key:{key.key.id}")
        assert account is not None
        stock = account.money["usd_total"]
        assert isinstance(stock, Stock)
        assert stock.spent == sum(row["usd_nano"] for row in await world.rows())
