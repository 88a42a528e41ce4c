"""The request, fact by fact, without sending it."""

from __future__ import annotations

import json

import attrs
import pytest

import chatport
from chatport import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    OutputSpec,
    TextPart,
    Tool,
    ToolCall,
    UnsupportedFeatureError,
    VendorPart,
)
from chatport.call import Call
from chatport.setup.config import load_config
from chatport.setup.routes import Routes
from chatport.setup.vendors import Vendors

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="
CALL = ToolCall("toolu_1", "f", '{"a": 1}')
TOOLS = [Tool("f"), Tool("g")]


def claude(name):
    return f"anthropic:claude-{name}"


def turns(explained):
    return [(turn["role"], [block["type"] for block in turn["content"]]) for turn in explained.body["messages"]]


# --- the address and the envelope


def test_envelope(explain):
    """AN-A1 to AN-A4, AN-R1, AN-R3, AN-E1"""
    settings = {"workspace": "wrkspc_1", "betas": ["a-1"]}
    sent = explain([Message.system("Be brief."), "hi"], settings=settings, extra={"betas": ["b-2", "a-1"]})
    assert sent.url == "https://api.anthropic.com/v1/messages"
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert sent.headers["anthropic-beta"] == "a-1,b-2"
    assert sent.headers["anthropic-workspace-id"] == "wrkspc_1"
    assert sent.body == {
        "model": "claude-haiku-4-5",
        "max_tokens": 64_000,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "stream": True,
    }
    assert sent.adjustments == ()


@pytest.mark.parametrize("base", ["https://proxy.example", "https://proxy.example/v1", "https://proxy.example/v1/"])
def test_base_urls_with_and_without_version(explain, base):
    """AN-A1"""
    assert explain(settings={"base_url": base}).url == "https://proxy.example/v1/messages"


@pytest.mark.parametrize(
    ("model", "asked", "sent", "found"),
    [
        ("opus-5-5", None, 128_000, set()),
        ("opus-5-5", 10, 10, set()),
        ("haiku-4-5", 100_000, 64_000, {("lowered", "max_tokens", "AN-R1")}),
        ("unheard-of-9", None, 4096, {("added", "max_tokens", "AN-P10")}),
        ("unheard-of-9", 9000, 9000, set()),
    ],
)
def test_the_limit_is_always_there(explain, notes, model, asked, sent, found):
    explained = explain(model=claude(model), max_tokens=asked)
    assert explained.body["max_tokens"] == sent
    assert notes(explained) == found


@pytest.mark.parametrize(
    ("extra", "field", "value", "found"),
    [
        ({"user": "u-1"}, "metadata", {"user_id": "u-1"}, {("renamed", "user", "AN-R8")}),
        ({"metadata": {"user_id": "x"}, "user": "u"}, "metadata", {"user_id": "x"}, {("dropped", "user", "AN-R14")}),
        ({"n": 1}, "n", None, set()),
        ({"n": 2}, "n", None, {("dropped", "n", "AN-R14")}),
        ({"logit_bias": {}}, "logit_bias", None, {("dropped", "logit_bias", "AN-R14")}),
        ({"prompt_cache_key": "k"}, "prompt_cache_key", None, {("dropped", "prompt_cache_key", "AN-R14")}),
        ({"max_completion_tokens": 77}, "max_tokens", 77, set()),
        ({"max_tokens": 99_999}, "max_tokens", 64_000, {("lowered", "max_tokens", "AN-R1")}),
        ({"reasoning_effort": "none"}, "thinking", {"type": "disabled"}, set()),
        ({"stop": "END"}, "stop_sequences", ["END"], set()),
        ({"service_tier": "standard_only"}, "service_tier", "standard_only", set()),
        ({"cache_control": {"type": "ephemeral"}}, "cache_control", {"type": "ephemeral"}, set()),
        ({"stream_options": {"include_usage": True}}, "stream_options", None, set()),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tool_choice", None, set()),
    ],
)
def test_extra_fields(explain, notes, extra, field, value, found):
    """AN-R8, AN-R9, AN-R12, AN-R14, AN-R15"""
    explained = explain(extra=extra)
    assert explained.body.get(field) == value
    assert notes(explained) == found
    assert len(explained.body.get("tools", ())) == len(extra.get("tools", ()))


@pytest.mark.parametrize(
    ("model", "options", "kept", "facts"),
    [
        ("haiku-4-5", {"temperature": 0.3}, {"temperature": 0.3}, []),
        ("haiku-4-5", {"temperature": 1.7}, {"temperature": 1.0}, ["AN-R4"]),
        ("haiku-4-5", {"temperature": 0.3, "top_p": 0.9}, {"temperature": 0.3}, ["AN-R5"]),
        ("haiku-4-5", {"temperature": 0.3, "reasoning": "low"}, {}, ["AN-R6"]),
        ("haiku-4-5", {"temperature": 0.3, "reasoning": "none"}, {"temperature": 0.3}, []),
        ("opus-5-5", {"temperature": 0.3, "top_p": 0.9}, {}, ["AN-R6", "AN-R6"]),
        ("opus-5-5", {"temperature": 1, "top_p": 1}, {}, []),
        ("opus-5-5", {"seed": 7}, {}, ["AN-R14"]),
        ("opus-4-7", {"extra": {"top_k": 3}}, {}, ["AN-R6"]),
        ("future-7", {"temperature": 0.3, "max_tokens": 9}, {}, ["AN-R6"]),
    ],
)
def test_sampling(explain, model, options, kept, facts):
    explained = explain(model=claude(model), **options)
    assert {name: explained.body[name] for name in ("temperature", "top_p", "top_k") if name in explained.body} == kept
    assert [note.fact for note in explained.adjustments] == facts


