"""A tape: what was recorded is played again, byte for byte and failure for failure, and nothing else is."""

from __future__ import annotations

import contextlib
import itertools
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

import chatport
from chatport.engine.commands import HttpRequest, TimerExpired, TransportFailure
from chatport.testing import Break, Emulator, Fault, Tape, TapeMissError, TapeUnusedError, VirtualClock, faults

MODEL = "compatible:emulated-model"
KEY = "sk-not/a+real-key-0123456789"
WAYS = ("sync", "asyncio", "trio")
ways = pytest.mark.parametrize("way", WAYS)


class Nobody:
    """A transport that must not be asked."""

    def asynchronous(self) -> Nobody:
        return self

    def send(self, *given: Any) -> Any:
        raise RuntimeError("a request went live")

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""


@attrs.frozen
class Outcome:
    """What came of a call, without the seconds that it took."""

    seen: tuple[str, ...] = ()
    reply: Any = None
    error: Any = None


def outcome_of(
    way: str, tape: Any, *, messages: Any = "say: alpha beta", stream: bool = True, clock: Any = None, **config: Any
) -> Outcome:
    """Make a call in one of the three ways, and return what came of it."""
    table = {"kind": "compatible", "base_url": "http://127.0.0.1:9/v1", "api_key": KEY}
    whole = {"providers": {"compatible": table}, "retry": {"attempts": 1}, **config}
    options: dict[str, Any] = {"config": whole, "transport": tape, **({} if clock is None else {"clock": clock.clock})}
    seen: list[str] = []
    try:
        if way == "sync":
            with chatport.Client(**options) as client:
                if not stream:
                    return Outcome(reply=_told(client.chat(messages, model=MODEL)))
                with client.stream(messages, model=MODEL) as pieces:
                    for event in pieces:
                        if isinstance(event, chatport.TextDelta):
                            seen.append(event.text)
                return Outcome(tuple(seen), _told(pieces.reply))

        async def main() -> Outcome:
            async with chatport.AsyncClient(**options) as client:
                if not stream:
                    return Outcome(reply=_told(await client.chat(messages, model=MODEL)))
                async with client.stream(messages, model=MODEL) as pieces:
                    async for event in pieces:
                        if isinstance(event, chatport.TextDelta):
                            seen.append(event.text)
                return Outcome(tuple(seen), _told(pieces.reply))

        return anyio.run(main, backend=way)
    except chatport.ChatportError as error:
        told = (type(error), str(error), error.status, error.retryable, error.raw, error.request_id)
        timer = error.timer if isinstance(error, chatport.DeadlineError) else None
        partial = None if error.partial is None else _told(error.partial)
        return Outcome(tuple(seen), error=(*told, timer, partial, _attempts(error.attempts)))


def _told(reply: chatport.Reply) -> Any:
    return attrs.evolve(reply, attempts=()), reply.raw, _attempts(reply.attempts)


def _attempts(attempts: Any) -> list[Any]:
    return [(attempt.outcome, attempt.status) for attempt in attempts]


def wire(way: str, transport: Any, content: bytes = b'{"model": "emulated-model"}') -> list[Any]:
    """Send a request by a transport itself; return all that it gives, piece by piece, failures too."""
    request = HttpRequest("POST", "http://127.0.0.1:9/v1/chat/completions", (("accept", "*/*"),), content)
    found: list[Any] = []

    async def main() -> None:
        if way == "sync":
            exchange = transport.send(request, 1.0, 1.0)
        else:
            exchange = await transport.asynchronous().send(request, 1.0, 1.0)
        found.extend((exchange.head.status, dict(exchange.head.headers)))
        while not found or found[-1] != b"":
            found.append(exchange.read(1.0) if way == "sync" else await exchange.read(1.0))

    try:
        anyio.run(main, backend="asyncio" if way == "sync" else way)
    except TransportFailure as failure:
        found.append((failure.stage, failure.kind, str(failure)))
    except TimerExpired as expired:
        found.append(("timer", expired.stage))
    return found


def body_of(text: str, stream: bool) -> bytes:
    messages = [{"role": "user", "content": f"say: {text}"}]
    return json.dumps({"model": "emulated-model", "messages": messages, "stream": stream}).encode()


# --- what was recorded is played


