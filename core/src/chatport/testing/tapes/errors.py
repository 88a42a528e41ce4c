"""What is wrong with a test and its tape. These are no ChatportErrors: nothing tries again, and nothing falls back."""

from __future__ import annotations

__all__ = ["TapeMissError", "TapeUnusedError"]


class TapeMissError(AssertionError):
    """A request is not on the tape, or not so often. Its text says what differs from the nearest one that is."""


class TapeUnusedError(AssertionError):
    """Exchanges on the tape were not asked for."""
