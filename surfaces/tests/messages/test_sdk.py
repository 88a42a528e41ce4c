"""Anthropic's own Python client, in both its forms, speaks to vendors of three protocols without knowing."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import chatport
from chatport.testing import Emulator, faults
from chatport_surfaces import Answer, AsyncSurfaces, ClientRequest, Seal, Surfaces
from chatport_surfaces.messages import surface

from .asking import MODELS, SECRET

anthropic = pytest.importorskip("anthropic")
httpx2 = pytest.importorskip("httpx2")
pydantic = pytest.importorskip("pydantic")

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
WEATHER = {
    "name": "get_weather",
    "description": "Tell the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
on_vendors = pytest.mark.parametrize("vendor", MODELS)


class Transport(httpx2.BaseTransport):
    """Takes the client's requests to a surface in this process."""

    def __init__(self, surfaces: Surfaces) -> None:
        self.surfaces = surfaces
        self.closed = 0

    def handle_request(self, request: Any) -> Any:
        answer = self.surfaces.answer(client_request(request, request.read()))
        if isinstance(answer, Answer):
            return httpx2.Response(answer.status, headers=list(answer.headers), content=answer.body)
        return httpx2.Response(answer.status, headers=list(answer.headers), stream=Stream(answer, self))


class Stream(httpx2.SyncByteStream):
    def __init__(self, answer: Any, transport: Transport) -> None:
        self.answer, self.transport = answer, transport

    def __iter__(self) -> Iterator[bytes]:
        yield from self.answer

    def close(self) -> None:
        self.transport.closed += 1
        self.answer.close()


class AsyncTransport(httpx2.AsyncBaseTransport):
    def __init__(self, surfaces: AsyncSurfaces) -> None:
        self.surfaces = surfaces

    async def handle_async_request(self, request: Any) -> Any:
        answer = await self.surfaces.answer(client_request(request, await request.aread()))
        if isinstance(answer, Answer):
            return httpx2.Response(answer.status, headers=list(answer.headers), content=answer.body)
        return httpx2.Response(answer.status, headers=list(answer.headers), stream=AsyncStream(answer))


class AsyncStream(httpx2.AsyncByteStream):
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self.answer:
            yield piece

    async def aclose(self) -> None:
        await self.answer.aclose()


def client_request(request: Any, body: bytes) -> ClientRequest:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return ClientRequest(request.method, request.url.path, headers, request.url.query.decode(), body)


class World:
    """A vendor's emulator behind the surface, and the official client before it."""

    def __init__(self, vendor: str, **settings: Any) -> None:
        self.emulator = Emulator(vendor, **settings)
        self.model = f"{vendor}:{MODELS[vendor]}"
        self.client = chatport.Client({**self.emulator.config(), "retry": {"attempts": 1}}, transport=self.emulator)
        self.transport = Transport(Surfaces(self.client, [surface], seal=Seal(SECRET)))
        self.sdk = anthropic.Anthropic(
            api_key="any", base_url="http://gateway.example", http_client=httpx2.Client(transport=self.transport)
        )

    def create(self, messages: Any, **options: Any) -> Any:
        return self.sdk.messages.create(model=self.model, max_tokens=4000, messages=messages, **options)

    def streamed(self, messages: Any, **options: Any) -> Any:
        with self.sdk.messages.stream(model=self.model, max_tokens=4000, messages=messages, **options) as stream:
            for _ in stream:
                pass
            return stream.get_final_message()

    @property
    def sent(self) -> Any:
        return self.emulator.requests[-1].json()


@pytest.fixture
def worlds() -> Iterator[Any]:
    made: list[World] = []

    def make(vendor: str, **settings: Any) -> World:
        made.append(World(vendor, **settings))
        return made[-1]

    yield make
    for world in made:
        world.sdk.close()
        world.client.close()


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


WAYS = ["create", "streamed"]


@on_vendors
@pytest.mark.parametrize("way", WAYS)
def test_text(worlds, vendor, way):
    world = worlds(vendor)
    message = getattr(world, way)([user("say: hello there")], system="Be brief.", stop_sequences=["zzz"])
    assert [block.text for block in message.content if block.type == "text"] == ["hello there"]
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert message.usage.cache_read_input_tokens == 0
    assert message.id.startswith("msg_")


@on_vendors
@pytest.mark.parametrize("way", WAYS)
def test_parallel_tools_and_their_results(worlds, vendor, way):
    world = worlds(vendor)
    talk = [user('call: get_weather {"city": "Rome"}\ncall: get_weather {"city": "Oslo"}')]
    message = getattr(world, way)(talk, tools=[WEATHER])
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [
        ("get_weather", {"city": "Rome"}),
        ("get_weather", {"city": "Oslo"}),
    ]
    assert message.stop_reason == "tool_use"
    assert len({call.id for call in calls}) == 2
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"sunny {n}"} for n, call in enumerate(calls)]
    talk += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
    last = getattr(world, way)(talk, tools=[WEATHER])
    assert "sunny 1" in next(block.text for block in last.content if block.type == "text")


@on_vendors
def test_an_image(worlds, vendor):
    world = worlds(vendor)
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    world.create([{"role": "user", "content": [{"type": "text", "text": "say: seen"}, image]}])
    assert PNG in json.dumps(world.sent)


