"""The keys that were used lately, in memory: who brings a key is known without asking the store.

A key is asked for once, and again when the audit log tells of a change to it, its project or the limits of all, which
is read every second. While it cannot be read, what is known holds for a minute, or on and on if the settings say
`local`.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import attrs

from chatport import AuthenticationError, ChatportError

from .accounts import Account, Accounts
from .clock import TOTAL, day_of, month_of, now_us
from .records import Records
from .refusals import StoreDownError
from .secrets import digest_of, has_shape
from .settings import TeamSettings
from .store import Store
from .upkeep import Upkeep
from .values import GATEWAY, Holder, Key, Limits, Project, Standing, holders_of

__all__ = ["Directory", "Member", "secret_in"]

_MOST = 20_000
_UNKNOWN_SECONDS = 5.0
_STALE_SECONDS = 60.0
_LOOKED_BACK = 50  # rows of the audit log: one may be seen later than another that has a higher number
_LOOKUPS = 8


@attrs.frozen(eq=False)
class Member:
    """A key that may be used, and whose limits it counts against: those of all, its project's, its own."""

    key: Key
    project: Project | None
    accounts: tuple[Account, ...]
    until_us: int | None = None

    def may_ask_for(self, model: str) -> bool:
        """Whether a name may be asked for."""
        models = self.key.models
        return models is None or any(fnmatchcase(model, pattern) for pattern in models)

    def may_be_answered_by(self, provider: str) -> bool:
        """Whether a provider may answer."""
        return self.key.providers is None or provider in self.key.providers


def secret_in(headers: Mapping[str, str]) -> str:
    """Return the key that a request brings, as a bearer or in `x-api-key`; an empty text: it brings none."""
    bearer = headers.get("authorization", "")
    return headers.get("x-api-key") or (bearer[7:].strip() if bearer[:7].lower() == "bearer " else "")


