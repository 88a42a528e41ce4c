"""Keys that change while a client lives: files that are read again, keys that are refused, functions that give them."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import chatport
from chatport.testing import VirtualClock

from .adapter import BACKENDS, AsyncRunner, Runner, open_runner
from .raw_server import Connection, RawServer, chunked, head

OLD, NEW = "sk-" + "the-old-key-0000", "sk-" + "the-new-key-1111"
PIECE = b'data: {"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": null}]}\n\n'
FINISH = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
MODELS = json.dumps({"data": [{"id": "m"}]}).encode()
REFUSAL = json.dumps({"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}).encode()


class Vendor:
    """Takes one key, and says 401 to every other one."""

    def __init__(self) -> None:
        self.takes = NEW
        self.seen: list[str] = []

    def __call__(self, connection: Connection) -> None:
        while request := connection.request():
            found = request.partition(b"uthorization: Bearer ")[2].partition(b"\r\n")[0].decode()
            self.seen.append(found)
            if found != self.takes:
                connection.send(head(401, content_type="application/json", content_length=len(REFUSAL)) + REFUSAL)
            elif request.startswith(b"GET"):
                connection.send(head(content_type="application/json", content_length=len(MODELS)) + MODELS)
            else:
                connection.send(head(transfer_encoding="chunked") + chunked(PIECE, FINISH))


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def server(vendor: Vendor) -> Iterator[RawServer]:
    with RawServer(vendor) as opened:
        yield opened


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def config(server: RawServer, api_key: Any, **tables: Any) -> dict[str, Any]:
    table = {"kind": "compatible", "base_url": server.base_url, "api_key": api_key}
    return {"providers": {"x": table}, "model": "x:m", **tables}


@pytest.fixture
def opened(backend: str, server: RawServer) -> Iterator[Callable[[Any], Runner]]:
    with contextlib.ExitStack() as stack:
        yield lambda api_key: stack.enter_context(open_runner(backend, config(server, api_key)))


class Source:
    """A key that can be changed, and the reference that leads to it."""

    def __init__(self, kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self._monkeypatch, self._kind = folder / "key", monkeypatch, kind
        self.value = OLD
        self.reads = 0
        command = [sys.executable, "-c", f"print(open({str(self.path)!r}).read())"]
        self.reference: Any = {
            "env": {"env": "A_KEY_OF_A_TEST"},
            "file": {"file": str(self.path)},
            "command": {"command": command},
            "function": self.give,
            "async function": self.give_later,
        }[kind]
        self.put(OLD)

    def put(self, value: str) -> None:
        self.value = value
        self.path.write_text(value)
        self.path.chmod(0o600)
        self._monkeypatch.setenv("A_KEY_OF_A_TEST", value)

    def give(self) -> str:
        self.reads += 1
        return self.value

    async def give_later(self) -> str:
        self.reads += 1
        await anyio.sleep(0.001)
        return self.value


KINDS = ["env", "file", "command", "function", "async function"]


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    if backend == "sync" and request.param == "async function":
        pytest.skip("refused below")
    return Source(request.param, tmp_path, monkeypatch)


# --- after a refusal


@pytest.mark.parametrize("use", ["chat", "stream", "models"])
def test_a_key_that_was_refused_is_read_once_more_and_the_call_goes_on_with_another_one(
    source: Source, opened: Callable[[Any], Runner], vendor: Vendor, use: str
) -> None:
    vendor.takes = OLD
    runner = opened(source.reference)
    assert runner.chat("hello").text == "word "
    source.put(NEW)
    assert runner.chat("hello").text == "word ", "nobody has refused it yet, so nothing was read"
    vendor.takes, vendor.seen = NEW, []
    if use == "models":
        assert [model.id for model in runner.models("x")] == ["m"]
    else:
        reply = runner.chat("hello") if use == "chat" else runner.stream("hello").reply
        assert reply is not None
        assert [attempt.status for attempt in reply.attempts] == [401, 200]
        assert [attempt.outcome for attempt in reply.attempts] == ["AuthenticationError", "ok"]
    assert runner.chat("hello").text == "word "
    assert vendor.seen == [OLD, NEW, NEW]


def test_one_that_has_not_changed_is_no_reason_for_another_attempt(
    source: Source, opened: Callable[[Any], Runner], vendor: Vendor
) -> None:
    runner = opened(source.reference)
    for _ in range(2):
        with pytest.raises(chatport.AuthenticationError) as caught:
            runner.chat("hello")
        assert len(caught.value.attempts) == 1
    assert vendor.seen == [OLD, OLD]
    if source.reads:
        assert source.reads == 3, "at first, and once after each refusal"
    source.put(NEW)
    assert runner.chat("hello").text == "word "
    assert vendor.seen == [OLD, OLD, OLD, NEW]


def test_another_one_that_is_refused_too_ends_the_call(
    source: Source, opened: Callable[[Any], Runner], vendor: Vendor
) -> None:
    vendor.takes = OLD
    runner = opened(source.reference)
    runner.chat("hello")
    source.put("sk-nobody-takes-this")
    vendor.takes, vendor.seen = NEW, []
    with pytest.raises(chatport.AuthenticationError) as caught:
        runner.chat("hello")
    assert vendor.seen == [OLD, "sk-nobody-takes-this"]
    assert len(caught.value.attempts) == 2


def test_one_that_cannot_be_read_any_more_leaves_the_vendors_own_word(
    backend: str, opened: Callable[[Any], Runner], vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source("file", tmp_path, monkeypatch)
    vendor.takes = OLD
    runner = opened(source.reference)
    runner.chat("hello")
    source.path.unlink()
    vendor.takes = NEW
    with pytest.raises(chatport.AuthenticationError):
        runner.chat("hello")
    with pytest.raises(chatport.ConfigurationError, match="Cannot read the API key"):
        runner.chat("hello")
    source.put(NEW)
    assert runner.chat("hello").text == "word "


def test_a_key_that_stands_in_the_configuration_is_what_it_is(opened: Callable[[Any], Runner], vendor: Vendor) -> None:
    with pytest.raises(chatport.AuthenticationError) as caught:
        opened(OLD).chat("hello")
    assert len(caught.value.attempts) == 1
    assert vendor.seen == [OLD]


def test_calls_that_are_refused_together_read_it_once(
    backend: str, opened: Callable[[Any], Runner], vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source("function" if backend == "sync" else "async function", tmp_path, monkeypatch)
    vendor.takes = OLD
    runner = opened(source.reference)
    assert len(runner.together(["hello"] * 8)) == 8
    assert source.reads == 1
    source.put(NEW)
    vendor.takes = NEW
    assert [reply.text for reply in runner.together(["hello"] * 8)] == ["word "] * 8
    assert source.reads == 2


# --- after a time


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "env"])
def test_what_is_read_or_asked_may_be_so_again_after_a_time(
    kind: str, backend: str, server: RawServer, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "sync" and kind == "async function":
        pytest.skip("refused below")
    source, clock = Source(kind, tmp_path, monkeypatch), VirtualClock()
    reference = {"function": source.reference} if callable(source.reference) else source.reference
    settings = config(server, {**reference, "refresh_seconds": 60}, retry={"attempts": 1})
    vendor.takes = OLD

    def change_key() -> None:
        source.put(NEW)
        vendor.takes = NEW

    if backend == "sync":
        with chatport.Client(settings, clock=clock.clock) as client:
            client.chat("hello")
            clock.advance(59)
            client.chat("hello")
            change_key()
            clock.advance(2)
            client.chat("hello")
    else:

        async def run() -> None:
            async with chatport.AsyncClient(settings, clock=clock.clock) as client:
                await client.chat("hello")
                clock.advance(59)
                await client.chat("hello")
                change_key()
                clock.advance(2)
                await client.chat("hello")

        anyio.run(run, backend=backend)
    assert vendor.seen == [OLD, OLD, NEW], "the new one without a refusal"


# --- a function


class Asynchronous:
    async def __call__(self) -> str:
        return NEW


async def with_argument(key: str) -> str:
    return key


SYNC: dict[str, Callable[[], Any]] = {
    "a text": lambda: f" {NEW}\n",
    "a secret": lambda: chatport.Secret(NEW),
    "a partial": functools.partial(str, NEW),
}
ASYNC: dict[str, Callable[[], Any]] = {
    "a partial of an async one": functools.partial(with_argument, NEW),
    "an object": Asynchronous(),
    "one that gives a coroutine": lambda: with_argument(NEW),
}


@pytest.mark.parametrize("name", [*SYNC, *ASYNC])
def test_what_a_function_may_be(name: str, backend: str, opened: Callable[[Any], Runner]) -> None:
    runner = opened({**SYNC, **ASYNC}[name])
    if backend == "sync" and name in ASYNC:
        with pytest.raises(chatport.ConfigurationError, match=r"asynchronous.* use it with an AsyncClient"):
            runner.chat("hello")
    else:
        assert runner.chat("hello").text == "word "


def test_a_function_runs_where_it_belongs(backend: str, opened: Callable[[Any], Runner]) -> None:
    """One that may block in a thread of our own; an async one on the loop of the call."""
    threads: list[threading.Thread] = []

    def blocking() -> str:
        threads.append(threading.current_thread())
        return NEW

    async def later() -> str:
        threads.append(threading.current_thread())
        await anyio.sleep(0.001)
        return NEW

    assert opened(blocking).chat("hello").text == "word "
    assert threads[0].name == "chatport-blocking"
    runner = opened(later)
    if isinstance(runner, AsyncRunner):

        async def call() -> threading.Thread:
            await runner.client.chat("hello")
            return threading.current_thread()

        assert runner.call(call) is threads[1]


def failing() -> str:
    token = "eyJ" + "a-token-of-a-cloud"
    raise ValueError(f"no: {token}")


async def failing_later() -> str:
    await anyio.sleep(0.001)
    return failing()


def saying_why() -> str:
    raise chatport.ConfigurationError("Log in first: `acme login`.")


FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    "raises": (failing, "raised ValueError"),
    "raises later": (failing_later, "raised ValueError|asynchronous"),
    "gives nothing": (lambda: None, "gave a value of type NoneType"),
    "gives a blank": (lambda: " ", "gave an empty text"),
    "gives two lines": (lambda: "sk-one\nsk-two", "line break"),
    "says why": (saying_why, "Log in first"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_function_that_fails_is_our_error_and_shows_nothing_of_a_token(
    name: str, opened: Callable[[Any], Runner], vendor: Vendor
) -> None:
    function, words = FAULTS[name]
    with pytest.raises(chatport.ConfigurationError, match=words) as caught:
        opened(function).chat("hello")
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "a-token-of-a-cloud" not in shown + repr(vars(caught.value))
    assert not vendor.seen


def test_the_timer_of_the_call_holds_while_a_function_hangs(backend: str, opened: Callable[[Any], Runner]) -> None:
    go_on = threading.Event()

    def hanging() -> str:
        go_on.wait(20)
        return NEW

    async def hanging_on_the_loop() -> str:
        await anyio.sleep(20)
        return NEW

    functions = [hanging] if backend == "sync" else [hanging, hanging_on_the_loop]
    try:
        for function in functions:
            with pytest.raises(chatport.DeadlineError, match="was not ready within") as caught:
                opened(function).chat("hello", timeout=0.2)
            assert caught.value.timer == "total"
    finally:
        go_on.set()


def test_a_call_that_is_cancelled_while_it_fetches_a_key_leaves_the_next_one_its_turn(server: RawServer) -> None:
    begun: list[int] = []

    async def slow_at_first() -> str:
        begun.append(1)
        if len(begun) == 1:
            await anyio.sleep(20)
        return NEW

    async def run() -> None:
        async with chatport.AsyncClient(config(server, slow_at_first)) as client:
            with anyio.move_on_after(0.2):
                await client.chat("hello")
            with anyio.fail_after(10):
                assert (await client.chat("hello")).text == "word "

    for backend in ("asyncio", "trio"):
        begun.clear()
        anyio.run(run, backend=backend)


def test_explain_and_facts_need_no_key_of_an_async_function(server: RawServer) -> None:
    async def given() -> str:
        return NEW

    client = chatport.AsyncClient(config(server, given))
    assert client.explain("hello").body
    assert client.facts("x:m") is not None


def test_a_function_is_shown_nowhere_and_cannot_stand_in_a_file(server: RawServer, tmp_path: Path) -> None:
    client = chatport.Client(config(server, functools.partial(str, NEW)))
    assert NEW not in repr(client.config) + repr(client.config.providers["x"].api_key)
    (tmp_path / "c.toml").write_text('[providers.x]\nkind = "compatible"\nbase_url = "http://127.0.0.1:1/v1"\n'
                                     'api_key = { function = "a" }\n')  # fmt: skip
    with pytest.raises(chatport.ConfigurationError, match="which a file cannot name"):
        chatport.Client(tmp_path / "c.toml")
