"""Limits that processes share, at a real Valkey or Redis: nothing passes twice, nothing is lost, nothing stays."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial

import anyio
import pytest

import chatport
from chatport.sharing.leases import Ask, Demand, Share
from chatport.sharing.limits import Rate, Stock
from chatport.sharing.server import LeaseServer, lease_server
from chatport.testing import Emulator

from .databases import RedisServer, running_redis

pytestmark = pytest.mark.xdist_group("redis")


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def two(redis: RedisServer, request: pytest.FixtureRequest) -> Iterator[list[LeaseServer]]:
    """Return two processes' worth of leases, with keys of their own."""
    prefix = "{" + str(abs(hash(request.node.nodeid))) + "}"
    made = [LeaseServer(redis.url, prefix=prefix) for _ in range(2)]
    assert all(one.wait_for_store() for one in made)
    yield made
    for one in made:
        one.close()


class Holder:
    """Whoever asks a store."""


def test_all_who_name_a_store_have_the_same_leases_as_long_as_one_of_them_is_left(redis: RedisServer) -> None:
    one, other = Holder(), Holder()
    first = lease_server(redis.url, "store", one)
    assert lease_server(redis.url, "store", other) is first
    assert lease_server(f"{redis.url}?", "store", other) is not first
    del one
    gc.collect()
    assert lease_server(redis.url, "store", other) is first


def take(server: LeaseServer, *demands: Demand) -> Ask | None:
    """Take what a call needs as callers do; return None if it was leased, else what was answered."""
    if server.leases.take(demands):
        return None
    ask = server.leases.ask(demands)
    woken = threading.Event()
    server.leases.on_wake(ask, woken.set)
    assert woken.wait(5)
    return ask


def passes(server: LeaseServer, *demands: Demand) -> bool:
    ask = take(server, *demands)
    return ask is None or ask.outcome == "granted"


