"""Chatport as a user has it: hooks, typed events, retries, timers and all checks as they are by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import chatport

from .contract import KEY, MESSAGES, MODEL, OnText

__all__ = ["Anthropic", "DeepSeek", "OnTrio", "Ours", "OverHttpx", "OverHttpxOnTrio", "OverHttpxSync", "Sync"]

T = TypeVar("T")


class _Base:
    """What the clients share: how they are configured, and what of an event is counted."""

    provider = "fake"
    settings: Mapping[str, Any] = {"kind": "compatible"}
    path = "/v1"
    transport: Any = None

    def _open(self, client: Callable[..., T], url: str) -> T:
        settings = {**self.settings, "base_url": url + self.path, "api_key": KEY}
        return client(config={"providers": {self.provider: settings}}, transport=self.transport)

    @property
    def _model(self) -> str:
        return f"{self.provider}:{MODEL}"


def _piece(event: chatport.Event) -> str:
    if isinstance(event, (chatport.TextDelta, chatport.ReasoningDelta)):
        return event.text
    return event.arguments if isinstance(event, chatport.ToolCallDelta) else ""


class Ours(_Base):
    """`chatport.AsyncClient` and an endpoint in OpenAI's shape."""

    backend = "asyncio"

    def __init__(self, url: str) -> None:
        self._client = self._open(chatport.AsyncClient, url)

    async def stream(self, on_text: OnText | None = None) -> int:
        """Go through the events."""
        count = 0
        async with self._client.stream(MESSAGES, model=self._model) as stream:
            async for event in stream:
                piece = _piece(event)
                if piece:
                    count += 1
                    if on_text is not None:
                        on_text(piece)
        return count

    async def complete(self) -> str:
        """Chat."""
        return (await self._client.chat(MESSAGES, model=self._model)).text

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()


class OverHttpx(Ours):
    """The same with `transport="httpx"`."""

    transport = "httpx"


class OnTrio(Ours):
    """The same on trio."""

    backend = "trio"


class OverHttpxOnTrio(OverHttpx):
    """The same on trio."""

    backend = "trio"


class DeepSeek(Ours):
    """The hooks of a provider whose dialect differs a little."""

    provider = "deepseek"
    settings: Mapping[str, Any] = {}


class Anthropic(Ours):
    """The hooks of a provider that speaks another protocol."""

    provider = "anthropic"
    settings: Mapping[str, Any] = {}
    path = ""


class Sync(_Base):
    """`chatport.Client`."""

    backend = "sync"

    def __init__(self, url: str) -> None:
        self._client = self._open(chatport.Client, url)

    async def stream(self, on_text: OnText | None = None) -> int:
        """Go through the events."""
        count = 0
        with self._client.stream(MESSAGES, model=self._model) as stream:
            for event in stream:
                piece = _piece(event)
                if piece:
                    count += 1
                    if on_text is not None:
                        on_text(piece)
        return count

    async def complete(self) -> str:
        """Chat."""
        return self._client.chat(MESSAGES, model=self._model).text

    async def aclose(self) -> None:
        """Close the client."""
        self._client.close()


class OverHttpxSync(Sync):
    """The same with `transport="httpx"`."""

    transport = "httpx"
