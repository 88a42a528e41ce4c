"""What the commands share: the config option, errors with exit codes, and a sign of life while one waits."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unicodedata import category

import click

from .. import errors as e

__all__ = ["Waiting", "config_option", "printable", "reporting_errors", "short_model_option"]

_DIRECTING = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of characters that do something in place of being shown."""

_EXIT_CODES: tuple[tuple[tuple[type[e.ChatportError], ...], int], ...] = (
    (
        (
            e.ConfigurationError,
            e.PluginError,
            e.PolicyError,
            e.BudgetExceededError,
            e.BadRequestError,
            e.ModelNotFoundError,
        ),
        2,
    ),
    ((e.AuthenticationError, e.PermissionDeniedError, e.QuotaExceededError), 3),
    ((e.RateLimitError, e.OverloadedError, e.ServerError, e.TransportError, e.DeadlineError), 4),
    ((e.MalformedReplyError, e.StreamInterruptedError), 5),
)


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--config FILE`."""
    kind = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.option("--config", type=kind, help="Configuration file (default: your own, and chatport.toml here).")(
        function
    )


def short_model_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `-m/--model`."""
    return click.option("-m", "--model", metavar="TARGET", help="provider:model, or an alias (default: $LLM_MODEL).")(
        function
    )


def printable(text: str) -> str:
    """Return a text with control and format characters as escapes: a name in it must not direct the terminal."""
    return "".join(ascii(c)[1:-1] if category(c) in _DIRECTING else c for c in text)


@contextmanager
def reporting_errors() -> Iterator[None]:
    """Show a ChatportError as one message on stderr and exit with its code."""
    try:
        yield
    except e.ChatportError as error:
        code = next((code for kinds, code in _EXIT_CODES if isinstance(error, kinds)), 1)
        click.secho(f"{type(error).__name__}: {printable(str(error))}", fg="red", err=True)
        if len(error.attempts) > 1:
            click.secho(f"  after {len(error.attempts)} attempts", dim=True, err=True)
        raise click.exceptions.Exit(code) from None


class Waiting:
    """Show "waiting for X … 3 s" on a terminal's stderr, until `done`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()
        return self

    def _show(self) -> None:
        began = time.monotonic()
        while not self._done.wait(0.5):
            click.secho(f"\r{self._what} … {time.monotonic() - began:.0f} s ", dim=True, err=True, nl=False)
        click.echo("\r\033[K", err=True, nl=False)

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
