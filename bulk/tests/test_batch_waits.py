"""How a vendor is waited for: at which moments it is looked at, how long it has patience, and what ends that."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import attrs
import pytest

from chatport import (
    AuthenticationError,
    BadRequestError,
    ChatportError,
    DeadlineError,
    MalformedReplyError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from chatport.testing import BatchPlay, EmulatedRequest, EmulatedResponse, VirtualClock
from chatport.testing.batches import EmulatedBatch
from chatport_bulk import BatchSettings
from chatport_bulk.batches.waiting import Waiting

from .batch_world import BatchWorld

FOR_EVER = 10**9


@pytest.fixture
def world(tmp_path: Path) -> BatchWorld:
    return BatchWorld(tmp_path)


def looks_of(world: BatchWorld) -> list[tuple[float, str]]:
    """Return when each batch is looked at and stopped, as it comes."""
    seen: list[tuple[float, str]] = []

    def look(number: int, request: EmulatedRequest) -> None:
        step = request.path.rpartition("/batches/")[2]
        if "/batches/" in request.path:
            seen.append((world.clock.elapsed_seconds, step.replace("batch_0000000", "")))

    world.emulator.misbehave(look)
    return seen


# --- by itself


def test_waits_grow_by_half_up_to_the_longest_until_something_happens() -> None:
    clock = VirtualClock()
    waiting = Waiting(clock.clock, 10, 100, 0)

    async def main() -> None:
        for _ in range(8):
            await waiting.wait()
        waiting.quicken()
        for _ in range(2):
            await waiting.wait()

    anyio.run(main)
    assert clock.waits == [10, 15, 22.5, 33.75, 50.625, 75.9375, 100, 100, 10, 15]


def test_the_time_of_day_is_that_of_the_clock_that_was_given() -> None:
    clock = VirtualClock()
    clock.advance(7)
    assert Waiting(clock.clock, 1, 1, 0).now() == clock.now().timestamp()
    before = time.time()
    assert before <= Waiting(None, 1, 1, 0).now() <= time.time()


@pytest.mark.parametrize("has_clock", [False, True])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_stop_ends_a_wait_and_all_that_come_after(has_clock: bool, backend: str) -> None:
    """A clock that does not let time pass by itself is waited for as the machine's own is."""
    clock = attrs.evolve(VirtualClock().clock, sleep=None) if has_clock else None
    waiting = Waiting(clock, 3600, 3600, 0)

    async def main() -> None:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(waiting.wait)
                await anyio.wait_all_tasks_blocked()
                assert not waiting.is_stopped
                waiting.stop()
            await waiting.wait()

    anyio.run(main, backend=backend)
    assert waiting.is_stopped


def test_a_wait_without_a_clock_ends_by_itself() -> None:
    async def main() -> None:
        with anyio.fail_after(20):
            await Waiting(None, 0.001, 1, 0).wait()

    anyio.run(main)


@pytest.mark.parametrize(
    "error",
    [
        RateLimitError("Too fast."),
        OverloadedError("No room."),
        ServerError("Broken.", retryable=True),
        DeadlineError("Too late."),
        MalformedReplyError("No JSON."),
    ],
)
def test_what_may_pass_is_tried_again_until_there_is_no_more_patience(error: ChatportError) -> None:
    clock = VirtualClock()
    tries: list[float] = []

    async def step() -> None:
        tries.append(clock.elapsed_seconds)
        raise error

    with pytest.raises(type(error)):
        anyio.run(Waiting(clock.clock, 10, 10, 20).patiently, step)
    assert tries == [0, 10, 20, 30], "patience of 20 seconds is not over at 20"


@pytest.mark.parametrize(
    "error", [AuthenticationError("Who?"), QuotaExceededError("Pay."), BadRequestError("No."), LookupError("mine")]
)
def test_what_will_not_pass_is_tried_once(error: Exception) -> None:
    clock = VirtualClock()
    tries: list[float] = []

    async def step() -> None:
        tries.append(clock.elapsed_seconds)
        raise error

    with pytest.raises(type(error)):
        anyio.run(Waiting(clock.clock, 10, 10, 20).patiently, step)
    assert (tries, clock.waits) == ([0], [])


def test_a_step_that_succeeds_in_the_end_gives_what_it_has() -> None:
    clock = VirtualClock()
    errors = [ServerError("Broken.", retryable=True), RateLimitError("Too fast.")]

    async def step() -> str:
        if errors:
            raise errors.pop()
        return "done"

    assert anyio.run(Waiting(clock.clock, 10, 100, 3600).patiently, step) == "done"
    assert clock.waits == [10, 15]


def test_a_step_that_fails_after_a_stop_is_not_tried_again() -> None:
    clock = VirtualClock()
    waiting = Waiting(clock.clock, 10, 10, 3600)
    tries: list[float] = []

    async def step() -> None:
        tries.append(clock.elapsed_seconds)
        if len(tries) == 2:
            waiting.stop()
        raise RateLimitError("Too fast.")

    with pytest.raises(RateLimitError):
        anyio.run(waiting.patiently, step)
    assert tries == [0, 10]


# --- in a run


def test_batches_that_end_one_after_the_other_are_all_read_and_each_end_makes_the_waits_short(
    world: BatchWorld,
) -> None:
    """What has just ended may not be the only one: the others are looked at in the same moment."""
    world.write(3)
    world.vendor.plays = [BatchPlay(looks=7), BatchPlay(looks=3), BatchPlay(looks=5)]
    looks = looks_of(world)
    report = world.run(batch=BatchSettings(most_rows=1, rounds=1))
    assert (report.ending.how, report.standing.answered) == ("done", 3)
    assert not world.online
    times = {which: [at for at, one in looks if one == which] for which in "123"}
    assert times == {
        "1": [0, 10, 25, 25, 35, 35, 45],
        "2": [0, 10, 25],
        "3": [0, 10, 25, 25, 35],
    }


@pytest.mark.parametrize("is_met", [True, False])
def test_a_batch_is_stopped_at_the_deadline_and_once(world: BatchWorld, is_met: bool) -> None:
    """It is looked at until it says that it has ended, which may take long after that."""
    world.write(4)
    world.vendor.plays = [BatchPlay(looks=FOR_EVER, done=0.5)]
    usual = world.vendor.look_at

    def slowly(request: EmulatedRequest, key: str) -> EmulatedResponse:
        job = world.vendor.jobs[key]
        return usual(request, key) if job.looks >= 6 else _untouched(world, job)

    looks = looks_of(world)
    world.vendor.look_at = slowly  # type: ignore[method-assign]  # the vendor is slow to stop
    report = world.run(batch=BatchSettings(deadline_seconds=25 if is_met else 25.5))
    assert (report.ending.how, report.standing.answered, len(world.online)) == ("done", 4, 2)
    steps = {
        True: [(0, "1"), (10, "1"), (25, "1/cancel"), (25, "1"), (47.5, "1")],
        False: [(0, "1"), (10, "1"), (25, "1"), (47.5, "1/cancel"), (47.5, "1")],
    }[is_met]
    assert looks[: len(steps)] == steps
    assert [step for _, step in looks].count("1/cancel") == 1


def _untouched(world: BatchWorld, job: EmulatedBatch) -> EmulatedResponse:
    job.looks += 1
    return world.vendor.reply(200, world.vendor.job_view(job))
