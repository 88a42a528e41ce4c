"""The real llama.cpp server on a tape: recorded while it lives, and killed; played when it is gone, byte for byte."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import attrs
import pytest

import chatport
from chatport.testing import Tape, TapeMissError

MODEL = "llamacpp:tiny-scripted"
WAYS = ("sync", "asyncio", "trio")


def _demo(name: str) -> ModuleType:
    """Import a module of the demo, which is not a package."""
    path = Path(__file__).resolve().parents[3] / "demo" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_for_tapes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


llamacpp_server, tiny_model = _demo("llamacpp_server"), _demo("tiny_model")
if not llamacpp_server.available():
    pytest.skip("xllamacpp is not installed", allow_module_level=True)


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    tiny_model.write_gguf(path, context_tokens=65536)
    return path


@pytest.fixture(scope="module")
def server(model_path: Path) -> Iterator[Any]:
    with llamacpp_server.running_llamacpp(model_path, api_key="a-real-key-of-llama") as running:
        yield running


def config_of(server: Any) -> dict[str, Any]:
    return {"providers": {"llamacpp": {"base_url": server.base_url, "api_key": "a-real-key-of-llama"}}}


OFFLINE = {"providers": {"llamacpp": {"base_url": "http://127.0.0.1:9/v1"}}}
"""Another port, where nobody listens, and no key."""


class Pieces:
    """A transport that notes what another one reads."""

    def __init__(self, tape: Tape, found: list[bytes]) -> None:
        self._tape = tape
        self._found = found

    needs_no_key = property(lambda self: self._tape.needs_no_key)

    def send(self, *given: Any) -> Any:
        exchange, found = self._tape.send(*given), self._found
        read = exchange.read
        exchange.read = lambda seconds: found.append(read(seconds)) or found[-1]  # type: ignore[method-assign]
        return exchange

    def close(self) -> None:
        """Nothing is open."""


def talk(way: str, config: Any, tape: Any) -> list[Any]:
    """Hold a conversation: a plain answer, a stream, a call and its result."""
    options: Any = {"model": MODEL, "temperature": 0}
    tools: Any = [get_weather]

    def told(reply: chatport.Reply) -> Any:
        return attrs.evolve(reply, attempts=()), reply.raw

    if way == "sync":
        with chatport.Client(config, transport=tape) as client:
            plain = client.chat("hi", **options)
            with client.stream("hi", **options) as stream:
                texts = [event.text for event in stream if isinstance(event, chatport.TextDelta)]
            called = client.chat("CALL", tools=tools, **options)
            turns = ["CALL", called, chatport.Message.tool(called.tool_calls[0], "sunny")]
            return [*map(told, (plain, stream.reply, called, client.chat(turns, tools=tools, **options))), texts]

    async def main() -> list[Any]:
        async with chatport.AsyncClient(config, transport=tape) as client:
            plain = await client.chat("hi", **options)
            async with client.stream("hi", **options) as stream:
                texts = [event.text async for event in stream if isinstance(event, chatport.TextDelta)]
            called = await client.chat("CALL", tools=tools, **options)
            turns = ["CALL", called, chatport.Message.tool(called.tool_calls[0], "sunny")]
            last = await client.chat(turns, tools=tools, **options)
            return [*map(told, (plain, stream.reply, called, last)), texts]

    return anyio.run(main, backend=way)


@pytest.mark.parametrize("way", WAYS)
def test_a_conversation_is_recorded_and_played_offline(way: str, server: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Tape(path, mode="record") as tape:
        recorded = talk(way, config_of(server), tape)
    with Tape(path, must_use_all=True) as tape:
        assert talk(way, OFFLINE, tape) == recorded
    assert "a-real-key-of-llama" not in path.read_text("utf-8")
    with pytest.raises(TapeMissError, match="model"), chatport.Client(OFFLINE, transport=Tape(path)) as client:
        client.chat("hi", model="llamacpp:another", temperature=0)


def test_a_server_that_is_killed_in_the_middle_is_killed_there_again(model_path: Path, tmp_path: Path) -> None:
    """The same pieces, byte for byte and cut by cut, and the same break behind the same piece."""
    path, pieces, again = tmp_path / "a.jsonl", list[bytes](), list[bytes]()

    def read(client: chatport.Client, seen: list[str], on_third: Any) -> None:
        with client.stream("LONG", model=MODEL, temperature=0) as stream:
            for event in stream:
                if isinstance(event, chatport.TextDelta):
                    seen.append(event.text)
                    if len(seen) == 3:
                        on_third()

    def ended(config: Any, transport: Any, on_third: Any) -> tuple[Any, ...]:
        seen: list[str] = []
        once = {**config, "retry": {"attempts": 1}}
        with (
            chatport.Client(once, transport=transport) as client,
            pytest.raises(chatport.StreamInterruptedError) as caught,
        ):
            read(client, seen, on_third)
        return seen, str(caught.value), caught.value.partial

    running = llamacpp_server.running_llamacpp(model_path, context_tokens=65536)
    with running as server, Tape(path, mode="record") as tape:
        recorded = ended(config_of(server), Pieces(tape, pieces), server.kill)
    with Tape(path, must_use_all=True) as tape:
        assert ended(OFFLINE, Pieces(tape, again), lambda: None) == recorded
    assert recorded[2].text == "".join(recorded[0])
    assert again == pieces
    assert pieces
    assert '"failure"' in path.read_text("utf-8").splitlines()[-1]
