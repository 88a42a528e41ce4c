"""A target that is found out about beside the calls, over real connections: nobody waits, nothing is left behind."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

import chatport

from .adapter import BACKENDS, open_runner
from .raw_server import Connection, RawServer, head

ANSWER = b'{"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}'
PLAIN = head(content_type="application/json", content_length=len(ANSWER)) + ANSWER
DOWN = head(503, content_type="application/json", content_length=2) + b"{}"


class Moody:
    """A server that is down until it is told that it is well; `hangs` instead of refusing, where that is set."""

    def __init__(self) -> None:
        self.is_well = False
        self.hangs = threading.Event()

    def __call__(self, connection: Connection) -> None:
        while connection.request():
            if self.hangs.is_set():
                connection.until_left()
                return
            connection.send(PLAIN if self.is_well else DOWN)


def answering(connection: Connection) -> None:
    while connection.request():
        connection.send(PLAIN)


def config(one: RawServer, two: RawServer) -> dict[str, Any]:
    table = {"kind": "compatible", "api_key": "sk-raw-key"}
    return {
        "providers": {"one": {**table, "base_url": one.base_url}, "two": {**table, "base_url": two.base_url}},
        "aliases": {"main": ["one:m", "two:m"]},
        "model": "main",
        "retry": {"attempts": 1},
        "breaker": {"failures": 2, "open_seconds": 0.1, "longest_open_seconds": 0.1},
    }


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_target_that_hangs_is_asked_beside_a_call_and_is_used_again_once_it_is_well(backend: str) -> None:
    moody = Moody()
    with RawServer(moody) as one, RawServer(answering) as two, open_runner(backend, config(one, two)) as runner:
        for _ in range(2):
            assert runner.chat("hello").provider == "two"
        moody.hangs.set()
        asked = len(one.requests)
        time.sleep(0.12)  # the breaker's own time is real here
        began = time.monotonic()
        assert [attempt.target for attempt in runner.chat("a question").attempts] == ["two:m"]
        assert time.monotonic() - began < 5
        until(lambda: len(one.requests) > asked)
        assert b"a question" not in one.requests[-1]
        moody.hangs.clear()
        moody.is_well = True

        def is_back() -> bool:
            time.sleep(0.05)
            return runner.chat("hello").provider == "one"

        until(is_back)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_ends_with_its_call_takes_the_probe_with_it(backend: str) -> None:
    """A program that runs a loop for each call: nothing is left behind, and the target comes back all the same."""
    moody = Moody()
    with RawServer(moody) as one, RawServer(answering) as two:
        client = chatport.AsyncClient(config(one, two))

        async def ask() -> chatport.Reply:
            return await client.chat("hello")

        for _ in range(2):
            anyio.run(ask, backend=backend)
        moody.hangs.set()
        time.sleep(0.12)
        assert anyio.run(ask, backend=backend).provider == "two"
        gc.collect()
        moody.hangs.clear()
        moody.is_well = True

        def is_back() -> bool:
            time.sleep(0.05)
            return anyio.run(ask, backend=backend).provider == "one"

        until(is_back)
        anyio.run(client.aclose, backend=backend)
        gc.collect()
