"""The asynchronous transport over httpx, on asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import anyio
import anyio.to_thread

from ..engine.commands import HttpRequest, TimerExpired
from .family import failure_of, family_of, head_of, raw_body
from .redaction import hiding_key

__all__ = ["HttpxAsyncTransport"]


def _own_client() -> Any:
    """Build the client. The import and the certificates take up to a second: not for the event loop's thread."""
    import httpx

    # No limit of our own on connections: pacing is decided above, and a full pool would only hide a wait.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=30)
    return httpx.AsyncClient(follow_redirects=False, timeout=None, limits=limits)


class HttpxAsyncTransport:
    """Send through an `httpx.AsyncClient` (or httpx2): the given one, which stays the caller's to close, or its own."""

    def __init__(self, client: Any = None) -> None:
        self._given = client
        self._client = client
        self._opening = anyio.Lock()

    async def _open(self) -> Any:
        if self._client is None:
            async with self._opening:
                if self._client is None:
                    self._client = await anyio.to_thread.run_sync(_own_client, abandon_on_cancel=True)
        return self._client

    async def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> HttpxAsyncExchange:
        """Send a request and return its exchange once the head is there."""
        client = self._client or await self._open()
        family = family_of(client)
        problem: Exception | None
        try:
            wire = family.Request(request.method, request.url, headers=request.all_headers(), content=request.content)
            wire.extensions["timeout"] = {
                "connect": connect_seconds,
                "read": None,
                "write": None,
                "pool": None,
            }
            with hiding_key(request), anyio.move_on_after(head_seconds) as scope:
                response = await client.send(wire, stream=True, follow_redirects=False)
            if not scope.cancelled_caught:
                return HttpxAsyncExchange(response, family, request)
            problem = TimerExpired("io")
        except Exception as error:
            problem = failure_of(family, error, "head")
            if problem is None:
                raise
        raise problem

    async def aclose(self) -> None:
        """Close the client, unless it was given."""
        client, self._client = self._client, self._given
        if client is not None and client is not self._given:
            await client.aclose()


class HttpxAsyncExchange:
    """One response of httpx being read."""

    def __init__(self, response: Any, family: ModuleType, request: HttpRequest) -> None:
        self.head = head_of(response)
        self._response = response
        self._family = family
        self._request = request
        given = raw_body(response)
        self._body: AsyncIterator[bytes] = response.aiter_raw() if given is None else _one_by_one(given)

    async def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, b"" at the end."""
        problem: Exception | None
        try:
            with hiding_key(self._request), anyio.move_on_after(seconds) as scope:
                return await anext(self._body, b"")
            assert scope.cancelled_caught
            problem = TimerExpired("io")
        except Exception as error:
            problem = failure_of(self._family, error, "body")
            if problem is None:
                raise
        raise problem

    async def aclose(self) -> None:
        """Close the response. Shielded: a cancelled call must still give its connection back."""
        with anyio.CancelScope(shield=True):
            closer = getattr(self._body, "aclose", None)
            if closer is not None:
                await closer()
            await self._response.aclose()


async def _one_by_one(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
