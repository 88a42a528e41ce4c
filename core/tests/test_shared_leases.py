"""What one process has of shared limits, step by step: a test gives the answers of the server, and time is a number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from chatport import OverloadedError
from chatport.limits.pacing import PaceLimits
from chatport.sharing.leases import Ask, Batch, Demand, Leases
from chatport.sharing.limits import Rate, Stock
from chatport.sharing.pacing import SharedPacer


class Process:
    """Leases, how often something was to be sent at once, and the time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.notified = 0
        self.leases = Leases(lambda: self.now, self._notify)

    def _notify(self) -> None:
        self.notified += 1

    def sent(self, *, is_tick: bool = False, is_end: bool = False) -> Batch:
        """Return what is to be sent, which is something."""
        batch = self.leases.next_batch(is_tick=is_tick, is_end=is_end)
        assert batch is not None
        return batch

    def answer(self, batch: Batch, *outcomes: int, free: Sequence[int] = (), spent: int = 0) -> None:
        """Answer each ask (0: it fits, -1: it never will, else after so many microseconds), and grant leases."""
        said: list[int] = []
        for outcome in outcomes:
            said += [int(outcome != 0), outcome]
        for place in range(len(batch.shares)):
            said += [free[place] if place < len(free) else 0, spent]
        self.leases.answered(batch, said)

    def granted(self, *demands: Demand, free: int = 0) -> Ask:
        """Ask for something, which is granted, with so much more for whoever comes next."""
        ask = self.leases.ask(demands)
        self.answer(self.sent(), 0, free=[free] * len(demands))
        assert ask.outcome == "granted"
        return ask


def test_what_is_leased_is_taken_without_asking_and_more_is_sent_for_once() -> None:
    """As soon as less than a quarter is left of what was used in the period before."""
    one = Process()
    share = one.leases.share("requests", Rate(6000))
    for _ in range(8):
        one.granted((share, 1))
    one.answer(one.sent(is_tick=True), free=[3])
    assert (share.recent, share.free, one.notified) == (8, 3, 8)
    assert one.leases.take([(share, 1)])
    assert one.notified == 8  # two are left, a quarter of eight
    assert one.leases.take([(share, 1)])
    assert one.leases.take([(share, 1)])
    assert one.notified == 9
    assert not one.leases.take([(share, 1)])
    batch = one.sent()  # no tick: only what is low
    assert (batch.shares, batch.added, batch.extras) == ([share], [0], [16])
    one.answer(batch, free=[2])
    assert one.leases.next_batch() is None


def test_all_of_a_call_is_taken_of_leases_or_nothing() -> None:
    one = Process()
    many, few = one.leases.share("many", Stock(100)), one.leases.share("few", Stock(100))
    one.granted((many, 1), (few, 1), free=5)
    assert not one.leases.take([(many, 5), (few, 6)])
    assert (many.free, many.held, few.free, few.held) == (5, 1, 5, 1)
    assert one.leases.take([(many, 5), (few, 5)])
    assert (many.free, many.held, few.free, few.held) == (0, 6, 0, 6)


@pytest.mark.parametrize("is_rate", [False, True])
def test_what_is_granted_to_whoever_left_is_free_for_others(is_rate: bool) -> None:
    """Whether the answer came before or after; for a second or two nobody else has to ask."""
    one = Process()
    share = one.leases.share("x", Rate(60) if is_rate else Stock(60))
    before = one.granted((share, 4))
    one.leases.withdraw(before)
    after = one.leases.ask([(share, 3)])
    batch = one.sent()
    one.leases.withdraw(after)
    one.answer(batch, 0)
    assert (before.outcome, after.outcome) == ("withdrawn", "withdrawn")
    assert (share.free, share.held) == (7, 0)
    assert share.alone.lacks(60, one.now) == 0.0
    assert one.leases.take([(share, 7)])
    assert share.held == (0 if is_rate else 7)
    assert not one.leases.take([(share, 1)])


def test_a_call_that_has_left_is_not_asked_for_and_not_woken() -> None:
    one, woken = Process(), list[str]()
    share = one.leases.share("x", Stock(9))
    gone = one.leases.ask([(share, 1)], lambda: woken.append("gone"))
    there = one.leases.ask([(share, 2)])
    one.leases.on_wake(there, lambda: woken.append("there"))
    one.leases.withdraw(gone)
    assert one.leases.has_asks
    batch = one.sent()
    assert (batch.asks, one.leases.has_asks) == ([there], False)
    assert woken == []
    one.answer(batch, 0)
    one.leases.on_wake(there, lambda: woken.append("late"))
    assert woken == ["there", "late"]


def test_a_refusal_says_what_is_short_and_for_how_long() -> None:
    one = Process()
    share = one.leases.share("x", Rate(60))
    soon, never = (one.leases.ask([(share, amount)]) for amount in (1, 2))
    one.answer(one.sent(), 1_500_000, -1)
    assert [(ask.outcome, ask.short, ask.wait_seconds) for ask in (soon, never)] == [
        ("refused", share, 1.5), ("refused", share, math.inf)
    ]  # fmt: skip
    assert share.used == 0