@pytest.mark.parametrize("played", WAYS)
@ways
def test_pieces_come_again_with_their_boundaries(way: str, played: str, tmp_path: Path) -> None:
    """Recorded in any way, played in any way; a head, each piece, the proved end, and the break behind the seventh."""
    seven = Fault("reset behind the seventh", lambda scene: scene.with_body([*scene.events[:7], Break("reset")]))
    emulator = Emulator("compatible", faults=[None, seven], needs_key=False)
    content = body_of("one two three four five six", True)
    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator) as tape:
        recorded = [wire(way, tape, content), wire(way, tape, content), wire(way, tape, body_of("x", False))]
    with Tape(tmp_path / "a.jsonl", transport=Nobody()) as tape:
        again = [wire(played, tape, content), wire(played, tape, content), wire(played, tape, body_of("x", False))]
    assert again == recorded
    assert len(recorded[0]) > 8
    assert recorded[0][-1] == b""
    assert len(recorded[1]) == 2 + 7 + 1
    assert recorded[1][9:] == [("body", "ReadError", "Connection reset by peer")]


def whole_stream() -> bytes:
    body = json.loads(body_of("alpha beta", True)) | {"stream_options": {"include_usage": True}}
    return Emulator("compatible").vendor.chat(body).body


def cut_everywhere(how: Any, step: int) -> tuple[Emulator, range]:
    """Return an emulator that cuts one exchange at another byte each time it is asked, and these bytes."""
    cuts = range(0, len(whole_stream()) + 1, step)

    def fault(number: int, request: Any) -> Fault:
        return faults.cut(at_byte=cuts[number - 1], how=how)

    return Emulator("compatible", faults=fault, needs_key=False), cuts


@pytest.mark.parametrize("how", ["clean", "reset", "closed"])
def test_an_exchange_cut_at_every_byte_is_cut_there_again(how: Any, tmp_path: Path) -> None:
    emulator, cuts = cut_everywhere(how, 1)
    request = HttpRequest("POST", "http://localhost/v1/chat/completions", (), body_of("alpha beta", True))

    def read(tape: Tape) -> list[Any]:
        exchange, found = tape.send(request, None, None), list[Any]()
        try:
            while not found or found[-1]:
                found.append(exchange.read(None))
        except TransportFailure as failure:
            found += [failure.stage, failure.kind, str(failure)]
        exchange.close()
        return found

    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator) as tape:
        recorded = [read(tape) for _ in cuts]
    with Tape(tmp_path / "a.jsonl", transport=Nobody(), must_use_all=True) as tape:
        assert [read(tape) for _ in cuts] == recorded
    assert len({str(found) for found in recorded}) > 600


@ways
@pytest.mark.parametrize("how", ["clean", "reset", "closed"])
def test_a_call_that_was_cut_ends_as_it_did(way: str, how: Any, tmp_path: Path) -> None:
    emulator, cuts = cut_everywhere(how, 23)
    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator) as tape:
        recorded = [outcome_of(way, tape) for _ in cuts]
    with Tape(tmp_path / "a.jsonl", transport=Nobody(), must_use_all=True) as tape:
        assert [outcome_of(way, tape) for _ in cuts] == recorded
    assert {outcome.seen for outcome in recorded} == {(), ("alpha",), ("alpha", " beta")}
    assert any(outcome.error for outcome in recorded)


FAULTS: list[Fault] = [
    faults.status(503),
    faults.status(400, body="<html>no</html>", headers={"content-type": "text/html"}),
    faults.rate_limited(7, form="milliseconds"),
    faults.rate_limited(7, form="duration"),
    faults.error_event(after_events=2),
    faults.refuse_connection(),
    faults.reset_before_head(),
    faults.stall("before_head"),
    faults.stall("before_first_event"),
    faults.stall(at_byte=100),
    faults.stall(after_events=2, seconds=30),
    faults.slow(bytes_per_second=100),
    faults.heartbeats_only(every_seconds=10),
    faults.empty_deltas_for_ever(every_seconds=5),
    faults.drop_done(),
    faults.drop_finish(),
    faults.short_content_length(),
    faults.missing_last_chunk(),
    faults.gzip_cut(),
    faults.malformed_chunk(),
    faults.two_objects_on_a_line(),
    faults.deep_json(1000),
    faults.html_page(),
    faults.json_instead_of_stream(),
    faults.wrong_content_type(),
    faults.redirect("https://elsewhere.example/v1"),
    faults.huge_line(0.1),
    faults.gzip_bomb(0.1),
    faults.endless_header(),
]


