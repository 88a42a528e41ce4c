"""Every row of the vendor's error table comes out as the right class, retryable or not; and how streams end."""

from __future__ import annotations

import json

import pytest

from chatport import (
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    UnsupportedFeatureError,
)
from chatport.testing import replay

EVENTS = {"content-type": "text/event-stream"}
BUSY = "We're experiencing high traffic right now! Please try again soon."
TOO_LONG = "Please reduce the length of the messages or completion. Current length is 42328 while limit is 40000"
SPENT = {"x-ratelimit-remaining-tokens-minute": "0", "x-ratelimit-reset-tokens-minute": "37.26"}
BOTH = '"tools" is incompatible with "response_format"'


def body(message, code="wrong_api_format", kind="invalid_request_error", param="validation_error"):
    return {"message": message, "type": kind, "param": param, "code": code, "id": ""}


ROWS = [
    (400, body("messages.1.assistant.reasoning_content: property is unsupported"), BadRequestError, False),  # CB-X1
    (400, body("Tools with strict=True are not supported by this model"), UnsupportedFeatureError, False),  # CB-T3
    (400, body(BOTH), UnsupportedFeatureError, False),  # CB-3, CB-T6
    (400, body(TOO_LONG, "context_length_exceeded"), ContextLengthError, False),  # CB-X2
    (400, body(TOO_LONG), ContextLengthError, False),
    (401, body("Wrong API Key", "wrong_api_key"), AuthenticationError, False),  # CB-X3
    (402, body("any words", "payment_required"), QuotaExceededError, False),  # CB-X4
    (403, body("Multimodal is not enabled", "multimodal_not_enabled"), PermissionDeniedError, False),  # CB-X5, CB-M2
    (404, body("any words", "model_not_found", "not_found_error"), ModelNotFoundError, False),  # CB-X6
    (404, {"detail": "Model 'x' not found or not publicly available"}, ModelNotFoundError, False),  # CB-E3
    (413, body("any words", "request_too_large"), BadRequestError, False),  # CB-X7
    (422, body("any words"), BadRequestError, False),  # CB-X8, CB-1
    (429, body(BUSY, "queue_exceeded", "too_many_requests_error", "queue"), OverloadedError, True),  # CB-X9
    (429, body("Requests per minute limit exceeded", "request_quota_exceeded"), RateLimitError, True),  # CB-X10
    (429, body("Tokens per minute limit exceeded", "token_quota_exceeded"), RateLimitError, True),
    (500, body("any words", "internal_error"), ServerError, True),  # CB-X11
    (503, body("any words", "unavailable"), OverloadedError, True),
]


@pytest.mark.parametrize("form", ["flat", "nested", "status"])
@pytest.mark.parametrize(("status", "data", "error", "retryable"), ROWS)
def test_error_table(status, data, error, retryable, form):
    """CB-X1 to CB-X11, CB-X20, CB-1, CB-3, CB-E3, CB-I1, CB-M2, CB-T3, CB-T6"""
    forms = {"flat": data, "nested": {"error": data}, "status": {"status_code": status, "error": data}}
    with pytest.raises(error) as caught:
        replay("cerebras", status=status, body=json.dumps(forms[form]), stream=False)
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    words = str(data.get("message") or data.get("detail"))
    assert words in str(caught.value)


@pytest.mark.parametrize(("status", "error"), [(500, ServerError), (503, OverloadedError)])
def test_a_server_may_say_nothing(status, error):
    """CB-X11"""
    with pytest.raises(error) as caught:
        replay("cerebras", status=status, body="", stream=True)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("code", "headers", "seconds"),
    [
        ("request_quota_exceeded", {}, 60),
        ("token_quota_exceeded", {}, 60),
        ("token_quota_exceeded", {"retry-after": "5"}, 5),
        ("token_quota_exceeded", SPENT, 37.26),
        ("queue_exceeded", {}, None),
    ],
)
def test_how_long_to_wait(code, headers, seconds):
    """CB-X9, CB-X10, CB-I5, CB-H2: a queue is asked again soon, an allowance is back after its minute."""
    with pytest.raises((RateLimitError, OverloadedError)) as caught:
        replay("cerebras", status=429, headers=headers, body=json.dumps(body(BUSY, code)), stream=False)
    assert caught.value.retry_after_seconds == (None if seconds is None else pytest.approx(seconds))


def chunk(delta, **more):
    return f"data: {json.dumps({'choices': [{'delta': delta, 'index': 0, **more}]})}\n\n"


@pytest.mark.parametrize("named", [False, True])
def test_an_error_inside_a_stream(named):
    """CB-S7"""
    error = json.dumps({"error": body(BUSY, "queue_exceeded"), "status_code": 429})
    text = chunk({"content": "Hel"}) + ("event: error\n" if named else "") + f"data: {error}\n\n"
    with pytest.raises(OverloadedError) as caught:
        replay("cerebras", headers=EVENTS, body=text, stream=True)
    assert caught.value.partial.text == "Hel"


def test_a_stream_without_its_mark_ends_with_its_finish():
    """CB-S3, CB-S6"""
    text = chunk({"role": "assistant"}) + chunk({"content": "Hel"})
    for word in ("stop", "length", "tool_calls", "content_filter"):
        assert replay("cerebras", headers=EVENTS, body=text + chunk({}, finish_reason=word), stream=True).text == "Hel"
    with pytest.raises(StreamInterruptedError):
        replay("cerebras", headers=EVENTS, body=text, stream=True)


def test_calls_in_fragments_are_joined():
    """CB-S5: reported once of gpt-oss."""
    first = {"index": 0, "id": "be09f9de4", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
    text = chunk({"tool_calls": [first]}) + chunk({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]})
    reply = replay("cerebras", headers=EVENTS, body=text + chunk({}, finish_reason="tool_calls"), stream=True)
    assert [(call.id, call.arguments) for call in reply.tool_calls] == [("be09f9de4", '{"a": 1}')]


def test_a_sum_that_is_none_is_not_looked_at():
    """CB-U2: recorded, 83 beside 79 and 2."""
    usage = {"prompt_tokens": 79, "completion_tokens": 2, "total_tokens": 83}
    data = {"choices": [{"index": 0, "message": {"role": "assistant"}, "finish_reason": "stop"}], "usage": usage}
    reply = replay("cerebras", body=json.dumps(data), stream=False)
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.text) == (79, 2, "")
