"""Every row of the vendor's error table comes out as the right class, retryable or not."""

from __future__ import annotations

import json

import pytest

from chatport import (
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    MalformedReplyError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    UnsupportedFeatureError,
)
from chatport.testing import replay

TYPE = "type.googleapis.com/google.rpc."
QUOTA = "You exceeded your current quota, please check your plan and billing details."
UNSIGNED = (
    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, "
    "and missing thought_signature may lead to degraded model performance. Additional data, function call "
    "`default_api:f` , position 2."
)
UNSIGNED_ON_VERTEX = (
    "Unable to submit request because function call `default_api:f` in the 2. content block is missing a "
    "`thought_signature`."
)


def body(code, status, message, *details, wrapped=True):
    error = {"error": {"code": code, "message": message, "status": status, "details": list(details)}}
    return [error] if wrapped else error


def info(reason):
    return {"@type": f"{TYPE}ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": {}}


def quota(*ids):
    violations = [{"quotaMetric": "m", "quotaId": one, "quotaValue": "10"} for one in ids]
    return {"@type": f"{TYPE}QuotaFailure", "violations": violations}


def wait(delay):
    return {"@type": f"{TYPE}RetryInfo", "retryDelay": delay}


MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
TOKENS = "GenerateContentInputTokensPerModelPerMinute-FreeTier"
DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
ROWS = [
    ("GM-X10", 400, body(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
                         info("API_KEY_INVALID")), AuthenticationError, False),
    ("GM-X10", 400, body(400, "INVALID_ARGUMENT", "Please pass a valid API key"), AuthenticationError, False),
    ("GM-X11", 400, body(400, "INVALID_ARGUMENT", UNSIGNED), BadRequestError, False),
    ("GM-X11", 400, body(400, "INVALID_ARGUMENT", UNSIGNED_ON_VERTEX), BadRequestError, False),
    ("GM-X11", 400, body(400, "INVALID_ARGUMENT", "Corrupted thought signature."), BadRequestError, False),
    ("GM-X12", 400, body(400, "INVALID_ARGUMENT", "Request contains an invalid argument."), BadRequestError, False),
    ("GM-X13", 400, body(400, "INVALID_ARGUMENT", "The input token count (2000000) exceeds the maximum number of "
                         "tokens allowed (1048576)."), ContextLengthError, False),
    ("GM-X14", 400, body(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
     PermissionDeniedError, False),
    ("GM-X15", 401, body(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
     AuthenticationError, False),
    ("GM-X16", 403, body(403, "PERMISSION_DENIED", "Requests to this API are blocked.",
                         info("API_KEY_SERVICE_BLOCKED")), PermissionDeniedError, False),
    ("GM-X16", 403, body(403, "PERMISSION_DENIED", "Your API key was reported as leaked."),
     PermissionDeniedError, False),
    ("GM-X17", 404, body(404, "NOT_FOUND", "models/x is not found for API version v1beta, or is not supported for "
                         "generateContent."), ModelNotFoundError, False),
    ("GM-X18", 429, body(429, "RESOURCE_EXHAUSTED", QUOTA, quota(MINUTE), wait("41s")), RateLimitError, True),
    ("GM-X18", 429, body(429, "RESOURCE_EXHAUSTED", QUOTA, quota(TOKENS)), RateLimitError, True),
    ("GM-X18", 429, body(429, "RESOURCE_EXHAUSTED", QUOTA), RateLimitError, True),
    ("GM-X19", 429, body(429, "RESOURCE_EXHAUSTED", QUOTA, quota(MINUTE, DAY), wait("41s")), QuotaExceededError, False),
    ("GM-X19", 429, body(429, "RESOURCE_EXHAUSTED", f"{QUOTA}\n* Quota exceeded for metric: m, limit: 0"),
     QuotaExceededError, False),
    ("GM-X21", 499, body(499, "CANCELLED", "The operation was cancelled."), ServerError, True),
    ("GM-X21", 504, body(504, "DEADLINE_EXCEEDED", "Deadline expired."), ServerError, True),
    ("GM-X22", 500, body(500, "INTERNAL", "An internal error has occurred."), ServerError, True),
    ("GM-X22", 503, body(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
     OverloadedError, True),
    ("GM-J2", 400, body(400, "INVALID_ARGUMENT", "Function calling with a response mime type: 'application/json' is "
                        "unsupported"), UnsupportedFeatureError, False),
]  # fmt: skip


@pytest.mark.parametrize("wrapped", [True, False], ids=["list", "object"])
@pytest.mark.parametrize(("fact", "status", "data", "error", "retryable"), ROWS)
def test_error_table(fact, status, data, error, retryable, wrapped):
    """GM-X1, GM-X2, GM-X30, GM-I3: in a list or not, plain or in place of a stream (GM-S3)."""
    shown = json.dumps(data if wrapped else data[0])
    for stream in (False, True):
        for provider in ("gemini", "vertex"):
            with pytest.raises(error) as caught:
                replay(provider, status=status, body=shown, stream=stream)
            assert type(caught.value) is error
            assert (caught.value.retryable, caught.value.status) == (retryable, status)
            assert data[0]["error"]["message"][:20] in str(caught.value)


@pytest.mark.parametrize(("fact", "status", "data", "error", "retryable"), ROWS)
def test_errors_inside_a_stream(fact, status, data, error, retryable):
    """GM-S3: behind a 200, and behind the first piece; less may be known there, and nothing that is wrong."""
    piece = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}}]}
    for before in ("", f"data: {json.dumps(piece)}\n\n"):
        for after in (data, data[0]):
            with pytest.raises(error) as caught:
                replay("gemini", body=f"{before}data: {json.dumps(after)}\n\n", stream=True)
            assert caught.value.retryable is retryable


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (body(429, "RESOURCE_EXHAUSTED", QUOTA, quota(MINUTE), wait("41s")), 41),
        (body(429, "RESOURCE_EXHAUSTED", QUOTA, quota(MINUTE), wait("12s"), wait("41.5s")), 41.5),
        (body(429, "RESOURCE_EXHAUSTED", f"{QUOTA} Please retry in 12.5s."), 12.5),
        (body(429, "RESOURCE_EXHAUSTED", f"{QUOTA} Please retry in 800ms."), 0.8),
        (body(429, "RESOURCE_EXHAUSTED", QUOTA), None),
    ],
)
def test_when_to_come_back(data, seconds):
    """GM-X18, GM-X30, GM-H1: told in the body, and by no header."""
    with pytest.raises(RateLimitError) as caught:
        replay("gemini", status=429, body=json.dumps(data), stream=False)
    assert caught.value.retry_after_seconds == seconds


def test_the_shared_capacity_of_vertex():
    """GM-X20, GM-F1"""
    shown = json.dumps(body(429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later."))
    with pytest.raises(OverloadedError, match="another location") as caught:
        replay("vertex", status=429, body=shown, stream=False)
    assert caught.value.retryable


def test_a_missing_signature_says_what_to_do():
    """GM-T7, GM-T8, GM-X11, GM-I1"""
    shown = json.dumps(body(400, "INVALID_ARGUMENT", UNSIGNED))
    with pytest.raises(BadRequestError, match="belongs to one model, key and address"):
        replay("gemini", status=400, body=shown, stream=False)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("word", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
def test_a_broken_call_is_asked_for_again(word, stream):
    """GM-S8, GM-X23: by the beginning of its finish reason; nothing else tells of it."""
    choice = {"finish_reason": f"function_call_filter: {word}", "index": 0}
    said = {"choices": [{**choice, "delta" if stream else "message": {"role": "assistant"}}], "model": "m"}
    shown = f"data: {json.dumps(said)}\n\ndata: [DONE]\n\n" if stream else json.dumps(said)
    with pytest.raises(MalformedReplyError, match=word) as caught:
        replay("gemini", body=shown, stream=stream)
    assert caught.value.retryable
