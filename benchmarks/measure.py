"""One contender, one scenario, one process: takes a task as JSON, prints the result as JSON.

Runs in a peer's environment too, so the standard library is all that is used, and in a cold start as little of it as
can be.
"""

from __future__ import annotations

import gc
import json
import logging
import re
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from . import contenders
from .contenders import Contender
from .control import set_knobs
from .scenarios import Scenario
from .wire import PLAIN_TEXT, Knobs

__all__ = ["measure"]

T = TypeVar("T")
Result = dict[str, Any]


def measure(task: dict[str, Any]) -> Result:
    """Do what a task says. Its keys: contender, scenario, url, control_port."""
    scenario = Scenario.read(task["scenario"])
    set_knobs(task["control_port"], scenario.knobs)
    begun_ns = time.monotonic_ns(), time.process_time_ns()
    contender = contenders.load(task["contender"], task["url"])
    run = Run(contender, scenario, task["control_port"], begun_ns)
    return _run_on(contender.backend, run.everything)


class Run:
    """A contender in a scenario."""

    def __init__(self, contender: Contender, scenario: Scenario, control_port: int, begun_ns: tuple[int, int]) -> None:
        self.contender = contender
        self.scenario = scenario
        self._control_port = control_port
        self._begun_ns = begun_ns

    async def everything(self) -> Result:
        """Warm up, measure, close."""
        modes = {
            "stream": self._stream,
            "plain": self._plain,
            "many": self._many,
            "growth": self._growth,
            "cold": self._cold,
        }
        try:
            if self.scenario.mode != "cold":
                await self._warm_up()
            return await modes[self.scenario.mode]()
        finally:
            await self.contender.aclose()

    def _set(self, knobs: Knobs) -> None:
        set_knobs(self._control_port, knobs)

    async def _warm_up(self) -> None:
        """Have everything imported, compiled and connected that the first calls need."""
        if self.scenario.mode == "plain":
            for _ in range(5):
                assert await self.contender.complete() == PLAIN_TEXT
        else:
            for _ in range(3):
                self._set(Knobs(chunks=50, kind=self.scenario.knobs.kind))
                await self.contender.stream()
        self._set(self.scenario.knobs)

    async def _stream(self) -> Result:
        with Stopwatch() as watch:
            count = await self.contender.stream()
        return {"count": count, "cpu_us": watch.cpu_seconds / self.scenario.knobs.chunks * 1e6, **watch.result()}

    async def _plain(self) -> Result:
        calls = self.scenario.calls
        left = iter(range(self.scenario.at_once))

        async def worker() -> None:
            for _ in left:
                assert await self.contender.complete() == PLAIN_TEXT

        await self._side_by_side(worker)  # opens the connections
        left = iter(range(calls))
        with Stopwatch() as watch:
            await self._side_by_side(worker)
        return {"count": calls, "cpu_us": watch.cpu_seconds / calls * 1e6, **watch.result()}

    async def _side_by_side(self, worker: Callable[[], Awaitable[None]]) -> None:
        if self.scenario.at_once == 1:
            await worker()
        else:
            await _all(self.contender.backend, [worker] * self.scenario.at_once)

    async def _many(self) -> Result:
        """Open 500 streams a second: nobody opens a thousand connections in the same millisecond."""
        backend, streams = self.contender.backend, self.scenario.calls
        late_ns: list[int] = []
        now = time.monotonic_ns
        counts: list[int] = []

        def one(delay_seconds: float) -> Callable[[], Awaitable[None]]:
            async def run() -> None:
                await _sleep(backend, delay_seconds)
                counts.append(await self.contender.stream(lambda text: late_ns.append(now() - int(text))))

            return run

        before_bytes = rss_bytes()
        with Stopwatch() as watch:
            await _all(backend, [one(number / 500) for number in range(streams)])
        grown_bytes = peak_rss_bytes() - before_bytes - 32 * len(late_ns)  # less our own list of integers
        late_ns.sort()
        return {
            "count": sum(counts),
            "cpu_us": watch.cpu_seconds / sum(counts) * 1e6,
            "late_p50_ms": late_ns[len(late_ns) // 2] / 1e6,
            "late_p99_ms": late_ns[len(late_ns) * 99 // 100] / 1e6,
            "stream_kb": max(grown_bytes, 0) / streams / 1000,
            **watch.result(),
        }

    async def _growth(self) -> Result:
        text_bytes = 0

        def on_text(text: str) -> None:
            nonlocal text_bytes
            text_bytes += len(text)

        before_bytes = rss_bytes()
        with Stopwatch() as watch:
            count = await self.contender.stream(on_text)
        grown = (peak_rss_bytes() - before_bytes) / 1e6
        return {"count": count, "grown_mb": grown, "text_mb": text_bytes / 1e6, **watch.result()}

    async def _cold(self) -> Result:
        """From the first import to the first text, in a process that has done nothing else."""
        first: list[tuple[int, int]] = []

        def on_text(text: str) -> None:
            if not first:
                first.append((time.monotonic_ns(), time.process_time_ns()))

        count = await self.contender.stream(on_text)
        (wall_ns, cpu_ns), (wall_begun_ns, cpu_begun_ns) = first[0], self._begun_ns
        return {
            "count": count,
            "first_text_ms": (wall_ns - wall_begun_ns) / 1e6,
            "cpu_ms": (cpu_ns - cpu_begun_ns) / 1e6,
            "rss_mb": rss_bytes() / 1e6,
        }


class Stopwatch:
    """CPU time of this process, user and system, and wall time."""

    def __enter__(self) -> Stopwatch:
        gc.collect()
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_seconds = time.process_time() - self._cpu
        self.wall_seconds = time.perf_counter() - self._wall

    def result(self) -> Result:
        """Return both as they are reported."""
        return {"cpu_seconds": self.cpu_seconds, "wall_seconds": self.wall_seconds}


def _status_bytes(name: str) -> int:
    """Return a line of /proc/self/status. On other systems the peak of `getrusage` stands for all of them."""
    try:
        text = Path("/proc/self/status").read_text("ascii")
    except FileNotFoundError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def rss_bytes() -> int:
    """Return the memory of this process that is resident now."""
    return _status_bytes("VmRSS")


def peak_rss_bytes() -> int:
    """Return the most that was. Not from getrusage, which on Linux begins with the parent's."""
    return _status_bytes("VmHWM")


def _run_on(backend: str, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    if backend == "sync":
        return _run_without_loop(function())
    if backend == "trio":
        import trio

        return trio.run(function)
    import asyncio

    return asyncio.run(function())


def _run_without_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits: a synchronous contender behind the common face."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise RuntimeError("a synchronous contender has waited for an event loop")


async def _all(backend: str, functions: list[Callable[[], Awaitable[None]]]) -> None:
    if backend == "trio":
        import trio

        async with trio.open_nursery() as nursery:
            for function in functions:
                nursery.start_soon(function)
    else:
        import asyncio

        await asyncio.gather(*(function() for function in functions))


async def _sleep(backend: str, seconds: float) -> None:
    if backend == "trio":
        import trio

        await trio.sleep(seconds)
    else:
        import asyncio

        await asyncio.sleep(seconds)


def main() -> None:
    """Measure what the argument says."""
    logging.disable(logging.WARNING)
    print(json.dumps(measure(json.loads(sys.argv[1]))))


if __name__ == "__main__":
    main()
