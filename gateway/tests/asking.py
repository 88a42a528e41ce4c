"""A gateway asked without a port, in virtual time if need be, and what its client sees in each of three protocols."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import anyio
import attrs
import httpx

import chatport
from chatport.testing import Emulator, VirtualClock
from chatport.testing.faults import Faults
from chatport_gateway import Gateway

from .conftest import VENDORS

__all__ = ["PROTOCOLS", "Protocol", "Seen", "World"]

T = TypeVar("T")


@attrs.frozen
class Seen:
    """What a client has got: `outcome` is `whole`, `failed` for a stream that ends in an error, or `refused`."""

    outcome: str
    text: str
    status: int
    data: bytes


@attrs.frozen
class Protocol:
    """One of the protocols, as its clients see it."""

    name: str
    path: str
    of_user: Callable[[str], dict[str, Any]]

    def body(self, prompt: str, *, stream: bool) -> dict[str, Any]:
        """Return a request of `main`."""
        return {"model": "main", **self.of_user(prompt), "stream": stream}

    def seen(self, answer: httpx.Response, *, stream: bool) -> Seen:
        """Return what was seen. Raises AssertionError for an answer that is neither whole nor an honest error."""
        data = answer.content
        if answer.status_code != 200:
            assert answer.headers["x-should-retry"] in ("true", "false")
            self.check_error(answer.json())
            return Seen("refused", "", answer.status_code, data)
        if not stream:
            return Seen("whole", _WHOLE[self.name](answer.json()), 200, data)
        events = [_event(block) for block in data.decode().split("\n\n") if block.strip()]
        text = "".join(_DELTA[self.name](event) for event in events)
        if _ENDS[self.name](events):
            assert b'"error":{' not in data
            return Seen("whole", text, 200, data)
        self.check_failed(events)
        return Seen("failed", text, 200, data)

    def check_error(self, error: Any) -> None:
        """Assert that an error is one of this protocol."""
        assert isinstance(error["error"]["message"], str)
        assert error["error"]["message"]
        assert isinstance(error["error"]["type"], str)
        if self.name == "messages":
            assert error["type"] == "error"

    def check_failed(self, events: Sequence[Any]) -> None:
        """Assert that a stream that is not whole ends in an error, and has no end of any other kind."""
        kinds = [event["type"] if isinstance(event, Mapping) and "type" in event else event for event in events]
        assert not {"[DONE]", "message_stop", "response.completed", "response.incomplete"} & {
            kind for kind in kinds if isinstance(kind, str)
        }
        match self.name:
            case "chat":
                self.check_error(events[-1])
                for event in events[:-1]:
                    assert [choice["finish_reason"] for choice in event["choices"]] in ([None], [])
            case "messages":
                assert kinds[-1] == "error"
                self.check_error(events[-1])
            case "responses":
                assert kinds[-2:] == ["error", "response.failed"]
                assert events[-1]["response"]["status"] == "failed"
                assert events[-1]["response"]["error"]["message"]


def _event(block: str) -> Any:
    data = "\n".join(line.removeprefix("data: ") for line in block.split("\n") if line.startswith("data:"))
    return data if data == "[DONE]" else json.loads(data)


def _chat_delta(event: Any) -> str:
    if event == "[DONE]" or "choices" not in event:
        return ""
    return "".join(choice["delta"].get("content") or "" for choice in event["choices"])


def _messages_delta(event: Any) -> str:
    return str(event["delta"].get("text", "")) if event["type"] == "content_block_delta" else ""


def _responses_delta(event: Any) -> str:
    return str(event["delta"]) if event["type"] == "response.output_text.delta" else ""


def _responses_whole(body: Any) -> str:
    assert body["status"] == "completed"
    parts = [part for item in body["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part["text"] for part in parts)


def _messages_whole(body: Any) -> str:
    assert body["stop_reason"] in ("end_turn", None)  # none, if a vendor of this protocol has given none
    return "".join(block["text"] for block in body["content"] if block["type"] == "text")


def _chat_whole(body: Any) -> str:
    assert body["choices"][0]["finish_reason"] == "stop"
    return str(body["choices"][0]["message"]["content"])


_DELTA: Mapping[str, Callable[[Any], str]] = {
    "chat": _chat_delta,
    "messages": _messages_delta,
    "responses": _responses_delta,
}
_WHOLE: Mapping[str, Callable[[Any], str]] = {
    "chat": _chat_whole,
    "messages": _messages_whole,
    "responses": _responses_whole,
}
_ENDS: Mapping[str, Callable[[Sequence[Any]], bool]] = {
    "chat": lambda events: bool(events) and events[-1] == "[DONE]",
    "messages": lambda events: bool(events) and events[-1]["type"] == "message_stop",
    "responses": lambda events: bool(events) and events[-1]["type"] == "response.completed",
}
PROTOCOLS: Sequence[Protocol] = (
    Protocol("chat", "/v1/chat/completions", lambda text: {"messages": [{"role": "user", "content": text}]}),
    Protocol("responses", "/v1/responses", lambda text: {"input": text}),
    Protocol(
        "messages", "/v1/messages", lambda text: {"messages": [{"role": "user", "content": text}], "max_tokens": 900}
    ),
)


class World:
    """A gateway before one vendor's emulator, both in process and in virtual time; a client of its own each time."""

    def __init__(self, vendor: str, faults: Faults = (), **tables: Any) -> None:
        self.clock = VirtualClock()
        self.emulator = Emulator(vendor, faults=faults, clock=self.clock)
        self.config = self.emulator.config(
            aliases={"main": [f"{vendor}:{VENDORS[vendor]}"]}, **{"retry": {"attempts": 1}, **tables}
        )

    async def post(self, protocol: Protocol, prompt: str, *, stream: bool) -> httpx.Response:
        """Ask, on the loop that runs."""
        async with chatport.AsyncClient(self.config, transport=self.emulator, clock=self.clock.clock) as client:
            transport = httpx.ASGITransport(Gateway(client=client))
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as http:
                return await http.post(protocol.path, json=protocol.body(prompt, stream=stream))

    def ask(self, protocol: Protocol, prompt: str, *, stream: bool, backend: str = "asyncio") -> Seen:
        """Ask, and return what a client sees."""

        async def asked() -> httpx.Response:
            return await self.post(protocol, prompt, stream=stream)

        return protocol.seen(anyio.run(asked, backend=backend), stream=stream)
