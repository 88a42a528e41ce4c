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
)
from chatport.testing import replay

SUSPENDED = (
    "Account me is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices."
)
QUOTED = "Extra inputs are not permitted, field: 'messages[0].x', value: 'the maximum context length was exceeded'"
MISSING = "Model not found, inaccessible, and/or not deployed"
ROWS = [
    ("FW-X10", 400, "Extra inputs are not permitted, field: 'store', value: True", BadRequestError, False),
    ("FW-X10", 400, QUOTED, BadRequestError, False),
    ("FW-X11", 400, "The prompt is too long: 200000, model maximum context length: 131072", ContextLengthError, False),
    ("FW-X12", 400, "Requests with max_tokens > 4096 must have stream=true", BadRequestError, False),
    ("FW-X13", 400, "Invalid reasoning effort: none", BadRequestError, False),
    ("FW-X14", 401, "any words", AuthenticationError, False),
    ("FW-X15", 402, "any words", QuotaExceededError, False),
    ("FW-X16", 403, "any words", PermissionDeniedError, False),
    ("FW-X17", 404, MISSING, ModelNotFoundError, False),
    ("FW-X18", 405, "any words", BadRequestError, False),
    ("FW-X18", 413, "any words", BadRequestError, False),
    ("FW-X19", 408, "any words", ServerError, True),
    ("FW-X20", 412, SUSPENDED, QuotaExceededError, False),
    ("FW-X21", 412, "The LoRA addon could not be loaded", BadRequestError, False),
    ("FW-X22", 425, "any words", OverloadedError, True),
    ("FW-X23", 429, "any words", RateLimitError, True),
    ("FW-X24", 500, "any words", ServerError, True),
    ("FW-X24", 502, "any words", ServerError, True),
    ("FW-X25", 503, "any words", OverloadedError, True),
    ("FW-X26", 504, "any words", ServerError, True),
]


@pytest.mark.parametrize(("fact", "status", "message", "error", "retryable"), ROWS)
def test_error_table(fact, status, message, error, retryable):
    """FW-X1, FW-X2, FW-I2: the forms that bodies have, the rarer ones by turns. FW-H4: an id in the body."""
    details = {"message": message, "code": "NOT_FOUND" if status == 404 else "INVALID_ARGUMENT", "type": "error"}
    rarer = [
        json.dumps({"error": {**details, "object": "error", "param": None}}),
        json.dumps({"error": message}),
        json.dumps({"detail": message}),
        message,
    ]
    for body in (json.dumps({"error": details, "request_id": "chatcmpl-1"}), rarer[(status + len(message)) % 4]):
        with pytest.raises(error) as caught:
            replay("fireworks", status=status, headers={"content-type": "application/json"}, body=body, stream=False)
        assert type(caught.value) is error
        assert caught.value.retryable is retryable
        assert message[:80] in str(caught.value)
        assert caught.value.request_id == ("chatcmpl-1" if "request_id" in body else None)


def test_errors_and_other_events_inside_a_stream():
    """FW-S6"""
    start = '{"choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}'
    error = json.dumps({"error": {"message": "Internal server error", "type": "server_error"}})
    other = 'event: ping\ndata: {"type": "ping"}\n\n'
    headers = {"content-type": "text/event-stream"}
    with pytest.raises(ServerError) as caught:
        replay("fireworks", headers=headers, body=f"{other}data: {start}\n\ndata: {error}\n\n", stream=True)
    assert caught.value.partial.text == "Hel"
    end = '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"total_tokens":5}}'
    stream = f"data: {start}\n\n{other}data: {end}\n\ndata: [DONE]\n\n"
    reply = replay("fireworks", headers=headers, body=stream, stream=True)
    assert (reply.text, reply.usage.input_tokens) == ("Hel", 3)
