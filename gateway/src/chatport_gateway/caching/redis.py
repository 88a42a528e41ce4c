"""Answers in a Valkey or Redis, which several machines share."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import coredis

from .store import Entry, Store

__all__ = ["RedisStore"]

PREFIX = "{chatport:cache}"
"""What each key begins with; the braces keep all of them on one node of a cluster, as the script needs it."""
_ANSWER_SECONDS = 1.0
_OPENED_SECONDS = 3.0
"""How long to wait at the start: a busy machine is not an absent one."""
_PAUSE_SECONDS = 0.5
_MOST_AT_ONCE = 8
"""How many questions are under way. There are more connections than that: who waits for one has waited for ever."""
_AGE = struct.Struct(">d")


class RedisStore(Store):
    """At an address. What is too much there is thrown out by a script, beside the expiry of each entry."""

    def __init__(self, url: str, most_bytes: int, *, prefix: str = PREFIX) -> None:
        self._url = url
        self._most_bytes = most_bytes
        self._prefix = prefix
        self._client: Any = None
        self._script: Any = None
        self._broken = asyncio.Event()
        self._is_there = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[Any]] = set()
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)

    def __repr__(self) -> str:
        return f"<chatport_gateway.RedisStore {urlsplit(self._url).hostname}>"  # there may be a password in the rest

    async def open(self) -> None:
        """Begin to connect, and wait for a moment until that is done; if it is not, it goes on."""
        if self._task is None:
            self._task = asyncio.create_task(self._stay_connected())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_there.wait(), _OPENED_SECONDS)

    async def close(self) -> None:
        if self._asking:
            await asyncio.wait(self._asking)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def get(self, key: bytes) -> Entry | None:
        value = await self._asked(lambda client: client.get(self._name(key)))
        if value is None:
            return None
        if not value.startswith(key):  # nobody is to see what another request was answered, whatever went wrong there
            raise ValueError("The cache's store has answered with another entry.")
        return Entry(value[len(key) + _AGE.size :], _AGE.unpack_from(value, len(key))[0])

    async def put(self, key: bytes, entry: Entry, ttl_seconds: float) -> None:
        value = key + _AGE.pack(entry.at_seconds) + entry.data
        places = [f"{self._prefix}:{name}" for name in ("ages", "sizes", "total")]
        told = [f"{self._prefix}:k:", key.hex(), value, len(value), entry.at_seconds, ttl_seconds, self._most_bytes]
        await self._asked(lambda client: self._script(keys=places, args=told))

    def _name(self, key: bytes) -> str:
        return f"{self._prefix}:k:{key.hex()}"

    async def _asked(self, ask: Any) -> Any:
        client = self._client
        if client is None:
            raise ConnectionError("The cache's store is not there.")
        # Clients leave at any moment. Their question goes on to its end all the same: of a connection out of which one
        # is torn nobody knows what it answers next.
        task = asyncio.get_running_loop().create_task(self._answer(ask, client))
        self._asking.add(task)
        task.add_done_callback(self._answered)
        return await asyncio.shield(task)

    async def _answer(self, ask: Any, client: Any) -> Any:
        try:
            async with self._turns:
                return await asyncio.wait_for(ask(client), _ANSWER_SECONDS)
        except Exception:
            self._broken.set()  # and so a new connection is made
            raise

    def _answered(self, task: asyncio.Task[Any]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # which nobody may be there to hear any more

    async def _stay_connected(self) -> None:
        while True:
            try:
                async with _connected(self._url) as client:
                    await asyncio.wait_for(client.ping(), _ANSWER_SECONDS)
                    self._script = client.register_script(Path(__file__).with_name("put.lua").read_text("utf-8"))
                    self._broken.clear()
                    self._client = client
                    self._is_there.set()
                    await self._broken.wait()
            except Exception:  # of the connection, the protocol, the server: what can be done is the same
                pass
            finally:
                self._client = None
            await asyncio.sleep(_PAUSE_SECONDS)


def _connected(url: str) -> Any:
    return coredis.Redis.from_url(
        url,
        max_connections=2 * _MOST_AT_ONCE,
        connect_timeout=_ANSWER_SECONDS,
        stream_timeout=_ANSWER_SECONDS,
        retry_policy=coredis.retry.NoRetryPolicy(),
        verify_version=False,
    )
