"""The machine of a map by itself, in whatever order things happen: no call is made here, and no time passes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings, strategies as st

import chatport
from chatport.call import Call
from chatport.errors import BadRequestError, BudgetExceededError, QuotaExceededError
from chatport.many.loop import MapLoop, MapWork
from chatport.many.plan import MapPlan, read_plan

ENDS = ("ok", "error", "budget", "quota")


def plan(concurrency: int, window: int, ordered: bool, on_error: str) -> MapPlan:
    given: dict[str, Any] = dict.fromkeys(
        ["messages", "key", "max_usd", "max_seconds", "resume", "progress", "targets"], None
    )
    return read_plan(
        **{**given, "targets": ["p:m"]},
        concurrency=concurrency,
        window=window,
        ordered=ordered,
        on_error=on_error,  # type: ignore[arg-type]  # one of its two words
        retry_invalid=0,
        options={},
        call=Call(()),
    )


def end(loop: MapLoop, work: MapWork, how: str) -> None:
    errors: dict[str, Callable[[], Exception]] = {
        "error": lambda: BadRequestError("no"),
        "budget": lambda: BudgetExceededError("no room"),
        "quota": lambda: QuotaExceededError("no credit"),
    }
    reply = None if how in errors else chatport.Reply(f"answer {work.index}")
    loop.ended(work, reply, errors[how]() if how in errors else None)


@settings(max_examples=400, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 25),
    concurrency=st.integers(1, 5),
    beside=st.integers(0, 6),
    ordered=st.booleans(),
    on_error=st.sampled_from(["keep", "keep", "raise"]),
    ends=st.lists(st.sampled_from(ENDS), max_size=2).map(lambda few: ("ok", *few)),
)
def test_whatever_happens_in_whatever_order(
    seed: int,
    count: int,
    concurrency: int,
    beside: int,
    ordered: bool,
    on_error: str,
    ends: tuple[str, ...],
) -> None:
    """Each item is handed over once or left, calls and memory stay within their bounds, and there is always an end."""
    chance = random.Random(seed)
    loop = MapLoop(plan(concurrency, concurrency + beside, ordered, on_error), None, count, lambda: 0.0)
    running: list[MapWork] = []
    given_out: list[int] = []
    told: dict[int, str] = {}
    read = 0
    for _ in range(100 * (count + 1)):
        steps = ["begin", "pop"]
        steps += ["read"] * (loop.has_room and read <= count) + ["end"] * bool(running)
        match chance.choice(steps):
            case "read":
                if read == count:
                    loop.end_of_items()
                else:
                    loop.read(f"item {read}")
                read += 1
            case "begin":
                work = loop.next_work()
                running += [] if work is None else [work]
            case "end":
                work = running.pop(chance.randrange(len(running)))
                told[work.index] = chance.choice(ends)
                end(loop, work, told[work.index])
            case _:
                result = loop.pop()
                given_out += [] if result is None else [result.index]
        assert len(running) <= concurrency
        assert min(read, count) - len(given_out) - left_out(loop) <= concurrency + beside
        if loop.is_over:
            break
    else:  # what was drawn did not get there: go straight on
        finish(loop, running, given_out, told, count, read)
    assert loop.is_over
    assert len(set(given_out)) == len(given_out)
    assert given_out == sorted(given_out) or not ordered
    assert set(given_out) == {at for at, how in told.items() if is_told(how, on_error)}
    try:
        loop.check()
    except chatport.ChatportError:
        assert set(ends) - {"ok"}
    else:
        assert sorted(given_out) == list(range(count))


def is_told(how: str, on_error: str) -> bool:
    return how == "ok" or (how == "error" and on_error == "keep")


def left_out(loop: MapLoop) -> int:
    """Items that were given up: after a stop they are nobody's."""
    return 0 if loop._failure is None else 1000


def finish(
    loop: MapLoop, running: list[MapWork], given_out: list[int], told: dict[int, str], count: int, read: int
) -> None:
    while not loop.is_over:
        while loop.has_room:
            if read == count:
                loop.end_of_items()
            else:
                loop.read(f"item {read}")
            read += 1
        while (begun := loop.next_work()) is not None:
            running.append(begun)
        for work in running:
            told[work.index] = "ok"
            end(loop, work, "ok")
        running.clear()
        while (result := loop.pop()) is not None:
            given_out.append(result.index)


def test_what_answers_have_used_is_added_up_in_time() -> None:
    """A map of a million items does not keep a million answers to be counted."""
    loop = MapLoop(plan(1, 1, True, "keep"), None, None, lambda: 0.0)
    reply = chatport.Reply("a", usage=chatport.Usage(2, 1))
    for number in range(1, 2500):
        loop.count(reply)
        assert len(loop._tally.answers) == number % 1001
    spent = loop.progress().spent
    assert (spent.calls, spent.usage.input_tokens, spent.usage.output_tokens) == (2499, 4998, 2499)
