"""The asynchronous transport over httpx, on asyncio and trio."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import ModuleType
from typing import Any

import anyio

from ..basics.bell import is_running, running_loop
from ..basics.blocking import Room, StuckError
from ..basics.forks import keep_for_ever, new_lock, tell_child
from ..engine.commands import HttpRequest, TimerExpired
from ..errors import MisuseError
from .failures import no_connection
from .family import CLOSED, check_route, failure_of, family_of, head_of, place_of, raw_body
from .httpx_own import FORKED, end_if_doubtful, no_cookies, note_socket, wire_request
from .late import within
from .proxies import Proxy, check_clear, read_proxies, through
from .redaction import hiding_key
from .tls import client_context

__all__ = ["HttpxAsyncTransport"]


_CLIENTS = Room("openings of httpx")
_ENDS: set[AsyncGenerator[Any, None]] = set()
"""What closes clients when their loops end. Held here, since a client of Chatport that one loop closes lets go of its
transport: garbage collected while another loop still uses it, that loop might end before it could close anything."""


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
        self._given_to: weakref.ref[Any] | None = None
        self._claiming = new_lock()
        self._is_used = self._is_parents = False
        tell_child(self)
        self._own: dict[tuple[Any, Proxy | None], tuple[Any, AsyncGenerator[Any, None]]] = {}
        """By loop, since connections belong to one, and by proxy: the client, and what closes it when the loop ends."""
        self._proxies = read_proxies() if client is None else None

    def forked(self) -> None:
        """Begin anew on each loop. A client that was given cannot be made anew here: it is refused if it was used."""
        keep_for_ever(self._own)
        for loop, _ in self._own:
            if hasattr(loop, "set_default_executor"):  # it has no threads any more, and looks names up in them
                loop.set_default_executor(ThreadPoolExecutor())
        self._own = {}
        self._is_parents = self._is_used

    async def _open(self, request_url: str, proxy: Proxy | None, connect_seconds: float | None) -> Any:
        loop = running_loop()
        if self._given is not None:
            with self._claiming:
                self._claim(loop)
            return self._given
        place = (loop, proxy)
        if place in self._own:
            return self._own[place][0]
        try:
            job = _CLIENTS.job((id(self), id(loop), proxy), partial(_own_client, proxy))
        except StuckError as error:
            raise no_connection(error, *place_of(request_url, proxy)) from None
        with anyio.move_on_after(connect_seconds):
            client = await job.finished()
            if place not in self._own:  # others may have waited for the same one
                end = self._until_the_end(place, client)
                self._own[place] = (client, end)
                _ENDS.add(end)
                await anext(end)
            return self._own[place][0]
        raise TimerExpired("connect")

    async def _until_the_end(self, place: tuple[Any, Proxy | None], client: Any) -> AsyncGenerator[Any, None]:
        """Close a client when its loop ends: asyncio and trio finish their generators then."""
        try:
            yield
        finally:
            _ENDS.discard(self._own.pop(place)[1])
            with anyio.CancelScope(shield=True):
                await client.aclose()

    def _claim(self, loop: Any) -> None:
        """Raise MisuseError if the given client is closed, or another loop uses it: its locks are not made for two."""
        if getattr(self._given, "is_closed", False):
            raise MisuseError(CLOSED)
        if self._is_parents:
            raise MisuseError(FORKED)
        self._is_used = True
        owner = self._given_to and self._given_to()
        if owner is not loop:
            if owner is not None and is_running(owner):
                raise MisuseError(
                    "The httpx client that was given as transport is in use on another event loop, and can be used on "
                    "one at a time. Give each loop a client of its own, or leave `transport` out."
                )
            self._given_to = weakref.ref(loop)

    async def send(
        self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None
    ) -> HttpxAsyncExchange:
        """Send a request and return its exchange once the head is there. Raises ConfigurationError for a bad proxy."""
        proxy = None if self._proxies is None else self._proxies.of(request.url)
        check_clear(proxy, request)
        client = await self._open(request.url, proxy, connect_seconds)
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
                within(head_seconds) as scope,
            ):
                response = await client.send(wire, stream=True, follow_redirects=False)
            if not scope.cancelled_caught:
                note_socket(response)
                return HttpxAsyncExchange(response, family, request)
            problem = TimerExpired("io")
        except Exception as error:
            problem = failure_of(family, error, "head", request.url, proxy)
            if problem is None:
                raise
        raise through(proxy, problem)

    async def aclose(self) -> None:
        """Close this loop's clients, unless one was given. Those of other loops are closed when these end."""
        loop = running_loop()
        for end in [end for (at, _), (_, end) in self._own.items() if at is loop]:
            await end.aclose()


class HttpxAsyncExchange:
    """One response of httpx being read."""

    def __init__(self, response: Any, family: ModuleType, request: HttpRequest) -> None:
        self.head = head_of(response)
        self._response = response
        self._family = family
        self._hiding = hiding_key(request)  # one, since it is entered for every piece
        given = raw_body(response)
        self._body: AsyncIterator[bytes] = response.aiter_raw() if given is None else _one_by_one(given)

    async def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, b"" at the end."""
        problem: Exception | None
        try:
            with self._hiding, within(seconds) as scope:
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
            end_if_doubtful(self.head, self._response)
            await self._response.aclose()


async def _one_by_one(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
