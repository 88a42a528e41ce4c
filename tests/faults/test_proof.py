"""An answer counts only when it is proved to be whole; what is no answer is told by its right name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest

import chatport
from chatport.testing import Emulator, Fault, Scene, faults, sse

from .world import KEY, PROMPT, TEXT, Outcome, World, as_sent, on_backends, plain_and_streamed

SAID = "An emulated error with status 500."
LONG = "no room " * 2000


def no_end_of_any_kind() -> Fault:
    """Return a whole answer with its finish, but without `[DONE]` and without HTTP's last chunk."""
    whole = faults.missing_last_chunk()

    def play(scene: Scene) -> Iterator[Any]:
        return (step for step in whole.play(scene).body if step != b"data: [DONE]\n\n")

    return as_sent("no last chunk", play)


@attrs.frozen
class Case:
    """A fault, the error that is due in a stream and in a plain call, and what its text says."""

    name: str
    fault: Fault
    error: type[chatport.ChatportError]
    plain_error: type[chatport.ChatportError]
    says: str = ""
    plain_says: str = ""


CUT, TRANSPORT = chatport.StreamInterruptedError, chatport.TransportError
MALFORMED, LATE, SERVER = chatport.MalformedReplyError, chatport.DeadlineError, chatport.ServerError
CASES = [
    Case("gzip that ends early", faults.gzip_cut(), CUT, TRANSPORT, "gzip", "gzip"),
    Case("short content-length", faults.short_content_length(), CUT, TRANSPORT),
    Case("no last chunk", no_end_of_any_kind(), CUT, TRANSPORT),
    Case("empty deltas for ever", faults.empty_deltas_for_ever(), LATE, LATE, "first_event", "total"),
    Case("two objects on a line", faults.two_objects_on_a_line(), MALFORMED, MALFORMED),
    Case("JSON in place of a stream", faults.json_instead_of_stream(), SERVER, SERVER, SAID, SAID),
    Case("a page in place of a stream", faults.html_page(), MALFORMED, MALFORMED, "We are down", "We are down"),
    Case("a page with a status", faults.html_page(502), SERVER, SERVER, "We are down", "We are down"),
    Case("an error event first", faults.error_event(), SERVER, SERVER, SAID, SAID),
    Case("an empty body", as_sent("empty", lambda scene: iter(())), CUT, MALFORMED, "", "empty"),
    Case(
        "a long error",
        faults.json_instead_of_stream(body={"error": {"message": LONG, "type": "server_error"}}),
        SERVER,
        SERVER,
        "no room no room",
        "no room no room",
    ),
]
ON_A_PORT = [case for case in CASES if case.name in ("gzip that ends early", "short content-length", "no last chunk")]


def check(outcome: Outcome, case: Case, stream: bool) -> None:
    error = outcome.error
    assert type(error) is (case.error if stream else case.plain_error), repr(error)
    assert (case.says if stream else case.plain_says) in str(error)
    assert len(str(error)) < 1000
    assert TEXT.startswith(outcome.text)
    assert outcome.text == ("" if error.partial is None or not stream else error.partial.text)
    assert not any(isinstance(event, chatport.Finished) for event in outcome.events)
    assert error.provider == "one"


@on_backends
@plain_and_streamed
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_not_whole_is_no_success(backend: str, stream: bool, case: Case) -> None:
    w = World(backend, {"one": [case.fault]}, retry={"attempts": 1})
    check(w.ask(stream=stream), case, stream)


@on_backends
@plain_and_streamed
@pytest.mark.parametrize("case", ON_A_PORT, ids=lambda case: case.name)
def test_what_is_not_whole_is_no_success_on_a_real_connection(backend: str, stream: bool, case: Case) -> None:
    w = World(backend, {"one": ()}, retry={"attempts": 1})
    with Emulator("compatible", faults=[case.fault], models=("m",)) as emulator:
        providers = {"one": {"kind": "compatible", "base_url": emulator.base_url, "api_key": KEY}}
        w.use({"providers": providers, "model": "one:m", "retry": {"attempts": 1}})
        check(w.ask(stream=stream), case, stream)


@on_backends
@plain_and_streamed
def test_a_wrong_content_type_alone_is_no_reason_to_refuse_a_whole_answer(backend: str, stream: bool) -> None:
    w = World(backend, {"one": [faults.wrong_content_type()]})
    assert w.ask(stream=stream).reply.text == TEXT


@on_backends
def test_the_vendors_own_end_event_is_proof_enough(backend: str) -> None:
    """After `[DONE]` no byte matters; without a reason to end by, none is invented, and the reply says so."""
    w = World(backend, {"one": [faults.missing_last_chunk(), faults.drop_finish()]}, retry={"attempts": 1})
    assert w.ask().reply.finish_reason == "stop"
    without_reason = w.ask().reply
    assert (without_reason.text, without_reason.finish_reason, without_reason.raw_finish_reason) == (
        TEXT,
        "other",
        None,
    )
    assert without_reason.warnings


def echoing(where: str) -> Fault:
    """Return a fault whose text repeats the request's key, in JSON, in an event, or in a page."""

    def play(scene: Scene) -> Iterator[bytes]:
        said = f"no access with {scene.request.headers['authorization']}"
        error = {"error": {"message": said, "code": said, "type": "server_error"}}
        if where == "page":
            yield f"<html><body>{said}</body></html>".encode()
        else:
            yield from scene.events[:3] if where == "late event" and scene.streams else ()
            yield sse(error) if scene.streams else sse(error).removeprefix(b"data: ")

    return as_sent(f"echo in a {where}", play)


@on_backends
@plain_and_streamed
@pytest.mark.parametrize("where", ["status", "event", "late event", "page"])
def test_a_key_that_the_vendor_echoes_is_taken_out_and_its_words_are_kept(
    backend: str, stream: bool, where: str
) -> None:
    fault = faults.echo_key() if where == "status" else echoing(where)
    w = World(backend, {"one": [fault]}, retry={"attempts": 1})
    error = w.ask(PROMPT, stream=stream).error
    shown = [str(error), repr(error), repr(error.raw), repr(error.code), repr(vars(error)), repr(error.attempts)]
    assert KEY not in " ".join(shown)
    assert "***" in str(error)
    assert ("Incorrect API key provided" if where == "status" else "no access with") in str(error)


@on_backends
@plain_and_streamed
def test_the_error_is_told_to_whoever_listens_without_the_key(backend: str, stream: bool) -> None:
    heard: list[tuple[str, Any]] = []
    w = World(backend, {"one": [faults.echo_key()]}, observers=[lambda event, fields: heard.append((event, fields))])
    w.ask(stream=stream)
    assert [event for event, _ in heard][-1] == "call_failed"
    assert KEY not in repr(heard)
