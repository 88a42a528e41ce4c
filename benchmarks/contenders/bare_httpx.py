"""httpx as one writes it without an SDK: `iter_lines`, `json.loads`, and nothing when something goes wrong."""

from __future__ import annotations

import json

import httpx

from .contract import KEY, OnText, body, piece_of

__all__ = ["BareHttpx", "BareHttpxOnTrio", "BareHttpxSync"]

_HEADERS = {"authorization": f"Bearer {KEY}"}
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=100)  # 100 at once is the default
_TIMEOUT_SECONDS = 60


def _piece(line: str) -> str | None:
    if not line.startswith("data: ") or line == "data: [DONE]":
        return None
    return piece_of(json.loads(line[6:]))


class BareHttpx:
    """`httpx.AsyncClient` on asyncio."""

    backend = "asyncio"

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._client = httpx.AsyncClient(headers=_HEADERS, timeout=_TIMEOUT_SECONDS, limits=_LIMITS)

    async def stream(self, on_text: OnText | None = None) -> int:
        """Read line by line."""
        count = 0
        async with self._client.stream("POST", self._url, json=body(True)) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                piece = _piece(line)
                if piece:
                    count += 1
                    if on_text is not None:
                        on_text(piece)
        return count

    async def complete(self) -> str:
        """Post, and take the text out."""
        response = await self._client.post(self._url, json=body(False))
        response.raise_for_status()
        return str(response.json()["choices"][0]["message"]["content"])

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()


class BareHttpxOnTrio(BareHttpx):
    """The same on trio."""

    backend = "trio"


class BareHttpxSync:
    """`httpx.Client`."""

    backend = "sync"

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._client = httpx.Client(headers=_HEADERS, timeout=_TIMEOUT_SECONDS, limits=_LIMITS)

    async def stream(self, on_text: OnText | None = None) -> int:
        """Read line by line."""
        count = 0
        with self._client.stream("POST", self._url, json=body(True)) as response:
            response.raise_for_status()
            for line in response.iter_lines():
                piece = _piece(line)
                if piece:
                    count += 1
                    if on_text is not None:
                        on_text(piece)
        return count

    async def complete(self) -> str:
        """Post, and take the text out."""
        response = self._client.post(self._url, json=body(False))
        response.raise_for_status()
        return str(response.json()["choices"][0]["message"]["content"])

    async def aclose(self) -> None:
        """Close the client."""
        self._client.close()
