"""A thousand calls at once against a vendor that is down: an outage is not doubled."""

from __future__ import annotations

import socket
from typing import Any

import pytest

import chatport
from chatport.testing import Fault, faults

from .world import World, always, frozen_clock, on_backends

CALLS = 1000
MOST = CALLS * 12 // 10


@on_backends
@pytest.mark.parametrize("fault", [faults.status(503), faults.refuse_connection()], ids=["503", "refused"])
def test_a_thousand_calls_of_a_dead_vendor_make_a_fifth_more_requests_at_most(backend: str, fault: Fault) -> None:
    w = World(backend, {"one": always(fault)}, clock=frozen_clock())
    outcomes = w.ask_many(CALLS)
    assert len(outcomes) == CALLS
    assert all(isinstance(o.error, chatport.OverloadedError | chatport.TransportError) for o in outcomes)
    assert sum(len(outcome.attempts) for outcome in outcomes) == w.requests
    assert CALLS < w.requests <= MOST


@on_backends
def test_streams_draw_on_the_same_allowance_as_plain_calls(backend: str) -> None:
    w = World(backend, {"one": always(faults.status(503))}, clock=frozen_clock())
    for stream in (False, True):
        w.ask_many(50, stream=stream)
    assert 100 < w.requests <= 120


@on_backends
def test_a_dead_primary_is_left_alone_and_its_fallback_bears_the_calls_once(backend: str) -> None:
    w = World(backend, {"one": always(faults.status(503)), "two": ()}, clock=frozen_clock())
    outcomes = [w.ask(stream=False) for _ in range(50)]
    assert all(outcome.reply.provider == "two" for outcome in outcomes)
    assert len(w.seen("two")) == 50
    assert len(w.seen("one")) <= 6, "its breaker opened"
    assert all(outcome.reply.warnings for outcome in outcomes[10:]), "the reply says that a target was passed over"


@on_backends
def test_connections_that_are_refused_on_a_real_port(backend: str) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, and never listened on: nobody else can take the port
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"
        tables: dict[str, Any] = {"retry": {"first_seconds": 0.01, "longest_seconds": 0.02}}
        w = World(backend, {"one": ()})
        w.use({"providers": {"one": {"kind": "compatible", "base_url": url}}, "model": "one:m", **tables})
        outcomes = w.ask_many(100, threads=20)
    assert all(isinstance(outcome.error, chatport.TransportError) for outcome in outcomes)
    assert 100 < sum(len(outcome.attempts) for outcome in outcomes) <= 120
