"""What each holder may still use: what begins anew with a day, and what of it is remembered and forgotten."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chatport.sharing import Leases, Rate, Share, Stock
from chatport_gateway.team.accounts import Account, Accounts
from chatport_gateway.team.values import GATEWAY, NANO, Limits, Standing


def us(day: int, hour: int = 12, month: int = 3) -> int:
    return int(datetime(2027, month, day, hour, tzinfo=UTC).timestamp()) * 1_000_000


def test_a_day_and_a_month_begin_anew_and_the_rest_goes_on() -> None:
    """At midnight (UTC), to the microsecond; what is spent is that of the window."""
    account = Account("key:k", None)
    spent = {("key:k", window): Standing("key:k", window, usd_nano=n) for n, window in enumerate(
        ("2027-03-30", "2027-03", "total"), 7
    )}  # fmt: skip
    account.apply(Limits.of(usd_day=1, usd_month=2, usd_total=3), spent, us(30))
    day, month, total = (account.money[kind] for kind in ("usd_day", "usd_month", "usd_total"))
    assert [(part.cap, part.spent) for part in (day, month, total) if isinstance(part, Stock)] == [
        (NANO, 7), (2 * NANO, 8), (3 * NANO, 9)
    ]  # fmt: skip
    account.roll(us(31, 0) - 1)
    assert account.money["usd_day"] is day
    account.roll(us(31, 0))
    assert account.money["usd_day"] is not day
    assert (account.money["usd_month"], account.money["usd_total"]) == (month, total)
    account.roll(us(1, 0, month=4))
    assert account.money["usd_month"] is not month
    assert account.money["usd_total"] is total
    assert [(part, unit) for part, unit in account.of_attempts] == [(part, 3) for part in account.money.values()]


def test_shares_are_named_for_their_holder_and_window_and_kept_as_long_as_they_may_matter() -> None:
    now = [0.0]
    account = Account("key:k", Leases(lambda: now[0]))
    limits = Limits.of(usd_day=1, usd_month=2, usd_total=3, requests_per_minute=4, tokens_per_minute=5, concurrency=6)
    account.apply(limits, {}, us(31))
    parts = [account.requests, account.tokens, account.slots, *account.money.values()]
    shares = [part for part in parts if isinstance(part, Share)]
    hour = 3_600_000
    assert [(share.name, share.kept_ms) for share in shares] == [
        ("key:k:requests", 24 * hour),
        ("key:k:tokens", 24 * hour),
        ("key:k:concurrency:now", hour),
        ("key:k:usd_day:2027-03-31", 72 * hour),
        ("key:k:usd_month:2027-03", 40 * 24 * hour),
        ("key:k:usd_total:total", 400 * 24 * hour),
    ]
    assert [account.name_of(share) for share in shares] == [
        "requests", "tokens", "concurrency", "usd_day", "usd_month", "usd_total"
    ]  # fmt: skip
    account.apply(Limits.of(usd_day=9, requests_per_minute=8, concurrency=7), {}, us(31))
    assert isinstance(shares[0].alone, Rate)
    assert isinstance(shares[2].alone, Stock)
    assert isinstance(shares[3].alone, Stock)
    assert (shares[0].alone.per_minute, shares[2].alone.cap, shares[3].alone.cap) == (8, 7, 9 * NANO)
    assert (account.tokens, list(account.money)) == (None, ["usd_day"])
    assert account.missing(limits)
    assert not account.missing(account.limits)


def test_what_is_spent_of_yesterday_is_told_before_it_is_forgotten() -> None:
    """A call that began before midnight ends after it."""
    leases = Leases(lambda: 0.0)
    account = Account("key:k", leases)
    account.apply(Limits.of(usd_day=1), {}, us(30))
    old = account.money["usd_day"]
    assert isinstance(old, Share)
    assert leases.take_alone([(old, 5)]) is None
    assert not account.is_idle
    account.roll(us(31))
    new = account.money["usd_day"]
    assert isinstance(new, Share)
    assert new.name == "key:k:usd_day:2027-03-31"
    assert not account.is_idle  # for yesterday's
    leases.settle([(old, 5, 4)])
    batch = leases.next_batch(is_tick=True)
    assert batch is not None
    assert [(share.name, added) for share, added in zip(batch.shares, batch.added, strict=True)] == [(old.name, 4)]
    leases.answered(batch, [0, 4])
    assert account.is_idle


def test_of_too_many_those_are_forgotten_that_were_opened_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of all calls, nor one of which something is held; and one that is used elsewhere stays the same."""
    monkeypatch.setattr("chatport_gateway.team.accounts._MOST", 3)
    accounts = Accounts()
    for holder in (GATEWAY, "key:busy", "key:idle"):
        accounts.open(holder).apply(Limits.of(concurrency=2), {}, us(1))
    busy = accounts.open("key:busy")
    assert isinstance(busy.slots, Stock)
    busy.slots.take(1, 0.0)
    accounts.open("key:new")
    assert [account.holder for account in accounts.all()] == ["key:new", GATEWAY, "key:busy"]
    assert accounts.get("key:idle") is None
    busy.slots.settle(1, 0, 0.0)
    used = accounts.open("key:new")
    accounts.open("key:newer")
    assert accounts.get("key:new") is None
    assert accounts.open("key:new") is used
    assert accounts.get("key:busy") is None or accounts.get("key:newer") is None
