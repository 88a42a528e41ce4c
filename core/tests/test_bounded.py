"""Names that callers, users of a server and vendors choose: a million of them take no more memory than a thousand."""

from __future__ import annotations

import gc
import random
import threading
import warnings
from typing import Any

import pytest
from tests.steps import count_steps

import chatport
from chatport.basics import log
from chatport.basics.bounded import (
    LONGEST_NAME,
    LONGEST_URL,
    MOST_BREAKERS,
    MOST_METRIC_MODELS,
    MOST_MODELS,
    MOST_PACERS,
    MOST_WARNINGS,
    Bounded,
    Shelf,
)
from chatport.engine.commands import Head, HttpRequest
from chatport.engine.shared import BreakerBook
from chatport.limits.breaker import BreakerPolicy
from chatport.limits.pacing import PaceLimits, PacerBook
from chatport.setup.config import load_config
from chatport.setup.vendors import Vendors
from chatport.testing import sse
from chatport.transport.address import address_of

MILLION = 1_000_000
CONFIG = {"providers": {"acme": {"kind": "compatible", "base_url": "http://acme.invalid/v1"}}}


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 5000.0

    def __call__(self) -> float:
        return self.seconds


class Thing:
    """A value with a memory, which is idle or not."""

    def __init__(self, is_idle: bool = True) -> None:
        self.is_idle = is_idle


def shelf(most: int) -> Shelf[Any, Thing]:
    return Shelf(most, lambda thing: thing.is_idle)


# --- the two mappings


def test_a_million_names_leave_the_last_ones() -> None:
    kept: Bounded[str, int] = Bounded(MOST_MODELS)
    for number in range(MILLION):
        kept.put(f"name{number}", number)
    assert len(kept) == MOST_MODELS
    assert kept.get(f"name{MILLION - MOST_MODELS}") == MILLION - MOST_MODELS
    assert kept.get(f"name{MILLION - MOST_MODELS - 1}") is None


def test_what_is_used_stays_and_what_was_used_least_recently_goes() -> None:
    kept: Bounded[str, int] = Bounded(3)
    for name in "abc":
        kept.put(name, ord(name))
    assert kept.get("a") == 97
    kept.put("d", 100)
    kept.put("c", 0)
    kept.put("e", 101)
    assert [kept.get(name) for name in "abcde"] == [None, None, 0, 100, 101]


def test_ever_new_names_leave_a_bounded_shelf() -> None:
    kept = shelf(MOST_BREAKERS)
    busy = kept.find("busy", lambda: Thing(is_idle=False))
    for number in range(200_000):
        kept.find(number, Thing)
    assert len(kept) == len(kept._alive) == MOST_BREAKERS
    assert kept.find("busy", Thing) is busy


def test_a_shelf_makes_a_value_once_and_forgets_the_idle_first() -> None:
    kept = shelf(3)
    busy = kept.find("busy", lambda: Thing(is_idle=False))
    for number in range(10_000):
        kept.find(number, Thing)
        assert len(kept) <= 3
    assert kept.find("busy", Thing) is busy
    assert kept.find(9999, lambda: Thing(is_idle=False)).is_idle, "the newest is still there"


def test_with_no_room_a_newcomer_is_shared_while_somebody_holds_it() -> None:
    """What is in use is never forgotten, however many come; and each newcomer costs the same."""
    kept = shelf(100)
    busy = {number: kept.find(number, lambda: Thing(is_idle=False)) for number in range(100)}
    newcomer = kept.find("new", Thing)
    assert kept.find("new", Thing) is newcomer
    assert len(kept) == 100
    assert all(kept.find(number, Thing) is thing for number, thing in busy.items())
    assert count_steps(lambda: kept.find("newer", Thing)) < 300
    newcomer.is_idle = False  # it had something to remember, and nobody holds it any more
    del newcomer
    gc.collect()
    assert kept.find("new", Thing).is_idle
    busy[50].is_idle = True
    for _ in range(100):  # it has its turn of being looked at
        newcomer = kept.find("new", Thing)
    assert len(kept) == 100
    del busy, newcomer
    gc.collect()
    assert kept.find(50, lambda: Thing(is_idle=False)).is_idle is False, "the one that became idle made place"


def test_threads_get_the_same_value_and_the_bound_holds() -> None:
    kept, seen = shelf(50), []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(3000):
            kept.find(chance.randrange(200), Thing)
            seen.append(len(kept))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(seen) <= 50
    assert len(kept._alive) == len(kept) <= 50


# --- what is kept by the names of models


def test_ever_new_models_leave_a_thousand_facts_and_contexts() -> None:
    vendors = Vendors(load_config(CONFIG, environment={}), environment={})
    acme = vendors.provider("acme")
    known = vendors.facts(acme, "m")
    for number in range(50_000):
        vendors._facts.put(("acme", "", f"m{number}"), known)
        acme.context(f"m{number}", known)
    assert len(vendors._facts) == len(acme.contexts) == MOST_MODELS
    assert vendors.facts(acme, "m") == known
    assert acme.context("m0", known) == acme.context("m0", known)


def test_ever_new_targets_leave_a_thousand_breakers_and_those_that_are_open() -> None:
    time = Time()
    book = BreakerBook(BreakerPolicy(failures=1, open_seconds=30), time)
    down = [book.of(f"acme:down{number}") for number in range(50)]
    for breaker in down:
        breaker.record("failed")
    for number in range(50_000):
        book.of(f"acme:m{number}")
    assert len(book._breakers) == MOST_BREAKERS
    assert [book.of(f"acme:down{number}").state for number in range(50)] == ["open"] * 50
    time.seconds += 31
    probe = book.of("acme:down0")
    assert probe.admit() == "probe"
    del down
    for number in range(3 * MOST_BREAKERS):
        book.of(f"acme:n{number}")
    assert book.of("acme:down0") is probe, "a probe is under way"
    gc.collect()
    assert book.of("acme:down1").state == "closed", "it held nobody back any more, and was forgotten"


