"""Every row of the vendor's error table comes out as the right class, retryable or not; limits; the model list."""

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
    RateLimits,
    ServerError,
)
from chatport.testing import replay

HEADERS = {"content-type": "application/json; charset=utf-8", "x-together-traceid": "trace-1"}
SUM = "`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 8000 `inputs` tokens and 512 `max_new_tokens`"
TOO_LONG = "The sum of input tokens and max_tokens exceeds what the model takes"
DEDICATED = "Unable to access non-serverless model a/b. Please visit https://api.together.ai/models/a/b"


def body(message, kind="invalid_request_error", code=None):
    """TG-X1"""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return json.dumps({"id": "oqzjfRD-2dTqGa", "error": error})


ROWS = [
    ("TG-X10", 400, body("Input validation error"), BadRequestError, False),
    ("TG-X10", 400, "Input validation error", BadRequestError, False),
    ("TG-X11", 400, body("This model's maximum context length is 8193 tokens"), ContextLengthError, False),
    ("TG-X12", 401, body("Invalid API key provided.", code="invalid_api_key"), AuthenticationError, False),
    ("TG-X13", 400, body(DEDICATED, code="model_not_available"), ModelNotFoundError, False),
    ("TG-X14", 402, body("Monthly spending limit reached"), QuotaExceededError, False),
    ("TG-X15", 403, body(TOO_LONG), ContextLengthError, False),
    ("TG-X15", 403, body("The context is too large"), ContextLengthError, False),
    ("TG-X15", 403, body("You are not allowed to use this model"), PermissionDeniedError, False),
    ("TG-X16", 404, body("Unable to access model x.", code="model_not_available"), ModelNotFoundError, False),
    ("TG-X17", 413, body("Request entity too large"), BadRequestError, False),
    ("TG-X18", 422, body(f"Input validation error: {SUM}"), ContextLengthError, False),
    ("TG-X18", 422, f'{{"error": "Input validation error: {SUM}"}}', ContextLengthError, False),
    ("TG-X19", 422, body("Input validation error: `top_p` must be <= 1"), BadRequestError, False),
    ("TG-X20", 429, body("Slow down", "dynamic_request_limited"), RateLimitError, True),
    ("TG-X20", 429, body("Slow down", "dynamic_token_limited"), RateLimitError, True),
    ("TG-X20", 429, body("Slow down", "model_rate_limit"), RateLimitError, True),
    ("TG-X21", 503, body("The server is overloaded or not ready yet.", "server_error"), OverloadedError, True),
    ("TG-X21", 503, "", OverloadedError, True),
    ("TG-X22", 500, body("Internal server error", "server_error"), ServerError, True),
    ("TG-X23", 502, "<html><body>Bad gateway</body></html>", ServerError, True),
    ("TG-X23", 504, "", ServerError, True),
    ("TG-X23", 524, "error code: 524", ServerError, True),
    ("TG-X23", 529, body("overloaded", "server_error"), OverloadedError, True),
    ("TG-X30", 400, body("Slow down", code="rate_limit"), RateLimitError, True),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fact", "status", "text", "error", "retryable"), ROWS)
def test_error_table(fact, status, text, error, retryable, stream):
    with pytest.raises(error) as caught:
        replay("together", status=status, headers=HEADERS, body=text, stream=stream)
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert caught.value.request_id == "trace-1"
    assert caught.value.retry_after_seconds is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": "7"}, 7),
        ({"x-ratelimit-reset": "0.5"}, 0.5),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-reset": "7", "retry-after": "2"}, 2),
    ],
)
def test_the_wait_is_in_a_header(headers, seconds):
    """TG-F1"""
    with pytest.raises(RateLimitError) as caught:
        replay("together", status=429, headers=headers, body=body("x", "dynamic_token_limited"), stream=False)
    assert caught.value.retry_after_seconds == seconds


TEXT = {"id": "a-1", "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "eos"}]}


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        ({}, None),
        ({"x-ratelimit-remaining-dynamic": "9"}, RateLimits(requests_remaining=9)),
        (
            {"x-ratelimit-limit": "600", "x-ratelimit-remaining": "599.0", "x-ratelimit-reset": "1.5",
             "x-tokenlimit-limit": "9000", "x-tokenlimit-remaining": "8000"},
            RateLimits(None, 599, 1.5, 9000, 8000),
        ),
        (
            {"x-ratelimit-limit": "1", "x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "?"},
            RateLimits(tokens_limit=1000),
        ),
    ],
)  # fmt: skip
def test_rate_limits(headers, limits):
    """TG-H1, TG-H3"""
    reply = replay("together", headers={**headers, "x-request-id": "r"}, body=json.dumps(TEXT), stream=False)
    assert (reply.rate_limits, reply.request_id, reply.finish_reason) == (limits, "r", "stop")
    assert reply.raw["id"] == "a-1"
