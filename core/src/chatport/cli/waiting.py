"""A sign of life while a command waits."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Self

from .terminal import clear_status, show_status

__all__ = ["Waiting"]


class Waiting:
    """Show "waiting for X … 3 s" on a terminal's stderr, until `done`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if sys.stderr is not None and sys.stderr.isatty():
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()
        return self

    def _show(self) -> None:
        began = time.monotonic()
        while not self._done.wait(0.5):
            show_status(f"{self._what} … {time.monotonic() - began:.0f} s")
        clear_status()

    def done(self) -> None:
        """Clear the line. Safe to call twice."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.done()