@ways
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name[:40])
def test_every_fault_is_met_again(way: str, fault: Fault, stream: bool, tmp_path: Path) -> None:
    """The same error in the same words with the same beginning, by the timer that fired."""
    limits = {"event_bytes": 65536, "body_bytes": 65536}
    clock = VirtualClock()
    emulator = Emulator("compatible", faults=[fault], clock=clock)
    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator, times=True, clock=clock) as tape:
        recorded = outcome_of(way, tape, stream=stream, clock=clock, limits=limits)
    elapsed_seconds, clock = clock.elapsed_seconds, VirtualClock()
    with Tape(tmp_path / "a.jsonl", transport=Nobody(), times=True, clock=clock, must_use_all=True) as tape:
        assert outcome_of(way, tape, stream=stream, clock=clock, limits=limits) == recorded
    assert clock.elapsed_seconds == pytest.approx(elapsed_seconds, abs=0.01)
    assert KEY not in (tmp_path / "a.jsonl").read_text("utf-8")


@ways
def test_attempts_are_played_one_after_the_other(way: str, tmp_path: Path) -> None:
    clock = VirtualClock()
    emulator = Emulator("compatible", faults=[faults.rate_limited(3), faults.reset_before_head()], clock=clock)
    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator) as tape:
        recorded = outcome_of(way, tape, clock=clock, retry={"attempts": 3})
    with Tape(tmp_path / "a.jsonl", transport=Nobody(), must_use_all=True) as tape:
        assert outcome_of(way, tape, clock=VirtualClock(), retry={"attempts": 3}) == recorded
    assert recorded.reply[2] == [("RateLimitError", 429), ("TransportError", None), ("ok", 200)]


@ways
@pytest.mark.parametrize("transport", ["sockets", "httpx"])
def test_a_server_on_a_port_is_recorded_and_played_without_it(way: str, transport: str, tmp_path: Path) -> None:
    with (
        Emulator("compatible", faults=[None, faults.cut(after_events=3, how="reset")]) as emulator,
        Tape(tmp_path / "a.jsonl", mode="record", transport=transport) as tape,
    ):
        config = emulator.config()
        recorded = [outcome_of(way, tape, **config) for _ in range(2)]
    with Tape(tmp_path / "a.jsonl", transport=Nobody(), must_use_all=True) as tape:
        assert [outcome_of(way, tape) for _ in range(2)] == recorded
    assert recorded[0].error is None
    assert recorded[1].error[0] is chatport.StreamInterruptedError


@ways
def test_calls_at_once_are_written_in_the_order_in_which_they_were_asked(way: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Tape(path, mode="record", transport=Emulator("compatible", needs_key=False)) as tape:
        requests = [HttpRequest("POST", "http://localhost/v1/chat/completions", (), body_of(c, True)) for c in "abc"]

        async def main() -> None:
            transport: Any = tape.asynchronous()
            exchanges = [await transport.send(request, None, None) for request in requests]
            for exchange in reversed(exchanges):
                while await exchange.read(None):
                    pass
                await exchange.aclose()
            assert path.exists()

        if way != "sync":
            anyio.run(main, backend=way)
        else:
            exchanges = [tape.send(request, None, None) for request in requests]
            for exchange in reversed(exchanges):
                while exchange.read(None):
                    pass
                exchange.close()
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    asked = [line["json"]["messages"][0]["content"] for line in lines if "request" in line]
    assert asked == ["say: a", "say: b", "say: c"]


@ways
def test_an_answer_that_was_left_is_played_up_to_there_and_then_it_is_loud(way: str, tmp_path: Path) -> None:
    emulator = Emulator("compatible")
    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator) as tape:
        leave_after_first_text(way, tape)
    with Tape(tmp_path / "a.jsonl", transport=Nobody()) as tape:
        leave_after_first_text(way, tape)
    with pytest.raises(TapeMissError, match="It was left here"), Tape(tmp_path / "a.jsonl", transport=Nobody()) as tape:
        outcome_of(way, tape)


