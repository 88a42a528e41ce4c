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