@on_vendors
@pytest.mark.parametrize("way", WAYS)
def test_thinking_goes_back_over_three_turns(worlds, vendor, way):
    """The vendors refuse, or are told, what is missing of it: nothing is."""
    world = worlds(vendor)
    options = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "tools": [WEATHER]}
    talk: list[Any] = [user('think: Rome first.\ncall: get_weather {"city": "Rome"}')]
    for turn in range(3):
        message = getattr(world, way)(talk, **options)
        calls = [block for block in message.content if block.type == "tool_use"]
        talk.append({"role": "assistant", "content": message.content})
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls]
        more = {"type": "text", "text": f'think: again {turn}.\ncall: get_weather {{"city": "Oslo{turn}"}}'}
        talk.append({"role": "user", "content": [*results, more]})
    body = json.dumps(world.sent)
    assert "cp1." not in body
    match vendor:
        case "deepseek":
            given = [turn.get("reasoning_content") for turn in world.sent["messages"] if turn["role"] == "assistant"]
            assert given[0] == "Rome first."
            assert given[1] == "again 0."
        case "anthropic":
            turns = [turn["content"] for turn in world.sent["messages"] if turn["role"] == "assistant"]
            assert [turn[0]["type"] for turn in turns] == ["thinking"] * 2
            assert turns[0][0]["signature"].startswith("sig_")
        case "openai":
            kinds = [item.get("type") for item in world.sent["input"]]
            assert kinds.count("reasoning") == 2


@on_vendors
def test_structured_output_is_parsed(worlds, vendor):
    class City(pydantic.BaseModel):
        name: str

    world = worlds(vendor)
    message = world.sdk.messages.parse(
        model=world.model, max_tokens=500, messages=[user('say: {"name": "Rome"}')], output_format=City
    )
    assert message.parsed_output == City(name="Rome")


@on_vendors
def test_errors_are_the_clients_own(worlds, vendor):
    world = worlds(vendor, faults=[faults.status(401), faults.rate_limited(3), faults.status(500)])
    with pytest.raises(anthropic.AuthenticationError) as caught:
        world.create([user("hi")])
    assert caught.value.body["error"]["type"] == "authentication_error"
    assert caught.value.request_id.startswith(("req_", caught.value.body["request_id"]))
    with pytest.raises(anthropic.RateLimitError) as limited:
        world.create([user("hi")])
    assert limited.value.response.headers["x-should-retry"] == "false"
    with pytest.raises(anthropic.InternalServerError):
        world.create([user("hi")])
    assert len(world.emulator.requests) == 3  # the client has not tried again: that is done here
    with pytest.raises(anthropic.NotFoundError):
        world.sdk.messages.create(model="nobody", max_tokens=5, messages=[user("hi")])


@on_vendors
def test_a_stream_that_breaks_off_raises(worlds, vendor):
    world = worlds(vendor, faults=[faults.cut(after_events=4)])
    with pytest.raises(anthropic.APIStatusError) as caught:
        world.streamed([user("say: one two three four five six")])
    assert caught.value.body["error"]["type"] == "api_error"


@on_vendors
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_tool_runner_goes_on_without_a_thread(worlds, vendor, stream):
    """It asks for a conversation that the server holds, and sends the whole of it where there is none."""
    world = worlds(vendor)

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """Tell the weather in a city."""
        return f"sunny in {city}"

    runner = world.sdk.beta.messages.tool_runner(
        model=world.model,
        max_tokens=4000,
        tools=[get_weather],
        messages=[user('call: get_weather {"city": "Rome"}')],
        stream=stream,
    )
    final = runner.until_done()
    assert final.content[-1].text == "The tool says: sunny in Rome"
    assert len(world.emulator.requests) == 2
    assert "thread" not in world.sent


@on_vendors
def test_leaving_early_stops_the_vendor(worlds, vendor):
    world = worlds(vendor)
    with world.sdk.messages.stream(
        model=world.model, max_tokens=500, messages=[user("say: " + "word " * 50)]
    ) as stream:
        for event in stream:
            if event.type == "text":
                break
    assert world.transport.closed == 1


@on_vendors
def test_tokens_are_counted(worlds, vendor):
    world = worlds(vendor)
    raw = world.sdk.messages.with_raw_response.count_tokens(
        model=world.model, messages=[user("hello " * 100)], tools=[WEATHER], system="Be brief."
    )
    assert 100 < raw.parse().input_tokens < 400
    assert raw.headers["x-chatport-estimate"] == "true"
    assert world.emulator.requests == []


@on_vendors
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_the_asynchronous_client(vendor, anyio_backend):
    emulator = Emulator(vendor)
    async with chatport.AsyncClient(emulator.config(), transport=emulator) as client:
        transport = AsyncTransport(AsyncSurfaces(client, [surface], seal=Seal(SECRET)))
        http = httpx2.AsyncClient(transport=transport)
        async with anthropic.AsyncAnthropic(api_key="any", base_url="http://gateway.example", http_client=http) as sdk:
            options = {"model": f"{vendor}:{MODELS[vendor]}", "max_tokens": 500, "messages": [user("say: one two")]}
            message = await sdk.messages.create(**options)
            async with sdk.messages.stream(**options) as stream:
                pieces = [text async for text in stream.text_stream]
                final = await stream.get_final_message()
    assert message.content[-1].text == "one two"
    assert "".join(pieces) == final.content[-1].text == "one two"
    assert len(pieces) > 1
    assert final.usage.output_tokens == message.usage.output_tokens
