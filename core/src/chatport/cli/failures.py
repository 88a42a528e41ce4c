"""Errors of calls as the commands end in them: a text on stderr, and an exit code by whose fault it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from .. import errors as e
from .terminal import write

__all__ = ["REFUSED", "reporting_errors", "tell_error"]

REFUSED = 6
"""The exit code where the vendor's filter or the model refuses."""

_EXIT_CODES: tuple[tuple[tuple[type[e.ChatportError], ...], int], ...] = (
    ((e.ContentFilterError,), REFUSED),  # before the requests that are wrong, of which it is one
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


@contextmanager
def reporting_errors() -> Iterator[None]:
    """Show a ChatportError as one message on stderr and exit with its code."""
    try:
        yield
    except e.ChatportError as error:
        raise click.exceptions.Exit(tell_error(error)) from None


def tell_error(error: e.ChatportError) -> int:
    """Show an error on stderr, and return its exit code."""
    write(f"{type(error).__name__}: {error}", fg="red", err=True)
    if len(error.attempts) > 1:
        write(f"  after {len(error.attempts)} attempts", dim=True, err=True)
    return next((code for kinds, code in _EXIT_CODES if isinstance(error, kinds)), 1)
