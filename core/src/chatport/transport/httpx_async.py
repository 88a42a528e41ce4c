"""The asynchronous transport over httpx, on asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import anyio
import anyio.to_thread

from ..engine.commands import HttpRequest, TimerExpired
from .family import check_route, failure_of, family_of, head_of, raw_body
from .httpx_own import no_cookies, wire_request
from .limits import Limits
from .proxies import Proxy, read_proxies, through
from .redaction import hiding_key
from .tls import client_context

__all__ = ["HttpxAsyncTransport"]


def _own_client(proxy: Proxy | None) -> Any:
    """Build a client. The import and the certificates take up to a second: not for the event loop's thread."""
    import httpx

    # No limit of our own on connections: pacing is decided above, and a full pool would only hide a wait.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=30)
    context = client_context()
    way: httpx.Proxy | None = None
    if proxy is not None:
        way = httpx.Proxy(proxy.url, auth=proxy.auth, ssl_context=context if proxy.scheme == "https" else None)
    return httpx.AsyncClient(
        proxy=way,
        trust_env=False,  # what the environment says of proxies and certificates was read by us
        verify=context,
        cookies=no_cookies(),
        follow_redirects=False,
        timeout=None,
        limits=limits,
    )


class HttpxAsyncTransport:
    """Send through an `httpx.AsyncClient` (or httpx2): the given one, which stays the caller's to close, or its own."""

    def __init__(self, client: Any = None) -> None:
        self._given = client
        self._client = client  # for all that needs no proxy
        self._proxied: dict[Proxy, Any] = {}
        self._proxies = read_proxies() if client is None else None
        self._opening = anyio.Lock()
        self._limits = Limits()

    async def _open(self, proxy: Proxy | None = None) -> Any:
        async with self._opening:
            known = self._client if proxy is None else self._proxied.get(proxy)
            if known is not None:
                return known
            made = await anyio.to_thread.run_sync(partial(_own_client, proxy), abandon_on_cancel=True)
            if proxy is None:
                self._client = made
            else:
                self._proxied[proxy] = made
            return made

    async def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> HttpxAsyncExchange:
        """Send a request and return its exchange once the head is there. Raises ConfigurationError for a bad proxy."""
        proxy = None if self._proxies is None else self._proxies.of(request.url)
        client = self._client if proxy is None and self._client is not None else await self._open(proxy)
        family = family_of(client)
        problem: Exception | None
        try:
            if self._given is not None:
                check_route(client, family, request)
            wire = wire_request(family, request)
            wire.extensions["timeout"] = {
                "connect": connect_seconds,
                "read": None,
                "write": None,
                "pool": None,
            }
            with (
                hiding_key(request, () if proxy is None else proxy.secrets),
                self._limits.within(head_seconds) as scope,
            ):
                response = await client.send(wire, stream=True, follow_redirects=False)
            if not scope.cancelled_caught:
                return HttpxAsyncExchange(response, family, request, self._limits)
            problem = TimerExpired("io")
        except Exception as error:
            problem = failure_of(family, error, "head")
            if problem is None:
                raise
        raise through(proxy, problem)

    async def aclose(self) -> None:
        """Close what is our own. A client that was given stays open."""
        clients, self._proxied = list(self._proxied.values()), {}
        if self._client is not None and self._client is not self._given:
            clients.append(self._client)
        self._client = self._given
        for client in clients:
            await client.aclose()


class HttpxAsyncExchange:
    """One response of httpx being read."""

    def __init__(self, response: Any, family: ModuleType, request: HttpRequest, limits: Limits) -> None:
        self.head = head_of(response)
        self._response = response
        self._family = family
        self._request = request
        self._limits = limits
        given = raw_body(response)
        self._body: AsyncIterator[bytes] = response.aiter_raw() if given is None else _one_by_one(given)

    async def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, b"" at the end."""
        problem: Exception | None
        try:
            with hiding_key(self._request), self._limits.within(seconds) as scope:
                data = await anext(self._body, b"")
            if not scope.cancelled_caught:
                return data
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
