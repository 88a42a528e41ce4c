"""The journal: what calls have used, in a file that is only written at its end, until it is in the database.

What was written here survives the end of this process, however it ends: the system has it. A power cut may take what
was written since the last `sync`. Each process has files of its own, and holds a lock on the one it writes: one whose
lock is free belonged to a process that is gone, and whoever starts next takes it over.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .rows import Entry, decode

__all__ = ["Journal", "abandoned", "entries", "lines_at", "locked"]

_SUFFIX = ".journal"


class Journal:
    """The file that this process writes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = secrets.token_hex(8)
        self.path = folder / f"{self.name}{_SUFFIX}"
        self._file = self.path.open("xb", buffering=0)
        os.chmod(self.path, 0o600)
        self._number = self._file.fileno()
        locked(self._file)
        self.size = 0

    def append(self, line: bytes) -> None:
        """Write a line. Raises OSError where there is no room."""
        written = os.write(self._number, line)
        self.size += written
        if written < len(line):  # a disk that is full: what follows must not continue this line
            self.size += os.write(self._file.fileno(), b"\n")
            raise OSError("The disk of the journal is full.")

    def read(self, position: int, most: int) -> bytes:
        """Return whole lines from a position on, about so many bytes."""
        with self.path.open("rb") as file:
            return lines_at(file, position, most)

    def sync(self) -> None:
        """Have the disk hold what was written. Blocks."""
        os.fsync(self._file.fileno())

    def close(self, *, remove: bool) -> None:
        """End it; `remove`: all of it is in the database."""
        self._file.close()
        if remove:
            self.path.unlink(missing_ok=True)


def lines_at(file: IO[bytes], position: int, most: int) -> bytes:
    """Return whole lines of a file from a position on: about so many bytes, or one line that is longer."""
    file.seek(position)
    data = file.read(most)
    while data and b"\n" not in data:
        more = file.read(most)
        if not more:
            return b""
        data += more
    return data[: data.rfind(b"\n") + 1]


def locked(file: IO[bytes]) -> bool:
    """Lock a file for this process; return whether it was free."""
    if sys.platform != "win32":  # which has no such locks: there one process alone uses a folder
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def abandoned(folder: Path) -> Iterator[tuple[str, Path, IO[bytes]]]:
    """Give each journal of a process that is gone: its name, its path, and the file, locked until it is closed."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            file = path.open("rb")
        except FileNotFoundError:  # another process has just taken it over
            continue
        if locked(file) and path.exists():
            yield path.name.removesuffix(_SUFFIX), path, file
        else:
            file.close()


def entries(data: bytes) -> Iterator[Entry]:
    """Give the entries of whole lines, without those that are broken."""
    for line in data.split(b"\n"):
        entry = decode(line) if line else None
        if entry is not None:
            yield entry
