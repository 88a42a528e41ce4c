"""The fault kit: every fault in process under virtual time and, where it is about bytes, on a port; all three ways."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any

import anyio
import attrs
import pytest

from chatport import AsyncClient, Client, Event, Reply, TextDelta, errors as e
from chatport.client.base import real_clock
from chatport.testing import (
    Break,
    EmulatedRequest,
    Emulator,
    Fault,
    Pause,
    Performance,
    Scene,
    VendorEmulator,
    VirtualClock,
    faults,
)

MODEL = "compatible:emulated-model"
KEY = "sk-canary-0123456789"
WORDS = "one two three four"
TIMERS = {"silence": 20, "first_event": 50, "between_events": 40, "total": 300}


@attrs.frozen
class Outcome:
    """What a call came to: what was handed over, and the reply or the error."""

    seen: str
    reply: Reply | None = None
    error: e.ChatportError | None = None

    @property
    def attempts(self) -> int:
        told = self.reply or self.error
        assert told is not None
        return len(told.attempts)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ask(way: str, emulator: Emulator, *, stream: bool = True, prompt: str = f"say: {WORDS}", **tables: Any) -> Outcome:
    """Make one call: in process under the emulator's clock if it has one, on its port otherwise."""
    at_once = attrs.evolve(real_clock(), random=lambda: 0.0)  # no wait between attempts
    given: dict[str, Any] = {"config": emulator.config(**tables), "clock": at_once}
    if emulator.clock is not None:
        given |= {"transport": emulator, "clock": emulator.clock.clock}
    seen: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, TextDelta):
            seen.append(event.text)

    async def asynchronous() -> Reply:
        async with AsyncClient(**given) as client:
            if not stream:
                return await client.chat(prompt, model=MODEL)
            async with client.stream(prompt, model=MODEL) as events:
                async for event in events:
                    note(event)
            return events.reply

    def synchronous() -> Reply:
        with Client(**given) as client:
            if not stream:
                return client.chat(prompt, model=MODEL)
            with client.stream(prompt, model=MODEL) as events:
                for event in events:
                    note(event)
            return events.reply

    try:
        reply = synchronous() if way == "sync" else anyio.run(asynchronous, backend=way)
    except e.ChatportError as error:
        return Outcome("".join(seen), error=error)
    return Outcome("".join(seen), reply)


def emulated(*given: Fault | None, repeat: bool = True, **settings: Any) -> Emulator:
    return Emulator("compatible", faults=given, repeat=repeat, clock=VirtualClock(), api_key=KEY, **settings)


# --- each fault, in process

REFUSALS: list[tuple[Fault, type[e.ChatportError], int]] = [
    (faults.status(500), e.ServerError, 3),
    (faults.status(503), e.OverloadedError, 3),
    (faults.status(400, body={"error": {"message": "no"}}), e.BadRequestError, 1),
    (faults.status(502, body="<html>bad gateway</html>", headers={"content-type": "text/html"}), e.ServerError, 3),
    (faults.status(503, headers={"x-should-retry": "false"}), e.OverloadedError, 1),
    (faults.rate_limited(), e.RateLimitError, 3),
    (faults.echo_key(), e.AuthenticationError, 1),
    (faults.refuse_connection(), e.TransportError, 3),
    (faults.reset_before_head(), e.TransportError, 3),
    (faults.endless_header(), e.TransportError, 3),
    (faults.redirect("https://elsewhere.example/v1"), e.TransportError, 1),
    (faults.error_event(), e.ServerError, 3),
    (faults.json_instead_of_stream(status=500), e.ServerError, 3),
    (faults.json_instead_of_stream(body={"error": {"message": "Too fast", "code": 429}}), e.RateLimitError, 3),
]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "chat"])
@pytest.mark.parametrize(("fault", "error", "attempts"), REFUSALS, ids=lambda value: getattr(value, "name", ""))
def test_no_answer_is_the_error_it_is(
    way: str, fault: Fault, error: type[e.ChatportError], attempts: int, stream: bool
) -> None:
    emulator = emulated(fault)
    outcome = ask(way, emulator, stream=stream)
    assert type(outcome.error) is error
    assert outcome.attempts == len(emulator.requests) == attempts
    assert outcome.seen == ""
    assert KEY not in f"{outcome.error} {outcome.error!r} {outcome.error.raw!r}"


UNREADABLE = [
    faults.html_page(),
    faults.two_objects_on_a_line(),
    faults.deep_json(100_000),
    faults.huge_line(1_000_000),
    faults.gzip_bomb(1_000_000),
]


