"""Our plugins against real servers, with a model whose replies are known. Opt in: `make test ARGS="-m real_server"`."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import chatport

ROOT = Path(__file__).resolve().parents[2]


def _load(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


tiny_model = _load("tiny_model_for_real_servers", ROOT / "demo" / "tiny_model.py")
servers = _load("real_servers_helper", Path(__file__).with_name("servers.py"))

pytestmark = [pytest.mark.real_server, pytest.mark.timeout(400)]


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


def get_time(zone: str) -> str:
    """Tell the time in a zone."""
    return f"noon in {zone}"


@pytest.fixture(scope="module", params=servers.SERVERS, ids=lambda kind: kind.provider)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    kind = request.param
    if not os.environ.get(kind.variable):
        pytest.skip(f"${kind.variable} does not name a Python with {kind.provider}")
    folder = tmp_path_factory.mktemp(kind.provider)
    tiny_model.write_hf(folder / "tiny-hf")
    with servers.running(kind, folder) as running:
        yield running


@pytest.fixture(params=["sockets", "httpx"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(server: Any, transport: str) -> Iterator[chatport.Client]:
    with chatport.Client(config=_config(server, transport)) as client:
        yield client


def _config(server: Any, transport: str = "sockets") -> dict[str, Any]:
    return {
        "transport": transport,
        "providers": {server.kind.provider: {"base_url": server.base_url}},
        "aliases": {"it": [f"{server.kind.provider}:{server.kind.model}"]},
        "timeouts": {"total": 120},
    }


def test_a_plain_reply_is_whole(client: chatport.Client) -> None:
    reply = client.chat("hello", model="it", max_tokens=40, temperature=0)
    assert reply.text.strip() == tiny_model.DEFAULT_SAY
    assert reply.finish_reason == "stop"
    assert reply.usage.output_tokens


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_stream_is_the_same_on_both_loops(server: Any, transport: str, backend: str) -> None:
    async def main() -> chatport.Reply:
        async with (
            chatport.AsyncClient(config=_config(server, transport)) as client,
            client.stream("hello", model="it", max_tokens=40, temperature=0) as stream,
        ):
            pieces = [event.text async for event in stream if isinstance(event, chatport.TextDelta)]
            assert "".join(pieces) == stream.reply.text
            return stream.reply

    reply = anyio.run(main, backend=backend)
    assert reply.text.strip() == tiny_model.DEFAULT_SAY
    assert reply.finish_reason == "stop"
    assert reply.usage.output_tokens


def test_a_tool_call_arrives_in_a_stream_and_its_result_is_taken(server: Any, client: chatport.Client) -> None:
    if not server.kind.tools:
        pytest.skip("this server cannot call tools with this model")
    messages: list[Any] = [chatport.Message.user("CALL TWO please")]
    tools = [get_weather, get_time]
    with client.stream(messages, model="it", tools=tools, max_tokens=200, temperature=0) as stream:
        ended = [event for event in stream if isinstance(event, chatport.ToolCallEnded)]
    reply = stream.reply
    assert [call.name for call in reply.tool_calls] == ["get_time", "get_weather"]
    assert [event.name for event in ended] == ["get_time", "get_weather"]
    assert reply.finish_reason == "tool_calls"
    messages.append(reply)
    messages += [chatport.Message.tool(call, chatport.run_tool(call, tools)) for call in reply.tool_calls]
    answer = client.chat(messages, model="it", tools=tools, max_tokens=60, temperature=0)
    assert tiny_model.DEFAULT_SAY in answer.text


def test_a_schema_is_kept(server: Any, client: chatport.Client) -> None:
    if not server.kind.schema:
        pytest.skip("this server ignores response_format")
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
        "additionalProperties": False,
    }
    reply = client.chat("fill it in", model="it", output=schema, max_tokens=100, temperature=0)
    assert set(reply.parsed()) == {"city", "days"}


def test_a_cut_reply_says_so(client: chatport.Client) -> None:
    reply = client.chat("LONG", model="it", max_tokens=12, temperature=0)
    assert reply.finish_reason == "length"


def test_too_long_an_input_is_a_context_error(server: Any, client: chatport.Client) -> None:
    if not server.kind.context_error:
        pytest.skip("this server does not check its context")
    with pytest.raises(chatport.ContextLengthError) as caught:
        client.chat("x" * 5000, model="it", max_tokens=10)
    assert not caught.value.retryable


def test_an_unknown_model_is_an_error_that_is_not_retried(server: Any) -> None:
    with chatport.Client(config=_config(server)) as client, pytest.raises(chatport.ChatportError) as caught:
        client.chat("hello", model=f"{server.kind.provider}:no-such-model", max_tokens=5)
    assert not caught.value.retryable
    assert len(caught.value.attempts) == 1


def test_leaving_a_stream_stops_the_server(client: chatport.Client) -> None:
    with client.stream("LONG", model="it", max_tokens=1500, temperature=0) as stream:
        for event in stream:
            if isinstance(event, chatport.TextDelta):
                break
    assert client.chat("hello", model="it", max_tokens=40, temperature=0).text.strip() == tiny_model.DEFAULT_SAY
