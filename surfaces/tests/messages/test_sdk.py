"""Anthropic's own Python client before three vendors: what is this protocol's alone, beside `test_sdks.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import chatport
from chatport.testing import Emulator, faults
from chatport_surfaces import Seal, async_http_client, http_client

from .asking import MODELS, SECRET

anthropic = pytest.importorskip("anthropic")
pytest.importorskip("httpx2")

WEATHER = {
    "name": "get_weather",
    "description": "Tell the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
on_vendors = pytest.mark.parametrize("vendor", MODELS)


class World:
    """A vendor's emulator behind the surface, and the official client before it."""

    def __init__(self, vendor: str, **settings: Any) -> None:
        self.emulator = Emulator(vendor, **settings)
        self.model = f"{vendor}:{MODELS[vendor]}"
        self.client = chatport.Client({**self.emulator.config(), "retry": {"attempts": 1}}, transport=self.emulator)
        self.sdk = anthropic.Anthropic(api_key="any", http_client=http_client(self.client, seal=Seal(SECRET)))

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
def test_text(worlds: Any, vendor: Any, way: Any) -> None:
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
def test_thinking_goes_back_over_three_turns(worlds: Any, vendor: Any, way: Any) -> None:
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
def test_errors_are_the_clients_own(worlds: Any, vendor: Any) -> None:
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
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_tool_runner_goes_on_without_a_thread(worlds: Any, vendor: Any, stream: Any) -> None:
    """It asks for a conversation that the server holds, and sends the whole of it where there is none."""
    world = worlds(vendor)

    @anthropic.beta_tool  # type: ignore[untyped-decorator]
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
def test_tokens_are_counted(worlds: Any, vendor: Any) -> None:
    world = worlds(vendor)
    raw = world.sdk.messages.with_raw_response.count_tokens(
        model=world.model, messages=[user("hello " * 100)], tools=[WEATHER], system="Be brief."
    )
    assert 100 < raw.parse().input_tokens < 400
    assert raw.headers["x-chatport-estimate"] == "true"
    assert world.emulator.requests == []


@on_vendors
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_the_asynchronous_client(vendor: Any, anyio_backend: Any) -> None:
    emulator = Emulator(vendor)
    async with chatport.AsyncClient(emulator.config(), transport=emulator) as client:
        http = async_http_client(client, seal=Seal(SECRET))
        async with anthropic.AsyncAnthropic(api_key="any", http_client=http) as sdk:
            options = {"model": f"{vendor}:{MODELS[vendor]}", "max_tokens": 500, "messages": [user("say: one two")]}
            message = await sdk.messages.create(**options)
            async with sdk.messages.stream(**options) as stream:
                pieces = [text async for text in stream.text_stream]
                final = await stream.get_final_message()
    assert message.content[-1].text == "one two"
    assert "".join(pieces) == final.content[-1].text == "one two"
    assert len(pieces) > 1
    assert final.usage.output_tokens == message.usage.output_tokens
