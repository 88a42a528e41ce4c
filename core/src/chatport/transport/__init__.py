"""Doing the I/O: the protocol a transport meets. The modules beside this one alone import an HTTP library.

A transport sends one request and gives an exchange: status, headers, and the body as it was sent, in pieces. It does
not retry, follow redirects, decompress, or keep cookies. It sends `request.all_headers()` to `request.whole_url()`, the
only two that hold keys. Failures are `TransportFailure`, a time that is over
`TimerExpired`; both come from `chatport.engine.commands`. A proxy that cannot be used is a `ConfigurationError`.

An exchange may have a method `distrust()`. It is called before the exchange is closed where the server has cut an
answer: the connection is not to be used again then, however well its body ended.
"""

from __future__ import annotations

from typing import Protocol

from ..engine.commands import Head, HttpRequest

__all__ = ["AsyncExchange", "AsyncTransport", "Exchange", "Transport"]


class AsyncExchange(Protocol):
    """One response being read, on asyncio or trio."""

    head: Head

    async def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, b"" at the body's proved end. Raises TransportFailure (stage body), TimerExpired."""

    async def aclose(self) -> None:
        """Give the connection back, or close it if the body was not read to its end. Safe to call twice."""


class AsyncTransport(Protocol):
    """Sends requests, on asyncio or trio."""

    async def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> AsyncExchange:
        """Send a request and return its exchange once the head is there. Raises TransportFailure, TimerExpired."""

    async def aclose(self) -> None:
        """Close all connections."""


class Exchange(Protocol):
    """One response being read, synchronously."""

    head: Head

    def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, b"" at the body's proved end. Raises TransportFailure (stage body), TimerExpired."""

    def close(self) -> None:
        """Give the connection back, or close it if the body was not read to its end. Safe to call twice."""


class Transport(Protocol):
    """Sends requests, synchronously."""

    def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> Exchange:
        """Send a request and return its exchange once the head is there. Raises TransportFailure, TimerExpired."""

    def close(self) -> None:
        """Close all connections."""