# --- thinking

SHOWN = {"type": "adaptive", "display": "summarized"}
OFF = {"type": "disabled"}


def enabled(tokens):
    return {"type": "enabled", "budget_tokens": tokens}


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "effort", "found"),
    [
        ("haiku-4-5", None, None, None, set()),
        ("haiku-4-5", "none", OFF, None, set()),
        ("haiku-4-5", "minimal", enabled(1024), None, set()),
        ("haiku-4-5", "high", enabled(16_384), None, set()),
        ("haiku-4-5", 5000, enabled(5000), None, set()),
        ("haiku-4-5", 100, enabled(1024), None, set()),
        ("haiku-4-5", 99_999, enabled(62_976), None, {("lowered", "reasoning", "AN-R10")}),
        ("opus-4-5", "high", enabled(16_384), "high", set()),
        ("opus-4-5", "max", enabled(32_768), "high", {("lowered", "reasoning", "AN-K3")}),
        ("sonnet-4-6", "medium", {"type": "adaptive"}, "medium", set()),
        ("sonnet-4-6", "xhigh", {"type": "adaptive"}, "max", {("note", "reasoning", "AN-K3")}),
        ("sonnet-4-6", 3000, enabled(3000), None, set()),
        ("opus-4-8", "xhigh", SHOWN, "xhigh", set()),
        ("opus-5", "none", OFF, None, set()),
        ("opus-5-5", None, None, None, set()),
        ("opus-5-5", "minimal", SHOWN, "low", {("note", "reasoning", "AN-K3")}),
        ("opus-5-5", "none", None, "low", {("lowered", "reasoning", "AN-K3")}),
        ("opus-5-5", 5000, SHOWN, "medium", {("lowered", "reasoning", "AN-K3")}),
        ("sonnet-5-5", "none", {"type": "between_tools"}, None, {("lowered", "reasoning", "AN-R10")}),
        ("haiku-5-5", "none", None, "low", {("lowered", "reasoning", "AN-K3")}),
    ],
)
def test_thinking(explain, notes, model, reasoning, thinking, effort, found):
    """AN-K2, AN-K2b, AN-K3, AN-K4, AN-K10, AN-K11, AN-P7, AN-R11"""
    explained = explain(model=claude(model), reasoning=reasoning)
    assert explained.body.get("thinking") == thinking
    assert explained.body.get("output_config", {}).get("effort") == effort
    assert notes(explained) == found


@pytest.mark.parametrize(
    ("options", "thinking", "limit", "found"),
    [
        ({"reasoning": 2000, "max_tokens": 500}, enabled(2000), 2500, {("note", "max_tokens", "AN-K11")}),
        (
            {"reasoning": 64_000, "max_tokens": 9000},
            enabled(62_976),
            64_000,
            {("note", "max_tokens", "AN-K11"), ("lowered", "reasoning", "AN-R10")},
        ),
        ({"reasoning": "low", "extra": {"thinking": enabled(1500)}}, enabled(1500), 64_000, set()),
    ],
)
def test_budgets_and_limits(explain, notes, options, thinking, limit, found):
    explained = explain(**options)
    assert (explained.body["thinking"], explained.body["max_tokens"]) == (thinking, limit)
    assert notes(explained) == found