def leave_after_first_text(way: str, tape: Tape) -> None:
    config = {"providers": {"compatible": {"kind": "compatible", "base_url": "http://127.0.0.1:9/v1", "api_key": KEY}}}
    options: dict[str, Any] = {"config": config, "transport": tape}
    if way == "sync":
        with chatport.Client(**options) as client, client.stream("say: alpha beta", model=MODEL) as stream:
            assert next(event.text for event in stream if isinstance(event, chatport.TextDelta)) == "alpha"
        return

    async def main() -> None:
        async with chatport.AsyncClient(**options) as client, client.stream("say: alpha beta", model=MODEL) as stream:
            async for event in stream:
                if isinstance(event, chatport.TextDelta):
                    assert event.text == "alpha"
                    break

    anyio.run(main, backend=way)


# --- which request gets which answer


def record(path: Path, *messages: str, faults: Any = (), **settings: Any) -> list[Outcome]:
    emulator = Emulator("compatible", faults=faults)
    with Tape(path, mode="record", transport=emulator, **settings) as tape:
        return [outcome_of("sync", tape, messages=message) for message in messages]


@ways
def test_a_miss_says_what_differs_and_is_not_tried_again(way: str, tmp_path: Path) -> None:
    record(tmp_path / "a.jsonl", "a question about Oslo", "say: Paris")
    tape = Tape(tmp_path / "a.jsonl", transport=Nobody())
    config = {"retry": {"attempts": 3}, "aliases": {"main": [MODEL, MODEL]}}
    with pytest.raises(TapeMissError) as caught:
        outcome_of(way, tape, messages="a question about Rome", **config)
    words = str(caught.value)
    assert "The nearest there is number 1" in words
    assert 'messages[0].content: "a question about Rome", and "a question about Oslo" on the tape' in words
    assert "Nothing was sent" in words
    outcome_of(way, tape, messages="say: Paris")
    with pytest.raises(TapeMissError, match="asked once more") as caught:
        outcome_of(way, tape, messages="say: Paris")
    assert "on the tape 1 times" in str(caught.value)


def test_a_miss_that_somebody_swallows_is_raised_at_the_end(tmp_path: Path) -> None:
    record(tmp_path / "a.jsonl", "say: a")
    tape = Tape(tmp_path / "a.jsonl")
    with contextlib.suppress(Exception):
        outcome_of("sync", tape, messages="say: b")
    with pytest.raises(TapeMissError, match="say: b"):
        tape.close()
    tape.close()  # once is enough


def test_a_test_that_fails_by_itself_fails_by_that(tmp_path: Path) -> None:
    record(tmp_path / "a.jsonl", "say: a")
    with pytest.raises(ZeroDivisionError), Tape(tmp_path / "a.jsonl", must_use_all=True):
        _ = 1 / 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": 0.5}, "temperature: 0.5, and not on the tape"),
        ({"stop": ["x", "y"]}, "stop: 2 items, and 1 on the tape"),
        ({"max_tokens": 7}, "max_tokens: 7, and 5 on the tape"),
        ({"seed": None}, "seed: not asked, and 1 on the tape"),
    ],
)
def test_differences_are_named_by_their_place(change: Any, words: str, tmp_path: Path) -> None:
    base = {"stop": ["x"], "max_tokens": 5, "seed": 1}
    options = {"model": MODEL}
    config = Emulator("compatible").config()
    with Tape(tmp_path / "a.jsonl", mode="record", transport=Emulator("compatible")) as tape:
        chatport.Client(config, transport=tape).chat("hi", **options, **base)
    tape = Tape(tmp_path / "a.jsonl")
    wanted = {name: value for name, value in {**base, **change}.items() if value is not None}
    with pytest.raises(TapeMissError) as caught:
        chatport.Client(config, transport=tape).chat("hi", **options, **wanted)
    assert words in str(caught.value)


def test_a_long_text_is_shown_where_it_differs(tmp_path: Path) -> None:
    long = "word " * 1000
    record(tmp_path / "a.jsonl", f"{long} Oslo {long}")
    with pytest.raises(TapeMissError) as caught:
        outcome_of("sync", Tape(tmp_path / "a.jsonl"), messages=f"{long} Rome {long}")
    assert "Rome" in str(caught.value)
    assert "Oslo" in str(caught.value)
    assert len(str(caught.value)) < 700


