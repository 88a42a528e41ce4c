"""Rows that were answered in another block, since the engine has cut them anew: on more machines, by other files.

A log is named by the rows of its block, so a block of other rows finds none. `Recall.write` goes through all logs of a
job and notes, in one file beside them, which of them has each row; `Recall.find` is what a worker asks with its rows.
The file is never changed, only replaced, so workers of an older driver may read on.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from .answers import Answer
from .errors import StorageError
from .rowlog import RowLog
from .rows import Key, Row, digest_of

__all__ = ["Recall"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS logs(number INTEGER PRIMARY KEY, name TEXT UNIQUE, changed INTEGER);
CREATE TABLE IF NOT EXISTS rows(digest BLOB PRIMARY KEY, log INTEGER NOT NULL, key) WITHOUT ROWID;
"""
_MOST_AT_ONCE = 500


class Recall:
    """Where each row of a job was answered. `folder` has the logs, `job` is the digest of what is asked."""

    def __init__(self, folder: Path, job: str) -> None:
        self._folder = folder
        self._job = job
        self._path = folder / f"{job}.rows"

    def write(self) -> int:
        """Go through the logs that have changed since the last time; return how many rows are known then.

        Raises StorageError where the folder cannot be written.
        """
        if not self._folder.exists():
            return 0
        partial = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            if self._path.exists():
                shutil.copyfile(self._path, partial)
            with closing(sqlite3.connect(partial, isolation_level=None)) as db:
                found = self._read_logs(db)
            partial.replace(self._path)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"{self._path}, which says where rows were answered, cannot be written: {error}."
            ) from error
        finally:
            partial.unlink(missing_ok=True)
        return found

    def _read_logs(self, db: sqlite3.Connection) -> int:
        db.executescript(f"PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; {_SCHEMA} BEGIN;")
        known = dict(db.execute("SELECT name, changed FROM logs"))
        for path in sorted(self._folder.glob("??/*.sqlite")):
            name, changed = str(path.relative_to(self._folder)), path.stat().st_mtime_ns
            if known.get(name) == changed:
                continue
            log = RowLog(path, read_only=True)
            with closing(log):
                rows = log.answered() if log.meta("job") == self._job else []
            db.execute("INSERT INTO logs(name, changed) VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET changed = ?",
                       (name, changed, changed))  # fmt: skip
            number = db.execute("SELECT number FROM logs WHERE name = ?", (name,)).fetchone()[0]
            db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", [(d, number, key) for key, d in rows])
        db.execute("COMMIT")
        return int(db.execute("SELECT count(*) FROM rows").fetchone()[0])

    def find(self, rows: Sequence[Row]) -> Iterator[Answer]:
        """Give the answers to those of the rows that were asked in another block, with the keys they have now."""
        if not rows or not self._path.exists():
            return
        wanted: dict[bytes, list[Key]] = defaultdict(list)
        for row in rows:
            wanted[digest_of(row.content)].append(row.key)
        address = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as db:
            places = self._places(db, list(wanted))
        for name, found in places.items():
            with suppress(StorageError):  # somebody has removed the log: then they are asked again
                log = RowLog(self._folder / name, read_only=True)
                with closing(log):
                    answers = log.answers_in_journal(list(found))
                for old_key, answer in answers.items():
                    for key in wanted[found[old_key]]:
                        yield msgspec.structs.replace(answer, key=key)

    def _places(self, db: sqlite3.Connection, digests: Sequence[bytes]) -> Mapping[str, Mapping[Key, bytes]]:
        found: dict[str, dict[Key, bytes]] = defaultdict(dict)
        for start in range(0, len(digests), _MOST_AT_ONCE):
            some = digests[start : start + _MOST_AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT digest, name, key FROM rows JOIN logs ON log = number WHERE digest IN ({marks})"
            for digest, name, key in db.execute(query, some):
                found[name][key] = digest
        return found
