"""A tape: what was recorded is played again, byte for byte and failure for failure, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

import chatport
from chatport.engine.commands import HttpRequest, TransportFailure
from chatport.testing import Break, Emulator, Fault, Tape, TapeMissError, VirtualClock, faults

from .tapes import KEY, WAYS, Nobody, body_of, leave_after_first_text, outcome_of, record, ways, wire

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