def test_bodies_are_compared_as_values(tmp_path: Path) -> None:
    emulator = Emulator("compatible", needs_key=False)
    written = b'{"model": "emulated-model", "messages": [{"role": "user", "content": "\\u00e9"}]}'
    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator) as tape:
        recorded = wire("sync", tape, written)
    turned = '{"messages":[{"content":"é","role":"user"}],  "model":"emulated-model"}'.encode()
    assert wire("sync", Tape(tmp_path / "a.jsonl"), turned) == recorded


def test_bodies_that_are_no_json_are_compared_as_they_are(tmp_path: Path) -> None:
    emulator = Emulator("compatible", needs_key=False)
    bodies = [b"", b"not JSON", b"\xff\x00", b"\xff\x01"]
    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator) as tape:
        recorded = [wire("sync", tape, body) for body in bodies]
    tape = Tape(tmp_path / "a.jsonl")
    assert [wire("sync", tape, body) for body in reversed(bodies)] == recorded[::-1]
    with pytest.raises(TapeMissError, match="body"):
        wire("sync", tape, b"\xff\x02")


def test_the_same_request_gets_one_answer_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Tape(path, mode="record", transport=Emulator("compatible", answers=["one", "two"])) as tape:
        recorded = [outcome_of("sync", tape).seen for _ in range(2)]
    assert recorded == [("one",), ("two",)]
    tape = Tape(path)
    assert [outcome_of("sync", tape).seen for _ in range(2)] == recorded
    with pytest.raises(TapeMissError):
        outcome_of("sync", tape)
    with Tape(path, repeat=True) as tape:
        assert [outcome_of("sync", tape).seen[0] for _ in range(3)] == ["one", "two", "one"]


def test_fields_can_be_left_out_of_the_comparison(tmp_path: Path) -> None:
    def ask(tape: Tape, **extra: Any) -> str:
        client = chatport.Client(Emulator("compatible").config(), transport=tape)
        return client.chat("say: hi", model=MODEL, extra=extra).text

    ignore = ["user", "metadata.run"]
    with Tape(tmp_path / "a.jsonl", mode="record", transport=Emulator("compatible")) as tape:
        ask(tape, user="a", metadata={"run": 1, "kind": "x"})
    with Tape(tmp_path / "a.jsonl", ignore=ignore) as tape:
        assert ask(tape, user="b", metadata={"run": 2, "kind": "x"}) == "hi"
    with pytest.raises(TapeMissError, match=r"metadata\.kind"), Tape(tmp_path / "a.jsonl", ignore=ignore) as tape:
        ask(tape, user="b", metadata={"run": 2, "kind": "y"})


def test_what_nobody_asks_for_is_an_error_on_request(tmp_path: Path) -> None:
    record(tmp_path / "a.jsonl", "say: a", "say: b")
    with Tape(tmp_path / "a.jsonl") as tape:
        outcome_of("sync", tape, messages="say: b")
        assert tape.unused == ["1: POST http://localhost/v1/chat/completions"]
    with pytest.raises(TapeUnusedError, match="2: POST"), Tape(tmp_path / "a.jsonl", must_use_all=True) as tape:
        outcome_of("sync", tape, messages="say: a")


# --- modes


def test_without_a_word_it_replays_and_never_records(tmp_path: Path) -> None:
    with pytest.raises(chatport.ConfigurationError, match="There is no tape at"):
        Tape(tmp_path / "a.jsonl", transport=Nobody())


def test_once_records_where_there_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "in" / "a" / "folder.jsonl"
    with Tape(path, mode="once", transport=Emulator("compatible")) as tape:
        assert tape.is_recording
        recorded = outcome_of("sync", tape)
    with Tape(path, mode="once", transport=Nobody()) as tape:
        assert not tape.is_recording
        assert outcome_of("sync", tape) == recorded
    with pytest.raises(TapeMissError), Tape(path, mode="once", transport=Nobody()) as tape:
        outcome_of("sync", tape, messages="say: more")


def test_record_replaces_the_file_and_leaves_it_where_nothing_was_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    record(path, "say: old")
    before = path.read_bytes()
    with Tape(path, mode="record", transport=Nobody()):
        pass
    assert path.read_bytes() == before
    record(path, "say: new", "say: newer")
    assert b"old" not in path.read_bytes()
    assert path.read_bytes().count(b'"request"') == 2


