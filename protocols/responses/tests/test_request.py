"""What a call becomes in this protocol: items, tools, formats, and what it says of the rest."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

import chatport
from chatport import AudioPart, FilePart, ImagePart, Message, TextPart, ToolCall
from chatport.testing import replay

TABLE = {"kind": "compatible", "base_url": "https://acme.example/v1", "api_key": "sk-1", "protocol": "responses"}
CALL = ToolCall("call_1", "look", '{"city": "Rome"}')


def explain(messages: Any = "hi", *, facts: dict[str, Any] | None = None, **options: Any) -> chatport.Explanation:
    tables = {"providers": {"acme": TABLE}, "models": {"acme:m": facts} if facts else {}}
    with chatport.Client(tables) as client:
        return client.explain(messages, model="acme:m", **options)


def notes(explanation: chatport.Explanation) -> list[tuple[str, str, str]]:
    return [(note.kind, note.field, note.fact) for note in explanation.adjustments]


# --- the conversation


def test_messages_are_items_in_their_order() -> None:
    talk = [
        Message.system("be brief"),
        Message.developer("no lists"),
        "hello",
        Message.assistant("let me look", tool_calls=(CALL,)),
        Message.tool(CALL, "sunny"),
        "and now?",
    ]
    assert explain(talk).body["input"] == [
        {"role": "system", "content": "be brief"},
        {"role": "system", "content": "no lists"},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "let me look"},
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{"city": "Rome"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {"role": "user", "content": "and now?"},
    ]


def test_parts_have_this_protocols_names() -> None:
    parts = (TextPart("see"), ImagePart("https://a.example/b.png", "low"), FilePart(file_id="file-1"))
    assert explain([Message.user(*parts)]).body["input"][0]["content"] == [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "https://a.example/b.png", "detail": "low"},
        {"type": "input_file", "file_id": "file-1"},
    ]


def test_the_result_of_a_tool_may_hold_a_picture() -> None:
    talk = [
        "hi",
        Message.assistant(tool_calls=(CALL,)),
        Message.tool(CALL, "seen", ImagePart("https://a.example/b.png")),
    ]
    assert explain(talk).body["input"][-1]["output"] == [
        {"type": "input_text", "text": "seen"},
        {"type": "input_image", "image_url": "https://a.example/b.png"},
    ]


def test_spoken_input_is_refused_before_it_is_sent() -> None:
    with pytest.raises(chatport.UnsupportedFeatureError, match=r"takes no audio \(RS-I3\)"):
        explain([Message.user(AudioPart("AAAA", "wav"))])


def test_a_refusal_goes_back_as_one() -> None:
    refused = attrs.evolve(Message.assistant(""), refusal="No.")
    assert explain(["hi", refused, "why?"]).body["input"][1] == {
        "role": "assistant",
        "content": [{"type": "refusal", "refusal": "No."}],
    }


def test_what_a_message_cannot_say_here_is_told() -> None:
    shown = explain([{"role": "user", "name": "ann", "content": "hi"}])
    assert shown.body["input"] == [{"role": "user", "content": "hi"}]
    assert ("dropped", "messages", "RS-I1") in notes(shown)


# --- options


def test_tools_and_the_choice_stand_on_one_level() -> None:
    tool = {"name": "look", "description": "See.", "parameters": {"type": "object", "properties": {}}}
    body = explain(tools=[tool], tool_choice="look").body
    assert body["tools"] == [
        {
            "type": "function", "strict": False, "parameters": {"type": "object", "properties": {}}, "name": "look",
            "description": "See.",
        }
    ]  # fmt: skip
    assert body["tool_choice"] == {"type": "function", "name": "look"}
    assert explain(tools=[{**tool, "strict": True}]).body["tools"][0]["strict"] is True


def test_a_structure_is_the_format_of_the_text() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    wanted = explain(output=schema, extra={"verbosity": "low"}).body["text"]
    assert wanted == {
        "format": {"type": "json_schema", "name": "output", "schema": schema, "strict": True},
        "verbosity": "low",
    }
    assert explain(extra={"response_format": {"type": "json_object"}}).body["text"] == {
        "format": {"type": "json_object"}
    }


def test_an_effort_stands_in_an_object() -> None:
    body = explain(reasoning="high", extra={"reasoning": {"summary": "auto"}}).body
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}


@pytest.mark.parametrize(("asked", "sent"), [(5, 16), (16, 16), (900, 900)])
def test_the_limit_has_another_name_and_a_least_value(asked: int, sent: int) -> None:
    shown = explain(max_tokens=asked)
    assert shown.body["max_output_tokens"] == sent
    assert notes(shown) == ([("lowered", "max_output_tokens", "RS-R5")] if asked < 16 else [])


def test_what_the_protocol_has_no_field_for_is_told() -> None:
    shown = explain(stop="END", seed=7, extra={"presence_penalty": 1, "n": 1, "logit_bias": {}, "frequency_penalty": 0})
    assert not {"stop", "seed", "n", "presence_penalty", "frequency_penalty", "logit_bias"} & shown.body.keys()
    assert sorted(notes(shown)) == [
        ("dropped", name, "RS-R2") for name in ("logit_bias", "presence_penalty", "seed", "stop")
    ]
    with pytest.raises(chatport.UnsupportedFeatureError, match="seed"):
        explain(seed=7, on_unsupported="raise")


def test_vendors_own_fields_pass_and_usage_needs_no_asking() -> None:
    body = explain(stream=True, extra={"truncation": "auto", "tools": [{"type": "web_search"}]}).body
    assert (body["truncation"], body["tools"], body["stream"]) == ("auto", [{"type": "web_search"}], True)
    assert "stream_options" not in body


# --- state


def test_nothing_is_kept_by_the_server_unless_asked_for() -> None:
    assert explain().body["store"] is False
    assert explain(extra={"store": True}).body["store"] is True
    assert "store" not in explain(extra={"previous_response_id": "resp_1"}).body


def test_sealed_thoughts_are_asked_for_where_the_model_has_any() -> None:
    assert explain(facts={"reasoning": True}).body["include"] == ["reasoning.encrypted_content"]
    assert "include" not in explain(facts={"reasoning": False}).body


OUTPUT: list[dict[str, Any]] = [
    {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "SEALED"},
    {
        "id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "phase": "commentary",
        "content": [{"type": "output_text", "text": "Let me look.", "annotations": [], "logprobs": []}],
    },
    {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "rome"}},
    {
        "id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "look",
        "namespace": "tools", "arguments": '{"city": "Rome"}',
    },
]  # fmt: skip


def answered() -> chatport.Reply:
    whole = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": OUTPUT}
    reply = replay("compatible", body=json.dumps(whole), stream=False, path="/responses")
    return attrs.evolve(reply, provider="acme")


def test_an_answer_goes_back_item_by_item_without_its_ids() -> None:
    reply = answered()
    assert [call.name for call in reply.tool_calls] == ["look"]
    sent = explain(["hi", reply, Message.tool(reply.tool_calls[0], "sunny")]).body["input"]
    assert sent[1:5] == [
        {"type": "reasoning", "summary": [], "encrypted_content": "SEALED"},
        {
            "type": "message", "role": "assistant", "phase": "commentary",
            "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}],
        },
        OUTPUT[2],
        {
            "type": "function_call", "call_id": "call_1", "name": "look", "namespace": "tools",
            "arguments": '{"city": "Rome"}',
        },
    ]  # fmt: skip
    assert sent[5] == {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}


def test_another_provider_gets_text_and_calls_only() -> None:
    message = attrs.evolve(answered(), provider="other").message
    sent = explain(["hi", message, Message.tool(message.tool_calls[0], "sunny")]).body["input"]
    assert [item.get("type", item.get("role")) for item in sent] == [
        "user", "assistant", "function_call", "function_call_output",
    ]  # fmt: skip


def test_an_answer_that_was_changed_goes_back_without_its_thoughts() -> None:
    """A thought is refused without what it led to (RS-O1)."""
    message = attrs.evolve(answered().message, content=(TextPart("Something else."),), tool_calls=())
    sent = explain(["hi", message, "go on"]).body["input"]
    assert sent[1] == {"role": "assistant", "content": "Something else."}


def test_arguments_in_another_spelling_say_the_same() -> None:
    """Through a protocol in which they are values, and no text."""
    message = answered().message
    call = attrs.evolve(message.tool_calls[0], arguments='{"city":"Rome"}')
    sent = explain(["hi", attrs.evolve(message, tool_calls=(call,)), Message.tool(call, "sunny")]).body["input"]
    assert [item.get("type") for item in sent[1:5]] == ["reasoning", "message", OUTPUT[2]["type"], "function_call"]


def test_half_an_emoji_over_two_events_is_one() -> None:
    def event(kind: str, **fields: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"

    place = {"output_index": 0, "content_index": 0}
    body = event("response.created", response={"id": "r", "model": "m"})
    body += event("response.output_item.added", output_index=0, item={"type": "message", "content": []})
    body += event("response.output_text.delta", **place, delta="a \ud83d")
    body += event("response.output_text.delta", **place, delta="\ude00 b")
    body += event("response.completed", response={"id": "r", "status": "completed", "output": []})
    assert replay("compatible", body=body, stream=True, path="/responses").text == "a \U0001f600 b"


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("failed", [True, False])
def test_an_error_inside_a_stream_has_its_class_in_either_form(nested: bool, failed: bool) -> None:
    """The wire nests it, the documents show it flat; `response.failed` follows, or stands alone (RS-X20)."""
    error = {"code": "insufficient_quota", "message": "You exceeded your current quota.", "param": None}
    said = {"type": "error", "sequence_number": 2, **({"error": error} if nested else error)}
    last = {"type": "response.failed", "response": {"id": "r", "status": "failed", "error": error, "output": []}}
    events = [{"type": "response.created", "response": {"id": "r"}}, last if failed else said]
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    with pytest.raises(chatport.QuotaExceededError):
        replay("compatible", body=body, stream=True, path="/responses")


def test_an_id_that_is_too_long_is_the_same_shorter_one_in_call_and_result() -> None:
    call = ToolCall("call_" + "x" * 70, "look", "{}")
    shown = explain(["hi", Message.assistant(tool_calls=(call,)), Message.tool(call, "sunny")])
    made, result = shown.body["input"][1:]
    assert made["call_id"] == result["call_id"]
    assert len(made["call_id"]) == 32
    assert notes(shown) == [("renamed", "messages.tool_call_id", "RS-O6")]


def explain_with(quirks: dict[str, Any], messages: Any = "hi", **options: Any) -> chatport.Explanation:
    return explain(messages, facts={"reasoning": True, "protocols": {"responses": {"quirks": quirks}}}, **options)


def test_a_server_that_keeps_nothing_is_not_asked_to_forget() -> None:
    shown = explain_with({"stateless": "XX-1"}, extra={"store": True, "previous_response_id": "resp_1"})
    assert not {"store", "previous_response_id"} & shown.body.keys()
    assert shown.body["include"] == ["reasoning.encrypted_content"]
    assert sorted(notes(shown)) == [("dropped", "previous_response_id", "XX-1"), ("dropped", "store", "XX-1")]
    assert notes(explain_with({"stateless": "XX-1"}, extra={"store": False})) == []


def test_open_thoughts_are_not_asked_for_sealed() -> None:
    assert "include" not in explain_with({"open_thoughts": True}).body


def test_the_least_output_limit_is_a_fact() -> None:
    assert explain_with({"least_output": 1}, max_tokens=5).body["max_output_tokens"] == 5


def test_calls_stand_last_in_their_turn_where_they_must() -> None:
    """RS-V6"""
    other = ToolCall("call_2", "look", "{}")
    talk = ["hi", Message.assistant(tool_calls=(CALL,)), Message.assistant("and", tool_calls=(other,))]
    talk += [Message.tool(CALL, "sunny"), Message.tool(other, "rain"), "so?"]
    kinds = {quirk: explain_with({"calls_last": quirk}, talk).body["input"] for quirk in ("", "XX-1")}
    assert [item.get("type", item.get("role")) for item in kinds["XX-1"]] == [
        "user", "assistant", "function_call", "function_call", "function_call_output", "function_call_output", "user",
    ]  # fmt: skip
    assert [item.get("type", item.get("role")) for item in kinds[""]][1:4] == [
        "function_call",
        "assistant",
        "function_call",
    ]


def test_a_namespace_goes_back_with_its_call() -> None:
    call = ToolCall("call_1", "rate", "{}", extra={"namespace": "money"})
    item = explain(["hi", Message.assistant(tool_calls=(call,)), Message.tool(call, "1")]).body["input"][1]
    assert item == {
        "type": "function_call", "call_id": "call_1", "name": "rate", "arguments": "{}", "namespace": "money",
    }  # fmt: skip


def test_servers_tools_and_their_choice_pass_as_they_are() -> None:
    """RS-F4, RS-F6: what is none of ours, in the vendor's words."""
    tools = [{"type": "web_search", "search_context_size": "low"}, {"type": "mcp", "server_label": "docs"}]
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "mcp", "server_label": "docs"}]}
    for choice in ("auto", {"type": "web_search"}, {"type": "mcp", "server_label": "docs"}, allowed):
        shown = explain(extra={"tools": tools, "tool_choice": choice})
        assert (shown.body["tools"], shown.body["tool_choice"]) == (tools, choice)
        assert shown.adjustments == ()
    of_chat = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "look"}}]},
    }
    tool = {"name": "look", "parameters": {"type": "object", "properties": {}}}
    body = explain(tools=[tool], extra={"tool_choice": of_chat}).body
    assert body["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "look"}],
    }


