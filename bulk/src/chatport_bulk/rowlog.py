"""The truth of a run: which rows are answered, which are under way, what was spent. One SQLite file.

How a row goes, and what a crash at each point leaves:

1. `step` writes down that its call begins, in a transaction that is on the disk before a byte is sent. A crash from
   here until 2: the row is found in `flight`, counted as lost, and asked again. It may have been paid twice.
2. `step` writes its answer into the journal, takes it out of `flight` and marks the row, in one transaction. The
   row's place among the calls under way is given back only then, so not more rows can be lost than calls may be under
   way. A crash after it loses nothing.
3. `begin_part` gives the oldest rows of the journal. They are written to a file of another name, fsynced, and renamed,
   and the folder is fsynced. A crash until here: the file is in no transaction, and is removed at the next start.
4. `end_part` notes the part and takes its rows out of the journal, in one transaction. From here on the part counts.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from .answers import Answer, decode, encode
from .errors import StorageError
from .rows import Key

__all__ = ["Known", "RowLog", "Standing"]

_VERSION = "1"
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files(number INTEGER PRIMARY KEY, name TEXT UNIQUE, bytes INTEGER, digest TEXT);
CREATE TABLE IF NOT EXISTS sessions(id INTEGER PRIMARY KEY, began REAL, ended REAL, how TEXT, lost INTEGER);
CREATE TABLE IF NOT EXISTS rows(
    key PRIMARY KEY, state INTEGER NOT NULL, digest BLOB, failure BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS flight(key PRIMARY KEY, note TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal(id INTEGER PRIMARY KEY, key, answer BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS parts(number INTEGER PRIMARY KEY, name TEXT, rows INTEGER);
CREATE TABLE IF NOT EXISTS memo(digest BLOB PRIMARY KEY, answer BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals(name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('version', '{_VERSION}');
"""
_ANSWERED, _FAILED = 1, 2
_COUNTED = ("input_tokens", "output_tokens", "attempts", "seconds")


class Known(NamedTuple):
    """What the log knows of a row: whether it has failed, the digest of its content, whether it is elsewhere."""

    state: Literal["answered", "failed", "elsewhere"]
    digest: bytes | None


class Standing(msgspec.Struct, frozen=True):
    """The sums of a run, over all its sessions. `lost` calls were under way when it was killed, and may be paid twice.

    `costs` is by currency, `without_cost` the answers of which nobody knows what they cost.
    """

    answered: int
    failed: int
    under_way: int
    in_journal: int
    parts: int
    lost: int
    totals: Mapping[str, float]
    costs: Mapping[str, float]
    failures: Mapping[str, int]


