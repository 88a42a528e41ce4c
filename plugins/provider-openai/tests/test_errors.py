"""The error table, row by row: class, and whether another attempt is worth it."""

from __future__ import annotations

import json
from typing import Any

import pytest

import chatport
from chatport.testing import replay

AUTH, DENIED, QUOTA = chatport.AuthenticationError, chatport.PermissionDeniedError, chatport.QuotaExceededError
BAD, RATE, OVERLOADED = chatport.BadRequestError, chatport.RateLimitError, chatport.OverloadedError
SERVER, MISSING = chatport.ServerError, chatport.ModelNotFoundError


def body(message: str, type: str | None = "invalid_request_error", code: Any = None, param: str | None = None) -> str:
    return json.dumps({"error": {"message": message, "type": type, "param": param, "code": code}})


HTML = "<html><head><title>x</title></head><body><h1>502 Bad Gateway</h1></body></html>"
TABLE = [
    ("OA-X1", 401, body("Incorrect API key provided: sk-x*****xxxx.", code="invalid_api_key"), AUTH, False),
    ("OA-X2", 401, body("You must be a member of an organization to use the API."), AUTH, False),
    ("OA-X2", 401, body("Your IP address is not on the allow-list.", code="ip_not_authorized"), AUTH, False),
    (
        "OA-X3",
        403,
        body("Country or region not supported", "request_forbidden", "unsupported_country_region_territory"),
        DENIED,
        False,
    ),
    ("OA-X3", 403, body("You have insufficient permissions for this operation. Missing scopes: x"), DENIED, False),
    ("OA-X4", 404, body("The model `gpt-x` does not exist or you do not …", code="model_not_found"), MISSING, False),
    (
        "OA-X5",
        400,
        body("This model's maximum context length is 8192 tokens.", code="context_length_exceeded", param="messages"),
        chatport.ContextLengthError,
        False,
    ),
    *(
        ("OA-X6", 400, body("Unsupported or invalid: it is so with this model.", code=code, param="x"), BAD, False)
        for code in (
            *("unsupported_parameter", "unsupported_value", "invalid_value", "array_above_max_length"),
            *("invalid_function_parameters", "invalid_json_schema", "unknown_parameter", None),
        )
    ),
    (
        "OA-O6",
        400,
        body("Invalid schema for response_format 'X': …", param="response_format"),
        BAD,
        False,
    ),
    ("OA-R25", 400, body("Web search options not supported with this model.", param="web_search_options"), BAD, False),
    ("OA-R26", 400, body("Unrecognized request argument supplied: thinking"), BAD, False),
    (
        "OA-T14",
        400,
        body(
            "Function tools with reasoning_effort are not supported for gpt-5.6-terra in /v1/chat/completions. To use "
            "function tools, use /v1/responses or set reasoning_effort to 'none'.",
            param="reasoning_effort",
        ),
        chatport.UnsupportedFeatureError,
        False,
    ),
    (
        "OA-X7",
        400,
        body("Your organization must be verified to stream this model.", code="unsupported_value", param="stream"),
        DENIED,
        False,
    ),
    ("OA-X8", 400, body("Refused.", code="content_policy_violation"), chatport.ContentFilterError, False),
    ("OA-X8", 400, body("Refused.", code="content_filter"), chatport.ContentFilterError, False),
    (
        "OA-X8",
        400,
        body("Your request was rejected as a result of our safety system."),
        chatport.ContentFilterError,
        False,
    ),
    ("OA-X9", 429, body("Rate limit reached", "requests", "rate_limit_exceeded"), RATE, True),
    ("OA-X9", 429, body("Rate limit reached", "tokens", "rate_limit_exceeded"), RATE, True),
    ("OA-X10", 429, body("Slow down.", "rate_limit_error", "slow_down"), RATE, True),
    ("OA-X10", 503, body("Slow down.", "rate_limit_error", "slow_down"), RATE, True),
    *(
        ("OA-X11", 429, body("No more.", "insufficient_quota", code), QUOTA, False)
        for code in (
            *("insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded"),
            *("project_spend_limit_exceeded", "organization_usage_limit_exceeded", None),
        )
    ),
    ("OA-P8", 429, body("You exceeded your current quota, please check your plan", None), QUOTA, False),
    ("OA-X12", 500, body("The server had an error", "server_error"), SERVER, True),
    ("OA-X13", 503, body("Overloaded", "service_unavailable_error", "server_is_overloaded"), OVERLOADED, True),
    ("OA-X14", 408, body("Timeout", None), SERVER, True),
    ("OA-X14", 409, body("Locked", None), SERVER, True),
    ("OA-X15", 422, body("Cannot be processed"), BAD, False),
    ("OA-X16", 502, HTML, SERVER, True),
    ("OA-X16", 500, "upstream connect error", SERVER, True),
    ("OA-X16", 520, "", SERVER, True),
    ("OA-P12", 404, body("The model `gpt-6-sol` does not exist or you …", code="model_not_found"), MISSING, False),
]