def test_a_stock_is_never_overdrawn_by_two(two: list[LeaseServer]) -> None:
    """Two processes with four threads each take all there is, and no more; what is not used comes back."""
    shares = [one.leases.share("money", Stock(2000)) for one in two]
    granted: list[int] = []

    def work(place: int) -> None:
        for _ in range(100):
            if passes(two[place], (shares[place], 10)):
                granted.append(10)
                assert len(granted) * 10 <= 2000

    threads = [threading.Thread(target=work, args=(n % 2,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1900 <= sum(granted) <= 2000  # a lease of the other process may hold what is left
    for place, one in enumerate(two):
        one.leases.settle([(shares[place], shares[place].held, shares[place].held // 2)])
    time.sleep(0.6)  # two periods: both have told what was spent
    assert not passes(two[0], (shares[0], 1100))
    assert passes(two[1], (shares[1], 900))


def test_a_rate_is_shared(two: list[LeaseServer]) -> None:
    """The burst is one burst, whoever takes it, and a refusal says how long to wait."""
    shares = [one.leases.share("requests", Rate(60, 20)) for one in two]
    began = time.monotonic()
    granted = sum(passes(two[n % 2], (shares[n % 2], 1)) for n in range(60))
    assert 17 <= granted <= 21 + (time.monotonic() - began)  # some may be leased, and one is free each second
    ask = take(two[0], (shares[0], 1))
    while ask is None or ask.outcome == "granted":
        ask = take(two[0], (shares[0], 1))
    assert ask.short is shares[0]
    assert 0 < ask.wait_seconds <= 1.0


def test_all_limits_of_a_call_or_none(two: list[LeaseServer]) -> None:
    """What one limit refuses costs nothing of the others."""
    leases = two[0].leases
    rate, stock = leases.share("r", Rate(1000)), leases.share("s", Stock(5))
    for _ in range(5):
        ask = take(two[0], (rate, 1), (stock, 6))
        assert ask is not None
        assert ask.short is stock
    assert passes(two[0], (rate, 1000), (stock, 5))


def test_permits_are_leased_ahead(two: list[LeaseServer]) -> None:
    """Where calls come thick the store is asked for few of them."""
    share = two[0].leases.share("busy", Rate(600_000))
    end, asked, taken = time.monotonic() + 1.5, 0, 0
    while time.monotonic() < end:
        asked += take(two[0], (share, 1)) is not None
        taken += 1
        time.sleep(0.0005)
    assert asked < taken / 5
    time.sleep(0.8)
    assert share.free == 0  # what was spare has gone back


def test_what_a_dead_process_held_comes_back(
    two: list[LeaseServer], redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before its lease is over, and then without anybody doing anything."""
    monkeypatch.setattr("chatport.sharing.leases.LEASE_SECONDS", 0.6)
    dead, alive = two
    mine = alive.leases.share("slots", Stock(10))
    assert passes(dead, (dead.leases.share("slots", Stock(10)), 10))
    monkeypatch.setattr(dead.leases, "next_batch", lambda **_: None)  # it says no more
    assert not passes(alive, (mine, 1))
    time.sleep(0.8)
    assert passes(alive, (mine, 10))


def test_what_is_spent_survives_a_store_that_forgets(two: list[LeaseServer], redis: RedisServer) -> None:
    """A store that is killed comes back empty; whoever has seen more says so, and what is held is held again."""
    shares = [one.leases.share("purse", Stock(100)) for one in two]
    assert passes(two[0], (shares[0], 60))
    two[0].leases.settle([(shares[0], 60, 60)])
    assert passes(two[1], (shares[1], 30))
    time.sleep(0.6)
    redis.kill()
    ask = take(two[0], (shares[0], 1))
    assert ask is not None
    assert ask.outcome == "down"
    redis.start()
    assert all(one.wait_for_store() for one in two)
    time.sleep(1.5)
    assert not passes(two[0], (shares[0], 11))
    assert passes(two[0], (shares[0], 10))


def test_a_run_whose_answer_was_lost_counts_once(redis: RedisServer) -> None:
    """It is told again under the same number."""
    one = LeaseServer(redis.url, prefix="{again}")
    try:
        assert one.wait_for_store()
        share: Share = one.leases.share("purse", Stock(100))
        assert passes(one, (share, 40))
        answered = one.leases.answered
        one.leases.answered = _refuse  # type: ignore[method-assign, assignment]
        one.leases.settle([(share, 40, 40)])
        time.sleep(0.6)
        one.leases.answered = answered  # type: ignore[method-assign]
        time.sleep(0.6)
        assert share.seed == 40
        assert passes(one, (share, 60))
    finally:
        one.close()


def _refuse(*_: object) -> None:
    raise ConnectionError("the answer was lost")


PACE = """
import sys, time, chatport
from chatport.testing import Emulator
emulator = Emulator("compatible")
pacing = {"requests_per_minute": 600, "store": sys.argv[1]}
with chatport.Client(emulator.config(pacing=pacing, timeouts={"queue": 60}), transport=emulator) as client:
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(25):
        client.chat("say: hi", model="compatible:emulated-model")
        print(time.time(), flush=True)
"""


def test_library_users_share_pacing(redis: RedisServer) -> None:
    """Two programs together keep what one would keep: 600 requests a minute, with no more than a burst of 13."""
    command = [sys.executable, "-c", PACE, redis.url]
    programs = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    times = sorted(float(line) for program in programs for line in program.communicate("go\n", timeout=60)[0].split())
    assert len(times) == 50
    seconds = times[-1] - times[0]
    assert (50 - 13) / 9.65 - 0.3 <= seconds < 10


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_pacing_is_shared_on_each_loop(redis: RedisServer, backend: str) -> None:
    """A call waits for its lease in whatever loop it runs."""
    emulator = Emulator("compatible")
    pacing = {"requests_per_minute": 600, "tokens_per_minute": 100_000, "concurrency": 2, "store": redis.url}

    async def main() -> None:
        made = chatport.AsyncClient(emulator.config(pacing=pacing), transport=emulator)
        async with made as client, anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(partial(client.chat, "say: hi", model="compatible:emulated-model"))

    anyio.run(main, backend=backend)
    assert len(emulator.requests) == 12


def test_pacing_goes_on_alone_or_refuses_without_its_store() -> None:
    """As the setting says; an address of nothing is one that is down."""
    emulator = Emulator("compatible")
    for down in ("local", "refuse"):
        pacing = {"requests_per_minute": 600, "store": "redis://127.0.0.1:9/0", "on_store_down": down}
        with chatport.Client(emulator.config(pacing=pacing), transport=emulator) as client:
            if down == "local":
                assert client.chat("say: hi", model="compatible:emulated-model").text == "hi"
            else:
                with pytest.raises(chatport.OverloadedError, match="pacing"):
                    client.chat("say: hi", model="compatible:emulated-model")


def test_what_is_no_address_is_said_at_once() -> None:
    """And a password does not stand in the file."""
    for pacing, words in (
        ({"store": "http://x"}, "redis://"),
        ({"store": "redis://u:secret@h/0"}, "store_env"),
        ({"store_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE"),
    ):
        with pytest.raises(chatport.ConfigurationError, match=words) as caught:
            chatport.Client({"pacing": pacing})
        assert "secret" not in str(caught.value)


def test_a_password_in_an_address_is_not_shown() -> None:
    assert repr(LeaseServer("redis://u:secret@limits.example:6379/0")) == "<chatport.LeaseServer limits.example>"


def test_a_store_is_waited_for_no_longer_than_is_said() -> None:
    """One that is not there, and one that was and is no more."""
    one = LeaseServer("redis://127.0.0.1:9/0")
    began = time.monotonic()
    assert not one.wait_for_store(0.3)
    assert 0.2 < time.monotonic() - began < 5
    one.close()
    with running_redis() as server:
        two = LeaseServer(server.url)
        assert two.wait_for_store()
        share = two.leases.share("x", Stock(1))
        server.kill()
        ask = take(two, (share, 1))
        assert ask is not None
        assert ask.outcome == "down"
        assert not two.wait_for_store(0.3)
        two.close()


def test_the_thread_begins_with_the_first_call_and_ends_with_the_last_client(redis: RedisServer) -> None:
    """A client that is only made asks nobody, and one that is gone leaves nothing that runs."""

    others = set(threading.enumerate())  # one of another test may still be about to end

    def threads() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "chatport-leases" and one not in others]

    emulator = Emulator("compatible")
    pacing = {"requests_per_minute": 600, "store": redis.url}
    clients = [chatport.Client(emulator.config(pacing=pacing), transport=emulator) for _ in range(2)]
    assert not threads()
    for each in clients:
        each.chat("say: hi", model="compatible:emulated-model")
    del each
    (thread,) = threads()
    clients.pop().close()
    gc.collect()
    assert thread.is_alive()
    clients.pop().close()
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()
