"""A client before the surface: requests in, responses and events out, with an emulated vendor behind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import chatport
from chatport.testing import Emulator
from chatport_surfaces import Answer, ClientRequest, Seal, StreamedAnswer, Surfaces
from chatport_surfaces.responses import MemoryStore, ResponsesSurface

MODELS = {
    "openai": "openai:gpt-5.6-sol",
    "anthropic": "anthropic:claude-sonnet-5",
    "deepseek": "deepseek:deepseek-flash",
    "qwen": "qwen:qwen3.7-plus",
}
SHARED = Path(__file__).resolve().parents[3].parent / "shared"


class World:
    """A vendor, a client of it, and the surface before that."""

    def __init__(
        self, *vendors: str, faults: Any = (), store: MemoryStore | None = None, seal: Seal | None = None, **config: Any
    ) -> None:
        self.emulator = Emulator(vendors[0], faults=faults)
        self.model = MODELS.get(vendors[0], vendors[0])
        self.client = chatport.Client(self.emulator.config(retry={"attempts": 1}, **config), transport=self.emulator)
        self.surfaces = Surfaces(self.client, [ResponsesSurface(store)], seal=seal)
        self.warnings: list[str] = []

    def answer(self, body: Mapping[str, Any], path: str = "/v1/responses") -> Answer | StreamedAnswer:
        content = json.dumps({"model": self.model, **body}).encode()
        return self.surfaces.answer(ClientRequest("POST", path, {}, body=content))

    def whole(self, given: Any, status: int = 200, **body: Any) -> Any:
        """Return the JSON of a whole answer."""
        answer = self.answer({"input": given, **body})
        assert isinstance(answer, Answer)
        assert answer.status == status, answer.body
        return json.loads(answer.body)

    def events(self, given: Any, **body: Any) -> list[Any]:
        """Return the events of a stream."""
        answer = self.answer({"input": given, "stream": True, **body})
        assert isinstance(answer, StreamedAnswer), answer
        with_error = events_of(b"".join(answer))
        if answer.error is None:
            self.warnings = [str(warning) for warning in answer.stream.reply.warnings]
        answer.close()
        return with_error

    def response(self, given: Any, *, stream: bool, **body: Any) -> Any:
        """Return the response object, whole or at the end of a stream."""
        return self.events(given, **body)[-1]["response"] if stream else self.whole(given, **body)

    @property
    def sent(self) -> Any:
        """The body of the last request that the vendor got."""
        return self.emulator.requests[-1].json()

    def explained(self, given: Any, **body: Any) -> chatport.Explanation:
        """Return what would be sent for a request."""
        content = json.dumps({"model": self.model, "input": given, **body}).encode()
        asked = ResponsesSurface().read(ClientRequest("POST", "/v1/responses", body=content), self.surfaces.context)
        return self.client.explain(list(asked.messages), model=asked.model, native=asked.native, **asked.options)


@contextmanager
def world(*vendors: str, **settings: Any) -> Iterator[World]:
    """Open a world, and close it."""
    made = World(*vendors, **settings)
    with made.client:
        yield made


def events_of(data: bytes) -> list[Any]:
    """Return the events of a stream; each names itself twice, and there is no end mark."""
    events = []
    for block in data.decode().replace("\r\n", "\n").strip("\n").split("\n\n"):
        name, _, rest = block.partition("\n")
        event = json.loads(rest.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def shared(*parts: str) -> Sequence[Path]:
    """Return recordings in their order. Skips the test where there are none."""
    found = sorted(SHARED.glob("/".join(parts)))
    if not found:
        pytest.skip(f"no recordings {'/'.join(parts)}")
    return found


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def results(output: Sequence[Mapping[str, Any]], text: str = "sunny") -> list[dict[str, Any]]:
    """Return the results of the calls in an output."""
    calls = [item for item in output if item["type"] in ("function_call", "custom_tool_call")]
    return [{"type": f"{call['type']}_output", "call_id": call["call_id"], "output": text} for call in calls]
