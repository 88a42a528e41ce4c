"""What is known of the batches of a run, in its log: written down before what it tells of can be lost.

How a batch goes, and what is found after a crash:

1. `made`: its rows are under way elsewhere, its requests are in a file of ours. Nothing was paid: it is given up.
2. `uploaded`: the vendor has its file. The same.
3. `creating`: it may have been begun. It is looked for among the vendor's newest, by its file or its size and time,
   and begun only if it is not there.
4. `open`: its id is known. It is waited for.
5. `ended`: its results are read, again if need be: rows that have their answer are passed over.
6. `read`, or `given up`: nothing of it is left.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ..rowlog import RowLog
from ..rows import Key

__all__ = ["Batch", "BatchLog", "BatchRow"]

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS batches(
        number INTEGER PRIMARY KEY, state TEXT, name TEXT, target TEXT, endpoint TEXT, rows INTEGER, tokens INTEGER,
        usd REAL, file TEXT, job TEXT, outputs TEXT, said TEXT, began REAL, ended REAL, answered INTEGER)""",
    """CREATE TABLE IF NOT EXISTS batch_rows(
        batch INTEGER, key, digest BLOB, question BLOB, kept BLOB, PRIMARY KEY(batch, key)) WITHOUT ROWID""",
)
_OVER = ("read", "given up")


class BatchRow(msgspec.Struct, frozen=True):
    """A row in a batch: what its answer needs. `question` is the digest of what it asks, where that is asked once."""

    key: Key
    digest: bytes
    question: bytes | None
    kept: Any


class Batch(msgspec.Struct, frozen=True):
    """A batch as the log has it. `usd` is reserved for it, `said` the vendor's last word on how it goes."""

    number: int
    state: str
    name: str
    target: str
    endpoint: str
    rows: int
    tokens: int
    usd: float
    file: str = ""
    job: str = ""
    outputs: tuple[str, ...] = ()
    said: str = ""
    began: float = 0.0
    ended: float = 0.0
    answered: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left to be done."""
        return self.state in _OVER


class BatchLog:
    """The batches in the log of a run."""

    def __init__(self, log: RowLog, *, read_only: bool = False) -> None:
        self._log = log
        if read_only:
            return
        with log.transaction() as db:
            for statement in _SCHEMA:
                db.execute(statement)

    def all(self) -> list[Batch]:
        """Return all batches, the first first; none where there never was one."""
        with self._log.reading() as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'batches'").fetchall():
                return []
            rows = db.execute("SELECT * FROM batches ORDER BY number").fetchall()
        return [_batch(row) for row in rows]

    def open(self) -> list[Batch]:
        """Return the batches that something is left to be done of."""
        return [batch for batch in self.all() if not batch.is_over]

    def next_number(self) -> int:
        """Return the number of the next batch."""
        with self._log.reading() as db:
            return int(db.execute("SELECT coalesce(max(number), 0) + 1 FROM batches").fetchone()[0])

    def make(self, batch: Batch, rows: Sequence[BatchRow]) -> None:
        """Note a batch and that its rows are under way in it, all or nothing."""
        with self._log.transaction() as db:
            db.execute(
                f"INSERT INTO batches VALUES ({','.join('?' * 15)})",
                (
                    batch.number, batch.state, batch.name, batch.target, batch.endpoint, batch.rows, batch.tokens,
                    batch.usd, batch.file, batch.job, "[]", batch.said, batch.began, batch.ended, 0,
                ),
            )  # fmt: skip
            db.executemany(
                "INSERT INTO batch_rows VALUES (?, ?, ?, ?, ?)",
                [(batch.number, r.key, r.digest, r.question, msgspec.json.encode(r.kept, enc_hook=str)) for r in rows],
            )
            db.executemany("INSERT OR REPLACE INTO flight VALUES (?, ?)", [(r.key, batch.name) for r in rows])

    def turn(self, batch: Batch, state: str, **fields: Any) -> Batch:
        """Note that a batch is in another state; return it so."""
        if "outputs" in fields:
            fields["outputs"] = tuple(fields["outputs"])
        new = msgspec.structs.replace(batch, state=state, **fields)
        values = {**fields, "state": state}
        if "outputs" in fields:
            values["outputs"] = msgspec.json.encode(fields["outputs"]).decode()
        with self._log.transaction() as db:
            names = ", ".join(f"{name} = ?" for name in values)
            db.execute(f"UPDATE batches SET {names} WHERE number = ?", (*values.values(), batch.number))
        return new

    def waiting(self, batch: Batch) -> dict[Key, BatchRow]:
        """Return the rows of a batch that have no answer yet, by their keys."""
        with self._log.reading() as db:
            rows = db.execute(
                "SELECT r.key, r.digest, r.question, r.kept FROM batch_rows r JOIN flight f ON f.key = r.key "
                "WHERE r.batch = ? AND f.note = ?",
                (batch.number, batch.name),
            ).fetchall()
        return {k: BatchRow(k, digest, question, msgspec.json.decode(kept)) for k, digest, question, kept in rows}

    def exclude(self, job: str) -> None:
        """Note that a batch is somebody else's, so that it is not taken for one of this run again."""
        with self._log.transaction() as db:
            db.execute(
                "INSERT INTO batches SELECT coalesce(max(number), 0) + 1, 'given up', '', '', '', 0, 0, 0, '', ?, "
                "'[]', 'another run', 0, 0, 0 FROM batches",
                (job,),
            )

    def questions(self) -> set[bytes]:
        """Return what is asked in batches that are open, by the digests."""
        with self._log.reading() as db:
            found = db.execute("SELECT question FROM batch_rows WHERE question IS NOT NULL").fetchall()
        return {question for (question,) in found}

    def close(self, batch: Batch, state: str, back: Iterable[Key], **fields: Any) -> Batch:
        """End a batch: rows that have no answer are to be asked again."""
        gone = [(key, batch.name) for key in back]
        with self._log.transaction() as db:
            db.executemany("DELETE FROM flight WHERE key = ? AND note = ?", gone)
            db.execute("DELETE FROM batch_rows WHERE batch = ?", (batch.number,))
            db.execute(
                "UPDATE batches SET state = ?, ended = ?, answered = ? WHERE number = ?",
                (state, fields.get("ended") or time.time(), batch.rows - len(gone), batch.number),
            )
        return msgspec.structs.replace(batch, state=state, answered=batch.rows - len(gone))


def _batch(row: Sequence[Any]) -> Batch:
    values: Mapping[str, Any] = dict(zip(Batch.__struct_fields__, _in_order(row), strict=True))
    return Batch(**values)


def _in_order(row: Sequence[Any]) -> list[Any]:
    """Return the columns in the order of the fields, which is that of the table."""
    values = list(row)
    values[10] = tuple(msgspec.json.decode(values[10] or "[]"))
    return values
