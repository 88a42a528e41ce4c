"""How far a run is, on stderr: a line that changes on a terminal, one every ten seconds elsewhere."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Any, Self

import click

from .planning import in_words
from .tally import Tally

__all__ = ["Progress", "told"]

_TERMINAL_SECONDS = 0.25
_PLAIN_SECONDS = 10.0


def told(tally: Tally) -> str:
    """Return where it stands in one line."""
    done = tally.ended + tally.skipped
    whole = f"{done:,}" if tally.total is None else f"{done:,} of {tally.total:,}"
    parts = [f"{whole} rows", f"{tally.rows_per_second():,.1f} rows/s", f"{tally.tokens / tally.seconds:,.0f} tokens/s"]
    parts += [f"{amount:,.4f} {currency}" for currency, amount in tally.costs.items()]
    left = tally.seconds_left()
    if left is not None:
        parts.append(f"{in_words(left)} left")
    if tally.limit:
        parts.append(f"{tally.active} of {tally.limit} at once")
    if tally.batches:
        parts.append(tally.batches)
    if tally.refusals:
        parts.append(f"{tally.refusals:,} refused for speed")
    parts += [f"{number:,} {kind}" for kind, number in tally.kinds.most_common(4)]
    return ", ".join(parts)


class Progress:
    """Shows a tally, from a thread of its own, as long as its block lasts."""

    def __init__(self, tally: Tally, *, terminal: bool | None = None) -> None:
        self._tally = tally
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty() if terminal is None else terminal
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, name="chatport bulk progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _show(self) -> None:
        if self._is_terminal:
            self._show_on_terminal()
            return
        while not self._over.wait(_PLAIN_SECONDS):
            click.echo(told(self._tally), err=True)

    def _show_on_terminal(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress as Bars, TextColumn

        columns: tuple[Any, ...] = (BarColumn(bar_width=30), TextColumn("{task.description}", markup=False))
        with Bars(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4) as bars:
            task = bars.add_task(told(self._tally), total=self._tally.total)
            while not self._over.wait(_TERMINAL_SECONDS):
                tally = self._tally
                done = tally.ended + tally.skipped
                bars.update(task, completed=done, total=tally.total, description=told(tally))