def test_a_tape_that_nobody_closes_has_what_has_ended(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "a.jsonl", mode="record", transport=Emulator("compatible"))
    recorded = outcome_of("sync", tape)
    assert outcome_of("sync", Tape(tmp_path / "a.jsonl")) == recorded


def test_the_variable_says_the_mode_where_the_program_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATPORT_TAPE", "once")
    assert Tape(tmp_path / "a.jsonl").is_recording
    with pytest.raises(chatport.ConfigurationError):
        Tape(tmp_path / "a.jsonl", mode="replay")
    monkeypatch.setenv("CHATPORT_TAPE", "on")
    with pytest.raises(chatport.ConfigurationError, match=r"\$CHATPORT_TAPE of a tape is one of replay, record, once"):
        Tape(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"path": 7}, "The path of a tape"),
        ({"mode": "live"}, "mode of a tape is one of"),
        ({"ignore": "user"}, "ignore is a list"),
        ({"secrets": "a"}, "secrets is a list"),
        ({"clock": 7}, "clock is a VirtualClock"),
    ],
)
def test_what_is_given_wrongly_is_refused_at_once(given: Any, words: str, tmp_path: Path) -> None:
    settings = {"path": tmp_path / "a.jsonl", "mode": "once", **given}
    with pytest.raises(chatport.ConfigurationError, match=words):
        Tape(**settings)


@ways
def test_a_transport_that_is_none_is_refused(way: str, tmp_path: Path) -> None:
    tape = Tape(tmp_path / "a.jsonl", mode="once", transport=object())
    assert outcome_of(way, tape).error[0] is chatport.ConfigurationError
    assert not (tmp_path / "a.jsonl").exists()


# --- time


@ways
def test_times_are_kept_and_pass_by_a_clock(way: str, tmp_path: Path) -> None:
    clock = VirtualClock()
    emulator = Emulator("compatible", faults=[faults.stall(after_events=2, seconds=30)], clock=clock)
    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator, times=True, clock=clock) as tape:
        outcome_of(way, tape, clock=clock)
    clock = VirtualClock()
    with Tape(tmp_path / "a.jsonl", times=True, clock=clock) as tape:
        assert outcome_of(way, tape, clock=clock).error is None
    assert clock.elapsed_seconds == 30
    clock = VirtualClock()
    with Tape(tmp_path / "a.jsonl", times=True, clock=clock) as tape:
        late = outcome_of(way, tape, clock=clock, timeouts={"silence": 25})
    assert (late.error[0], late.error[-3]) == (chatport.DeadlineError, "silence")
    with Tape(tmp_path / "a.jsonl") as tape:  # without times it takes none
        assert outcome_of(way, tape, timeouts={"silence": 25}).error is None