def test_thinking_settings(explain):
    """AN-K4, AN-K7"""
    settings = {"thinking_display": "omitted", "thinking_mismatch": "drop_block"}
    sent = explain(model=claude("opus-5-5"), reasoning="low", settings=settings)
    binding = {"block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    assert sent.body["thinking"] == {"type": "adaptive", "display": "omitted", **binding}
    assert sent.headers["anthropic-beta"] == "thinking-binding-controls-2026-08-01"
    assert explain(model=claude("opus-5-5"), settings=settings).body["thinking"] == {"type": "adaptive", **binding}
    assert "thinking" not in explain(model=claude("opus-5"), settings=settings).body


# --- messages


def test_results_are_grouped(explain):
    """AN-T8 to AN-T11, AN-R2: one turn, results first, and a result without content says so."""
    calls = Message.assistant("Let me see.", tool_calls=(CALL, attrs.evolve(CALL, id="toolu_2", arguments="")))
    failed = attrs.evolve(Message.tool("toolu_2", PNG and ImagePart(PNG)), extra={"is_error": True})
    sent = explain(["q", calls, Message.tool("toolu_1", ""), failed, "and?", "well?"], tools=TOOLS)
    assert turns(sent) == [
        ("user", ["text"]),
        ("assistant", ["text", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result", "text", "text"]),
    ]
    used, results = sent.body["messages"][1]["content"], sent.body["messages"][2]["content"]
    assert [block["input"] for block in used[1:]] == [{"a": 1}, {}]
    assert results[0]["content"] == [{"type": "text", "text": "(no output)"}]
    assert (results[1]["is_error"], results[1]["content"][0]["type"]) == (True, "image")


def test_ids_of_other_vendors_are_made_to_fit(explain):
    call = ToolCall("functions.f:0", "f", "{}")
    sent = explain(["q", Message.assistant(tool_calls=(call,)), Message.tool(call, "r")], tools=TOOLS)
    first, second = (sent.body["messages"][n]["content"][0] for n in (1, 2))
    assert first["id"] == second["tool_use_id"] != call.id
    assert [(note.kind, note.field) for note in sent.adjustments if note.fact == "AN-T22"] == [
        ("renamed", "messages.tool_call_id")
    ]
    sent = explain(["q", Message.assistant(tool_calls=(ToolCall("a", "f", '{"cu'),)), Message.tool("a", "r")])
    assert sent.body["messages"][1]["content"][0]["input"] == {"arguments": '{"cu'}
    assert [note.field for note in sent.adjustments if note.kind == "invalid"] == [
        "messages[1].tool_calls[0].arguments"
    ]


def test_no_two_calls_of_a_conversation_have_one_id(explain):
    """AN-T9: an id that comes again is another one, and not one that a later answer really has."""
    asked = [("a",), ("a",), ("a_again_2",), ("a",)]
    messages = ["q"]
    for (one,) in asked:
        messages += [Message.assistant(tool_calls=(ToolCall(one, "f", "{}"),)), Message.tool(one, "r")]
    blocks = [block for turn in explain(messages, tools=TOOLS).body["messages"] for block in turn["content"]]
    used = [block["id"] for block in blocks if block["type"] == "tool_use"]
    assert len(set(used)) == 4
    assert [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"] == used


def test_blank_and_empty(explain):
    """AN-T13, AN-P6: blank texts go, and a turn that has become empty goes with them."""
    cached = TextPart("b", {"cache_control": {"type": "ephemeral"}})
    sent = explain(["a", Message.assistant(""), Message.user(TextPart(" \n"), cached)])
    content = [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]
    assert sent.body["messages"] == [{"role": "user", "content": content}]
    with pytest.raises(UnsupportedFeatureError):
        explain(Message.system("only this"))


def test_cache_marks(explain, notes):
    """AN-R12: on a part, on a message's last block, or for the whole request."""
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    system = attrs.evolve(Message.system("Be brief."), extra=mark)
    sent = explain([system, {"role": "user", "content": "q", "annotations": [1]}], extra=mark)
    assert sent.body["system"] == [{"type": "text", "text": "Be brief.", **mark}]
    assert sent.body["cache_control"] == mark["cache_control"]
    assert notes(sent) == {("dropped", "messages.annotations", "AN-R14")}


def test_later_system_texts_move_up(explain, notes):
    """AN-T12, AN-R13"""
    sent = explain([Message.developer("a"), "q", Message.system("b")])
    assert [block["text"] for block in sent.body["system"]] == ["a", "b"]
    assert notes(sent) == {("lowered", "messages.system", "AN-T12")}


def test_prefill(explain):
    """AN-T14, AN-P5, AN-S19"""
    sent = explain(["q", Message.assistant("Once upon \n")])
    assert sent.body["messages"][-1]["content"] == [{"type": "text", "text": "Once upon"}]
    for model in ("sonnet-4-6", "opus-5-5", "future-9"):
        with pytest.raises(UnsupportedFeatureError, match="AN-T14"):
            explain(["q", Message.assistant("Once")], model=claude(model))
    paused = [{"type": "text", "text": "so"}, {"type": "server_tool_use", "id": "srvtoolu_1", "name": "s", "input": {}}]
    opaque = {"turn": {"model": "claude-opus-5-5", "content": paused}}
    message = attrs.evolve(Message.assistant("so"), origin="anthropic", opaque=opaque)
    assert explain(["q", message], model=claude("opus-5-5")).body["messages"][-1]["content"] == paused


def test_a_prefill_leaves_no_place_for_thinking(explain, notes):
    """AN-T14"""
    for talk in (["q", Message.assistant("Once")], [Message.assistant("Once")]):
        sent = explain(talk, reasoning="low")
        assert sent.body["thinking"] == OFF
        assert notes(sent) == {("lowered", "reasoning", "AN-T14")}


def test_what_ends_in_a_call_is_no_beginning_of_a_text(explain):
    """AN-P5: nothing of it is trimmed."""
    sent = explain(["q", Message.assistant("a \n", tool_calls=(CALL,))])
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
    assert sent.body["messages"][-1]["content"] == [{"type": "text", "text": "a \n"}, call]


def continued(prefix, *messages, model="haiku-4-5", **options):
    """Return the turns of a call that goes on from the beginning of its answer."""
    config = load_config({"providers": {"anthropic": {"api_key": "k"}}}, environment={})
    call = Call(tuple(messages) or (Message.user("Count."),), **options)
    route = Routes(Vendors(config, environment={})).route(
        attrs.evolve(call, prefix=prefix), claude(model), timeouts={}, options={}
    )
    return route.wire.body["messages"]


def test_an_answer_goes_on_from_its_beginning():
    """AN-T14: as the last assistant turn, character by character."""
    begun = {"role": "assistant", "content": [{"type": "text", "text": " one\n two"}]}
    assert continued(" one\n two")[1:] == [begun]
    assert continued(" one\n two", reasoning="none")[1:] == [begun]
    begun["content"][0]["text"] = "one two"
    assert continued(" two", Message.user("Count."), Message.assistant("one "))[1:] == [begun]


@pytest.mark.parametrize(
    ("prefix", "options", "words"),
    [
        ("one ", {}, "white space"),
        ("one\n", {}, "white space"),
        ("one", {"reasoning": "low"}, "only without thinking"),
        ("one", {"extra": {"thinking": {"type": "enabled", "budget_tokens": 2000}}}, "only without thinking"),
        ("one", {"model": "sonnet-4-6"}, "does not continue an answer"),
        ("one", {"model": "opus-5-5"}, "does not continue an answer"),
        ("one", {"model": "future-9"}, "does not continue an answer"),
    ],
)
def test_an_answer_that_cannot_be_continued(prefix, options, words):
    """AN-T14: what could not be joined exactly is left to the caller."""
    with pytest.raises(UnsupportedFeatureError, match=words):
        continued(prefix, **options)


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (ImagePart(PNG), {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG[22:]}}),
        (ImagePart("https://a.example/b.png"), {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}),
        (FilePart("file_1"), {"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
        (
            FilePart(data=PDF, filename="a.pdf"),
            {
                "type": "document",
                "title": "a.pdf",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            },
        ),
        (
            FilePart(data="data:text/markdown;charset=utf-8;base64,aGk="),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
        ),
        (FilePart(data="https://a.example/b.pdf"), {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}}),
    ],
)  # fmt: skip
def test_images_and_documents(explain, part, block):
    """AN-T15, AN-M1, AN-M2"""
    sent = explain(Message.user(part))
    assert sent.body["messages"][0]["content"] == [block]
    assert sent.headers.get("anthropic-beta") == ("files-api-2025-04-14" if part == FilePart("file_1") else None)


@pytest.mark.parametrize(
    "part", [AudioPart("aGk=", "wav"), ImagePart("data:image/tiff;base64,aGk="), FilePart(data="data:a/b;base64,aGk=")]
)
def test_content_it_does_not_take(explain, part):
    """AN-M1 to AN-M3"""
    with pytest.raises(UnsupportedFeatureError):
        explain(Message.user(part))


def test_own_tools_alone(explain):
    """AN-T5"""
    sent = explain(extra={"tools": [{"type": "web_search_20250305", "name": "s"}], "parallel_tool_calls": False})
    assert sent.body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


def test_image_detail_is_told(explain, notes):
    assert notes(explain(Message.user(ImagePart(PNG, "low")))) == {("dropped", "messages.image.detail", "AN-T15")}


# --- tools


def test_a_tool_goes_out_with_its_name_its_description_and_its_schema(explain):
    """AN-T1: the description is what the model decides by."""
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Where."}},
        "required": ["city"],
    }
    weather = Tool("get_weather", "Tell the weather in a city.", schema)
    (first, second) = explain(tools=[weather, Tool("bare")]).body["tools"]
    assert (first["name"], first["description"]) == ("get_weather", "Tell the weather in a city.")
    assert first["input_schema"]["properties"]["city"] == {"type": "string", "description": "Where."}
    assert first["input_schema"]["required"] == ["city"]
    assert (second["name"], second.get("description", "")) == ("bare", "")


@pytest.mark.parametrize(
    ("model", "wish", "extra", "choice", "names", "facts"),
    [
        ("haiku-4-5", None, {}, None, "fg", []),
        ("haiku-4-5", "auto", {}, {"type": "auto"}, "fg", []),
        ("haiku-4-5", "none", {"parallel_tool_calls": False}, {"type": "none"}, "fg", []),
        ("haiku-4-5", "required", {}, {"type": "any"}, "fg", []),
        ("haiku-4-5", "g", {}, {"type": "tool", "name": "g"}, "fg", []),
        (
            "haiku-4-5",
            None,
            {"parallel_tool_calls": False},
            {"type": "auto", "disable_parallel_tool_use": True},
            "fg",
            [],
        ),
        ("opus-5", "g", {}, {"type": "tool", "name": "g"}, "fg", []),
        ("opus-5-5", "required", {}, {"type": "auto"}, "fg", ["AN-T6"]),
        ("fable-5", "g", {}, {"type": "auto"}, "g", ["AN-T6"]),
    ],
)
def test_tool_choice(explain, model, wish, extra, choice, names, facts):
    """AN-T4 to AN-T6"""
    sent = explain(model=claude(model), tools=TOOLS, tool_choice=wish, extra=extra)
    assert sent.body.get("tool_choice") == choice
    assert "".join(tool["name"] for tool in sent.body["tools"]) == names
    assert [note.fact for note in sent.adjustments] == facts


def test_the_tools_stay_where_thinking_is_bound_to_them(explain):
    """AN-K8"""
    opaque = {"turn": {"model": "claude-opus-5-5", "content": [{"type": "text", "text": "a"}]}}
    message = attrs.evolve(Message.assistant("a"), origin="anthropic", opaque=opaque)
    sent = explain(["q", message, "r"], model=claude("opus-5-5"), tools=TOOLS, tool_choice="g")
    assert [tool["name"] for tool in sent.body["tools"]] == ["f", "g"]


def test_a_forced_call_and_budget_thinking(explain, notes):
    """AN-T7: the call is kept; adaptive thinking stays."""
    sent = explain(tools=TOOLS, tool_choice="required", reasoning="high", temperature=0.5)
    assert (sent.body["thinking"], sent.body["tool_choice"]) == (OFF, {"type": "any"})
    assert notes(sent) == {("lowered", "reasoning", "AN-T7")}
    sent = explain(model=claude("sonnet-4-6"), tools=TOOLS, tool_choice="required", reasoning="high")
    assert sent.body["thinking"] == {"type": "adaptive"}


def test_a_tool_loop_without_its_thinking(explain, notes):
    """AN-K5"""
    loop = ["q", Message.assistant(tool_calls=(CALL,)), Message.tool(CALL, "r")]
    sent = explain(loop, tools=TOOLS, reasoning="low")
    assert sent.body["thinking"] == OFF
    assert ("lowered", "reasoning", "AN-K5") in notes(sent)
    assert explain([*loop, "next"], tools=TOOLS, reasoning="low").body["messages"][-1]["content"][-1]["text"] == "next"


def test_tools(explain, notes):
    """AN-T1, AN-T2, AN-T20, AN-T21"""
    sent = explain(tools=[Tool("a.b", "Does it.", {"properties": {"x": {"type": "integer"}}})])
    (tool,) = sent.body["tools"]
    assert tool["input_schema"]["type"] == "object"
    assert tool["name"].startswith("a_b_")
    assert notes(sent) == {("renamed", "tools.a.b.name", "AN-T2")}
    assert "tools" not in explain().body


def test_keys_of_tools(explain, notes):
    """AN-T1, AN-R12: the vendor's own go where it wants them, wherever they stood; others are told."""
    own = {"cache_control": {"type": "ephemeral"}, "allowed_callers": ["direct"], "x_other": 1}
    tool = Tool("f", extra={**own, "function": {"input_examples": [{}], "defer_loading": True, "y_other": 2}})
    sent = explain(tools=[tool])
    assert sent.body["tools"] == [
        {
            "name": "f", "input_schema": tool.schema, "cache_control": {"type": "ephemeral"},
            "allowed_callers": ["direct"], "input_examples": [{}], "defer_loading": True,
        }
    ]  # fmt: skip
    assert notes(sent) == {("dropped", f"tools.f.{name}_other", "AN-T1") for name in "xy"}


def test_keys_of_calls_and_parts(explain, notes):
    """AN-R14: unknown keys are refused, so that they are left out, and told."""
    call = ToolCall("toolu_1", "f", "{}", extra={"caller": {"type": "direct"}, "function": {"inner": 1}})
    part = ImagePart(PNG, extra={"cache_control": {"type": "ephemeral"}, "image_url": {"max": 1}, "odd": 2})
    sent = explain([Message.user(part), Message.assistant(tool_calls=(call,)), Message.tool(call, "x")])
    image, answer = sent.body["messages"][0]["content"][0], sent.body["messages"][1]["content"][0]
    assert image.keys() == {"type", "source", "cache_control"}
    assert answer == {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}, "caller": {"type": "direct"}}
    lost = ("messages.content.max", "messages.content.odd", "messages.tool_calls.inner")
    assert notes(sent) == {("dropped", field, "AN-R14") for field in lost}


