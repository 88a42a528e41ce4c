"""Ids of tool calls: as the vendor takes them, no two alike, and the same in every turn of a conversation."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from chatport import Context, Dialect, Message, Provider, ToolCall, WireRequest
from chatport.facts.checking import check_rules
from chatport.facts.rules import CallIdRule, Rules
from chatport.standard.call_ids import with_call_ids
from chatport.standard.request import wire_message

CALL = ToolCall("call_1", "f", "{}")
CONTEXT = Context(Provider("sample", "Sample", base_url="https://sample.example/v1", dialect=Dialect()), "m", "")


def ids_sent(rule: dict[str, Any] | None, *answers: tuple[str, ...]) -> list[list[str]]:
    """Return the ids of calls as sent, answer by answer; those of their results must be the same."""
    messages: list[Any] = [Message.user("?")]
    for ids in answers:
        calls = tuple(attrs.evolve(CALL, id=one) for one in ids)
        messages += [Message.assistant("", tool_calls=calls), *(Message.tool(call, "r") for call in calls)]
    wire = WireRequest("/chat", {"messages": [wire_message(message, CONTEXT, {}) for message in messages]})
    body = with_call_ids(wire, None if rule is None else CallIdRule(**rule)).body
    sent = [[call["id"] for call in message["tool_calls"]] for message in body["messages"] if "tool_calls" in message]
    results = [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]
    assert results == [one for ids in sent for one in ids]
    return sent


NINE = {"longest": 9, "fits": "[a-zA-Z0-9]{9}", "fact": "X-1"}
RULES_OF_IDS: list[dict[str, Any] | None] = [
    None, NINE, {"longest": 40}, {"fits": "[a-zA-Z0-9_-]+"}, {"fits": "[a-f][a-z0-9]*", "longest": 3}
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES_OF_IDS, ids=str)
def test_no_two_calls_have_one_id_and_each_is_as_the_vendor_takes_it(rule: dict[str, Any] | None) -> None:
    answers = [("call_0", "x" * 50, "x" * 50 + "y"), ("call_0", "f.g:1"), ("call_0_2", "abcdefghi"), ("call_0", "é 1")]
    sent = [one for ids in ids_sent(rule, *answers) for one in ids]
    assert len(set(sent)) == len(sent)
    assert all(CallIdRule(**(rule or {})).takes(one) for one in sent)


@pytest.mark.parametrize("rule", RULES_OF_IDS, ids=str)
def test_an_id_stays_what_it_became_as_the_conversation_grows(rule: dict[str, Any] | None) -> None:
    answers = [("call_0",), ("call_0",), ("call_0_2",), ("call_0", "x" * 50), ("call_0_3",)]
    whole = ids_sent(rule, *answers)
    assert [ids_sent(rule, *answers[:count]) for count in range(1, 6)] == [whole[:count] for count in range(1, 6)]


def test_ids_that_fit_and_are_given_once_are_sent_as_they_came() -> None:
    assert ids_sent(NINE, ("VB03LVVRm",), ("123456789",)) == [["VB03LVVRm"], ["123456789"]]
    assert ids_sent(None, ("functions.f:0", "x" * 90)) == [["functions.f:0", "x" * 90]]


def test_calls_without_an_id_are_sent_as_they_are() -> None:
    """A hook may make some: what has no id is like no other."""
    ids = [None, "call_0", None, "call_0"]
    answer = {"role": "assistant", "tool_calls": [{"id": one} for one in ids]}
    results = [{"role": "tool", "tool_call_id": one} for one in (None, "call_0")]
    wire = with_call_ids(WireRequest("/chat", {"messages": [answer, *results]}), None)
    assert wire.body["messages"] == [
        {"role": "assistant", "tool_calls": [{"id": None}, {"id": "call_0"}, {"id": None}, {"id": "call_0_2"}]},
        {"role": "tool", "tool_call_id": None},
        {"role": "tool", "tool_call_id": "call_0_2"},
    ]
    assert [(note.kind, note.field, note.reason) for note in wire.adjustments] == [
        ("renamed", "messages.tool_call_id", "an id is of one call only, in the whole conversation")
    ]


def test_a_rule_for_ids_that_nothing_made_here_would_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="takes no id of 32 hexadecimal digits"):
        check_rules(Rules(call_ids=CallIdRule(fits="[g-z]+")), "sample")