@pytest.mark.parametrize("fault", UNREADABLE, ids=lambda fault: fault.name)
def test_what_cannot_be_read_is_malformed(way: str, fault: Fault) -> None:
    """A line of a terabyte too: it is made while it is sent, and nobody reads on."""
    emulator = emulated(fault)
    outcome = ask(way, emulator)
    assert type(outcome.error) is e.MalformedReplyError
    assert len(str(outcome.error)) < 1000
    assert outcome.attempts == len(emulator.requests)
    assert outcome.seen == ""


CUTS = [
    faults.cut(after_events=3),
    faults.cut(after_events=3, how="reset"),
    faults.cut(after_events=3, how="closed"),
    faults.cut(at_byte=700),
    faults.short_content_length(),
    faults.gzip_cut(),
]


@pytest.mark.parametrize("fault", CUTS, ids=lambda fault: fault.name)
def test_a_cut_stream_is_interrupted_with_what_came(way: str, fault: Fault) -> None:
    emulator = emulated(fault)
    outcome = ask(way, emulator)
    assert isinstance(outcome.error, e.StreamInterruptedError)
    assert outcome.error.partial is not None
    assert outcome.error.partial.text == outcome.seen
    assert outcome.seen in (WORDS[:7], WORDS[:13])
    assert outcome.attempts == len(emulator.requests) == 1


@pytest.mark.parametrize("fault", [faults.malformed_chunk(3), faults.error_event(3)], ids=lambda fault: fault.name)
def test_a_stream_that_goes_wrong_keeps_what_came(way: str, fault: Fault) -> None:
    emulator = emulated(fault)
    outcome = ask(way, emulator)
    assert isinstance(outcome.error, e.MalformedReplyError | e.ServerError)
    assert outcome.error.partial is not None
    assert outcome.error.partial.text == outcome.seen == "one two"
    assert outcome.attempts == len(emulator.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        faults.cut(after_events=1),
        faults.cut(at_byte=100, how="reset"),
        faults.short_content_length(),
        faults.missing_last_chunk(),
        faults.gzip_cut(),
        faults.malformed_chunk(),
        faults.two_objects_on_a_line(),
        faults.html_page(),
        faults.huge_line(1_000),
        faults.gzip_bomb(1_000),
    ],
    ids=lambda fault: fault.name,
)
def test_a_plain_reply_that_is_not_whole_is_never_taken(way: str, fault: Fault) -> None:
    emulator = emulated(fault)
    outcome = ask(way, emulator, stream=False)
    assert isinstance(outcome.error, e.MalformedReplyError | e.TransportError | e.StreamInterruptedError)
    assert outcome.attempts == len(emulator.requests)


HARMLESS = [
    None,
    faults.stall("before_head", seconds=15),
    faults.stall("before_first_event", seconds=15),
    faults.stall(at_byte=400, seconds=15),
    faults.stall(after_events=3, seconds=15),
    faults.slow(bytes_per_second=100),
    faults.drop_done(),
    faults.drop_finish(),
    faults.wrong_content_type(),
    faults.missing_last_chunk(),
]


@pytest.mark.parametrize("fault", HARMLESS, ids=lambda fault: fault.name if fault else "none")
def test_what_does_no_harm_gives_the_whole_answer(way: str, fault: Fault | None) -> None:
    """A stream is whole by its finish, or by its end event; late bytes are no fault within the timers."""
    emulator = emulated(fault)
    outcome = ask(way, emulator, timeouts=TIMERS)
    assert outcome.reply is not None
    assert outcome.reply.text == outcome.seen == WORDS
    assert outcome.reply.finish_reason == ("other" if fault == faults.drop_finish() else "stop")
    assert outcome.attempts == len(emulator.requests) == 1


def test_neither_finish_nor_end_event_is_an_interruption(way: str) -> None:
    def neither(scene: Scene) -> Performance:
        unfinished = attrs.evolve(
            scene.response, pieces=[step for step in faults.drop_finish().play(scene).body if isinstance(step, bytes)]
        )
        return faults.drop_done().play(attrs.evolve(scene, response=unfinished))

    outcome = ask(way, emulated(Fault("neither", neither)))
    assert isinstance(outcome.error, e.StreamInterruptedError)
    assert outcome.seen == WORDS


# --- timers


def heartbeats_after(scene: Scene) -> Performance:
    beats = faults.heartbeats_only(every_seconds=5).play(scene).body
    return scene.with_body(piece for part in (scene.events[:3], beats) for piece in part)


