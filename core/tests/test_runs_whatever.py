"""Runs of tools that may do anything, stopped anywhere, kept as JSON, and gone on with: on asyncio, trio, and sync.

What must hold whatever comes:

* Each call of an answer gets one result, in the order of the calls, and is told of once.
* A tool that has ended is not run again; one that was stopped is.
* A run that was stopped, kept as JSON and gone on with ends as one that ran through.
* No limit is broken: the model is not asked more often, and no tool begins, when steps or seconds are used up.
* No task and no thread is left.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import chatport
from chatport import Approval, ImagePart, Run, RunFinished, RunLimitError, ToolEnded, ToolError
from chatport.testing import VirtualClock

from .runs import BACKENDS, MODEL, Scripted

PICTURE = ImagePart.from_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 8)
OUTCOMES = {
    "ok": "ok", "error": "error", "words": "error", "odd": "error", "picture": "ok", "slow": "ok", "late": "ok",
    "invalid": "invalid", "cut": "invalid", "unknown": "unknown", "deny": "denied", "answer": "answered",
    "wait": "ok", "exit": "ok", "hang": "ok",
}  # fmt: skip
"""What becomes of a call at last. The last three are run, or let be run, the second time only."""


class Leave(Exception):
    """Whoever reads the run has had enough."""


class Over(BaseException):
    """The program is to end. What Python has for it ends asyncio's loop before any task can tell."""


class World:
    """A model, the tool that it calls, and what became of them over all parts of a run."""

    def __init__(
        self, backend: str, steps: list[list[str]], *, asynchronous: bool, threads: bool, seconds: float
    ) -> None:
        self.exit = Over if backend == "asyncio" else SystemExit
        calls = [[call_of(kind, f"{at}.{n}") for n, kind in enumerate(kinds)] for at, kinds in enumerate(steps)]
        self.model = Scripted(calls)
        self.time = VirtualClock()
        self.asynchronous = asynchronous
        self.threads = threads
        self.seconds = seconds
        self.began: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.began_at: list[float] = []
        self.waited: set[str] = set()
        self.is_through = False
        """Whether nothing is to hang or to end the program: the run that the others are held against."""
        self.hung: Callable[[], None] = lambda: None

    def act(self, kind: str, name: str) -> Any:
        """Behave in a way, or badly the first time."""
        self._begin(name)
        if kind == "exit" and self.began[name] == 1 and not self.is_through:
            raise self.exit
        return self._end(kind, name)

    async def act_later(self, kind: str, name: str) -> Any:
        """Do so after others, or stay until it is stopped."""
        self._begin(name)
        for _ in range(5 if kind == "late" else len(name) % 3):
            await anyio.lowlevel.checkpoint()
        is_bad = self.began[name] == 1 and not self.is_through
        if kind == "exit" and is_bad:
            raise self.exit
        if kind == "hang" and is_bad:
            self.hung()
            await anyio.sleep_forever()
        return self._end(kind, name)

    def _begin(self, name: str) -> None:
        self.began[name] += 1
        self.began_at.append(self.time.elapsed_seconds)

    def _end(self, kind: str, name: str) -> Any:
        self.time.advance(40 if kind == "slow" else 1)
        self.ended[name] += 1
        match kind:
            case "error":
                raise LookupError(f"no {name}")
            case "words":
                raise ToolError(f"Not\n{name}")
            case "odd":
                return object()
            case "picture":
                return [f"see {name}", PICTURE]
        return f"did {name}"

    def approve(self, call: chatport.ToolCall) -> Approval:
        """Say what the call itself asks for; to one that is to wait, wait once."""
        kind, name = call.parsed()["kind"], call.parsed()["name"]
        if kind == "wait" and name not in self.waited and not self.is_through:
            self.waited.add(name)
            return Approval.wait()
        return {"deny": Approval.deny("No."), "answer": Approval.answer("said")}.get(kind, Approval.allow())

    def options(self, max_steps: int) -> dict[str, Any]:
        function = self.act_later if self.asynchronous else self.act
        schema = {"type": "object", "properties": {"kind": {}, "name": {}}, "required": ["kind", "name"]}
        return {
            "model": MODEL, "tools": [chatport.Tool("act", schema=schema, function=function)], "approve": self.approve,
            "threads": self.threads, "max_steps": max_steps, "max_seconds": self.seconds,
        }  # fmt: skip


def call_of(kind: str, name: str) -> tuple[str, Any]:
    match kind:
        case "unknown":
            return "nobody", {"name": name}
        case "invalid":
            return "act", {"kind": kind}
        case "cut":
            return "act", '{"kind": "'
    return "act", {"kind": kind, "name": name}


def go_on(
    backend: str, world: World, messages: Any, max_steps: int, stop: tuple[str, int] | None
) -> tuple[list[Any], Run]:
    """Run until it ends or is stopped; return what was told, and what there is."""
    emulator, seen, running = world.model.emulator(), list[Any](), list[Any]()
    options = world.options(max_steps)

    def is_last() -> bool:
        if stop is None or len(seen) <= stop[1]:
            return False
        if stop[0] == "raise":
            raise Leave
        return True

    def plain() -> None:
        with (
            chatport.Client(emulator.config(), transport=emulator, clock=world.time.clock) as client,
            client.run_stream(messages, **options) as stream,
        ):
            running.append(stream)
            for event in stream:
                seen.append(event)
                if is_last():
                    break

    async def loop() -> None:
        async with chatport.AsyncClient(emulator.config(), transport=emulator, clock=world.time.clock) as client:
            with anyio.CancelScope() as scope:
                world.hung = scope.cancel
                async with client.run_stream(messages, **options) as stream:
                    running.append(stream)
                    async for event in stream:
                        seen.append(event)
                        if is_last():
                            if stop is not None and stop[0] == "leave":
                                break
                            scope.cancel()
        if backend == "asyncio":
            assert asyncio.all_tasks() == {asyncio.current_task()}

    try:
        plain() if backend == "sync" else anyio.run(loop, backend=backend)
    except (Leave, Over, SystemExit):
        pass
    except RunLimitError as error:
        return seen, checked_limit(error, running[0].run)
    return seen, running[0].run


