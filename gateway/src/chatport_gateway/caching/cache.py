"""The cache itself: what is kept under a key is found again, as long as it is not too old. It never fails a call.

A store that does not answer in time, or at all, is left alone for a while; what is asked meanwhile is asked of the
vendor, as if nothing were kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from .settings import CacheSettings
from .store import Entry, MemoryStore, Store

if TYPE_CHECKING:
    from ..team.directory import Member

__all__ = ["Cache"]

_ANSWER_SECONDS = 0.5
_LEFT_ALONE_SECONDS = 2.0
_MOST_WAITING = 64
"""How many answers may wait to be written; more are not kept."""
_LARGEST_BYTES = 16 * 1024 * 1024


class Cache:
    """Finds and keeps. `hits`, `misses` and `failures` are counted; `largest_bytes` is the most of one answer."""

    def __init__(
        self,
        store: Store,
        settings: CacheSettings,
        log: Any,
        *,
        unix_seconds: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.settings = settings
        self.largest_bytes = min(settings.most_bytes // 4, _LARGEST_BYTES)
        self.hits = self.misses = self.failures = 0
        self._log = log
        self._now = unix_seconds
        self._monotonic = monotonic
        self._left_alone_until = float("-inf")
        self._writing: set[asyncio.Task[None]] = set()
        self._is_open = False
        self._opening = asyncio.Lock()

    @classmethod
    def of(cls, settings: CacheSettings, log: Any) -> Self:
        """Return the cache of a configuration."""
        if settings.redis is not None:
            from .redis import RedisStore

            return cls(RedisStore(settings.redis, settings.most_bytes), settings, log)
        if settings.store == "memory":
            return cls(MemoryStore(settings.most_bytes), settings, log)
        from .sqlite import SqliteStore

        return cls(SqliteStore(settings.store, settings.most_bytes, log), settings, log)

    async def open(self) -> None:
        """Open the store. Raises ConfigurationError for one that can never be used. The second time does nothing."""
        async with self._opening:
            if not self._is_open:
                await self.store.open()
                self._is_open = True

    async def aclose(self) -> None:
        """Write what waits, and close the store."""
        await self.written()
        if self._is_open:
            self._is_open = False
            with contextlib.suppress(Exception):  # it is only a cache
                await self.store.close()

    async def written(self) -> None:
        """Wait until nothing waits to be written."""
        while self._writing:
            await asyncio.wait(self._writing)

    # --- what is kept

    def key(self, scope: bytes, digest: bytes) -> bytes:
        """Return the key of a request: a hash of all that is asked, and of who may see the answer."""
        return sha256(b"%d:%b%b" % (len(scope), scope, digest)).digest()

    def scope(self, digest: bytes | None, member: Member | None) -> bytes:
        """Return who may see an answer, as bytes that no other one has."""
        if self.settings.shared == "all":
            return b"all"
        if member is not None:
            project = member.key.project_id
            if self.settings.shared == "project" and project is not None:
                return f"project:{project}".encode()
            return f"key:{member.key.id}".encode()
        return b"digest:" + (digest or b"")

    async def find(self, key: bytes) -> tuple[bytes, float] | None:
        """Return what is kept, and for how many seconds it has been; None where there is nothing to be had."""
        entry = self.store.held(key) if isinstance(self.store, MemoryStore) else await self._got(key)
        if entry is None:
            return None
        age = self._now() - entry.at_seconds
        return (entry.data, max(age, 0.0)) if age < self.settings.ttl_seconds else None

    async def _got(self, key: bytes) -> Entry | None:
        if self._monotonic() >= self._left_alone_until:
            try:
                return await asyncio.wait_for(self.store.get(key), _ANSWER_SECONDS)
            except Exception as error:  # whatever is wrong with it
                self._failed(error)
        return None

    def keep(self, key: bytes, data: bytes) -> None:
        """Have it written, beside the calls. What is too large is not, nor where too much waits."""
        if len(data) > self.largest_bytes or len(self._writing) >= _MOST_WAITING:
            return
        entry = Entry(data, self._now())
        if isinstance(self.store, MemoryStore):
            self.store.hold(key, entry, self.settings.ttl_seconds)
            return
        if self._monotonic() < self._left_alone_until:
            return
        task = asyncio.get_running_loop().create_task(self._write(key, entry))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, key: bytes, entry: Entry) -> None:
        try:
            await asyncio.wait_for(self.store.put(key, entry, self.settings.ttl_seconds), 10 * _ANSWER_SECONDS)
        except Exception as error:  # the same
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        if self._monotonic() >= self._left_alone_until:
            self._log.error("cache_failed", error=type(error).__name__)  # its text may name an address with a password
        self._left_alone_until = self._monotonic() + _LEFT_ALONE_SECONDS
