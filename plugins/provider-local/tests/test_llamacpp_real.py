"""The llama.cpp provider against the real server, with a tiny model whose replies are known; sync, asyncio and trio."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import attrs
import httpx
import pytest

from chatport import (
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    ChatportError,
    Client,
    ContextLengthError,
    ImagePart,
    Message,
    ReasoningDelta,
    Reply,
    StreamInterruptedError,
    TextDelta,
    ToolCallEnded,
    UnsupportedFeatureError,
)
from chatport.inputs.options import read_call
from chatport.setup.config import load_config
from chatport.setup.routes import Routes
from chatport.setup.vendors import Vendors
from chatport.testing import replay


def _demo(name: str) -> ModuleType:
    """Import a module of the demo, which is not a package."""
    path = Path(__file__).resolve().parents[3] / "demo" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


llamacpp_server, tiny_model = _demo("llamacpp_server"), _demo("tiny_model")
if not llamacpp_server.available():
    pytest.skip("xllamacpp is not installed", allow_module_level=True)

MODEL = "llamacpp:tiny-scripted"
SENTENCE = "Hello from a tiny local model."
EXACT: dict[str, Any] = {"model": MODEL, "temperature": 0}
LONG_CONTEXT = 65536  # some 20 seconds of `LONG`


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


def get_time(zone: str) -> str:
    """Tell the time."""
    return zone


@dataclass
class Person:
    name: str
    age: int


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    tiny_model.write_gguf(path, context_tokens=LONG_CONTEXT)
    return path


@pytest.fixture(scope="module")
def base_url(model_path: Path) -> Iterator[str]:
    with llamacpp_server.running_llamacpp(model_path) as server:
        yield server.base_url


class Caller:
    """One of the three ways to call, over one of the two transports, with one interface."""

    def __init__(self, kind: str, transport: str) -> None:
        self.kind = kind
        self.transport = transport

    def chat(self, base_url: str, messages: Any, *, api_key: str | None = None, **options: Any) -> Reply:
        config = {**_config(base_url, api_key), "transport": self.transport}
        if self.kind == "sync":
            with Client(config=config) as client:
                return client.chat(messages, **{**EXACT, **options})

        async def run() -> Reply:
            async with AsyncClient(config=config) as client:
                return await client.chat(messages, **{**EXACT, **options})

        return anyio.run(run, backend=self.kind)

    def stream(
        self, base_url: str, messages: Any, *, each: Callable[[Any], bool] | None = None, **options: Any
    ) -> tuple[list[Any], Reply | None]:
        """Return events and reply of a stream; `each` sees every event, and ends the stream by saying True."""
        config, events = {**_config(base_url, None), "transport": self.transport}, []
        stop = each or (lambda event: False)
        if self.kind == "sync":
            with Client(config=config) as client, client.stream(messages, **{**EXACT, **options}) as stream:
                for event in stream:
                    events.append(event)
                    if stop(event):
                        return events, None
                return events, stream.reply

        async def run() -> Reply | None:
            async with AsyncClient(config=config) as client, client.stream(messages, **{**EXACT, **options}) as stream:
                async for event in stream:
                    events.append(event)
                    if stop(event):
                        return None
                return stream.reply

        return events, anyio.run(run, backend=self.kind)


def _config(base_url: str, api_key: str | None) -> dict[str, Any]:
    table = {"base_url": base_url, **({"api_key": api_key} if api_key else {})}
    found = {"hosts": base_url}
    return {"providers": {"llamacpp": table, "local": found}, "retry": {"attempts": 1}, "timeouts": {"total": 60}}


@pytest.fixture(params=["sockets", "httpx"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def caller(request: pytest.FixtureRequest, transport: str) -> Caller:
    return Caller(request.param, transport)


def test_a_plain_answer(caller: Caller, base_url: str) -> None:
    reply = caller.chat(base_url, "hi")
    assert (reply.text, reply.finish_reason, reply.model) == (SENTENCE, "stop", "tiny-scripted")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (22, 7)
    assert reply.usage.cached_input_tokens is not None  # LC-U1
    assert reply.warnings == ()


def test_a_stream(caller: Caller, base_url: str) -> None:
    events, reply = caller.stream(base_url, "hi")
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(pieces) == 6
    assert reply is not None
    assert ("".join(pieces), reply.text, reply.usage.output_tokens) == (SENTENCE, SENTENCE, 7)


def test_a_letter_cut_into_bytes_comes_whole(caller: Caller, base_url: str) -> None:
    """LC-S1: the first chunk, with the role, is left out then."""
    events, reply = caller.stream(base_url, "EMOJI")
    assert reply is not None
    assert reply.text == f"\U0001f600 {SENTENCE}"
    assert all("\ufffd" not in event.text for event in events if isinstance(event, TextDelta))


def test_a_tool_and_its_result(caller: Caller, base_url: str) -> None:
    reply = caller.chat(base_url, "CALL", tools=[get_weather, get_time])
    (call,) = reply.tool_calls
    assert (reply.finish_reason, call.name, call.parsed()) == ("tool_calls", "get_weather", {"city": "Paris"})
    turns = ["CALL", reply.message, Message.tool(call, get_weather(**call.parsed()))]
    assert caller.chat(base_url, turns, tools=[get_weather, get_time]).text == SENTENCE


def test_parallel_tools(caller: Caller, base_url: str) -> None:
    events, reply = caller.stream(base_url, "CALL TWO", tools=[get_weather, get_time])
    assert reply is not None
    called = [(call.name, call.parsed()) for call in reply.tool_calls]
    assert called == [("get_time", {"zone": "UTC"}), ("get_weather", {"city": "Paris"})]
    assert [event.name for event in events if isinstance(event, ToolCallEnded)] == ["get_time", "get_weather"]


def test_a_named_tool_is_called(caller: Caller, base_url: str) -> None:
    """LC-T1; and LC-T2: text may come before it."""
    reply = caller.chat(base_url, "hi", tools=[get_weather, get_time], tool_choice="get_time")
    assert [call.name for call in reply.tool_calls] == ["get_time"]
    assert set(reply.tool_calls[0].parsed()) == {"zone"}  # LC-T3
    assert [note.fact for note in reply.warnings] == ["LC-T1"]


def test_a_call_cut_short_is_not_complete(caller: Caller, base_url: str) -> None:
    """LC-T6."""
    reply = caller.chat(base_url, "CALL", tools=[get_weather], max_tokens=6)
    assert (reply.finish_reason, reply.tool_calls[0].complete) == ("length", False)


def test_a_structure(caller: Caller, base_url: str) -> None:
    assert caller.chat(base_url, "hi", output=Person).parsed() == Person("a", 0)


def test_a_structure_does_not_rule_out_tools(caller: Caller, base_url: str) -> None:
    """LC-J1."""
    reply = caller.chat(base_url, "CALL", tools=[get_weather], output=Person)
    assert [call.name for call in reply.tool_calls] == ["get_weather"]
    assert [(note.kind, note.fact) for note in reply.warnings] == [("lowered", "LC-J1")]


def test_thinking_on_and_off(caller: Caller, base_url: str) -> None:
    """LC-R1, LC-R2."""
    events, reply = caller.stream(base_url, "THINK")
    assert reply is not None
    assert (reply.reasoning, reply.text) == ("Let me see", SENTENCE)
    assert any(isinstance(event, ReasoningDelta) for event in events)
    off = caller.chat(base_url, "THINK", reasoning="none")
    assert (off.reasoning, off.text) == (None, SENTENCE)
    again = caller.chat(base_url, ["THINK", reply, "and?"])  # the thoughts go back with their answer
    assert again.text == SENTENCE


def test_a_beginning_is_not_repeated_in_a_stream(base_url: str) -> None:
    """LC-P6: the tiny model begins anew behind a blank, and the server adds nothing of what was there."""
    vendors = Vendors(load_config(_config(base_url, None), environment={}), environment={})
    call, timeouts = read_call("hi", stream=True, temperature=0)
    route = Routes(vendors).route(attrs.evolve(call, prefix="Hello from a "), MODEL, timeouts=timeouts, options={})
    answer = httpx.post(f"{base_url}/chat/completions", json=dict(route.wire.body))
    assert answer.status_code == 200
    assert replay("llamacpp", body=answer.content, stream=True).text == SENTENCE


def test_a_prompt_that_is_too_long(caller: Caller, base_url: str) -> None:
    """LC-C1."""
    for call in (caller.chat, caller.stream):
        with pytest.raises(ContextLengthError) as caught:
            call(base_url, "x" * 9000)
        assert (caught.value.status, caught.value.retryable) == (400, False)
        assert caught.value.raw["error"]["n_ctx"] == 2048


def test_an_unknown_model_is_served_by_the_one_that_is_loaded(caller: Caller, base_url: str) -> None:
    """LC-M3: the reply says who answered."""
    assert caller.chat(base_url, "hi", model="llamacpp:no-such-model").model == "tiny-scripted"


def test_mistakes_behind_a_500(caller: Caller, base_url: str) -> None:
    """LC-T7, LC-I1."""
    call = {"id": "c", "type": "function", "function": {"name": "get_time", "arguments": '{"zo'}}
    turns = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]
    wrong: list[tuple[Any, dict[str, Any], type[ChatportError]]] = [
        ("hi", {"tools": [get_time], "extra": {"messages": turns}}, BadRequestError),
        ("hi", {"extra": {"tools": [{"name": "f"}]}}, BadRequestError),
        ([Message.user("?", ImagePart("data:image/png;base64,iVBORw0KGgo="))], {}, UnsupportedFeatureError),
    ]
    for messages, options, error in wrong:
        with pytest.raises(error) as caught:
            caller.chat(base_url, messages, **options)
        assert (caught.value.status, caught.value.retryable) == (500, False)


def test_embeddings_of_a_server_that_makes_none(base_url: str) -> None:
    """LC-I1."""
    with Client(config=_config(base_url, None)) as client, pytest.raises(UnsupportedFeatureError):
        client.embed("hi", model=MODEL)


def test_the_model_list_has_the_window(base_url: str) -> None:
    """LC-M1."""
    with Client(config=_config(base_url, None)) as client:
        (model,) = client.models("llamacpp")
    assert (model.id, model.owned_by, model.context_tokens) == ("tiny-scripted", "llamacpp", 2048)


@pytest.mark.parametrize("model", ["local:auto", "local:tiny-scripted"])
def test_it_is_found_where_it_runs(caller: Caller, base_url: str, model: str) -> None:
    """D2: and its own rules hold then, such as LC-T1."""
    tools: dict[str, Any] = {"tools": [get_weather, get_time], "tool_choice": "get_time"}
    _, reply = caller.stream(base_url, "hi", model=model, **tools)
    assert reply is not None
    assert (reply.provider, reply.model) == ("local", "tiny-scripted")
    assert [call.name for call in reply.tool_calls] == ["get_time"]
    assert caller.chat(base_url, "hi", model=model).text == SENTENCE


def test_a_key_that_is_wrong_or_missing(caller: Caller, model_path: Path) -> None:
    """LC-B2."""
    with llamacpp_server.running_llamacpp(model_path, api_key="right-key") as server:
        for key in (None, "wrong-key"):
            with pytest.raises(AuthenticationError) as caught:
                caller.chat(server.base_url, "hi", api_key=key)
            assert "wrong-key" not in repr(caught.value.raw)
        assert caller.chat(server.base_url, "hi", api_key="right-key").text == SENTENCE


def test_leaving_a_stream_frees_the_only_slot(caller: Caller, model_path: Path) -> None:
    """LC-Q1, LC-Q2: otherwise the next call would wait for tens of thousands of tokens."""
    options: dict[str, Any] = {"slots": 1, "context_tokens": LONG_CONTEXT}
    with llamacpp_server.running_llamacpp(model_path, **options) as server:
        events, reply = caller.stream(server.base_url, "LONG", each=lambda event: isinstance(event, TextDelta))
        assert (reply, events[-1].text.strip()) == (None, "la")
        assert caller.chat(server.base_url, "hi", timeout=5).text == SENTENCE


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_a_call_frees_the_only_slot(backend: str, model_path: Path) -> None:
    """LC-Q2: a plain call too, since it is a stream inside."""

    async def run(base_url: str) -> str:
        async with AsyncClient(config=_config(base_url, None)) as client:
            with anyio.move_on_after(0.2) as scope:
                await client.chat("LONG", **EXACT)
            assert scope.cancelled_caught
            return (await client.chat("hi", **EXACT, timeout=5)).text

    options: dict[str, Any] = {"slots": 1, "context_tokens": LONG_CONTEXT}
    with llamacpp_server.running_llamacpp(model_path, **options) as server:
        assert anyio.run(run, server.base_url, backend=backend) == SENTENCE


def test_a_server_killed_in_mid_stream(caller: Caller, model_path: Path) -> None:
    with llamacpp_server.running_llamacpp(model_path, context_tokens=LONG_CONTEXT) as server:
        seen: list[str] = []

        def kill_soon(event: Any) -> bool:
            if isinstance(event, TextDelta):
                seen.append(event.text)
                if len(seen) == 3:
                    server.kill()
            return False

        with pytest.raises(StreamInterruptedError) as caught:
            caller.stream(server.base_url, "LONG", each=kill_soon)
        partial = caught.value.partial
        assert partial is not None
        assert partial.text == "".join(seen)
        assert partial.text.startswith("la la la")
        assert partial.finish_reason == "error"
