"""The official SDK, synchronous and not, in front of vendors of three protocols: create, parse, stream, errors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import chatport
from chatport.testing import Emulator, faults
from chatport_surfaces import Answer, AsyncSurfaces, ClientRequest, Surfaces
from chatport_surfaces.responses import ResponsesSurface

from .asking import MODELS

openai = pytest.importorskip("openai")
httpx = pytest.importorskip("httpx")
pydantic = pytest.importorskip("pydantic")

VENDORS = pytest.mark.parametrize("vendor", ["openai", "anthropic", "deepseek"])
TOOL = {"type": "function", "name": "look", "description": "Looks.", "strict": False,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}  # fmt: skip
BOTH = 'call: look {"city": "Rome"}\ncall: look {"city": "Oslo"}'


class Out(pydantic.BaseModel):  # type: ignore[misc,name-defined]  # the package may be absent
    a: str


def asked(request: Any) -> ClientRequest:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return ClientRequest(request.method, request.url.path, headers, body=request.read())


class Pieces(httpx.SyncByteStream):  # type: ignore[misc,name-defined]
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self.answer

    def close(self) -> None:
        self.answer.close()


class AsyncPieces(httpx.AsyncByteStream):  # type: ignore[misc,name-defined]
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self.answer:
            yield piece

    async def aclose(self) -> None:
        await self.answer.aclose()


class Transport(httpx.BaseTransport):  # type: ignore[misc,name-defined]
    def __init__(self, surfaces: Surfaces) -> None:
        self.surfaces = surfaces

    def handle_request(self, request: Any) -> Any:
        answer = self.surfaces.answer(asked(request))
        content = {"content": answer.body} if isinstance(answer, Answer) else {"stream": Pieces(answer)}
        return httpx.Response(answer.status, headers=list(answer.headers), **content)


class AsyncTransport(httpx.AsyncBaseTransport):  # type: ignore[misc,name-defined]
    def __init__(self, surfaces: AsyncSurfaces) -> None:
        self.surfaces = surfaces

    async def handle_async_request(self, request: Any) -> Any:
        await request.aread()
        answer = await self.surfaces.answer(asked(request))
        content = {"content": answer.body} if isinstance(answer, Answer) else {"stream": AsyncPieces(answer)}
        return httpx.Response(answer.status, headers=list(answer.headers), **content)


def of(vendor: str, given: Any = ()) -> tuple[Emulator, chatport.Client, Any]:
    emulator = Emulator(vendor, faults=given)
    client = chatport.Client(emulator.config(retry={"attempts": 1}), transport=emulator)
    transport = Transport(Surfaces(client, [ResponsesSurface()]))
    return emulator, client, openai.OpenAI(api_key="k", http_client=httpx.Client(transport=transport))


@VENDORS
def test_create_and_a_loop_of_tools(vendor: str) -> None:
    _, client, sdk = of(vendor)
    with client, sdk:
        talk: list[Any] = [{"role": "user", "content": BOTH}]
        first = sdk.responses.create(model=MODELS[vendor], input=talk, tools=[TOOL])
        calls = [item for item in first.output if item.type == "function_call"]
        assert [json.loads(call.arguments)["city"] for call in calls] == ["Rome", "Oslo"]
        talk += first.output
        talk += [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls]
        second = sdk.responses.create(model=MODELS[vendor], input=talk, tools=[TOOL])
        assert "sunny" in second.output_text
        assert second.usage.total_tokens > 0


@VENDORS
def test_parse(vendor: str) -> None:
    _, client, sdk = of(vendor)
    with client, sdk:
        parsed = sdk.responses.parse(model=MODELS[vendor], input="hi", text_format=Out)
        assert isinstance(parsed.output_parsed, Out)


@VENDORS
def test_stream_of_a_structure(vendor: str) -> None:
    _, client, sdk = of(vendor)
    with client, sdk, sdk.responses.stream(model=MODELS[vendor], input="hi", text_format=Out) as stream:
        assert any(event.type == "response.output_text.delta" for event in stream)
        assert isinstance(stream.get_final_response().output_parsed, Out)


@VENDORS
def test_stream_of_text_and_thoughts(vendor: str) -> None:
    _, client, sdk = of(vendor)
    wish = {"reasoning": {"effort": "high", "summary": "auto"}}
    with client, sdk, sdk.responses.stream(model=MODELS[vendor], input="think: hm\nsay: one two", **wish) as stream:
        events = list(stream)
        final = stream.get_final_response()
        assert final.output_text == "one two"
        deltas = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
        assert "".join(deltas) == "hm"


@VENDORS
def test_leaving_a_stream_early_stops_its_vendor(vendor: str) -> None:
    _, client, sdk = of(vendor)
    with client, sdk:
        stream = sdk.responses.create(model=MODELS[vendor], input="say: one two three", stream=True)
        assert next(iter(stream)).type == "response.created"
        stream.close()
        assert sdk.responses.create(model=MODELS[vendor], input="say: on").output_text == "on"


@VENDORS
def test_errors_are_the_sdks_own_and_nothing_is_asked_twice(vendor: str) -> None:
    emulator, client, sdk = of(vendor)
    with client, sdk:
        for status, kind in (
            (401, openai.AuthenticationError),
            (429, openai.RateLimitError),
            (400, openai.BadRequestError),
        ):
            before = len(emulator.requests)
            with pytest.raises(kind):
                sdk.responses.create(model=MODELS[vendor], input=f"error: {status}")
            assert len(emulator.requests) == before + 1


@VENDORS
def test_a_cut_stream_is_an_error(vendor: str) -> None:
    _, client, sdk = of(vendor, [faults.cut(after_events=8)])
    with client, sdk:
        stream = sdk.responses.create(model=MODELS[vendor], input="say: one two three four five six", stream=True)
        seen: list[Any] = []
        with pytest.raises(openai.APIError, match=r"broke off|ended|cut|before"):
            seen.extend(event.type for event in stream)
        assert "response.completed" not in seen


@VENDORS
@pytest.mark.anyio
async def test_without_blocking(vendor: str) -> None:
    """On asyncio and trio: create, and a stream that is left early."""
    emulator = Emulator(vendor)
    async with chatport.AsyncClient(emulator.config(), transport=emulator.asynchronous()) as client:
        http = httpx.AsyncClient(transport=AsyncTransport(AsyncSurfaces(client, [ResponsesSurface()])))
        async with openai.AsyncOpenAI(api_key="k", http_client=http) as sdk:
            reply = await sdk.responses.create(model=MODELS[vendor], input="say: one two")
            assert reply.output_text == "one two"
            async with sdk.responses.stream(model=MODELS[vendor], input="say: one two") as stream:
                final = await stream.get_final_response()
            assert final.output_text == "one two"
            parsed = await sdk.responses.parse(model=MODELS[vendor], input="hi", text_format=Out)
            assert isinstance(parsed.output_parsed, Out)
            async with sdk.responses.stream(model=MODELS[vendor], input="say: one two three") as stream:
                while (await stream.__anext__()).type != "response.output_text.delta":
                    pass
