"""The circuit breaker: when it opens, who probes, and what late news cannot do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatport.limits.breaker import Breaker, BreakerPolicy

POLICY = BreakerPolicy(failures=3, least_calls=4, window_seconds=60.0, open_seconds=30.0, longest_open_seconds=100.0)


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def opened(policy: BreakerPolicy = POLICY) -> tuple[Breaker, Time]:
    """Return a breaker that has just opened, and its clock."""
    time = Time()
    breaker = Breaker(policy, time)
    assert [breaker.record("failed") for _ in range(policy.failures)] == [False] * (policy.failures - 1) + [True]
    return breaker, time


def probing(policy: BreakerPolicy = POLICY) -> tuple[Breaker, Time]:
    """Return a half-open breaker whose probe is under way."""
    breaker, time = opened(policy)
    time.seconds += policy.open_seconds
    assert breaker.admit() == "probe"
    return breaker, time


def test_failures_in_a_row_open_it() -> None:
    breaker, time = opened()
    assert (breaker.state, breaker.admit(), breaker.open_for_seconds) == ("open", "open", 30.0)
    time.seconds += 29.5
    assert (breaker.state, breaker.admit(), breaker.open_for_seconds) == ("open", "open", 0.5)


def test_an_answer_between_breaks_the_row() -> None:
    breaker = Breaker(BreakerPolicy(failures=3, least_calls=100), Time())
    for outcome in ("failed", "failed", "ok", "failed", "failed"):
        assert breaker.record(outcome) is False
    assert (breaker.state, breaker.open_for_seconds) == ("closed", 0.0)


def test_neutral_outcomes_do_not_count() -> None:
    breaker = Breaker(POLICY, Time())
    breaker.record("failed")
    breaker.record("failed")
    assert not any(breaker.record("neutral") for _ in range(100))
    assert breaker.record("failed"), "a neutral outcome broke the row"


def test_a_failure_rate_opens_it() -> None:
    breaker = Breaker(POLICY, Time())
    assert [breaker.record(outcome) for outcome in ("failed", "ok", "ok", "failed")] == [False, False, False, True]


def test_an_answer_does_not_open_it_even_when_it_completes_the_least_number_of_calls() -> None:
    breaker = Breaker(POLICY, Time())
    assert not any(breaker.record(outcome) for outcome in ("failed", "failed", "ok", "ok"))


def test_old_failures_are_forgotten() -> None:
    time = Time()
    breaker = Breaker(POLICY, time)
    breaker.record("failed")
    breaker.record("failed")
    time.seconds += 61
    assert [breaker.record(outcome) for outcome in ("ok", "ok", "ok", "failed")] == [False] * 4
    assert breaker.record("ok") is False
    assert breaker.record("failed") is False  # 2 of 6 in the last minute


def test_memory_does_not_grow_with_traffic() -> None:
    time = Time()
    breaker = Breaker(BreakerPolicy(failures=10**9, failure_rate=1.0), time)
    for _ in range(5000):
        breaker.record("ok")
        time.seconds += 0.1
    assert len(breaker._recent._slots) <= 61
    assert 590 <= breaker._recent.calls <= 610


def test_one_probe_at_a_time() -> None:
    breaker, _ = probing()
    assert (breaker.state, breaker.admit(), breaker.admit()) == ("half-open", "open", "open")


def test_a_good_probe_closes_it_and_forgets_the_past() -> None:
    breaker, time = probing()
    breaker.record("failed", probe=True)
    time.seconds += 60
    assert breaker.admit() == "probe"
    assert breaker.record("ok", probe=True) is False
    assert (breaker.state, breaker.admit()) == ("closed", "closed")
    assert [breaker.record("failed") for _ in range(3)] == [False, False, True]
    assert breaker.open_for_seconds == 30.0, "the open time did not start again from its first value"


def test_each_failed_probe_doubles_the_open_time_up_to_the_longest() -> None:
    breaker, time = probing()
    seen = []
    for _ in range(4):
        assert breaker.record("failed", probe=True) is True
        seen.append(breaker.open_for_seconds)
        time.seconds += breaker.open_for_seconds
        assert breaker.admit() == "probe"
    assert seen == [60.0, 100.0, 100.0, 100.0]


def test_a_neutral_probe_gives_the_probe_to_the_next() -> None:
    breaker, _ = probing()
    assert breaker.record("neutral", probe=True) is False
    assert (breaker.state, breaker.admit(), breaker.admit()) == ("half-open", "probe", "open")


@pytest.mark.parametrize("outcome", ["ok", "failed", "neutral"])
@pytest.mark.parametrize("start", [opened, probing])
def test_late_news_from_before_it_opened_changes_nothing(start: Callable[[], Any], outcome: Any) -> None:
    breaker, time = start()
    before = breaker.state, breaker.open_for_seconds
    assert breaker.record(outcome) is False
    assert (breaker.state, breaker.open_for_seconds) == before
    time.seconds += 30
    assert breaker.admit() == "probe"


def test_a_lost_probe_does_not_block_for_ever() -> None:
    breaker, time = probing()
    time.seconds += 29.9
    assert breaker.admit() == "open"
    time.seconds += 0.1
    assert breaker.admit() == "probe"
    assert breaker.admit() == "open"


def test_the_verdict_of_a_probe_comes_once() -> None:
    breaker, time = probing()
    breaker.record("failed", probe=True)
    assert breaker.record("ok", probe=True) is False, "the late answer of a probe that was taken for lost"
    assert breaker.state == "open"
    time.seconds += 59
    assert breaker.admit() == "open"


def test_threads_share_one_probe() -> None:
    breaker, time = opened()
    time.seconds += 30
    start, answers = threading.Barrier(8), []

    def ask() -> None:
        start.wait()
        answers.append(breaker.admit())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["open"] * 7 + ["probe"]


@pytest.mark.parametrize("values", [{"failures": 0}, {"failure_rate": 1.5}, {"open_seconds": 0}, {"least_calls": 0}])
def test_a_policy_that_makes_no_sense_is_refused(values: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        BreakerPolicy(**values)


class AnyOrder(RuleBasedStateMachine):
    """Callers come, go, fail and vanish in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.time = Time()
        self.breaker = Breaker(POLICY, self.time)
        self.running: list[bool] = []
        self.last_probe: float | None = None

    @rule()
    def call(self) -> None:
        blocked = self.breaker.open_for_seconds
        answer = self.breaker.admit()
        assert (answer == "open") == (blocked > 0)
        if answer == "probe":
            assert self.last_probe is None or self.time.seconds - self.last_probe >= POLICY.open_seconds
            self.last_probe = self.time.seconds
        if answer != "open":
            self.running.append(answer == "probe")

    @precondition(lambda self: self.running)
    @rule(data=st.data(), outcome=st.sampled_from(["ok", "failed", "neutral"]))
    def end(self, data: st.DataObject, outcome: Any) -> None:
        probe = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        before = self.breaker.state
        was_opened = self.breaker.record(outcome, probe=probe)
        after = self.breaker.state
        if was_opened:
            assert outcome == "failed"
            assert after == "open" or (probe and after == "half-open"), "a probe may have taken all of the open time"
            assert before != "open"
        if before != "closed" and not probe:
            assert after == before
        if probe:
            self.last_probe = None

    @precondition(lambda self: self.running)
    @rule()
    def vanish(self) -> None:
        self.running.pop()

    @rule(seconds=st.floats(0.0, 120.0))
    def wait(self, seconds: float) -> None:
        self.time.seconds += seconds

    @invariant()
    def it_never_blocks_for_ever(self) -> None:
        assert 0.0 <= self.breaker.open_for_seconds <= POLICY.longest_open_seconds
        assert self.breaker.state == "open" or self.breaker.open_for_seconds <= POLICY.open_seconds


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_probe_that_was_silent_for_long_has_left_the_target_alone_meanwhile() -> None:
    breaker, time = probing()
    time.seconds += 45.0
    breaker.record("failed", probe=True)
    assert breaker.open_for_seconds == 15.0
    time.seconds += 15.0
    assert breaker.admit() == "probe"
    time.seconds += 1000.0
    breaker.record("failed", probe=True)
    assert breaker.admit() == "probe", "and at once, where that was longer than the open time"


def test_a_probe_may_be_handed_on_and_is_then_the_others_to_give_back() -> None:
    breaker, time = opened()
    time.seconds += POLICY.open_seconds
    mine, other = object(), object()
    assert breaker.admit(mine) == "probe"
    breaker.hand_on(object(), object())
    breaker.hand_on(mine, other)
    breaker.give_back(mine)
    assert breaker.admit() == "open"
    breaker.give_back(other)
    assert breaker.admit() == "probe"


def test_the_end_of_an_outage_of_any_length_is_noticed_within_half_a_minute() -> None:
    for outage_seconds in range(1, 400, 7):
        breaker, time = opened(BreakerPolicy(failures=3))
        began = time.seconds
        while breaker.state != "closed":
            time.seconds += 0.5
            if breaker.admit() == "probe":
                breaker.record("failed" if time.seconds < began + outage_seconds else "ok", probe=True)
        assert time.seconds - began - outage_seconds < 30