class RowLog:
    """The log of one run, or of one block of rows. Used by one process at a time; safe between its threads.

    `journal_mode` is `WAL`, or `TRUNCATE` for a file system that several machines share, where WAL does not work.
    Raises StorageError where the disk does not take it.
    """

    def __init__(
        self, path: Path, *, journal_mode: Literal["WAL", "TRUNCATE"] = "WAL", read_only: bool = False
    ) -> None:
        self.path = path
        self._lock = threading.Lock()
        address = f"{path.absolute().as_uri()}{'?mode=ro' if read_only else ''}"
        with self._telling():
            self._db = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None, timeout=30)
            self._run("PRAGMA busy_timeout = 30000")
            if read_only:
                return
            self._run(f"PRAGMA journal_mode = {journal_mode}")
            self._run("PRAGMA synchronous = FULL")
            # One transaction: each takes some waits for the disk, and a block of a stage begins with this.
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        if self.meta("version") != _VERSION:
            raise StorageError(f"{path} was written by another version of chatport-bulk; this one reads {_VERSION}.")

    def _run(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self._db.execute(sql, values)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(
                f"The log {self.path} cannot be written: {error}. What was answered before is in it. Make room, or "
                "make the folder writable, and run the same command again."
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._telling():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    # --- for tables beside these

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection in a transaction: all that is done in the block is on the disk after it, or nothing."""
        with self._transaction():
            yield self._db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for a look."""
        with self._lock, self._telling():
            yield self._db

    def add_spent(self, sums: Mapping[str, float]) -> None:
        """Add to the sums what was spent on what has brought no answer: `cost USD`, `input_tokens` and so on."""
        with self._transaction():
            self._add(sums)

    # --- what the run is

    def meta(self, name: str) -> str | None:
        """Return what was set under a name."""
        found = self._run("SELECT value FROM meta WHERE name = ?", name).fetchone()
        return None if found is None else str(found[0])

    def set_meta(self, **values: str) -> None:
        """Note values under their names."""
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(values.items()))

    def files(self) -> dict[str, tuple[int, int, str]]:
        """Return the input's files by name: number, bytes, and digest."""
        return {name: (number, size, digest) for number, name, size, digest in self._run("SELECT * FROM files")}

    def set_file(self, number: int, name: str, size: int, digest: str) -> None:
        """Note how much of a file there is now."""
        with self._transaction():
            self._run("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", number, name, size, digest)

    # --- sessions

    def open_session(self) -> int:
        """Begin a session; return how many calls were lost with the one before: under way when it ended."""
        with self._transaction():
            lost = self._run("SELECT count(*) FROM flight WHERE note IS NULL").fetchone()[0]
            self._run("UPDATE sessions SET how = coalesce(how, 'killed'), lost = ? WHERE id = "
                      "(SELECT max(id) FROM sessions)", lost)  # fmt: skip
            self._run("DELETE FROM flight WHERE note IS NULL")
            self._run("INSERT INTO sessions(began, lost) VALUES (?, 0)", time.time())
        return int(lost)

    def close_session(self, how: str) -> None:
        """Note how the session ended."""
        with self._transaction():
            self._run("UPDATE sessions SET ended = ?, how = ? WHERE id = (SELECT max(id) FROM sessions)",
                      time.time(), how)  # fmt: skip

    # --- rows

    def known(self, keys: Sequence[Key]) -> dict[Key, Known]:
        """Return what is known of these rows; those to be asked are not in it."""
        places = ",".join("?" * len(keys))
        with self._lock, self._telling():
            rows = self._run(f"SELECT key, state, digest FROM rows WHERE key IN ({places})", *keys).fetchall()
            away = self._run(f"SELECT key FROM flight WHERE key IN ({places}) AND note IS NOT NULL", *keys).fetchall()
        found = {key: Known("failed" if state == _FAILED else "answered", digest) for key, state, digest in rows}
        return found | {key: Known("elsewhere", None) for (key,) in away}

    def step(
        self,
        begun: Iterable[Key] = (),
        ended: Sequence[tuple[Answer, bytes | None]] = (),
        back: Sequence[Key] = (),
        *,
        note: str | None = None,
        memo: Sequence[tuple[bytes, Answer]] = (),
    ) -> None:
        """Write down, at once or not at all: calls that begin, rows that ended (each with its digest), calls given up.

        `note` says who else will bring the answers of `begun`, such as a vendor's batch: they are not lost in a crash.
        """
        written = [(answer, digest, encode(answer)) for answer, digest in ended]
        good = [(answer.key, data) for answer, _, data in written if not answer.is_failure]
        rows = [
            (a.key, _FAILED if a.is_failure else _ANSWERED, digest, data if a.is_failure else None)
            for a, digest, data in written
        ]
        run_many = self._db.executemany
        with self._transaction():
            if rows or back:
                gone = [(answer.key,) for answer, _ in ended] + [(key,) for key in back]
                run_many("DELETE FROM flight WHERE key = ?", gone)
            if rows:
                run_many("INSERT INTO rows(key, state, digest, failure) VALUES (?, ?, ?, ?)", rows)
                run_many("INSERT INTO journal(key, answer) VALUES (?, ?)", good)
                self._count(written)
            if memo:
                run_many("INSERT OR IGNORE INTO memo VALUES (?, ?)", [(d, encode(a)) for d, a in memo])
            run_many("INSERT OR REPLACE INTO flight VALUES (?, ?)", [(key, note) for key in begun])

    def _count(self, written: Sequence[tuple[Answer, bytes | None, bytes]]) -> None:
        sums: dict[str, float] = {}
        for answer, _, _ in written:
            sums["failed" if answer.is_failure else "answered"] = (
                sums.get("failed" if answer.is_failure else "answered", 0) + 1
            )
            if answer.is_failure:
                sums[f"kind {answer.kind}"] = sums.get(f"kind {answer.kind}", 0) + 1
            if answer.same_as is not None:
                sums["same"] = sums.get("same", 0) + 1
                continue
            for name in _COUNTED:
                sums[name] = sums.get(name, 0) + (getattr(answer, name) or 0)
            if answer.cost is not None:
                sums[f"cost {answer.currency}"] = sums.get(f"cost {answer.currency}", 0) + answer.cost
            elif answer.answer is not None:
                sums["without_cost"] = sums.get("without_cost", 0) + 1
        self._add(sums)

    def _add(self, sums: Mapping[str, float]) -> None:
        self._db.executemany(
            "INSERT INTO totals VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET value = value + excluded.value",
            list(sums.items()),
        )

    def memo(self, digests: Sequence[bytes]) -> dict[bytes, Answer]:
        """Return the answers to what was asked before, by the digests of the questions."""
        places = ",".join("?" * len(digests))
        with self._lock, self._telling():
            found = self._run(f"SELECT digest, answer FROM memo WHERE digest IN ({places})", *digests).fetchall()
        return {digest: decode(data) for digest, data in found}

    def forget_failures(self, keys: Sequence[Key] | None = None) -> int:
        """Let failed rows (all of them, or these) be asked again; return how many. What they cost stays counted."""
        with self._transaction():
            if keys is None:
                kind = "json_extract(CAST(failure AS TEXT), '$.kind')"
                found = self._run(f"SELECT {kind}, count(*) FROM rows WHERE state = ? GROUP BY 1", _FAILED).fetchall()
                self._run("DELETE FROM rows WHERE state = ?", _FAILED)
            else:
                found = [(kind, 1) for key in keys for kind in self._forget(key)]
            kinds: dict[str, float] = {}
            for kind, number in found:
                kinds[f"kind {kind}"] = kinds.get(f"kind {kind}", 0) - number
            gone = -int(sum(kinds.values()))
            self._add({"failed": -gone, **kinds})
        return gone

    def _forget(self, key: Key) -> list[str | None]:
        found = self._run("SELECT failure FROM rows WHERE key = ? AND state = ?", key, _FAILED).fetchall()
        self._run("DELETE FROM rows WHERE key = ? AND state = ?", key, _FAILED)
        return [decode(data).kind for (data,) in found]

    def failures(self) -> Iterator[Answer]:
        """Give the failed rows, in the order of their keys."""
        after: Any = None
        while True:
            where = "" if after is None else "AND key > ?"
            values = (_FAILED,) if after is None else (_FAILED, after)
            with self._lock, self._telling():
                found = self._run(
                    f"SELECT key, failure FROM rows WHERE state = ? {where} ORDER BY key LIMIT 1000", *values
                ).fetchall()
            if not found:
                return
            yield from (decode(data) for _, data in found)
            after = found[-1][0]

    def answered(self) -> list[tuple[Key, bytes]]:
        """Return the keys of the answered rows, each with the digest of its content."""
        with self._lock, self._telling():
            return self._run("SELECT key, digest FROM rows WHERE state = ?", _ANSWERED).fetchall()

    def answers_in_journal(self, keys: Sequence[Key]) -> dict[Key, Answer]:
        """Return the answers of these rows that are in no part yet."""
        with self._lock, self._telling():
            found = [
                data
                for key in keys
                for (data,) in self._run("SELECT answer FROM journal WHERE key = ?", key).fetchall()
            ]
        return {answer.key: answer for answer in map(decode, found)}

    # --- parts

    def begin_part(self, most_rows: int, most_bytes: int) -> tuple[int, list[tuple[int, Answer]]]:
        """Return the number of the next part, and the oldest rows of the journal for it."""
        rows: list[tuple[int, Answer]] = []
        size = 0
        with self._lock, self._telling():
            number = self._run("SELECT coalesce(max(number), 0) + 1 FROM parts").fetchone()[0]
            for place, data in self._run("SELECT id, answer FROM journal ORDER BY id LIMIT ?", most_rows):
                rows.append((place, decode(data)))
                size += len(data)
                if size >= most_bytes:
                    break
        return int(number), rows

    def end_part(self, number: int, name: str, rows: Sequence[tuple[int, Answer]]) -> None:
        """Note that a part is on the disk, and take its rows out of the journal."""
        with self._transaction():
            self._run("INSERT INTO parts VALUES (?, ?, ?)", number, name, len(rows))
            self._run("DELETE FROM journal WHERE id BETWEEN ? AND ?", rows[0][0], rows[-1][0])

    def parts(self) -> dict[str, int]:
        """Return the parts that count, by name, with their rows."""
        with self._lock, self._telling():
            return dict(self._run("SELECT name, rows FROM parts").fetchall())

    # --- what it stands at

    def standing(self) -> Standing:
        """Return the sums."""
        with self._lock, self._telling():
            totals = dict(self._run("SELECT name, value FROM totals").fetchall())
            under_way = self._run("SELECT count(*) FROM flight").fetchone()[0]
            journal = self._run("SELECT count(*) FROM journal").fetchone()[0]
            parts = self._run("SELECT count(*) FROM parts").fetchone()[0]
            lost = self._run("SELECT coalesce(sum(lost), 0) FROM sessions").fetchone()[0]
        return Standing(
            int(totals.get("answered", 0)),
            int(totals.get("failed", 0)),
            under_way,
            journal,
            parts,
            lost,
            totals,
            {name[5:]: value for name, value in totals.items() if name.startswith("cost ")},
            {name[5:]: int(value) for name, value in totals.items() if name.startswith("kind ") and value},
        )

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        with self._lock:
            self._db.close()
