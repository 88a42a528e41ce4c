"""Why a gateway for a team lets a call not pass, as errors: of our own making, so they do not speak for a vendor."""

from __future__ import annotations

from chatport import OverloadedError, RateLimitError

__all__ = ["LimitReachedError", "StoreDownError"]


class LimitReachedError(RateLimitError):
    """A rate or the number of calls at once is used up. It may be asked again after `retry_after_seconds`."""

    def __str__(self) -> str:
        return self.message


class StoreDownError(OverloadedError):
    """What has to be asked or written first, the database or the store of limits, is not there."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True, retry_after_seconds=1.0)

    def __str__(self) -> str:
        return self.message
