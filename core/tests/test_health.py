"""How targets stand with a client: what its breakers and queues say."""

from __future__ import annotations

import pytest

import chatport
from chatport.testing import Emulator, VirtualClock, faults

MODEL = "compatible:emulated-model"


def test_a_target_that_fails_and_comes_back() -> None:
    """It is open, then half-open, then closed; nothing is sent to find out."""
    clock = VirtualClock()
    emulator = Emulator("compatible", faults=[faults.status(500)] * 2, clock=clock)
    config = emulator.config(retry={"attempts": 1}, breaker={"failures": 2, "open_seconds": 10})
    with chatport.Client(config, transport=emulator, clock=clock.clock) as client:
        assert client.health() == ()
        for expected in ("closed", "open"):
            with pytest.raises(chatport.ServerError):
                client.chat("say: hi", model=MODEL)
            assert [(one.target, one.breaker) for one in client.health()] == [(MODEL, expected)]
        assert client.health()[0].open_for_seconds == 10
        assert clock.clock.sleep is not None
        clock.clock.sleep(11)
        assert client.health()[0] == chatport.TargetHealth(MODEL, "half-open")
        client.chat("say: hi", model=MODEL)
        assert client.health() == (chatport.TargetHealth(MODEL),)
        assert len(emulator.requests) == 3


def test_who_waits_before_a_target_and_who_is_let_through() -> None:
    emulator = Emulator("compatible")
    config = emulator.config(pacing={"concurrency": 1})
    with chatport.Client(config, transport=emulator) as client, client.stream("say: a b c", model=MODEL) as stream:
        next(stream)
        (health,) = client.health()
        assert (health.target, health.active, health.waiting) == (MODEL, 1, 0)
        [(_, pacer)] = client._shared.pacers.known().items()
        ticket = pacer.enter(1)
        assert client.health()[0].waiting == 1
        pacer.leave(ticket)
