"""Emulators behind one client, on asyncio, on trio or without a loop, and in virtual time: what came of a call."""

from __future__ import annotations

import contextlib
import contextvars
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import attrs
import pytest

import chatport
from chatport.engine.commands import Clock, HttpRequest
from chatport.engine.shared import Observer
from chatport.provider import Provider
from chatport.testing import EmulatedRequest, Emulator, Fault, Performance, Scene, VendorEmulator, VirtualClock
from chatport.testing.faults import Faults
from chatport.testing.performance import Step

__all__ = [
    "KEY", "PROMPT", "TEXT", "Outcome", "World", "always", "as_sent", "client_of", "frozen_clock", "on_backends",
    "plain_and_streamed",
]  # fmt: skip

BACKENDS = ("asyncio", "trio", "sync")
TEXT = "alpha beta gamma delta epsilon"
PROMPT = f"say: {TEXT}"
KEY = "sk-canary-0123456789"
STREAMED = {True: "stream", False: "chat"}
on_backends = pytest.mark.parametrize("backend", BACKENDS)
plain_and_streamed = pytest.mark.parametrize("stream", STREAMED, ids=STREAMED.get)

T = TypeVar("T")


def always(fault: Fault) -> Faults:
    """Return the faults of a vendor that is never any better."""
    return lambda number, request: fault


def frozen_clock() -> Clock:
    """Return a clock on which all calls happen in the same moment: waits take no time, and nothing is forgotten."""
    return Clock(lambda: 1000.0, lambda: datetime(2026, 1, 1, tzinfo=UTC), lambda: 0.5, lambda seconds: None)


def client_of(backend: str) -> type[chatport.AsyncClient | chatport.Client]:
    """Return the class of a backend's client."""
    return chatport.Client if backend == "sync" else chatport.AsyncClient


class Switchboard:
    """One transport before several emulators: a request goes to the one that its host is named after."""

    def __init__(self, emulators: Mapping[str, Emulator]) -> None:
        self._emulators = emulators

    def emulator(self, request: HttpRequest) -> Emulator:
        host = urlsplit(request.url).hostname or ""
        return self._emulators[host.partition(".")[0]]

    def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> Any:
        return self.emulator(request).send(request, connect_seconds, head_seconds)

    def close(self) -> None:
        """Nothing is open."""

    def asynchronous(self) -> AsyncSwitchboard:
        return AsyncSwitchboard(self)