@pytest.mark.parametrize(
    "extra",
    [
        {"prompt_cache_key": "k", "prompt_cache_options": {"mode": "explicit"}, "safety_identifier": "u"},
        {"metadata": {"a": "b"}, "service_tier": "flex", "truncation": "auto", "parallel_tool_calls": False},
        {"instructions": "be brief", "max_tool_calls": 3, "context_management": [{"type": "compaction"}]},
        {"include": ["file_search_call.results"], "prompt": {"id": "pmpt_1"}, "moderation": {}},
        {"text": {"verbosity": "low", "format": {"type": "text"}}, "reasoning": {"context": "all_turns"}},
        {"store": True, "previous_response_id": "resp_1"},
        {"conversation": "conv_1", "store": True},
        {"background": True, "store": True},
    ],
)
def test_the_protocols_own_fields_pass_without_a_word(extra: dict[str, Any]) -> None:
    """RS-R8 to RS-R16"""
    shown = explain(extra=extra)
    assert {name: shown.body[name] for name in extra} == extra
    assert shown.adjustments == ()


def test_going_on_from_what_is_stored_takes_a_result_alone() -> None:
    """RS-S4: the call is in what the server keeps."""
    shown = explain([Message.tool("call_1", "sunny")], extra={"previous_response_id": "resp_1"})
    assert shown.body["input"] == [{"type": "function_call_output", "call_id": "call_1", "output": "sunny"}]
    assert shown.adjustments == ()


