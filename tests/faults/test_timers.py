"""Silence of every kind ends by the right timer, by name, and when it is due."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

import chatport
from chatport.testing import Fault, Pause, Scene, faults

from .world import World, as_sent, on_backends, plain_and_streamed

SILENCE, FIRST, BETWEEN, TOTAL = 10.0, 20.0, 15.0, 120.0
SECONDS = {"silence": SILENCE, "first_event": FIRST, "between_events": BETWEEN, "total": TOTAL}


def heartbeats_after(events: int) -> Fault:
    """A part of the answer, and then only signs of life (blank lines, if no stream was asked for)."""

    def play(scene: Scene) -> Iterator[bytes | Pause]:
        yield from scene.events[:events] if scene.streams else ()
        while True:
            yield Pause(3)
            yield b": heartbeat\n\n" if scene.streams else b"\n"

    return as_sent("heartbeats in the middle", play)


@attrs.frozen
class Case:
    """A kind of silence, the timer that is due in a stream, and the one in a plain call; `off` are timers not set."""

    name: str
    fault: Fault
    timer: str
    plain_timer: str
    off: tuple[str, ...] = ()


CASES = [
    Case("before the head", faults.stall("before_head"), "silence", "silence"),
    Case("before the head, slow to talk", faults.stall("before_head"), "first_event", "total", ("silence",)),
    Case("before the first event", faults.stall("before_first_event"), "silence", "silence"),
    Case(
        "before the first event, slow to talk",
        faults.stall("before_first_event"),
        "first_event",
        "total",
        ("silence",),
    ),
    Case("in the middle", faults.stall(after_events=3), "silence", "silence"),
    Case("in the middle, slow to talk", faults.stall(after_events=3), "between_events", "total", ("silence",)),
    Case("everything off but the total", faults.stall(after_events=3), "total", "total", ("silence", "between_events")),
    Case("heartbeats only", faults.heartbeats_only(every_seconds=3), "first_event", "total"),
    Case("heartbeats in the middle", heartbeats_after(3), "between_events", "total"),
    Case("heartbeats and no timer of events", heartbeats_after(3), "total", "total", ("between_events",)),
    Case("empty deltas", faults.empty_deltas_for_ever(every_seconds=2), "first_event", "total"),
    Case("a byte a second", faults.slow(bytes_per_second=1), "first_event", "total"),
    Case("a byte a second, and no hurry", faults.slow(bytes_per_second=1), "total", "total", ("first_event",)),
]


@on_backends
@plain_and_streamed
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_right_timer_fires_by_name_and_in_time(backend: str, stream: bool, case: Case) -> None:
    timeouts = {**SECONDS, **dict.fromkeys(case.off, 0)}
    w = World(backend, {"one": [case.fault]}, timeouts=timeouts, retry={"attempts": 1})
    outcome = w.ask(stream=stream)
    error = outcome.error
    assert isinstance(error, chatport.DeadlineError)
    due = case.timer if stream else case.plain_timer
    assert (error.timer, error.seconds) == (due, SECONDS[due])
    assert outcome.seconds == pytest.approx(SECONDS[due], rel=0.1)
    assert f"The {due} timer fired" in str(error)
    assert outcome.text == ("alpha beta" if stream and "middle" in case.name else outcome.text)
    assert outcome.text == ("" if error.partial is None else error.partial.text)


@on_backends
def test_silence_in_a_plain_call_is_no_fault_unless_the_user_says_so(backend: str) -> None:
    w = World(backend, {"one": [faults.stall("before_head", seconds=100)]})
    assert w.ask(stream=False).seconds == pytest.approx(100)


@on_backends
@plain_and_streamed
def test_the_total_covers_attempts_waits_and_targets(backend: str, stream: bool) -> None:
    late = faults.stall("before_head", seconds=4)
    unhappy = Fault("late, and then down", lambda scene: attrs.evolve(late.play(scene), status=503))
    w = World(backend, {"one": [unhappy] * 9, "two": [unhappy] * 9}, timeouts={"total": 10})
    outcome = w.ask(stream=stream)
    assert isinstance(outcome.error, chatport.ChatportError)
    assert outcome.seconds <= 10
    assert len(outcome.attempts) == w.requests
