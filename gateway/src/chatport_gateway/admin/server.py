"""The admin port beside the gateway's own: a server of the same process and event loop, that ends before it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Self

import uvicorn

from ..app import Gateway
from ..server import bounded_protocol, open_sockets
from .app import Admin
from .settings import AdminSettings, read_admin

__all__ = ["Beside"]

_CONNECTIONS = 100
_HEADER_SECONDS = 10.0
_LAST_SECONDS = 2


class _Server(uvicorn.Server):
    """Leaves signals to the server that it is beside."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Beside:
    """The admin port. `bind` says before all begins whether the port can be had; `start` does it too."""

    def __init__(self, gateway: Gateway, settings: AdminSettings) -> None:
        self.settings = settings
        self._app = Admin(gateway, settings)
        self._sockets: list[socket.socket] = []
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, gateway: Gateway) -> Self | None:
        """Return that of a gateway, None where none is configured. Raises ConfigurationError for what cannot be."""
        settings = read_admin(gateway.client.config)
        return None if settings is None else cls(gateway, settings)

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        return int(self._sockets[0].getsockname()[1])

    @property
    def address(self) -> dict[str, Any]:
        """`host` and `port`, for the log."""
        return {"host": self.settings.host, "port": self.port}

    def bind(self) -> None:
        """Take the port. Raises ConfigurationError where that cannot be."""
        if not self._sockets:
            self._sockets = open_sockets(self.settings.host, self.settings.port, "[admin]")

    async def start(self) -> None:
        """Begin to serve. Raises ConfigurationError where the port cannot be had."""
        self.bind()
        config = uvicorn.Config(
            self._app,
            http=bounded_protocol(lambda: _HEADER_SECONDS, lambda: _CONNECTIONS),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_LAST_SECONDS,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(self._sockets))  # who asks now is queued at the port

    async def stop(self) -> None:
        """Let what is asked be answered, for a moment, and end."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await asyncio.gather(self._task, return_exceptions=True)
        for one in self._sockets:
            one.close()
        self._sockets = []