def test_a_document_of_text(explain, notes):
    """AN-M2: whatever kind of text it is, and UTF-8."""
    sent = explain(Message.user(FilePart.from_bytes(b'{"a": 1}', "a.json"), FilePart(data="data:text/plain,a%20b")))
    assert [block["source"]["data"] for block in sent.body["messages"][0]["content"]] == ['{"a": 1}', "a b"]
    sent = explain(Message.user(FilePart.from_bytes(b"caf\xe9", "a.txt")))
    assert notes(sent) == {("invalid", "messages.file", "AN-M2")}
    with pytest.raises(chatport.BadRequestError, match="no base64"):
        explain(Message.user(FilePart(data="data:text/plain;base64,!!!!")))


@pytest.mark.parametrize("protocol", ["messages", "chat"])
@pytest.mark.parametrize("word", ["anyOf", "oneOf", "allOf"])
def test_a_union_at_the_root_becomes_one_object(emulated, protocol, word):
    """AN-T23, in both protocols: all arguments stay, and what goes together is said in words."""
    properties = {"id": {"type": "string"}, "path": {"type": "string"}}
    schema = {"type": "object", "properties": properties, word: [{"required": ["id"]}, {"required": ["path"]}]}
    client, emulator = emulated(table={"protocol": protocol} if protocol == "chat" else {})
    reply = client.chat("say: fine", model="anthropic:claude-sonnet-4-6", tools=[Tool("f", "", schema)])
    (tool,) = emulator.requests[-1].json()["tools"]
    sent = tool["input_schema"] if "input_schema" in tool else tool["function"]["parameters"]
    assert sent["properties"] == properties
    assert not sent.keys() & {"anyOf", "oneOf", "allOf"}
    told = [(warning.field, warning.fact) for warning in reply.warnings if warning.kind == "lowered"]
    assert told == ([] if word == "allOf" else [(f"tools.f.parameters.{word}", "AN-T23")])


