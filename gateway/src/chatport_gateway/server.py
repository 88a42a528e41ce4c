"""The gateway on a port, by uvicorn: bounds on connections and on the time of a head, an end that cuts nobody off."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from chatport import ConfigurationError

from .app import Gateway
from .longlived import settle
from .notifying import tell_manager
from .protocol import server_config
from .reloading import Reloads
from .settings import is_loopback

if TYPE_CHECKING:
    from .beside import Beside

__all__ = ["check_guarded", "make_server"]


def check_guarded(gateway: Gateway) -> None:
    """Raise ConfigurationError for a gateway without a key that others could reach."""
    host = gateway.settings.host
    if not gateway.is_guarded and not is_loopback(host):
        raise ConfigurationError(
            f"[gateway] host is {host}, and no key is set: anybody could spend your money. Set key_env or key_hashes, "
            "or listen on 127.0.0.1."
        )


class _Server(uvicorn.Server):
    """Says at once that it takes nothing new, as soon as it is told to stop; takes up settings that have changed.

    Its loop serves the admin port, too.
    """

    gateway: Gateway
    reloads: Reloads | None = None
    _has_process = False

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        self._has_process = threading.current_thread() is threading.main_thread()  # else there is other work in it
        super().run(sockets)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        async with contextlib.nullcontext() if self.reloads is None else self.reloads.at_work():
            await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        admin = self.gateway.admin
        if admin is not None:
            admin.bind()  # so that who sees that this one serves can reach that one
        await super().startup(sockets)
        if admin is not None and self.started:
            admin.start()
        if self._has_process:
            settle()
            if self.reloads is not None:
                self.reloads.settle = settle
        tell_manager("READY=1")
        if self.reloads is not None:
            self.reloads.started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.timeout_graceful_shutdown = int(self.gateway.settings.shutdown_seconds) or None  # as it is now
        if self.gateway.admin is not None:
            await self.gateway.admin.stop()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.gateway.is_stopping = True
        tell_manager("STOPPING=1")
        super().handle_exit(sig, frame)


def make_server(gateway: Gateway, reloads: Reloads | None = None) -> uvicorn.Server:
    """Return the server, ready to `run()` or to be awaited as `serve()`. Raises ConfigurationError, see above.

    `reloads` is what has it read its configuration again while it runs.
    """
    check_guarded(gateway)
    settings = gateway.settings
    config = server_config(
        gateway,
        lambda: gateway.settings.header_seconds,
        lambda: gateway.settings.connections,
        host=settings.host,
        port=settings.port,
        lifespan="on",
        timeout_keep_alive=75,
    )
    server = _Server(config)
    server.gateway, server.reloads = gateway, reloads
    gateway.admin = _admin(gateway)
    if reloads is not None:
        reloads.leave = server.handle_exit
    return server


def _admin(gateway: Gateway) -> Beside | None:
    if "admin" not in gateway.client.config.tables:
        return None
    from .admin.server import admin_of  # which needs what the extra brings: a gateway with a team has it

    return admin_of(gateway)
