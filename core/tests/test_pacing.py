"""The pacer: against servers that count in different ways, and under callers that come, go and vanish in any order."""

from __future__ import annotations

import gc
import heapq
import itertools
import math
import random
import threading
from collections.abc import Callable, Generator
from typing import Any, Protocol

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatport.limits.pacing import PaceLimits, Pacer, PacerBook, Ticket
from chatport.types import RateLimits


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 5000.0

    def __call__(self) -> float:
        return self.seconds


def pacer_of(**limits: int | None) -> tuple[Pacer, Time]:
    """Return a pacer and its clock."""
    time = Time()
    return Pacer(PaceLimits(**limits), time), time


def enter_all(pacer: Pacer, *tokens: int) -> list[Ticket]:
    """Put requests into the queue."""
    return [pacer.enter(count) for count in tokens]


# --- servers, in virtual time ---


class Server(Protocol):
    """Takes a request or refuses it with a hint in seconds; what is left as its headers would say."""

    def take(self, tokens: int, now: float) -> float: ...
    def headers(self, now: float) -> RateLimits: ...


class FixedWindows:
    """Counts from one full minute to the next."""

    def __init__(self, requests: int | None, tokens: int | None, phase: float) -> None:
        self.limits = (requests or 10**9, tokens or 10**9)
        self.phase, self.window, self.used = phase, -1, [0, 0]

    def take(self, tokens: int, now: float) -> float:
        if (now + self.phase) // 60 != self.window:
            self.window, self.used = int((now + self.phase) // 60), [0, 0]
        if self.used[0] + 1 > self.limits[0] or self.used[1] + tokens > self.limits[1]:
            return 60 - (now + self.phase) % 60
        self.used = [self.used[0] + 1, self.used[1] + tokens]
        return 0.0

    def headers(self, now: float) -> RateLimits:
        reset = 60 - (now + self.phase) % 60
        (requests, tokens), (sent, spent) = self.limits, self.used
        return RateLimits(requests, requests - sent, reset, tokens, tokens - spent, reset)


class Buckets:
    """Refills continuously, up to `depth` minutes' worth."""

    def __init__(self, requests: int | None, tokens: int | None, depth: float) -> None:
        self.rates = (requests or 10**9, tokens or 10**9)
        self.full = [rate * depth for rate in self.rates]
        self.levels, self.at = list(self.full), 0.0

    def take(self, tokens: int, now: float) -> float:
        self._refill(now)
        missing = [(1 - self.levels[0]) / self.rates[0], (tokens - self.levels[1]) / self.rates[1]]
        if max(missing) > 0:
            return max(missing) * 60
        self.levels = [self.levels[0] - 1, self.levels[1] - tokens]
        return 0.0

    def headers(self, now: float) -> RateLimits:
        self._refill(now)
        values = zip(self.full, self.levels, self.rates, strict=True)
        resets = [(full - level) * 60 / rate for full, level, rate in values]
        (requests, tokens), (sent, spent) = self.full, self.levels
        return RateLimits(int(requests), int(sent), resets[0], int(tokens), int(spent), resets[1])

    def _refill(self, now: float) -> None:
        gained = (now - self.at) / 60
        pairs = zip(self.levels, self.rates, self.full, strict=True)
        self.levels, self.at = [min(level + gained * rate, full) for level, rate, full in pairs], now


class Simulation:
    """Ten workers that always have something to ask, one pacer, one server, and a network that is not even."""

    def __init__(self, pacer: Pacer, time: Time, server: Server, sizes: Callable[[], int], seed: int) -> None:
        self.pacer, self.time, self.server, self.sizes = pacer, time, server, sizes
        self.random = random.Random(seed)
        self.agenda: list[tuple[float, int, Generator[Any, Any, None]]] = []
        self.number = itertools.count()
        self.sent = self.rejected = self.tokens = 0
        self.headers = False

    def worker(self) -> Generator[Any, Any, None]:
        while True:
            tokens = self.sizes()
            ticket = self.pacer.enter(int(tokens * self.random.uniform(0.95, 1.8)))
            while seconds := self.pacer.poll(ticket):
                yield ticket, seconds
            yield None, self.random.uniform(0.02, 0.5)  # travel
            now, self.sent = self.time(), self.sent + 1
            hint = self.server.take(tokens, now)
            if hint:
                self.rejected += 1
                self.pacer.hold(hint)
                self.pacer.leave(ticket, used_tokens=0)
                continue
            self.tokens += tokens
            if self.headers:
                self.pacer.learn(self.server.headers(now))
            yield None, self.random.uniform(0.2, 1.0)  # the answer
            self.pacer.leave(ticket, used_tokens=tokens)

    def run(self, minutes: float, workers: int = 10) -> None:
        for _ in range(workers):
            self.resume(self.worker())
        end = self.time() + minutes * 60
        while self.agenda and self.agenda[0][0] < end:
            self.time.seconds, _, worker = heapq.heappop(self.agenda)
            self.resume(worker)

    def resume(self, worker: Generator[Any, Any, None]) -> None:
        ticket, seconds = next(worker)
        entry = (self.time() + seconds, next(self.number), worker)
        if ticket is not None:
            self.pacer.on_wake(ticket, lambda: self.wake(entry))
        if seconds < math.inf:
            heapq.heappush(self.agenda, entry)

    def wake(self, entry: tuple[float, int, Generator[Any, Any, None]]) -> None:
        if entry in self.agenda:
            self.agenda.remove(entry)
            heapq.heapify(self.agenda)
        heapq.heappush(self.agenda, (self.time(), *entry[1:]))


SERVERS: dict[str, Callable[[int | None, int | None, int], Server]] = {
    "fixed windows": lambda requests, tokens, seed: FixedWindows(requests, tokens, phase=7.7 * seed),
    "bucket of a minute": lambda requests, tokens, seed: Buckets(requests, tokens, depth=1.0),
    "bucket of ten seconds": lambda requests, tokens, seed: Buckets(requests, tokens, depth=1 / 6),
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("headers", [False, True], ids=["configured", "configured and headers"])
@pytest.mark.parametrize(
    ("requests", "tokens", "sizes"),
    [(60, None, (100, 100)), (500, None, (10, 50)), (None, 60_000, (300, 1500)), (100, 100_000, (200, 2500))],
    ids=["60 requests", "500 requests", "60k tokens", "both"],
)
@pytest.mark.parametrize("server", SERVERS)
def test_ten_workers_see_about_no_refusal_and_lose_little(
    server: str, requests: int | None, tokens: int | None, sizes: tuple[int, int], headers: bool, seed: int
) -> None:
    pacer, time = pacer_of(requests_per_minute=requests, tokens_per_minute=tokens)
    chance = random.Random(seed)
    simulation = Simulation(pacer, time, SERVERS[server](requests, tokens, seed), lambda: chance.randint(*sizes), seed)
    simulation.headers = headers
    minutes = 8
    simulation.run(minutes)
    assert simulation.rejected <= 0.01 * simulation.sent
    used = [simulation.sent / requests / minutes] if requests else []
    used += [simulation.tokens / tokens / minutes] if tokens else []
    assert max(used) >= 0.8


@pytest.mark.parametrize("server", ["fixed windows", "bucket of a minute"])
def test_limits_learned_from_headers_are_as_good_as_configured_ones(server: str) -> None:
    pacer, time = pacer_of()
    simulation = Simulation(pacer, time, SERVERS[server](120, 200_000, 1), lambda: 500, 1)
    simulation.headers = True
    simulation.run(8)
    assert simulation.rejected <= 0.01 * simulation.sent
    assert simulation.sent >= 0.8 * 120 * 8


def test_without_a_pacer_the_servers_do_refuse() -> None:
    pacer, time = pacer_of()
    simulation = Simulation(pacer, time, FixedWindows(60, None, 0), lambda: 100, 1)
    simulation.run(2)
    assert simulation.rejected > 0.03 * simulation.sent


# --- single rules ---


def test_without_limits_nothing_waits() -> None:
    pacer, _ = pacer_of()
    tickets = enter_all(pacer, *[10**9] * 100)
    assert [pacer.poll(ticket) for ticket in tickets] == [0.0] * 100
    assert (pacer.waiting, pacer.active) == (0, 100)


def test_first_come_first_served_even_when_a_small_one_would_fit() -> None:
    pacer, _ = pacer_of(tokens_per_minute=1000)
    first, large, small = enter_all(pacer, 50, 800, 1)
    assert pacer.poll(small) == math.inf
    assert pacer.poll(first) == 0.0
    assert 0 < pacer.poll(large) < 10
    assert pacer.poll(small) == math.inf


def test_a_request_larger_than_a_minutes_tokens_goes_alone() -> None:
    pacer, time = pacer_of(tokens_per_minute=1000)
    before, giant, after = enter_all(pacer, 10, 50_000, 10)
    assert pacer.poll(before) == 0.0
    assert pacer.poll(giant) == pytest.approx(62.0)
    time.seconds += 62
    assert pacer.poll(giant) == 0.0
    assert pacer.poll(after) == pytest.approx(60 / 0.95, rel=0.2)


def test_usage_beyond_any_reason_does_not_block_for_ever() -> None:
    pacer, _ = pacer_of(tokens_per_minute=1000)
    first, second = enter_all(pacer, 10, 10)
    assert pacer.poll(first) == 0.0
    pacer.leave(first, used_tokens=10**18)
    assert 0 < pacer.poll(second) < 130


def test_real_usage_gives_back_what_was_not_needed() -> None:
    pacer, _ = pacer_of(tokens_per_minute=1000)
    first, second = enter_all(pacer, 900, 900)
    assert pacer.poll(first) == 0.0
    assert pacer.poll(second) > 50
    pacer.leave(first, used_tokens=0)
    assert pacer.poll(second) == 0.0


def test_a_slot_that_is_given_back_wakes_the_head_only() -> None:
    pacer, _ = pacer_of(concurrency=1)
    first, second, third = enter_all(pacer, 1, 1, 1)
    woken: list[str] = []
    assert [pacer.poll(ticket) for ticket in (first, second, third)] == [0.0, math.inf, math.inf]
    pacer.on_wake(second, lambda: woken.append("second"))
    pacer.on_wake(third, lambda: woken.append("third"))
    pacer.leave(first)
    pacer.leave(first)
    assert woken == ["second"]
    assert pacer.poll(second) == 0.0
    assert woken == ["second", "third"], "the next in the queue did not learn that it is the head"
    assert pacer.poll(third) == math.inf


def test_a_wake_between_poll_and_on_wake_is_not_lost() -> None:
    pacer, _ = pacer_of(concurrency=1)
    first, second = enter_all(pacer, 1, 1)
    woken: list[int] = []
    assert pacer.poll(first) == 0.0
    assert pacer.poll(second) == math.inf
    pacer.leave(first)
    pacer.on_wake(second, lambda: woken.append(1))
    assert woken == [1]
    pacer.on_wake(second, lambda: woken.append(2))
    assert woken == [1], "one wake was told twice"


def test_a_head_that_gives_up_makes_place_for_the_next() -> None:
    pacer, _ = pacer_of(tokens_per_minute=1000)
    first, large, small = enter_all(pacer, 100, 950, 10)
    woken: list[int] = []
    assert pacer.poll(first) == 0.0
    assert pacer.poll(large) > 0
    assert pacer.poll(small) == math.inf
    pacer.on_wake(small, lambda: woken.append(1))
    pacer.leave(large)
    assert woken == [1]
    assert 0 < pacer.poll(small) < 5
    with pytest.raises(ValueError, match="has left"):
        pacer.poll(large)


def test_nobody_goes_before_a_hold_is_over() -> None:
    pacer, time = pacer_of()
    pacer.hold(20.0)
    pacer.hold(5.0)
    (ticket,) = enter_all(pacer, 1)
    assert pacer.poll(ticket) == 20.0
    time.seconds += 20
    assert pacer.poll(ticket) == 0.0


@pytest.mark.parametrize(("reset", "waits"), [(17.0, 17.0), (3600.0, 60.0), (None, 0.0), (0.0, 0.0)])
def test_nothing_left_waits_for_the_reset_but_not_for_hours(reset: float | None, waits: float) -> None:
    pacer, time = pacer_of()
    pacer.learn(RateLimits(requests_limit=500, requests_remaining=0, requests_reset_seconds=reset))
    (ticket,) = enter_all(pacer, 1)
    assert pacer.poll(ticket) == pytest.approx(waits)
    time.seconds += waits
    assert pacer.poll(ticket) == 0.0


def test_the_head_waits_for_the_reset_when_less_is_left_than_it_needs() -> None:
    pacer, time = pacer_of()
    pacer.learn(RateLimits(tokens_limit=10_000, tokens_remaining=700, tokens_reset_seconds=12.0))
    small, large = enter_all(pacer, 500, 500)
    assert pacer.poll(small) == 0.0
    assert pacer.poll(large) == pytest.approx(12.0)
    time.seconds += 5
    pacer.learn(RateLimits(tokens_limit=10_000, tokens_remaining=9000, tokens_reset_seconds=7.0))
    assert pacer.poll(large) == 0.0


def test_a_bucket_is_waited_for_only_as_long_as_it_needs() -> None:
    pacer, _ = pacer_of()
    pacer.learn(RateLimits(requests_limit=60, requests_remaining=0, requests_reset_seconds=60.0))
    (ticket,) = enter_all(pacer, 1)
    assert pacer.poll(ticket) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("limits", "adopted"),
    [
        (RateLimits(600, 599, 0.1), 600),  # a bucket, nearly full
        (RateLimits(600, 300, 14.0), 600),  # a fixed window
        (RateLimits(14400, 14000, 2400.0), None),  # a day's
        (RateLimits(10, 9, 0.9), None),  # a second's
        (RateLimits(10, 9), None),
        (RateLimits(10, None, 3.0), None),
    ],
)
def test_a_limit_is_adopted_where_it_can_be_one_per_minute(limits: RateLimits, adopted: int | None) -> None:
    pacer, _ = pacer_of()
    pacer.learn(limits)
    assert pacer._requests._limit == adopted


def test_a_configured_limit_stands_against_the_headers() -> None:
    pacer, _ = pacer_of(requests_per_minute=30)
    pacer.learn(RateLimits(600, 599, 0.1))
    assert pacer._requests._limit == 30


@pytest.mark.parametrize("values", [{"requests_per_minute": 0}, {"tokens_per_minute": -5}, {"concurrency": 0}])
def test_a_limit_of_nothing_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        PaceLimits(**values)


def test_threads_share_the_slots_and_all_get_through() -> None:
    pacer = Pacer(PaceLimits(concurrency=3), Time())
    inside, most, done = 0, 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, most, done
        for _ in range(50):
            ticket = pacer.enter(1)
            while pacer.poll(ticket) > 0:
                woken = threading.Event()
                pacer.on_wake(ticket, woken.set)
                assert woken.wait(20), "a wake was lost"
            with lock:
                inside += 1
                most = max(most, inside)
            with lock:
                inside -= 1
                done += 1
            pacer.leave(ticket)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (done, pacer.waiting, pacer.active) == (400, 0, 0)
    assert most <= 3


# --- the book ---


def test_the_book_gives_equal_keys_the_same_pacer() -> None:
    book = PacerBook(Time())
    limits = PaceLimits(concurrency=2)
    assert book.get(("a", "m"), limits) is book.get(("a", "m"), PaceLimits(concurrency=2))
    assert book.get(("a", "m"), limits) is not book.get(("a", "n"), limits)
    assert book.get(("a", "m"), limits) is not book.get(("a", "m"), PaceLimits())


def test_the_book_drops_idle_pacers_first_and_stays_small() -> None:
    time = Time()
    book = PacerBook(time, most=4)
    busy = book.get("busy", PaceLimits(concurrency=1))
    assert busy.poll(busy.enter(1)) == 0.0
    for number in range(100):
        book.get(number, PaceLimits())
    assert len(book) <= 4
    assert book.get("busy", PaceLimits(concurrency=1)) is busy


def test_a_pacer_in_use_is_never_doubled_and_the_rest_is_freed() -> None:
    book = PacerBook(Time(), most=2)
    kept = [book.get(number, PaceLimits()) for number in range(10)]
    for pacer in kept:
        pacer.enter(1)
    assert [book.get(number, PaceLimits()) for number in range(10)] == kept
    del kept, pacer
    gc.collect()
    assert len(book._alive) == len(book) <= 2


def test_a_pacer_that_has_sent_lately_is_not_idle() -> None:
    pacer, time = pacer_of(requests_per_minute=60)
    seen = [pacer.is_idle]
    (ticket,) = enter_all(pacer, 1)
    seen.append(pacer.is_idle)
    pacer.poll(ticket)
    pacer.leave(ticket)
    seen.append(pacer.is_idle)
    time.seconds += 62
    seen.append(pacer.is_idle)
    pacer.hold(1)
    assert [*seen, pacer.is_idle] == [True, False, False, True, False]


# --- any order ---

LIMITS = PaceLimits(requests_per_minute=12, tokens_per_minute=1000, concurrency=3)


class AnyOrder(RuleBasedStateMachine):
    """Callers enter, poll, arm, vanish and leave while the vendor's headers and refusals come in between."""

    def __init__(self) -> None:
        super().__init__()
        self.time = Time()
        self.pacer = Pacer(LIMITS, self.time)
        self.queue: list[Ticket] = []
        self.active: list[Ticket] = []
        self.gone: list[Ticket] = []
        self.woken: set[Ticket] = set()
        self.sent: dict[Ticket, tuple[float, int]] = {}
        self.hold_until = 0.0

    @rule(tokens=st.integers(0, 1500))
    def enter(self, tokens: int) -> None:
        self.queue.append(self.pacer.enter(tokens))

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def poll(self, data: st.DataObject) -> None:
        self.poll_one(self.queue[data.draw(st.integers(0, len(self.queue) - 1))])

    def poll_one(self, ticket: Ticket) -> float:
        seconds = self.pacer.poll(ticket)
        self.woken.discard(ticket)
        if seconds > 0:
            assert seconds == math.inf or ticket is self.queue[0]
            self.pacer.on_wake(ticket, lambda: self.woken.add(ticket))
            return seconds
        assert ticket is self.queue.pop(0), "somebody passed the head of the queue"
        assert self.time() >= self.hold_until
        self.active.append(ticket)
        self.sent[ticket] = self.time(), min(ticket.tokens, 1000)
        return seconds

    @precondition(lambda self: self.active)
    @rule(data=st.data(), share=st.none() | st.floats(0.0, 1.0))
    def finish(self, data: st.DataObject, share: float | None) -> None:
        ticket = self.active.pop(data.draw(st.integers(0, len(self.active) - 1)))
        self.finish_one(ticket, None if share is None else int(ticket.tokens * share))

    def finish_one(self, ticket: Ticket, used_tokens: int | None) -> None:
        self.pacer.leave(ticket, used_tokens=used_tokens)
        self.gone.append(ticket)
        at, tokens = self.sent[ticket]
        self.sent[ticket] = at, tokens if used_tokens is None else min(used_tokens, 1000)

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        ticket = self.queue.pop(data.draw(st.integers(0, len(self.queue) - 1)))
        self.pacer.leave(ticket)
        self.gone.append(ticket)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def leave_twice(self, data: st.DataObject) -> None:
        self.pacer.leave(data.draw(st.sampled_from(self.gone)), used_tokens=0)

    @rule(seconds=st.floats(0.0, 90.0))
    def wait(self, seconds: float) -> None:
        self.time.seconds += seconds

    @rule(seconds=st.floats(0.0, 90.0))
    def hold(self, seconds: float) -> None:
        self.pacer.hold(seconds)
        self.hold_until = max(self.hold_until, self.time() + seconds)

    @rule(
        left=st.integers(0, 12),
        tokens=st.integers(0, 1000),
        reset=st.none() | st.floats(0.0, 5000.0),
        limit=st.none() | st.integers(0, 2000),
    )
    def learn(self, left: int, tokens: int, reset: float | None, limit: int | None) -> None:
        self.pacer.learn(RateLimits(limit, left, reset, limit, tokens, reset))

    @rule()
    def everybody_is_served_in_the_end(self) -> None:
        for _ in range(40 * (len(self.queue) + 1)):
            if not self.queue:
                break
            seconds = self.poll_one(self.queue[0])
            if seconds == math.inf:
                assert len(self.active) == 3, "the head waits for a wake that nobody will give"
                head = self.queue[0]
                self.finish_one(self.active.pop(0), 0)
                assert head in self.woken
            self.time.seconds += seconds if seconds < math.inf else 0
        assert not self.queue

    @invariant()
    def counts_agree(self) -> None:
        assert (self.pacer.waiting, self.pacer.active) == (len(self.queue), len(self.active))
        assert len(self.active) <= 3

    @invariant()
    def no_minute_holds_more_than_allowed(self) -> None:
        lately = [tokens for at, tokens in self.sent.values() if at > self.time() - 60]
        assert len(lately) <= 12
        assert sum(lately) <= 1000

    @invariant()
    def the_account_adds_up(self) -> None:
        for account in (self.pacer._requests, self.pacer._tokens):
            assert account._sent == sum(amount for _, amount in account._window) >= 0
            assert all(amount >= 0 for _, amount in account._window)
            assert account._level <= account._burst
            assert len(account._window) <= 63


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
