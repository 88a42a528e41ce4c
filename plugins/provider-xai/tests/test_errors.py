"""Every row of the vendor's error table comes out as the right class, retryable or not."""

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
    UnsupportedFeatureError,
)
from chatport.testing import replay

TEAM = "7b0b9f5a-1234-4abc-8def-0123456789ab"
SPENT = f"Your team {TEAM} has either used all available credits or reached its monthly spending limit. Buy more."
INVALID = "Client specified an invalid argument"
KEY = "Incorrect API key provided: xa***. You can obtain an API key from https://console.x.ai."


def flat(error, code=INVALID):
    return {"code": code, "error": error}


ROWS = [
    (400, flat("Failed to parse the request."), BadRequestError, False),  # XA-X1
    (400, flat(KEY), AuthenticationError, False),  # XA-X2
    (400, flat(KEY, "invalid-argument"), AuthenticationError, False),
    (401, flat("No credentials presented.", "unauthenticated:no-credentials"), AuthenticationError, False),  # XA-X3
    (403, flat("Your API key is blocked.", "permission-denied"), PermissionDeniedError, False),  # XA-X4
    (403, flat(SPENT, "permission-denied"), QuotaExceededError, False),  # XA-X5
    (429, flat(SPENT, "Some resource has been exhausted"), QuotaExceededError, False),  # XA-I4
    (403, flat("Out of credits.", "personal-team-blocked:spending-limit"), QuotaExceededError, False),
    (
        400,
        flat("This model's maximum prompt length is 131072 but the request contains 136973 tokens."),
        ContextLengthError,
        False,
    ),  # XA-X6
    (404, flat("The model grok-9 does not exist.", "not-found"), ModelNotFoundError, False),  # XA-X7
    (404, flat("Previous response cannot be used", "not-found"), BadRequestError, False),  # XA-G2
    (405, {"error": "Method not allowed"}, BadRequestError, False),
    (415, {"error": "Expected request with `Content-Type: application/json`"}, BadRequestError, False),
    (422, {"error": "Failed to deserialize the JSON body into the target type"}, BadRequestError, False),
    (410, flat("Live search is deprecated. Please switch to the Agent Tools API."), UnsupportedFeatureError, False),
    (400, flat("Model grok-4.6 does not support parameter presencePenalty."), UnsupportedFeatureError, False),
    (400, flat("Argument not supported on this model: presencePenalty"), UnsupportedFeatureError, False),
    (400, flat("This model does not support 'reasoning_effort' value 'none'."), BadRequestError, False),  # XA-P4
    (429, flat("Too many requests for team.", "Some resource has been exhausted"), RateLimitError, True),  # XA-X9
    (503, flat("The service is currently unavailable", "The service is currently unavailable"), OverloadedError, True),
    (500, flat("Service temporarily unavailable.", "Internal error"), ServerError, True),  # XA-X10
    (400, {"error": {"message": KEY, "type": "invalid_request_error", "code": None}}, AuthenticationError, False),
]


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
@pytest.mark.parametrize(("status", "data", "kind", "retryable"), ROWS)
def test_error_table(status, data, kind, retryable, path):
    """XA-X1 to XA-X10, XA-X20, XA-P3, XA-P7: the three shapes of a body, whose code may be a sentence."""
    with pytest.raises(kind) as caught:
        replay("xai", status=status, body=json.dumps(data), stream=True, path=path)
    assert (type(caught.value), caught.value.retryable) == (kind, retryable)


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
def test_a_stream_may_be_none_at_all(path):
    """XA-S7: a 200 with a JSON body, where a stream was asked for."""
    data = json.dumps(flat("The service is currently unavailable", "The service is currently unavailable"))
    with pytest.raises(OverloadedError) as caught:
        replay("xai", body=data, headers={"content-type": "application/json"}, stream=True, path=path)
    assert caught.value.retryable


def test_a_failure_inside_a_stream():
    """XA-S8"""
    begun = 'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}]}\n\n'
    broken = f"data: {json.dumps(flat('The service is currently unavailable', 'x'))}\n\n"
    with pytest.raises(OverloadedError) as caught:
        replay("xai", body=begun + broken, stream=True)
    assert caught.value.partial.text == "Hel"


def test_the_team_is_not_told():
    """XA-X21: `raw` is the vendor's own."""
    with pytest.raises(QuotaExceededError) as caught:
        replay("xai", status=429, body=json.dumps(flat(SPENT)), stream=False)
    assert TEAM not in str(caught.value)
    assert "team *** has either" in str(caught.value)


def test_no_wait_is_told_and_the_request_is_named():
    """XA-H1"""
    with pytest.raises(RateLimitError) as caught:
        replay("xai", status=429, headers={"x-request-id": "r-1"}, body='{"error": "Too many requests"}', stream=False)
    assert (caught.value.retry_after_seconds, caught.value.request_id) == (None, "r-1")