LATE: list[tuple[Fault, str, float]] = [
    (faults.stall("before_head"), "silence", 20),
    (faults.stall("before_first_event"), "silence", 20),
    (faults.stall(at_byte=100), "silence", 20),
    (faults.stall(after_events=3), "silence", 20),
    (faults.heartbeats_only(every_seconds=7), "first_event", 50),
    (faults.empty_deltas_for_ever(), "first_event", 50),
    (faults.slow(), "first_event", 50),
    (Fault("heartbeats after content", heartbeats_after), "between_events", 40),
]


@pytest.mark.parametrize(("fault", "timer", "seconds"), LATE, ids=lambda value: getattr(value, "name", ""))
def test_the_timer_that_is_due_fires_when_it_is_due(way: str, fault: Fault, timer: str, seconds: float) -> None:
    emulator = emulated(fault)
    began = time.monotonic()
    outcome = ask(way, emulator, timeouts=TIMERS)
    assert isinstance(outcome.error, e.DeadlineError)
    assert outcome.error.timer == timer
    assert [attempt.seconds for attempt in outcome.error.attempts] == pytest.approx(
        [seconds] * len(emulator.requests), rel=0.1
    )
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "chat"])
def test_the_total_ends_what_trickles(way: str, stream: bool) -> None:
    emulator = emulated(faults.slow(bytes_per_second=20 if stream else 1))
    outcome = ask(way, emulator, stream=stream, prompt=f"say: {WORDS * 10}", timeouts=TIMERS)
    assert isinstance(outcome.error, e.DeadlineError)
    assert outcome.error.timer == "total"
    assert emulator.clock is not None
    assert emulator.clock.elapsed_seconds == pytest.approx(300, rel=0.1)
    assert outcome.attempts == len(emulator.requests) == 1


@pytest.mark.parametrize("fault", [faults.stall("before_head"), faults.heartbeats_only()], ids=lambda fault: fault.name)
def test_a_plain_reply_that_does_not_come_ends_by_a_timer(way: str, fault: Fault) -> None:
    emulator = emulated(fault)
    outcome = ask(way, emulator, stream=False, timeouts=TIMERS)
    assert isinstance(outcome.error, e.DeadlineError)
    assert outcome.attempts == len(emulator.requests)


# --- waits


@pytest.mark.parametrize(
    ("form", "header"),
    [
        ("seconds", "7"),
        ("milliseconds", "7000"),
        ("date", "Thu, 01 Jan 2026 00:00:07 GMT"),
        ("rfc850", "Thursday, 01-Jan-26 00:00:07 GMT"),
        ("asctime", "Thu Jan  1 00:00:07 2026"),
    ],
)
def test_a_hint_is_followed_in_every_form(way: str, form: Any, header: str) -> None:
    emulator = emulated(faults.rate_limited(7, form=form), repeat=False)
    outcome = ask(way, emulator)
    assert outcome.seen == WORDS
    assert emulator.clock is not None
    assert emulator.clock.waits == pytest.approx([7])
    assert emulator.clock.elapsed_seconds == pytest.approx(7)
    assert header in performed(faults.rate_limited(7, form=form)).headers.values()


@pytest.mark.parametrize(
    ("form", "header"),
    [
        ("duration", ("x-ratelimit-reset-requests", "1m7.5s")),
        ("iso", ("x-ratelimit-reset-requests", "2026-01-01T00:01:08Z")),
        ("epoch", ("x-ratelimit-reset", "1767225668")),
        ("epoch_milliseconds", ("x-ratelimit-reset", "1767225667500")),
    ],
)
def test_reset_headers_have_the_forms_of_the_field(form: Any, header: tuple[str, str]) -> None:
    assert header in performed(faults.rate_limited(67.5, form=form)).headers.items()


def test_a_hint_may_be_any_text() -> None:
    assert performed(faults.rate_limited("soon")).headers["retry-after"] == "soon"
    assert "retry-after" not in performed(faults.rate_limited()).headers


# --- which fault is played when


def performed(fault: Fault, vendor: VendorEmulator | None = None, **body: Any) -> Performance:
    """Return what a fault makes of a streamed answer."""
    emulator = Emulator("compatible", faults=[fault], clock=VirtualClock())
    emulator.vendor = vendor or emulator.vendor
    content = {"model": "emulated-model", "messages": [{"role": "user", "content": f"say: {WORDS}"}], "stream": True}
    headers = {"authorization": "Bearer k"}
    request = EmulatedRequest("POST", "/v1/chat/completions", headers, json.dumps(content | body).encode())
    return emulator.perform(request)


def test_each_request_takes_the_next_fault_and_then_it_behaves(way: str) -> None:
    emulator = emulated(faults.status(503), None, faults.cut(after_events=2), repeat=False)
    assert ask(way, emulator).attempts == 2
    assert isinstance(ask(way, emulator).error, e.StreamInterruptedError)
    assert ask(way, emulator).attempts == 1
    assert len(emulator.requests) == 4


