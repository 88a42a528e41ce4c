"""What real clients have sent goes through the gateway to four vendors: no refusal, and nothing is lost unsaid."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

import chatport
from chatport.testing import Emulator
from chatport_gateway import Gateway
from chatport_surfaces import Seal
from chatport_surfaces.sealing import Sealed
from chatport_surfaces.told import WARNINGS

RECORDED = Path(__file__).resolve().parents[2].parent / "shared" / "clients"
FILES = sorted(RECORDED.glob("*.jsonl"))
TARGETS = {
    "openai chat": ("openai:gpt-4.1", {"protocol": "chat"}),
    "openai responses": ("openai:gpt-6-sol", {"protocol": "responses"}),
    "openai": ("openai:gpt-6-sol", {}),
    "anthropic": ("anthropic:claude-opus-4-8", {}),
    "deepseek": ("deepseek:deepseek-flash", {}),
}
EMBEDDING = "openai:text-embedding-3-small"
SEALED_ELSEWHERE = re.compile(r"Y2hhdHBvcnQ6b3BhcXVlLXN0YXRl|b3BhcXVl[A-Za-z0-9+/=_-]*")
"""What stands in the recordings for the state of whoever answered then. Here this gateway would have sealed it."""


def recorded() -> Iterator[Any]:
    """Give each request as a parameter of a test."""
    for path in FILES:
        for number, line in enumerate(path.read_text().splitlines()):
            request = json.loads(SEALED_ELSEWHERE.sub(Seal().close(Sealed("who-answered-then")), line))
            yield pytest.param(request, id=f"{path.stem}-{number}")


def asked(request: Mapping[str, Any], target: str, settings: Mapping[str, Any]) -> tuple[Emulator, httpx.Response]:
    """Send a request to the gateway as its client did; `main` is the target."""
    vendor = target.partition(":")[0]
    emulator = Emulator(vendor)
    tables = emulator.config(aliases={"main": [target]}, retry={"attempts": 1})
    tables["providers"][vendor] |= settings
    content = None if request["body"] is None else json.dumps({**request["body"], "model": "main"}).encode()

    async def main() -> httpx.Response:
        async with chatport.AsyncClient(tables, transport=emulator) as client:
            transport = httpx.ASGITransport(Gateway(client=client))
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as http:
                headers = {name: value for name, value in request["headers"].items() if name != "content-length"}
                return await http.request(request["method"], request["path"], headers=headers, content=content)

    return emulator, anyio.run(main)


@pytest.mark.skipif(not FILES, reason=f"no recordings: {RECORDED} is not there")
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("request_", list(recorded()))
def test_nobody_refuses_and_nothing_is_lost_unsaid(request_: Mapping[str, Any], target: Any) -> None:
    name, settings = target
    if request_["path"] == "/v1/embeddings":
        if not name.startswith("openai"):
            return  # the other two have none
        name = EMBEDDING
    emulator, answer = asked(request_, name, settings)
    assert answer.status_code == 200, answer.text
    body = request_["body"]
    if not body or request_["path"].endswith(("/embeddings", "/count_tokens")):
        return
    if body.get("stream"):
        ends = ("data: [DONE]", '"type":"response.completed"', "event: message_stop")
        assert any(end in answer.text for end in ends), answer.text[-500:]
    told = [text.partition(":")[0].partition(" ")[2] for text in json.loads(answer.headers.get(WARNINGS, "[]"))]
    assert "" not in told
    check_texts(body, emulator.requests[-1].json(), told)
    check_fields(body, emulator.requests[-1].json(), told)


_SHOWN = ("system", "instructions", "messages", "input", "tools")


def check_texts(body: Mapping[str, Any], sent: Any, told: Sequence[str]) -> None:
    """Assert that every text for the model, and every tool's name and words, was sent."""
    there = "\n".join(all_texts(sent))
    missing = [text for name in _SHOWN for text in texts(body.get(name)) if text not in there]
    assert missing == []


def texts(value: Any) -> Iterator[str]:
    """Give the texts of a request that the model is to read, and the names and words of tools."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, field in value.items():
            if isinstance(field, str) and name in ("text", "content", "description", "name", "output", "arguments"):
                yield from [field] if name != "arguments" else [text for text in all_texts(field) if text != field]
            elif not isinstance(field, str) and name not in ("cache_control", "summary"):
                yield from texts(field)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item) if not isinstance(item, str) else ()


def all_texts(value: Any) -> Iterator[str]:
    """Give every text anywhere in what was sent; arguments of calls are read as JSON, and as they are."""
    if isinstance(value, str):
        yield value
        if value.startswith("{"):
            try:
                yield from all_texts(json.loads(value))
            except ValueError:
                return
    elif isinstance(value, Mapping):
        for name, field in value.items():
            yield name
            yield from all_texts(field)
    elif isinstance(value, list):
        for item in value:
            yield from all_texts(item)


_AS_OTHERS: Mapping[str, Sequence[str]] = {
    "max_tokens": ("max_tokens", "max_completion_tokens", "max_output_tokens"),
    "messages": ("messages", "input"),
    "input": ("messages", "input"),
    "system": ("system", "messages", "input"),
    "instructions": ("instructions", "system", "messages", "input"),
    "response_format": ("response_format", "output_config", "text"),
    "text": ("response_format", "output_config", "text"),
    "thinking": ("thinking", "reasoning", "reasoning_effort"),
    "output_config": ("output_config", "reasoning", "reasoning_effort"),
    "reasoning": ("thinking", "reasoning", "reasoning_effort"),
}
"""Under which names a field may go on."""
_SAY_NOTHING: Mapping[str, Sequence[Any]] = {
    "stream": (False,),
    "tools": ([],),
    "tool_choice": ("auto",),
    "parallel_tool_calls": (True,),
    "store": (False, True),  # nothing is kept here, and a vendor is told so
    "stream_options": ({"include_usage": True},),  # done here
    "include": (["reasoning.encrypted_content"], []),  # always done
    "reasoning": ({"summary": "auto"}, {"effort": None, "summary": "auto"}),
}
"""Values that are what holds without them, or are done by the gateway."""


def check_fields(body: Mapping[str, Any], sent: Mapping[str, Any], told: Sequence[str]) -> None:
    """Assert that every field of a request was sent, is told as changed or left out, or says nothing."""
    roots = {field.partition(".")[0].partition("[")[0] for field in told} | set(told)
    lost = [
        name
        for name, value in body.items()
        if value is not None
        and not any(other in sent or other in roots for other in (name, *_AS_OTHERS.get(name, ())))
        and value not in _SAY_NOTHING.get(name, ())
    ]
    assert lost == []
    if json.dumps(body).count('"cache_control"') != json.dumps(sent).count('"cache_control"'):
        assert any("cache_control" in field for field in told)
