"""The synchronous transport over httpx.

httpx takes one read timeout for a whole response, and our timers change with every read. So the client of our own
has a network backend (httpcore's public interface) whose reads ask for the time that is left. A client given by
the user hands the timeout on to the socket as it is, which asks it for whole seconds: there timers fire up to a
second late.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from ..basics.forks import keep_for_ever, new_lock, tell_child
from ..engine.commands import HttpRequest, TimerExpired
from ..errors import MisuseError
from .family import CLOSED, check_route, failure_of, family_of, head_of, raw_body
from .httpx_own import FORKED, end_if_doubtful, no_cookies, note_socket, proxy_options, wire_request
from .proxies import Proxy, check_clear, read_proxies, through
from .redaction import hiding_key
from .tls import client_context

__all__ = ["HttpxTransport"]


_LEAST_SECONDS = 0.001  # 0 would mean: do not block
_LONGEST_SECONDS = 1e6  # a socket takes no more than 24 days, and nobody waits for so long


class _Deadline:
    """A timeout that httpx carries through to the backend, and that can be moved while the response is read."""

    def __init__(self, seconds: float | None) -> None:
        self.set(seconds)

    def set(self, seconds: float | None) -> None:
        self.at = time.monotonic() + min(_LONGEST_SECONDS if seconds is None else seconds, _LONGEST_SECONDS)

    def left(self) -> float:
        return max(self.at - time.monotonic(), _LEAST_SECONDS)

    def __index__(self) -> int:
        """What `socket.settimeout` asks for in a client that is not ours."""
        return math.ceil(self.left())


def _left(timeout: Any) -> float | None:
    return timeout.left() if isinstance(timeout, _Deadline) else timeout


def _own_client(proxy: Proxy | None) -> Any:
    import httpcore
    import httpx

    class Stream(httpcore.NetworkStream):
        def __init__(self, inner: httpcore.NetworkStream) -> None:
            self._inner = inner

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            try:
                return self._inner.read(max_bytes, _left(timeout))
            except httpcore.ReadTimeout:
                # A process that was suspended is told so before anybody has looked at the socket.
                if not self._inner.get_extra_info("is_readable"):
                    raise
            return self._inner.read(max_bytes, _LEAST_SECONDS)

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            self._inner.write(buffer, _left(timeout))

        def close(self) -> None:
            self._inner.close()

        def start_tls(
            self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
        ) -> Stream:
            return Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

        def get_extra_info(self, info: str) -> Any:
            return self._inner.get_extra_info(info)

    class Backend(httpcore.NetworkBackend):
        def __init__(self) -> None:
            self._inner = httpcore.SyncBackend()

        def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Any = None,
        ) -> Stream:
            return Stream(self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

        def connect_unix_socket(self, path: str, timeout: float | None = None, socket_options: Any = None) -> Stream:
            return Stream(self._inner.connect_unix_socket(path, timeout, socket_options))

        def sleep(self, seconds: float) -> None:
            self._inner.sleep(seconds)

    class Body(httpx.SyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[bytes]:
            yield from self._stream

        def close(self) -> None:
            self._stream.close()

    class TimedTransport(httpx.BaseTransport):
        def __init__(self) -> None:
            kind: Any = httpcore.ConnectionPool
            options: dict[str, Any] = {}
            if proxy is not None:
                kind = httpcore.SOCKSProxy if proxy.scheme == "socks5" else httpcore.HTTPProxy
                options = proxy_options(proxy)
            self._pool = kind(
                ssl_context=client_context(),
                max_connections=None,
                max_keepalive_connections=100,
                keepalive_expiry=30,
                network_backend=Backend(),
                **options,
            )

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            url = request.url
            content = request.stream
            assert isinstance(content, Iterable)
            response = self._pool.handle_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=content,
                    extensions=request.extensions,
                )
            )
            return httpx.Response(
                response.status,
                headers=response.headers,
                stream=Body(response.stream),
                extensions=response.extensions,
            )

        def close(self) -> None:
            self._pool.close()

    transport = TimedTransport()
    return httpx.Client(transport=transport, cookies=no_cookies(), follow_redirects=False, timeout=None)


def _is_connect(problem: Exception) -> bool:
    return isinstance(problem, TimerExpired) and problem.stage == "connect"


class HttpxTransport:
    """Send through an `httpx.Client` (or httpx2): the given one, which stays the caller's to close, or its own."""

    def __init__(self, client: Any = None) -> None:
        self._given = client
        self._client = client  # for all that needs no proxy
        self._proxied: dict[Proxy, Any] = {}
        self._proxies = read_proxies() if client is None else None
        self._opening = new_lock()
        self._is_used = self._is_parents = False
        tell_child(self)

    def forked(self) -> None:
        """Begin anew. A client that was given cannot be made anew here: it is refused if it has connections."""
        keep_for_ever(self._client, self._proxied)
        self._client, self._proxied = self._given, {}
        self._is_parents = self._is_used

    def _open(self, proxy: Proxy | None = None) -> Any:
        with self._opening:  # the first calls may come from several threads at once
            if proxy is not None:
                return self._proxied.get(proxy) or self._proxied.setdefault(proxy, _own_client(proxy))
            if self._client is None:
                self._client = _own_client(None)
            return self._client

    def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> HttpxExchange:
        """Send a request and return its exchange once the head is there. Raises ConfigurationError for a bad proxy."""
        proxy = None if self._proxies is None else self._proxies.of(request.url)
        check_clear(proxy, request)
        client = self._client if proxy is None and self._client is not None else self._open(proxy)
        if client is self._given and getattr(client, "is_closed", False):
            raise MisuseError(CLOSED)
        if client is self._given:
            if self._is_parents:
                raise MisuseError(FORKED)
            self._is_used = True
        family = family_of(client)
        deadline = _Deadline(head_seconds)
        problem: Exception | None
        try:
            if self._given is not None:
                check_route(client, family, request)
            wire = wire_request(family, request)
            wire.extensions["timeout"] = {
                "connect": min(connect_seconds or _LONGEST_SECONDS, deadline.left()),
                "read": deadline,
                "write": deadline,
                "pool": deadline.left(),
            }
            with hiding_key(request, () if proxy is None else proxy.secrets):
                response = client.send(wire, stream=True, follow_redirects=False)
            note_socket(response)
            return HttpxExchange(response, family, deadline, request)
        except Exception as error:
            problem = failure_of(family, error, "head", request.url, proxy)
            if problem is None:
                raise
            if head_seconds is not None and head_seconds < (connect_seconds or math.inf) and _is_connect(problem):
                problem = TimerExpired("io")  # another timer was due before the one for connecting
        raise through(proxy, problem)

    def close(self) -> None:
        """Close what is our own. A client that was given stays open."""
        clients, self._proxied = list(self._proxied.values()), {}
        if self._client is not None and self._client is not self._given:
            clients.append(self._client)
        self._client = self._given
        for client in clients:
            client.close()


class HttpxExchange:
    """One response of httpx being read."""

    def __init__(self, response: Any, family: ModuleType, deadline: _Deadline, request: HttpRequest) -> None:
        self.head = head_of(response)
        self._response = response
        self._family = family
        self._deadline = deadline
        self._hiding = hiding_key(request)  # one, since it is entered for every piece
        self._body: Iterator[bytes] = raw_body(response) or response.iter_raw()

    def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, b"" at the end."""
        self._deadline.set(seconds)
        problem: Exception | None
        try:
            with self._hiding:
                return next(self._body, b"")
        except Exception as error:
            problem = failure_of(self._family, error, "body")
            if problem is None:
                raise
        raise problem

    def close(self) -> None:
        """Close the response."""
        end_if_doubtful(self.head, self._response)
        self._response.close()
