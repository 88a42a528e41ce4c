"""Ten workers against a vendor with limits: without pacing many refusals, with it about none."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest

import chatport
from chatport.limits.pacing import Pacer
from chatport.testing import EmulatedResponse, Refusal, Script, VendorEmulator, VirtualClock, faults

from .world import PROMPT, TEXT, Outcome, World, always, on_backends

WORKERS = 10
CALLS = 12  # of each
PER_MINUTE = 60
TOKENS_PER_MINUTE = 2400
HEAVY_PROMPT = "say: yes\n" + "word " * 110
INPUT_TOKENS = 120  # of the heavy prompt, as its vendor counts; our estimate is a little higher
NO_TIMERS = {"total": 0, "silence": 0, "first_event": 0, "between_events": 0}


class Limited(VendorEmulator):
    """A vendor that counts requests and tokens of the last minute, refuses what is too much, and says what is left."""

    models = ("m",)

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock
        self._sent: deque[tuple[float, int]] = deque()
        self.refused = 0

    def chat(self, body: Mapping[str, Any]) -> EmulatedResponse:
        now = self._clock.elapsed_seconds
        while self._sent and self._sent[0][0] <= now - 60:
            self._sent.popleft()
        script = self.script(body)
        cost = script.input_tokens + script.output_tokens
        if len(self._sent) >= PER_MINUTE or self._tokens() + cost > TOKENS_PER_MINUTE:
            self.refused += 1
            reset = self._sent[0][0] + 60 - now
            error = self.error_body(429, "Rate limit reached.", code="rate_limit_exceeded")
            raise Refusal(429, error, {**self._headroom(now), "retry-after-ms": f"{reset * 1000:.0f}"})
        self._sent.append((now, cost))
        response = super().chat(body)
        return attrs.evolve(response, headers={**response.headers, **self._headroom(now)})

    def _tokens(self) -> int:
        return sum(tokens for _, tokens in self._sent)

    def _headroom(self, now: float) -> dict[str, str]:
        reset = 60 - (now - self._sent[0][0]) if self._sent else 0.0
        return {
            "x-ratelimit-limit-requests": str(PER_MINUTE),
            "x-ratelimit-remaining-requests": str(PER_MINUTE - len(self._sent)),
            "x-ratelimit-reset-requests": f"{reset:.3f}s",
            "x-ratelimit-limit-tokens": str(TOKENS_PER_MINUTE),
            "x-ratelimit-remaining-tokens": str(TOKENS_PER_MINUTE - self._tokens()),
            "x-ratelimit-reset-tokens": f"{reset:.3f}s",
        }


class Heavy(Limited):
    """One whose limit in tokens is met long before that in requests."""

    def script(self, body: Mapping[str, Any]) -> Script:
        return attrs.evolve(super().script(body), input_tokens=INPUT_TOKENS)


def limited(backend: str, kind: type[Limited] = Limited, **tables: Any) -> tuple[World, Limited]:
    """Return a world of one vendor with limits; an answer takes 20 ms."""
    latency = faults.stall("before_head", seconds=0.02)
    w = World(backend, {"one": lambda number, request: latency}, timeouts=NO_TIMERS, **tables)
    w.emulators["one"].vendor = vendor = kind(w.clock)
    return w, vendor


def work(w: World, prompt: str = PROMPT) -> list[Outcome]:
    """Let ten workers make twelve calls each, one after the other."""
    return w.ask_in_turns(WORKERS, CALLS, prompt, max_tokens=10)


@on_backends
@pytest.mark.parametrize(("kind", "prompt"), [(Limited, PROMPT), (Heavy, HEAVY_PROMPT)], ids=["requests", "tokens"])
def test_pacing_keeps_the_limits_that_are_met_without_it(backend: str, kind: type[Limited], prompt: str) -> None:
    w, vendor = limited(backend, kind, retry={"attempts": 1})
    work(w, prompt)
    assert vendor.refused > w.requests // 4, "without pacing"

    pacing = {"requests_per_minute": PER_MINUTE, "tokens_per_minute": TOKENS_PER_MINUTE}
    w, vendor = limited(backend, kind, pacing=pacing)
    outcomes = work(w, prompt)
    assert all(outcome.raised is None for outcome in outcomes)
    assert vendor.refused <= w.requests // 100
    served = WORKERS * CALLS
    assert w.requests == served + vendor.refused
    least_seconds = (
        served / PER_MINUTE * 60 if kind is Limited else served * (INPUT_TOKENS + 1) / TOKENS_PER_MINUTE * 60
    )
    if backend != "sync":  # threads that wait at once each move the one clock, in an order that nobody decides
        assert w.clock.elapsed_seconds < 1.3 * least_seconds, "and not much slower than the limit allows"


@on_backends
def test_limits_are_learned_from_the_headers(backend: str) -> None:
    w, vendor = limited(backend, pacing={"learn": True})
    outcomes = work(w)
    assert all(outcome.raised is None for outcome in outcomes)
    assert vendor.refused <= WORKERS, "those that were on the way when the first answer came"


# --- the queue


def pacer(w: World) -> Pacer:
    """Return the only pacer of a client."""
    (only,) = w.client._shared.pacers._recent.values()
    assert isinstance(only, Pacer)
    return only


def busy(backend: str, clock: Any = None, **tables: Any) -> World:
    tables = {"timeouts": NO_TIMERS, **tables}
    return World(backend, {"one": ()}, clock=clock, pacing={"concurrency": 1, "learn": False}, **tables)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


async def until_async(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():  # there is no event for it
            await anyio.lowlevel.checkpoint()


@on_backends
def test_first_come_first_served(backend: str) -> None:
    w = busy(backend)
    prompts = [f"say: {number}" for number in range(8)]
    if backend == "sync":
        with w.client.stream("say: first") as held, ThreadPoolExecutor(8) as threads:
            next(held)
            for number, prompt in enumerate(prompts):
                threads.submit(w.client.chat, prompt)
                until(lambda number=number: pacer(w).waiting == number + 1)  # type: ignore[misc]
            list(held)
    else:

        async def run() -> None:
            async with anyio.create_task_group() as group, w.client.stream("say: first") as held:
                await anext(held)
                for number, prompt in enumerate(prompts):
                    group.start_soon(w.client.chat, prompt)
                    await until_async(lambda number=number: pacer(w).waiting == number + 1)  # type: ignore[misc]
                async for _ in held:
                    pass

        w.run(run)
    assert [body["messages"][-1]["content"] for body in w.bodies("one")] == ["say: first", *prompts]
    assert (pacer(w).waiting, pacer(w).active) == (0, 0)


class Interrupted(BaseException):
    """Stands for Ctrl-C."""


@contextlib.contextmanager
def interrupted() -> Iterator[None]:
    with pytest.raises(Interrupted):
        yield


def test_calls_interrupted_while_they_wait_leave_no_place() -> None:
    w = busy("sync", timeouts={"total": 60})

    def interrupt(seconds: float) -> None:
        raise Interrupted

    w.client._shared = attrs.evolve(w.client._shared, clock=attrs.evolve(w.clock.clock, sleep=interrupt))
    with w.client.stream(PROMPT) as held:
        next(held)
        for _ in range(5):
            with interrupted():
                w.client.chat(PROMPT)
        assert (pacer(w).waiting, pacer(w).active) == (0, 1)
    assert pacer(w).active == 0
    assert w.client.chat(PROMPT).text == TEXT


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_calls_cancelled_while_they_wait_leave_no_place(backend: str) -> None:
    w = busy(backend)

    async def run() -> None:
        async with w.client.stream(PROMPT) as held:
            await anext(held)
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(w.client.chat, PROMPT)
                await until_async(lambda: pacer(w).waiting == 5)
                group.cancel_scope.cancel()
            assert (pacer(w).waiting, pacer(w).active) == (0, 1)
        assert pacer(w).active == 0
        assert (await w.client.chat(PROMPT)).text == TEXT

    w.run(run)
    assert w.requests == 2


@on_backends
def test_a_call_whose_time_is_over_while_it_waits_says_so_and_leaves_no_place(backend: str) -> None:
    w = World(backend, {"one": ()}, pacing={"requests_per_minute": 2}, timeouts={"total": 5})
    assert w.ask().reply.text == TEXT
    errors = [outcome.raised for outcome in (w.ask() for _ in range(6)) if outcome.raised is not None]
    assert errors
    for error in errors:
        assert isinstance(error, chatport.DeadlineError)
        assert (error.timer, error.seconds, error.attempts) == ("queue", 5, ())
        assert "own limits ([pacing])" in str(error)
        assert "the vendor asks" not in str(error).lower()
    assert (pacer(w).waiting, pacer(w).active) == (0, 0)


def queued_behind_a_stream(w: World, seconds: float, **options: Any) -> Outcome:
    """Make a call while a stream has the only place, which it gives back after so many seconds."""
    if w.backend == "sync":
        with w.client.stream(PROMPT) as held, ThreadPoolExecutor(1) as threads:
            next(held)
            asked = threads.submit(lambda: w._ask("say: second", False, options))
            until(lambda: pacer(w).waiting == 1)
            w.clock.advance(seconds)
            list(held)
            return asked.result()

    outcomes: list[Outcome] = []

    async def ask() -> None:
        outcomes.append(await w._ask_async("say: second", False, options))

    async def run() -> None:
        async with anyio.create_task_group() as group, w.client.stream(PROMPT) as held:
            await anext(held)
            group.start_soon(ask)
            await until_async(lambda: pacer(w).waiting == 1)
            w.clock.advance(seconds)
            async for _ in held:
                pass

    w.run(run)
    return outcomes[0]


def real_waits(w: World) -> None:
    """Let calls wait for one another in real time, while timers go by the virtual one."""
    clock = attrs.evolve(w.clock.clock, sleep=None)
    w.client._shared = attrs.evolve(w.client._shared, clock=clock)


@on_backends
def test_the_time_in_our_own_queue_is_not_the_vendors(backend: str) -> None:
    w = busy(backend, timeouts={"total": 10})
    real_waits(w)
    w.emulators["one"].misbehave(lambda number, request: faults.stall("before_head", seconds=9) if number > 1 else None)
    outcome = queued_behind_a_stream(w, 8)
    assert outcome.reply.text == "second"
    (attempt,) = outcome.attempts
    assert attempt.seconds == 9, "and the attempt tells the vendor's time alone"


@on_backends
def test_nor_does_it_leave_less_time_for_waits_and_further_targets(backend: str) -> None:
    w = busy(backend, timeouts={"total": 10})
    real_waits(w)
    bad = [None, faults.status(503, headers={"retry-after": "0.05"}), None]
    w.emulators["one"].misbehave(lambda number, request: bad[number - 1])
    outcome = queued_behind_a_stream(w, 9.97)
    assert outcome.story == [("one", "OverloadedError"), ("one", "ok")]

    pacing = {"one": {"pacing": {"concurrency": 1, "learn": False}}}
    w = World(backend, {"one": (), "two": ()}, providers=pacing, timeouts={"total": 20}, retry={"attempts": 1})
    real_waits(w)
    w.emulators["one"].misbehave(lambda number, request: faults.status(503) if number > 1 else None)
    w.emulators["two"].misbehave(always(faults.stall("before_head", seconds=15)))
    outcome = queued_behind_a_stream(w, 8)
    assert outcome.story == [("one", "OverloadedError"), ("two", "ok")]


@on_backends
def test_a_call_that_is_not_answered_in_the_vendors_own_time_says_that(backend: str) -> None:
    w = busy(backend, timeouts={"total": 10})
    real_waits(w)
    w.emulators["one"].misbehave(lambda number, request: faults.stall("before_head") if number > 1 else None)
    error = queued_behind_a_stream(w, 8).error
    assert isinstance(error, chatport.DeadlineError)
    assert (error.timer, error.seconds) == ("total", 10)


@on_backends
def test_a_full_queue_leaves_the_next_target_its_turn(backend: str) -> None:
    pacing = {"one": {"pacing": {"requests_per_minute": 1}}}
    w = World(backend, {"one": (), "two": ()}, timeouts={"total": 5}, providers=pacing)
    outcomes = [w.ask() for _ in range(6)]
    assert {outcome.reply.provider for outcome in outcomes} == {"one", "two"}
    last = outcomes[-1]
    assert last.story == [("two", "ok")], "what was not sent is no attempt"
    assert any("[pacing]" in str(note) for note in last.reply.warnings)
    assert not any(isinstance(event, chatport.AttemptFailed) for event in last.events)
    assert w.breaker().state == "closed", "and says nothing of the target"


@on_backends
@pytest.mark.parametrize("queue", [90, 0])
def test_the_queue_has_a_timer_of_its_own(backend: str, queue: float) -> None:
    w = World(backend, {"one": ()}, pacing={"requests_per_minute": 2}, timeouts={"total": 5, "queue": queue})
    outcomes = [w.ask() for _ in range(5)]
    assert all(outcome.reply.text == TEXT for outcome in outcomes)
    assert w.clock.elapsed_seconds > 60


@on_backends
def test_what_goes_before_is_told_and_not_the_queue_after_it(backend: str) -> None:
    w = World(
        backend,
        {"one": always(faults.status(503)), "two": ()},
        timeouts={"total": 5},
        providers={"two": {"pacing": {"requests_per_minute": 1}}},
        breaker={"failures": 100, "least_calls": 100},
    )
    errors = [outcome.raised for outcome in (w.ask() for _ in range(4)) if outcome.raised is not None]
    assert errors
    for error in errors:
        assert isinstance(error, chatport.OverloadedError)
        assert any("queue timer" in note for note in error.__notes__)
