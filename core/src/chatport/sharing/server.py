"""The thread that asks Valkey or Redis for a process's leases. It has an event loop of its own, so it serves any other.

A run of the script is a batch: every `PERIOD_SECONDS`, and at once when a call waits. One batch at a time. The thread
begins when the first call asks, and ends, giving back what is leased, with the last of those who named the store.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import math
import os
import threading
import time
import weakref
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..basics.forks import new_lock
from ..errors import ConfigurationError
from .leases import PERIOD_SECONDS, Leases

__all__ = ["LeaseServer", "check_address", "lease_server"]

PREFIX = "{chatport}"
"""What each key begins with; the braces keep all of them on one node of a cluster, as a script needs it."""
ANSWER_SECONDS = 3.0
_PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
_SCHEMES = ("redis", "rediss", "unix")

_servers: dict[str, LeaseServer] = {}
_lock = new_lock()


def check_address(url: str, where: str) -> None:
    """Raise ConfigurationError for what is no address of a store, and where its client is not installed."""
    if urlsplit(url).scheme not in _SCHEMES:
        raise ConfigurationError(f"{where} is an address like redis://127.0.0.1:6379/0, rediss://… or unix://….")
    try:
        import coredis  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            f'{where} needs a client for Valkey and Redis: pip install "chatport-core[redis]".'
        ) from None


def lease_server(url: str, where: str, holder: object) -> LeaseServer:
    """Return this process's leases at a store, the same for all who name it, until no `holder` of it is left.

    See `check_address` for what it raises.
    """
    check_address(url, where)
    with _lock:
        found = _servers.get(url)
        if found is None or not found.is_mine:
            if not _servers:
                atexit.register(close_all)
            found = _servers[url] = LeaseServer(url)
        weakref.finalize(holder, found.end_unheld).atexit = False
        found.holders.add(holder)  # after that, so that it is gone when the other is called
    return found


def close_all() -> None:
    """Give back what is leased when the program ends in order."""
    for server in list(_servers.values()):
        if server.is_mine:
            server.close(0.5)


class LeaseServer:
    """Keeps `leases` in step with a store, from the first call that asks until `close`."""

    def __init__(self, url: str, *, prefix: str = PREFIX) -> None:
        self.leases = Leases(time.monotonic, self._wake)
        self.prefix = prefix
        self.process = os.urandom(6).hex()
        self._url = url
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._called: asyncio.Event | None = None
        self._is_closing = False
        self._failures = 0
        self._began = threading.Event()
        self._thread: threading.Thread | None = None
        self.holders: weakref.WeakSet[object] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"<chatport.LeaseServer {urlsplit(self._url).hostname}>"  # there may be a password in the rest

    @property
    def is_mine(self) -> bool:
        """Whether it lives in this process: a thread does not come along into a fork."""
        return self._pid == os.getpid() and not self._is_closing

    def wait_for_store(self, seconds: float = 5.0) -> bool:
        """Wait until the store has answered once; return whether it has. Blocks."""
        deadline = time.monotonic() + seconds
        self._wake()
        self._began.wait(seconds)
        while self.leases.is_down and time.monotonic() < deadline:
            time.sleep(0.02)
        return self._began.is_set() and not self.leases.is_down

    def close(self, seconds: float = 2.0) -> None:
        """Give back what is leased, and end. Blocks for so long at most."""
        self._end()
        if self._thread is not None:
            self._thread.join(seconds)

    def end_unheld(self) -> None:
        """End, without waiting for it, if nobody holds it any more."""
        if not self.holders:
            self._end()

    def _end(self) -> None:
        """Have the thread end. A finalizer calls it, so it takes no lock that this thread may have already."""
        self._is_closing = True
        if _servers.get(self._url) is self:
            _servers.pop(self._url, None)
        self._signal()

    def _wake(self) -> None:
        """Have the thread see to it that somebody waits; it begins, if need be once more, for the first."""
        if self._thread is None or not self._thread.is_alive():
            with _lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._live, name="chatport-leases", daemon=True)
                    self._thread.start()
        self._signal()

    def _signal(self) -> None:
        loop, called = self._loop, self._called
        if loop is not None and called is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(called.set)

    # --- in the thread

    def _live(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._called = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        while not (self._is_closing and self._failures):
            try:
                async with _connected(self._url) as client:
                    await self._exchange(client)
                return
            except Exception:  # of the connection, the protocol, the server: what can be done is the same
                self._failures += 1
                self.leases.failed()
                self._began.set()
                await self._pause(_PAUSES_SECONDS[min(self._failures, len(_PAUSES_SECONDS)) - 1])

    async def _exchange(self, client: Any) -> None:
        script = client.register_script(Path(__file__).with_name("script.lua").read_text("utf-8"))
        await asyncio.wait_for(client.ping(), ANSWER_SECONDS)
        self._failures = 0
        self.leases.connected()
        self._began.set()
        ticked = -math.inf
        while True:
            is_end = self._is_closing
            is_tick = time.monotonic() - ticked >= PERIOD_SECONDS
            if is_tick:
                ticked = time.monotonic()
            assert self._called is not None
            self._called.clear()
            batch = self.leases.next_batch(is_tick=is_tick, is_end=is_end)
            if batch is not None:
                keys, told = batch.keys(self.prefix, self.process), batch.arguments(self.process)
                answer = await asyncio.wait_for(script(keys=keys, args=told), ANSWER_SECONDS)
                self.leases.answered(batch, answer)
            elif is_end:
                return
            if not self.leases.has_asks:
                await self._pause(max(ticked + PERIOD_SECONDS - time.monotonic(), 0.0))

    async def _pause(self, seconds: float) -> None:
        assert self._called is not None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._called.wait(), seconds)


def _connected(url: str) -> Any:
    import coredis

    return coredis.Redis.from_url(
        url,
        max_connections=2,
        connect_timeout=ANSWER_SECONDS,
        stream_timeout=ANSWER_SECONDS,
        retry_policy=coredis.retry.NoRetryPolicy(),
        verify_version=False,
    )
