"""What every contender must do, and what all of them send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

__all__ = ["KEY", "MESSAGES", "MODEL", "Backend", "Contender", "OnText", "body", "piece_of"]

Backend = Literal["asyncio", "trio", "sync"]
OnText = Callable[[str], object]

KEY = "sk-benchmark-0123456789"
MODEL = "gpt-4o-mini"  # a name that every library knows
MESSAGES = [
    {"role": "system", "content": "You are a terse assistant."},
    {"role": "user", "content": "Say something about a quick brown fox."},
]


class Contender(Protocol):
    """A client that is kept from call to call. With the backend "sync" its methods never really wait."""

    backend: Backend

    async def stream(self, on_text: OnText | None = None) -> int:
        """Stream one answer; return how many pieces of text, reasoning or arguments came. `on_text` gets each text."""

    async def complete(self) -> str:
        """Return the text of one plain answer."""

    async def aclose(self) -> None:
        """Close the connections."""


def body(is_streamed: bool) -> dict[str, Any]:
    """Return the request as those send it who write it themselves."""
    more = {"stream": True, "stream_options": {"include_usage": True}} if is_streamed else {}
    return {"model": MODEL, "messages": MESSAGES, **more}


def piece_of(chunk: dict[str, Any]) -> str | None:
    """Return what a parsed chunk carries, if it carries anything: as a program would that uses no library."""
    if not chunk["choices"]:
        return None
    delta = chunk["choices"][0]["delta"]
    calls = delta.get("tool_calls")
    piece = calls[0]["function"]["arguments"] if calls else delta.get("content") or delta.get("reasoning_content")
    return piece or None
