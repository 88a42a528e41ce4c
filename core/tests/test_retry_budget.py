"""The retry budget by itself, and calls side by side that share it, each driven step by step."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from chatport.engine.commands import Close, Deliver, Head, Read, Send, TransportFailure, Wait
from chatport.errors import OverloadedError
from chatport.limits.retry import RetryBook, RetryBudget, RetryPolicy

from .test_engine import GOOD, GOOD_JSON, JSON, Call, Response, call


class Time:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def budget(share: float = 0.2, at_least: int = 3, **more: Any) -> tuple[RetryBudget, Time]:
    time = Time()
    return RetryBudget(time, share=share, at_least=at_least, **more), time


def taken(budget: RetryBudget, times: int = 100) -> int:
    return sum(budget.take() for _ in range(times))


@pytest.mark.parametrize(
    ("calls", "share", "least", "allowed"),
    [(0, 0.2, 3, 3), (15, 0.2, 3, 3), (19, 0.2, 3, 3), (20, 0.2, 3, 4), (50, 0.2, 0, 10), (4, 0.2, 0, 0), (5, 1, 0, 5)],
)
def test_the_allowance_is_a_share_of_the_calls_or_the_least(calls: int, share: float, least: int, allowed: int) -> None:
    one, _ = budget(share, least)
    for _ in range(calls):
        one.count_call()
    assert taken(one) == allowed


def test_an_answer_gives_one_retry_back_and_saves_none_up() -> None:
    one, _ = budget()
    for _ in range(50):
        one.answered()
    assert taken(one) == 3
    one.answered()
    one.answered()
    assert taken(one) == 2


def test_calls_and_retries_are_forgotten_after_a_minute() -> None:
    one, time = budget()
    for _ in range(50):
        one.count_call()
    assert taken(one) == 10
    time.seconds = 60.0
    assert taken(one) == 0, "the window is a minute, its end included"
    time.seconds = 60.001
    assert taken(one) == 3


def test_there_must_be_room_in_the_wider_budget_too_and_a_refusal_spends_nothing() -> None:
    wide, time = budget(at_least=4)
    one, other = (RetryBudget(time, parent=wide) for _ in range(2))
    assert (taken(one), taken(other)) == (3, 1)
    one.answered()
    assert taken(other, 1) == 1
    assert len(other._retries) == 2
    other.count_call()
    assert (wide.calls, one.calls) == (1, 0)


def test_a_book_has_a_budget_for_each_target_within_one_for_each_provider() -> None:
    book = RetryBook(RetryPolicy(budget_least=2, budget_share=0), Time())
    assert book.of("one:m") is book.of("one:m")
    assert taken(book.of("one:m")) == 2
    assert taken(book.of("one:n")) == 0
    assert taken(book.of("two:m")) == 2


def test_budgets_with_nothing_spent_are_forgotten_where_there_are_many() -> None:
    time = Time()
    book = RetryBook(RetryPolicy(), time)
    spent = book.of("one:spent")
    assert spent.take()
    for number in range(3000):
        book.of(f"one:{number}").count_call()
    assert len(book._targets) <= 1024
    assert book.of("one:spent") is spent
    seen = [spent.is_idle]
    time.seconds = 61.0
    seen.append(spent.is_idle)
    spent.hope(time)
    seen.append(spent.is_idle)
    assert seen == [False, True, False]


# --- calls side by side


class Side:
    """One call, driven until it waits, or to its end."""

    def __init__(self, c: Call) -> None:
        self.machine: Generator[Any, Any, Any] = c.machine(deliver=False).run()
        self.sent = 0
        self.ended: Any = None
        self._command = next(self.machine)

    def until_wait(self, *, status: int = 200) -> Side:
        """Answer one request, and go on until the machine waits or has ended."""
        body = [GOOD_JSON.body[0] if status == 200 else b"{}"]
        while not isinstance(self._command, Wait):
            answer: Any = None
            match self._command:
                case Send():
                    self.sent += 1
                    answer = Head(status, JSON)
                case Read():
                    answer = body.pop() if body else b""
                case Close() | Deliver():
                    pass
            if not self._go_on(answer):
                break
        return self

    def after_wait(self) -> Side:
        """Let the wait be over; the machine wants to send again, or waits again, or has ended."""
        assert isinstance(self._command, Wait)
        self._go_on(None)
        return self

    @property
    def wants_to_send(self) -> bool:
        return self.ended is None and isinstance(self._command, Send)

    def _go_on(self, answer: Any) -> bool:
        try:
            self._command = self.machine.send(answer)
        except StopIteration as stop:
            self.ended = stop.value
        except OverloadedError as error:
            self.ended = error
        return self.ended is None


def three(**retry: Any) -> list[Side]:
    """Return three calls of one client, begun at the same time."""
    c = call(retry={"budget_share": 0, "budget_least": 1, **retry})
    return [Side(c) for _ in range(3)]


def test_a_call_without_room_waits_as_long_as_another_may_bring_an_answer() -> None:
    first, second, third = three()
    first.until_wait(status=503)  # has spent the budget
    second.until_wait(status=503)
    assert second.ended is None, "it waits, and has not sent"
    third.until_wait()
    assert third.ended.text == "hello"
    assert second.after_wait().wants_to_send, "the answer has made room"
    assert second.until_wait().ended.text == "hello"
    assert first.after_wait().until_wait().ended.text == "hello"
    assert (first.sent, second.sent, third.sent) == (2, 2, 1)


def test_it_ends_in_its_error_once_nobody_is_left_who_could_make_room() -> None:
    first, second, third = three()
    for side in (first, second, third):
        side.until_wait(status=503)
    assert (first.ended, second.ended, third.ended) == (None, None, None), "the retry of the first is still to come"
    first.after_wait().until_wait(status=503)
    assert first.ended is not None
    for side in (second, third):
        side.after_wait()
        assert isinstance(side.ended, OverloadedError)
        assert "[retry] budget_share" in str(side.ended)
        assert side.sent == 1


def test_it_waits_no_more_often_than_it_would_have_been_tried() -> None:
    first, second, _ = three(attempts=4)
    first.until_wait(status=503)
    second.until_wait(status=503)
    second.after_wait().after_wait().after_wait()  # only what is not over can be waited for
    assert isinstance(second.ended, OverloadedError)
    assert second.sent == 1


def test_a_call_that_is_left_is_no_hope_for_others() -> None:
    first, second, third = three()
    first.until_wait(status=503)
    second.until_wait(status=503)
    first.machine.close()
    third.machine.close()
    assert isinstance(second.after_wait().ended, OverloadedError)


def test_the_first_retry_after_an_idle_connection_was_closed_is_free() -> None:
    stale = Response(before=[TransportFailure("closed", stage="head", kind="stale_connection")])
    c = call(stale, GOOD, retry={"budget_share": 0, "budget_least": 0})
    assert len(c.run().attempts) == 2
    again = call(stale, stale, GOOD, retry={"budget_share": 0, "budget_least": 0}).error()
    assert len(again.attempts) == 2
