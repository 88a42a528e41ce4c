"""A vendor echoes the key in an answer with status 200 that fails: no local of a frame holds it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any

import anyio
import pytest

import chatport

from .adapter import BACKENDS, open_runner
from .raw_server import Connection, RawServer, chunked, head

KEY = "sk-" + "echoed-in-an-answer-1234"


def plain(body: Any, kind: str = "application/json") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head(content_type=kind, content_length=len(data)) + data


def streamed(*events: Any, ends: bool = True) -> bytes:
    texts = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    body = chunked(*(b"data: %b\n\n" % text for text in texts), last=ends)
    return head(transfer_encoding="chunked", connection="close") + body


def delta(text: str) -> dict[str, Any]:
    return {"id": KEY, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


PLAIN: dict[str, bytes] = {
    "an error object": plain({"error": {"message": f"Bad key {KEY}", "code": KEY}}),
    "a page": plain(f"<html>{KEY}</html>".encode(), "text/html"),
    "cut JSON": plain(f'{{"id": "{KEY}", "choices": ['.encode()),
    "no choices": plain({"id": KEY, "note": [KEY]}),
    "choices that are none": plain({"id": KEY, "choices": KEY}),
    "numbers": plain([KEY, 1]),
    "a text": plain(KEY),
    "a short body": head(content_type="application/json", content_length=500) + f'{{"id": "{KEY}"'.encode(),
    "bad chunks": head(content_type="application/json", transfer_encoding="chunked") + f"{KEY}\r\n".encode(),
    "a bad coding": head(content_encoding="gzip", content_length=len(KEY)) + KEY.encode(),
    "an unknown coding": head(content_encoding="xx", content_length=len(KEY)) + KEY.encode(),
    "too many values": plain(b"[" + b"1," * 600_000 + f'"{KEY}"]'.encode()),
    "a head that is none": head(x_echo=KEY)[:-2] + f"{KEY}\r\n\r\n".encode(),
    "two lengths": head(content_length=f"5, 6, {KEY}"),
    "another coding of chunks": head(transfer_encoding=f"gzip, {KEY}"),
    "an endless head": head(x_echo=KEY)[:-2] + b"x-a: " + b"a" * 100_000,
    "a redirect": head(307, location=f"http://x.example/{KEY}", content_length=0),
}
STREAMED: dict[str, bytes] = {
    "an error event": streamed({"error": {"message": f"Bad key {KEY}"}}),
    "an event that is no JSON": streamed(f"{{{KEY}".encode()),
    "a cut before content": streamed({"id": KEY, "choices": []}, ends=False),
    "an end without a finish": streamed({"id": KEY, "model": KEY, "choices": []}),
    "a cut after content": streamed(delta("hello"), f'{{"id": "{KEY}"'.encode(), ends=False),
}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def frames(error: BaseException) -> Iterator[FrameType]:
    """Give the frames of an error and of those behind it, but for those of the tests."""
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is None:
            continue
        trace: TracebackType | None = current.__traceback__
        while trace is not None:
            if "/tests/" not in trace.tb_frame.f_code.co_filename:
                yield trace.tb_frame
            trace = trace.tb_next
        waiting += [current.__cause__, current.__context__, *getattr(current, "exceptions", ())]


def shown(error: BaseException) -> list[str]:
    """Return where a traceback that shows locals would show the key."""
    found = [
        f"{frame.f_code.co_qualname if hasattr(frame.f_code, 'co_qualname') else frame.f_code.co_name}.{name}"
        for frame in frames(error)
        for name, value in frame.f_locals.items()
        if KEY in repr(value)
    ]
    words = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error) | {"partial": None})
    return [*found, *(["its words"] if KEY in words else [])]


def failure(backend: str, answer: bytes, use: Callable[[Any], Any], way: str | None = None) -> BaseException:
    def script(connection: Connection) -> None:
        connection.request()
        connection.send(answer)

    asynchronous = None if way is None else lambda: way
    with RawServer(script) as server:
        table = {"kind": "compatible", "base_url": server.base_url, "api_key": KEY}
        config = {"providers": {"x": table}, "model": "x:m", "retry": {"attempts": 1}}
        with (
            open_runner(backend, config, asynchronous=asynchronous, synchronous=asynchronous) as runner,
            pytest.raises(chatport.ChatportError) as caught,
        ):
            use(runner)
    return caught.value


@pytest.mark.parametrize("way", [None, "httpx"])
@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_answer(name: str, backend: str, way: str | None) -> None:
    assert shown(failure(backend, PLAIN[name], lambda runner: runner.chat("hello"), way)) == []


@pytest.mark.parametrize("way", [None, "httpx"])
@pytest.mark.parametrize("name", [*PLAIN, *STREAMED])
def test_a_stream(name: str, backend: str, way: str | None) -> None:
    answer = {**PLAIN, **STREAMED}[name]
    assert shown(failure(backend, answer, lambda runner: runner.stream("hello"), way)) == []


@pytest.mark.parametrize("name", ["an error object", "a page", "cut JSON", "no choices", "a text", "numbers"])
def test_embeddings(name: str, backend: str) -> None:
    assert shown(failure(backend, PLAIN[name], lambda runner: runner.embed("text", model="x:m"))) == []


@pytest.mark.parametrize("name", ["an error object", "a page", "cut JSON"])
def test_the_list_of_models(name: str, backend: str) -> None:
    assert shown(failure(backend, PLAIN[name], lambda runner: runner.models("x"))) == []


@pytest.mark.parametrize("way", [None, "httpx"])
@pytest.mark.parametrize("begun", [STREAMED["a cut before content"], PLAIN["a short body"]], ids=["stream", "plain"])
def test_a_timer_that_fires_after_it(begun: bytes, backend: str, way: str | None) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.send(begun)
        connection.hang()

    asynchronous = None if way is None else lambda: way
    with RawServer(script) as server:
        table = {"kind": "compatible", "base_url": server.base_url, "api_key": KEY, "timeouts": {"silence": 0.2}}
        config = {"providers": {"x": table}, "model": "x:m", "retry": {"attempts": 1}}
        with (
            open_runner(backend, config, asynchronous=asynchronous, synchronous=asynchronous) as runner,
            pytest.raises(chatport.DeadlineError) as caught,
        ):
            runner.stream("hello")
    assert shown(caught.value) == []


class Reader:
    """A hook that fails over what it is given."""

    provider = "x"

    @chatport.hookimpl
    def parse_models(self, data: Any, context: Any) -> Any:
        raise ValueError(f"cannot read {data}")

    @chatport.hookimpl
    def decode_reply(self, data: Any, context: Any, request: Any) -> Any:
        raise ValueError(f"cannot read {data}")

    @chatport.hookimpl
    def decode_chunk(self, chunk: Any, state: Any, context: Any, request: Any) -> Any:
        raise ValueError(f"cannot read {chunk.data}")


@pytest.mark.parametrize("use", ["chat", "stream", "models"])
def test_a_hook_that_fails_over_it(use: str, backend: str) -> None:
    answer = {"chat": plain({"id": KEY, "data": []}), "stream": streamed(delta(KEY)), "models": plain({"data": [KEY]})}

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(answer[use])

    with RawServer(script) as server:
        table = {"kind": "compatible", "base_url": server.base_url, "api_key": KEY}
        config = {"providers": {"x": table}, "model": "x:m", "retry": {"attempts": 1}}
        with open_runner(backend, config, plugins=[Reader()]) as runner, pytest.raises(chatport.PluginError) as caught:
            runner.models("x") if use == "models" else getattr(runner, use)("hello")
    assert shown(caught.value) == []


def test_two_tries_side_by_side() -> None:
    def script(connection: Connection) -> None:
        connection.request()
        connection.send(PLAIN["cut JSON"])

    async def run() -> None:
        with RawServer(script) as server:
            table = {"kind": "compatible", "base_url": server.base_url, "api_key": KEY}
            config = {"providers": {"x": table}, "model": "x:m", "retry": {"attempts": 1}}
            config["hedge"] = {"after_seconds": 5}
            async with chatport.AsyncClient(config) as client:
                with pytest.raises(chatport.ChatportError) as caught:
                    await client.chat("hello")
            assert shown(caught.value) == []

    anyio.run(run)
