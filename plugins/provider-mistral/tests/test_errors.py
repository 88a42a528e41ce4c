"""Every row of the vendor's error table comes out as the right class, retryable or not; and how streams end."""

from __future__ import annotations

import json

import pytest

from chatport import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    UnsupportedFeatureError,
)
from chatport.testing import replay

EVENTS = {"content-type": "text/event-stream"}
FAULT = {"type": "enum", "loc": ["body", "tools", "list[Tool]", 0, "type"], "msg": "Input should be 'function'"}
WRAPPED = {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]}


def body(message, code=None, kind="invalid_request_error", **more):
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code, **more}


ROWS = [
    (401, {"detail": "Unauthorized"}, AuthenticationError, False, "Unauthorized"),  # MI-X1
    (401, {"detail": "Invalid API Key"}, AuthenticationError, False, "Invalid API Key"),
    (400, body("Invalid model: x", "1500", "invalid_model"), ModelNotFoundError, False, "Invalid model"),  # MI-X2
    (400, body("Logprobs are not enabled for this model", "3051"), UnsupportedFeatureError, False, "3051"),  # MI-X3
    (400, body("Any words", 3051), UnsupportedFeatureError, False, "Any words"),  # MI-X20: a number
    (400, body("Image input is not enabled for this model", "3051"), UnsupportedFeatureError, False, "Image"),
    (400, body("Unexpected role 'user' after role 'tool'", "3230"), BadRequestError, False, "Unexpected role"),
    (400, body("Tool call id was X but must be a-z", "3280", "invalid_function_call"), BadRequestError, False, "id"),
    (400, body("Failed to load audio file.", "3291", "invalid_request_audio"), BadRequestError, False, "audio"),
    (422, {"detail": [FAULT]}, BadRequestError, False, "Input should be 'function'"),  # MI-X4
    (422, body(WRAPPED), BadRequestError, False, "body.messages: Field required"),  # MI-X5, MI-I4
    (422, {"object": "Error", **WRAPPED, "message": WRAPPED["detail"], "code": 3001}, BadRequestError, False, "Field"),
    (
        400,
        body("Prompt contains 70000 tokens, too large for model with 32768 maximum context length"),
        ContextLengthError,
        False,
        "70000",
    ),  # MI-X6
    (403, body("The request was blocked by guardrail moderation"), ContentFilterError, False, "guardrail"),  # MI-X7
    (403, body("Your plan lacks this feature"), PermissionDeniedError, False, "plan"),
    (429, body("Rate limit exceeded", "1300", "rate_limited"), RateLimitError, True, "Rate limit"),  # MI-X8
    (429, body("Service tier capacity exceeded for this model.", "3505"), OverloadedError, True, "capacity"),  # MI-X9
    (429, body("Service tier capacity exceeded for this model."), OverloadedError, True, "capacity"),
    (503, body("Service tier capacity exceeded for this model.", 3505), OverloadedError, True, "capacity"),
    (404, {"message": "no Route matched with those values"}, ModelNotFoundError, False, "no Route"),  # MI-X10
    (500, body("Service unavailable.", "1000", "internal_server_error"), ServerError, True, "unavailable"),  # MI-X11
    (502, body("Bad gateway"), ServerError, True, "gateway"),
    (504, body("Timeout"), ServerError, True, "Timeout"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "data", "error", "retryable", "words"), ROWS)
def test_error_table(status, data, error, retryable, words, stream):
    """MI-X1 to MI-X11, MI-X20, MI-I3, MI-I4, MI-H1, MI-S7, MI-B1, MI-P5, MI-P10"""
    headers = {"content-type": "application/json", "mistral-correlation-id": "corr-1"}
    with pytest.raises(error) as caught:
        replay("mistral", status=status, headers=headers, body=json.dumps(data), stream=stream)
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert caught.value.request_id == "corr-1"
    assert words in str(caught.value)


def test_a_wait_that_the_server_asks_for():
    """MI-X21"""
    with pytest.raises(RateLimitError) as caught:
        replay("mistral", status=429, headers={"retry-after": "3"}, body=json.dumps(ROWS[15][1]), stream=False)
    assert caught.value.retry_after_seconds == 3


def chunk(delta, finish=None, index=0, **more):
    return f"data: {json.dumps({'choices': [{'index': index, 'delta': delta, 'finish_reason': finish}], **more})}\n\n"


@pytest.mark.parametrize(
    ("word", "finish"),
    [("stop", "stop"), ("length", "length"), ("model_length", "length")],
)
def test_finish_reasons(word, finish):
    """MI-S6"""
    text = chunk({"role": "assistant", "content": "Hel"}) + chunk({"content": ""}, word) + "data: [DONE]\n\n"
    reply = replay("mistral", headers=EVENTS, body=text, stream=True)
    assert (reply.text, reply.finish_reason, reply.raw_finish_reason) == ("Hel", finish, word)


def test_an_answer_that_failed_is_an_error():
    """MI-S6"""
    with pytest.raises(ServerError) as caught:
        replay("mistral", headers=EVENTS, body=chunk({"content": "Hel"}) + chunk({}, "error"), stream=True)
    assert caught.value.partial.text == "Hel"


def test_an_error_inside_a_stream_is_none_of_its_ends():
    """MI-S7: none was seen; should one come, it is an error."""
    text = chunk({"content": "Hel"}) + f"data: {json.dumps(ROWS[15][1])}\n\n"
    with pytest.raises(RateLimitError) as caught:
        replay("mistral", headers=EVENTS, body=text, stream=True)
    assert caught.value.partial.text == "Hel"
    with pytest.raises(StreamInterruptedError):
        replay("mistral", headers=EVENTS, body=chunk({"content": "Hel"}), stream=True)


def test_a_cut_call_is_not_complete():
    """MI-T9"""
    call = {"id": "vAKGXGFZD", "function": {"name": "f", "arguments": '{"a": '}, "index": 0}
    text = chunk({"tool_calls": [call]}, "length") + "data: [DONE]\n\n"
    reply = replay("mistral", headers=EVENTS, body=text, stream=True)
    assert [(call.name, call.complete) for call in reply.tool_calls] == [("f", False)]


def test_several_answers_come_interleaved():
    """MI-S8"""
    text = "".join(chunk({"content": f"{n}{turn}"}, index=n) for turn in "ab" for n in (0, 1))
    text += chunk({"content": ""}, "stop") + chunk({"content": ""}, "stop", 1) + "data: [DONE]\n\n"
    reply = replay("mistral", headers=EVENTS, body=text, stream=True, request={"n": 2})
    assert [reply.text, *(other.text for other in reply.alternatives)] == ["0a0b", "1a1b"]


@pytest.mark.parametrize("stream", [False, True])
def test_references_are_sources(stream):
    """MI-W2, MI-I1"""
    thought = {"type": "thinking", "thinking": [{"type": "tool_reference", "tool": "web_search", "title": "T"}]}
    content = [
        thought, {"type": "text", "text": "Paris"}, {"type": "reference", "reference_ids": [7]},
        {"type": "text", "text": "."},
    ]  # fmt: skip
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]}
    text = chunk({"content": content}, "stop") + "data: [DONE]\n\n" if stream else json.dumps(whole)
    reply = replay("mistral", headers=EVENTS if stream else {}, body=text, stream=stream)
    assert reply.text == "Paris."
    assert [(source.mark, source.span) for source in reply.citations if source.mark] == [("7", (5, 5))]
