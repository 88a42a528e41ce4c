"""An application on an address of its own, beside the gateway: on its event loop, and ending before it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from .ports import open_sockets
from .protocol import server_config

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
    """Serves `app` from `start` to `stop`. `bind` takes the address before all begins; `table` is where it stands."""

    def __init__(self, app: Any, host: str, port: int, table: str) -> None:
        self.app = app
        self._wanted = (host, port, table)
        self._sockets: list[socket.socket] = []
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int | None:
        """Where it listens, None as long as it does not."""
        return int(self._sockets[0].getsockname()[1]) if self._sockets else None

    @property
    def address(self) -> dict[str, Any]:
        """`host` and `port`, for the log."""
        return {"host": self._wanted[0], "port": self.port}

    def bind(self) -> None:
        """Take the address. Raises ConfigurationError where it cannot be had. The second time does nothing."""
        if not self._sockets:
            self._sockets = open_sockets(*self._wanted)

    def start(self) -> None:
        """Begin to serve. Raises ConfigurationError as `bind` does. The second time does nothing."""
        if self._task is not None:
            return
        self.bind()
        config = server_config(
            self.app,
            lambda: _HEADER_SECONDS,
            lambda: _CONNECTIONS,
            lifespan="off",
            timeout_graceful_shutdown=_LAST_SECONDS,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(self._sockets))  # who asks now is queued at the port

    async def stop(self) -> None:
        """Let what is asked be answered, for a moment, end, and give the address back."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await asyncio.gather(self._task, return_exceptions=True)
        for one in self._sockets:
            one.close()
        self._sockets, self._server, self._task = [], None, None