def test_the_list_may_start_over() -> None:
    emulator = emulated(faults.status(400), None)
    assert [bool(ask("sync", emulator).error) for _ in range(5)] == [True, False, True, False, True]
    assert not ask("sync", emulated(repeat=True)).error


def test_faults_may_be_chosen_by_number_and_request() -> None:
    seen = []

    def choose(number: int, request: Any) -> Fault | None:
        seen.append((number, request.json()["model"]))
        return faults.status(503) if number == 1 else None

    emulator = Emulator("compatible", faults=choose, clock=VirtualClock())
    assert ask("sync", emulator).attempts == 2
    assert seen == [(1, "emulated-model"), (2, "emulated-model")]


def test_an_emulator_can_be_told_later() -> None:
    emulator = emulated(faults.status(400))
    emulator.misbehave([faults.status(500)])
    assert ask("sync", emulator).attempts == 2
    assert ask("sync", emulator).attempts == 1


def test_a_fault_says_what_it_is() -> None:
    fault = faults.cut(after_events=2, how="reset")
    assert repr(fault) == "Fault(name=\"cut(after_events=2, how='reset')\")"
    assert fault == faults.cut(after_events=2, how="reset") != faults.cut(after_events=3, how="reset")
    assert len({fault, faults.cut(after_events=2, how="reset")}) == 1


@pytest.mark.parametrize("make", [faults.cut, faults.stall])
def test_a_place_is_given_once(make: Callable[..., Fault]) -> None:
    with pytest.raises(TypeError, match="exactly one place"):
        make()
    with pytest.raises(TypeError, match="exactly one place"):
        make(at_byte=1, after_events=1)


# --- what is sent


def sent(fault: Fault, most: int = 1000, **given: Any) -> bytes:
    return b"".join(step for step in islice(performed(fault, **given).body, most) if isinstance(step, bytes))


class Named(VendorEmulator):
    """A vendor whose events have names, with a comment before the first."""

    def stream(self, body: Any, script: Any) -> Any:
        yield b": ready\n\n"
        yield b'event: start\ndata: {"type": "start"}\n\n'
        yield b'event: delta\ndata: {"type": "delta", "stop_reason": "end"}\n\n'
        yield b'event: stop\ndata: {"type": "stop"}\n\n'


def test_the_vendors_own_shapes_are_kept() -> None:
    """An error event and an end event have names where the vendor's events have; comments are no events."""
    assert b"[DONE]" not in sent(faults.drop_done())
    assert sent(faults.drop_done(), vendor=Named()).count(b"event:") == 2
    assert b'"stop_reason": null' in sent(faults.drop_finish(), vendor=Named())
    assert b"event: error\ndata: {" in sent(faults.error_event(1), vendor=Named())
    assert sent(faults.error_event(1), vendor=Named()).count(b"\n\n") == 3
    assert b"event:" not in sent(faults.error_event(1))
    joined = b'data: {"type": "start"}{"type": "delta", "stop_reason": "end"}\n\n'
    assert joined in sent(faults.two_objects_on_a_line(), vendor=Named())


def test_sizes_are_as_asked_for() -> None:
    assert json.loads(sent(faults.huge_line(1.5), stream=False)) == "a" * (3 * 512 * 1024)
    assert sent(faults.deep_json(70_000), stream=False) == b"[" * 70_000 + b"]" * 70_000
    bomb = sent(faults.gzip_bomb(4))
    assert len(bomb) < 100_000
    assert gzip.decompress(bomb) == b'data: "' + b"a" * 4 * 1024 * 1024 + b'"\n\n'


def test_what_happens_before_the_head() -> None:
    assert list(performed(faults.refuse_connection()).before) == [Break("refused")]
    assert list(performed(faults.stall("before_head", seconds=3)).before) == [Pause(3)]


# --- on a port

FRAMING: list[tuple[Fault, type[e.ChatportError], str | None]] = [
    (faults.refuse_connection(), e.TransportError, ""),
    (faults.reset_before_head(), e.TransportError, ""),
    (faults.endless_header(), e.TransportError, ""),
    (faults.cut(after_events=3), e.StreamInterruptedError, "one two"),
    (faults.cut(after_events=3, how="reset"), e.StreamInterruptedError, None),  # it may overtake the bytes before it
    (faults.cut(after_events=3, how="closed"), e.StreamInterruptedError, "one two"),
    (faults.short_content_length(), e.StreamInterruptedError, "one two"),
    (faults.malformed_chunk(3), e.MalformedReplyError, "one two"),
    (faults.huge_line(1_000_000), e.MalformedReplyError, ""),
    (faults.gzip_bomb(1_000_000), e.MalformedReplyError, ""),
    (faults.redirect("https://elsewhere.example/v1"), e.TransportError, ""),
]