class Directory:
    """Who may ask. `known` answers at once or not at all, `find` asks the store."""

    def __init__(self, store: Store, accounts: Accounts, records: Records, settings: TeamSettings, log: Any) -> None:
        self._store = store
        self._accounts = accounts
        self._records = records
        self._settings = settings
        self._log = log
        self._members: OrderedDict[bytes, Member] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        self._looking: dict[bytes, asyncio.Task[Member]] = {}
        self._lookups = asyncio.Semaphore(_LOOKUPS)
        self._last = 0
        self._seen: deque[int] = deque(maxlen=4 * _LOOKED_BACK)
        self._fresh_at = time.monotonic()
        self._upkeep: Upkeep | None = None

    async def start(self) -> None:
        """Begin to follow the audit log."""
        self._last = await self._store.last_change()
        self._seen.extend(row["id"] for row in await self._store.audit(after=self._last - _LOOKED_BACK))
        await self._opened([GATEWAY])
        self._upkeep = Upkeep(self._follow, first_after=self._settings.stale_seconds)

    async def stop(self) -> None:
        """Follow it no more."""
        if self._upkeep is not None:
            await self._upkeep.stop()
        if self._looking:
            await asyncio.wait(list(self._looking.values()), timeout=10)

    async def change(self, settings: TeamSettings) -> None:
        """Let other settings hold. Raises StoreDownError, with nothing changed, where the store cannot be asked."""
        before, self._settings = self._settings, settings
        try:
            await self._opened([GATEWAY])
        except Exception as error:  # of each driver its own
            self._settings = before
            raise StoreDownError(f"The limits of [team] cannot be changed now ({type(error).__name__}).") from None

    # --- who asks

    def known(self, headers: Mapping[str, str]) -> Member | None:
        """Return who brings a key, if that is known."""
        member = self._members.get(digest_of(secret_in(headers)))
        if member is None or (member.until_us is not None and now_us() >= member.until_us) or self._is_stale:
            return None
        return member

    async def find(self, headers: Mapping[str, str]) -> Member:
        """Return who brings a key. Raises AuthenticationError, StoreDownError where the store cannot be asked."""
        secret = secret_in(headers)
        digest = digest_of(secret)
        if not has_shape(secret) or self._unknown.get(digest, 0.0) > time.monotonic():
            raise AuthenticationError("The key of this gateway is missing or wrong.")
        looking = self._looking.get(digest)
        if looking is None:
            looking = self._looking[digest] = asyncio.create_task(self._look_up(digest))
            looking.add_done_callback(lambda done: self._looked(digest, done))
        return await asyncio.shield(looking)

    def _looked(self, digest: bytes, done: asyncio.Task[Member]) -> None:
        self._looking.pop(digest, None)
        if not done.cancelled():
            done.exception()  # whoever asked may be gone

    async def _look_up(self, digest: bytes) -> Member:
        async with self._lookups:
            try:
                found = await self._store.find(digest)
                member = None if found is None else await self._member(*found)
            except ChatportError:
                raise
            except Exception as error:  # of each driver its own
                self._log.error("store_down", error=f"{type(error).__name__}: {error}"[:300])
                raise StoreDownError("The gateway cannot look up keys now.") from None
        if member is None:
            _put(self._unknown, digest, time.monotonic() + _UNKNOWN_SECONDS)
            raise AuthenticationError("The key of this gateway is missing or wrong.")
        _put(self._members, digest, member)
        return member

    async def _member(self, key: Key, project: Project | None, is_old: bool) -> Member:
        ends = [end for end in (key.expires_us, key.old_until_us if is_old else None) if end is not None]
        if key.revoked_us is not None or (project is not None and project.closed_us is not None):
            raise AuthenticationError("This key is revoked.")
        if ends and min(ends) <= now_us():
            raise AuthenticationError("This key has expired.")
        accounts = await self._opened(holders_of(key.id, key.project_id))
        return Member(key, project, accounts, min(ends) if ends else None)

    async def _opened(self, holders: Sequence[Holder]) -> tuple[Account, ...]:
        """Return the accounts of holders, with their limits as they are now and what is spent of them."""
        limits = dict(await self._store.limits(holders))
        if GATEWAY not in limits:
            limits[GATEWAY] = self._settings.limits
        wanted = {holder: limits.get(holder, Limits()) for holder in holders}
        new = [
            holder
            for holder, its in wanted.items()
            if (found := self._accounts.get(holder)) is None or found.missing(its)
        ]
        standings: Mapping[tuple[Holder, str], Standing] = {}
        if any(wanted[holder] != Limits() for holder in new):
            await self._records.flush()  # what this process has used is in the sums then
            now = now_us()
            standings = await self._records.usage.standings(new, (day_of(now), month_of(now), TOTAL))
        opened = []
        for holder, its in wanted.items():
            account = self._accounts.open(holder)
            account.apply(its, standings, now_us())
            opened.append(account)
        return tuple(opened)

    # --- what has changed

    @property
    def _is_stale(self) -> bool:
        is_old = time.monotonic() - self._fresh_at > _STALE_SECONDS + self._settings.stale_seconds
        return is_old and self._settings.on_store_down == "refuse"

    async def _follow(self) -> float:
        try:
            await self.refresh()
        except Exception as error:  # of each driver its own; it is tried again
            self._log.warning("store_down", error=f"{type(error).__name__}: {error}"[:300])
        return self._settings.stale_seconds

    async def refresh(self) -> None:
        """Forget what has changed since this was last asked."""
        rows = await self._store.audit(after=max(self._last - _LOOKED_BACK, 0))
        for row in rows:
            if row["id"] not in self._seen:
                self._seen.append(row["id"])
                self.forget(row["subject"])
                self._last = max(self._last, row["id"])
        self._fresh_at = time.monotonic()

    def forget(self, subject: Holder) -> None:
        """Ask the store again for what a change concerns: a key, a project's keys, or all of them."""
        kind, _, id = subject.partition(":")
        self._unknown.clear()
        for digest, member in list(self._members.items()):
            of = {"key": member.key.id, "project": member.key.project_id}.get(kind)
            if kind == GATEWAY or of == id:
                del self._members[digest]


def _put(cache: OrderedDict[bytes, Any], digest: bytes, value: Any) -> None:
    cache[digest] = value
    if len(cache) > _MOST:
        cache.popitem(last=False)