SEVENTEEN = "abcdefghijklmnopq"


def strict(name, properties=None, **more):
    schema = {"type": "object", "properties": properties or {}, **more}
    return Tool(name, schema=schema, strict=True)


def optional(name, number):
    return strict(name, {f"p{n}": {"type": "string"} for n in range(number)})


def united(name, properties):
    return strict(name, {p: {"type": ["string", "null"]} for p in properties}, required=[*properties])


@pytest.mark.parametrize(
    ("tools", "kept", "fact"),
    [
        ([strict(f"f{n}") for n in range(22)], 20, "AN-T18"),
        ([strict(f"f{n}", {f"p{m}": {"type": "string"} for m in range(10)}) for n in range(3)], 2, "AN-T18"),
        ([optional("f", 24), optional("g", 1), optional("h", 1)], 1, "AN-T18"),
        ([united("f", SEVENTEEN[:16]), united("g", "a"), united("h", "a")], 1, "AN-T18"),
        ([strict("f", {p: {"type": ["string", "null"]} for p in SEVENTEEN}, required=[*SEVENTEEN])], 0, "AN-T18"),
        ([strict("f", {"x": {"type": "integer", "minimum": 3}}), strict("g")], 1, "AN-O3"),
        ([strict("f", {"x": {"type": "object", "additionalProperties": {"type": "string"}}}), strict("g")], 1, "AN-O3"),
        ([strict("f", {"x": {}}), strict("g", {"x": True}), strict("h", **{"$ref": "#/$defs/a"})], 0, "AN-O3"),
    ],
)  # fmt: skip
def test_strict_tools_have_caps(explain, tools, kept, fact):
    """AN-T18, AN-P12"""
    sent = explain(tools=tools)
    chosen = [tool for tool in sent.body["tools"] if tool.get("strict")]
    assert len(chosen) == kept
    assert all(tool["input_schema"]["additionalProperties"] is False for tool in chosen)
    assert {note.fact for note in sent.adjustments} == {fact}


