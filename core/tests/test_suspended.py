"""Timers after the process was suspended: what has arrived is read before one of them is judged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import chatport
from chatport.engine.commands import Head, HttpRequest, TimerExpired
from chatport.testing import VirtualClock

HOUR = 3600.0
BEAT = b": still there\n\n"
REPLY = {"choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}]}


def said(text: str, finish: str | None = None) -> bytes:
    chunk = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


class Suspended:
    """A transport, and its own exchange, whose clock jumps where the script says so: a number among the pieces.

    `None` is silence: nothing comes any more.
    """

    def __init__(self, head_after: float, *pieces: bytes | float | None) -> None:
        self.time = VirtualClock()
        self.head = Head(200, {})
        self._head_after = head_after
        self._pieces: Iterator[bytes | float | None] = iter(pieces)
        self.reads: list[float | None] = []

    def send(self, request: HttpRequest, connect_seconds: float | None, head_seconds: float | None) -> Suspended:
        self.time.advance(self._head_after)
        return self

    def read(self, seconds: float | None) -> bytes:
        self.reads.append(seconds)
        for piece in self._pieces:
            if isinstance(piece, bytes):
                return piece
            if piece is None:
                raise TimerExpired
            self.time.advance(piece)
        return b""

    def close(self) -> None:
        pass


def client_of(transport: Suspended, **timeouts: float) -> chatport.Client:
    config: dict[str, Any] = {
        "providers": {"x": {"kind": "compatible", "base_url": "https://x.example/v1", "api_key": "k"}},
        "model": "x:m",
        "retry": {"attempts": 1},
        "timeouts": timeouts,
    }
    return chatport.Client(config, transport=transport, clock=transport.time.clock)


def streamed(transport: Suspended, **timeouts: float) -> str:
    words = []
    with client_of(transport, **timeouts) as client, client.stream("hello") as stream:
        for event in stream:
            words.append(event.text if isinstance(event, chatport.TextDelta) else "")
    return "".join(words)


@pytest.mark.parametrize("timer", ["silence", "first_event", "between_events", "total"])
@pytest.mark.parametrize("before", [(), (BEAT,), (said("he"),)], ids=["nothing", "a heartbeat", "a word"])
def test_a_stream_that_has_arrived_meanwhile_is_read_whole(timer: str, before: tuple[bytes, ...]) -> None:
    rest = (BEAT, BEAT, said("l"), BEAT, said("lo", "stop"), b"data: [DONE]\n\n")
    text = "hello" if before == (said("he"),) else "llo"
    assert streamed(Suspended(0, *before, HOUR, *rest), **{timer: 10}) == text
    assert streamed(Suspended(HOUR, *before, *rest), **{timer: 10}) == text


@pytest.mark.parametrize("timer", ["silence", "total"])
def test_a_reply_that_has_arrived_meanwhile_is_read_whole(timer: str) -> None:
    body = json.dumps(REPLY).encode()
    for transport in (Suspended(0, b"\n", HOUR, body[:20], body[20:]), Suspended(HOUR, body[:20], body[20:])):
        with client_of(transport, **{timer: 10}) as client:
            assert client.chat("hello").text == "hello"


@pytest.mark.parametrize("timer", ["first_event", "between_events", "total"])
def test_where_nothing_more_has_arrived_the_timer_is_judged_at_once(timer: str) -> None:
    before = (said("he"),) if timer != "first_event" else ()
    transport = Suspended(0, *before, HOUR, BEAT, None)
    with pytest.raises(chatport.DeadlineError) as caught:
        streamed(transport, **{timer: 10})
    assert caught.value.timer == timer
    assert transport.reads[-1] == 0.0


@pytest.mark.parametrize("timer", ["first_event", "total"])
def test_a_vendor_that_never_stops_sending_heartbeats_does_not_hold_a_timer_up(timer: str) -> None:
    """It is late by no more than what has arrived can take to be read."""
    beats = [piece for _ in range(500) for piece in (0.1, BEAT)]
    transport = Suspended(0, HOUR, *beats)
    with pytest.raises(chatport.DeadlineError) as caught:
        streamed(transport, **{timer: 10})
    assert caught.value.timer == timer
    assert transport.time.elapsed_seconds <= HOUR + 2


def test_it_may_be_suspended_again_and_again() -> None:
    often = [piece for _ in range(20) for piece in (HOUR, BEAT, said("a"))]
    text = streamed(
        Suspended(0, *often, said("b", "stop"), b"data: [DONE]\n\n"), total=0, between_events=10, silence=10
    )
    assert text == "a" * 20 + "b"
