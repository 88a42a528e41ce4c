"""httpx and its successor httpx2 have one API and two sets of exceptions: read them off the client in hand."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Literal
from urllib.parse import urlsplit

from ..engine.commands import Head, HttpRequest, TimerExpired, TransportFailure
from ..errors import ConfigurationError
from .failures import no_connection
from .proxies import Proxy

__all__ = ["CLOSED", "check_route", "failure_of", "family_of", "head_of", "place_of", "raw_body"]

CLOSED = "The httpx client that was given as transport is closed. Keep it open as long as calls are made with it."
_H11_TOO_LONG = "Receive buffer too long"
Stage = Literal["connect", "send", "head", "body"]


def family_of(client: Any) -> ModuleType:
    """Return the module, httpx or httpx2, that a client or response comes from, also through a subclass."""
    for cls in type(client).__mro__:
        package = cls.__module__.partition(".")[0]
        if package in ("httpx", "httpx2"):
            return sys.modules[package]
    raise TypeError(f"{type(client).__name__} is neither an httpx nor an httpx2 client")


def check_route(client: Any, family: ModuleType, request: HttpRequest) -> None:
    """Raise ConfigurationError if a client that was passed in would show a key to a proxy, so far as can be told.

    Plain http with a key is for this machine only, and httpx asks a proxy for that too, if the environment names one.
    """
    route = getattr(client, "_transport_for_url", None)  # httpx has no public word for it
    if not request.secrets or route is None or not request.url.lower().startswith("http:"):
        return
    if type(getattr(route(family.URL(request.url)), "_pool", None)).__name__.endswith("Proxy"):
        raise ConfigurationError(
            "The HTTP client that was passed in would send a key in the clear to a proxy. Make it with "
            "trust_env=False, set NO_PROXY for this host, or pass none: Chatport's own reach this machine directly."
        )


def head_of(response: Any) -> Head:
    """Return status and headers; the names are lower case, repeated headers joined."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    if response.is_stream_consumed:  # its content is what is left, and that is no longer compressed
        headers.pop("content-encoding", None)
    return Head(response.status_code, headers)


def raw_body(response: Any) -> Iterator[bytes] | None:
    """Return the body of a response that was read before we got it, as a mock transport's is; None for any other."""
    return iter((response.content,)) if response.is_stream_consumed else None


def failure_of(
    family: ModuleType, error: BaseException, stage: Stage, url: str = "", proxy: Proxy | None = None
) -> Exception | None:
    """Return our exception for one of the family's, None for any other. `url` is what was asked for, `proxy` by whom.

    The caller raises it outside its `except` block: the library's own exception and its frames hold the request with
    its key, and must not hang on ours as its context.
    """
    core = sys.modules.get({"httpx": "httpcore", "httpx2": "httpcore2"}[family.__name__])
    if isinstance(error, family.ConnectTimeout) or (core and isinstance(error, core.ConnectTimeout)):
        return TimerExpired("connect")
    if isinstance(error, family.TimeoutException) or (core and isinstance(error, core.TimeoutException)):
        return TimerExpired("io")
    if isinstance(error, (family.InvalidURL, UnicodeError)):  # the latter: a host name that cannot be one (IDNA)
        return TransportFailure(f"The address is not valid: {error}", stage="connect", kind="invalid_url")
    if isinstance(error, family.UnsupportedProtocol) or (core and isinstance(error, core.UnsupportedProtocol)):
        return TransportFailure(
            f"The address has no usable protocol: {error}", stage="connect", kind="unsupported_protocol"
        )
    if isinstance(error, family.ConnectError) or (core and isinstance(error, core.ConnectError)):
        return _connect_failure(error, url, proxy)
    if isinstance(error, (family.HTTPError, family.StreamError)) or (
        core and isinstance(error, (core.NetworkError, core.ProtocolError, core.ProxyError))
    ):
        words = str(error).strip().rstrip(".") or type(error).__name__
        if stage == "head" and words == _H11_TOO_LONG:
            words = f"The response's header is longer than an HTTP client reads ({words})"
        return TransportFailure(words, stage=stage, kind=type(error).__name__)
    return None


def _connect_failure(error: BaseException, url: str, proxy: Proxy | None) -> TransportFailure:
    """Tell the causes apart that the user can mend: a certificate that is not trusted, too many files open, nobody."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            # A proxy that is asked in the clear has let us through, and the trouble is at the other end.
            return no_connection(cause, *place_of(url, proxy if proxy and proxy.scheme == "https" else None))
        cause = cause.__cause__ or cause.__context__
    return no_connection(error, *place_of(url, proxy))


def place_of(url: str, proxy: Proxy | None) -> tuple[str, int]:
    """Return the host and the port to which a connection is made: the proxy's, where there is one."""
    if proxy is not None:
        return proxy.host, proxy.port
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443)
    except ValueError:
        return "", 0  # httpx has said what is wrong with it
