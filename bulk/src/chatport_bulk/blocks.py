"""The logs of blocks, `FOLDER/blocks/xx/DIGEST.sqlite`: found by what a block asks, held by one worker at a time.

An engine may give a block to a second worker while the first still has it: it was slow, it was cut off, or its driver
was killed and started anew. The second one waits for a lock that ends with its holder, and then finds the answers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Literal, TypeVar

import anyio
import anyio.to_thread

from .errors import StorageError
from .job import Job
from .recall import Recall
from .rowlog import RowLog, Standing
from .rows import Row, digest_of

__all__ = ["Blocks", "standing_of_blocks"]

_LOOK_SECONDS = 0.1
_Number = TypeVar("_Number", int, float)


class Blocks:
    """The logs of one job's blocks under a folder. It can be sent to another process."""

    def __init__(self, folder: Path, job: Job, journal_mode: Literal["WAL", "TRUNCATE"] = "TRUNCATE") -> None:
        self.folder = folder.absolute() / "blocks"
        self._job = job
        self._journal_mode: Literal["WAL", "TRUNCATE"] = journal_mode
        self._digest = digest_of(job.fingerprint()).hex()
        self.recall = Recall(self.folder, self._digest)

    def path_of(self, rows: Sequence[Row]) -> Path:
        """Return where the log of these rows is: the same for the same rows in the same order, wherever that is."""
        name = digest_of([self._job.fingerprint(), [[row.key, row.content] for row in rows]]).hex()
        return self.folder / name[:2] / f"{name}.sqlite"

    @asynccontextmanager
    async def holding(self, rows: Sequence[Row]) -> AsyncIterator[RowLog]:
        """Give the log of these rows once nobody else has it. Raises StorageError where the disk does not take it."""
        path = await anyio.to_thread.run_sync(self.path_of, rows)
        lock = await _locked(path.with_suffix(".lock"))
        try:
            log = await anyio.to_thread.run_sync(self._open, path)
            try:
                yield log
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(_close, log)
        finally:
            _unlock(path.with_suffix(".lock"), lock)

    def _open(self, path: Path) -> RowLog:
        log = RowLog(path, journal_mode=self._journal_mode)
        if log.meta("job") is None:
            log.set_meta(job=self._digest)
        return log

    def note_an_answer(self) -> None:
        """Note, for all workers, that a row was answered."""
        if not self.has_an_answer():
            with suppress(OSError):
                self._mark.touch()

    def has_an_answer(self) -> bool:
        """Whether any worker has had one."""
        return self._mark.exists()

    @property
    def _mark(self) -> Path:
        return self.folder / f"{self._digest}.answered"


def standing_of_blocks(folder: str | Path) -> Standing:
    """Return the sums over the logs of all blocks under a folder, as far as they have been written.

    What a block that is not begun anew has lost is under way there until it is.
    """
    found = Standing(0, 0, 0, 0, 0, 0, {}, {}, {})
    for path in _logs(Path(folder) / "blocks"):
        log = RowLog(path, read_only=True)
        try:
            found = _sum(found, log.standing())
        finally:
            log.close()
    return found


def _sum(one: Standing, other: Standing) -> Standing:
    return Standing(
        one.answered + other.answered,
        one.failed + other.failed,
        one.under_way + other.under_way,
        one.in_journal + other.in_journal,
        one.parts + other.parts,
        one.lost + other.lost,
        _added(one.totals, other.totals),
        _added(one.costs, other.costs),
        _added(one.failures, other.failures),
    )


def _added(one: Mapping[str, _Number], other: Mapping[str, _Number]) -> dict[str, _Number]:
    more = {name: value + one[name] if name in one else value for name, value in other.items()}
    return {**one, **more}


def _logs(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("??/*.sqlite"))


def _close(log: RowLog) -> None:
    with suppress(Exception):
        log.close_session("done")
    log.close()


async def _locked(path: Path) -> IO[bytes] | None:
    """Return the open lock at a path; None where the system has no such locks."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            found = _try_lock(path)
            if found != "held":
                return found
            await anyio.sleep(_LOOK_SECONDS)
    except OSError as error:
        raise StorageError(
            f"The folder of the blocks, {path.parent}, cannot be written: {error.strerror or error}. It has to be one "
            "that every worker can write, and the same for all of them."
        ) from error


def _try_lock(path: Path) -> IO[bytes] | Literal["held"] | None:
    found: IO[bytes] | Literal["held"] | None = None
    if sys.platform != "win32":  # where two workers with the same block are not found out
        import fcntl

        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = file if _is_at(path, file) else "held"  # its holder has removed it in between
        except BlockingIOError:
            found = "held"
        finally:
            if found is not file:
                file.close()
    return found


def _is_at(path: Path, file: IO[bytes]) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(file.fileno())
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _unlock(path: Path, lock: IO[bytes] | None) -> None:
    if lock is not None:
        with suppress(OSError):
            path.unlink()
        lock.close()
