"""Answers on their way to a client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from chatport_surfaces import Answer, AsyncStreamedAnswer

from .leaving import while_there

__all__ = ["send_stream", "send_whole"]

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


def _head(answer: Any, more: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (*answer.headers, *more)]


async def send_whole(send: Send, answer: Answer, more: Sequence[tuple[str, str]], *, has_body: bool) -> None:
    """Send a whole answer; `more` are further headers."""
    length = ("content-length", str(len(answer.body)))
    headers = _head(answer, (*more, length))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if has_body else b""})


async def send_stream(
    send: Send,
    receive: Receive,
    answer: AsyncStreamedAnswer,
    more: Sequence[tuple[str, str]],
    ended: Callable[[], None],
) -> None:
    """Send a stream as it comes; `ended` is called before the last of it goes out.

    Raises ClientLeft when the client leaves before its end; then the vendor stops.
    """

    async def pieces() -> None:
        await send({"type": "http.response.start", "status": answer.status, "headers": _head(answer, more)})
        async for piece in answer:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        answer.record.reply = answer.stream.partial
        ended()
        await send({"type": "http.response.body", "body": b""})

    try:
        await while_there(receive, pieces)
    finally:
        with anyio.CancelScope(shield=True):
            await answer.aclose()