class AsyncSwitchboard:
    """The same for an asynchronous client."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard

    async def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> Any:
        transport = self._switchboard.emulator(request).asynchronous()
        return await transport.send(request, connect_seconds, head_seconds)

    async def aclose(self) -> None:
        """Nothing is open."""


@attrs.define
class Outcome:
    """What a caller got of one call: the events, then the reply or the error, after so much virtual time."""

    events: list[chatport.Event] = attrs.field(factory=list)
    given: chatport.Reply | None = None
    raised: chatport.ChatportError | None = None
    seconds: float = 0.0

    @property
    def reply(self) -> chatport.Reply:
        if self.raised is not None:
            raise AssertionError("a reply was due") from self.raised
        assert self.given is not None
        return self.given

    @property
    def error(self) -> chatport.ChatportError:
        assert self.raised is not None, f"an error was due, not {self.given}"
        return self.raised

    @property
    def text(self) -> str:
        """The text that was handed over piece by piece."""
        return "".join(event.text for event in self.events if isinstance(event, chatport.TextDelta))

    @property
    def attempts(self) -> tuple[chatport.Attempt, ...]:
        return self.raised.attempts if self.raised is not None else self.reply.attempts

    @property
    def story(self) -> list[tuple[str, str]]:
        """Who was asked and what came of it."""
        return [(attempt.target.partition(":")[0], attempt.outcome) for attempt in self.attempts]


class World:
    """A client of several `compatible` providers, each answered by an emulator of its own name; model `m` everywhere.

    `faults` are each emulator's own, `vendors` take the place of the plain ones. Further tables of the configuration
    are arguments; `providers` are laid over those made here. The alias `main` leads to all, in their order. `values`
    are providers that are not just `compatible`; their names are among those of the emulators.
    """

    def __init__(
        self,
        backend: str,
        faults: Mapping[str, Faults],
        *,
        clock: Clock | None = None,
        vendors: Mapping[str, VendorEmulator] | None = None,
        values: Sequence[Provider] = (),
        providers: Mapping[str, Mapping[str, Any]] | None = None,
        random: Callable[[], float] = lambda: 0.5,
        observers: Sequence[Observer] = (),
        plugins: Sequence[Any] = (),
        **tables: Any,
    ) -> None:
        self.backend = backend
        self.clock = VirtualClock(random=random)
        self.emulators = {
            name: Emulator("compatible", faults=bad, clock=self.clock, models=("m",)) for name, bad in faults.items()
        }
        for name, vendor in (vendors or {}).items():
            self.emulators[name].vendor = vendor
        given = {value.name for value in values}
        self.options: dict[str, Any] = {
            "config": {
                "providers": {
                    name: {
                        **({} if name in given else {"kind": "compatible"}),
                        "base_url": f"https://{name}.example/v1",
                        "api_key": KEY,
                        **(providers or {}).get(name, {}),
                    }
                    for name in self.emulators
                },
                "aliases": {"main": [f"{name}:m" for name in self.emulators]},
                "model": "main",
                **tables,
            },
            "transport": Switchboard(self.emulators),
            "clock": clock or self.clock.clock,
            "observers": observers,
            "providers": values,
            "plugins": plugins,
        }
        self.client: Any = client_of(backend)(**self.options)
        self._has_connections = False

    @property
    def requests(self) -> int:
        """How many requests the emulators saw, all together."""
        return sum(len(emulator.requests) for emulator in self.emulators.values())

    def seen(self, name: str) -> list[EmulatedRequest]:
        """Return the requests that one emulator saw."""
        return self.emulators[name].requests

    def bodies(self, name: str) -> list[Any]:
        return [json.loads(request.content) for request in self.seen(name)]

    def breaker(self, target: str = "one:m") -> Any:
        return self.client._shared.breakers.of(target)

    # --- calls

    def use(self, config: Mapping[str, Any]) -> None:
        """Take a client of this configuration in place of the first: over real connections and in real time."""
        self.client = client_of(self.backend)(config)
        self._has_connections = True

    def _opened(self) -> Any:
        """Return a block to use the client in: one with connections is closed behind its only use."""
        return self.client if self._has_connections else contextlib.nullcontext()

    def ask(self, messages: Any = PROMPT, *, stream: bool = True, **options: Any) -> Outcome:
        """Make one call."""
        if self.backend == "sync":
            with self._opened():
                return self._ask(messages, stream, options)

        async def one() -> Outcome:
            async with self._opened():
                return await self._ask_async(messages, stream, options)

        return self.run(one)

    def ask_one_by_one(
        self, calls: int, messages: Any = PROMPT, *, stream: bool = True, **options: Any
    ) -> list[Outcome]:
        """Make so many calls one after the other, in one loop: what runs beside them comes to its end."""
        return self.ask_until(lambda outcome: False, messages, most=calls, stream=stream, **options)

    def ask_until(
        self,
        is_last: Callable[[Outcome], bool],
        messages: Any = PROMPT,
        *,
        most: int,
        stream: bool = True,
        **options: Any,
    ) -> list[Outcome]:
        """Make calls one after the other, in one loop, until one is the last, and so many at most."""
        outcomes: list[Outcome] = []
        if self.backend == "sync":
            with self._opened():
                while len(outcomes) < most and not (outcomes and is_last(outcomes[-1])):
                    outcomes.append(self._ask(messages, stream, options))
            return outcomes

        async def run() -> list[Outcome]:
            async with self._opened():
                while len(outcomes) < most and not (outcomes and is_last(outcomes[-1])):
                    outcomes.append(await self._ask_async(messages, stream, options))
                    for _ in range(20):
                        await anyio.lowlevel.checkpoint()
            return outcomes

        return self.run(run)

    def ask_many(self, number: int, *, stream: bool = False, threads: int = 64, **options: Any) -> list[Outcome]:
        """Make so many calls at once: as many tasks, or as many as go into so many threads."""
        if self.backend == "sync":
            with self._opened(), ThreadPoolExecutor(threads) as pool:
                asked = [
                    pool.submit(contextvars.copy_context().run, self._ask, PROMPT, stream, options)
                    for _ in range(number)
                ]
                return [one.result() for one in asked]

        async def one(outcomes: list[Outcome]) -> None:
            outcomes.append(await self._ask_async(PROMPT, stream, options))

        async def run() -> list[Outcome]:
            outcomes: list[Outcome] = []
            async with self._opened(), anyio.create_task_group() as group:
                for _ in range(number):
                    group.start_soon(one, outcomes)
            return outcomes

        return self.run(run)

    def ask_in_turns(self, workers: int, calls: int, messages: Any = PROMPT, **options: Any) -> list[Outcome]:
        """Let workers make so many plain calls each at the same time, one after the other."""
        if self.backend == "sync":

            def work(_: int) -> list[Outcome]:
                return [self._ask(messages, False, options) for _ in range(calls)]

            with _turns_only_at_waits(), self._opened(), ThreadPoolExecutor(workers) as pool:
                return [outcome for outcomes in pool.map(work, range(workers)) for outcome in outcomes]

        async def run() -> list[Outcome]:
            outcomes: list[Outcome] = []

            async def work() -> None:
                for _ in range(calls):
                    outcomes.append(await self._ask_async(messages, False, options))

            async with self._opened(), anyio.create_task_group() as group:
                for _ in range(workers):
                    group.start_soon(work)
            return outcomes

        return self.run(run)

    def run(self, function: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine function on this backend's loop."""
        return anyio.run(function, backend=self.backend)

    def _ask(self, messages: Any, stream: bool, options: dict[str, Any]) -> Outcome:
        outcome, began = Outcome(), self.clock.elapsed_seconds
        try:
            if not stream:
                outcome.given = self.client.chat(messages, **options)
            else:
                with self.client.stream(messages, **options) as events:
                    for event in events:
                        outcome.events.append(event)  # one by one: those before an error are kept
                outcome.given = events.reply
        except chatport.ChatportError as error:
            outcome.raised = error
        outcome.seconds = self.clock.elapsed_seconds - began
        return outcome

    async def _ask_async(self, messages: Any, stream: bool, options: dict[str, Any]) -> Outcome:
        outcome, began = Outcome(), self.clock.elapsed_seconds
        try:
            if not stream:
                outcome.given = await self.client.chat(messages, **options)
            else:
                async with self.client.stream(messages, **options) as events:
                    async for event in events:
                        outcome.events.append(event)
                outcome.given = events.reply
        except chatport.ChatportError as error:
            outcome.raised = error
        outcome.seconds = self.clock.elapsed_seconds - began
        return outcome


@contextmanager
def _turns_only_at_waits() -> Iterator[None]:
    """Let threads give way to one another where they wait, as tasks do, and nowhere else.

    They share one virtual time: what another thread lets pass between a request's admission and its arrival would
    be a journey of seconds.
    """
    interval_seconds = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        yield
    finally:
        sys.setswitchinterval(interval_seconds)


def as_sent(name: str, play: Callable[[Scene], Iterable[Step]]) -> Fault:
    """Return a fault that changes no more than the body of an answer."""

    def perform(scene: Scene) -> Performance:
        return scene.with_body(play(scene))

    return Fault(name, perform)