@pytest.fixture(params=["sockets", "httpx"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(("fault", "error", "seen"), FRAMING, ids=lambda value: getattr(value, "name", ""))
def test_a_port_breaks_as_it_does_in_process(
    way: str, transport: str, fault: Fault, error: type[e.ChatportError], seen: str | None
) -> None:
    once = {"attempts": 1}
    with Emulator("compatible", faults=[fault], api_key=KEY) as emulator:
        real = ask(way, emulator, retry=once, transport=transport)
        assert len(emulator.requests) == 1
    pretended = ask(way, emulated(fault), retry=once)
    assert type(pretended.error) is error
    if seen is None:
        assert isinstance(real.error, e.StreamInterruptedError | e.TransportError)
        assert "one two".startswith(real.seen)
        return
    assert type(real.error) is error
    assert pretended.seen == seen
    assert real.error.partial is None or real.error.partial.text == seen
    # What came in one read with the broken bytes was not yet handed over: the call could still be tried again.
    assert real.seen == seen or (error is e.MalformedReplyError and not real.seen)
    if fault != faults.refuse_connection():  # a port that listens cannot refuse
        assert real.error.code == pretended.error.code


def test_bytes_come_slowly_on_a_port(way: str, transport: str) -> None:
    with Emulator("compatible", faults=[faults.slow(bytes_per_second=20_000)], api_key=KEY) as emulator:
        assert ask(way, emulator, transport=transport).seen == WORDS


@pytest.mark.parametrize(
    "fault", [faults.stall("before_head"), faults.stall(after_events=3)], ids=lambda fault: fault.name
)
def test_a_stalled_port_is_left_by_a_timer_and_stops_at_once(way: str, transport: str, fault: Fault) -> None:
    with Emulator("compatible", faults=[fault], api_key=KEY) as emulator:
        tables: dict[str, Any] = {"timeouts": {"silence": 0.2}, "retry": {"attempts": 1}}
        outcome = ask(way, emulator, transport=transport, **tables)
        assert isinstance(outcome.error, e.DeadlineError)
        assert outcome.error.timer == "silence"
        began = time.monotonic()
    assert time.monotonic() - began < 2


def test_a_fault_costs_its_connection_and_no_other(way: str, transport: str) -> None:
    """The next request of the same client is answered, on a connection of its own."""
    with Emulator("compatible", faults=[faults.reset_before_head(), faults.cut(at_byte=0, how="closed")]) as emulator:
        outcome = ask(way, emulator, transport=transport)
    assert outcome.seen == WORDS
    assert outcome.attempts == len(emulator.requests) == 3


# --- virtual time


def test_a_clock_moves_only_when_it_is_told() -> None:
    clock = VirtualClock(datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2))))
    assert clock.clock.monotonic() == clock.elapsed_seconds == 0
    assert clock.clock.utcnow() == clock.now() == datetime(2026, 5, 1, 10, tzinfo=UTC)
    clock.advance(90)
    assert clock.clock.monotonic() == 90
    assert clock.now() == datetime(2026, 5, 1, 10, 1, 30, tzinfo=UTC)
    assert clock.clock.random() == 0.5


def test_the_time_of_day_can_jump() -> None:
    """A wait goes on as it was planned: only the time of day was set."""
    clock = VirtualClock()
    clock.set(datetime(2025, 1, 1, tzinfo=UTC))
    clock.advance(1)
    assert clock.now() == datetime(2025, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert clock.elapsed_seconds == 1


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_time_passes_by_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="Time passes"):
        VirtualClock().advance(seconds)
    with pytest.raises(ValueError, match="aware datetime"):
        VirtualClock(datetime(2026, 1, 1))


def test_silence_needs_a_clock_and_a_timer() -> None:
    """In process nobody waits for real, and nobody waits for ever."""
    emulator = Emulator("compatible", faults=[faults.stall("before_head")], repeat=True)
    with pytest.raises(e.ConfigurationError, match="needs a clock"):
        Client(emulator.config(), transport=emulator).chat("hi", model=MODEL)
    off = {"connect": 0, "silence": 0, "first_event": 0, "between_events": 0, "total": 0}
    outcome = ask("sync", emulated(faults.stall("before_head")), timeouts=off)
    assert isinstance(outcome.error, e.ConfigurationError)
    assert "every timer is off" in str(outcome.error)
