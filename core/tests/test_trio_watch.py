"""Timers of waits on trio: they end what waits, when its time is over, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import trio
from trio.testing import MockClock

from chatport.transport.trio_watch import Watch


class Wait:
    """Notes when it was ended."""

    def __init__(self) -> None:
        self.is_waiting = False
        self.deadline = self.watched_until = math.inf
        self.ended_at: list[float] = []

    def expire(self) -> None:
        self.is_waiting = False
        self.ended_at.append(round(trio.current_time() - START, 3))


START = 0.0


def run(talk: Callable[[Watch], Awaitable[None]], watch: Watch | None = None) -> None:
    """Run a talk on a clock that jumps to whatever is due next."""

    async def main() -> None:
        global START
        START = trio.current_time()
        tasks = trio.lowlevel.current_statistics().tasks_living
        own = watch or Watch()
        await talk(own)
        own.stop()
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_each_wait_ends_when_its_own_time_is_over() -> None:
    async def talk(watch: Watch) -> None:
        waits = [Wait() for _ in range(4)]
        for wait, seconds in zip(waits, (3.0, 1.0, math.inf, 2.0), strict=True):
            watch.begin(wait, trio.current_time() + seconds)
        await trio.sleep(10)
        assert [wait.ended_at for wait in waits] == [[3.0], [1.0], [], [2.0]]

    run(talk)


def test_a_wait_that_moves_on_is_not_ended_by_its_former_deadline() -> None:
    async def talk(watch: Watch) -> None:
        wait = Wait()
        for _ in range(100):
            watch.begin(wait, trio.current_time() + 1.0)
            await trio.sleep(0.5)
        assert wait.ended_at == []
        await trio.sleep(10)
        assert wait.ended_at == [50.5]

    run(talk)


def test_a_deadline_may_come_nearer_and_go_away() -> None:
    async def talk(watch: Watch) -> None:
        wait, other, endless = Wait(), Wait(), Wait()
        watch.begin(wait, trio.current_time() + 60.0)
        watch.begin(wait, trio.current_time() + 1.0)
        watch.begin(other, trio.current_time() + 1.0)
        other.is_waiting = False
        watch.begin(endless, trio.current_time() + 1.0)
        watch.begin(endless, math.inf)
        await trio.sleep(100)
        assert (wait.ended_at, other.ended_at, endless.ended_at) == ([1.0], [], [])

    run(talk)


def test_what_it_keeps_does_not_grow_with_the_number_of_waits() -> None:
    """A connection waits for each read anew, with a deadline that is mostly a little later than the last one."""

    async def talk(watch: Watch) -> None:
        wait = Wait()
        for _ in range(1000):
            watch.begin(wait, trio.current_time() + 60.0)
            await trio.sleep(0.001)
        assert len(watch._due) == 1
        for _ in range(1000):
            watch.begin(wait, trio.current_time() + 30.0)
            await trio.sleep(0.001)
        assert len(watch._due) == 2, "a nearer one is looked at beside the farther one"
        for _ in range(1000):  # a short timer and a long one in turn
            watch.begin(wait, trio.current_time() + 60.0)
            watch.begin(wait, trio.current_time() + 1.0)
            await trio.sleep(0.01)
        assert len(watch._due) < 50
        wait.is_waiting = False
        await trio.sleep(100)
        assert watch._due == []

    run(talk)


def test_a_deadline_that_is_nearer_by_next_to_nothing_is_not_kept_beside_the_other() -> None:
    async def talk(watch: Watch) -> None:
        wait = Wait()
        now = trio.current_time()
        watch.begin(wait, now + 1.0)
        watch.begin(wait, now + 0.9995)
        assert len(watch._due) == 1
        watch.begin(wait, now + 0.99)
        assert len(watch._due) == 2
        await trio.sleep(2)
        assert wait.ended_at == [0.99]

    run(talk)


def test_what_waits_no_more_is_let_go_of() -> None:
    async def talk(watch: Watch) -> None:
        waits = [Wait() for _ in range(100)]
        for wait in waits:
            watch.begin(wait, trio.current_time() + 60.0)
        for wait in waits[1:]:
            wait.is_waiting = False
        watch.retire()
        assert len(watch._due) == 1
        assert {wait.watched_until for wait in waits[1:]} == {math.inf}
        await trio.sleep(100)
        assert [len(wait.ended_at) for wait in waits] == [1] + [0] * 99

    run(talk)


def test_a_watch_serves_one_run_after_the_other() -> None:
    watch, wait = Watch(), Wait()

    async def left(watch: Watch) -> None:
        watch.begin(wait, trio.current_time() + 60.0)

    async def talk(watch: Watch) -> None:
        watch.begin(wait, trio.current_time() + 1.0)
        await trio.sleep(10)
        assert wait.ended_at == [1.0]

    async def unstopped() -> None:
        await left(watch)
        await trio.testing.wait_all_tasks_blocked()

    trio.run(unstopped)
    run(left, watch)
    run(talk, watch)


def test_its_task_ends_when_there_is_nothing_to_watch() -> None:
    async def talk(watch: Watch) -> None:
        tasks = trio.lowlevel.current_statistics().tasks_living
        watch.begin(Wait(), trio.current_time() + 1.0)
        await trio.sleep(2)
        assert trio.lowlevel.current_statistics().tasks_living == tasks

    run(talk)