@pytest.mark.parametrize(
    ("status", "text", "error", "retryable"),
    [row[1:] for row in TABLE],
    ids=[f"{r[0]}-{n}" for n, r in enumerate(TABLE)],
)
def test_every_row_has_its_class(status, text, error, retryable):
    with pytest.raises(chatport.ChatportError) as caught:
        replay("openai", status=status, headers={"x-request-id": "req_1"}, body=text, stream=False, model="gpt-6-sol")
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert caught.value.status == status
    assert caught.value.request_id == "req_1"


@pytest.mark.parametrize(
    ("details", "error"),
    [
        ({"type": "server_error", "code": None}, SERVER),
        ({"type": "server_error", "code": "server_is_overloaded"}, OVERLOADED),
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, QUOTA),
        ({"type": "tokens", "code": "rate_limit_exceeded"}, RATE),
        ({"type": None, "code": 429}, RATE),
        ({"type": "invalid_request_error", "code": "invalid_api_key"}, AUTH),
        ({"type": "invalid_request_error", "code": "context_length_exceeded"}, chatport.ContextLengthError),
        ({"type": "invalid_request_error", "code": None}, BAD),
    ],
)
def test_an_error_inside_a_stream_has_the_same_class(details, error):
    """OA-S9, OA-S10: it came with a 200, and without an end mark."""
    first = {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    lines = f"data: {json.dumps(first)}\n\ndata: {json.dumps({'error': {'message': 'It broke.', **details}})}\n\n"
    with pytest.raises(chatport.ChatportError) as caught:
        replay("openai", body=lines, stream=True)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("headers", "text", "seconds"),
    [
        ({}, "Please try again in 41.724s. Visit …", 41.724),
        ({}, "Please try again in 20ms.", 0.02),
        ({}, "Please try again in 6m0s.", 360),
        ({}, "Please try again later.", None),
        ({"retry-after": "7"}, "Please try again in 41.724s.", 7),
        ({"retry-after-ms": "250", "retry-after": "9"}, "Please try again in 41.724s.", 0.25),
    ],
)
def test_the_wait_comes_from_the_headers_else_from_the_text(headers, text, seconds):
    with pytest.raises(chatport.RateLimitError) as caught:
        replay("openai", status=429, headers=headers, body=body(text, "tokens", "rate_limit_exceeded"), stream=False)
    assert caught.value.retry_after_seconds == seconds


def test_should_retry_overrides_the_status():
    """OA-H6."""
    with pytest.raises(chatport.ServerError) as caught:
        replay("openai", status=500, headers={"x-should-retry": "false"}, body=body("x", "server_error"), stream=False)
    assert not caught.value.retryable


def test_advice_names_the_way_out():
    text = body("Must be verified to stream.", code="unsupported_value", param="stream")
    with pytest.raises(chatport.PermissionDeniedError, match=r"stream = false under \[providers.openai\]"):
        replay("openai", status=400, body=text, stream=True)
    text = body("Function tools with reasoning_effort are not supported for gpt-9 in …", param="reasoning_effort")
    with pytest.raises(chatport.UnsupportedFeatureError, match='reasoning="none", or another model'):
        replay("openai", status=400, body=text, stream=True)


def test_a_spent_budget_is_a_reply():
    """OA-R6: the status is 400, the meaning is that nothing was left for the text."""
    text = body("Could not finish the message because max_tokens or model output limit was reached. Please try again")
    for stream in (False, True):
        reply = replay("openai", status=400, body=text, stream=stream)
        assert (reply.finish_reason, reply.text, reply.tool_calls) == ("length", "", ())


def test_a_filtered_answer_is_no_exception():
    """OA-X17."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "content_filter"}
    reply = replay("openai", body=json.dumps({"id": "1", "choices": [choice]}), stream=False)
    assert (reply.finish_reason, reply.text) == ("content_filter", "a")