def test_ever_new_paced_models_leave_a_thousand_pacers_and_those_in_use() -> None:
    """Those that have sent lately are in use as well."""
    time = Time()
    book, limits = PacerBook(time), PaceLimits(requests_per_minute=60, concurrency=1)
    busy = book.get("busy", limits)
    assert busy.poll(busy.enter(1)) == 0.0
    held = book.get("held", limits)
    held.hold(1000)
    del busy, held
    gc.collect()
    for number in range(10_000):
        pacer = book.get(number, limits)
        if number % 2:
            ticket = pacer.enter(1)
            pacer.poll(ticket)
            pacer.leave(ticket)
    assert len(book) == MOST_PACERS
    assert book.get("busy", limits).active == 1
    held = book.get("held", limits)
    ticket = held.enter(1)
    assert held.poll(ticket) > 900
    held.leave(ticket)
    del held, pacer
    time.seconds += 2000
    for number in range(3 * MOST_PACERS):
        book.get(-number - 1, limits)
    assert len(book) == len(book._alive) == MOST_PACERS


class Vendor:
    """A transport that answers every request."""

    def __init__(self) -> None:
        self.requests = 0

    def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> Vendor:
        self.requests += 1
        self.head = Head(200, {"content-type": "text/event-stream"})
        said = {"id": "r", "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}
        self._pieces = iter([sse(said), b"data: [DONE]\n\n", b""])
        return self

    def read(self, seconds: float | None) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Nothing is open."""


def test_calls_with_ever_new_models_leave_bounded_entries() -> None:
    """Whole calls, twice as many as are kept, paced and each with a model of its own."""
    vendor = Vendor()
    client = chatport.Client(transport=vendor, config={**CONFIG, "pacing": {"concurrency": 2}})
    for number in range(2 * MOST_MODELS + 100):
        client.chat("hello", model=f"acme:m{number}")
    vendors, shared = client._vendors, client._shared
    assert vendor.requests == 2 * MOST_MODELS + 100
    sizes = (
        len(vendors._facts),
        len(vendors.provider("acme").contexts),
        len(shared.breakers._breakers),
        len(shared.pacers),
    )
    assert sizes == (MOST_MODELS, MOST_MODELS, MOST_BREAKERS, MOST_PACERS)


# --- other names


def test_unknown_providers_leave_nothing() -> None:
    vendors = Vendors(load_config(CONFIG, environment={}), environment={})
    for number in range(1000):
        with pytest.raises(chatport.ConfigurationError):
            vendors.provider(f"nobody{number}")
    assert not vendors._locks
    assert not vendors._providers


@pytest.mark.parametrize("name", ["acme:{}", "{}:m", "{}"])
def test_a_name_that_is_too_long_is_refused_before_anything_is_sent(name: str) -> None:
    """It is most likely a message that was passed as the model; the error shows its begin only."""
    vendor = Vendor()
    client = chatport.Client(transport=vendor, config=CONFIG)
    long = name.format("x" * 10_000_000)
    for ask in (
        lambda: client.chat("hello", model=long),
        lambda: client.stream("hello", model=long),
        lambda: client.embed("hello", model=long),
        lambda: client.models(long),
        lambda: client.facts(long),
        lambda: client.explain("hello", model=long),
    ):
        with pytest.raises(chatport.ConfigurationError, match=rf"at most {LONGEST_NAME} .* Nothing was sent") as caught:
            ask()
        assert len(str(caught.value)) < 300
    assert vendor.requests == 0


def test_the_longest_name_is_taken() -> None:
    client = chatport.Client(transport=Vendor(), config=CONFIG)
    longest = "acme:" + "x" * (LONGEST_NAME - 5)
    assert client.chat("hello", model=longest).text == "hi"
    with pytest.raises(chatport.ConfigurationError):
        client.chat("hello", model=f"{longest}x")


def test_a_long_url_is_read_and_not_remembered() -> None:
    from chatport.transport.address import _known_address

    before = _known_address.cache_info().currsize
    for number in range(3):
        assert address_of(f"https://acme.example/{'x' * LONGEST_URL}{number}").host == "acme.example"
    assert _known_address.cache_info().currsize == before


def test_warnings_with_ever_new_texts_are_not_remembered_for_ever() -> None:
    """Python keeps each text that it has shown; what a vendor sends may make each another one."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        for number in range(10 * MOST_WARNINGS):
            log.warn(f"failed with {number} {'x' * 10_000}")
            log.warn("the same")
    assert 10 * MOST_WARNINGS < len(shown) < 10 * MOST_WARNINGS + 30, "what repeats is shown now and then only"
    registry: Any = vars(log)["__warningregistry__"]
    assert len(registry) <= MOST_WARNINGS + 1
    assert max(len(key[0]) for key in registry if isinstance(key, tuple)) <= 2000


def test_metrics_name_a_bounded_number_of_models() -> None:
    """A meter keeps a sum for each name for ever, and no meter forgets."""
    otel = pytest.importorskip("chatport.otel")
    telemetry = otel.Telemetry()
    named = {telemetry._metric_model(f"m{number}") for number in range(100_000)}
    assert len(named) == MOST_METRIC_MODELS + 1
    assert telemetry._metric_model("m0") == "m0"
    assert telemetry._metric_model("another") == "_OTHER"
