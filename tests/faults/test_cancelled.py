"""Ten thousand calls cancelled at random points leave nothing: no exchange, task, place, reservation or probe.

Real connections, a thousand of them, are in `tests/behaviour/test_leaks.py`.
"""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import chatport
from chatport.engine.commands import HttpRequest
from chatport.testing import Break, Performance, VirtualClock, sse
from chatport.testing.server import InProcessExchange

from .world import client_of

CALLS = 10_000
AT_ONCE = 100
MOST_STEPS = 8  # a call's steps: its request, each piece of the answer, its end; more if it starts again
_STEP: ContextVar[Callable[[], None]] = ContextVar("step", default=lambda: None)


def piece(content: str, finish: str | None = None) -> bytes:
    return sse({"id": "r", "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]})


SAID = [piece(""), piece("alpha"), piece(" beta"), piece("", "stop"), b"data: [DONE]\n\n"]
STREAM = {"content-type": "text/event-stream"}
WELL = Performance(200, STREAM, SAID)
TROUBLE = [
    Performance(503, {}, [b"down"]),
    Performance(429, {"retry-after": "1"}, [b"too fast"]),
    Performance(200, STREAM, SAID[:1]),
    Performance(200, STREAM, [*SAID[:2], Break("reset")]),
    Performance(200, STREAM, [], before=[Break("reset")]),
]


class Vendor:
    """A transport that is the vendor too: well, mostly. It tells of each step, and counts the exchanges that are open.

    Its answers are made beforehand: what is shown here is what a client does, ten thousand times.
    """

    def __init__(self) -> None:
        self.open = 0
        self.trouble = 0.1
        self._chance = random.Random(11)

    def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> Exchange:
        _STEP.get()()
        is_bad = self._chance.random() < self.trouble
        return Exchange(self._chance.choice(TROUBLE) if is_bad else WELL, self)

    def close(self) -> None:
        """Nothing is open."""

    def asynchronous(self) -> AsyncVendor:
        return AsyncVendor(self)


class Exchange:
    def __init__(self, performance: Performance, vendor: Vendor) -> None:
        self._inner = InProcessExchange(performance)
        self.head = self._inner.head
        self._vendor = vendor
        vendor.open += 1

    def read(self, seconds: float | None) -> bytes:
        _STEP.get()()
        return self._inner.read(seconds)

    def close(self) -> None:
        self._vendor.open -= 1
        self._inner.close()


class AsyncVendor:
    """The same for an asynchronous client; a step is where a call can be cancelled."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    async def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> Any:
        exchange = self._vendor.send(request, connect_seconds, head_seconds)
        try:
            await anyio.lowlevel.checkpoint()
        except BaseException:
            exchange.close()  # as a transport does whose caller left before it had an exchange
            raise
        return AsyncExchange(exchange)

    async def aclose(self) -> None:
        """Nothing is open."""


class AsyncExchange:
    def __init__(self, exchange: Exchange) -> None:
        self.head = exchange.head
        self._exchange = exchange

    async def read(self, seconds: float | None) -> bytes:
        data = self._exchange.read(seconds)
        await anyio.lowlevel.checkpoint()
        return data

    async def aclose(self) -> None:
        self._exchange.close()


class Interrupted(BaseException):
    """Stands for Ctrl-C, which is the only cancellation that synchronous code knows."""


def crowd_config() -> dict[str, Any]:
    """Return two targets whose calls are paced, priced and guarded by breakers."""
    names = ("one", "two")
    return {
        "providers": {name: {"kind": "compatible", "base_url": f"https://{name}.example/v1"} for name in names},
        "aliases": {"main": [f"{name}:m" for name in names]},
        "model": "main",
        "models": {f"{name}:m": {"prices": [{"match": "*", "input": 1.0, "output": 1.0}]} for name in names},
        "pacing": {"concurrency": AT_ONCE // 4, "learn": False},
        "timeouts": {"total": 0},  # on a clock that all share, the time of one call is that of none
        "breaker": {"failures": 3, "open_seconds": 0.25},
    }


def assert_nothing_held(client: Any, budget: chatport.Budget) -> None:
    for pacer in client._shared.pacers._recent.values():
        assert (pacer.waiting, pacer.active) == (0, 0)
    assert (budget.reserved_usd, budget.reserved_tokens) == (0, 0)


class Crowd:
    """A client whose calls are paced, budgeted and guarded by breakers, and what must be left of them: nothing."""

    def __init__(self, backend: str) -> None:
        self.clock = VirtualClock()
        self.vendor = Vendor()
        self.client: Any = client_of(backend)(crowd_config(), transport=self.vendor, clock=self.clock.clock)
        self.chance = random.Random(7)
        self.cancelled = 0
        self._threads = set(threading.enumerate())

    def countdown(self, stop: Callable[[], None]) -> Callable[[], None]:
        """Return a function that stops a call at one of its steps."""
        left = self.chance.randrange(MOST_STEPS)

        def step() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.cancelled += 1
                stop()

        return step

    def check(self, budget: chatport.Budget) -> None:
        gc.collect()
        assert self.vendor.open == 0
        assert_nothing_held(self.client, budget)
        assert self.cancelled > CALLS / 4
        assert set(threading.enumerate()) <= self._threads
        self.vendor.trouble = 0.0
        self.clock.advance(400)  # the longest that a breaker stays open


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ten_thousand_streams_cancelled_at_random_points_leave_nothing(backend: str) -> None:
    crowd = Crowd(backend)

    running: dict[int, anyio.CancelScope] = {}

    def cancel_any() -> None:
        crowd.chance.choice(list(running.values())).cancel()  # it may be waiting for its place, or for another attempt

    async def one(number: int, streams: bool) -> None:
        with anyio.CancelScope() as scope:
            running[number] = scope
            _STEP.set(crowd.countdown(cancel_any if crowd.chance.random() < 0.1 else scope.cancel))
            try:
                if not streams:
                    await crowd.client.chat("hello")
                    return
                leave_after = crowd.chance.randrange(6)
                async with crowd.client.stream("hello") as stream:
                    async for _ in stream:
                        leave_after -= 1
                        if leave_after == 0:
                            break
            except chatport.ChatportError:
                pass

    async def worker(number: int, calls: int) -> None:
        for call in range(calls):
            await one(number, streams=call % 10 != 0)

    async def run() -> None:
        with crowd.client.budget(usd=1e6) as budget:
            async with anyio.create_task_group() as group:
                for number in range(AT_ONCE):
                    group.start_soon(worker, number, CALLS // AT_ONCE)
            crowd.check(budget)
            for name in ("one", "two"):
                assert (await crowd.client.chat("hello", model=f"{name}:m")).text == "alpha beta"

    anyio.run(run, backend=backend)


def test_ten_thousand_streams_interrupted_at_random_points_leave_nothing() -> None:
    crowd = Crowd("sync")

    def interrupt() -> None:
        raise Interrupted

    def one(streams: bool) -> None:
        _STEP.set(crowd.countdown(interrupt))
        try:
            if not streams:
                crowd.client.chat("hello")
                return
            leave_after = crowd.chance.randrange(6)
            with crowd.client.stream("hello") as stream:
                for _ in stream:
                    leave_after -= 1
                    if leave_after == 0:
                        break
        except (Interrupted, chatport.ChatportError):
            pass

    with crowd.client.budget(usd=1e6) as budget:
        for number in range(CALLS):
            one(streams=number % 10 != 0)
        _STEP.set(lambda: None)
        crowd.check(budget)
        for name in ("one", "two"):
            assert crowd.client.chat("hello", model=f"{name}:m").text == "alpha beta"


class Silent:
    """A transport that answers nothing, and counts who waits.

    It keeps the errors that ended the waiting, and with them their frames, as a program may whose log does so: nothing
    may rely on the collector of garbage to give a place back.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self.errors: list[BaseException] = []

    async def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> Any:
        self.waiting += 1
        try:
            await anyio.sleep_forever()
        except BaseException as error:
            self.errors.append(error)
            raise
        finally:
            self.waiting -= 1

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_two_tries_side_by_side_are_cancelled_both(backend: str) -> None:
    async def run() -> None:
        vendor = Silent()
        config = {**crowd_config(), "hedge": {"after_seconds": 0.001}, "timeouts": {}}
        client = chatport.AsyncClient(config, transport=vendor)
        for _ in range(40):  # a twentieth of the calls may have a second try
            client._shared.hedges.count_call()
        with client.budget(usd=1e6) as budget:
            async with anyio.create_task_group() as group:
                group.start_soon(client.chat, "hello")
                with anyio.fail_after(10):
                    while vendor.waiting < 2:  # noqa: ASYNC110  # there is no event for it
                        await anyio.sleep(0.001)
                group.cancel_scope.cancel()
            assert vendor.waiting == 0
            assert_nothing_held(client, budget)

    anyio.run(run, backend=backend)
