"""Threads for work that may block for ever: joined, bounded, and left behind."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import anyio
import pytest
import trio

from chatport.basics.bell import is_running, is_trio, new_bell, running_loop
from chatport.basics.blocking import Job, OverdueError, Room, StuckError

BACKENDS = ("asyncio", "trio")


@pytest.fixture
def hang() -> Iterator[Callable[[], None]]:
    """Return what hangs until the test is over."""
    over = threading.Event()
    yield lambda: cast_none(over.wait(30))
    over.set()


def cast_none(value: Any) -> None:
    """Take a value."""


def test_work_gives_its_value_and_its_error() -> None:
    room = Room("tests")
    assert room.run("a", lambda: 5, 5) == 5
    with pytest.raises(LookupError, match="no"):
        room.run("a", lambda: fail(LookupError("no")), 5)


def fail(error: Exception) -> Any:
    raise error


def test_what_hangs_is_waited_for_only_so_long(hang: Callable[[], None]) -> None:
    with pytest.raises(OverdueError):
        Room("tests").run("a", hang, 0.01)


@pytest.mark.parametrize(("seconds", "waited"), [(-1.0, 0.0), (0.0, 0.0), (0.25, 0.25), (1e300, threading.TIMEOUT_MAX)])
def test_it_is_waited_for_as_long_as_was_said(monkeypatch: pytest.MonkeyPatch, seconds: float, waited: float) -> None:
    asked: list[float | None] = []
    monkeypatch.setattr(threading.Event, "wait", lambda event, timeout=None: asked.append(timeout))
    with pytest.raises(OverdueError):
        Job[None]().wait(seconds)
    assert asked == [waited]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_task_waits_and_can_be_cancelled_while_its_loop_goes_on(backend: str, hang: Callable[[], None]) -> None:
    async def main() -> None:
        room = Room("tests")
        with anyio.move_on_after(0.01) as scope:
            await room.job("hanging", hang).finished()
        assert scope.cancelled_caught
        assert await room.job("other", lambda: "done").finished() == "done"

    anyio.run(main, backend=backend)


def test_who_wants_the_same_waits_for_the_same_thread(hang: Callable[[], None]) -> None:
    """And each gets an error of its own, since callers write into theirs."""
    room, begun, go = Room("tests"), [], threading.Event()

    def work() -> None:
        begun.append(1)
        go.wait(5)
        raise LookupError("no")

    jobs = [room.job("a", work) for _ in range(20)]
    go.set()
    errors = []
    for job in jobs:
        with pytest.raises(LookupError) as caught:
            job.wait(5)
        errors.append(caught.value)
    assert len(begun) == 1
    assert len(set(map(id, errors))) == 20
    with pytest.raises(LookupError):
        room.run("a", work, 5)
    assert len(begun) == 2, "what is done is done again when it is asked for again"


class CannotBeCopied(LookupError):
    def __copy__(self) -> CannotBeCopied:
        raise TypeError("there is one of it")


def test_an_error_that_cannot_be_copied_is_the_same_for_all_and_a_copy_keeps_its_cause() -> None:
    room, go, cause = Room("tests"), threading.Event(), KeyError("why")

    def fail_with(error: Exception) -> None:
        go.wait(5)
        raise error from cause

    jobs = [room.job(kind, partial(fail_with, kind("no"))) for kind in (CannotBeCopied, LookupError) for _ in range(2)]
    go.set()
    errors: list[Exception] = []
    for job in jobs:
        with pytest.raises(LookupError, match=r"^no$") as caught:
            job.wait(5)
        errors.append(caught.value)
    assert errors[0] is errors[1]
    assert errors[2] is not errors[3]
    assert [error.__cause__ for error in errors] == [cause] * 4


def test_one_thing_that_hangs_takes_no_place_of_another(hang: Callable[[], None]) -> None:
    room = Room("tests", stuck_after_seconds=0, most_stuck_on_one=3, most_stuck=5)
    before = set(threading.enumerate())  # some of other tests may end meanwhile
    for _ in range(3):
        room.job("a", hang)
    with pytest.raises(StuckError, match="3 tests of this one are under way and do not end"):
        room.job("a", hang)
    assert room.run("b", lambda: "done", 5) == "done"
    room.job("b", hang)
    room.job("c", hang)
    with pytest.raises(StuckError, match="5 tests are under way"):
        room.job("d", hang)
    until = time.monotonic() + 5
    while len(begun := set(threading.enumerate()) - before) != 5 and time.monotonic() < until:
        time.sleep(0.001)  # the thread of "b" has given its result, and may not be quite over
    assert len(begun) == 5


def test_a_room_is_free_again_when_what_hung_has_ended() -> None:
    room, over = Room("tests", stuck_after_seconds=0, most_stuck_on_one=1), threading.Event()
    job = room.job("a", over.wait)
    with pytest.raises(StuckError):
        room.job("a", over.wait)
    over.set()
    job.wait(5)
    assert room.run("a", lambda: 1, 5) == 1


def test_what_may_be_stuck_is_begun_anew_and_what_is_fresh_is_joined(hang: Callable[[], None]) -> None:
    patient, strict = Room("tests"), Room("tests", stuck_after_seconds=0)
    assert patient.job("a", hang) is patient.job("a", hang)
    assert strict.job("a", hang) is not strict.job("a", hang)


def test_work_sees_the_context_of_whoever_began_it() -> None:
    name = contextvars.ContextVar("name", default="nobody")
    name.set("me")
    assert Room("tests").run("a", name.get, 5) == "me"


def test_without_a_thread_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room("tests", most_stuck_on_one=1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda self: fail(RuntimeError("can't start new thread")))
        for _ in range(3):
            with pytest.raises(StuckError, match="can't start new thread"):
                room.job("a", lambda: 1)
    assert room.run("a", lambda: 1, 5) == 1


def test_what_hangs_does_not_keep_the_program_from_ending() -> None:
    program = "from chatport.basics.blocking import Room; import time; Room('tests').job('a', lambda: time.sleep(60))"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system with fork")
def test_a_forked_child_does_not_wait_for_threads_that_it_does_not_have() -> None:
    program = (
        "from chatport.basics.blocking import Room; import os, time\n"
        "room = Room('tests'); room.job('a', lambda: time.sleep(60))\n"
        "child = os.fork()\n"
        "if not child: os._exit(room.run('a', lambda: 7, 10))\n"
        "os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=False, timeout=30)
    assert done.returncode == 7


# --- bells


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_bell_is_rung_from_the_loop_itself_from_a_thread_and_too_late(backend: str) -> None:
    async def main() -> Any:
        own, other, late = new_bell(), new_bell(), new_bell()
        own.ring()
        own.ring()
        thread = threading.Thread(target=other.ring)
        thread.start()
        with anyio.fail_after(5):
            await own.heard()
            await other.heard()
        thread.join()
        return late

    anyio.run(main, backend=backend).ring()


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_loops_that_wake_each_other_at_once_do_not_wait_for_each_other(backend: str) -> None:
    """Each rings from inside its own loop: to wait until the other has heard would be the end of both."""
    together = threading.Barrier(2)
    bells: dict[int, Any] = {}
    heard: list[int] = []

    async def main(number: int) -> None:
        bells[number] = new_bell()
        together.wait(5)  # blocks both loops: they ring at the same time
        bells[1 - number].ring()
        with anyio.fail_after(5):
            await bells[number].heard()
        heard.append(number)

    threads = [threading.Thread(target=lambda n=n: anyio.run(main, n, backend=backend)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(heard) == [0, 1]


def test_a_loop_is_told_to_run_or_to_have_ended() -> None:
    async def main() -> Any:
        assert is_running(running_loop())
        return running_loop()

    assert not is_running(asyncio.run(main()))
    assert not is_running(trio.run(main))


def test_a_program_of_trio_alone_can_be_cancelled_while_a_stream_is_read() -> None:
    """Without anyio, which such a program need not import."""
    program = """
import sys, trio
from chatport.client.waiting import checkpoint_async

async def main():
    assert "anyio" not in sys.modules
    with trio.CancelScope() as scope:
        scope.cancel()
        await checkpoint_async()
        print("went on")
    print("left", scope.cancelled_caught)

trio.run(main)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("left True\n", "")


def test_a_trio_that_another_thread_is_just_importing_does_not_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpx imports it, in a thread of ours, while the loop goes on."""
    monkeypatch.setitem(sys.modules, "trio", ModuleType("trio"))
    assert not is_trio()
    half = ModuleType("trio")
    half.lowlevel = ModuleType("trio.lowlevel")  # type: ignore[attr-defined]  # of a module that is made here
    monkeypatch.setitem(sys.modules, "trio", half)
    assert not is_trio()
