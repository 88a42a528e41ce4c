"""Sixteen faults, two targets, six seconds: a whole answer or an honest error each time, and the account agrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

import chatport
from chatport.testing import faults
from chatport.testing.faults import Faults

from .world import KEY, PROMPT, TEXT, Outcome, World, always, on_backends, plain_and_streamed

TOTAL_SECONDS = 6.0
OVERFLOW = faults.status(400, body={"error": {"message": "too long", "code": "context_length_exceeded"}})
FILTERED = faults.status(400, body={"error": {"message": "not that", "code": "content_filter"}})


def world(backend: str, one: Faults, two: Faults = (), **tables: Any) -> World:
    tables = {"timeouts": {"total": TOTAL_SECONDS}, **tables}
    return World(backend, {"one": one, "two": two}, **tables)


def check(w: World, outcome: Outcome, *, is_only_call: bool = True) -> None:
    """What holds whatever happens: one answer or one error, nothing twice, in time, and every request accounted for."""
    assert (outcome.given is None) != (outcome.raised is None)
    assert outcome.seconds <= TOTAL_SECONDS
    if is_only_call:
        assert len(outcome.attempts) == w.requests
    for attempt in outcome.attempts:
        assert (attempt.error is None) == (attempt.outcome == "ok")
    if outcome.given is not None:
        assert outcome.reply.text == TEXT
        assert outcome.attempts[-1].outcome == "ok"
        assert outcome.text in ("", TEXT)
        assert not outcome.events or outcome.events[-1] == chatport.Finished(outcome.reply)
    else:
        assert outcome.attempts[-1].error is not None
        partial = outcome.error.partial
        assert TEXT.startswith(outcome.text)
        assert outcome.text == "" or (partial is not None and partial.text == outcome.text)
        assert not any(isinstance(event, chatport.Finished) for event in outcome.events)
    failed = [event for event in outcome.events if isinstance(event, chatport.AttemptFailed)]
    if outcome.events and outcome.given is not None:
        assert len(failed) == len(outcome.attempts) - 1


@attrs.frozen
class Case:
    """A fault, and what is due: who was asked with which outcome, after how long; where plain calls differ, theirs."""

    name: str
    one: Faults
    due: Sequence[tuple[str, str]]
    two: Faults = ()
    seconds: float = 0.0
    plain_due: Sequence[tuple[str, str]] | None = None
    plain_seconds: float | None = None
    text: str = ""
    timer: str | None = None


OK = ("one", "ok")
OTHER = ("two", "ok")
CASES = [
    Case("429 with a hint", [faults.rate_limited(1.5)], [("one", "RateLimitError"), OK], seconds=1.5),
    Case("429 with a hint too long to wait here", [faults.rate_limited(4)], [("one", "RateLimitError"), OTHER]),
    Case("429 without a hint", [faults.rate_limited()], [("one", "RateLimitError"), OK], seconds=0.25),
    Case("one 500", [faults.status(500)], [("one", "ServerError"), OK], seconds=0.25),
    Case(
        "endless 503", always(faults.status(503)), [("one", "OverloadedError")] * 3 + [OTHER], seconds=0.25 + 0.5
    ),
    Case(
        "endless 503 everywhere",
        always(faults.status(503)),
        [("one", "OverloadedError")] * 3 + [("two", "OverloadedError")] * 3,
        two=always(faults.status(503)),
        seconds=(0.25 + 0.5) * 2,
    ),
    Case("reset before the head", [faults.reset_before_head()], [("one", "TransportError"), OK], seconds=0.25),
    Case(
        "no answer at all",
        always(faults.stall("before_head")),
        [("one", "DeadlineError"), OTHER],
        seconds=TOTAL_SECONDS / 2,
    ),
    Case(
        "no answer from anybody",
        always(faults.stall("before_head")),
        [("one", "DeadlineError"), ("two", "DeadlineError")],
        two=always(faults.stall("before_head")),
        seconds=TOTAL_SECONDS,
        timer="total",
    ),
    Case("a first token in time", [faults.stall("before_first_event", seconds=2)], [OK], seconds=2),
    Case(
        "a slow first token",
        always(faults.stall("before_first_event", seconds=4)),
        [("one", "DeadlineError"), OTHER],
        seconds=TOTAL_SECONDS / 2,
    ),
    Case(
        "heartbeats only",
        always(faults.heartbeats_only(every_seconds=0.5)),
        [("one", "DeadlineError"), OTHER],
        seconds=TOTAL_SECONDS / 2,
    ),
    Case(
        "a cut",
        [faults.cut(after_events=3)],
        [("one", "StreamInterruptedError")],
        plain_due=[("one", "MalformedReplyError"), OK],
        plain_seconds=0.25,
        text="alpha beta",
    ),
    Case(
        "a cut by a reset",
        [faults.cut(after_events=3, how="reset")],
        [("one", "StreamInterruptedError")],
        plain_due=[("one", "TransportError"), OK],
        plain_seconds=0.25,
        text="alpha beta",
    ),
    Case("a cut before content", [faults.cut(after_events=1, how="reset")],
         [("one", "StreamInterruptedError"), OK], plain_due=[("one", "TransportError"), OK], seconds=0.25),
    Case(
        "a stall",
        [faults.stall(after_events=3)],
        [("one", "DeadlineError")],
        seconds=TOTAL_SECONDS,
        text="alpha beta",
        timer="total",
    ),
    Case(
        "a malformed chunk",
        [faults.malformed_chunk(3)],
        [("one", "MalformedReplyError")],
        plain_due=[("one", "MalformedReplyError"), OK],
        plain_seconds=0.25,
        text="alpha beta",
    ),
    Case("a malformed first chunk", [faults.malformed_chunk(0)], [("one", "MalformedReplyError"), OK], seconds=0.25),
    Case("no [DONE]", [faults.drop_done()], [OK]),
    Case("a context overflow", [OVERFLOW], [("one", "ContextLengthError")]),
    Case("a content filter", [FILTERED], [("one", "ContentFilterError")]),
]  # fmt: skip


@on_backends
@plain_and_streamed
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_ends_in_an_answer_or_an_honest_error(backend: str, stream: bool, case: Case) -> None:
    w = world(backend, case.one, case.two)
    outcome = w.ask(stream=stream)
    check(w, outcome)
    is_plain = not stream
    assert outcome.story == list(case.plain_due if is_plain and case.plain_due is not None else case.due)
    due_seconds = case.plain_seconds if is_plain and case.plain_seconds is not None else case.seconds
    assert outcome.seconds == pytest.approx(due_seconds)
    if outcome.raised is not None:
        assert outcome.text == (case.text if stream else "")
        assert getattr(outcome.error, "timer", None) == case.timer
        assert KEY not in str(outcome.error)


@on_backends
@plain_and_streamed
def test_a_context_overflow_goes_to_a_larger_window_only(backend: str, stream: bool) -> None:
    windows = {"one:m": {"context_tokens": 8000}, "two:m": {"context_tokens": 32000}}
    w = world(backend, [OVERFLOW], models=windows)
    outcome = w.ask(stream=stream)
    check(w, outcome)
    assert outcome.story == [("one", "ContextLengthError"), OTHER]


PREFILL = {"dialect": {"prefill": {"message": {"partial": True}}}}
REFUSED = faults.status(400, body={"error": {"message": "partial is not supported", "type": "invalid_request_error"}})


@on_backends
def test_a_fallback_that_refuses_the_prefill_leaves_the_part_and_the_messages_to_go_on_with(backend: str) -> None:
    w = world(
        backend,
        [faults.cut(after_events=3), faults.status(400)],
        [REFUSED],
        retry={"continue_after_cut": True},
        providers={"one": PREFILL, "two": PREFILL},
    )
    outcome = w.ask()
    check(w, outcome)
    assert outcome.story == [("one", "StreamInterruptedError"), ("one", "BadRequestError"), ("two", "BadRequestError")]
    assert isinstance(outcome.error, chatport.StreamInterruptedError)
    assert outcome.text == "alpha beta"
    roles = [(message.role, message.text) for message in outcome.error.messages[:2]]
    assert roles == [("user", PROMPT), ("assistant", "alpha beta")]
    again = w.ask(outcome.error.messages)
    assert again.raised is None, "the messages can be sent as they are"


@on_backends
@plain_and_streamed
def test_a_primary_that_flaps_is_left_alone_and_comes_back(backend: str, stream: bool) -> None:
    flapping: Callable[[int, Any], Any] = lambda number, _: faults.status(503) if number % 2 else None  # noqa: E731
    w = world(backend, flapping)
    outcomes = []
    for _ in range(12):
        w.clock.advance(1)
        outcomes.append(w.ask(stream=stream))
        check(w, outcomes[-1], is_only_call=False)
    assert sum(len(outcome.attempts) for outcome in outcomes) == w.requests
    assert [o.reply.provider for o in outcomes].count("two") >= 3, "its breaker opened by its rate of failures"
    assert w.breaker().state == "open"
    w.emulators["one"].misbehave(())
    w.clock.advance(11)
    assert [outcome.reply.provider for outcome in w.ask_one_by_one(2, stream=stream)] == ["two", "one"]
    assert w.breaker().state == "closed"
