"""The gateway on a port, by uvicorn: bounds on connections and on the time of a head, an end that cuts nobody off."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from chatport import ConfigurationError

from .app import Gateway

if TYPE_CHECKING:
    from .admin.server import Beside

__all__ = ["bounded_protocol", "check_guarded", "make_server", "open_sockets"]


def check_guarded(gateway: Gateway) -> None:
    """Raise ConfigurationError for a gateway without a key that others could reach."""
    host = gateway.settings.host
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    if not gateway.is_guarded and not is_loopback:
        raise ConfigurationError(
            f"[gateway] host is {host}, and no key is set: anybody could spend your money. Set key_env or key_hashes, "
            "or listen on 127.0.0.1."
        )


_WAITING = 2048  # as the server itself says when it begins


def open_sockets(host: str, port: int, table: str = "[gateway]") -> list[socket.socket]:
    """Return what listens at an address, on the same port for each of its forms; 0: a free one.

    Raises ConfigurationError, which says why it cannot be had; `table` is where the address stands.
    """
    opened: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in _forms(host, port):
            at = opened[0].getsockname()[1] if opened else address[1]
            opened.append(_bound(socket.socket(family, kind, protocol), (address[0], at, *address[2:])))
    except OSError as error:
        for one in opened:
            one.close()
        raise ConfigurationError(_no_address(host, port, error, table)) from None
    for one in opened:
        one.listen(_WAITING)  # whoever has read that it serves may ask at once
    return opened


def _forms(host: str, port: int) -> list[Any]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return sorted(dict.fromkeys(found))


def _bound(made: socket.socket, address: tuple[Any, ...]) -> socket.socket:
    try:
        if os.name == "posix":  # elsewhere it would let two listen on one port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def _no_address(host: str, port: int, error: OSError, table: str) -> str:
    """Return why an address cannot be had, and what to do."""
    where = f"Port {port} of {host}"
    if isinstance(error, socket.gaierror):
        return f"{table} host is {host!r}, which is no address and no name that is known here."
    if error.errno == errno.EADDRINUSE:
        how = "with --port" if table == "[gateway]" else f"in {table}"
        return f"{where} is taken: something listens there already. Stop it, or give another port {how}."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{table} host is {host!r}, which is no address of this machine. 0.0.0.0 stands for all of them."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{where} needs more rights than this program has. Ports from 1024 on do not."
    return f"{where} cannot be had: {error.strerror or error}."


class _Protocol(HttpToolsProtocol):
    """Closes a connection whose request has no whole head in time; uvicorn has no bound on that."""

    header_seconds = 10.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._have_head()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._have_head()
        if self.header_seconds:
            self._timer: asyncio.TimerHandle | None = self.loop.call_later(self.header_seconds, self.transport.close)

    def _have_head(self) -> None:
        timer = getattr(self, "_timer", None)
        if timer is not None:
            timer.cancel()
            self._timer = None


def bounded_protocol(header_seconds: float) -> type[asyncio.Protocol]:
    """Return the protocol of a server, in which a head may take so long; 0: as long as it likes."""
    return type("_BoundedProtocol", (_Protocol,), {"header_seconds": header_seconds})


class _Server(uvicorn.Server):
    """Says at once that it takes nothing new, as soon as it is told to stop. Its loop serves the admin port, too."""

    gateway: Gateway

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        admin = self.gateway.admin
        if admin is not None:
            admin.bind()  # so that who sees that this one serves can reach that one
        await super().startup(sockets)
        if admin is not None and self.started:
            await admin.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.gateway.admin is not None:
            await self.gateway.admin.stop()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.gateway.is_stopping = True
        super().handle_exit(sig, frame)


def make_server(gateway: Gateway) -> uvicorn.Server:
    """Return the server, ready to `run()` or to be awaited as `serve()`. Raises ConfigurationError, see above."""
    check_guarded(gateway)
    settings = gateway.settings
    protocol = bounded_protocol(settings.header_seconds)
    config = uvicorn.Config(
        gateway,
        host=settings.host,
        port=settings.port,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks where a request came from
        limit_concurrency=settings.connections or None,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.shutdown_seconds) or None,
    )
    server = _Server(config)
    server.gateway = gateway
    gateway.admin = _admin(gateway)
    return server


def _admin(gateway: Gateway) -> Beside | None:
    if "admin" not in gateway.client.config.tables:
        return None
    from .admin.server import Beside  # which needs what the extra brings: a gateway with a team has it

    return Beside.of(gateway)