@ways
def test_times_pass_really_where_no_clock_is_given(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr(anyio, "sleep", sleep)
    path = tmp_path / "a.jsonl"
    with Tape(path, mode="record", transport=Emulator("compatible"), times=True) as tape:
        recorded = outcome_of(way, tape)
    lines = path.read_text("utf-8").splitlines()
    assert all("after_seconds" in line for line in lines[2:])
    lines[2] = json.dumps({**json.loads(lines[2]), "after_seconds": 0.25})
    path.write_text("\n".join(lines), "utf-8")
    with Tape(path, times=True) as tape:
        assert outcome_of(way, tape) == recorded
    assert any(seconds >= 0.25 for seconds in slept)


# --- keys


def plays(body: Callable[[bytes], list[bytes]], **headers: str) -> Fault:
    """Return a fault that answers with a body made of the vendor's."""

    def play(scene: Any) -> Any:
        performance = scene.with_body(body(scene.response.body))
        return attrs.evolve(performance, headers={**performance.headers, **headers})

    return Fault("echo", play)


def in_pieces(*cuts: int, text: str = KEY) -> Callable[[bytes], list[bytes]]:
    """Put a text into an answer, and cut the whole at places inside it."""

    def body(whole: bytes) -> list[bytes]:
        whole = whole.replace(b"alpha", json.dumps(text)[1:-1].encode() if "\\" not in text else text.encode(), 1)
        at = whole.index(text[:3].encode())
        edges = [0, *(at + cut for cut in cuts), len(whole)]
        return [whole[start:end] for start, end in itertools.pairwise(edges)]

    return body


def spelled(whole: bytes) -> list[bytes]:
    """Let the deltas of a stream spell the key, some characters each."""
    first, *_ = [event for event in whole.split(b"\n\n") if b"alpha" in event]
    parts = [KEY[start : start + 5] for start in range(0, len(KEY), 5)]
    deltas = [first.replace(b"alpha", part.encode()) + b"\n\n" for part in parts]
    return [*deltas, *[event + b"\n\n" for event in whole.split(b"\n\n") if event]]


def gzipped(whole: bytes) -> list[bytes]:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(whole.replace(b"alpha", KEY.encode())) + packer.flush()
    return [packed[:40], packed[40:]]


ECHOES = {
    "as it is": plays(in_pieces()),
    "over two pieces": plays(in_pieces(7)),
    "over many pieces": plays(in_pieces(*range(1, len(KEY)))),
    "escaped": plays(in_pieces(9, text=KEY.replace("/", "\\/").replace("+", "\\u002b"))),
    "spelled by deltas": plays(spelled),
    "compressed": plays(gzipped, **{"content-encoding": "gzip"}),
    "in headers": plays(in_pieces(), **{"x-request-id": KEY, "set-cookie": KEY, "server": f"for {KEY}"}),
}
FORMS = (KEY, KEY.replace("/", "\\/"), KEY[:10], KEY[-10:], "real-key")


@pytest.mark.parametrize("echo", ECHOES)
@ways
def test_no_key_gets_into_the_file_wherever_a_vendor_echoes_it(way: str, echo: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Tape(path, mode="record", transport=Emulator("compatible", faults=[ECHOES[echo]])) as tape:
        recorded = outcome_of(way, tape)
    assert recorded.error is None
    text = path.read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    joined = "".join(line.get("text", "") for line in lines if "request" not in line)
    told = "".join(json.loads(data)["choices"][0]["delta"].get("content") or ""
                   for data in joined.split("data: ") if '"delta"' in data)  # fmt: skip
    assert told
    for shown in (text, joined, told):
        assert not [form for form in FORMS if form in shown]
    with Tape(path, transport=Nobody()) as tape:
        again = outcome_of(way, tape)
    assert again.error is None
    assert len("".join(again.seen)) == len("".join(recorded.seen)) or echo == "escaped"


def test_only_listed_headers_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    headers = {"set-cookie": "session=1", "openai-organization": "org-1", "x-mine": "yes", "x-request-id": "req-9"}
    emulator = Emulator("compatible", faults=[plays(lambda whole: [whole], **headers)])
    with Tape(path, mode="record", transport=emulator, keep_headers=["X-Mine"]) as tape:
        outcome_of("sync", tape)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert lines[1]["headers"] == {"accept": "text/event-stream", "content-type": "application/json"}
    assert lines[2]["headers"] == {"content-type": "text/event-stream", "x-mine": "yes", "x-request-id": "req-9"}


def test_a_query_keeps_its_names_and_listed_values(tmp_path: Path) -> None:
    path, secret = tmp_path / "a.jsonl", chatport.Secret("a-secret-of-a-query")
    query = "http://127.0.0.1:9/v1/models?tenant=acme&api-version=2026-01-01&more="
    request = HttpRequest("GET", query, (), b"", secret_query=(("key", secret),))
    with Tape(path, mode="record", transport=Emulator("compatible", needs_key=False)) as tape:
        tape.send(request, None, None).close()
    asked = json.loads(path.read_text("utf-8").splitlines()[1])["request"]
    assert asked == "GET http://localhost/v1/models?api-version=2026-01-01&key=***&more=***&tenant=***"
    played = Tape(path).send(attrs.evolve(request, secret_query=(("key", chatport.Secret("another")),)), None, None)
    assert played.head.status == 200


def test_secrets_that_are_given_are_hidden_in_requests_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    record(path, "say: the password is hunter2-hunter2", secrets=["hunter2-hunter2", "short"])
    assert "hunter2" not in path.read_text("utf-8")
    with Tape(path, secrets=["hunter2-hunter2"]) as tape:
        assert outcome_of("sync", tape, messages="say: the password is hunter2-hunter2").error is None


def test_a_tape_shows_no_key(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "a.jsonl", mode="record", transport=Emulator("compatible"), secrets=[KEY])
    outcome_of("sync", tape)
    assert repr(tape) == f"<chatport.testing.Tape {tmp_path / 'a.jsonl'} recording>"
    assert KEY not in repr(vars(tape)) + repr(vars(tape._recorder))  # type: ignore[arg-type]  # it is there


@ways
@pytest.mark.parametrize(
    "key", [None, {"env": "NO_SUCH_VARIABLE"}, {"command": ["no-such-program"]}, {"function": lambda: 1 / 0}],
    ids=["none", "variable", "command", "function"],
)  # fmt: skip
def test_a_replay_needs_no_key_and_reads_none(way: str, key: Any, tmp_path: Path) -> None:
    provider = attrs.evolve(
        chatport.Provider("keyed", "Keyed", "https://llm.example/v1"), key_env=("NO_SUCH_VARIABLE",)
    )
    emulator = Emulator(provider)
    table = {"api_key": KEY}

    def call(transport: Any, table: dict[str, Any]) -> str:
        options: dict[str, Any] = {"transport": transport, "providers": [provider]}
        config = {"providers": {"keyed": {**table, "query": {"key": {"env": "NO_SUCH_VARIABLE"}}}}}
        if transport.is_recording:
            config["providers"]["keyed"]["query"] = {"key": "a-secret-of-a-query"}
        if way == "sync":
            with chatport.Client(config, **options) as client:
                return client.chat("say: hi", model="keyed:emulated-model").text

        async def main() -> str:
            async with chatport.AsyncClient(config, **options) as client:
                return (await client.chat("say: hi", model="keyed:emulated-model")).text

        return anyio.run(main, backend=way)

    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator) as tape:
        assert call(tape, table) == "hi"
    with Tape(tmp_path / "a.jsonl", transport=Nobody()) as tape:
        assert call(tape, {} if key is None else {"api_key": key}) == "hi"


# --- the file


def test_a_file_is_made_to_be_read_and_compared(tmp_path: Path) -> None:
    record(tmp_path / "a.jsonl", "say: é \U0001f600")
    lines = (tmp_path / "a.jsonl").read_text("utf-8").splitlines()
    assert json.loads(lines[0]) == {"chatport": "tape", "form": 1}
    assert json.loads(lines[1])["request"] == "POST http://localhost/v1/chat/completions"
    assert json.loads(lines[2])["response"] == 200
    assert all(json.loads(line)["text"].startswith("data: ") for line in lines[3:-1])
    assert json.loads(lines[-1]) == {"end": "whole"}
    assert "é" in lines[1]
    record(tmp_path / "b.jsonl", "say: é \U0001f600")
    assert (tmp_path / "b.jsonl").read_bytes() == (tmp_path / "a.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 3: it is no JSON"),
        ("[]", "line 3: it is no object"),
        ('{"response": "200"}', 'has no "response" that can be read'),
        ('{"response": 200, "headers": {"a": 1}}', 'has "headers" that are no texts'),
        ('{"base64": "?"}', "is no base64"),
        ('{"end": "so"}', "is nothing that a tape has"),
        ('{"failure": "x", "stage": "soon", "kind": ""}', "has the stage 'soon', which there is not"),
        ('{"text": "x", "after_seconds": -1}', 'has "after_seconds" that are no seconds'),
    ],
)
def test_a_broken_file_is_refused_with_the_line(line: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"chatport": "tape", "form": 1}}\n{{"request": "GET http://localhost/"}}\n{line}\n', "utf-8")
    with pytest.raises(chatport.ConfigurationError) as caught:
        Tape(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: it is no JSON"),
        ('{"chatport": "reply", "form": 1}', "is not what a tape begins with"),
        ('{"chatport": "tape", "form": 2}', "update chatport-core"),
        ('{"chatport": "tape", "form": 1}\n{"text": "x"}', "belongs to no request"),
        ('{"chatport": "tape", "form": 1}\n{"request": "GET /"}\n{"text": "x"}\n{"response": 200}', "second response"),
    ],
)
def test_a_file_that_is_no_tape_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(text, "utf-8")
    with pytest.raises(chatport.ConfigurationError, match=words):
        Tape(tmp_path / "a.jsonl")


def test_a_recording_that_was_killed_is_played_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    record(path, "say: alpha beta")
    path.write_text("\n".join(path.read_text("utf-8").splitlines()[:6]), "utf-8")
    leave_after_first_text("sync", Tape(path))
