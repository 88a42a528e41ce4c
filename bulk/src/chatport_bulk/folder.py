"""The folder of a run: locked by one process, proved to be writable, with room kept back for a full disk."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from .errors import StorageError

__all__ = ["RunFolder"]

_KEPT_BYTES = 8 * 1024 * 1024


class RunFolder:
    """`path` opened for a run. Raises StorageError, before anything is sent, where it cannot be written.

    A file of 8 MiB is kept beside the log. On a full disk it is given up, so that the answers of the calls under way,
    which are paid, can still be written down.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = path / ".room"
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(path / ".lock")
            self._keep_room()
        except OSError as error:
            raise StorageError(
                f"The output folder {path} cannot be written: {error.strerror or error}. Nothing was sent. Make it "
                "writable and leave it some room (32 MiB at least), or name another one with --out."
            ) from error

    @property
    def log(self) -> Path:
        """Where the log is."""
        return self.path / "run.sqlite"

    def _keep_room(self) -> None:
        if self._kept.exists() and self._kept.stat().st_size == _KEPT_BYTES:
            return
        with self._kept.open("wb") as file:
            for _ in range(_KEPT_BYTES >> 20):
                file.write(bytes(1 << 20))
            file.flush()
            os.fsync(file.fileno())

    def give_room(self) -> bool:
        """Give up the room that was kept back; return whether there was any."""
        try:
            self._kept.unlink()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let another process in."""
        with suppress(OSError):
            self._lock.close()


def _locked(path: Path) -> IO[bytes]:
    file = path.open("ab")
    if sys.platform != "win32":  # where two runs in one folder are not found out
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise StorageError(
                f"Another run is at work in {path.parent}. Wait for it, stop it, or name another folder with --out."
            ) from None
    return file