@pytest.mark.parametrize(("is_rate", "seconds"), [(True, 2.0), (False, 14.0)])
def test_a_lease_ends(is_rate: bool, seconds: float) -> None:
    """A rate's is lost then, a stock's is held no more; a second before it was there."""
    one = Process()
    share = one.leases.share("x", Rate(60) if is_rate else Stock(60))
    one.granted((share, 2), free=5)
    one.now += seconds - 0.001
    assert one.leases.take([(share, 1)])
    one.now += 0.001
    assert not one.leases.take([(share, 1)])
    batch = one.sent(is_tick=True)
    assert share.free == 0
    assert (batch.added, batch.holds, batch.extras) == ([0], [0 if is_rate else 3], [6])


@pytest.mark.parametrize("is_rate", [False, True])
def test_at_the_end_all_that_is_spare_goes_back(is_rate: bool) -> None:
    one = Process()
    share = one.leases.share("x", Rate(60) if is_rate else Stock(60))
    one.granted((share, 2), free=5)
    one.leases.settle([(share, 2, 1)])
    batch = one.sent(is_end=True)
    assert (batch.added, batch.holds, batch.extras) == ([-6 if is_rate else 1], [0], [0])
    assert (share.free, share.added, share.held) == (0, 0, 0)


def test_what_may_not_have_come_is_told_again_with_what_is_held_now() -> None:
    """Under the same number, without the calls, which have been told that the server is down."""
    one = Process()
    stock, rate = one.leases.share("s", Stock(60)), one.leases.share("r", Rate(60))
    one.granted((stock, 5), (rate, 5))
    one.leases.settle([(stock, 2, 2)])
    ask = one.leases.ask([(stock, 1), (rate, 1)])
    first = one.sent(is_tick=True)
    held = list(first.holds)
    waiting = one.leases.ask([(stock, 1)])
    one.leases.failed()
    assert (ask.outcome, waiting.outcome, one.leases.is_down) == ("down", "down", True)
    assert one.leases.ask([(stock, 1)]).outcome == "down"
    one.leases.settle([(stock, 3, 3)])
    again = one.sent()
    assert again is first
    assert (held, again.holds) == ([3, 0], [0, 0])
    assert (again.added, again.extras, again.asks) == ([2, 0], [0, 0], [])
    one.answer(again, spent=2)
    assert not one.leases.is_down
    assert one.sent(is_tick=True).number == first.number + 1


def test_a_server_that_is_back_is_told_what_is_held() -> None:
    """What is held and was told just now is not told again before a second is over; to a new server it is."""
    one = Process()
    share = one.leases.share("x", Stock(60))
    one.granted((share, 2))
    one.answer(one.sent(is_tick=True))
    assert one.leases.next_batch(is_tick=True) is None
    one.leases.connected()
    one.answer(one.sent(is_tick=True))
    one.now += 0.999
    assert one.leases.next_batch(is_tick=True) is None
    one.now += 0.001
    assert one.sent(is_tick=True).holds == [2]


def test_what_is_spent_elsewhere_counts_here_too() -> None:
    """So that this process, should it be alone, goes on from there."""
    one = Process()
    share = one.leases.share("x", Stock(60, 5))
    assert share.seed == 5
    one.leases.ask([(share, 1)])
    batch = one.sent()
    one.leases.settle([(share, 0, 3)])
    one.answer(batch, 0, spent=40)
    assert isinstance(share.alone, Stock)
    assert (share.seed, share.alone.spent) == (40, 43)
    one.leases.ask([(share, 1)])
    one.answer(one.sent(), 0, spent=10)
    assert (share.seed, share.alone.spent) == (40, 43)


def test_what_is_sent() -> None:
    """Keys and arguments as the script reads them."""
    one = Process()
    rate, stock = one.leases.share("r", Rate(120, 7)), one.leases.share("s", Stock(50, 9), kept_ms=1234)
    one.leases.ask([(rate, 1), (stock, 3)])
    one.leases.ask([(stock, 4)])
    batch = one.sent()
    assert batch.keys("{p}", "me") == ["{p}n:me", "{p}r", "{p}s"]
    head, of_rate = ["me", "1", "15000", "2"], ["r", "500000.000000", "7", "0", "0", "0", "0"]
    of_stock = ["s", "50", "1234", "0", "0", "0", "9"]
    assert batch.arguments("me") == [*head, *of_rate, *of_stock, "2", "1", "1", "2", "3", "1", "2", "4"]


def test_alone_the_limits_are_those_of_one_process() -> None:
    """And what is taken then is told later: of a rate that it was used, of a stock that it is held."""
    one = Process()
    rate, stock = one.leases.share("r", Rate(60)), one.leases.share("s", Stock(5))
    assert (rate.is_idle, stock.is_idle) == (True, True)
    assert one.leases.take_alone([(rate, 1), (stock, 6)]) == (stock, math.inf)
    assert one.leases.take_alone([(rate, 60), (stock, 5)]) is None
    assert (rate.added, rate.held, stock.added, stock.held) == (60, 0, 0, 5)
    assert (rate.is_idle, stock.is_idle) == (False, False)
    found = one.leases.take_alone([(rate, 2)])
    assert found is not None
    assert found[0] is rate
    assert found[1] == pytest.approx(2.0)
    one.leases.settle([(rate, 60, 60), (stock, 5, 5)])
    assert (rate.added, stock.added, stock.held) == (60, 5, 0)
    batch = one.sent(is_tick=True)
    assert batch.added == [60, 5]
    one.answer(batch)
    assert (rate.is_idle, stock.is_idle) == (True, True)


