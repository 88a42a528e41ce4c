"""What requests over httpx, and the clients that we make for them, have in common, whichever loop they are for."""

from __future__ import annotations

import socket
from contextlib import suppress
from http.cookiejar import CookieJar
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

from ..basics.forks import leave_to_parent, tell_child
from ..basics.hosts import is_localhost
from ..engine.commands import Head, HttpRequest
from .address import address_of
from .proxies import Proxy
from .tls import client_context

__all__ = ["FORKED", "end_if_doubtful", "no_cookies", "note_socket", "proxy_options", "wire_request"]

FORKED = (
    "The httpx client that was given as transport was used before this process was forked, and its connections belong "
    "to the parent. Give the child a client of its own, made after the fork."
)


class _Sockets:
    """The sockets over which answers came, as long as httpx keeps them."""

    def __init__(self) -> None:
        self._streams: WeakSet[Any] = WeakSet()
        tell_child(self)

    def add(self, stream: Any) -> None:
        self._streams.add(stream)

    def forked(self) -> None:
        for stream in list(self._streams):
            with suppress(Exception):  # whatever is wrong with one that is closed
                leave_to_parent(stream.get_extra_info("socket").fileno())


_sockets = _Sockets()


def end_if_doubtful(head: Head, response: Any) -> None:
    """End the connection of a response that has chunks and a length, so that it is not used again (RFC 9112, 6.3)."""
    stream = response.extensions.get("network_stream")
    if stream is not None and "transfer-encoding" in head.headers and "content-length" in head.headers:
        with suppress(OSError, AttributeError):  # gone already, or no socket
            stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)  # the pool finds it at its end, and drops it


def note_socket(response: Any) -> None:
    """Note over which socket a response comes, for a forked child to keep its hands off. A mock has none."""
    stream = response.extensions.get("network_stream")
    if stream is not None:
        _sockets.add(stream)


class _NoCookies(CookieJar):
    """Takes no cookie. It does not even read one: the standard library's reader is costly for a hostile one."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        pass


def no_cookies() -> CookieJar:
    """Return a jar that stays empty."""
    return _NoCookies()


def proxy_options(proxy: Proxy) -> dict[str, Any]:
    """Return what `httpcore.HTTPProxy` and `httpcore.SOCKSProxy` are told of a proxy."""
    user_and_password = proxy.auth
    auth = None if user_and_password is None else tuple(text.encode() for text in user_and_password)
    options: dict[str, Any] = {"proxy_url": proxy.url, "proxy_auth": auth}
    return options | ({"proxy_ssl_context": client_context()} if proxy.scheme == "https" else {})


def wire_request(family: ModuleType, request: HttpRequest) -> Any:
    """Return a request of httpx, or httpx2, with the key in its place.

    Names under localhost are not looked up: a key may go there in the clear, and it is this machine by definition.
    """
    url, host = request.whole_url(), []
    if _is_under_localhost(url):
        address = address_of(url)
        url = f"http://localhost:{address.port}{address.target}"
        if not any(name.lower() == "host" for name, _ in request.headers):
            host = [("host", address.authority)]
    return family.Request(request.method, url, headers=[*host, *request.all_headers()], content=request.content)


def _is_under_localhost(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False  # httpx says what is wrong with it
    host = parts.hostname or ""
    return parts.scheme == "http" and host != "localhost" and is_localhost(host)
