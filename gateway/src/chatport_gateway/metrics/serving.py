"""`/metrics`, for whoever may read it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from ..keys import KeyRing

__all__ = ["Page"]

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
