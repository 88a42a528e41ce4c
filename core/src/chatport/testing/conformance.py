"""The conformance suite that every provider package runs, ours and a third party's alike.

    # tests/test_conformance.py
    from chatport.testing.conformance import conformance

    TestConformance = conformance("acme")

It needs pytest and the provider's emulator, and no network. Each test says in its name what a provider must do.
"""

from __future__ import annotations

import copy
import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import anyio
import attrs
import pytest

from .. import errors as e
from .. import events as ev
from ..aio import AsyncClient
from ..call import Call, Chunk, OutputSpec, StreamState, Tool, ToolChoice
from ..collect import Collector
from ..config import load_config
from ..engine.attempt import Route
from ..engine.commands import Head
from ..guard import is_own_host
from ..prepare import Port
from ..registry import build_plan, load_provider
from ..schema import read_tools
from ..shaping import shape
from ..sync import Client
from ..types import Message, Reply, ToolCall
from .recordings import decode_events, play, route_of
from .server import Emulator

__all__ = ["conformance"]

CANARY = "canary-key-0123456789abcdef"
STATUSES: Mapping[int, tuple[type[e.ChatportError], ...]] = {
    400: (e.BadRequestError,),
    401: (e.AuthenticationError,),
    402: (e.QuotaExceededError,),
    403: (e.PermissionDeniedError, e.QuotaExceededError, e.ContentFilterError),
    404: (e.ModelNotFoundError, e.BadRequestError),
    429: (e.RateLimitError, e.QuotaExceededError, e.OverloadedError),
    500: (e.ServerError,),
    503: (e.OverloadedError, e.ServerError),
}
NEVER_AGAIN = (
    e.BadRequestError,
    e.AuthenticationError,
    e.PermissionDeniedError,
    e.QuotaExceededError,
    e.ModelNotFoundError,
)

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "temperature": {"temperature": 0.4},
    "top_p": {"top_p": 0.9},
    "max_tokens": {"max_tokens": 900},
    "stop": {"stop": ["###"]},
    "seed": {"seed": 7},
    "reasoning off": {"reasoning": "none"},
    "reasoning low": {"reasoning": "low"},
    "reasoning high": {"reasoning": "high"},
    "a budget": {"reasoning": 2048},
    "everything": {"temperature": 1, "top_p": 1, "max_tokens": 4000, "seed": 1, "reasoning": "high"},
}


def get_weather(city: str, days: int = 1) -> str:
    """Tell the weather in a city.

    Args:
        city: the city's name
        days: how many days ahead
    """
    return f"sunny in {city} for {days} days"


def conformance(provider: str, *, model: str | None = None, statuses: tuple[int, ...] = tuple(STATUSES)) -> type[Any]:
    """Return the test class of a provider. `model`: one that can call tools (default: the emulator's first).

    `statuses` are the HTTP statuses for which the emulator has the vendor's own error bodies.
    """
    chosen = model or Emulator(provider).vendor.models[0]
    attributes = {"provider": provider, "model": chosen, "target": f"{provider}:{chosen}", "statuses": statuses}
    return type("TestConformance", (_Conformance,), attributes)