def test_a_limit_of_none_at_all() -> None:
    """Nothing fits, ever; nothing of it always does."""
    rate = Rate(0)
    rate.take(5, 0.0)
    rate.settle(5, 1, 0.0)
    assert (rate.left(10.0), rate.lacks(1, 10.0), rate.lacks(0, 10.0)) == (0, math.inf, 0.0)
    rate.resize(60)
    assert rate.left(10.0) == 60


def test_more_than_was_taken_is_taken_afterwards() -> None:
    rate = Rate(60)
    rate.take(10, 0.0)
    rate.settle(10, 25, 0.0)
    assert rate.left(0.0) == 35
    rate.settle(25, 5, 0.0)
    assert rate.left(0.0) == 55
    assert rate.lacks(0, 0.0) == 0.0


# --- of a target's pacing


def pacer(one: Process, *, refuses: bool = False, **limits: int) -> SharedPacer:
    return SharedPacer(PaceLimits(**limits), lambda: one.now, one.leases, "vendor", refuses=refuses)


def test_a_pacer_may_be_forgotten_once_all_is_told() -> None:
    """What a call has used counts against the limit by what it was, not by what was set aside for it."""
    one = Process()
    paced = pacer(one, requests_per_minute=600, tokens_per_minute=60_000, concurrency=2)
    idle = [paced.is_idle]
    ticket = paced.enter(500)
    assert paced.poll(ticket) == math.inf
    batch = one.sent()
    assert {share.name: amount for share, amount in batch.asks[0].demands} == {
        "vendor:requests": 1, "vendor:tokens": 500, "vendor:concurrency": 1
    }  # fmt: skip
    one.answer(batch, 0)
    assert paced.poll(ticket) == 0.0
    paced.leave(ticket, used_tokens=30)
    one.now += 1000
    idle.append(paced.is_idle)
    batch = one.sent(is_tick=True)
    told = dict(zip([share.name for share in batch.shares], zip(batch.added, batch.holds, strict=True), strict=True))
    assert told == {"vendor:requests": (0, 0), "vendor:tokens": (-470, 0), "vendor:concurrency": (0, 0)}
    one.answer(batch)
    assert [*idle, paced.is_idle] == [True, False, True]


def test_a_call_that_leaves_its_pacer_takes_nothing_with_it() -> None:
    """Neither while it waits, nor after it was granted and before it was sent."""
    one = Process()
    paced = pacer(one, concurrency=2)
    first = paced.enter(1)
    assert paced.poll(first) == math.inf
    batch = one.sent()
    paced.leave(first)
    one.answer(batch, 0)
    [share] = batch.shares
    assert (share.held, share.free) == (0, 1)
    second = paced.enter(1)
    assert paced.poll(second) == 0.0  # of what was free
    paced.leave(second)
    assert (share.held, share.free) == (0, 0)


def test_without_the_store_a_pacer_keeps_the_limits_alone() -> None:
    """Those of its process: a place that another client of it holds is asked for again soon."""
    one = Process()
    paced, other = pacer(one, concurrency=1), pacer(one, concurrency=1)
    one.leases.failed()
    first, second = paced.enter(1), other.enter(1)
    assert paced.poll(first) == 0.0
    assert other.poll(second) == 0.1
    paced.leave(first)
    assert other.poll(second) == 0.0


def test_without_the_store_a_pacer_of_a_rate_goes_by_its_own() -> None:
    """A burst of a fiftieth and one, and then a wait of no more than a tenth of a second."""
    one = Process()
    paced = pacer(one, requests_per_minute=60)
    one.leases.failed()
    waits = []
    for _ in range(3):
        ticket = paced.enter(1)
        waits.append(paced.poll(ticket))
    assert waits == [0.0, 0.0, 0.1]


def test_a_pacer_that_may_not_go_on_alone_says_so() -> None:
    one = Process()
    paced = pacer(one, refuses=True, concurrency=1)
    one.leases.failed()
    with pytest.raises(
        OverloadedError, match=r"^The store of \[pacing\], in which .* cannot be asked. Nothing"
    ) as caught:
        paced.poll(paced.enter(1))
    assert not caught.value.retryable


def test_a_pacer_waits_for_as_long_as_it_is_told() -> None:
    """A place that another process holds is asked for again after a tenth of a second."""
    one = Process()
    paced = pacer(one, concurrency=5)
    ticket = paced.enter(1)
    for outcome, seconds in ((250_000, 0.25), (-1, 0.1), (100, 0.001)):
        assert paced.poll(ticket) == math.inf
        one.answer(one.sent(), outcome)
        assert paced.poll(ticket) == seconds
