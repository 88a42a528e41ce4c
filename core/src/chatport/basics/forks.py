"""What a forked child must not take over from its parent: sockets, locks, and what only the parent's threads know.

`os.fork` copies the memory of one thread. Locks that other threads held stay locked for ever in the child, and each
socket is then one of two processes, whose bytes mix. So whatever holds one of these is told in the child, before any
code of the program runs there. Where there is no fork (Windows), nothing happens.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakSet

__all__ = ["Forked", "keep_for_ever", "leave_to_parent", "new_lock", "tell_child"]


class Forked(Protocol):
    """What is told."""

    def forked(self) -> None:
        """Be fit for a process of its own. Called in the child, where no other thread runs. Must not wait."""


_told: WeakSet[Any] = WeakSet()
_locks: WeakSet[Any] = WeakSet()
_kept: list[Any] = []


def tell_child(thing: Forked) -> None:
    """Have `thing.forked` called in each child that is forked while it lives."""
    _told.add(thing)


def new_lock() -> threading.Lock:
    """Return a lock that is free in a forked child, whoever held it at that moment."""
    lock = threading.Lock()
    _locks.add(lock)
    return lock


def leave_to_parent(fileno: int) -> None:
    """Let a file descriptor of this process lead nowhere. The parent's own, and its connection, are not touched.

    The number stays taken, since some object still believes that it is its own. Every use of it as a socket fails
    (ENOTSOCK). Closing it would free the number for another file; `shutdown`, or a farewell of TLS, would end the
    connection for the parent too.
    """
    if fileno < 0:
        return
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        try:
            os.dup2(nowhere, fileno, inheritable=False)
        finally:
            os.close(nowhere)


def keep_for_ever(*things: Any) -> None:
    """Keep what is the parent's from being collected here: at its end it would say farewell on the parent's loop."""
    _kept.extend(things)


def _in_child() -> None:
    for lock in list(_locks):
        lock._at_fork_reinit()  # as the standard library does with its own
    for thing in list(_told):
        thing.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
