"""What the standard does for OpenAI as it stands: the facts behind it, held here so that they stay true."""

from __future__ import annotations

import json
from typing import Any

import pytest

import chatport
from chatport.testing import replay
from chatport.types import AudioPart, ImagePart, Message, TextPart, ToolCall

TOOL = {"name": "look", "parameters": {"type": "object", "properties": {}}}


def chunk(delta: Any = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": [choice], **more}


def stream(*chunks: Any, end: str = "\n", done: bool = True) -> chatport.Reply:
    lines = [f"data: {json.dumps(data)}{end}{end}" for data in chunks]
    return replay("openai", body="".join(lines) + (f"data: [DONE]{end}{end}" if done else ""), stream=True)


HELLO, STOP = chunk({"role": "assistant", "content": "hello"}), chunk({}, "stop")
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


# --- requests


def test_the_request_has_the_usual_headers_and_no_others():
    """OA-A2, OA-H7, OA-H9: no version header, no idempotency key, no retry counter."""
    with chatport.Client(config={"providers": {"openai": {"api_key": "sk-secret"}}}) as client:
        shown = client.explain("hi", model="openai:gpt-6-sol")
    assert shown.url == "https://api.openai.com/v1/chat/completions"
    assert set(shown.headers) == {"accept", "accept-encoding", "user-agent", "content-type", "authorization"}
    assert shown.headers["authorization"] == "Bearer ***"


def test_a_call_needs_a_message(shape):
    """OA-R1."""
    with pytest.raises(chatport.BadRequestError, match="at least one message"):
        shape([], model="gpt-6-sol")


def test_the_function_role_is_old_and_taken(shape):
    """OA-R2, OA-R27: deprecated is not refused."""
    answer = {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}}
    result = {"role": "function", "name": "look", "content": "x"}
    assert shape(["hi", answer, result], model="gpt-6-sol").body["messages"][1:] == [answer, result]


@pytest.mark.parametrize(
    ("field", "value", "fact"),
    [
        ("n", 2, "OA-R11"),
        ("verbosity", "low", "OA-R16"),
        ("service_tier", "flex", "OA-R17"),
        ("store", True, "OA-R19"),
        ("metadata", {"a": "b"}, "OA-R19"),
        ("prediction", {"type": "content", "content": "x"}, "OA-R20"),
        ("modalities", ["text", "audio"], "OA-R21"),
        ("audio", {"voice": "alloy", "format": "wav"}, "OA-R21"),
        ("prompt_cache_key", "k", "OA-R22"),
        ("safety_identifier", "u", "OA-R22"),
        ("prompt_cache_options", {"mode": "explicit"}, "OA-R23"),
        ("moderation", {"model": "omni-moderation-latest"}, "OA-R24"),
        ("web_search_options", {}, "OA-R25"),
    ],
)
def test_the_vendors_own_fields_travel_as_extra(shape, field, value, fact):
    wire = shape(model="gpt-6-sol", extra={field: value})
    assert wire.body[field] == value, fact
    assert wire.adjustments == ()


def test_a_seed_is_sent_also_while_the_model_reasons(shape):
    """OA-R12: deprecated, and taken by gpt-5.4 in a recorded exchange."""
    assert shape(model="gpt-6-sol", seed=7).body["seed"] == 7


def test_a_cache_mark_stays_on_its_part(shape):
    """OA-R23."""
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    wire = shape(Message("user", (TextPart("long", mark),)), model="gpt-6-sol")
    assert wire.body["messages"][0]["content"] == [{"type": "text", "text": "long", **mark}]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("look", {"type": "function", "function": {"name": "look"}}),
    ],
)
def test_every_choice_has_its_form(shape, choice, sent):
    """OA-T4; OA-P7 is about clones, not about this vendor."""
    assert shape(model="gpt-4o", tools=[TOOL], tool_choice=choice).body["tool_choice"] == sent


def test_a_choice_among_some_tools_is_an_extra(shape):
    """OA-T4."""
    some = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}
    assert shape(model="gpt-4o", tools=[TOOL], extra={"tool_choice": some}).body["tool_choice"] == some


def test_a_tool_without_arguments_has_an_empty_schema(shape):
    """OA-T1."""
    (tool,) = shape(model="gpt-4o", tools=[{"name": "now"}]).body["tools"]
    assert tool == {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}


def test_earlier_arguments_go_back_as_the_text_they_were(shape):
    """OA-T8: to the byte; what is no JSON goes back inside an object. The content beside a call is null."""
    for text, back in (('{"a":  1}', '{"a":  1}'), ('{"a":', '{"arguments":"{\\"a\\":"}')):
        turn = Message.assistant(tool_calls=(ToolCall("1", "look", text),))
        sent = shape(["hi", turn, Message.tool("1", "bad arguments")], model="gpt-4o").body["messages"][1]
        assert sent["content"] is None
        assert sent["tool_calls"][0]["function"] == {"name": "look", "arguments": back}


