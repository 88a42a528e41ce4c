"""What a user may rely on, on asyncio, trio and without a loop, over each way to reach a vendor."""

from __future__ import annotations

import contextlib
import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import attrs
import httpx
import httpx2
import pytest

import chatport
from chatport.setup.vendors import Vendors
from chatport.testing import EmulatedRequest, EmulatedResponse, Emulator, VendorEmulator

from .adapter import BACKENDS, AsyncRunner, Runner, SyncRunner, open_runner

WAYS = ("in process", "loopback", "stock httpx", "httpx2", "own httpx client")
MODEL = "compatible:emulated-model"
QUICK = {"retry": {"first_seconds": 0.001, "longest_seconds": 0.001}}


class Vendor(VendorEmulator):
    """The plain standard with embeddings, and failures that pass after a while."""

    failures: tuple[int, ...] = ()

    def respond(self, request: EmulatedRequest) -> EmulatedResponse:
        if request.path.endswith("/embeddings"):
            self.requests.append(request)
            texts = request.json()["input"]
            vectors = [{"index": n, "embedding": [float(len(t)), 0.5]} for n, t in reversed(list(enumerate(texts)))]
            usage = {"prompt_tokens": 4, "total_tokens": 4}
            return self.reply(200, {"object": "list", "model": "embedder", "data": vectors, "usage": usage})
        return super().respond(request)

    def check(self, body: Any) -> None:
        if self.failures:
            status, self.failures = self.failures[0], self.failures[1:]
            raise self.error_for(status)
        super().check(body)


@attrs.frozen
class Setting:
    """An emulated vendor, and a client that reaches it."""

    runner: Runner
    vendor: Vendor

    def body(self, number: int = -1) -> Any:
        return self.vendor.requests[number].json()


Open = Callable[..., Setting]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(backend: str, way: str) -> Iterator[Open]:
    """Open a client with further configuration tables; all is closed in the end."""
    with contextlib.ExitStack() as stack:

        def open_setting(**tables: Any) -> Setting:
            emulator = Emulator("compatible")
            emulator.vendor = vendor = Vendor(api_key="sk-emulated")
            if way != "in process":
                stack.enter_context(emulator)
            transports: dict[str, tuple[Any, Any]] = {
                "in process": (lambda: emulator, lambda: emulator),
                "loopback": (None, None),
                "stock httpx": (lambda: "httpx", lambda: "httpx"),
                "httpx2": (lambda: httpx2.AsyncClient(verify=False), lambda: httpx2.Client(verify=False)),
                "own httpx client": (
                    lambda: httpx.AsyncClient(verify=False, follow_redirects=True, timeout=0.5),
                    lambda: httpx.Client(verify=False, follow_redirects=True, timeout=0.5),
                ),
            }
            asynchronous, synchronous = transports[way]
            config = emulator.config(model=MODEL, **tables)
            runner = stack.enter_context(
                open_runner(backend, config, asynchronous=asynchronous, synchronous=synchronous)
            )
            return Setting(runner, vendor)

        yield open_setting


@pytest.fixture
def s(opened: Open) -> Setting:
    return opened(**QUICK)


def weather(town: str, days: int = 1) -> str:
    """Tell the weather.

    Args:
        town: where
    """
    return f"sunny in {town} for {days} days"


def clock(zone: str) -> str:
    """Tell the time."""
    return f"noon in {zone}"


# --- replies


def test_a_plain_reply(s: Setting) -> None:
    reply = s.runner.chat("say: hello there")
    assert (reply.text, reply.finish_reason, reply.raw_finish_reason) == ("hello there", "stop", "stop")
    assert (reply.provider, reply.model, reply.request_id) == ("compatible", "emulated-model", "req-00000001")
    assert reply.usage.output_tokens == 2
    assert reply.usage.input_tokens is not None
    assert reply.usage.cached_input_tokens is None, "unknown is None, never 0"
    assert reply.cost is None
    assert reply.warnings == ()
    assert [attempt.outcome for attempt in reply.attempts] == ["ok"]
    assert reply.raw["choices"][0]["message"]["content"] == "hello there"


def test_a_streamed_reply_is_the_same_in_pieces(s: Setting) -> None:
    plain = s.runner.chat("say: hello there, you")
    streamed = s.runner.stream("say: hello there, you")
    assert streamed.text == "hello there, you"
    assert [e.text for e in streamed.events if isinstance(e, chatport.TextDelta)] == ["hello", " there,", " you"]
    assert streamed.events[-1] == chatport.Finished(streamed.reply)  # type: ignore[arg-type]  # it has one
    assert streamed.reply is not None
    assert (streamed.reply.text, streamed.reply.finish_reason) == (plain.text, plain.finish_reason)
    assert streamed.reply.usage == plain.usage
    assert s.body(0).get("stream") is None
    assert s.body(1)["stream"] is True


