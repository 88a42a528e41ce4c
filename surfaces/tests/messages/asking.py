"""A client of the surface before emulated vendors: requests go in as bytes, and what comes out is read as bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import attrs
import pytest

import chatport
from chatport.testing import Emulator
from chatport_surfaces import Answer, AsyncSurfaces, ClientRequest, Seal, Surfaces
from chatport_surfaces.messages import surface

__all__ = [
    "MODELS",
    "SECRET",
    "Answered",
    "Event",
    "ask",
    "events_of",
    "on_backends",
    "read",
    "said",
]

SECRET = b"a secret of the tests"
MODELS = {"openai": "gpt-6-sol", "anthropic": "claude-sonnet-4-6", "deepseek": "deepseek-flash"}
"""Vendors of three protocols; OpenAI's is Responses where tools and reasoning meet."""
BACKENDS = ("asyncio", "trio", "sync")
on_backends = pytest.mark.parametrize("backend", BACKENDS)

Event = tuple[str, Mapping[str, Any]]


@attrs.frozen
class Answered:
    """What a client got: the status, headers by name, the body, and the error that a stream ended in, as we know it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    error: chatport.ChatportError | None = None
    reply: chatport.Reply | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Event]:
        return events_of(self.body)

    @property
    def content(self) -> list[dict[str, Any]]:
        """The blocks of the answer, whole or put together from its stream as a client would."""
        return self.json["content"] if self.headers["content-type"] == "application/json" else blocks_of(self.events)

    @property
    def warned(self) -> set[str]:
        """The fields that the reply has warnings about."""
        assert self.reply is not None
        return {note.field for note in self.reply.warnings}


def events_of(data: bytes) -> list[Event]:
    """Return the events of a stream; each has a name, which its data repeats (AN-S1)."""
    events = []
    for frame in data.decode().split("\n\n"):
        lines = frame.strip("\n").split("\n")
        if lines == [""]:
            continue
        assert lines[0].startswith("event: "), f"a client passes over this: {frame!r}"
        body = json.loads("\n".join(line.removeprefix("data: ") for line in lines[1:]))
        assert body["type"] == lines[0].removeprefix("event: ")
        events.append((body["type"], body))
    return events


def blocks_of(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Put the blocks of a stream together."""
    blocks: list[dict[str, Any]] = []
    inputs: dict[int, str] = {}
    for name, data in events:
        if name == "content_block_start":
            blocks.append(dict(data["content_block"]))
        elif name == "content_block_delta":
            block, delta = blocks[data["index"]], data["delta"]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "thinking_delta":
                    block["thinking"] += delta["thinking"]
                case "signature_delta":
                    block["signature"] = delta["signature"]
                case "citations_delta":
                    block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
                case "input_json_delta":
                    inputs[data["index"]] = inputs.get(data["index"], "") + delta["partial_json"]
    for index, text in inputs.items():
        blocks[index]["input"] = _value(text or "{}")
    return blocks


def _value(text: str) -> Any:
    """Return the arguments of a call; those that were cut as the text that they are."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def said(content: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of an answer."""
    return "".join(block["text"] for block in content if block["type"] == "text")


def request_of(body: Any, headers: Mapping[str, str] | None = None, path: str = "/v1/messages") -> ClientRequest:
    return ClientRequest(
        "POST", path, headers or {}, body=body if isinstance(body, bytes) else json.dumps(body).encode()
    )


def ask(
    emulator: Emulator,
    body: Any,
    headers: Mapping[str, str] | None = None,
    *,
    backend: str = "sync",
    path: str = "/v1/messages",
    secret: bytes = SECRET,
    **tables: Any,
) -> Answered:
    """Ask in a body, on one of three ways, and take all of the answer. `tables` are further configuration."""
    options: dict[str, Any] = {"config": {**emulator.config(), **tables}, "transport": emulator}
    request = request_of(body, headers, path)
    if backend == "sync":
        with chatport.Client(**options) as client:
            answer = Surfaces(client, [surface], seal=Seal(secret)).answer(request)
            if isinstance(answer, Answer):
                return _whole(answer)
            data = b"".join(answer)
            answer.close()
            return _streamed(answer, data)

    async def asked() -> Answered:
        async with chatport.AsyncClient(**options) as client:
            answer = await AsyncSurfaces(client, [surface], seal=Seal(secret)).answer(request)
            if isinstance(answer, Answer):
                return _whole(answer)
            data = b"".join([piece async for piece in answer])
            await answer.aclose()
            return _streamed(answer, data)

    return anyio.run(asked, backend=backend)


def _whole(answer: Answer) -> Answered:
    return Answered(answer.status, dict(answer.headers), answer.body)


def _streamed(answer: Any, data: bytes) -> Answered:
    reply = None if answer.error is not None else answer.stream.reply
    return Answered(answer.status, dict(answer.headers), data, answer.error, reply)


def read(body: Mapping[str, Any], headers: Mapping[str, str] | None = None, secret: bytes = SECRET) -> Any:
    """Return what is read of a request."""
    context: Any = type("Context", (), {"seal": Seal(secret)})()
    return surface.read(
        request_of({"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}, headers), context
    )