def test_pictures_and_sound_have_their_parts(shape):
    """OA-M1, OA-M2."""
    turn = Message.user("see", ImagePart("https://example.com/a.png", "low"), AudioPart("AAAA", "wav"))
    content = shape(turn, model="gpt-6-sol").body["messages"][0]["content"]
    assert content[1] == {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
    assert content[2] == {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}


def test_spoken_answers_are_replayed_by_id(shape):
    """OA-M4."""
    said = {"role": "assistant", "audio": {"id": "audio_1"}}
    assert shape(["hi", said, "again"], model="gpt-4o").body["messages"][1]["audio"] == {"id": "audio_1"}


# --- answers


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_any_line_end_and_comments_are_fine(end):
    """OA-S1."""
    reply = replay(
        "openai",
        body=f": hello{end}{end}data: {json.dumps(HELLO)}{end}{end}data: {json.dumps(STOP)}{end}{end}: x{end}"
        f"data: [DONE]{end}{end}",
        stream=True,
    )
    assert (reply.text, reply.finish_reason) == ("hello", "stop")


def test_a_stream_without_its_end_is_interrupted():
    """OA-S11: and the usage is unknown then."""
    with pytest.raises(chatport.StreamInterruptedError) as caught:
        stream(HELLO, done=False)
    assert caught.value.partial.text == "hello"
    assert caught.value.partial.usage.output_tokens is None


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("content_filter", "content_filter"),
        ("function_call", "tool_calls"),
    ],
)
def test_every_finish_reason_is_known(word, ours):
    """OA-S12."""
    assert stream(HELLO, chunk({}, word)).finish_reason == ours


def test_a_first_chunk_of_filter_results_is_no_content():
    """OA-S13: the Azure flavour, which gateways pass on."""
    first = {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    assert stream(first, chunk(None), HELLO, STOP).text == "hello"


@pytest.mark.parametrize("choices", [[], None])
def test_the_usage_chunk_has_no_choice(choices):
    """OA-P1."""
    reply = stream(HELLO, STOP, {**chunk(), "choices": choices, "usage": USAGE})
    assert (reply.text, reply.usage.total_tokens) == ("hello", 7)


@pytest.mark.parametrize("indexes", [(0, 1), (1, 2), (0, 0), (None, None)])
def test_calls_are_joined_whatever_their_index(indexes):
    """OA-P2."""
    parts = []
    for number, index in enumerate(indexes):
        place = {} if index is None else {"index": index}
        call = {**place, "id": f"c{number}", "type": "function", "function": {"name": "look", "arguments": '{"n":'}}
        more = {**place, "function": {"arguments": f"{number}}}"}}
        parts += [chunk({"tool_calls": [call]}), chunk({"tool_calls": [more]})]
    reply = stream(*parts, chunk({}, "tool_calls"))
    assert [call.parsed() for call in reply.tool_calls] == [{"n": 0}, {"n": 1}]


def test_usage_on_every_chunk_replaces_and_never_adds():
    """OA-P3."""
    reply = stream({**HELLO, "usage": USAGE}, {**STOP, "usage": USAGE})
    assert reply.usage.total_tokens == 7


def test_a_missing_reason_is_said():
    """OA-P4."""
    reply = stream({**HELLO, "created": 0})
    assert reply.finish_reason == "other"
    assert "finish_reason" in [note.field for note in reply.warnings]


def test_arguments_that_are_no_json_are_kept_as_text():
    """OA-T8."""
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": "{broken"}}
    (call_read,) = stream(chunk({"tool_calls": [call]}), chunk({}, "tool_calls")).tool_calls
    assert call_read.arguments == "{broken"
    with pytest.raises(chatport.MalformedReplyError, match="not valid JSON"):
        call_read.parsed()


def test_a_call_of_a_free_text_tool_is_a_call():
    """OA-T5."""
    call = {"id": "c", "type": "custom", "custom": {"name": "free", "input": "print(1)"}}
    choice = {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [call]}}
    body = {"id": "1", "choices": [{**choice, "finish_reason": "tool_calls"}]}
    (read,) = replay("openai", body=json.dumps(body), stream=False).tool_calls
    assert (read.name, read.arguments) == ("free", "print(1)")


def test_parts_of_the_usage_are_not_added_again():
    """OA-U1, OA-U2; details may be missing or null."""
    details = {"cached_tokens": 3, "cache_write_tokens": 1, "audio_tokens": None}
    usage = {**USAGE, "prompt_tokens_details": details, "completion_tokens_details": None}
    read = stream(HELLO, STOP, {**chunk(), "choices": [], "usage": usage}).usage
    assert (read.input_tokens, read.cached_input_tokens, read.cache_write_tokens) == (5, 3, 1)
    assert (read.output_tokens, read.reasoning_tokens) == (2, None)


def test_hints_are_read_milliseconds_first():
    """OA-H4: then seconds, then a date."""
    body = json.dumps({"error": {"message": "x", "type": "requests", "code": "rate_limit_exceeded"}})
    waits = []
    for headers in (
        {"retry-after-ms": "1500", "retry-after": "9"},
        {"retry-after": "2.5"},
        {"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT"},
    ):
        with pytest.raises(chatport.RateLimitError) as caught:
            replay("openai", status=429, headers=headers, body=body, stream=False)
        waits.append(caught.value.retry_after_seconds)
    assert waits == [1.5, 2.5, 30.0]
