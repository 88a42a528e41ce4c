"""What ends a run, or keeps it from beginning."""

from __future__ import annotations

from chatport import ChatportError, ConfigurationError

__all__ = ["ChangedRunError", "RunStoppedError", "StorageError"]


class StorageError(ChatportError):
    """The output folder cannot be written: full, read-only, or in use by another run. What was answered is in it."""


class ChangedRunError(ConfigurationError):
    """The folder holds a run of something else: another prompt, model, option or input. Nothing was sent.

    `changes` has a line for each difference.
    """

    def __init__(self, message: str, *, changes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.changes = changes


class RunStoppedError(ChatportError):
    """The run stopped before all rows were asked, and says why. What was answered is kept."""
