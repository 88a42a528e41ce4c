"""A lock on an open file that no other process holds, nor another opening of it in this one.

It is the system's own, so it ends with the process, however that ends.
"""

from __future__ import annotations

import errno
import os
import sys

__all__ = ["is_taken", "lock_file"]

_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)

_PLACE = 0x7FFF_FFFF  # beyond the end: Windows lets nobody else read what is locked


def lock_file(fileno: int) -> None:
    """Lock it, without waiting. Raises OSError where it is locked, see `is_taken`, and where nothing can be."""
    if sys.platform == "win32":
        import msvcrt

        at = os.lseek(fileno, 0, os.SEEK_CUR)
        os.lseek(fileno, _PLACE, os.SEEK_SET)
        try:
            msvcrt.locking(fileno, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(fileno, at, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(fileno, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_taken(error: OSError) -> bool:
    """Whether somebody else has the lock."""
    return error.errno in _TAKEN
