"""Answers in a SQLite file, which several processes of a machine may share and which outlives them.

All work is done in one thread of its own. A file that is broken is set aside (`….broken`) and begun anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from chatport import ConfigurationError

from .store import Entry, Store

__all__ = ["SqliteStore"]

T = TypeVar("T")

_APPLICATION = 0x43505243  # "CPRC": whose file it is
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS kept "
    "(key BLOB PRIMARY KEY, at REAL NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS kept_by_age ON kept (at, size)",
)
_MANY = 64
"""How many are written before all are summed up again: other processes write too."""
_AT_ONCE = 100
"""How many are thrown out at once."""


class SqliteStore(Store):
    """In a file, readable by its owner alone."""

    def __init__(self, path: str, most_bytes: int, log: Any) -> None:
        self.path = Path(path)
        self._log = log
        self._most_bytes = most_bytes
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._size = 0
        self._written = 0

    async def open(self) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="chatport-cache")
        try:
            await self._run(self._connected)
        except (OSError, sqlite3.OperationalError) as error:
            raise ConfigurationError(f"[cache] store: {self.path} cannot be used: {error}.") from None

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._disconnect)
            thread.shutdown()

    async def get(self, key: bytes) -> Entry | None:
        return await self._run(lambda: self._get(key))

    async def put(self, key: bytes, entry: Entry, ttl_seconds: float) -> None:
        await self._run(lambda: self._put(key, entry, ttl_seconds))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            raise RuntimeError("The cache is closed.")
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._mended(work))

    # --- in the thread

    def _mended(self, work: Callable[[], T]) -> T:
        """Do some work; where the file turns out to be broken, begin it anew and do it once more."""
        try:
            return work()
        except sqlite3.OperationalError:  # it is busy, full or gone, and not broken
            self._disconnect()
            raise
        except sqlite3.DatabaseError:
            self._disconnect()
            self._set_aside()
            self._log.error("cache_begun_anew", path=str(self.path), broken=f"{self.path}.broken")
            return work()

    def _connected(self) -> sqlite3.Connection:
        connection = self._connection
        if connection is None:
            connection = self._open()
            self._connection = connection
        return connection

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        os.chmod(self.path, 0o600)  # SQLite gives the files beside it the same mode
        connection = sqlite3.connect(self.path, timeout=2.0, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        whose = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if whose != _APPLICATION and tables:
            raise ConfigurationError(
                f"[cache] store: {self.path} is a database of something else. Name a file for the cache alone."
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        for statement in _SCHEMA:
            connection.execute(statement)
        self._size = _sum(connection)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _set_aside(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.replace(self.path, f"{self.path}.broken")
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def _get(self, key: bytes) -> Entry | None:
        row = self._connected().execute("SELECT data, at FROM kept WHERE key = ?", (key,)).fetchone()
        return None if row is None else Entry(bytes(row[0]), float(row[1]))

    def _put(self, key: bytes, entry: Entry, ttl_seconds: float) -> None:
        connection = self._connected()
        with _transaction(connection):
            old = connection.execute("SELECT size FROM kept WHERE key = ?", (key,)).fetchone()
            connection.execute(
                "INSERT OR REPLACE INTO kept (key, at, size, data) VALUES (?, ?, ?, ?)",
                (key, entry.at_seconds, len(entry.data), entry.data),
            )
            self._written += 1
            self._size += len(entry.data) - (0 if old is None else old[0])
            if self._written % _MANY == 0:
                self._size = _sum(connection)
            self._throw_out(connection, entry.at_seconds - ttl_seconds)

    def _throw_out(self, connection: sqlite3.Connection, expired: float) -> None:
        """Throw out what is too old, and the oldest where there is too much."""
        while True:
            oldest = connection.execute("SELECT rowid, at, size FROM kept ORDER BY at LIMIT ?", (_AT_ONCE,)).fetchall()
            gone = []
            for row, at, size in oldest:
                if at > expired and self._size <= self._most_bytes:
                    break
                self._size -= size
                gone.append((row,))
            connection.executemany("DELETE FROM kept WHERE rowid = ?", gone)
            if len(gone) < _AT_ONCE:
                return


def _sum(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(sum(size), 0) FROM kept").fetchone()[0])


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
