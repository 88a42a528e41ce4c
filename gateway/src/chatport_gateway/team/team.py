"""The parts of a gateway for a team, opened and closed together. What others build on is the store, the records, the
directory and the accounts, which are here by name."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

from chatport import ConfigurationError
from chatport.sharing import LeaseServer, Share, check_address, lease_server

from .accounts import Accounts
from .clock import TOTAL, day_of, month_of, now_us
from .directory import Directory, Member
from .journal import locked
from .meter import Meter
from .records import Records
from .rowing import row_of
from .settings import TeamSettings
from .store import Store
from .upkeep import Upkeep

__all__ = ["Team"]

_COMPARED_SECONDS = 10.0
_REDIS = "[team] redis"


class Team:
    """Keys, limits and records at work. `await Team.open(settings, log)` makes one, `aclose` ends it.

    `store` holds keys, projects and limits, `records` writes what calls have used (`records.usage` reads it),
    `directory` knows who asks, `accounts` what each may still use.
    """

    def __init__(self, settings: TeamSettings, store: Store, records: Records, log: Any) -> None:
        self.settings = settings
        self.store = store
        self.records = records
        redis = settings.redis
        self.shared: LeaseServer | None = None if redis is None else lease_server(redis, _REDIS, self)
        self.accounts = Accounts(None if self.shared is None else self.shared.leases)
        self.live: dict[str, Meter] = {}
        """Requests under way in this process, by id, in the order that they came in."""
        self.directory = Directory(store, self.accounts, records, settings, log)
        self._log = log
        self._lock: IO[bytes] | None = None
        self._upkeep: Upkeep | None = None

    @classmethod
    async def open(cls, settings: TeamSettings, log: Any) -> Self:
        """Open the store and begin to write. Raises ConfigurationError where something of it cannot be had."""
        folder = _made(settings.folder)
        lock = _alone(folder) if settings.is_sqlite and settings.redis is None else None
        if settings.redis is not None:
            check_address(settings.redis, _REDIS)
        try:
            store = await Store.open(settings.database)
        except BaseException:
            if lock is not None:
                lock.close()
            raise
        made = cls(settings, store, Records(store, folder / "journal", settings.records, log), log)
        made._lock = lock
        try:
            await made._start()
        except BaseException:
            await made.aclose()
            raise
        return made

    async def _start(self) -> None:
        await self.records.start()
        await self.directory.start()
        shared, log = self.shared, self._log
        if shared is not None:
            is_there = await asyncio.to_thread(shared.wait_for_store)
            if not is_there:
                log.error("limits_store_down", on_store_down=self.settings.on_store_down)
            self._upkeep = Upkeep(self._compare, first_after=_COMPARED_SECONDS)

    async def change(self, settings: TeamSettings) -> None:
        """Let other settings hold from now on; where the store is stays as it is.

        Raises StoreDownError, with nothing changed, while the store cannot be asked what is spent.
        """
        await self.directory.change(settings)
        self.settings = settings
        self.records.settings = settings.records

    async def aclose(self) -> None:
        """Write what there is, give back what is leased, and close the store."""
        if self._upkeep is not None:
            await self._upkeep.stop()
        await self.directory.stop()
        await self.records.stop()
        if self.shared is not None:
            await asyncio.to_thread(self.shared.close)
        await self.store.close()
        if self._lock is not None:
            self._lock.close()

    # --- a call

    async def member(self, headers: Mapping[str, str]) -> Member:
        """Return who brings a key. Raises AuthenticationError, and StoreDownError while that cannot be found out."""
        return self.directory.known(headers) or await self.directory.find(headers)

    def meter(self, member: Member, request_id: str) -> Meter:
        """Return what measures a request: to be entered around it, and ended after it."""
        leases = None if self.shared is None else self.shared.leases
        made = Meter(member, request_id, self.settings, self.records, leases)
        self.live[made.id] = made
        return made

    def end(self, meter: Meter, status: int) -> None:
        """Give back what a call held, and note what it was. The second time does nothing."""
        self.live.pop(meter.id, None)
        if meter.end() or meter.asked is None or meter.asked.kind not in ("chat", "embed"):
            return
        self.records.end(row_of(meter, status, self.settings.records.content))

    # --- limits that are shared

    async def _compare(self) -> float:
        """Tell the store of limits what the database knows: a process that was killed may have said it there alone."""
        with contextlib.suppress(Exception):  # the next time will do
            await self.compare()
        return _COMPARED_SECONDS

    async def compare(self) -> None:
        """Do it once."""
        accounts = {account.holder: account for account in self.accounts.all() if account.money}
        now = now_us()
        standings = await self.records.usage.standings(accounts, (day_of(now), month_of(now), TOTAL))
        for (holder, window), standing in standings.items():
            kind = "usd_total" if window == TOTAL else "usd_day" if window == day_of(now) else "usd_month"
            share = accounts[holder].money.get(kind)  # type: ignore[call-overload]
            if isinstance(share, Share) and share.name.endswith(f":{window}"):
                share.seed = max(share.seed, standing.usd_nano)


def _made(folder: str) -> Path:
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    return path


def _alone(folder: Path) -> IO[bytes]:
    """Return a lock that one process alone can have. Raises ConfigurationError where another one has it."""
    file = (folder / "lock").open("wb")
    if not locked(file):
        file.close()
        raise ConfigurationError(
            f"[team] another gateway uses {folder} already. With a SQLite file one process serves; several need a "
            'PostgreSQL and a Valkey or Redis: database = "postgresql://…", redis = "redis://…".'
        )
    return file
