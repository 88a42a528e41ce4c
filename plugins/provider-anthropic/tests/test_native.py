"""A call that came in this protocol: its words pass, known here or not, but for what the model refuses."""

from __future__ import annotations

from typing import Any

import pytest

from chatport import Message, Native, TextPart, Tool, VendorPart

MARK = {"cache_control": {"type": "ephemeral"}}
BETA = {"betas": ["mid-conversation-system-2026-04-07"]}


def native(**fields: Any) -> Native:
    return Native("messages", fields)


def test_what_is_not_known_here_passes(explain):
    parts = (TextPart("hi", {"newer": 1}), VendorPart({"type": "newer_block", "x": 1}))
    tools = [Tool("f", extra={"newer": True, **MARK}), {"type": "newer_tool", "name": "n"}]
    sent = explain([Message("user", parts)], tools=tools, native=native(newer_field=1))
    assert sent.body["messages"][0]["content"] == [
        {"type": "text", "text": "hi", "newer": 1},
        {"type": "newer_block", "x": 1},
    ]
    assert sent.body["tools"][0].items() >= {"newer": True, **MARK}.items()
    assert sent.body["tools"][1] == {"type": "newer_tool", "name": "n"}
    assert sent.body["newer_field"] == 1
    assert sent.adjustments == ()


def test_from_another_protocol_nothing_of_it_does(explain):
    sent = explain("hi", tools=[Tool("f", extra={"newer": True})], native=Native("responses", {"x": 1}))
    assert "newer" not in sent.body["tools"][0]
    assert "x" not in sent.body


@pytest.mark.parametrize(
    ("model", "kept"), [("opus-5", True), ("haiku-4-5", False), ("sonnet-4-6", False), ("opus-5-5", True)]
)
def test_later_system_texts_stay_behind_their_beta(explain, model, kept):
    """AN-R13: where the model takes them, and an answer or nothing follows."""
    talk = ["a", Message.system("Now."), Message.assistant("b"), "c", Message.system("Then.")]
    sent = explain(talk, model=f"anthropic:claude-{model}", native=native(**BETA))
    roles = [turn["role"] for turn in sent.body["messages"]]
    assert roles == (["user", "system", "assistant", "user", "system"] if kept else ["user", "assistant", "user"])
    assert ("system" in sent.body) is not kept
    wrong = explain(["a", Message.system("Now."), "c"], model=f"anthropic:claude-{model}", native=native(**BETA))
    assert [turn["role"] for turn in wrong.body["messages"]] == ["user"]


def test_thinking_that_the_model_does_not_have_is_said_in_its_way(explain):
    """AN-K3"""
    told = native(thinking={"type": "adaptive"}, output_config={"effort": "xhigh", "task_budget": 5})
    new = explain("hi", model="anthropic:claude-opus-5", reasoning="xhigh", native=told)
    assert new.body["thinking"] == {"type": "adaptive"}
    assert new.body["output_config"] == {"effort": "xhigh", "task_budget": 5}
    middle = explain("hi", model="anthropic:claude-sonnet-4-6", reasoning="xhigh", native=told)
    assert middle.body["output_config"] == {"effort": "max", "task_budget": 5}
    old = explain("hi", reasoning="xhigh", native=told)
    assert old.body["thinking"] == {"type": "enabled", "budget_tokens": 32768}
    assert old.body["output_config"] == {"task_budget": 5}
    off = native(thinking={"type": "disabled"})
    always = explain("hi", model="anthropic:claude-opus-5-5", reasoning="none", native=off)
    assert "thinking" not in always.body
    assert always.body["output_config"] == {"effort": "low"}
    budget = native(thinking={"type": "enabled", "budget_tokens": 2000}, output_config={"effort": "high"})
    kept = explain("hi", max_tokens=4000, reasoning="high", native=budget)
    assert kept.body["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert "output_config" not in kept.body
    assert ("dropped", "output_config.effort") in [(note.kind, note.field) for note in kept.adjustments]
