"""Facts act: what a facts file says of a vendor happens on the wire, without a line of Python from the vendor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

import chatport
from chatport import Client, Dialect, Message, Provider, ToolCall, UnsupportedFeatureError
from chatport.call import Failure, OutputSpec, Tool
from chatport.decoding.failures import error_of
from chatport.errors import ChatportError, ConfigurationError, ModelNotFoundError, PluginError
from chatport.facts import Facts, load_facts
from chatport.standard.errors import classify_error
from chatport.standard.models import read_rate_limits
from chatport.standard.verdicts import read_error
from chatport.testing import replay
from chatport.types import AudioPart, FilePart, ImagePart, RateLimits, TextPart, VideoPart

WEATHER = Tool("get_weather", "Tell the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
CALL = ToolCall("call_1", "get_weather", '{"city": "Oslo"}')
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


def provider(facts: Mapping[str, Any], **more: Any) -> Provider:
    """Return a vendor that is nothing but its facts."""
    known = msgspec.convert(
        {"provider": "acme", "date": "2026-11-01", "models": [{"match": "*", "facts": facts}], **more}, Facts
    )
    dialect = Dialect(reasoning_field="reasoning_content")
    settings = {"extra_fields": "further body fields"}
    url = "https://llm.acme.example/v1"
    return Provider("acme", "Acme", url, key_env=(), facts=known, dialect=dialect, settings=settings)


def shaped(
    facts: Mapping[str, Any], messages: Any = "hi", **options: Any
) -> tuple[dict[str, Any], set[tuple[str, str]]]:
    """Return the body that would be sent, and (kind, field) of each note."""
    config = {"providers": {"acme": {"api_key": "k-123456", **options.pop("settings", {})}}}
    with Client(config=config, providers=[provider(facts)]) as client:
        explanation = client.explain(messages, model="acme:m", **options)
    return dict(explanation.body), {(note.kind, note.field) for note in explanation.adjustments}


# --- abilities that are plain facts


@pytest.mark.parametrize(
    ("efforts", "asked", "sent", "kind"),
    [
        (["low", "high"], "max", "high", "lowered"),
        (["low", "high"], "medium", "low", "lowered"),
        (["low", "high"], "minimal", "low", "note"),
        (["none", "high"], "none", "none", None),
        (["none", "high"], "low", "high", "note"),
        (["low", "high"], "none", "low", "lowered"),
        ([], "xhigh", "xhigh", None),
    ],
)
def test_an_effort_that_is_not_taken_becomes_the_nearest(efforts: Any, asked: Any, sent: Any, kind: Any) -> None:
    body, notes = shaped({"efforts": efforts}, reasoning=asked)
    assert body["reasoning_effort"] == sent
    assert notes == ({(kind, "reasoning")} if kind else set())


@pytest.mark.parametrize(("asked", "notes"), [("high", {("dropped", "reasoning")}), ("none", set()), (None, set())])
def test_a_model_that_does_not_reason_is_not_told_to(asked: Any, notes: Any) -> None:
    body, told = shaped({"reasoning": False}, reasoning=asked)
    assert "reasoning_effort" not in body
    assert told == notes


def test_a_schema_goes_down_the_ladder_of_formats() -> None:
    body, notes = shaped({"output_formats": ["json_object"]}, output=SCHEMA)
    assert body["response_format"] == {"type": "json_object"}
    assert '"integer"' in body["messages"][0]["content"]
    assert notes == {("lowered", "response_format")}
    body, notes = shaped({"output_formats": []}, output=SCHEMA)
    assert "response_format" not in body
    assert notes == {("lowered", "response_format")}
    body, notes = shaped({"output_formats": [], "tools": True, "forced_tool_choice": True}, output=SCHEMA)
    assert body["tool_choice"]["function"]["name"] == body["tools"][0]["function"]["name"]
    body, notes = shaped({"output_formats": ["json_schema"]}, output=SCHEMA)
    assert body["response_format"]["type"] == "json_schema"
    assert notes == set()


def test_a_call_that_cannot_be_forced_is_asked_for_in_words() -> None:
    body, notes = shaped({"forced_tool_choice": False}, tools=[WEATHER], tool_choice="required")
    assert body["tool_choice"] == "auto"
    assert body["messages"][0]["role"] == "system"
    assert notes == {("lowered", "tool_choice")}
    with pytest.raises(UnsupportedFeatureError):
        shaped({"forced_tool_choice": False}, tools=[WEATHER], tool_choice="required", on_unsupported="raise")


# --- reasoning


SWITCH: dict[str, Any] = {
    "reasoning": True,
    "default_effort": "medium",
    "rules": {
        "reasoning": {
            "on": {"thinking": {"type": "enabled"}},
            "off": {"thinking": {"type": "disabled"}},
            "effort": None,
            "budget": "thinking.budget_tokens",
            "least_budget": 1024,
            "most_budget": 8000,
            "gives_way_to": {"forced_choice": "AC-T1", "prefix": "AC-P1"},
            "fact": "AC-R1",
        }
    },
}


@pytest.mark.parametrize(
    ("asked", "thinking", "notes"),
    [
        (None, None, set()),
        ("none", {"type": "disabled"}, set()),
        ("medium", {"type": "enabled"}, set()),
        ("high", {"type": "enabled"}, {("lowered", "reasoning")}),
        ("low", {"type": "enabled"}, {("note", "reasoning")}),
        (4000, {"type": "enabled", "budget_tokens": 4000}, set()),
        (100, {"type": "enabled", "budget_tokens": 1024}, {("note", "thinking.budget_tokens")}),
        (9999, {"type": "enabled", "budget_tokens": 8000}, {("lowered", "thinking.budget_tokens")}),
    ],
)
def test_reasoning_is_said_by_the_models_own_switch(asked: Any, thinking: Any, notes: Any) -> None:
    body, told = shaped(SWITCH, reasoning=asked)
    assert body.get("thinking") == thinking
    assert "reasoning_effort" not in body
    assert told == notes


def test_the_vendors_own_switch_in_extra_is_the_callers() -> None:
    body, notes = shaped(SWITCH, extra={"thinking": {"type": "adaptive"}})
    assert body["thinking"] == {"type": "adaptive"}
    assert notes == set()
    body, notes = shaped(SWITCH, extra={"reasoning_effort": "none"})
    assert body["thinking"] == {"type": "disabled"}
    assert "reasoning_effort" not in body


def test_what_else_the_vendors_object_holds_is_no_wish_about_reasoning() -> None:
    own = {"thinking": {"keep": "all"}}
    body, notes = shaped(SWITCH, reasoning="medium", extra=own)
    assert body["thinking"] == {"keep": "all", "type": "enabled"}
    assert notes == set()
    assert shaped(SWITCH, reasoning="none", extra=own)[0]["thinking"] == {"keep": "all", "type": "disabled"}
    body, notes = shaped(SWITCH, reasoning="none", extra={"thinking": {"type": "enabled"}})
    assert body["thinking"] == {"type": "enabled"}
    assert notes == {("dropped", "reasoning")}


def test_a_model_that_always_reasons_is_told_so_together_with_its_least_effort() -> None:
    rule = {"on": {"thinking": {"type": "enabled"}}}
    body, notes = shaped({"efforts": ["low", "high"], "rules": {"reasoning": rule}}, reasoning="none")
    assert (body["thinking"], body["reasoning_effort"]) == ({"type": "enabled"}, "low")
    assert notes == {("lowered", "reasoning")}


@pytest.mark.parametrize(("asked", "kind"), [("low", "note"), ("high", "note"), ("max", "lowered")])
def test_what_on_comes_to_is_told_where_the_facts_say_it(asked: str, kind: str) -> None:
    rule = {"on": {"think": True}, "effort": None, "means": dict.fromkeys(("low", "high", "max"), "high")}
    assert shaped({"rules": {"reasoning": rule}}, reasoning=asked)[1] == {(kind, "reasoning")}


@pytest.mark.parametrize(
    ("asked", "kind"), [("low", "note"), ("medium", None), ("max", "lowered"), ("none", "lowered")]
)
def test_a_model_without_switch_and_efforts_may_say_what_it_comes_to(asked: str, kind: str | None) -> None:
    rule: dict[str, Any] = {"effort": None, "means": {"low": "medium", "max": "medium"}}
    body, notes = shaped({"rules": {"reasoning": rule}}, reasoning=asked)
    assert body.keys() == {"model", "messages"}
    assert notes == ({(kind, "reasoning")} if kind else set())


def _at_least(**more: Any) -> dict[str, Any]:
    rule = {"effort": "reasoning.effort", "budget": "reasoning.tokens", **more}
    return {"efforts": ["low", "high"], "rules": {"reasoning": rule}}


def test_what_is_said_beside_an_effort_in_the_same_object_is_kept() -> None:
    beside = {"reasoning": {"exclude": True}}
    body, notes = shaped(_at_least(), reasoning="low", extra=beside)
    assert body["reasoning"] == {"exclude": True, "effort": "low"}
    assert notes == set()
    own = {"reasoning": {"effort": "high"}}
    body, notes = shaped(_at_least(), reasoning="low", extra=own)
    assert body["reasoning"] == own["reasoning"]
    assert notes == {("dropped", "reasoning")}


def test_a_budget_leaves_room_for_the_answer() -> None:
    body, notes = shaped(_at_least(below_output=True, least_budget=100), reasoning=900, max_tokens=500)
    assert body["reasoning"] == {"tokens": 499}
    assert notes == {("lowered", "reasoning.tokens")}
    assert shaped(_at_least(below_output=True), reasoning=400, max_tokens=500)[1] == set()


def test_where_there_is_no_off_nothing_may_be_better_than_the_least() -> None:
    body, notes = shaped(_at_least(least_for_off=False), reasoning="none")
    assert "reasoning" not in body
    assert notes == {("dropped", "reasoning")}
    assert shaped(_at_least(), reasoning="none")[0]["reasoning"] == {"effort": "low"}


@pytest.mark.parametrize(("asked", "field"), [(None, "thinking"), ("high", "reasoning"), (2000, "reasoning")])
def test_reasoning_gives_way_to_what_it_excludes(asked: Any, field: Any) -> None:
    body, notes = shaped(SWITCH, reasoning=asked, tools=[WEATHER], tool_choice="required")
    assert body["thinking"] == {"type": "disabled"}
    assert body["tool_choice"] == "required"
    assert ("lowered", field) in notes


@pytest.mark.parametrize(
    ("options", "thinking", "choice", "note"),
    [
        ({}, "disabled", "required", ("lowered", "thinking")),
        ({"reasoning": "medium"}, "enabled", "auto", ("lowered", "tool_choice")),
        ({"extra": {"thinking": {"type": "enabled"}}}, "enabled", "auto", ("lowered", "tool_choice")),
    ],
)
def test_reasoning_gives_way_only_where_nobody_asked_for_it(
    options: Any, thinking: Any, choice: Any, note: Any
) -> None:
    rule = {
        **SWITCH["rules"]["reasoning"],
        "gives_way_to": {},
        "unasked_gives_way_to": {"forced_choice": "AC-T1"},
        "wins_over": {"forced_choice": "AC-T1"},
    }
    facts = {**SWITCH, "rules": {"reasoning": rule}}
    body, notes = shaped(facts, tools=[WEATHER], tool_choice="required", **options)
    assert body.get("thinking", {}).get("type") == thinking
    assert body["tool_choice"] == choice
    assert note in notes


@pytest.mark.parametrize("asked", ["high", None])
def test_an_effort_may_go_without_the_switch_and_beside_a_budget(asked: Any) -> None:
    rule = {"on": {"think": True}, "effort_alone": True, "budget": "most_thoughts"}
    body, notes = shaped({"rules": {"reasoning": rule}}, reasoning=asked, extra={"most_thoughts": 9})
    assert body.get("reasoning_effort") == asked
    assert (body["most_thoughts"], "think" in body, notes) == (9, False, set())


@pytest.mark.parametrize(
    ("bounds", "asked", "sent", "kind"),
    [
        ({"most_budget": 100}, 200, 100, "lowered"),
        ({"least_budget": 100}, 50, 100, "note"),
        ({"least_budget": 100}, 200, 200, None),
        ({}, 200, 200, None),
    ],
)
def test_a_budget_is_held_in_the_range_that_is_known(bounds: Any, asked: Any, sent: Any, kind: Any) -> None:
    body, notes = shaped({"rules": {"reasoning": {"budget": "thoughts", **bounds}}}, reasoning=asked)
    assert body["thoughts"] == sent
    assert notes == ({(kind, "thoughts")} if kind else set())


@pytest.mark.parametrize(("asked", "kind"), [("medium", None), ("high", "lowered"), ("low", "note")])
def test_what_a_model_does_anyway_is_no_loss(asked: Any, kind: Any) -> None:
    facts = {"reasoning": True, "efforts": ["medium"], "rules": {"reasoning": {"effort": None}}}
    body, notes = shaped(facts, reasoning=asked)
    assert "reasoning_effort" not in body
    assert notes == ({(kind, "reasoning")} if kind else set())


def test_only_function_tools_switch_reasoning_off() -> None:
    rule = {"on": {"thinking": True}, "off": {"thinking": False}, "effort": None, "gives_way_to": {"tools": "AC-T3"}}
    facts = {"default_effort": "high", "rules": {"reasoning": rule}}
    assert shaped(facts, tools=[WEATHER]) == (shaped(facts, tools=[WEATHER])[0], {("lowered", "thinking")})
    assert shaped(facts, extra={"tools": [{"type": "web_search"}]})[1] == set()


def test_off_may_be_said_by_saying_nothing() -> None:
    facts = {
        "default_effort": "none",
        "efforts": ["none", "high"],
        "rules": {"reasoning": {"off": {}, "gives_way_to": {"tools": "AC-T3"}}},
    }
    body, notes = shaped(facts, reasoning="high", tools=[WEATHER])
    assert "reasoning_effort" not in body
    assert notes == {("lowered", "reasoning")}
    assert shaped(facts, reasoning="high")[0]["reasoning_effort"] == "high"


@pytest.mark.parametrize(("efforts", "dropped"), [(["low", "high"], True), (["none", "high"], False), ([], False)])
def test_a_model_that_cannot_be_told_not_to_reason_always_does(efforts: Any, dropped: Any) -> None:
    facts = {"reasoning": True, "efforts": efforts, "rules": {"fields": {"seed": {"reasoning": True}}}}
    assert ("seed" not in shaped(facts, seed=1)[0]) is dropped


def test_reasoning_that_wins_lowers_the_choice() -> None:
    facts = {"efforts": ["low", "high"], "rules": {"reasoning": {"wins_over": {"forced_choice": "AC-T2"}}}}
    body, notes = shaped(facts, reasoning="high", tools=[WEATHER], tool_choice="required")
    assert (body["reasoning_effort"], body["tool_choice"]) == ("high", "auto")
    assert ("lowered", "tool_choice") in notes


@pytest.mark.parametrize(
    ("more", "off", "noted"),
    [({}, True, set()), ({"default_effort": "none"}, False, set()), ({"reasoning": False}, False, set())],
)
def test_reasoning_gives_way_where_its_default_is_not_known(more: Any, off: Any, noted: Any) -> None:
    rule = {"off": {"think": False}, "off_where_unknown": True, "gives_way_to": {"tools": "AC-T1"}}
    facts = {"rules": {"reasoning": rule}, **more}
    body, notes = shaped(facts, tools=[WEATHER])
    assert (body.get("think") is False, notes) == (off, noted)
    assert "think" not in shaped(facts)[0]


def test_a_word_for_an_effort_holds_only_where_it_is_taken() -> None:
    facts = {"efforts": ["low", "high", "max"], "rules": {"reasoning": {"words": {"xhigh": "max"}}}}
    assert shaped(facts, reasoning="xhigh")[0]["reasoning_effort"] == "max"
    assert shaped({**facts, "efforts": ["low", "high"]}, reasoning="xhigh")[0]["reasoning_effort"] == "high"


def test_words_and_meanings_of_efforts() -> None:
    rule = {"words": {"xhigh": "ultra"}, "means": {"minimal": "low"}, "effort": "thinking.effort"}
    facts = {"efforts": ["minimal", "low", "high", "xhigh"], "rules": {"reasoning": rule}}
    assert shaped(facts, reasoning="xhigh") == (
        shaped(facts)[0] | {"thinking": {"effort": "ultra"}},
        set(),
    )
    body, notes = shaped(facts, reasoning="minimal")
    assert body["thinking"] == {"effort": "minimal"}
    assert notes == {("note", "reasoning")}


def test_a_budget_sent_as_an_effort_is_there_for_a_hook() -> None:
    facts = {"efforts": ["low", "medium", "high"], "rules": {"reasoning": {"budget_as_effort": True}}}
    body, notes = shaped(facts, reasoning=2000)
    assert body["reasoning_effort"] == "low"
    assert notes == {("lowered", "reasoning")}


@pytest.mark.parametrize(
    ("given", "sent", "notes"),
    [(False, "none", set()), (True, "medium", set()), (2000, "low", {("lowered", "reasoning")}), ("odd", "odd", set())],
)
def test_a_switch_or_a_number_in_the_standards_field_is_read_too(given: Any, sent: Any, notes: Any) -> None:
    facts = {"efforts": ["none", "low", "medium"], "rules": {"reasoning": {"budget_as_effort": True}}}
    body, told = shaped(facts, extra={"reasoning_effort": given})
    assert (body["reasoning_effort"], told) == (sent, notes)


def test_a_model_may_be_told_to_stop_and_not_to_begin() -> None:
    rule = {"off": {"reasoning_effort": "none"}, "effort": None}
    facts = {"default_effort": "medium", "efforts": ["none", "medium"], "rules": {"reasoning": rule}}
    assert shaped(facts, reasoning="none")[0]["reasoning_effort"] == "none"
    for asked, notes in (("medium", set()), ("high", {("lowered", "reasoning")})):
        body, told = shaped(facts, reasoning=asked)
        assert ("reasoning_effort" in body, told) == (False, notes)


def test_a_single_effort_may_have_a_fact_of_its_own() -> None:
    rule = {"fact": "AC-1", "facts": {"max": "AC-2"}}
    for asked, fact in (("max", "AC-2"), ("medium", "AC-1")):
        with pytest.raises(UnsupportedFeatureError, match=fact):
            shaped({"efforts": ["low"], "rules": {"reasoning": rule}}, reasoning=asked, on_unsupported="raise")


@pytest.mark.parametrize(
    ("more", "sent", "kind"),
    [
        ({"efforts": ["high", "max"]}, "high", "lowered"),
        ({"efforts": ["high", "max"], "rules": {"reasoning": {"least_for_off": False}}}, None, "dropped"),
        ({"rules": {"reasoning": {"effort": None}}}, None, "lowered"),
    ],
)
def test_what_cannot_be_switched_off_is_said(more: Any, sent: Any, kind: Any) -> None:
    body, notes = shaped({"reasoning": True, **more}, reasoning="none")
    assert body.get("reasoning_effort") == sent
    assert notes == {(kind, "reasoning")}


def test_a_default_that_differs_between_versions_is_said_aloud() -> None:
    rule = {"on": {"enable_thinking": True}, "off": {"enable_thinking": False}, "effort": None, "say_default": True}
    assert shaped({"default_effort": "none", "rules": {"reasoning": rule}})[0]["enable_thinking"] is False
    assert shaped({"default_effort": "high", "rules": {"reasoning": rule}})[0]["enable_thinking"] is True


# --- history and messages


def loop(reasoning: str | None, origin: str = "acme") -> list[Message]:
    said = attrs.evolve(Message.assistant("", tool_calls=(CALL,)), reasoning=reasoning, origin=origin)
    return [
        Message.user("Weather?"),
        said,
        Message.tool(CALL, "Sunny"),
        Message.assistant("Sunny."),
        Message.user("And?"),
    ]


def test_a_blank_stands_for_reasoning_that_is_missing() -> None:
    facts: dict[str, Any] = {"default_effort": "high", "rules": {"history": {"blank": " ", "fact": "AC-H1"}}}
    body, notes = shaped(facts, loop("because"))
    assert body["messages"][1]["reasoning_content"] == "because"
    assert notes == set()
    body, notes = shaped(facts, loop("because", origin="other"))
    assert body["messages"][1]["reasoning_content"] == " "
    assert "reasoning_content" not in body["messages"][3]
    assert notes == {("added", "messages.reasoning_content")}
    body, notes = shaped(facts, loop(None), reasoning="none")
    assert notes == set()
    facts["rules"]["history"]["blank_for"] = "all"
    assert shaped(facts, loop(None))[0]["messages"][3]["reasoning_content"] == " "


@pytest.mark.parametrize(("keep", "has"), [("all", True), ("calls", True), ("none", False)])
def test_earlier_reasoning_goes_back_where_it_is_wanted(keep: Any, has: Any) -> None:
    body, notes = shaped({"rules": {"history": {"keep": keep}}}, loop("because"))
    assert ("reasoning_content" in body["messages"][1]) is has
    assert notes == set()


def test_a_field_of_the_callers_lets_all_earlier_reasoning_go_back() -> None:
    facts: dict[str, Any] = {"rules": {"history": {"keep": "none", "all_with": {"preserve": True}}}}
    history = ["hi", Message("assistant", (TextPart("yes"),), reasoning="hm", origin="acme"), "go on"]
    for preserve, kept in ((True, True), (False, False)):
        body, _ = shaped(facts, history, extra={"preserve": preserve})
        assert ("reasoning_content" in body["messages"][1]) is kept


def test_what_nobody_here_reads_goes_back_to_the_vendor_it_came_from() -> None:
    pieces = [{"type": "reasoning.text", "index": 0, "text": text} for text in ("be", "cause")]
    opaque = {"reasoning_details": pieces, "annotations": [1], "other": 2}
    facts = {"rules": {"history": {"opaque": ["reasoning_details", "annotations"]}}}
    for origin in ("acme", "elsewhere"):
        said = attrs.evolve(Message.assistant("so"), opaque=opaque, origin=origin)
        sent = shaped(facts, ["q", said, "and?"])[0]["messages"][1]
        whole = {"reasoning_details": [{**pieces[0], "text": "because"}], "annotations": [1]}
        assert sent == {"role": "assistant", "content": "so", **(whole if origin == "acme" else {})}


def test_messages_are_made_what_the_vendor_takes() -> None:
    rule = {"names": False, "nulls": False, "joined_text": True, "empty": "(empty)", "empty_result": "(no output)"}
    parts = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}]
    messages = [
        {"role": "user", "name": "Ann", "content": parts},
        Message.assistant("", tool_calls=(CALL,)),
        Message.tool(CALL, ""),
        Message.assistant(""),
        Message.user("go on"),
    ]
    body, notes = shaped({"rules": {"messages": rule}}, messages)
    assert body["messages"][0] == {"role": "user", "content": "ab"}
    assert "content" not in body["messages"][1]
    assert [message["content"] for message in body["messages"][2:4]] == ["(no output)", "(empty)"]
    lost = {("dropped", "messages.name"), ("dropped", "messages.content")}
    assert notes == {*lost, ("added", "messages.content")}


def test_a_message_that_brings_tools_needs_no_text() -> None:
    late = Message("system", extra={"tools": [{"type": "function", "function": {"name": "f"}}]})
    body, notes = shaped({"rules": {"messages": {"empty": "(empty)"}}}, [Message.user("hi"), late])
    assert body["messages"][1] == {"role": "system", "tools": late.extra["tools"]}
    assert notes == set()


def test_messages_and_parts_have_known_keys_only() -> None:
    rule = {"keys": ["role", "content"], "part_keys": ["type", "text"], "refusals": False}
    part = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    refused = attrs.evolve(Message.assistant(""), refusal="No.")
    messages = [{"role": "user", "name": "Ann", "content": [part]}, refused, Message.user("b")]
    body, notes = shaped({"rules": {"messages": rule}}, messages)
    assert body["messages"][:2] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {"role": "assistant", "content": "No."},
    ]
    assert notes == {("dropped", "messages")}
    assert shaped({"rules": {"messages": rule}}, [refused, Message.user("b")])[1] == set()


def test_a_tool_result_that_is_only_text_sends_the_rest_after_it() -> None:
    image = ImagePart("data:image/png;base64,AAAA")
    result = attrs.evolve(Message.tool(CALL, "seen"), content=(*Message.tool(CALL, "seen").content, image))
    messages = [Message.user("Look"), Message.assistant("", tool_calls=(CALL,)), result]
    body, notes = shaped({"rules": {"messages": {"text_results": True}}}, messages)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "user"]
    assert body["messages"][3]["content"][0]["type"] == "image_url"
    assert notes == {("renamed", "messages")}


def test_a_bridge_stands_between_a_result_and_the_next_turn_of_somebody_else() -> None:
    rule = {"rules": {"messages": {"bridge": "I see.", "text_results": True, "fact": "AC-9"}}}
    image = ImagePart("data:image/png;base64,AAAA")
    called = Message.assistant("", tool_calls=(CALL, attrs.evolve(CALL, id="second")))
    first, second = Message.tool(CALL, "seen"), Message.tool(called.tool_calls[1], "heard")
    body, notes = shaped(rule, [Message.user("?"), called, first, second, Message.user("And?")])
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "tool", "tool", "assistant", "user"]
    assert body["messages"][4]["content"] == "I see."
    assert notes == {("added", "messages")}
    shown = attrs.evolve(first, content=(*first.content, image))
    body, notes = shaped(rule, [Message.user("?"), attrs.evolve(called, tool_calls=(CALL,)), shown])
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "tool", "assistant", "user"]
    assert notes == {("renamed", "messages"), ("added", "messages")}
    assert shaped(rule, [Message.user("?"), called, first, second, Message.assistant("So."), "Hm"])[1] == set()


def test_foreign_ids_of_calls_are_mapped_in_calls_and_results_alike() -> None:
    long = attrs.evolve(CALL, id="call_" + "x" * 60)
    messages = [Message.user("?"), Message.assistant("", tool_calls=(long,)), Message.tool(long, "Sunny")]
    body, notes = shaped({"rules": {"call_ids": {"longest": 40}}}, messages)
    sent = body["messages"][1]["tool_calls"][0]["id"]
    assert len(sent) <= 40
    assert body["messages"][2]["tool_call_id"] == sent
    assert notes == {("renamed", "messages.tool_call_id")}
    assert shaped({"rules": {"call_ids": {"longest": 80}}}, messages)[1] == set()


# --- kinds of content


@pytest.mark.parametrize(
    ("rules", "part", "words"),
    [
        ({"image": {"addresses": False}}, ImagePart("https://x.example/a.png"), "by its address"),
        ({"file": {"inline": False}}, FilePart(data="data:application/pdf;base64,AAAA"), "in the request itself"),
        ({"file": {"uploads": False}}, FilePart(file_id="f-1"), "upload"),
        ({"audio": {"formats": ["wav"]}}, AudioPart("AAAA", "mp3"), "as wav, not as mp3"),
        ({"image": {"formats": ["png"]}}, ImagePart("data:image/webp;base64,AAAA"), "as png, not as webp"),
    ],
)
def test_content_that_would_not_be_read_is_refused_before_it_is_sent(rules: Any, part: Any, words: Any) -> None:
    with pytest.raises(UnsupportedFeatureError, match=rf"messages\[1\]: .*{words}"):
        shaped({"rules": {"parts": rules}}, ["look", Message("user", (part,))])


def test_content_goes_in_the_vendors_own_shape() -> None:
    rules = {"audio": {"data_url": True, "type": "audio_url"}}
    body, _ = shaped({"rules": {"parts": rules}}, [Message("user", (AudioPart("AAAA", "wav"),))])
    assert body["messages"][0]["content"] == [{"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,AAAA"}}]
    paper = FilePart(data="data:application/pdf;base64,AAAA", filename="a.pdf")
    rules = {"file": {"data_url": True, "type": "image_url", "keys": ["url"]}}
    body, notes = shaped({"rules": {"parts": rules}}, [Message("user", (paper,))])
    assert body["messages"][0]["content"] == [{"type": "image_url", "image_url": {"url": paper.data}}]
    assert notes == {("dropped", "messages.file")}  # its name
    rules = {"audio": {"data_url": True}}
    body, _ = shaped({"rules": {"parts": rules}}, [Message("user", (AudioPart("AAAA", "wav"),))])
    assert body["messages"][0]["content"][0]["input_audio"] == {"data": "data:;base64,AAAA", "format": "wav"}


@pytest.mark.parametrize("data", ["AAAA", "data:audio/mpeg;base64,AAAA"])
def test_sound_is_bare_where_the_vendor_wants_it_so(data: str) -> None:
    parts = [Message("user", (AudioPart(data, "mp3"),))]
    body, _ = shaped({"rules": {"parts": {"audio": {"data_url": False}}}}, parts)
    assert body["messages"][0]["content"][0]["input_audio"] == {"data": "AAAA", "format": "mp3"}
    as_it_is = shaped({"rules": {"parts": {"audio": {"uploads": False}}}}, parts)[0]
    assert as_it_is["messages"][0]["content"][0]["input_audio"]["data"] == data


def test_a_video_has_its_own_rule() -> None:
    part = VideoPart("data:video/mp4;base64,AAAA", {"fps": 2, "video_url": {"detail": "low"}})
    sent = {"type": "video_url", "video_url": {"url": part.url, "detail": "low"}, "fps": 2}
    body, notes = shaped({"rules": {"parts": {"video": {"addresses": False}}}}, [Message("user", (part,))])
    assert (body["messages"][0]["content"], notes) == ([sent], set())
    body, _ = shaped({"rules": {"parts": {"video": {"type": "clip", "field": "source"}}}}, [Message("user", (part,))])
    assert body["messages"][0]["content"] == [{"type": "clip", "source": {"url": part.url, "detail": "low"}, "fps": 2}]


def test_the_object_in_a_part_has_known_keys_only() -> None:
    part = VideoPart("https://x.example/a.mp4", {"video_url": {"fps": 2, "mood": 1}})
    body, notes = shaped({"rules": {"parts": {"video": {"keys": ["url", "fps"]}}}}, [Message("user", (part,))])
    assert body["messages"][0]["content"][0]["video_url"] == {"url": part.url, "fps": 2}
    assert notes == {("dropped", "messages.video")}


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (FilePart.from_bytes("grüße".encode(), "a.txt"), "a.txt:\n\ngrüße"),
        (FilePart.from_bytes(b'{"a": 1}', "a.json"), 'a.json:\n\n{"a": 1}'),
        (FilePart(data="data:text/plain,a%20b"), "a b"),
    ],
)
def test_a_file_of_text_is_a_text_where_files_are_something_else(part: FilePart, text: str) -> None:
    body, notes = shaped(
        {"rules": {"parts": {"file": {"text_files": False}}}}, [Message("user", (part, TextPart("?")))]
    )
    assert body["messages"][0]["content"][0] == {"type": "text", "text": text}
    assert notes == {("renamed", "messages.file")}


@pytest.mark.parametrize("data", [b"%PDF-1.7", b"caf\xe9"])
def test_a_file_that_is_no_text_stays_a_file(data: bytes) -> None:
    part = FilePart.from_bytes(data, "a.txt")
    body, notes = shaped({"rules": {"parts": {"file": {"text_files": False}}}}, [Message("user", (part,))])
    assert body["messages"][0]["content"][0]["file"] == {"file_data": part.data, "filename": "a.txt"}
    assert notes == set()


def test_what_is_taken_instead_is_said() -> None:
    link, page = ImagePart("https://x.example/a.png"), FilePart(data="https://x.example/a.pdf")
    for rules, part, words in (
        ({"image": {"addresses": False}}, link, "send the bytes as a data URL"),
        ({"file": {"addresses": False, "inline": False}}, page, "upload it, and give the id"),
        ({"file": {"addresses": False, "inline": False, "uploads": False}}, page, "takes no file"),
    ):
        with pytest.raises(UnsupportedFeatureError, match=words):
            shaped({"rules": {"parts": rules}}, [Message("user", (part,))])


# --- keys that nobody reads


def test_calls_have_known_keys_only() -> None:
    own = {"extra_content": {"a": 1}, "function": {"inner": 2}}
    messages = [
        Message.user("?"),
        Message.assistant("", tool_calls=(attrs.evolve(CALL, extra=own),)),
        Message.tool(CALL, "x"),
    ]
    rule = {"messages": {"call_keys": ["id", "type", "function"]}}
    body, notes = shaped({"rules": rule}, messages)
    assert (
        body["messages"][1]["tool_calls"]
        == shaped({}, [messages[0], Message.assistant("", tool_calls=(CALL,)), messages[2]])[0]["messages"][1][
            "tool_calls"
        ]
    )
    assert notes == {("dropped", "messages.tool_calls")}
    with pytest.raises(UnsupportedFeatureError, match="extra_content, inner"):
        shaped({"rules": rule}, messages, on_unsupported="raise")
    answer = attrs.evolve(messages[1], origin="acme")  # the vendor's own, which it does not want back
    assert shaped({"rules": rule}, [messages[0], answer, messages[2]])[1] == set()


def test_some_keys_of_an_answer_do_not_go_back() -> None:
    answer = Message("assistant", (TextPart("so"),), origin="acme", opaque={"message": {"channel": "x", "mark": 1}})
    body, notes = shaped({"rules": {"history": {"left_out": ["channel"]}}}, ["q", answer, "and?"])
    assert (body["messages"][1], notes) == ({"role": "assistant", "content": "so", "mark": 1}, set())
    body, notes = shaped({"rules": {"messages": {"keys": ["role", "content"]}}}, ["q", answer, "and?"])
    assert (body["messages"][1], notes) == ({"role": "assistant", "content": "so"}, set())


def test_what_is_left_out_is_not_kept_at_all() -> None:
    """A hook that reads a key names it there, and it does not go back beside what the hook made of it."""
    vendor = provider({"rules": {"history": {"left_out": ["thought"]}}})
    message = {"content": "so", "thought": "hm", "mark": 1}
    plain = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})
    chunks = [{"choices": [{"index": 0, "delta": message}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}]
    stream = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    for body, streamed in ((plain, False), (stream, True)):
        assert replay(vendor, body=body, stream=streamed).opaque == {"message": {"mark": 1}}


def test_what_is_left_out_may_stand_inside_an_object() -> None:
    """An object that is empty by it goes along."""
    vendor = provider({"rules": {"history": {"left_out": ["own.mark", "other.mark", "none.mark", "text.mark"]}}})
    message = {"content": "so", "own": {"mark": True, "sign": "x"}, "other": {"mark": True}, "text": "mark"}
    for key, streamed in (("message", False), ("delta", True)):
        said = json.dumps({"choices": [{"index": 0, key: message, "finish_reason": "stop"}]})
        reply = replay(vendor, body=f"data: {said}\n\n" if streamed else said, stream=streamed)
        assert reply.opaque == {"message": {"own": {"sign": "x"}, "text": "mark"}}
    answer = Message("assistant", (TextPart("so"),), origin="acme", opaque={"message": {"own": {"mark": 1, "sign": 2}}})
    body, _ = shaped({"rules": {"history": {"left_out": ["own.mark"]}}}, ["q", answer, "and?"])
    assert body["messages"][1]["own"] == {"sign": 2}


def test_reasoning_details_go_back_where_nothing_is_said_of_the_history() -> None:
    pieces = [{"type": "reasoning.text", "index": 0, "text": text} for text in ("be", "cause")]
    answer = attrs.evolve(Message.assistant("so"), opaque={"reasoning_details": pieces}, origin="acme")
    assert shaped({}, ["q", answer, "and?"])[0]["messages"][1]["reasoning_details"] == [
        {**pieces[0], "text": "because"}
    ]
    none = shaped({"rules": {"history": {"keep": "none"}}}, ["q", answer, "and?"])[0]
    assert "reasoning_details" not in none["messages"][1]


# --- tools


def test_a_choice_is_said_in_the_words_that_are_taken() -> None:
    other = attrs.evolve(WEATHER, name="other")
    named = {"tools": [WEATHER, other], "tool_choice": "get_weather"}
    body, notes = shaped({"rules": {"tools": {"choices": ["auto", "required"]}}}, **named)
    assert body["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in body["tools"]] == ["get_weather"]
    assert notes == {("note", "tool_choice")}
    body, notes = shaped({"rules": {"tools": {"choices": ["auto", "named"]}}}, tools=[WEATHER], tool_choice="required")
    assert body["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    body, notes = shaped({"rules": {"tools": {"choices": ["auto"]}}}, tools=[WEATHER], tool_choice="none")
    assert "tools" not in body
    assert notes == {("note", "tool_choice")}


def test_tools_lose_what_the_vendor_does_not_know() -> None:
    strict = attrs.evolve(WEATHER, strict=True)
    body, notes = shaped({"rules": {"tools": {"strict": False}}}, tools=[strict])
    assert "strict" not in body["tools"][0]["function"]
    assert notes == {("dropped", "tools.get_weather.strict")}
    mixed = [{"type": "web_search"}, {"type": "function", "function": {"name": "f"}}]
    body, notes = shaped({"rules": {"tools": {"kinds": ["function"]}}}, extra={"tools": mixed})
    assert len(body["tools"]) == 1
    assert notes == {("dropped", "tools")}


def test_functions_have_known_keys_only() -> None:
    own = {"type": "function", "cache_control": {}, "function": {"name": "f", "parameters": {}, "defer_loading": True}}
    rule = {"tools": {"function_keys": ["name", "parameters"]}}
    body, notes = shaped({"rules": rule}, extra={"tools": [own, {"type": "web_search", "max": 1}]})
    known = {"type": "function", "function": {"name": "f", "parameters": {}}}
    assert body["tools"] == [known, {"type": "web_search", "max": 1}]
    assert notes == {("dropped", "tools")}
    assert shaped({"rules": rule}, extra={"tools": [known]})[1] == set()
    with pytest.raises(UnsupportedFeatureError, match="cache_control, defer_loading cannot go"):
        shaped({"rules": rule}, tools=[own], on_unsupported="raise")


def test_where_no_choice_is_read_none_is_sent() -> None:
    facts: dict[str, Any] = {"rules": {"tools": {"choices": []}}}
    for choice, noted in (("auto", set()), ("required", {("lowered", "tool_choice")})):
        body, notes = shaped(facts, tools=[WEATHER], tool_choice=choice)
        assert ("tool_choice" in body, notes) == (False, noted)
    assert "tools" not in shaped(facts, tools=[WEATHER], tool_choice="none")[0]


def test_names_that_are_the_vendors_own_are_sent_under_another() -> None:
    tools = [attrs.evolve(WEATHER, name="search"), attrs.evolve(WEATHER, name="_private")]
    body, notes = shaped({"rules": {"tools": {"reserved": ["search"], "letter_first": True}}}, tools=tools)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f_search", "f__private"]
    assert notes == {("renamed", "tools.search.name"), ("renamed", "tools._private.name")}
    body, _ = shaped({"rules": {"tools": {"reserved": {"search": "find"}}}}, tools=tools)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["find", "_private"]


def test_a_choice_without_tools_is_left_out_and_told_where_it_is_refused() -> None:
    extra = {"tools": [], "tool_choice": "auto"}
    body, notes = shaped({"rules": {"tools": {"facts": {"without_tools": "AC-T9"}}}}, extra=extra)
    assert not body.keys() & {"tools", "tool_choice"}
    assert notes == {("dropped", "tool_choice")}
    assert shaped({}, extra=extra)[1] == set()


# --- schemas


STRICT = {
    "kept": ["type", "enum", "format", "minimum"],
    "left_out": ["title"],
    "barred": ["not"],
    "formats": ["date"],
    "most": {"properties": 2},
}


def wish(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


@pytest.mark.parametrize(
    ("part", "sent", "lost"),
    [
        ({"type": "string", "title": "T"}, {"type": "string"}, None),
        ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 1}, None),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}, None),
        ({"type": "string", "format": "iri"}, {"type": "string", "description": '(format: "iri")'}, "format"),
        ({"type": "integer", "maximum": 9}, {"type": "integer", "description": "(maximum: 9)"}, "maximum"),
    ],
)
def test_a_strict_schema_is_closed_and_what_it_loses_is_told(part: Any, sent: Any, lost: Any) -> None:
    facts = {"rules": {"schemas": {"strict": STRICT, "fact": "AC-S1"}}}
    strict = attrs.evolve(WEATHER, schema=wish(a=part), strict=True)
    body, notes = shaped(facts, tools=[strict, attrs.evolve(WEATHER, name="loose")], output=wish(a=part))
    closed = {**wish(a=sent), "additionalProperties": False}
    assert body["tools"][0]["function"]["parameters"] == closed
    assert body["tools"][1]["function"]["parameters"] == WEATHER.schema
    assert body["response_format"]["json_schema"]["schema"] == closed
    places = ("tools.get_weather.parameters", "output") if lost else ()
    assert notes == {("lowered", f"{place}.properties.a.{lost}") for place in places}


@pytest.mark.parametrize(
    "properties",
    [{"a": {"not": {"type": "null"}}}, {name: {"type": "string"} for name in "abc"}, {"a": {"type": "array"}}],
)
def test_a_schema_that_cannot_be_strict_is_sent_as_one_that_is_not(properties: Any) -> None:
    facts = {"rules": {"schemas": {"strict": STRICT}}}
    schema = wish(**properties)
    body, notes = shaped(facts, tools=[attrs.evolve(WEATHER, schema=schema, strict=True)], output=schema)
    assert body["tools"][0]["function"] == {**body["tools"][0]["function"], "parameters": schema, "strict": False}
    assert body["response_format"]["json_schema"] == {"name": "output", "schema": schema, "strict": False}
    assert notes == {("lowered", "tools.get_weather.strict"), ("lowered", "response_format")}


def test_a_plain_schema_has_no_references_and_no_null() -> None:
    facts = {"rules": {"schemas": {"plain": {"left_out": ["title", "$defs"], "in_words": ["pattern"]}}}}
    point = {"type": "object", "title": "P", "properties": {"x": {"type": ["number", "null"]}}}
    schema = {**wish(p={"$ref": "#/$defs/P"}, q={"type": "string", "pattern": "^x"}), "$defs": {"P": point}}
    sent = wish(
        p={"type": "object", "properties": {"x": {"type": "number", "nullable": True}}},
        q={"type": "string", "description": '(pattern: "^x")'},
    )
    body, notes = shaped(facts, tools=[attrs.evolve(WEATHER, schema=schema)], output=schema)
    assert body["tools"][0]["function"]["parameters"] == sent
    assert body["response_format"]["json_schema"]["schema"] == sent
    assert {field for _, field in notes} == {
        "tools.get_weather.parameters.properties.q.pattern",
        "output.properties.q.pattern",
    }


@pytest.mark.parametrize(
    ("branches", "beside", "told"),
    [
        ([{"type": "string"}, {"type": "integer"}], {}, False),  # no value fits both
        ([{"type": "integer"}, {"type": "number"}], {}, True),
        ([{"type": "string"}, {"type": "integer"}], {"anyOf": [{"minLength": 1}, {"type": "integer"}]}, True),
    ],
)
def test_a_plain_schema_may_know_no_one_of(branches: list[Any], beside: dict[str, Any], told: bool) -> None:
    facts = {"rules": {"schemas": {"plain": {"one_of": False}}}}
    body, notes = shaped(facts, tools=[attrs.evolve(WEATHER, schema=wish(p={"oneOf": branches, **beside}))])
    sent = body["tools"][0]["function"]["parameters"]["properties"]["p"]
    assert sent == {"anyOf": beside.get("anyOf", branches)}
    assert notes == ({("lowered", "tools.get_weather.parameters.properties.p.oneOf")} if told else set())
    kept, _ = shaped(
        {"rules": {"schemas": {"plain": {}}}}, tools=[attrs.evolve(WEATHER, schema=wish(p={"oneOf": branches}))]
    )
    assert kept["tools"][0]["function"]["parameters"]["properties"]["p"] == {"oneOf": branches}


def test_null_alone_cannot_be_said_and_is_told() -> None:
    null = {"type": "null"}
    schema = wish(p={"anyOf": [null]}, q={"oneOf": [null], "description": "d"}, r={"enum": [None]}, s={"const": None})
    facts: dict[str, Any] = {"rules": {"schemas": {"plain": {}}}}
    body, notes = shaped(facts, tools=[attrs.evolve(WEATHER, schema=schema)])
    sent = wish(
        p={"nullable": True}, q={"description": "d", "nullable": True}, r={"nullable": True}, s={"nullable": True}
    )
    assert body["tools"][0]["function"]["parameters"] == sent
    places = ("p.anyOf", "q.oneOf", "r.enum", "s.const")
    assert notes == {("lowered", f"tools.get_weather.parameters.properties.{place}") for place in places}


@pytest.mark.parametrize(
    ("part", "sent", "lost"),
    [
        (
            {"anyOf": [{"type": "null"}, {"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}], "nullable": True},
            (),
        ),
        ({"enum": ["a", None]}, {"nullable": True, "type": "string", "enum": ["a"]}, ()),
        ({"enum": [1, 2]}, {"description": "(enum: [1,2])"}, ("enum",)),
        ({"not": {"enum": ["a"]}}, {"not": {"type": "string", "enum": ["a"]}}, ()),
        ({"not": {"enum": [1]}}, {"description": '(not: {"enum":[1]})'}, ("not",)),
        (
            {"if": {"enum": [1]}, "then": {"minimum": 1}, "else": {"minimum": 2}},
            {"description": '(if: {"enum":[1]}; then: {"minimum":1}; else: {"minimum":2})'},
            ("if", "then", "else"),
        ),
        (
            {"oneOf": [{"enum": [1]}, {"type": "string"}]},
            {"anyOf": [{"description": "(enum: [1])"}, {"type": "string"}]},
            ("oneOf", "oneOf[0].enum"),
        ),
    ],
)
def test_what_a_plain_schema_cannot_say_is_said_in_words(part: Any, sent: Any, lost: tuple[str, ...]) -> None:
    """What allows less where its part allows more goes into words as a whole."""
    body, notes = shaped({"rules": {"schemas": {"plain": {}}}}, tools=[attrs.evolve(WEATHER, schema=wish(p=part))])
    assert body["tools"][0]["function"]["parameters"] == wish(p=sent)
    assert notes == {("lowered", f"tools.get_weather.parameters.properties.p.{place}") for place in lost}


def test_a_form_of_output_that_is_unknown_is_left_alone() -> None:
    """An older one, with the schema beside the type: nothing of it is made plain."""
    own = {"type": "json_schema", "schema": {"type": ["string", "null"]}}
    body, notes = shaped({"rules": {"schemas": {"plain": {}}}}, extra={"response_format": own})
    assert (body["response_format"], notes) == (own, set())


def test_a_schema_that_is_no_object_is_asked_for_in_words() -> None:
    facts = {"rules": {"schemas": {"object_root": True}}}
    contradictory = {"$ref": "#/$defs/S", "type": "array", "$defs": {"S": SCHEMA}}
    body, notes = shaped(facts, output=contradictory)
    assert '"array"' in body["messages"][0]["content"]
    assert ("response_format" in body, notes) == (False, {("lowered", "response_format")})
    body, notes = shaped(facts, output={"type": "array", "items": {"type": "integer"}})
    assert "response_format" not in body
    assert '"array"' in body["messages"][0]["content"]
    assert notes == {("lowered", "response_format")}
    body, notes = shaped(facts, output={"$ref": "#/$defs/S", "$defs": {"S": SCHEMA}})
    assert body["response_format"]["json_schema"]["schema"] == {**SCHEMA, "$defs": {"S": SCHEMA}}
    assert notes == set()


# --- output


def test_a_schema_is_a_forced_call_where_a_tool_can_be_named() -> None:
    facts: dict[str, Any] = {"tools": True, "forced_tool_choice": False, "output_formats": []}
    body, _ = shaped({**facts, "rules": {"tools": {"choices": ["auto", "named"]}}}, output=SCHEMA)
    assert isinstance(body["tool_choice"], dict)
    assert "tools" not in shaped(facts, output=SCHEMA)[0]


# --- streams


def test_a_schema_that_is_not_streamed_comes_whole() -> None:
    """Told as a loss; without a schema, and for a plain call, nothing changes."""
    facts: dict[str, Any] = {
        "output_formats": ["json_schema"],
        "rules": {"output": {"streamed": False, "fact": "AC-1"}},
    }
    body, notes = shaped(facts, output=SCHEMA, stream=True)
    assert (body["response_format"]["type"], notes) == ("json_schema", {("lowered", "stream")})
    assert not body.keys() & {"stream", "stream_options"}
    assert shaped(facts, stream=True)[0]["stream"] is True
    assert shaped(facts, output=SCHEMA)[1] == set()


@pytest.mark.parametrize("hosts", [(), ("elsewhere.example",), ("acme.example",)])
def test_a_model_that_is_not_there_is_refused_unsent(hosts: tuple[str, ...]) -> None:
    """By host, and with what to ask instead."""
    entry = {
        "match": "m",
        "hosts": hosts,
        "facts": {"rules": {"unavailable": {"reason": "ask us.{model}", "fact": "AC-1"}}},
    }
    known = msgspec.convert({"provider": "acme", "date": "2026-11-01", "models": [entry]}, Facts)
    vendor = attrs.evolve(provider({}), facts=known)
    with Client({"providers": {"acme": {"api_key": "k"}}}, providers=[vendor]) as client:
        if hosts == ("elsewhere.example",):
            assert client.explain("hi", model="acme:m").body["model"] == "m"
            return
        with pytest.raises(ModelNotFoundError, match=r"m: ask us\.m \(AC-1\)\."):
            client.explain("hi", model="acme:m")


@pytest.mark.parametrize(
    ("when", "options", "streams"),
    [
        (["always"], {}, True),
        (["tools"], {}, False),
        (["tools"], {"tools": [WEATHER]}, True),
        (["reasoning"], {"reasoning": "none"}, False),
        (["tools", "reasoning"], {"reasoning": "high"}, True),
    ],
)
def test_a_plain_call_may_be_asked_for_as_a_stream(when: Any, options: Any, streams: Any) -> None:
    body, notes = shaped({"rules": {"stream": {"when": when}}}, **options)
    assert body.get("stream", False) is streams
    assert body.get("stream_options") == ({"include_usage": True} if streams else None)
    assert notes == set()
    rule = {"when": when, "reason": "it thinks only in a stream"}
    assert shaped({"rules": {"stream": rule}}, **options)[1] == ({("added", "stream")} if streams else set())


def test_json_is_asked_for_in_words_where_that_is_needed() -> None:
    both = {"say_json": True, "say_json_for": ["json_schema", "json_object"]}
    facts = {"output_formats": ["json_schema"], "rules": {"output": both}}
    body, notes = shaped(facts, output=SCHEMA)
    assert (body["response_format"]["type"], body["messages"][0]["content"]) == ("json_schema", "Answer in JSON.")
    assert notes == {("added", "messages")}
    any_object = {"response_format": {"type": "json_object"}}
    body, notes = shaped(facts, "List them.", extra=any_object)
    assert "response_format" not in body
    assert "JSON" in body["messages"][0]["content"]
    assert notes == {("lowered", "response_format"), ("added", "messages")}
    assert shaped(facts, "List them as JSON.", extra=any_object)[0]["messages"][0]["role"] == "user"


def test_any_object_is_a_schema_where_only_schemas_are_taken() -> None:
    facts = {"output_formats": ["json_schema"], "rules": {"output": {"any_object": True}}}
    body, notes = shaped(facts, extra={"response_format": {"type": "json_object"}})
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert notes == {("renamed", "response_format")}


def test_what_structured_output_needs_beside_it() -> None:
    facts = {"output_formats": ["json_object", "json_schema"], "rules": {"output": {"say_json": True}}}
    wanted = {"response_format": {"type": "json_object"}}
    assert shaped(facts, extra=wanted)[1] == {("added", "messages")}
    assert shaped(facts, "as JSON", extra=wanted)[1] == set()
    facts = {"output_formats": ["json_schema"], "rules": {"output": {"show_schema": True}}}
    body, notes = shaped(facts, output=SCHEMA)
    assert '"integer"' in body["messages"][0]["content"]
    assert notes == {("added", "messages")}
    facts = {"output_formats": ["json_schema"], "rules": {"output": {"beside_tools": False}}}
    body, notes = shaped(facts, output=SCHEMA, tools=[WEATHER])
    assert "response_format" not in body
    assert notes == {("lowered", "response_format")}
    facts = {
        "output_formats": ["json_schema"],
        "default_effort": "high",
        "rules": {"output": {"while_reasoning": ["json_object"]}},
    }
    assert shaped(facts, output=SCHEMA)[0]["response_format"] == {"type": "json_object"}
    assert shaped(facts, output=SCHEMA, reasoning="none")[0]["response_format"]["type"] == "json_schema"


def test_a_schema_that_is_not_enforced_is_a_wish() -> None:
    facts = {"output_formats": ["json_schema"], "rules": {"output": {"strict": False}}}
    strict = OutputSpec("answer", SCHEMA, strict=True)
    body, notes = shaped(facts, output=strict)
    assert body["response_format"]["json_schema"]["strict"] is False
    assert notes == {("lowered", "response_format")}
    assert shaped(facts, output=attrs.evolve(strict, strict=False))[1] == set()


def test_a_schema_in_an_older_form_is_read_too() -> None:
    facts = {"output_formats": ["json_object", "json_schema"], "rules": {"output": {"show_schema": True}}}
    for wanted in ({"type": "json_schema", "schema": SCHEMA}, {"type": "json_object", "schema": SCHEMA}):
        body, notes = shaped(facts, extra={"response_format": wanted})
        assert body["response_format"] == wanted
        assert '"integer"' in body["messages"][0]["content"]
        assert notes == {("added", "messages")}
    body, notes = shaped({"output_formats": []}, extra={"response_format": {"type": "json_object", "schema": SCHEMA}})
    assert '"integer"' in body["messages"][0]["content"]
    assert notes == {("lowered", "response_format")}


def test_tools_that_may_not_be_called_make_way_for_the_output_that_excludes_them() -> None:
    facts = {"output_formats": ["json_schema"], "rules": {"output": {"beside_tools": False}}}
    body, notes = shaped(facts, output=SCHEMA, tools=[WEATHER], tool_choice="none")
    assert body["response_format"]["type"] == "json_schema"
    assert not {"tools", "tool_choice"} & body.keys()
    assert notes == {("note", "tools")}


def test_a_forced_tool_has_a_name_that_is_taken_and_an_object_at_its_root() -> None:
    facts = {"output_formats": [], "tools": True, "forced_tool_choice": True}
    spec = chatport.OutputSpec("the answer", {"$ref": "#/$defs/S", "$defs": {"S": SCHEMA}})
    body, _ = shaped(facts, output=spec)
    function = body["tools"][0]["function"]
    assert function["name"].startswith("the_answer_")
    assert function["parameters"]["type"] == "object"


def test_usage_is_asked_for_beside_other_stream_options() -> None:
    own = {"stream_options": {"include_obfuscation": False}}
    assert shaped({}, stream=True, extra=own)[0]["stream_options"] == {
        "include_usage": True,
        "include_obfuscation": False,
    }
    refused = {"stream_options": {"include_usage": False}}
    assert shaped({}, stream=True, extra=refused)[0]["stream_options"] == {"include_usage": False}


# --- fields


@pytest.mark.parametrize(
    ("rule", "options", "sent", "notes"),
    [
        ({}, {"seed": 1}, {}, {("dropped", "seed")}),
        ({"same": [1]}, {"seed": 1}, {}, set()),
        ({"most": 0}, {"seed": 1}, {"seed": 0}, {("lowered", "seed")}),
        ({"rename": "random_seed"}, {"seed": 1}, {"random_seed": 1}, {("renamed", "seed")}),
        ({"values": [2, 3]}, {"seed": 1}, {}, {("dropped", "seed")}),
        ({"values": [1, 2]}, {"seed": 1}, {"seed": 1}, set()),
        ({"values": [2, 3], "instead": 2}, {"seed": 1}, {"seed": 2}, {("lowered", "seed")}),
        ({"values": [1, 2], "instead": 2}, {"seed": 1}, {"seed": 1}, set()),
        ({"brings": {"fixed": True}}, {"seed": 1}, {"seed": 1, "fixed": True}, {("added", "fixed")}),
        ({"noted": True}, {"seed": 1}, {"seed": 1}, {("note", "seed")}),
        ({"same": [1], "kept": True}, {"seed": 1}, {}, set()),
        ({"same": [0], "kept": True}, {"seed": 1}, {"seed": 1}, set()),
        ({"streamed": True}, {"seed": 1}, {"seed": 1}, set()),
        ({"streamed": True}, {"seed": 1, "stream": True}, {}, {("dropped", "seed")}),
        ({"reasoning": True}, {"seed": 1, "reasoning": "high"}, {}, {("dropped", "seed")}),
        ({"reasoning": True}, {"seed": 1, "reasoning": "none"}, {"seed": 1}, set()),
        ({"beside": "top_p"}, {"seed": 1, "top_p": 0.5}, {}, {("dropped", "seed")}),
        ({"where": {"greedy": True}}, {"seed": 1, "extra": {"greedy": True}}, {}, {("dropped", "seed")}),
        ({"where": {"greedy": True}}, {"seed": 1}, {"seed": 1}, set()),
        ({"without": "top_p"}, {"seed": 1}, {}, {("dropped", "seed")}),
        ({"without": "top_p"}, {"seed": 1, "top_p": 0.5}, {"seed": 1}, set()),
        ({"when": "tools"}, {"seed": 1}, {"seed": 1}, set()),
        ({"when": "tools"}, {"seed": 1, "tools": [WEATHER]}, {}, {("dropped", "seed")}),
    ],
)
def test_a_rule_for_a_field(rule: Any, options: Any, sent: Any, notes: Any) -> None:
    body, told = shaped({"rules": {"fields": {"seed": rule}}}, **options)
    assert {name: body[name] for name in ("seed", "random_seed", "fixed") if name in body} == sent
    assert told == notes


@pytest.mark.parametrize(
    ("rule", "reason"), [({}, "sent as random_seed"), ({"reason": "it is called so here"}, "it is called so here")]
)
def test_a_field_that_is_renamed_says_why_or_how_it_is_called(rule: Any, reason: str) -> None:
    facts = {"rules": {"fields": {"seed": {"rename": "random_seed", **rule}}}}
    with Client(config={"providers": {"acme": {"api_key": "k-123456"}}}, providers=[provider(facts)]) as client:
        (note,) = client.explain("hi", model="acme:m", seed=1).adjustments
    assert (note.kind, note.field, note.reason) == ("renamed", "seed", reason)


def test_a_text_that_does_not_fit_its_pattern_is_dropped() -> None:
    facts = {"rules": {"fields": {"user": {"fits": "[a-z]{3,9}", "rename": "user_id"}}}}
    assert shaped(facts, extra={"user": "anna"})[0]["user_id"] == "anna"
    body, notes = shaped(facts, extra={"user": "Anna!"})
    assert not {"user", "user_id"} & body.keys()
    assert notes == {("dropped", "user")}


def test_a_field_may_have_several_rules() -> None:
    rules = [{"reasoning": True, "reason": "no effect"}, {"least": 0.1}]
    facts = {"default_effort": "none", "rules": {"fields": {"top_p": rules}}}
    assert shaped(facts, top_p=0.0)[0]["top_p"] == 0.1
    assert "top_p" not in shaped(facts, top_p=0.0, reasoning="high")[0]


def test_fields_that_are_not_known_are_dropped_unless_a_setting_adds_them() -> None:
    known = {"fields": ["model", "messages", "seed"], "setting": "extra_fields", "fact": "AC-P1"}
    facts = {"rules": {"known_fields": known, "fields": {"random_seed": {"rename": "seed"}}}}
    extra = {"random_seed": 1, "new": 2, "newer": 3}
    body, notes = shaped(facts, extra=extra)
    assert body.keys() == {"model", "messages", "seed"}
    assert notes == {("renamed", "random_seed"), ("dropped", "new"), ("dropped", "newer")}
    for more in ("new", ["new"]):
        body, notes = shaped(facts, extra=extra, settings={"extra_fields": more})
        assert body.keys() == {"model", "messages", "seed", "new"}


@pytest.mark.parametrize(("given", "noted"), [({}, True), ({"think": False}, False), ({"think": True}, False)])
def test_a_field_brings_what_is_missing_and_no_more(given: Any, noted: Any) -> None:
    facts = {"rules": {"fields": {"seed": {"brings": {"think": False}, "reason": "why"}}}}
    body, notes = shaped(facts, seed=1, extra=given)
    assert body["think"] == given.get("think", False)
    assert notes == ({("added", "think")} if noted else set())


def test_a_model_changes_one_word_of_a_rule() -> None:
    entries = [
        {"match": "*", "facts": {"rules": SWITCH["rules"]}},
        {"match": "m*", "facts": {"rules": {"reasoning": {"off": None}}}},
    ]
    known = msgspec.convert({"provider": "acme", "date": "d", "models": entries}, Facts).describe("m-1")
    assert known.rules is not None
    assert known.rules.reasoning is not None
    assert known.rules.reasoning.off is None
    assert known.rules.reasoning.budget == "thinking.budget_tokens"


def test_a_quirk_stands_for_the_facts_that_hold_together() -> None:
    quirks = {"thinking": {"switch": {"reasoning": True, "rules": SWITCH["rules"]}, "never": {"reasoning": False}}}
    entries = [{"match": "m*", "facts": {"quirks": {"thinking": "switch"}, "rules": {"reasoning": {"off": None}}}}]
    file = msgspec.convert({"provider": "acme", "date": "d", "models": entries, "quirks": quirks}, Facts)
    known = file.describe("m-1")
    assert known.reasoning is True
    assert known.rules is not None
    assert known.rules.reasoning is not None
    assert (known.rules.reasoning.on, known.rules.reasoning.off) == ({"thinking": {"type": "enabled"}}, None)
    assert file.correct(known, {"quirks": {"thinking": "never"}}).reasoning is False
    new = file.correct(file.describe("new"), {"quirks": {"thinking": "switch"}})
    assert new.rules is not None
    assert new.rules.reasoning is not None
    assert new.rules.reasoning.off == {"thinking": {"type": "disabled"}}


# --- errors and addresses


def verdict(rules: list[dict[str, Any]], status: int, body: Any) -> Any:
    context = chatport.Context(provider({}, errors=rules), "m", "https://cn.acme.example/v1")
    text = json.dumps(body)
    return classify_error(Failure(status, {}, "response", body, text, read_error(body, text)), context)


def test_an_error_means_what_the_vendors_rules_say() -> None:
    rules: list[dict[str, Any]] = [
        {"code": ["1113"], "error": "QuotaExceededError", "advice": "This went to {host}."},
        {"status": [400], "words": ["too many tokens"], "error": "ContextLengthError"},
        {"status": [429], "words": ["per day"], "error": "RateLimitError", "retryable": False},
        {"status": [500], "begins": ["missing "], "error": "BadRequestError"},
    ]
    said = verdict(rules, 429, {"error": {"code": "1113", "message": "no money"}})
    assert said.error is chatport.QuotaExceededError
    assert said.message == "no money (This went to cn.acme.example.)"
    assert verdict(rules, 400, {"error": {"message": "Too many TOKENS here"}}).error is chatport.ContextLengthError
    assert verdict(rules, 429, {"error": {"message": "limit per day"}}).retryable is False
    assert verdict(rules, 500, {"error": {"message": "Too many tokens here"}}).error is chatport.ServerError
    assert verdict(rules, 500, {"error": {"message": "Missing 'messages'"}}).error is chatport.BadRequestError
    assert verdict(rules, 500, {"error": {"message": "a missing page"}}).error is chatport.ServerError


def limits(rule: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
    context = chatport.Context(provider({}, limits=rule), "m", "https://llm.acme.example/v1")
    return read_rate_limits(headers=headers, context=context)


def test_headroom_is_read_from_the_headers_that_the_facts_name() -> None:
    rule = {"requests_limit": [], "requests_remaining": ["x-left", "x-left-now"], "requests_reset_seconds": ["x-reset"]}
    standard = {"x-ratelimit-limit-requests": "9", "x-ratelimit-limit-tokens": "70", "x-ratelimit-reset-tokens": "1m2s"}
    own = {"x-left": "many", "x-left-now": "5.0", "x-reset": "1.5"}
    assert limits(rule, {**standard, **own}) == RateLimits(None, 5, 1.5, 70, None, 62)
    assert limits(rule, {"x-ratelimit-limit-requests": "9", "x-left": "-1"}) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-reset": "7", "x-ratelimit-remaining": "3"}, 7),
        ({"x-reset": "1m2s"}, 62),
        ({"x-reset": "7", "retry-after": "2"}, 2),
        ({"x-reset": "soon"}, 20),
    ],
)
def test_the_wait_may_be_in_a_header_of_the_vendors_own(headers: Any, seconds: Any) -> None:
    known = provider({}, limits={"wait": ["x-later", "x-reset"]})
    context = chatport.Context(known, "m", "https://llm.acme.example/v1")
    data = {"error": {"message": "Slow down, try again in 20 seconds."}}
    failure = Failure(429, headers, "response", data, "", read_error(data))
    error = error_of(failure, None, context, datetime(2026, 11, 1, tzinfo=UTC))
    assert error.retry_after_seconds == seconds


def test_an_address_follows_from_the_settings() -> None:
    addresses = [
        {"base_url": "https://api.acme.example/v1", "when": {"region": "international", "plan": "general"}},
        {"base_url": "https://api.acme.example/coding", "when": {"region": "international", "plan": "coding"}},
        {"base_url": "https://cn.acme.example/v1", "when": {"region": "china", "plan": "general"}},
    ]
    facts = provider({}, addresses=addresses).facts
    assert facts is not None
    assert facts.address({}) is None
    assert facts.address({"plan": "coding"}) == "https://api.acme.example/coding"
    assert facts.address({"region": "China"}) == "https://cn.acme.example/v1"
    with pytest.raises(ConfigurationError, match="region is one of international, china, not 'mars'"):
        facts.address({"region": "mars"})
    with pytest.raises(ConfigurationError, match="together"):
        facts.address({"region": "china", "plan": "coding"})


def test_an_address_of_the_users_gets_its_path() -> None:
    addresses = [
        {"base_url": "https://eu.acme.example/v1", "when": {"region": "eu"}},
        {"base_url": "https://api.acme.example/openai/v1", "setting": "endpoint"},
    ]
    facts = provider({}, addresses=addresses).facts
    assert facts is not None
    assert facts.address({"endpoint": "https://my.example/"}) == "https://my.example/openai/v1"
    assert facts.address({"endpoint": "https://my.example/v2/", "region": "eu"}) == "https://my.example/v2"
    assert facts.address({"region": "eu"}) == "https://eu.acme.example/v1"
    with pytest.raises(ConfigurationError, match="the only region is 'eu', not 'us'"):
        facts.address({"region": "us"})


# --- what cannot act is refused at load


def rules(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"models": [{"match": "m", "facts": {"rules": given}}]}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (rules({"reasonning": {}}), "reasonning"),
        (rules({"reasoning": {"onn": {}}}), "onn"),
        (rules({"reasoning": {"gives_way_to": {"x": "f"}}}), "forced_choice"),
        (rules({"fields": {"seed": {"mosst": 1}}}), "mosst"),
        (rules({"fields": {"u": {"fits": "["}}}), "no pattern"),
        (rules({"fields": {"u": {"when": "tool"}}}), "fields.u.when"),
        (rules({"fields": {"u": {"fits": "(a+)+"}}}), "repeats what repeats"),
        (rules({"schemas": {"strict": {"most": {"levels": 5}}}}), "levels of nesting"),
        (
            rules({"protocol": {"needs": {"tools": "messages", "wings": "x", "arms": "x"}}}),
            "m: protocol.needs are reasoning_beside_tools, tools, reasoning, json_schema, forced_choice, server_state, "
            "not 'arms'",
        ),
        (rules({"batch": {"price_factor": 0}}), "m: batch.price_factor is above 0 and at most 1, not 0"),
        (rules({"batch": {"price_factor": 1.01}}), "batch.price_factor is above 0 and at most 1, not 1.01"),
        ({"errors": [{"error": "NoSuchError", "status": [400]}]}, "NoSuchError"),
        ({"errors": [{"error": "ServerError"}]}, "fits everything"),
        *(
            ({"errors": [{"error": "ServerError", name: ["lower", "Upper"]}]}, "the rule for ServerError are compared")
            for name in ("code", "words", "begins")
        ),
        ({"limits": {"tokens_limit": ["X-Tokens"]}}, "looked up in small letters, not as 'X-Tokens'"),
        ({"limits": {"tokens": []}}, "tokens"),
        ({"usage": {"tokens": "all"}}, "tokens"),
        ({"usage": {"cost": "paid", "cost_factor": 0}}, "positive number"),
        ({"usage": {"cost_factor": 1e-10}}, "means nothing without cost"),
        ({"quirks": {"thinking": {"on": {"reasonning": True}}}}, "reasonning"),
        ({"modells": []}, "modells"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: Any, words: Any
) -> None:
    package = tmp_path / f"facts_{tmp_path.name}"  # of its own: what is loaded is remembered by its name
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "facts.json").write_text(json.dumps({"provider": "acme", "date": "2026-11-01", **more}))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match=words):
        load_facts(package.name)
    assert issubclass(PluginError, ChatportError)
