"""Records of calls: into the journal at once, and from there into the database by one task, in batches.

A call costs two writes to a file that is only appended to, and waits for nothing else. Its record is *acknowledged*
when the last byte of its answer goes out: it is in the journal by then. What waits for the database waits in the file,
not in memory; and when the file holds too much, `is_full` says so and no more calls are let pass.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from . import retention
from .journal import Journal, abandoned, entries, lines_at
from .rows import Begun, CallRow, encode, lost
from .settings import RecordSettings
from .store import Store
from .upkeep import Upkeep
from .usage import Usage

__all__ = ["Records"]

_AT_ONCE_BYTES = 256 * 1024
_ROTATED_BYTES = 8 * 1024 * 1024
_LONGEST_PAUSE_SECONDS = 5.0
_MAINTAINED_SECONDS = 3600.0


class Records:
    """What this process writes of its calls. `lost_rows` counts those that found no room."""

    def __init__(self, store: Store, folder: Path, settings: RecordSettings, log: Any) -> None:
        self.usage = Usage(store)
        self.settings = settings
        self.is_behind = False
        """Whether the database does not take what is written."""
        self.lost_rows = 0
        self._store = store
        self._folder = folder
        self._log = log
        self._journal = Journal(folder)
        self._position = 0
        self._open: dict[str, Begun] = {}
        self._is_broken = False
        self._turn = asyncio.Lock()
        self._synced = 0
        self._pause_seconds = settings.write_seconds
        self._upkeep: list[Upkeep] = []

    # --- from a call, at once

    @property
    def is_full(self) -> bool:
        """Whether nothing more can be written, so that no call should be let pass."""
        return self._is_broken or self.waiting_bytes > self.settings.journal_bytes

    @property
    def waiting_bytes(self) -> int:
        """How much waits for the database."""
        return self._journal.size - self._position

    @property
    def open_calls(self) -> int:
        """How many calls are under way."""
        return len(self._open)

    def begin(self, call: Begun) -> None:
        """Note a call that is let pass. Raises OSError where that cannot be noted."""
        self._append(encode(call))
        self._open[call.id] = call

    def end(self, row: CallRow) -> None:
        """Note a call that is over."""
        self._open.pop(row.id, None)
        try:
            self._append(encode(row))
        except OSError as error:
            self.lost_rows += 1
            self._log.error("record_lost", request_id=row.request_id, error=str(error))

    def _append(self, line: bytes) -> None:
        try:
            self._journal.append(line)
        except OSError:
            self._is_broken = True  # until a batch is written, which may make room
            raise

    # --- into the database

    async def start(self) -> None:
        """Take over what processes that are gone have left, and begin to write."""
        await retention.make_room(self._store)
        await self._take_over()
        self._upkeep.append(Upkeep(self._write, first_after=self.settings.write_seconds))
        self._upkeep.append(Upkeep(self._maintain, first_after=_MAINTAINED_SECONDS))

    async def stop(self) -> None:
        """Write what there is, and end. What the database does not take stays in the journal, for the next start."""
        for upkeep in self._upkeep:
            await upkeep.stop()
        with contextlib.suppress(Exception):  # it stays where it is
            await asyncio.wait_for(self.flush(), 10)
        is_written = self._position >= self._journal.size and not self._open
        self._journal.close(remove=is_written)
        if is_written:
            with contextlib.suppress(Exception):
                await self.usage.forget(self._journal.name)

    async def flush(self) -> None:
        """Write all that has been noted until now. Raises what the database raises."""
        wanted, journal = self._journal.size, self._journal
        while self._journal is journal and self._position < wanted and await self._written():
            pass

    async def _written(self) -> bool:
        """Write a batch to its end, whoever is cancelled meanwhile: else it could be written and not be noted."""
        return await asyncio.shield(asyncio.create_task(self._write_batch()))

    async def _write_batch(self) -> bool:
        """Write some; return whether there was anything to be written."""
        async with self._turn:
            data = self._journal.read(self._position, _AT_ONCE_BYTES)
            if not data:
                return False
            rows = [entry for entry in entries(data) if isinstance(entry, CallRow)]
            await self.usage.write(rows, self._journal.name, self._position + len(data))
            self._position += len(data)
            self._is_broken = False
            return True

    async def _write(self) -> float:
        try:
            if self._journal.size > self._synced:
                self._synced = self._journal.size
                await asyncio.to_thread(self._journal.sync)
            await self.flush()
            if self._position >= _ROTATED_BYTES:
                await self._rotate()
            self._pause_seconds, self.is_behind = self.settings.write_seconds, False
        except Exception as error:  # of each driver its own
            if not self.is_behind:
                self._log.error("records_wait", error=f"{type(error).__name__}: {error}"[:300])
            self.is_behind = True
            self._pause_seconds = min(max(2 * self._pause_seconds, 0.1), _LONGEST_PAUSE_SECONDS)
        return self._pause_seconds

    async def _rotate(self) -> None:
        """Begin another file, so that none grows for ever. Calls that are under way begin in it once more."""
        old = self._journal
        if self._position < old.size:
            return
        new = Journal(self._folder)
        for call in self._open.values():
            new.append(encode(call))
        self._journal, self._position, self._synced = new, 0, 0
        old.close(remove=True)
        await self.usage.forget(old.name)

    async def _take_over(self) -> None:
        """Write what is in journals of processes that are gone. Calls that had not ended there are `lost`."""
        begun: dict[str, Begun] = {}
        ended: set[str] = set()
        found = [one for one in abandoned(self._folder) if one[1] != self._journal.path]
        try:
            for name, _, file in found:
                await self._take_over_one(name, file, begun, ended)
            left = [lost(call) for id, call in begun.items() if id not in ended]
            for place, (name, path, file) in enumerate(found):
                await self.usage.write(left if place == 0 else [], name, file.seek(0, 2) + 1)
                path.unlink(missing_ok=True)
                await self.usage.forget(name)
            if found:
                self._log.info("journals_taken_over", journals=len(found), calls=len(ended), lost=len(left))
        finally:
            for _, _, file in found:
                file.close()

    async def _take_over_one(self, name: str, file: Any, begun: dict[str, Begun], ended: set[str]) -> None:
        written = await self.usage.position(name)
        is_done = written > file.seek(0, 2)  # and only its removal was missing
        position = 0
        while not is_done:
            data = lines_at(file, position, _AT_ONCE_BYTES)
            if not data:
                break
            rows: list[CallRow] = []
            for entry in entries(data):
                if isinstance(entry, Begun):
                    begun[entry.id] = entry
                else:
                    ended.add(entry.id)
                    rows.append(entry)
            position += len(data)
            if position > written:
                skipped = len(list(_rows(data[: max(written - (position - len(data)), 0)])))
                await self.usage.write(rows[skipped:], name, position)

    async def _maintain(self) -> float:
        days, content_days = self.settings.days, self.settings.content_days
        try:
            await retention.make_room(self._store)
            await retention.drop_old(self._store, usage_days=days, content_days=content_days)
        except Exception as error:  # of each driver its own; the next hour will do
            self._log.error("maintenance_failed", error=f"{type(error).__name__}: {error}"[:300])
        return _MAINTAINED_SECONDS


def _rows(data: bytes) -> list[CallRow]:
    return [entry for entry in entries(data) if isinstance(entry, CallRow)]
