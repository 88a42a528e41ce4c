"""A vendor of this very protocol whose stream has no names of events, or no ending."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

import chatport
from chatport import ChunkSeen, Finished, Reply, Usage
from chatport_surfaces import Asked, Seal, SurfaceContext
from chatport_surfaces.responses import ResponsesSurface

from .asking import events_of

MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "ab"}]}
CREATED = {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_v", "status": "in_progress"}}
ADDED = {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": MESSAGE}
DELTA = {"type": "response.output_text.delta", "sequence_number": 2, "delta": "ab"}
DONE = {"type": "response.output_item.done", "sequence_number": 3, "output_index": 0, "item": MESSAGE}
COMPLETED = {
    "type": "response.completed", "sequence_number": 4,
    "response": {"id": "resp_v", "status": "completed", "output": [MESSAGE]},
}  # fmt: skip
TALK = (CREATED, ADDED, DELTA, DONE)


class Passing:
    """A writer that gets a vendor's chunks."""

    def __init__(self) -> None:
        context = SurfaceContext(
            Seal(b"a secret of the tests"), lambda: 1_795_000_000, lambda prefix: f"{prefix}own", lambda _: ("acme",)
        )
        self.writer = ResponsesSurface().writer(Asked("chat", body={"model": "m", "input": []}), context)

    def pass_on(self, *bodies: Mapping[str, Any], named: bool = True) -> list[Any]:
        chunks = [ChunkSeen(body["type"] if named else "message", json.dumps(body).encode(), "acme") for body in bodies]
        return self.read(self.writer.write(chunks))

    def finish(self, reply: Reply) -> Any:
        """Return the last event, which is the only one."""
        (event,) = self.read(self.writer.write([Finished(reply)]))
        return event

    def read(self, data: bytes) -> list[Any]:
        return events_of(data) if data else []


@pytest.mark.parametrize("named", [True, False])
def test_events_are_told_by_their_own_type_where_they_have_no_name(*, named: bool) -> None:
    passing = Passing()
    events = passing.pass_on(*TALK, COMPLETED, named=named)
    assert [event["type"] for event in events] == [event["type"] for event in TALK]
    assert events[1:] == list(TALK[1:])
    assert events[0]["response"]["id"] == "resp_v"
    end = passing.finish(Reply("ab"))
    assert (end["type"], end["sequence_number"]) == ("response.completed", 4)
    assert end["response"]["output"] == [MESSAGE]


@pytest.mark.parametrize("raw", [b"[DONE]", b"", b"[1]", b"{}", b'{"type":null}', b'{"type":"error"}'])
def test_a_chunk_without_name_and_type_is_passed_over(raw: bytes) -> None:
    passing = Passing()
    passing.pass_on(CREATED)
    assert passing.writer.write([ChunkSeen("message", raw, "acme")]) == b""


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_an_answer_that_is_whole_without_its_ending_gets_one(reason: Any, status: str, details: Any) -> None:
    passing = Passing()
    passing.pass_on(*TALK)
    end = passing.finish(Reply("ab", finish_reason=reason, usage=Usage(3, 2)))
    response = end["response"]
    assert (end["type"], end["sequence_number"]) == (f"response.{status}", 4)
    assert (response["id"], response["status"], response["incomplete_details"]) == ("resp_v", status, details)
    assert response["completed_at"] == (None if details else 1_795_000_000)
    assert response["output"] == [MESSAGE]
    assert response["usage"]["total_tokens"] == 5


def test_an_ending_after_events_without_a_number_begins_at_nought() -> None:
    passing = Passing()
    passing.pass_on({"type": "response.output_text.delta", "delta": "ab"})
    assert passing.finish(Reply("ab"))["sequence_number"] == 0


def test_a_failure_is_numbered_after_what_was_passed_on() -> None:
    passing = Passing()
    passing.pass_on(*TALK)
    error, failed = events_of(passing.writer.fail(chatport.StreamInterruptedError("It broke off.")))
    assert [event["sequence_number"] for event in (error, failed)] == [4, 5]
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["output"] == [MESSAGE]