def test_items_of_ones_own_follow_the_conversation() -> None:
    """RS-I9, RS-S5 and all other kinds: what no message says goes as it is."""
    own = [{"type": "item_reference", "id": "ws_1"}, {"type": "mcp_approval_response", "approve": True}]
    assert explain(extra={"input": own}).body["input"] == [{"role": "user", "content": "hi"}, *own]


def test_what_was_written_in_the_protocols_shape_goes_as_it_is() -> None:
    part = {"type": "input_image", "image_url": "https://a.example/b.png", "detail": "high"}
    marked = TextPart("cached", extra={"prompt_cache_breakpoint": {"mode": "explicit"}})
    shown = explain([{"role": "user", "content": [part]}, Message.user(marked)])
    assert shown.body["input"][0]["content"] == [part]
    assert shown.body["input"][1]["content"] == [
        {"type": "input_text", "text": "cached", "prompt_cache_breakpoint": {"mode": "explicit"}}
    ]


def test_thoughts_of_another_organisation_are_an_error_that_says_what_to_do() -> None:
    """RS-O9"""
    error = {"code": "invalid_encrypted_content", "message": "The encrypted content could not be verified."}
    with pytest.raises(chatport.BadRequestError, match=r"attrs\.evolve\(message, opaque=\{\}\)"):
        replay("compatible", status=400, body=json.dumps({"error": error}), stream=False, path="/responses")


