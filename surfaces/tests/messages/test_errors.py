"""Errors as Anthropic's clients know them, before a stream and inside of one."""

from __future__ import annotations

import json
from typing import Any

import pytest

import chatport
from chatport.testing import Emulator, faults
from chatport_surfaces import Answer, Seal, Surfaces
from chatport_surfaces.messages import surface

from .asking import MODELS, SECRET, ask, events_of, on_backends, request_of

BODY: dict[str, Any] = {"max_tokens": 100, "messages": [{"role": "user", "content": "say: one two three four five"}]}
on_vendors = pytest.mark.parametrize("vendor", MODELS)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
ONCE: dict[str, Any] = {"retry": {"attempts": 1}}


def body_of(vendor: str, **fields: Any) -> dict[str, Any]:
    return {**BODY, "model": f"{vendor}:{MODELS[vendor]}", **fields}


@on_vendors
@both_ways
@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (400, 400, "invalid_request_error"),
        (401, 401, "authentication_error"),
        (403, 403, "permission_error"),
        (404, 404, "not_found_error"),
        (413, 413, "request_too_large"),
        (429, 429, "rate_limit_error"),
        (500, 502, "api_error"),
        (529, 529, "overloaded_error"),
    ],
)
def test_statuses_and_kinds(vendor: Any, stream: Any, status: Any, told: Any, kind: Any) -> None:
    emulator = Emulator(vendor, faults=[faults.status(status)])
    if status == 404:
        emulator = Emulator(vendor, models=("other",))
    answer = ask(emulator, body_of(vendor, stream=stream), **ONCE)
    assert (answer.status, answer.json["type"], answer.json["error"]["type"]) == (told, "error", kind)
    assert answer.headers["request-id"] == answer.json["request_id"]
    assert answer.headers["x-should-retry"] == "false"


@on_vendors
@both_ways
@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}])
def test_a_conversation_that_the_server_holds(vendor: str, stream: bool, thread: Any) -> None:
    """By this code the SDKs know that they have to send all of it."""
    emulator = Emulator(vendor)
    answer = ask(emulator, body_of(vendor, stream=stream, thread=thread))
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json["error"]["details"] == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    assert "`thread: false`" in answer.json["error"]["message"]
    assert emulator.requests == []


@both_ways
def test_a_name_that_means_nothing(stream: Any) -> None:
    answer = ask(Emulator("openai"), {**BODY, "model": "nobody", "stream": stream})
    assert (answer.status, answer.json["error"]["type"]) == (404, "not_found_error")
    assert "nobody" in answer.json["error"]["message"]


def test_a_wrong_body() -> None:
    for body, words in ((b"{", "JSON"), (b"[]", "object"), (b'{"model": "m"}', "messages: Field required")):
        answer = ask(Emulator("openai"), body)
        assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
        assert words in answer.json["error"]["message"]


def test_too_long_a_prompt_has_the_words_that_clients_know() -> None:
    """AN-X2: they compact the conversation then, and have nothing else to go by."""
    said = {"error": {"message": "This model's maximum context length is 8 tokens.", "code": "context_length_exceeded"}}
    answer = ask(Emulator("openai", faults=[faults.status(400, body=said)]), body_of("openai"))
    assert answer.status == 400
    assert answer.json["error"]["message"].startswith("prompt is too long: ")


def test_a_spent_budget_is_no_rate_limit() -> None:
    """AN-X13: clients that know the detail stop; the others are told not to try again."""
    said = {"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}
    answer = ask(Emulator("openai", faults=[faults.status(429, body=said)]), body_of("openai"))
    assert answer.status == 429
    assert answer.json["error"]["details"] == {"error_code": "enforced_spend_limit_reached"}
    assert answer.headers["x-should-retry"] == "false"


def test_a_wait_is_passed_on() -> None:
    fault = faults.rate_limited(400)
    answer = ask(Emulator("deepseek", faults=[fault]), body_of("deepseek"), **ONCE)
    assert (answer.status, answer.headers["retry-after"]) == (429, "400")


# --- streams that break off


class Cutting:
    """A vendor whose stream is cut at a byte, and the surface before it, made once for all bytes."""

    def __init__(self, vendor: str, how: Any) -> None:
        self.at = 0
        self.emulator = Emulator(vendor, faults=lambda number, request: faults.cut(at_byte=self.at, how=how))
        self.client = chatport.Client({**self.emulator.config(), **ONCE}, transport=self.emulator)
        self.surfaces = Surfaces(self.client, [surface], seal=Seal(SECRET))
        talk = [{"role": "user", "content": "say: a b"}]
        self.request = request_of(body_of(vendor, messages=talk, thinking={"type": "disabled"}, stream=True))

    def length(self) -> int:
        """Return the bytes of the whole stream."""
        self.at = 1_000_000
        self.outcome()
        return len(self.emulator.vendor.respond(self.emulator.requests[-1]).body)

    def outcome(self) -> str:
        """Ask once, and return what came of it. Raises AssertionError for what must not be."""
        answer = self.surfaces.answer(self.request)
        if isinstance(answer, Answer):
            assert answer.status == 502
            assert json.loads(answer.body)["error"]["type"] == "api_error"
            return "status"
        events = events_of(b"".join(answer))
        answer.close()
        names = [name for name, _ in events]
        assert names[0] == "message_start"
        if answer.error is None:  # all that proves the end had come
            assert names[-1] == "message_stop"
            assert "error" not in names
            return "whole"
        assert names[-1] == "error"
        assert names.count("error") == 1
        assert "message_stop" not in names
        assert events[-1][1]["error"]["type"] == "api_error"
        return "error"


@pytest.mark.slow
@on_vendors
@pytest.mark.parametrize("how", ["clean", "reset"])
def test_every_cut_of_a_stream_is_an_error_and_no_ending(vendor: Any, how: Any) -> None:
    """At each byte: before there is content the error has its own status, then it is the last event."""
    cutting = Cutting(vendor, how)
    with cutting.client:
        seen = set()
        for place in range(cutting.length()):
            cutting.at = place
            seen.add(cutting.outcome())
    assert seen >= {"status", "error"}


@on_backends
@on_vendors
@pytest.mark.parametrize(
    "fault",
    [
        faults.cut(after_events=5),
        faults.cut(after_events=5, how="reset"),
        faults.error_event(5, status=500),
        faults.malformed_chunk(5),
    ],
    ids=lambda fault: fault.name,
)
def test_faults_in_the_middle_on_every_way(backend: Any, vendor: Any, fault: Any) -> None:
    answer = ask(Emulator(vendor, faults=[fault]), body_of(vendor, stream=True), backend=backend, **ONCE)
    assert answer.status == 200
    names = [name for name, _ in answer.events]
    assert names[0] == "message_start"
    assert names.count("error") == 1
    assert names[-1] == "error"
    assert "message_stop" not in names
    assert isinstance(answer.error, chatport.ChatportError)


def test_a_vendors_own_error_event_is_told_once() -> None:
    """AN-S10"""
    emulator = Emulator("anthropic", stream_error="overloaded_error", stream_error_after=6)
    answer = ask(emulator, body_of("anthropic", stream=True), **ONCE)
    errors = [data for name, data in answer.events if name == "error"]
    assert [error["error"]["type"] for error in errors] == ["overloaded_error"]
    assert answer.events[-1][0] == "error"