def test_usage_is_an_event_too(s: Setting) -> None:
    streamed = s.runner.stream("hello")
    (usage,) = [e.usage for e in streamed.events if isinstance(e, chatport.UsageReported)]
    assert streamed.reply is not None
    assert usage == streamed.reply.usage


def test_the_key_is_sent_and_nothing_else_that_was_not_asked_for(s: Setting) -> None:
    s.runner.chat("hello", temperature=0.5, extra={"top_k": 3})
    (request,) = s.vendor.requests
    assert request.headers["authorization"] == "Bearer sk-emulated"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("chatport/")
    assert not {"cookie", "referer"} & request.headers.keys()
    assert s.body() == {
        "model": "emulated-model",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0.5,
        "top_k": 3,
    }


def test_a_conversation_goes_on_with_the_reply_as_it_is(s: Setting) -> None:
    reply = s.runner.chat("say: first")
    s.runner.chat(["one", reply, {"role": "user", "content": "two"}])
    assert s.body()["messages"] == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "first"},
        {"role": "user", "content": "two"},
    ]


def test_a_reply_cut_at_its_limit_says_so(s: Setting) -> None:
    reply = s.runner.chat("say: one two three four", max_tokens=2)
    assert (reply.text, reply.finish_reason) == ("one two", "length")
    assert s.runner.stream("say: one two three four", max_tokens=2).reply.finish_reason == "length"  # type: ignore[union-attr]


def test_a_refusal_is_no_text(s: Setting) -> None:
    streamed = s.runner.stream("refuse: I cannot do that")
    for reply in (s.runner.chat("refuse: I cannot do that"), streamed.reply):
        assert reply is not None
        assert (reply.text, reply.refusal) == ("", "I cannot do that")
        with pytest.raises(chatport.MalformedReplyError, match="refused"):
            reply.parsed()
    pieces = [e.text for e in streamed.events if isinstance(e, chatport.RefusalDelta)]
    assert "".join(pieces) == "I cannot do that"
    assert len(pieces) == 4


