"""What an error means to whoever asked over HTTP: a status, words of one vocabulary, and whether to ask again.

There is one owner of retries, and it is Chatport: what it has tried again is not to be tried again by a client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import attrs

from chatport import (
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
    ChatportError,
    ContentFilterError,
    ContextLengthError,
    DeadlineError,
    MalformedReplyError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    PolicyError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    TransportError,
)

__all__ = ["Kind", "Told", "told"]

Kind: TypeAlias = Literal[
    "bad_request",
    "context_length",
    "content_filter",
    "authentication",
    "permission",
    "not_found",
    "quota",
    "rate_limit",
    "overloaded",
    "timeout",
    "upstream",
    "internal",
]

_KINDS: Mapping[type[ChatportError], tuple[int, Kind]] = {
    ContextLengthError: (400, "context_length"),
    ContentFilterError: (400, "content_filter"),
    BadRequestError: (400, "bad_request"),
    AuthenticationError: (401, "authentication"),
    PermissionDeniedError: (403, "permission"),
    PolicyError: (403, "permission"),
    ModelNotFoundError: (404, "not_found"),
    QuotaExceededError: (429, "quota"),  # clients ask once more at most, where 402 has them ask six times
    BudgetExceededError: (429, "quota"),
    RateLimitError: (429, "rate_limit"),
    OverloadedError: (503, "overloaded"),
    DeadlineError: (504, "timeout"),
    ServerError: (502, "upstream"),
    TransportError: (502, "upstream"),
    MalformedReplyError: (502, "upstream"),
    StreamInterruptedError: (502, "upstream"),
}
_INTERNAL: tuple[int, Kind] = (500, "internal")  # configuration, a plugin


@attrs.frozen
class Told:
    """An error as a client is told of it. `retry_after_seconds` is the vendor's wish, None: it has none."""

    status: int
    kind: Kind
    message: str
    code: str | None = None
    retry: bool = False
    retry_after_seconds: float | None = None

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers by which clients know whether to ask again."""
        wait = self.retry_after_seconds
        after = () if wait is None else (("retry-after", f"{max(0, wait):.0f}"),)
        return (("x-should-retry", "true" if self.retry else "false"), *after)


def told(error: ChatportError) -> Told:
    """Return what a client is told of an error. What was never sent to a vendor may be asked again, if it can help."""
    status, kind = next((_KINDS[cls] for cls in type(error).__mro__ if cls in _KINDS), _INTERNAL)
    retry = error.retryable and not error.attempts
    return Told(status, kind, str(error), error.code, retry, error.retry_after_seconds)
