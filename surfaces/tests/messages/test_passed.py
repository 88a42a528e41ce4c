"""A vendor that speaks the protocol itself: its events pass as they came, but for what it wants back, and the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chatport import ChunkSeen, Finished, Reply
from chatport_surfaces import Asked, Seal, SurfaceContext
from chatport_surfaces.messages import surface

from .asking import SECRET, Event, events_of


def context() -> SurfaceContext:
    return SurfaceContext(Seal(SECRET), lambda: 0, lambda prefix: f"{prefix}new", lambda model: ("acme",))


def passed(*raw: tuple[str, Mapping[str, Any]], ends: bool = True) -> list[Event]:
    writer = surface.writer(Asked("chat", "m"), context())
    writer.begin(Reply(provider="acme", protocol="messages"))
    chunks: list[Any] = [ChunkSeen(name, json.dumps(data).encode(), "acme") for name, data in raw]
    return events_of(writer.write([*chunks, *([Finished(Reply(provider="acme"))] if ends else [])]))


def named(*bodies: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(body["type"], body) for body in bodies]


START = {"type": "message_start", "message": {"id": "msg_1", "content": [], "usage": {"input_tokens": 1}}}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
PIECE = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a signature, encrypted_x"}}
STOP = {"type": "content_block_stop", "index": 0}
DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
LAST = {"type": "message_stop", "newer": 1}
PING = {"type": "ping"}
NEWER = {"type": "newer_event", "x": 1}


def test_a_vendors_own_events_pass_as_they_came() -> None:
    events = named(START, PING, TEXT, PIECE, NEWER, STOP, DELTA, LAST)
    assert passed(*events) == events


def test_its_end_waits_for_ours_and_its_errors_are_told_by_us() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert [name for name, _ in passed(*named(START, TEXT, PIECE, STOP, DELTA, LAST), ends=False)][
        -1
    ] == "message_delta"
    assert [name for name, _ in passed(*named(START, TEXT, error), ends=False)] == [
        "message_start",
        "content_block_start",
    ]


def test_a_second_start_is_left_out_and_an_open_block_is_closed() -> None:
    """AN-S13, AN-S7"""
    assert passed(*named(START, START, TEXT, PIECE, DELTA, LAST)) == named(START, TEXT, PIECE, STOP, DELTA, LAST)


def test_an_event_without_a_name_gets_one() -> None:
    """Clients pass over it otherwise (AN-S1)."""
    assert passed(*[("message", body) for body in (START, TEXT, PIECE, STOP, DELTA, LAST)])[2] == (
        "content_block_delta",
        PIECE,
    )


def test_what_is_no_event_of_the_protocol_is_passed_over() -> None:
    writer = surface.writer(Asked("chat", "m"), context())
    writer.begin(Reply(provider="acme", protocol="messages"))
    for raw in (b"[DONE]x", b"{", b"[1]", b'"x"', b'{"type":1}', b"{}"):
        assert writer.write([ChunkSeen("message", raw, "acme")]) == b""
    assert events_of(writer.write([ChunkSeen("message", b'{"type":"ping"}', "acme")])) == named(PING)


def test_what_only_the_vendor_reads_is_sealed_in_its_place() -> None:
    thinking = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": "", "signature": ""},
    }
    signed = {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "SIG"}}
    redacted = {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "redacted_thinking", "data": "RED"},
    }
    found = {"type": "web_search_result", "url": "u", "encrypted_content": "ENC"}
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [found]}
    searched = {"type": "content_block_start", "index": 2, "content_block": result}
    used = {"type": "tool_use", "id": "t", "name": "f", "input": {"signature": "the model's"}}
    called = {"type": "content_block_start", "index": 3, "content_block": used}
    stops = [{**STOP, "index": index} for index in range(4)]
    events = passed(
        *named(START, thinking, signed, stops[0], redacted, stops[1], searched, stops[2], called, stops[3], DELTA, LAST)
    )
    text = json.dumps(events)
    assert not any(f'"{word}"' in text for word in ("SIG", "RED", "ENC"))
    assert "the model's" in text
    seal, bodies = Seal(SECRET), dict(enumerate(body for _, body in events))
    given_texts = [
        bodies[2]["delta"]["signature"],
        bodies[4]["content_block"]["data"],
        bodies[6]["content_block"]["content"][0]["encrypted_content"],
    ]
    opened = [seal.open(text) for text in given_texts]
    assert [(sealed.origin, sealed.text) for sealed in opened if sealed] == [
        ("acme", "SIG"),
        ("acme", "RED"),
        ("acme", "ENC"),
    ]