# --- structured output


@attrs.frozen
class Place:
    city: str
    people: int | None = None


def test_structured_output(explain, notes):
    """AN-O1 to AN-O4"""
    sent = explain(output=Place, model=claude("opus-5-5"), reasoning="low")
    wanted = sent.body["output_config"]["format"]
    assert (wanted["type"], wanted["schema"]["additionalProperties"]) == ("json_schema", False)
    assert sent.body["output_config"]["effort"] == "low"
    assert notes(sent) == set()


def test_what_is_not_enforced_is_said(explain, notes):
    """AN-O4"""
    item = {"type": "string", "format": "iban", "maxLength": 9, "description": "An account."}
    properties = {"a": {"type": "array", "items": item, "minItems": 2}, "b": {"oneOf": [{"type": "null"}, item]}}
    schema = {"type": "object", "properties": properties}
    sent = explain(output=schema)
    given = sent.body["output_config"]["format"]["schema"]["properties"]
    assert given["a"]["items"] == {"type": "string", "description": 'An account. (format: "iban"; maxLength: 9)'}
    assert (given["a"]["description"], list(given["b"])) == ("(minItems: 2)", ["anyOf"])
    lost = ("a.minItems", "a.items.format", "a.items.maxLength", "b.oneOf[1].format", "b.oneOf[1].maxLength")
    assert notes(sent) == {("lowered", f"output.properties.{place}", "AN-O4") for place in lost}
    assert item["maxLength"] == 9


LOOP = {"$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}


@pytest.mark.parametrize(
    "schema",
    [LOOP, {"type": "object"}, {"$ref": "https://a.example/s"}, {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {}}}],
)
def test_what_cannot_be_enforced_goes_into_words(explain, notes, schema):
    """AN-O3"""
    sent = explain(output=schema)
    assert "output_config" not in sent.body
    assert json.dumps(schema) in sent.body["system"][-1]["text"]
    assert notes(sent) == {("lowered", "output", "AN-O3")}