# --- tools


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tools_round_trip(s: Setting, streamed: bool) -> None:
    def ask(messages: Any) -> chatport.Reply:
        reply = (
            s.runner.stream(messages, tools=[weather]).reply if streamed else s.runner.chat(messages, tools=[weather])
        )
        assert reply is not None
        return reply

    reply = ask('call: weather {"town": "Oslo"}')
    assert reply.finish_reason == "tool_calls"
    (call,) = reply.tool_calls
    assert (call.name, call.parsed(), call.complete) == ("weather", {"town": "Oslo"}, True)
    result = chatport.run_tool(call, [weather])
    final = ask(["how is it?", reply, chatport.Message.tool(call, result)])
    assert final.text == "The tool says: sunny in Oslo for 1 days"
    sent = s.body()["messages"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == call.id
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == call.arguments


@pytest.mark.parametrize("streamed", [False, True])
def test_parallel_calls_stay_apart(s: Setting, streamed: bool) -> None:
    prompt = 'call: weather {"town": "Oslo", "days": 2}\ncall: clock {"zone": "UTC"}\ncall: clock {"zone": "CET"}'
    if streamed:
        outcome = s.runner.stream(prompt, tools=[weather, clock])
        assert outcome.reply is not None
        calls = outcome.reply.tool_calls
        ended = [e for e in outcome.events if isinstance(e, chatport.ToolCallEnded)]
        assert [(e.index, e.id, e.name, e.arguments) for e in ended] == [
            (n, call.id, call.name, call.arguments) for n, call in enumerate(calls)
        ]
        for n, call in enumerate(calls):
            pieces = [e for e in outcome.events if isinstance(e, chatport.ToolCallDelta) and e.index == n]
            assert "".join(e.arguments for e in pieces) == call.arguments
            assert {(e.id, e.name) for e in pieces} == {(call.id, call.name)}
    else:
        calls = s.runner.chat(prompt, tools=[weather, clock]).tool_calls
    assert [(call.name, call.parsed()) for call in calls] == [
        ("weather", {"town": "Oslo", "days": 2}),
        ("clock", {"zone": "UTC"}),
        ("clock", {"zone": "CET"}),
    ]
    assert len({call.id for call in calls}) == 3


def test_a_forced_tool_is_called(s: Setting) -> None:
    reply = s.runner.chat("say: whatever", tools=[weather, clock], tool_choice=clock)
    assert [call.name for call in reply.tool_calls] == ["clock"]
    assert s.body()["tool_choice"] == {"type": "function", "function": {"name": "clock"}}


# --- structured output


@attrs.frozen
class Town:
    name: str
    people: int
    twins: list[str]


@pytest.mark.parametrize("streamed", [False, True])
def test_structured_output_comes_back_as_the_type_that_was_asked_for(s: Setting, streamed: bool) -> None:
    reply = s.runner.stream("a town", output=Town).reply if streamed else s.runner.chat("a town", output=Town)
    assert reply is not None
    assert reply.parsed() == Town("text", 1, ["text"])
    sent = s.body()["response_format"]
    assert sent["json_schema"]["name"] == "Town"
    assert set(sent["json_schema"]["schema"]["properties"]) == {"name", "people", "twins"}


def test_structured_output_of_a_plain_schema_comes_back_as_plain_values(s: Setting) -> None:
    schema = {"title": "pair", "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert s.runner.chat("a pair", output=schema).parsed() == {"a": 1}
    assert s.body()["response_format"]["json_schema"]["schema"] == schema


def test_text_that_is_not_the_structure_is_an_error_with_the_reply(s: Setting) -> None:
    reply = s.runner.chat("say: no JSON here", output=Town)
    with pytest.raises(chatport.MalformedReplyError) as caught:
        reply.parsed()
    assert caught.value.partial is reply


# --- models, embeddings, explain


def test_models_are_listed(s: Setting) -> None:
    (model,) = s.runner.models("compatible")
    assert (model.id, model.owned_by) == ("emulated-model", "compatible")
    (request,) = s.vendor.requests
    assert (request.method, request.path, request.content) == ("GET", "/v1/models", b"")


def test_embeddings_come_in_the_order_of_the_texts(s: Setting) -> None:
    result = s.runner.embed(["a", "bb", "ccc"], model="compatible:embedder")
    assert result.vectors == ((1.0, 0.5), (2.0, 0.5), (3.0, 0.5))
    assert (result.model, result.usage.input_tokens) == ("embedder", 4)
    assert s.runner.embed("one", model="compatible:embedder").vectors == ((3.0, 0.5),)


def test_explain_sends_nothing_and_shows_no_key(s: Setting) -> None:
    for stream in (False, True):
        explained = s.runner.explain("hello", tools=[weather], temperature=0.1, stream=stream)
        assert explained.body["temperature"] == 0.1
        assert explained.stream is stream
        assert explained.url.endswith("/v1/chat/completions")
        assert "sk-emulated" not in str(explained) + repr(explained)
    assert s.vendor.requests == []
    s.runner.chat("hello", tools=[weather], temperature=0.1)
    plain = s.runner.explain("hello", tools=[weather], temperature=0.1)
    assert json.loads(json.dumps(plain.body)) == s.body(), "explain shows what is sent"


# --- errors


@pytest.mark.parametrize(
    ("status", "kind", "requests"),
    [
        (400, chatport.BadRequestError, 1),
        (401, chatport.AuthenticationError, 1),
        (402, chatport.QuotaExceededError, 1),
        (404, chatport.ModelNotFoundError, 1),
        (429, chatport.RateLimitError, 3),
        (500, chatport.ServerError, 3),
        (503, chatport.OverloadedError, 3),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_by_what_can_be_done_about_them(
    s: Setting, status: int, kind: type[chatport.ChatportError], requests: int, streamed: bool
) -> None:
    ask = s.runner.stream if streamed else s.runner.chat
    with pytest.raises(chatport.ChatportError) as caught:
        ask(f"error: {status}")
    error = caught.value
    assert type(error) is kind
    assert (error.provider, error.model, error.status) == ("compatible", "emulated-model", status)
    assert error.request_id is not None
    assert error.raw["error"]["message"] == f"An emulated error with status {status}."
    assert f"An emulated error with status {status}." in str(error)
    assert len(s.vendor.requests) == requests == len(error.attempts)
    assert error.retryable == (requests == 3)
    assert "sk-emulated" not in str(error) + repr(error)
    assert s.runner.chat("say: again").text == "again", "the client is as good as before"


@pytest.mark.parametrize("streamed", [False, True])
def test_what_passes_is_tried_again_unseen(s: Setting, streamed: bool) -> None:
    s.vendor.failures = (503, 429)
    if streamed:
        outcome = s.runner.stream("say: hello")
        told = [event for event in outcome.events if isinstance(event, chatport.AttemptFailed)]
        assert [type(event.error) for event in told] == [chatport.OverloadedError, chatport.RateLimitError]
        reply = outcome.reply
    else:
        reply = s.runner.chat("say: hello")
    assert reply is not None
    assert reply.text == "hello"
    assert [a.outcome for a in reply.attempts] == ["OverloadedError", "RateLimitError", "ok"]
    assert len(s.vendor.requests) == 3


def test_an_alias_leads_to_its_next_target(opened: Open) -> None:
    s = opened(aliases={"main": ["compatible:gone", MODEL]}, **QUICK)
    reply = s.runner.chat("say: hello", model="main")
    assert reply.text == "hello"
    assert [(a.target, a.outcome) for a in reply.attempts] == [("compatible:gone", "ModelNotFoundError"), (MODEL, "ok")]


def test_mistakes_are_said_before_anything_is_sent(s: Setting) -> None:
    mistakes: list[tuple[Any, dict[str, Any]]] = [
        ([], {}),
        ("hello", {"model": "nonsense"}),
        ("hello", {"temperature": "hot"}),
        ("hello", {"tools": [weather], "tool_choice": "wether"}),
        ([{"role": "tool", "tool_call_id": 5, "content": "y"}], {}),
    ]
    for messages, options in mistakes:
        for ask in (s.runner.chat, s.runner.stream):
            with pytest.raises(chatport.ChatportError):
                ask(messages, **options)
    assert s.vendor.requests == []


# --- leaving early


def test_a_stream_may_be_left_and_the_client_used_again(s: Setting) -> None:
    long = "say: " + "word " * 500
    for _ in range(3):
        left = s.runner.leave(long, after=2)
        assert left.text == "word word"
    assert s.runner.chat("say: still here").text == "still here"


def test_a_cancelled_stream_leaves_the_client_usable(s: Setting) -> None:
    long = "say: " + "word " * 500
    for _ in range(3):
        assert len(s.runner.cancel(long, after=3).events) == 3
    assert s.runner.stream("say: still here").text == "still here"


def test_the_users_own_exception_comes_out_as_it_is(s: Setting) -> None:
    def watch(stream: Any, event: chatport.Event) -> None:
        raise LookupError("mine")

    for _ in range(3):
        with pytest.raises(LookupError, match="mine"):
            s.runner.stream("say: " + "word " * 500, watch=watch)
    assert s.runner.chat("say: still here").text == "still here"


def test_the_reply_is_there_with_the_finish_and_not_before(s: Setting) -> None:
    seen: list[str] = []

    def watch(stream: Any, event: chatport.Event) -> None:
        if isinstance(event, chatport.Finished):
            assert stream.reply is event.reply
            seen.append("reply")
            return
        with pytest.raises(RuntimeError, match="read to its end"):
            _ = stream.reply
        seen.append("none yet")

    s.runner.stream("say: one two", watch=watch)
    assert seen[-1] == "reply"
    assert seen.count("none yet") >= 2


SYNCHRONOUS = pytest.mark.parametrize("backend", ["sync"], indirect=True)
ASYNCHRONOUS = pytest.mark.parametrize("backend", ["asyncio", "trio"], indirect=True)


@SYNCHRONOUS
def test_a_stream_read_to_its_end_stays_at_its_end(s: Setting) -> None:
    assert isinstance(s.runner, SyncRunner)
    stream = s.runner.client.stream("say: hello")
    assert [type(e).__name__ for e in stream][-1] == "Finished"
    assert list(stream) == []
    assert stream.reply.text == "hello"


@SYNCHRONOUS
def test_a_synchronous_stream_needs_no_block(s: Setting) -> None:
    assert isinstance(s.runner, SyncRunner)
    client = s.runner.client
    text = "".join(event.text for event in client.stream("say: a b c") if isinstance(event, chatport.TextDelta))
    assert text == "a b c"
    for _ in client.stream("say: " + "word " * 500):
        break  # the stream is dropped with the loop, and closes
    gc.collect()
    assert client.chat("say: still here").text == "still here"


@ASYNCHRONOUS
def test_an_asynchronous_stream_is_read_inside_its_block(s: Setting) -> None:
    assert isinstance(s.runner, AsyncRunner)
    client = s.runner.client

    async def outside() -> None:
        with pytest.raises(RuntimeError, match="inside its block"):
            await anext(client.stream("hello"))

    async def afterwards() -> None:
        async with client.stream("hello") as stream:
            pass
        with pytest.raises(RuntimeError, match="inside its block"):
            await anext(stream)

    s.runner.call(outside)
    s.runner.call(afterwards)
    assert s.vendor.requests == []


@SYNCHRONOUS
def test_a_synchronous_stream_that_was_left_says_so(s: Setting) -> None:
    assert isinstance(s.runner, SyncRunner)
    with s.runner.client.stream("say: a b c") as stream:
        next(stream)
    with pytest.raises(RuntimeError, match="left"):
        list(stream)


# --- providers that must be looked for


def test_a_search_for_a_server_runs_beside_the_loop(s: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    open_provider = Vendors._open

    def search(self: Vendors, name: str) -> Any:
        threads.append(threading.current_thread())
        return open_provider(self, name)

    monkeypatch.setattr(Vendors, "is_ready", lambda self, name: name in self._providers)
    monkeypatch.setattr(Vendors, "_open", search)
    assert s.runner.chat("say: hello").text == "hello"
    s.runner.client._vendors._providers.clear()  # type: ignore[attr-defined]  # both runners have a client
    assert s.runner.models("compatible")
    s.runner.client._vendors._providers.clear()  # type: ignore[attr-defined]  # as above
    assert s.runner.embed("one", model="compatible:embedder").vectors
    assert len(threads) == 3
    if isinstance(s.runner, AsyncRunner):
        loop = s.runner.portal.call(threading.current_thread)
        assert loop not in threads


# --- together


def test_calls_at_the_same_time_stay_apart(s: Setting) -> None:
    asked = [f"say: number {n}" for n in range(12)]
    replies = s.runner.together(asked)
    assert [reply.text for reply in replies] == [f"number {n}" for n in range(12)]
    assert len(s.vendor.requests) == 12


def test_first_calls_from_many_threads_make_one_client() -> None:
    made: list[object] = []

    class Counting(VendorEmulator):
        def respond(self, request: EmulatedRequest) -> EmulatedResponse:
            made.append(threading.current_thread())
            return super().respond(request)

    emulator = Emulator("compatible")
    emulator.vendor = Counting()
    with emulator, chatport.Client(emulator.config(model=MODEL)) as client:
        barrier = threading.Barrier(16)
        transports: list[object] = []

        def first() -> None:
            barrier.wait()
            transports.append(client._transport())
            client.chat("hello")

        threads = [threading.Thread(target=first) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(map(id, transports))) == 1
    assert len(made) == 16
    gc.collect()  # a second pool, left behind, would be reported here


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_first_calls_make_one_client_and_do_not_block_the_loop(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Building an HTTP client reads certificates, for up to half a second."""
    made: list[object] = []
    build = httpx.AsyncClient.__init__

    def slow(self: Any, *args: Any, **options: Any) -> None:
        made.append(self)
        time.sleep(0.6)
        build(self, *args, **options)

    monkeypatch.setattr(httpx.AsyncClient, "__init__", slow)
    gaps: list[float] = []

    async def tick(done: anyio.Event) -> None:
        before = time.monotonic()
        while not done.is_set():
            await anyio.sleep(0.01)
            now = time.monotonic()
            gaps.append(now - before)
            before = now

    async def run(config: Any) -> None:
        done = anyio.Event()
        async with chatport.AsyncClient(config, transport="httpx") as client, anyio.create_task_group() as group:
            group.start_soon(tick, done)
            async with anyio.create_task_group() as calls:
                for _ in range(3):
                    calls.start_soon(client.chat, "hello")
            done.set()

    with Emulator("compatible") as emulator:
        anyio.run(run, emulator.config(model=MODEL), backend=backend)
        assert len(emulator.requests) == 3
    assert len(made) == 1
    assert max(gaps) < 0.5


# --- transports that do not fit


@pytest.mark.parametrize("family", [httpx, httpx2])
def test_a_client_of_the_wrong_kind_is_refused_each_time(family: Any) -> None:
    config = Emulator("compatible").config(model=MODEL)
    client = chatport.Client(config, transport=family.AsyncClient(verify=False))
    for _ in range(2):
        with pytest.raises(chatport.ConfigurationError, match="transport"):
            client.chat("hello")

    async def wrong() -> None:
        with family.Client(verify=False) as given:
            other = chatport.AsyncClient(config, transport=given)
            for _ in range(2):
                with pytest.raises(chatport.ConfigurationError, match="transport"):
                    await other.chat("hello")

    anyio.run(wrong)


@pytest.mark.parametrize("given", ["carrier pigeon", object(), 7])
def test_a_transport_that_is_none_is_refused(given: Any) -> None:
    with pytest.raises(chatport.ConfigurationError, match="transport"):
        chatport.Client(Emulator("compatible").config(model=MODEL), transport=given).chat("hello")