class _Conformance:
    provider = ""
    model = ""
    target = ""
    statuses: tuple[int, ...] = ()

    # --- what is registered

    def test_the_provider_is_registered_under_its_name_and_its_hooks_keep_the_contract(self) -> None:
        provider = load_provider(self.provider)
        build_plan(provider)
        assert provider.title, "a provider has a title for messages"
        if provider.base_url and not provider.base_url.startswith("http://127.0.0.1"):
            assert provider.base_url.startswith("https://"), "a vendor is reached over https"
            assert is_own_host(provider, provider.base_url)

    def test_every_fact_has_a_source_and_every_successor_is_current(self) -> None:
        facts = load_provider(self.provider).facts
        if facts is None:
            pytest.skip("this provider has no facts file")
        entries: tuple[Any, ...] = (*facts.models, *facts.prices, *facts.retired)
        nameless = [entry for entry in entries if not entry.source]
        assert not nameless, f"without a source: {nameless[:3]}"
        retired = {entry.id: entry.successor for entry in facts.retired}
        for old, new in retired.items():
            assert new not in retired or retired[new] != old, f"{old} and {new} succeed each other"

    # --- the emulator and the client agree

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    @pytest.mark.parametrize("way", ["sync", "asyncio", "trio"])
    def test_an_answer_is_the_same_on_every_way(self, way: str, stream: bool) -> None:
        reply = self._answer(way, "say: one two three", stream=stream)
        assert reply.text == "one two three"
        assert reply.finish_reason == "stop"
        assert reply.provider == self.provider
        assert reply.usage.output_tokens, "the emulator reports usage, and it is read"

    @pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
    def test_no_option_makes_the_vendor_refuse(self, options: Any) -> None:
        """What this vendor does not take is left out or changed, with a warning; or refused before it is sent."""
        client, emulator = self._client()
        try:
            reply = client.chat("say: fine", model=self.target, **options)
        except e.UnsupportedFeatureError:
            assert not emulator.requests, "an unsupported feature is refused before a byte is sent"
        else:
            assert reply.text == "fine"

    def test_the_roles_of_the_standard_are_accepted(self) -> None:
        client, _ = self._client()
        messages = [
            Message.system("Be brief."),
            Message.developer("Be kind."),
            Message.user("hello"),
            Message.assistant("Hello!"),
            Message.user("say: well"),
        ]
        assert client.chat(messages, model=self.target).text == "well"

    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    def test_a_tool_goes_there_and_back(self, stream: bool) -> None:
        """The call is whole, its result is accepted, and so is the whole history one turn later."""
        client, _ = self._client()
        tools = [get_weather]
        messages: list[Any] = [Message.user('call: get_weather {"city": "Oslo"}')]
        reply = self._ask(client, messages, stream, tools=tools)
        assert [(call.name, call.parsed()) for call in reply.tool_calls] == [("get_weather", {"city": "Oslo"})]
        assert reply.finish_reason == "tool_calls"
        assert reply.tool_calls[0].id
        messages += [reply, Message.tool(reply.tool_calls[0], "sunny")]
        answer = self._ask(client, messages, stream, tools=tools)
        assert "sunny" in answer.text
        messages += [answer, Message.user("say: again")]
        assert self._ask(client, messages, stream, tools=tools).text == "again"

    @pytest.mark.parametrize("choice", ["auto", "none", "required", "get_weather"])
    def test_every_tool_choice_is_sent_lowered_or_refused(self, choice: str) -> None:
        client, emulator = self._client()
        try:
            reply = client.chat("Weather?", model=self.target, tools=[get_weather], tool_choice=choice)
        except e.UnsupportedFeatureError:
            assert not emulator.requests
            return
        lowered = any("tool" in note.field or "thinking" in note.field for note in reply.warnings)
        if choice == "none":
            assert not reply.tool_calls
        elif choice != "auto" and not lowered:
            assert reply.tool_calls

    def test_a_structure_is_kept_or_the_loss_is_said(self) -> None:
        client, emulator = self._client()
        schema = {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
            "additionalProperties": False,
        }
        try:
            reply = client.chat("Fill it in.", model=self.target, output=schema)
        except e.UnsupportedFeatureError:
            assert not emulator.requests
            return
        if not any("response_format" in note.field or "output" in note.field for note in reply.warnings):
            assert set(reply.parsed()) == {"city", "days"}

    def test_names_no_vendor_takes_are_shortened_and_come_back(self) -> None:
        name = "weather.now/" + "x" * 150
        client, emulator = self._client()
        reply = client.chat("Weather?", model=self.target, tools=[Tool(name, "Tell the weather.")])
        assert all(call.name == name for call in reply.tool_calls)
        sent = emulator.requests[-1].content.decode()
        assert name not in sent, "the name is sent in a form the vendor takes"

    # --- streams

    def test_a_stream_means_the_same_however_its_bytes_are_cut(self) -> None:
        for prompt, tools in (("say: one two", None), ('call: get_weather {"city": "Oslo"}', [get_weather])):
            body = self._recorded(prompt, tools)
            whole = self._events([body])
            assert self._events([body[i : i + 1] for i in range(len(body))]) == whole, "byte by byte"
            step = max(len(body) // 400, 1)
            for place in range(1, len(body), step):
                assert self._events([body[:place], body[place:]]) == whole, f"cut at byte {place}"

    def test_a_stream_that_is_cut_is_never_a_whole_answer(self) -> None:
        body = self._recorded("say: one two three four", None)
        whole = self._events([body])[-1]
        assert isinstance(whole, ev.Finished)
        for place in range(0, len(body), max(len(body) // 300, 1)):
            try:
                last = self._events([body[:place]])[-1]
            except e.ChatportError as error:
                text = error.partial.text if error.partial else ""
                assert whole.reply.text.startswith(text), f"cut at byte {place}: no prefix: {text!r}"
            else:
                assert isinstance(last, ev.Finished)
                assert last.reply.text == whole.reply.text, f"cut at byte {place}: a part was taken for the whole"

    # --- errors

    def test_every_status_has_its_class_and_nothing_final_is_tried_again(self) -> None:
        for status in self.statuses:
            client, emulator = self._client(attempts=1)
            with pytest.raises(e.ChatportError) as caught:
                client.chat(f"error: {status}", model=self.target)
            error = caught.value
            assert isinstance(error, STATUSES[status]), f"{status} became {type(error).__name__}: {error}"
            if isinstance(error, NEVER_AGAIN):
                assert not error.retryable, f"{status} ({type(error).__name__}) must not be tried again"
            assert error.provider == self.provider
            assert len(emulator.requests) == 1

    def test_unknown_errors_are_errors_of_ours(self) -> None:
        bodies = (b"", b"<html>gone</html>", b"[]", b"null", b'"x"', b'{"error": 5}', b'{"error": {"code": {}}}', b"{")
        for status in (400, 404, 418, 429, 500, 502, 599):
            for body in bodies:
                with pytest.raises(e.ChatportError) as caught:
                    decode_events(self.provider, status=status, body=body, stream=False, model=self.model)
                assert not (status < 500 and status != 429 and caught.value.retryable), (status, body)

    # --- hooks are pure

    def test_hooks_give_the_same_for_the_same_and_change_nothing(self) -> None:
        for call in _calls():
            port, context = self._context()
            before = copy.deepcopy(attrs.asdict(call))
            try:
                first = shape(port.plan, call, context)
            except e.UnsupportedFeatureError:
                continue
            assert shape(port.plan, call, context) == first, "the same call gave another request"
            assert attrs.asdict(call) == before, "a hook changed the call it was given"

    def test_decoding_changes_no_chunk_and_depends_on_nothing_else(self) -> None:
        port, context = self._context()
        chunks = [line[6:] for line in self._recorded("say: one two", None).splitlines() if line.startswith(b"data: ")]

        def decoded() -> list[Any]:
            state, found = StreamState(), []
            for raw in chunks:
                chunk = Chunk(raw, json.loads(raw).get("type", "message") if raw[:1] == b"{" else "message")
                before = copy.deepcopy(chunk.data) if raw[:1] == b"{" else None
                found.append(port.plan.decode_chunk(chunk, state, context))
                assert before is None or chunk.data == before, "a hook changed the chunk it was given"
            return found

        assert decoded() == decoded()

    # --- the key

    def test_the_key_shows_nowhere(self) -> None:
        emulator = Emulator(self.provider, **self._key_setting())
        client = Client(config=emulator.config(retry={"attempts": 1}), transport=emulator)
        shown = [
            repr(client),
            str(client.explain("hi", model=self.target)),
            repr(client.explain("hi", model=self.target)),
        ]
        shown.append(repr(client.chat("say: hi", model=self.target)))
        try:
            client.chat("error: 401", model=self.target)
        except e.ChatportError as error:
            shown += [str(error), repr(error.raw), "".join(traceback.format_exception(error))]
        assert not [text for text in shown if CANARY in text]
        assert any(CANARY in value for request in emulator.requests for value in request.headers.values())
        assert not any(CANARY in request.path for request in emulator.requests), "a key is never sent in a URL"

    # --- tools for the tests

    def _key_setting(self) -> dict[str, Any]:
        return {"api_key": CANARY}

    def _client(self, *, attempts: int = 1) -> tuple[Client, Emulator]:
        emulator = Emulator(self.provider)
        return Client(config=emulator.config(retry={"attempts": attempts}), transport=emulator), emulator

    def _ask(self, client: Client, messages: Any, stream: bool, **options: Any) -> Reply:
        if not stream:
            return client.chat(messages, model=self.target, **options)
        with client.stream(messages, model=self.target, **options) as events:
            for _ in events:
                pass
        return events.reply

    def _answer(self, way: str, text: str, *, stream: bool) -> Reply:
        if way == "sync":
            return self._ask(self._client()[0], text, stream)

        async def main() -> Reply:
            emulator = Emulator(self.provider)
            async with AsyncClient(config=emulator.config(), transport=emulator) as client:
                if not stream:
                    return await client.chat(text, model=self.target)
                async with client.stream(text, model=self.target) as events:
                    async for _ in events:
                        pass
                return events.reply

        return anyio.run(main, backend=way)

    def _recorded(self, prompt: str, tools: Any) -> bytes:
        """Return the bytes of a stream as the emulator writes them."""
        emulator = Emulator(self.provider)
        transport = _Keeping(emulator)
        client = Client(config=emulator.config(), transport=transport)
        with client.stream(prompt, model=self.target, tools=tools) as stream:
            for _ in stream:
                pass
        return b"".join(transport.pieces)

    def _events(self, pieces: list[bytes]) -> list[Any]:
        head = Head(200, {"content-type": "text/event-stream"})
        return list(_joined(play(_route_of(self.provider, self.model), head, pieces, deliver=True)[0]))

    def _context(self) -> tuple[Any, Any]:
        emulator = Emulator(self.provider)
        port = Port(load_config(emulator.config(), environment={}), environment={})
        ready = port.provider(self.provider)
        return ready, ready.context(self.model, port.facts(ready, self.model))


@cache
def _route_of(provider: str, model: str) -> Route:
    """Return the route of a provider's streams; it is the same for all the thousands of cuts."""
    return route_of(provider, model, True)


class _Keeping:
    """A transport that keeps the bytes which an emulator answers."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.pieces: list[bytes] = []

    def send(self, request: Any, connect_seconds: float | None, head_seconds: float | None) -> Any:
        exchange = self._emulator.send(request, connect_seconds, head_seconds)
        read: Callable[[float | None], bytes] = exchange.read

        def keeping(seconds: float | None) -> bytes:
            piece = read(seconds)
            self.pieces.append(piece)
            return piece

        exchange.read = keeping  # type: ignore[method-assign]  # this one exchange only
        return exchange

    def close(self) -> None:
        """Nothing is open."""


def _joined(events: list[Any]) -> Iterator[Any]:
    """Give the events as they are, and prove on the way that they add up to the reply."""
    collector = Collector()
    for event in events:
        if isinstance(event, ev.Finished):
            assert event.reply.text == collector.reply().text, "the deltas do not add up to the reply"
        else:
            collector.add(event)
        yield event


def _calls() -> Iterator[Call]:
    tools = read_tools([get_weather])
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    user = Message.user("hello")
    yield Call((user,))
    yield Call(
        (Message.system("s"), Message.developer("d"), user), stream=True, temperature=0.5, top_p=0.5, max_tokens=50
    )
    yield Call((user,), tools=tools, tool_choice=ToolChoice("required"), reasoning="high")
    yield Call((user,), output=OutputSpec("o", schema), reasoning="none", stop=("x",), seed=3)
    call = ToolCall("call_1", "get_weather", '{"city": "Oslo"}')
    yield Call((user, Message.assistant(tool_calls=(call,)), Message.tool(call, "sunny")), tools=tools)
