"""Every row of the vendor's error table comes out as the right class, retryable or not."""

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
    QuotaExceededError,
    RateLimitError,
    ServerError,
    TransportError,
)
from chatport.testing import replay

HEADERS = {"content-type": "application/json", "Msh-Request-Id": "68f1"}
TPM = "Your account u<ak> request reached TPM rate limit, current: 500100, limit: 500000"
BALANCE = "Your account is suspended due to insufficient balance"
ROWS = [
    ("MS-E1", 400, "content_filter", "The request was considered high risk", ContentFilterError, False),
    ("MS-E2", 400, "invalid_request_error", "Input token length too long", ContextLengthError, False),
    ("MS-E3", 400, "invalid_request_error", "Your request exceeded model token limit: 262144 (requested: 269030)",
     ContextLengthError, False),
    ("MS-E4", 400, "invalid_request_error", "invalid temperature: only 1 is allowed for this model",
     BadRequestError, False),
    ("MS-E5", 401, "invalid_authentication_error", "Invalid Authentication", AuthenticationError, False),
    ("MS-E5", 401, "incorrect_api_key_error", "Incorrect API key provided", AuthenticationError, False),
    ("MS-E6", 403, "permission_denied_error", "The API is not open", PermissionDeniedError, False),
    ("MS-E7", 404, "resource_not_found_error", "Not found the model kimi-k2.5 or Permission denied",
     ModelNotFoundError, False),
    ("MS-E8", 429, "exceeded_current_quota_error", BALANCE, QuotaExceededError, False),
    ("MS-E8", 429, "exceeded_current_quota_error", "any other words", QuotaExceededError, False),
    ("MS-E9", 429, "rate_limit_reached_error", TPM, RateLimitError, True),
    ("MS-E9", 429, "rate_limit_reached_error", "request reached organization max concurrency: 1", RateLimitError, True),
    ("MS-E10", 429, "rate_limit_reached_error", TPM.replace("TPM", "TPD"), QuotaExceededError, False),
    ("MS-E11", 429, "engine_overloaded_error", "The engine is currently overloaded", OverloadedError, True),
    ("MS-E12", 499, "client_closed_request", "gone", TransportError, False),
    ("MS-E13", 500, "server_error", "any words", ServerError, True),
    ("MS-E13", 500, "unexpected_output", "any words", ServerError, True),
    ("MS-E14", 503, "server_unavailable", "any words", ServerError, True),
    ("MS-E16", 403, "", BALANCE, QuotaExceededError, False),
]  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fact", "status", "kind", "message", "error", "retryable"), ROWS)
def test_error_table(fact, status, kind, message, error, retryable, stream):
    """MS-L4: the request id has a header of the vendor's own."""
    body = json.dumps({"error": {"type": kind, "message": message}})
    with pytest.raises(error) as caught:
        replay("moonshot", status=status, headers=HEADERS, body=body, stream=stream)
    assert (type(caught.value), caught.value.retryable) == (error, retryable)
    assert caught.value.request_id == "68f1"
    assert message in str(caught.value)
    assert ("api.moonshot.ai" in str(caught.value)) == (status == 401)


def test_a_hint_when_to_come_back():
    """MS-L3"""
    body = json.dumps({"error": {"type": "engine_overloaded_error", "message": "overloaded"}})
    with pytest.raises(OverloadedError) as caught:
        replay("moonshot", status=429, headers={**HEADERS, "Retry-After": "7"}, body=body, stream=False)
    assert caught.value.retry_after_seconds == 7


def test_a_page_of_html():
    """MS-E15, MS-X9"""
    page = "<html><head><title>504</title></head><body><h1>504 Gateway Time-out</h1></body></html>"
    with pytest.raises(ServerError, match=r"504 Gateway Time-out \(no answer in time") as caught:
        replay("moonshot", status=504, headers={"content-type": "text/html"}, body=page, stream=False)
    assert caught.value.retryable


@pytest.mark.parametrize(("kind", "error"), [("server_error", ServerError), ("content_filter", ContentFilterError)])
def test_an_error_inside_a_stream(kind, error):
    """MS-S9"""
    start = '{"choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}'
    events = f'data: {start}\n\ndata: {{"error": {{"type": "{kind}", "message": "broken off"}}}}\n\n'
    with pytest.raises(error) as caught:
        replay("moonshot", headers={"content-type": "text/event-stream"}, body=events, stream=True)
    assert caught.value.partial.text == "Hel"
