"""Wherever a vendor's stream breaks, its client hears of it in this protocol's words, and of no ending."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatport.testing import faults
from chatport_surfaces import Answer

from .asking import World, events_of, world
from .validator import check

PROMPTS = {
    "text": ("say: alpha beta", {}),
    "call": ('call: look {"a": "b"}', {"tools": [{"type": "function", "name": "look", "strict": False}]}),
    "thoughts": ("think: hm hm\nsay: x", {"reasoning": {"effort": "high", "summary": "auto"}}),
}
VENDORS = pytest.mark.parametrize("vendor", ["openai", "anthropic", "deepseek"])


def outcome(made: World, prompt: str, body: Any) -> str:
    """Return what a client sees; raise AssertionError for what must not be."""
    answer = made.answer({"input": prompt, "stream": True, **body})
    if isinstance(answer, Answer):
        assert answer.status >= 400
        assert json.loads(answer.body)["error"]["message"]
        assert ("x-should-retry", "true") not in answer.headers
        return "refused"
    events = events_of(b"".join(answer))
    answer.close()
    kinds = [event["type"] for event in events]
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(len(events)))
    if answer.error is None:
        assert kinds[-1] == "response.completed"
        assert "error" not in kinds
        return "whole"
    assert kinds[-2:] == ["error", "response.failed"]
    assert not {"response.completed", "response.incomplete"} & set(kinds)
    assert events[-1]["response"]["status"] == "failed"
    assert events[-1]["response"]["error"]["code"] == "server_error"
    assert events[-2]["error"]["message"]
    if made.emulator.provider != "openai":
        check(events)
    return "failed"


@VENDORS
@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_cut_is_no_ending(vendor: str, prompt: str) -> None:
    """At the end of each event, and at many bytes between."""
    text, body = PROMPTS[prompt]
    with world(vendor) as made:
        assert outcome(made, text, body) == "whole"
        stream = made.emulator.requests[-1]
    size = len(made.emulator.vendor.respond(stream).body)
    found = set()
    for at_byte in range(0, size, 37):
        with world(vendor, faults=[faults.cut(at_byte=at_byte, how="clean" if at_byte % 2 else "reset")]) as made:
            found.add(outcome(made, text, body))
    assert found >= {"refused", "failed"}


@VENDORS
def test_faults_of_every_kind_are_told(vendor: str) -> None:
    for fault in (
        faults.error_event(4),
        faults.malformed_chunk(4),
        faults.html_page(),
        faults.status(503),
        faults.refuse_connection(),
        faults.cut(after_events=6),
    ):
        with world(vendor, faults=[fault]) as made:
            assert outcome(made, "say: one two three four five", {}) in ("refused", "failed"), fault


def test_a_fault_before_content_is_tried_elsewhere_and_nothing_of_it_is_seen() -> None:
    with world(
        "openai", faults=[faults.error_event(1)], aliases={"main": ["openai:gpt-5.6-sol", "openai:gpt-5.5"]}
    ) as made:
        made.model = "main"
        events = made.events("say: x")
        assert [event["type"] for event in events].count("response.created") == 1
        assert events[-1]["type"] == "response.completed"
        assert len(made.emulator.requests) == 2