def test_a_model_without_structured_output_is_asked_in_words():
    """AN-O3"""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    tables = {
        "providers": {"anthropic": {"api_key": "k"}},
        "models": {claude("haiku-4-5"): {"output_formats": []}},
    }
    with chatport.Client(tables) as client:
        sent = client.explain("hi", model=claude("haiku-4-5"), output=OutputSpec("o", schema))
    assert "output_config" not in sent.body
    assert sent.body["system"] == [
        {
            "type": "text",
            "text": "Answer with one JSON value and nothing else, no Markdown. Its JSON Schema:\n" + json.dumps(schema),
        }
    ]
    assert [(note.kind, note.field, note.reason, note.fact) for note in sent.adjustments] == [
        ("lowered", "output", "in the system text, not enforced: this model has no structured output", "AN-O3")
    ]


@pytest.mark.parametrize("system", ["also", [{"type": "text", "text": "also"}]])
def test_a_system_text_of_the_callers_own_stands_behind_the_others(explain, system):
    sent = explain([Message.system("first"), "hi"], extra={"system": system})
    assert sent.body["system"] == [{"type": "text", "text": "first"}, {"type": "text", "text": "also"}]


@pytest.mark.parametrize("origin", ["anthropic", "openai"])
def test_keys_of_another_protocols_answer_are_told_as_dropped(explain, notes, origin):
    """AN-R14: of its compatible endpoint, where messages have other keys."""
    answer = attrs.evolve(Message.assistant("a"), origin=origin, opaque={"message": {"q": 1}})
    sent = explain(["hi", answer, "on"])
    assert sent.body["messages"][1] == {"role": "assistant", "content": [{"type": "text", "text": "a"}]}
    assert notes(sent) == {("dropped", "messages.q", "AN-R14" if origin == "anthropic" else "")}


@pytest.mark.parametrize(
    ("part", "block", "lost"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}, "x": 1},
            {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
            ["detail", "x"],
        ),
        (
            {"type": "document_url", "document_url": "https://a.example/b.pdf", "name": "b"},
            {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}},
            ["name"],
        ),
        (
            {
                "type": "file_url",
                "file_url": {"url": "https://a.example/b.pdf"},
                "cache_control": {"type": "ephemeral"},
            },
            {
                "type": "document",
                "source": {"type": "url", "url": "https://a.example/b.pdf"},
                "cache_control": {"type": "ephemeral"},
            },
            [],
        ),
    ],
)
def test_of_an_address_only_the_address_is_taken(explain, notes, part, block, lost):
    """AN-R14"""
    sent = explain(Message.user(VendorPart(part)))
    assert sent.body["messages"][0]["content"] == [block]
    assert notes(sent) == {("dropped", f"messages.{part['type']}.{name}", "AN-R14") for name in lost}


def test_response_formats_are_understood(explain, notes):
    """AN-O6"""
    sent = explain(extra={"response_format": {"type": "json_object"}})
    assert "JSON object" in sent.body["system"][0]["text"]
    assert notes(sent) == {("lowered", "response_format", "AN-O6")}
    schema = {"type": "object", "properties": {}}
    sent = explain(extra={"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}})
    assert sent.body["output_config"]["format"]["schema"] == {**schema, "additionalProperties": False}
    assert "response_format" not in sent.body


# --- what is the vendor's own, and what is another's

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
FUNCTION = {"name": "f", "input_schema": {"type": "object", "properties": {}}, "description": "d"}


def test_own_tools_stand_beside_functions_and_anothers_are_left_out(explain, notes):
    """AN-T3, AN-T1: server tools, and functions in the protocol's own shape."""
    assert explain("hi", tools=[SEARCH]).body["tools"] == [SEARCH]
    got = explain("hi", tools=[FUNCTION, SEARCH, {"type": "custom", **FUNCTION, "name": "g"}, {"type": "web_search"}])
    assert got.body["tools"] == [FUNCTION, {**FUNCTION, "name": "g"}, SEARCH]
    assert notes(got) == {("dropped", "tools", "AN-T3")}
    assert "tools" not in explain("hi", tools=[{"type": "mcp", "server_url": "x"}]).body
    with pytest.raises(UnsupportedFeatureError, match="tools of another vendor: web_search"):
        explain("hi", tools=[{"type": "web_search"}], on_unsupported="raise")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("any", {"type": "any"}),
        ({"type": "any"}, {"type": "any"}),
        ({"type": "auto"}, {"type": "auto"}),
        ({"type": "none"}, {"type": "none"}),
        ({"type": "tool", "name": "f"}, {"type": "tool", "name": "f"}),
        ({"type": "tool", "name": "web_search"}, {"type": "tool", "name": "web_search"}),
        ({"type": "any", "disable_parallel_tool_use": True}, {"type": "any", "disable_parallel_tool_use": True}),
    ],
    ids=str,
)
def test_a_choice_may_be_in_the_vendors_own_words(given, sent, explain, notes):
    """AN-T4"""
    got = explain("hi", tools=[FUNCTION, SEARCH], tool_choice=given)
    assert (got.body["tool_choice"], notes(got)) == (sent, set())


