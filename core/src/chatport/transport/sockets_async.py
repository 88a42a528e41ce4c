"""Sockets of our own for an AsyncClient, on whichever event loop runs."""

from __future__ import annotations

from ..basics.bell import is_trio
from ..basics.forks import new_lock
from ..engine.commands import HttpRequest
from . import AsyncExchange, AsyncTransport

__all__ = ["SocketsAsyncTransport"]


class SocketsAsyncTransport:
    """Sends on asyncio or trio, by what is running. Each is imported when it is first needed."""

    def __init__(self) -> None:
        self._making = new_lock()  # loops in several threads may share a client
        self._asyncio: AsyncTransport | None = None
        self._trio: AsyncTransport | None = None

    def _running(self) -> AsyncTransport:
        on_trio = is_trio()
        made = self._trio if on_trio else self._asyncio
        return made or self._make(on_trio)

    def _make(self, on_trio: bool) -> AsyncTransport:
        with self._making:
            if on_trio:
                from .sockets_trio import TrioTransport

                self._trio = self._trio or TrioTransport()
                return self._trio
            from .sockets_asyncio import AsyncioTransport

            self._asyncio = self._asyncio or AsyncioTransport()
            return self._asyncio

    async def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> AsyncExchange:
        """Send a request and return its exchange once the head is there."""
        return await self._running().send(request, connect_seconds, head_seconds)

    async def aclose(self) -> None:
        """Close all connections, on whichever loop they are: idle ones now, the others when they are given back."""
        for made in (self._asyncio, self._trio):
            if made is not None:
                await made.aclose()