def test_thoughts_that_led_to_nothing_stay_behind_unless_they_may_stand_last() -> None:
    """RS-P3, RS-O1: an answer that was cut while the model thought; and one server puts thoughts behind their text."""
    thought = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "SEALED"}
    said = {"id": "m", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "So."}]}
    whole = {"id": "r", "status": "completed", "model": "m", "output": [said, thought]}
    reply = replay("compatible", body=json.dumps(whole), stream=False, path="/responses")
    talk = ["hi", attrs.evolve(reply, provider="acme"), "go on"]
    assert [item.get("type") for item in explain_with({}, talk).body["input"]] == [None, "message", None]
    sent = explain_with({"thoughts_behind": True}, talk).body["input"]
    assert [item.get("type") for item in sent] == [None, "message", "reasoning", None]


@pytest.mark.parametrize(
    ("extra", "most", "include"),
    [
        ({"logprobs": True}, 0, ["message.output_text.logprobs"]),
        (
            {"logprobs": True, "top_logprobs": 2, "include": ["x", "message.output_text.logprobs"]},
            2,
            ["x", "message.output_text.logprobs"],
        ),
        ({"logprobs": False}, None, None),
    ],
)
def test_probabilities_are_asked_for_in_words_of_this_protocol(extra: Any, most: Any, include: Any) -> None:
    """RS-R7"""
    body = explain(extra=extra).body
    assert (body.get("top_logprobs"), body.get("include"), "logprobs" in body) == (most, include, False)
