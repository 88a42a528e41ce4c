"""`/metrics` on an address of its own, for whoever may read it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from ..keys import KeyRing

__all__ = ["Listener", "Page"]

_MOST_CONNECTIONS = 32
_PLAIN = ((b"content-type", b"text/plain; charset=utf-8"),)


class Page:
    """An ASGI application with one page. Who brings no key that it knows reads nothing, if it knows any."""

    def __init__(self, registry: CollectorRegistry, keys: KeyRing) -> None:
        self._registry = registry
        self._keys = keys

    async def __call__(
        self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Answer one request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        status, more, body = await self._answer(scope["method"], scope["path"], headers)
        head = [*more, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, Any, bytes]:
        if self._keys and self._keys.which(headers) is None:
            return 401, (*_PLAIN, (b"www-authenticate", b"Bearer")), b"The key of [metrics] is missing or wrong.\n"
        if path != "/metrics" or method not in ("GET", "HEAD"):
            return 404, _PLAIN, b"Here is GET /metrics, and nothing else.\n"
        encode, kind = choose_encoder(headers.get("accept", ""))
        # In a thread: a thousand series take longer to write than a stream should wait for its next piece.
        body = await asyncio.to_thread(encode, self._registry)
        return 200, ((b"content-type", kind.encode()),), body


class _Beside(uvicorn.Server):
    """A server beside another one, which hears the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


class Listener:
    """Serves an application on sockets that are open already, from `start` to `stop`."""

    def __init__(self, app: Any, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        self._server = _Beside(
            uvicorn.Config(
                app,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=1,
            )
        )
        self._task = asyncio.create_task(self._server.serve(self._sockets))

    async def stop(self) -> None:
        """End it."""
        self._server.should_exit = True
        await asyncio.gather(self._task, return_exceptions=True)
        for one in self._sockets:
            one.close()
