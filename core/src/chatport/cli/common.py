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

import click

from .. import errors as e
from .terminal import clear_status, show_status, write

__all__ = ["Waiting", "config_option", "piped_bytes", "piped_text", "reporting_errors", "short_model_option"]

_MOST_PIPED_BYTES = 64 * 1024 * 1024

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


def piped_bytes() -> bytes:
    """Return what comes on stdin. Raises UsageError if it cannot be read, or has no end."""
    if sys.stdin is None:
        return b""
    try:
        data = sys.stdin.buffer.read(_MOST_PIPED_BYTES + 1)
    except OSError as error:
        raise click.UsageError(f"Cannot read standard input: {error.strerror or error}.") from None
    if len(data) > _MOST_PIPED_BYTES:
        raise click.UsageError(f"Standard input has more than {_MOST_PIPED_BYTES >> 20} MiB.")
    return data


def piped_text() -> str:
    """Return the text that comes on stdin. Raises UsageError if it is none."""
    data = piped_bytes()
    try:
        text = data.decode("utf-8-sig")
        at = data.find(0)
    except UnicodeDecodeError as error:
        text, at = "", error.start
    if at >= 0:
        raise click.UsageError(
            f"Standard input is not UTF-8 text: its byte {at} is {data[at]:#04x}. "
            "Convert it, for example with iconv; an image goes with --image FILE."
        )
    return text


@contextmanager
def reporting_errors() -> Iterator[None]:
    """Show a ChatportError as one message on stderr and exit with its code."""
    try:
        yield
    except e.ChatportError as error:
        code = next((code for kinds, code in _EXIT_CODES if isinstance(error, kinds)), 1)
        write(f"{type(error).__name__}: {error}", fg="red", err=True)
        if len(error.attempts) > 1:
            write(f"  after {len(error.attempts)} attempts", dim=True, err=True)
        raise click.exceptions.Exit(code) from None


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
