"""Every row of the vendor's error table comes out as the right class, retryable or not."""

from __future__ import annotations

import json

import pytest

from chatport import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    MalformedReplyError,
    ModelNotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from chatport.testing import replay

LOGIN = "login fail: Please carry the API secret key in the 'Authorization' field of the request header (1004)"


def http(kind, message, status=400):
    error = {"type": kind, "message": message, "http_code": str(status)}
    return json.dumps({"type": "error", "error": error, "request_id": "0637"})


def inside(code, words, **more):
    reply = {"id": "0637", "choices": None, "created": 1, "model": "MiniMax-M3", "object": "chat.completion"}
    return json.dumps({**reply, "base_resp": {"status_code": code, "status_msg": words}, **more})


ROWS = [
    ("MM-X10", 401, http("authorized_error", LOGIN, 401), AuthenticationError, False),
    ("MM-X10", 401, http("authorized_error", "invalid api key (2049)", 401), AuthenticationError, False),
    ("MM-X10", 401, http("authorized_error", "of another region", 401), AuthenticationError, False),
    ("MM-X10", 200, inside(1004, "login fail"), AuthenticationError, False),
    ("MM-X11", 400, http("bad_request_error", "invalid params, messages is empty (2013)"), BadRequestError, False),
    ("MM-X11", 200, inside(2013, "invalid params"), BadRequestError, False),
    ("MM-X12", 400, http("bad_request_error", "invalid params, unknown model 'x' (2013)"), ModelNotFoundError, False),
    ("MM-X13", 400, http("bad_request_error", "invalid params, context window exceeds limit (2013)"),
     ContextLengthError, False),
    ("MM-X13", 200, inside(1039, "token limit"), ContextLengthError, False),
    ("MM-X14", 429, http("rate_limit_error", "rate limit (1002)", 429), RateLimitError, True),
    *[("MM-X14", 200, inside(code, "limit"), RateLimitError, True) for code in (1002, 1041, 2045)],
    ("MM-X15", 429, http("rate_limit_error", "usage limit exceeded (2056)", 429), QuotaExceededError, False),
    ("MM-X15", 200, inside(2056, "usage limit exceeded"), QuotaExceededError, False),
    ("MM-X16", 200, inside(2061, "your current token plan not support model, abab6.5s-chat"),
     PermissionDeniedError, False),
    ("MM-X17", 400, http("bad_request_error", "insufficient balance (1008)"), QuotaExceededError, False),
    ("MM-X17", 200, inside(1008, "insufficient balance"), QuotaExceededError, False),
    ("MM-X18", 200, inside(1026, "input new_sensitive"), ContentFilterError, False),
    ("MM-X18", 200, inside(1027, "output new_sensitive", choices=[{"index": 0, "message": {"content": "a"}}]),
     ContentFilterError, False),
    ("MM-X19", 400, http("bad_request_error", "invisible character ratio limit (1042)"), BadRequestError, False),
    *[("MM-X20", 200, inside(code, "server"), ServerError, True) for code in (1000, 1001, 1013, 1024, 1033)],
    ("MM-X20", 500, http("api_error", "unknown error (1000)", 500), ServerError, True),
    ("MM-X21", 200, inside(0, ""), MalformedReplyError, True),
    ("MM-I1", 200, inside(0, "", choices=[]), MalformedReplyError, True),
]  # fmt: skip


@pytest.mark.parametrize(("fact", "status", "body", "error", "retryable"), ROWS)
def test_error_table(fact, status, body, error, retryable):
    """MM-X1, MM-X2, MM-X3, MM-I1"""
    with pytest.raises(error) as caught:
        replay("minimax", status=status, body=body, stream=False)
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    if status >= 400:
        assert caught.value.request_id == "0637"


@pytest.mark.parametrize(("fact", "status", "body", "error", "retryable"), [row for row in ROWS if row[1] == 200][:-2])
def test_errors_inside_a_stream(fact, status, body, error, retryable):
    """MM-X2: in a stream too, whether there are no choices, none in the list, or one beside the code."""
    for choices in (None, [], [{"index": 0, "delta": {"content": "b"}}]):
        data = json.dumps({**json.loads(body), "choices": choices})
        with pytest.raises(error) as caught:
            replay("minimax", body=f"data: {data}\n\n", stream=True)
        assert type(caught.value) is error


def test_the_vendors_code_is_the_errors():
    """MM-X1, MM-X2"""
    for status, body in ((400, http("bad_request_error", "invalid params, no (2013)")), (200, inside(2013, "no"))):
        with pytest.raises(BadRequestError) as caught:
            replay("minimax", status=status, body=body, stream=False)
        assert caught.value.code == "2013"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, http("authorized_error", LOGIN, 401), "one region, and this call went to api.minimax.io"),
        (400, http("bad_request_error", "invalid params, unknown model 'minimax-m3' (2013)"), "Capitals count"),
        (200, inside(2056, "usage limit exceeded"), "five hours"),
        (200, inside(2061, "your current token plan not support model"), "pay-as-you-go"),
    ],
)
def test_errors_say_what_to_do(status, body, words):
    """MM-B2, MM-B3, MM-F1, MM-I5, MM-P1"""
    with pytest.raises(Exception, match=words):
        replay("minimax", status=status, body=body, stream=False)