@pytest.mark.parametrize("given", ["any", {"type": "any"}, {"type": "tool", "name": "web_search"}], ids=str)
def test_a_model_that_cannot_be_forced_is_not_forced_in_any_words(given, explain, notes):
    """AN-T6"""
    got = explain("hi", claude("opus-5-5"), tools=[SEARCH], tool_choice=given)
    assert (got.body["tool_choice"], notes(got)) == ({"type": "auto"}, {("lowered", "tool_choice", "AN-T6")})


@pytest.mark.parametrize("given", ["sometimes", {"type": "allowed_tools"}, {"type": "custom", "custom": {}}], ids=str)
def test_a_choice_in_another_vendors_words_is_left_out_and_told(given, explain, notes):
    """AN-T4"""
    got = explain("hi", tools=[FUNCTION], tool_choice=given)
    assert "tool_choice" not in got.body
    assert notes(got) == {("dropped", "tool_choice", "AN-T4")}


def asked(*parts):
    return [{"role": "user", "content": ["x", *parts]}]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}, "title": "t"},
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "search_result", "source": "https://h.example", "title": "t", "content": []},
        {"type": "container_upload", "file_id": "f"},
    ],
    ids=lambda block: block["type"],
)
def test_blocks_of_the_protocol_are_sent_as_they_are(block, explain):
    """AN-S4, AN-T9, AN-M2"""
    assert explain(asked(block)).body["messages"][0]["content"][1] == block


def test_a_history_in_blocks_goes_back_as_it_is(explain):
    """AN-T8, AN-T9, AN-T16: an answer with its signed thinking, and the results of its calls."""
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
    answer = [{"type": "thinking", "thinking": "hm", "signature": "s"}, use]
    results = [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "7", "is_error": False}]
    history = ["q", {"role": "assistant", "content": answer}, {"role": "user", "content": results}]
    sent = explain(history, tools=[FUNCTION]).body["messages"]
    assert [turn["content"] for turn in sent[1:]] == [answer, results]
    assert explain([*history[:2], Message.tool("toolu_1", "7")], tools=[FUNCTION]).adjustments == ()


def test_addresses_in_the_standards_shape_become_blocks(explain, notes):
    """AN-M1, AN-M2: with what is not known here told."""
    part = {"type": "document_url", "document_url": "https://h.example/x.pdf", "cache_control": {"type": "ephemeral"}}
    block = {"type": "document", "source": {"type": "url", "url": "https://h.example/x.pdf"}}
    assert explain(asked(part)).body["messages"][0]["content"][1] == {**block, "cache_control": {"type": "ephemeral"}}
    image = {"type": "image_url", "image_url": {"url": "https://h.example/x.png", "max_pixels": 9}}
    got = explain(asked(image))
    source = {"type": "url", "url": "https://h.example/x.png"}
    assert got.body["messages"][0]["content"][1] == {"type": "image", "source": source}
    assert notes(got) == {("dropped", "messages.content.max_pixels", "AN-R14")}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "reference", "reference_ids": [1]},
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "tool_use", "input": {}},
        {"text": "nameless"},
    ],
    ids=str,
)
def test_a_part_that_has_no_like_here_is_left_out_and_told(part, explain, notes):
    """AN-M3"""
    got = explain(asked(part))
    assert got.body["messages"][0]["content"] == [{"type": "text", "text": "x"}]
    assert notes(got) == {("dropped", "messages.content", "AN-M3")}
    with pytest.raises(UnsupportedFeatureError, match="has no like here"):
        explain(asked(part), on_unsupported="raise")


def test_a_video_is_refused_and_not_left_out(explain):
    """AN-M3"""
    with pytest.raises(UnsupportedFeatureError, match="has a video part"):
        explain(asked({"type": "video_url", "video_url": {"url": "https://h.example/x.mp4"}}))


def test_a_result_without_its_call_is_refused(explain):
    """AN-T10"""
    with pytest.raises(UnsupportedFeatureError, match=r"'toolu_9', which no earlier answer makes \(AN-T10\)"):
        explain(["q", Message.assistant(tool_calls=(CALL,)), Message.tool("toolu_9", "7")], tools=TOOLS)


def test_an_unknown_role_is_the_users(explain, notes):
    """AN-R2"""
    got = explain([{"role": "wizard", "content": "hi"}])
    assert turns(got) == [("user", ["text"])]
    assert notes(got) == {("renamed", "messages.role", "AN-R2")}


@pytest.mark.parametrize(("word", "kind"), [("default", "note"), ("ultra", "dropped")])
@pytest.mark.parametrize("model", ["haiku-4-5", "opus-5"])
def test_another_vendors_effort_is_told(word, kind, model, explain, notes):
    """AN-R11"""
    for options in ({"reasoning": word}, {"extra": {"reasoning_effort": word}}):
        got = explain("hi", claude(model), **options)
        assert not got.body.keys() & {"thinking", "output_config"}
        assert notes(got) == {(kind, "reasoning", "AN-R11")}


def test_a_limit_of_nothing_is_sent(explain):
    """AN-R1: what the vendor makes of it is its matter; no limit of ours stands in its place."""
    assert explain("hi", max_tokens=0).body["max_tokens"] == 0