def checked_limit(error: RunLimitError, run: Run) -> Run:
    assert error.run is not None
    assert error.run.outcome == "limit"
    assert (error.run.messages, error.run.steps) == (run.messages, run.steps)
    return error.run


def check_part(run: Run, events: list[Any], told: Counter[str]) -> None:
    """Hold what there is at a stop against what must be there at any."""
    for at, step in enumerate(run.steps):
        calls, results = list(step.reply.tool_calls), [result.call for result in step.results]
        if at < len(run.steps) - 1:
            assert results == calls
        else:
            assert results == [call for call in calls if call in results]  # in their order, each once
            assert list(run.open_calls) == [call for call in calls if call not in results]
    assert [message for message in run.messages if message.role == "tool"] == [
        result.message for step in run.steps for result in step.results
    ]
    known = {result.call.id: result for step in run.steps for result in step.results}
    for event in events:
        if isinstance(event, ToolEnded):
            told[event.result.call.id] += 1
            assert event.result == known[event.result.call.id]
    assert not told or max(told.values()) == 1
    assert Run.from_json(run.to_json()) == run
    if any(isinstance(event, RunFinished) for event in events):
        assert events[-1] == RunFinished(run)


def said(run: Run) -> Any:
    """Return all that must be the same however often it was stopped; seconds are not."""
    outcomes = [[(r.call, r.outcome, r.content, r.parts) for r in step.results] for step in run.steps]
    return run.messages, outcomes, run.usage, run.outcome


def threads_of_tools() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "tools" in thread.name]


KINDS = sorted(OUTCOMES)
STOPS = st.tuples(st.sampled_from(["leave", "raise", "cancel"]), st.integers(0, 12))


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3), max_size=3),
    stops=st.lists(st.none() | STOPS, max_size=3),
    max_steps=st.integers(1, 4),
    max_seconds=st.sampled_from([30.0, 100.0, 10_000.0]),
    threads=st.booleans(),
    asynchronous=st.booleans(),
    endless=st.integers(0, 2),
)
def test_whatever_tools_do_and_wherever_it_is_stopped(
    backend: str,
    steps: list[list[str]],
    stops: list[tuple[str, int] | None],
    max_steps: int,
    max_seconds: float,
    threads: bool,
    asynchronous: bool,
    endless: int,
) -> None:
    asynchronous = asynchronous and backend != "sync"
    if not asynchronous:  # nothing stops a plain function
        steps = [["ok" if kind == "hang" else kind for kind in kinds] for kinds in steps]
    world = World(backend, steps, asynchronous=asynchronous, threads=threads, seconds=max_seconds)
    told: Counter[str] = Counter()
    messages: Any = "go"
    parts = 0
    while True:
        stop = stops[parts] if parts < len(stops) else None
        world.model.endless = [call_of("ok", "endless")] if parts < endless else ()
        asked, ran, start = len(world.model.requests), len(world.began_at), world.time.elapsed_seconds
        events, run = go_on(backend, world, messages, max_steps, stop)
        check_part(run, events, told)
        assert len(world.model.requests) - asked <= max_steps
        if not threads:  # which begin at once, and may see what others do to the clock
            assert all(began < start + max_seconds for began in world.began_at[ran:])
        if run.outcome == "done":
            break
        parts += 1
        assert parts < 200, "it does not come to an end"
        messages = Run.from_json(run.to_json())
    check_whole(world, run, steps, told)
    if not endless:
        check_same(backend, run, steps, asynchronous, threads)
    for _ in range(200):
        if not threads_of_tools():
            break
        time.sleep(0.01)
    assert threads_of_tools() == []


def check_whole(world: World, run: Run, steps: list[list[str]], told: Counter[str]) -> None:
    assert run.text == "done"
    for step, kinds in zip(run.steps, steps, strict=False):
        assert [result.call for result in step.results] == list(step.reply.tool_calls)
        assert [result.outcome for result in step.results] == [OUTCOMES[kind] for kind in kinds]
    names = [
        (json.loads(result.call.arguments)["name"], result.call.id)
        for step in run.steps
        for result in step.results
        if result.outcome in ("ok", "error")
    ]
    if world.threads:  # where a tool goes on that nobody waits for any more, and is run again
        assert all(world.ended[name] for name, _ in names)
        return
    for name, _ in names:
        if name != "endless":
            assert world.ended[name] == 1, f"{name} was run to its end more than once"
    assert sum(world.ended.values()) == len(names)


def check_same(backend: str, run: Run, steps: list[list[str]], asynchronous: bool, threads: bool) -> None:
    through = World(backend, steps, asynchronous=asynchronous, threads=threads, seconds=1e6)
    through.is_through = True
    _, whole = go_on(backend, through, "go", 100, None)
    assert said(run) == said(whole)
